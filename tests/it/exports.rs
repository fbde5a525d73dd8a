//! Plans from directory exports: what is read, and what is refused with its place.

use std::path::Path;

use rehome_tests::{run, tree};

use crate::REHOME;

/// Writes a sample export and plans it; returns the plan.
#[track_caller]
fn check(form: &str, mailboxes: usize, servers: usize) -> serde_json::Value {
    let scratch = tempfile::tempdir().expect("a scratch folder");
    let site = scratch.path().join("site").display().to_string();
    let (count, servers) = (mailboxes.to_string(), servers.to_string());
    let args = ["sample", &site, "--export", form, "--mailboxes", &count, "--servers", &servers];
    let made = run(REHOME, &args);
    assert_eq!(made.code, Some(0), "{made:?}");
    let planned = run(REHOME, &["plan", &site, "--json"]);
    assert_eq!(planned.code, Some(0), "{}", planned.stderr);
    let plan: serde_json::Value = serde_json::from_str(&planned.stdout).expect("a plan");
    assert_eq!(plan["inventory"]["data"]["sized_mailboxes"], mailboxes);
    let html = std::fs::read_to_string(format!("{site}/rehome-work/plan.html")).expect("a page");
    assert!(html.contains("<svg"), "the page has no drawing");
    let carried_out = run(REHOME, &["migrate", &site, "--confirm", "all"]);
    assert_eq!(carried_out.code, Some(65), "people carry it out: {carried_out:?}");
    plan
}

#[test]
fn a_comma_separated_export_of_four_hundred_mailboxes_is_planned() {
    check("csv", 400, 1);
}

#[test]
fn an_ldif_export_of_five_thousand_mailboxes_is_planned() {
    check("ldif", 5000, 4);
}

/// Plans a bare export and expects this exit code and these words.
#[track_caller]
fn refused(text: &str, code: i32, words: &[&str]) {
    let scratch = tempfile::tempdir().expect("a scratch folder");
    let file = scratch.path().join("export.csv");
    std::fs::write(&file, text).expect("writable");
    let before = tree(scratch.path());
    let shown = file.display().to_string();
    let work = scratch.path().join("work").display().to_string();
    let refused = run(REHOME, &["plan", &shown, "--work", &work]);
    assert_eq!(refused.code, Some(code), "{refused:?}");
    for word in words {
        assert!(refused.stderr.contains(word), "no {word:?} in {}", refused.stderr);
    }
    assert_eq!(tree(scratch.path()), before, "something was written or changed");
}

#[test]
fn mistakes_in_an_export_are_shown_with_file_line_caret_and_remedy() {
    let header = "Obj-Class,Directory Name,Home-Server,E-mail Addresses\n";
    let with = |rows: &str| format!("{header}{rows}");
    refused(
        "Obj-Class,Directory Name,Home Server\nMailbox,alice,EX1\n",
        65,
        &["E020", "export.csv:1:26", "^^^^^^^^^^^", "did you mean \"Home-Server\""],
    );
    refused(
        &with("Mailbox,alice,EX1,SMTP:a@ex.com\nMailbox,bob,EX1,SMTP:A@ex.com\n"),
        65,
        &["E021", "export.csv:3:17", "^^^^^^^^", "line 2", "fix:"],
    );
    refused(
        &with("Mailbox,alice,EX1,\nMailbox,bob,,\n"),
        65,
        &["E022", "export.csv:3:1", "bob", "fix:"],
    );
    refused(&with("dl,staff,,\n"), 65, &["E024", "fix:"]);
}

#[test]
fn replicas_in_a_circle_are_refused() {
    let scratch = tempfile::tempdir().expect("a scratch folder");
    let site = "schema = \"site/1\"\norganization = \"E\"\nsite = \"S\"\nkind = \"exchange-5.5\"\n\
                [[server]]\nname = \"EX1\"\n[[server]]\nname = \"EX2\"\n[[public_folder]]\n\
                path = \"News\"\nreplicas = [\"EX1\", \"EX2\"]\n\
                filled_from = [\"EX2 from EX1\", \"EX1 from EX2\"]\n";
    std::fs::write(scratch.path().join("site.toml"), site).expect("writable");
    let refused = run(REHOME, &["plan", &scratch.path().display().to_string()]);
    assert_eq!(refused.code, Some(65), "{refused:?}");
    for word in ["E023", "site.toml:12:", "^^^^^", "fix:"] {
        assert!(refused.stderr.contains(word), "no {word:?} in {}", refused.stderr);
    }
    assert!(!Path::new(&scratch.path().join("rehome-work")).exists());
}

#[test]
fn every_row_of_an_export_is_accounted_for() {
    let scratch = tempfile::tempdir().expect("a scratch folder");
    let site = scratch.path().join("site").display().to_string();
    let made = run(REHOME, &["sample", &site, "--export", "ldif", "--mailboxes", "90", "--json"]);
    let rows = made.json()["rows"].clone();
    let read = run(REHOME, &["directory", "read", &format!("{site}/export.ldif"), "--json"]).json();
    let count = read["count"].as_object().expect("counts");
    let kinds = count.iter().filter(|(kind, _)| *kind != "rows");
    let sum: u64 = kinds.map(|(_, number)| number.as_u64().expect("a number")).sum();
    assert_eq!(count["rows"], rows);
    assert_eq!(Some(sum), rows.as_u64());
}

#[test]
fn a_finished_migration_says_which_homes_have_changed() {
    let scratch = tempfile::tempdir().expect("a scratch folder");
    let site = crate::sample(scratch.path(), 41, 3, 2);
    let work = scratch.path().join("work").display().to_string();
    let args = ["migrate", &site, "--work", &work, "--route", "move-users", "--confirm", "all"];
    let done = run(REHOME, &args);
    assert_eq!(done.code, Some(0), "{done:?}");
    let ldif = run(REHOME, &["directory", "changes", &work]);
    assert_eq!(ldif.stdout.matches("replace: homeMDB").count(), 3, "{ldif:?}");
    assert!(ldif.stdout.contains("CN=EXCL1"), "{ldif:?}");
    let csv = run(REHOME, &["directory", "changes", &work, "--format", "csv"]);
    let file = scratch.path().join("changes.csv");
    std::fs::write(&file, &csv.stdout).expect("writable");
    let read = run(REHOME, &["directory", "read", &file.display().to_string(), "--json"]);
    assert_eq!(read.json()["count"]["mailboxes"], 3, "{csv:?}");
}

/// Runs the program in a folder.
#[track_caller]
fn stand_in(folder: &Path, args: &[&str]) {
    let done = std::process::Command::new(REHOME)
        .args(args)
        .current_dir(folder)
        .output()
        .expect("the program starts");
    assert_eq!(done.status.code(), Some(0), "{args:?} {}", String::from_utf8_lossy(&done.stderr));
}

#[test]
fn files_and_stores_are_written_under_bare_names_where_one_stands() {
    let scratch = tempfile::tempdir().expect("a scratch folder");
    let folder = scratch.path();
    crate::sample(folder, 42, 2, 1);
    stand_in(folder, &["plan", "site", "--output", "mine.json"]);
    assert!(folder.join("mine.json").exists());
    stand_in(folder, &["import", "site/mail/alice", "--store", "store", "--mailbox", "alice"]);
    stand_in(folder, &["backup", "--store", "store", "--to", "set"]);
    stand_in(folder, &["restore", "--from", "set", "--store", "again"]);
    stand_in(folder, &["restore", "--from", "set", "--to-maildir", "trees"]);
    assert!(folder.join("again/store.id").exists() && folder.join("trees").exists());
}
