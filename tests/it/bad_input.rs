//! Wrong input: place, cause and remedy in the message, the right exit code, nothing changed.

use std::path::Path;

use rehome_tests::{run, tree};

use crate::{REHOME, sample};

/// Writes a sample, spoils its site file, and expects this exit code and these words.
#[track_caller]
fn check(test: u8, route: &str, spoil: impl Fn(&str) -> String, code: i32, words: &[&str]) {
    let scratch = tempfile::tempdir().expect("a scratch folder");
    let site = sample(scratch.path(), test, 3, 4);
    let file = Path::new(&site).join("site.toml");
    let text = std::fs::read_to_string(&file).expect("a site.toml");
    let spoiled = spoil(&text);
    assert_ne!(spoiled, text, "the sample has changed and the test no longer spoils it");
    std::fs::write(&file, spoiled).expect("writable");
    let before = tree(scratch.path());
    let args = ["migrate", &site, "--route", route, "--confirm", "all"];
    let refused = run(REHOME, &args);
    assert_eq!(refused.code, Some(code), "{refused:?}");
    for word in words {
        assert!(refused.stderr.contains(word), "no {word:?} in {}", refused.stderr);
    }
    assert_eq!(tree(scratch.path()), before, "something was written or changed");
}

/// Replaces the value of the first line that begins with `key` after the line `table`.
fn set(text: &str, table: &str, key: &str, value: &str) -> String {
    let mut inside = false;
    let mut done = false;
    let mut lines: Vec<String> = Vec::new();
    for line in text.lines() {
        inside |= line.trim() == table;
        if inside && !done && line.trim_start().starts_with(key) {
            lines.push(format!("{key} = {value}"));
            done = true;
        } else {
            lines.push(line.to_owned());
        }
    }
    if !done {
        let at = lines.iter().position(|line| line.trim() == table).expect("the table");
        lines.insert(at + 1, format!("{key} = {value}"));
    }
    lines.join("\n") + "\n"
}

#[test]
fn a_missing_mail_folder() {
    let spoil = |text: &str| set(text, "[[server]]", "mail", "\"gone\"");
    check(31, "auto", spoil, 65, &["site.toml:", "gone", "fix:"]);
}

#[test]
fn a_mailbox_named_twice() {
    let spoil = |text: &str| {
        let extra = "\n[[mailbox]]\nname = \"twin\"\nserver = \"EX1\"\n";
        format!("{text}{extra}{extra}")
    };
    check(32, "auto", spoil, 65, &["site.toml:", "twin", "fix:"]);
}

#[test]
fn an_unknown_server() {
    let spoil =
        |text: &str| format!("{text}\n[[mailbox]]\nname = \"lost\"\nserver = \"NOWHERE\"\n");
    check(33, "auto", spoil, 65, &["site.toml:", "NOWHERE", "fix:"]);
}

#[test]
fn two_service_accounts_that_differ() {
    let spoil = |text: &str| set(text, "[cluster]", "service_account", "\"EXAMPLE\\\\other\"");
    let words = ["site.toml:", "account", "fix:"];
    check(34, "move-users", spoil, 2, &words);
    check(35, "disaster-recovery", spoil, 2, &words);
}

#[test]
fn a_network_name_that_is_not_the_old_servers() {
    let spoil = |text: &str| set(text, "[cluster.group]", "network_name", "\"OTHER\"");
    check(36, "disaster-recovery", spoil, 2, &["site.toml:", "OTHER", "fix:"]);
}

#[test]
fn a_site_file_with_a_typo() {
    let spoil = |text: &str| text.replacen("service_account", "servise_account", 1);
    check(37, "auto", spoil, 65, &["site.toml:", "servise_account", "service_account"]);
}

#[test]
fn a_folder_that_is_no_site() {
    let scratch = tempfile::tempdir().expect("a scratch folder");
    let folder = scratch.path().display().to_string();
    let refused = run(REHOME, &["migrate", &folder]);
    assert_eq!(refused.code, Some(65), "{refused:?}");
    assert!(tree(scratch.path()).is_empty());
}

#[test]
fn a_command_line_with_a_typo() {
    let refused = run(REHOME, &["migrat"]);
    assert_eq!(refused.code, Some(64), "{refused:?}");
}

