//! Both routes on a sample site, and what arrives compared with what was there.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use rehome_tests::{run, tree};

use crate::{REHOME, sample};

/// Migrates a sample by a route, exports the new server, and compares with the source.
#[track_caller]
fn check(route: &str, test: u8) {
    let scratch = tempfile::tempdir().expect("a scratch folder");
    let site = sample(scratch.path(), test, 5, 20);
    let before = tree(Path::new(&site));
    let work = scratch.path().join("work").display().to_string();
    let args = [
        "migrate",
        &site,
        "--work",
        &work,
        "--route",
        route,
        "--confirm",
        "all",
        "--json",
        "--traffic",
    ];
    let done = run(REHOME, &args);
    let summary = done.expect_whole();
    assert_eq!(summary["verified"], true);
    assert_eq!(summary["route"], route);
    assert_eq!(tree(Path::new(&site)), before, "the source was changed");
    compare_export(scratch.path(), &work, Path::new(&site));
    let again = run(REHOME, &args);
    assert_eq!(again.code, Some(0), "a finished migration is finished: {again:?}");
}

/// Every message of the source is in an export of the new store: same bytes, flags and folder.
#[track_caller]
fn compare_export(scratch: &Path, work: &str, site: &Path) {
    let store = format!("{work}/cluster/shared/store");
    let out = scratch.join("export").display().to_string();
    let exported = run(REHOME, &["export", "--store", &store, "--to", &out]);
    assert_eq!(exported.code, Some(0), "{exported:?}");
    let source = messages(&site.join("mail"));
    let mut target = messages(Path::new(&out));
    assert!(!source.is_empty());
    for (place, bytes) in source {
        assert_eq!(target.remove(&place), Some(bytes), "{place:?}");
    }
}

/// The messages of some Maildir++ trees by tree, folder, part and name.
fn messages(root: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let is_message = |path: &PathBuf| {
        let parent = path.parent().and_then(Path::file_name);
        parent.is_some_and(|part| part == "cur" || part == "new")
    };
    tree(root).into_iter().filter(|(path, _)| is_message(path)).collect()
}

#[test]
fn users_move_while_mail_is_delivered_and_read() {
    check("move-users", 11);
}

#[test]
fn a_server_is_rebuilt_as_a_cluster_from_its_backup() {
    check("disaster-recovery", 12);
}

#[test]
fn a_route_that_waits_for_a_person_says_so_and_goes_on_when_confirmed() {
    let scratch = tempfile::tempdir().expect("a scratch folder");
    let site = sample(scratch.path(), 13, 2, 5);
    let work = scratch.path().join("work").display().to_string();
    let args = ["migrate", &site, "--work", &work, "--route", "disaster-recovery"];
    let waits = run(REHOME, &args);
    assert_eq!(waits.code, Some(4), "{waits:?}");
    assert!(waits.stderr.contains("--confirm D6w"), "{waits:?}");
    let confirmed = [&args[..], &["--confirm", "D6w"]].concat();
    let done = run(REHOME, &confirmed);
    assert_eq!(done.code, Some(0), "{done:?}");
}

#[test]
fn a_plan_is_checked_applied_and_reported() {
    let scratch = tempfile::tempdir().expect("a scratch folder");
    let site = sample(scratch.path(), 15, 2, 5);
    let work = scratch.path().join("work").display().to_string();
    let planned = run(REHOME, &["plan", &site, "--work", &work, "--json"]);
    assert_eq!(planned.code, Some(0), "{planned:?}");
    assert_eq!(planned.json()["route"], "move-users");
    let plan = format!("{work}/plan.json");
    let before = run(REHOME, &["status", &work, "--json"]);
    assert_eq!(before.json()["done"], 0, "{before:?}");
    let done = run(REHOME, &["apply", &plan, "--confirm", "all", "--json"]);
    assert_eq!(done.code, Some(0), "{done:?}");
    let after = run(REHOME, &["status", &work, "--json"]).json();
    assert_eq!(after["done"], after["steps"], "{after}");
    let report = run(REHOME, &["report", &work]);
    assert_eq!(report.code, Some(0), "{report:?}");
    let page = std::fs::read_to_string(format!("{work}/outcome.html")).expect("a page");
    assert!(page.contains("<svg") && !page.contains("<script"), "one page, no scripts");
}

