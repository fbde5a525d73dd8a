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