/// Plans a sample whose site file was spoiled; returns the exit code and what was said.
#[track_caller]
fn planned(spoil: impl Fn(&str) -> String) -> (Option<i32>, String) {
    let scratch = tempfile::tempdir().expect("a scratch folder");
    let site = sample(scratch.path(), 38, 3, 4);
    let file = Path::new(&site).join("site.toml");
    let text = std::fs::read_to_string(&file).expect("a site.toml");
    std::fs::write(&file, spoil(&text)).expect("writable");
    let work = scratch.path().join("work").display().to_string();
    let made = run(REHOME, &["plan", &site, "--work", &work, "--json"]);
    let said = format!("{}{}", made.stderr, made.stdout);
    (made.code, said)
}

#[test]
fn a_target_disk_that_is_too_small_by_one_byte() {
    let with = |bytes: u64| {
        planned(move |text| set(text, "[cluster.group]", "free", &format!("\"{bytes}B\"")))
    };
    let (code, said) = with(1);
    assert_eq!(code, Some(2), "{said}");
    let need = said.split(" bytes free and ").nth(1).and_then(|rest| rest.split(' ').next());
    let need: u64 = need.and_then(|digits| digits.parse().ok()).expect("what is needed is said");
    let (code, said) = with(need - 1);
    assert_eq!(code, Some(2), "{said}");
    for word in ["site.toml:", "target-has-room", "^^^", "fix:", &need.to_string()] {
        assert!(said.contains(word), "no {word:?} in {said}");
    }
    assert_eq!(with(need).0, Some(0), "one byte more is enough");
}

#[test]
fn windows_that_cannot_hold_the_mail() {
    let window = "\n[[window]]\nname = \"short\"\ndays = \"Mon\"\nfrom = \"22:00\"\n\
                  until = \"22:01\"\nfirst = \"2999-12-01\"\nlast = \"2999-12-31\"\n\
                  utc_offset = \"+00:00\"\n";
    let spoil = |text: &str| set(&format!("{text}{window}"), "[route]", "choose", "\"move-users\"");
    let (code, said) = planned(spoil);
    assert_eq!(code, Some(2), "{said}");
    for word in ["site.toml:", "window-too-short", "^^^", "fix:"] {
        assert!(said.contains(word), "no {word:?} in {said}");
    }
    let (code, said) = planned(|text| format!("{text}{}", window.replace("+00:00", "")));
    assert_eq!(code, Some(65), "a window without a zone is refused: {said}");
}

#[test]
fn what_only_an_export_can_be_asked_for_is_refused_for_mail() {
    let scratch = tempfile::tempdir().expect("a scratch folder");
    let site = sample(scratch.path(), 40, 3, 4);
    let before = tree(scratch.path());
    for option in [&["--server", "EX2"][..], &["--all-servers"], &["--encoding", "latin1"]] {
        let refused = run(REHOME, &[&["plan", &site][..], option].concat());
        assert_eq!(refused.code, Some(65), "{refused:?}");
        assert!(refused.stderr.contains(option[0]), "{refused:?}");
    }
    let both = run(REHOME, &["plan", &site, "--what-if", "lose=N2", "--output", "plan.json"]);
    assert_eq!(both.code, Some(64), "{both:?}");
    assert_eq!(tree(scratch.path()), before, "something was written or changed");
}

#[test]
fn what_would_be_otherwise_is_said_and_nothing_written() {
    let scratch = tempfile::tempdir().expect("a scratch folder");
    let site = sample(scratch.path(), 39, 3, 4);
    let before = tree(scratch.path());
    let what_if = |supposition: &str| run(REHOME, &["plan", &site, "--what-if", supposition]);
    let lost = what_if("second_server=false");
    assert_eq!(lost.code, Some(0), "{lost:?}");
    assert!(lost.stdout.contains("disaster-recovery now"), "{lost:?}");
    assert_eq!(what_if("lose=N2").code, Some(2), "one node is no cluster");
    assert_eq!(what_if("weather=fine").code, Some(65));
    assert_eq!(tree(scratch.path()), before, "something was written or changed");
}