#[test]
fn a_plan_is_stale_when_the_site_has_changed() {
    let scratch = tempfile::tempdir().expect("a scratch folder");
    let site = sample(scratch.path(), 14, 2, 5);
    let work = scratch.path().join("work").display().to_string();
    let planned = run(REHOME, &["plan", &site, "--work", &work]);
    assert_eq!(planned.code, Some(0), "{planned:?}");
    let plan = format!("{work}/plan.json");
    let sound = run(REHOME, &["check", &plan]);
    assert_eq!(sound.code, Some(0), "{sound:?}");
    let mail = Path::new(&site).join("mail");
    let first = std::fs::read_dir(&mail).expect("mail").next().expect("a mailbox");
    let inbox = first.expect("readable").path().join("cur").join("1.late,S=4:2,S");
    std::fs::write(inbox, "late").expect("writable");
    let stale = run(REHOME, &["apply", &plan, "--confirm", "all"]);
    assert_eq!(stale.code, Some(7), "{stale:?}");
}

/// Keys that tests of age use.
const RECIPIENT: &str = "age1zvkyg2lqzraa2lnjvqej32nkuu0ues2s82hzrye869xeexvn73equnujwj";
const KEY: &str = "AGE-SECRET-KEY-1GFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPQ4EGAEX";

#[test]
fn a_server_is_rebuilt_from_backups_that_are_encrypted_for_a_recipient() {
    let scratch = tempfile::tempdir().expect("a scratch folder");
    let site = sample(scratch.path(), 18, 3, 10);
    let work = scratch.path().join("work").display().to_string();
    let key = scratch.path().join("key").display().to_string();
    std::fs::write(&key, format!("{KEY}\n")).expect("writable");
    let route = ["--route", "disaster-recovery", "--confirm", "all", "--json"];
    let args = [&["migrate", &site, "--work", &work][..], &route].concat();
    let without = run(REHOME, &[&args[..], &["--recipient", RECIPIENT]].concat());
    assert_eq!(without.code, Some(65), "{without:?}");
    assert!(without.stderr.contains("--identity"), "{without:?}");
    assert!(!Path::new(&work).exists(), "nothing was done");
    let keys = ["--recipient", RECIPIENT, "--identity", &key];
    let done = run(REHOME, &[&args[..], &keys].concat());
    assert_eq!(done.code, Some(0), "{done:?}");
    let summary = done.json();
    assert_eq!((&summary["verified"], &summary["messages"]["lost"]), (&true.into(), &0.into()));
    compare_export(scratch.path(), &work, Path::new(&site));
    // The directory is a note in the set, and has the mailboxes' names.
    let names = std::fs::read_dir(format!("{site}/mail")).expect("a folder of mail");
    let names = names.map(|one| one.expect("readable").file_name().into_encoded_bytes());
    let names: Vec<Vec<u8>> = names.collect();
    assert_eq!(names.len(), 3);
    // Three letters are somewhere in a few MiB of anything.
    let names: Vec<Vec<u8>> = names.into_iter().filter(|name| name.len() > 4).collect();
    assert!(!names.is_empty());
    let written = tree(&Path::new(&work).join("backups"));
    assert!(written.keys().any(|path| path.to_string_lossy().ends_with("-directory.age")));
    for (path, bytes) in written {
        let shown = |name: &Vec<u8>| bytes.windows(name.len()).any(|some| some == name);
        assert!(!names.iter().any(shown), "{path:?} names a mailbox");
    }
}

#[test]
fn backing_out_of_disaster_recovery_gives_the_log_up_as_before() {
    let scratch = tempfile::tempdir().expect("a scratch folder");
    let site = sample(scratch.path(), 19, 2, 5);
    let work = scratch.path().join("work").display().to_string();
    let args = ["migrate", &site, "--work", &work, "--route", "disaster-recovery"];
    let nothing = run(REHOME, &[&args[..], &["--back-out"]].concat());
    assert_eq!(nothing.code, Some(65), "there is nothing to undo: {nothing:?}");
    let waits = run(REHOME, &args);
    assert_eq!(waits.code, Some(4), "{waits:?}");
    let store = format!("{work}/servers/EX1/store");
    let log = |store: &str| run(REHOME, &["store", "log", store]).stdout;
    assert!(log(&store).contains("log archived"), "D4 has it kept: {}", log(&store));
    let back = run(REHOME, &[&args[..], &["--back-out"]].concat());
    assert_eq!(back.code, Some(8), "{back:?}");
    assert!(log(&store).contains("log circular"), "{}", log(&store));
    let again = run(REHOME, &[&args[..], &["--back-out"]].concat());
    assert_eq!(again.code, Some(8), "it is as it was: {again:?}");
}
