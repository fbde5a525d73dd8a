//! A backup goes through a pipe: standard output carries it and nothing else.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

/// A folder of one test with a small store in `store`.
fn scratch(test: &str) -> PathBuf {
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(test);
    if path.exists() {
        std::fs::remove_dir_all(&path).expect("the folder of an earlier run");
    }
    std::fs::create_dir_all(&path).expect("a writable folder");
    check(&path, &["sample", "site", "--mailboxes", "3", "--messages", "5"], b"", 0);
    check(&path, &["import", "site/mail", "--store", "store"], b"", 0);
    path
}

/// Runs the program with `input` on standard input and expects this exit code.
#[track_caller]
fn check(folder: &Path, args: &[&str], input: &[u8], code: i32) -> Output {
    let from = folder.join("input");
    std::fs::write(&from, input).expect("writable");
    let mut command = Command::new(env!("CARGO_BIN_EXE_rehome"));
    command.args(args).current_dir(folder);
    command.stdin(std::fs::File::open(&from).expect("just written"));
    let output = command.output().expect("the program starts");
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "{args:?}: {said}");
    output
}

/// The messages of a store.
fn messages(folder: &Path, store: &str) -> BTreeSet<Vec<u8>> {
    let out = format!("{store}-messages");
    check(folder, &["export", "--store", store, "--to", &out, "--format", "eml"], b"", 0);
    let (mut found, mut folders) = (BTreeSet::new(), vec![folder.join(out)]);
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).expect("readable") {
            let path = entry.expect("readable").path();
            if path.is_dir() {
                folders.push(path);
            } else {
                found.insert(std::fs::read(&path).expect("readable"));
            }
        }
    }
    assert!(!found.is_empty(), "{store} has no messages");
    found
}

#[test]
fn a_backup_in_a_pipe_is_checked_restored_and_unpacked() {
    let folder = scratch("pipe");
    let pipe = check(&folder, &["backup", "--store", "store", "--to", "-"], b"", 0).stdout;
    let said = check(&folder, &["backup", "--store", "store", "--to", "-", "--json"], b"", 0);
    assert!(said.stdout.starts_with(b"MBARPIP1"), "standard output is not the backup alone");
    let last = String::from_utf8(said.stderr).expect("text");
    let last = last.lines().last().expect("an answer");
    assert!(serde_json::from_str::<serde_json::Value>(last).is_ok(), "{last}");
    check(&folder, &["archive", "check", "-"], &pipe, 0);
    check(&folder, &["archive", "check", "-", "--deep"], &pipe, 0);
    check(&folder, &["restore", "--from", "-", "--store", "dry", "--dry-run"], &pipe, 0);
    assert!(!folder.join("dry").exists());
    check(&folder, &["restore", "--from", "-", "--store", "again"], &pipe, 0);
    check(&folder, &["store", "check", "again"], b"", 0);
    let messages_before = messages(&folder, "store");
    assert_eq!(messages(&folder, "again"), messages_before);
    check(&folder, &["archive", "unpack", "-", "--to", "set"], &pipe, 0);
    check(&folder, &["archive", "check", "set", "--deep"], b"", 0);
    check(&folder, &["restore", "--from", "set", "--store", "third"], b"", 0);
    assert_eq!(messages(&folder, "third"), messages_before);
}

#[test]
fn a_pipe_that_is_cut_or_damaged_restores_nothing() {
    let folder = scratch("cut");
    let pipe = check(&folder, &["backup", "--store", "store", "--to", "-"], b"", 0).stdout;
    let restore = ["restore", "--from", "-", "--store", "again"];
    let unpack = ["archive", "unpack", "-", "--to", "set"];
    let mut flipped = pipe.clone();
    let middle = flipped.len() / 2;
    flipped[middle] ^= 1;
    for bad in [&pipe[..pipe.len() - 1], &pipe[..pipe.len() / 2], &flipped] {
        check(&folder, &["archive", "check", "-"], bad, 6);
        check(&folder, &restore, bad, 9);
        check(&folder, &unpack, bad, 9);
        assert!(!folder.join("again").exists(), "something was restored");
        assert!(!folder.join("again.restoring").exists(), "something was left");
    }
    check(&folder, &restore, b"", 65);
    check(&folder, &restore, b"From alice\n", 65);
    check(
        &folder,
        &["archive", "check", "-"],
        b"From alice\nFrom bob\nFrom carol and david, \
        who write letters that are longer than a header\n",
        65,
    );
    check(&folder, &unpack, &pipe, 0);
    check(&folder, &["archive", "check", "set", "--deep"], b"", 0);
}

#[test]
fn what_a_pipe_cannot_do_is_refused_and_nothing_is_made() {
    let folder = scratch("refused");
    let kind = |kind| ["backup", "--store", "store", "--to", "-", "--kind", kind];
    for of_changes in ["incremental", "differential"] {
        let out = check(&folder, &kind(of_changes), b"", 65);
        assert!(out.stdout.is_empty(), "something was written");
    }
    let pipe = check(&folder, &kind("copy"), b"", 0).stdout;
    let until = ["--until", "2026-11-26T08:30:00Z"];
    let restore = [&["restore", "--from", "-", "--store", "again"][..], &until].concat();
    check(&folder, &restore, &pipe, 65);
    check(&folder, &["archive", "check", "-", "--repair"], &pipe, 65);
    assert!(!folder.join("again").exists());
    let mail = ["restore", "--from", "-", "--to-maildir", "mail"];
    check(&folder, &mail, &pipe, 0);
    assert!(folder.join("mail").read_dir().expect("mail").next().is_some());
}

#[test]
fn a_reader_that_goes_away_ends_the_backup_with_an_error() {
    let folder = scratch("gone");
    let mut command = Command::new(env!("CARGO_BIN_EXE_rehome"));
    command.args(["backup", "--store", "store", "--to", "-"]).current_dir(&folder);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("starts");
    drop(child.stdout.take());
    let output = child.wait_with_output().expect("it ends");
    assert_eq!(output.status.code(), Some(9), "{}", String::from_utf8_lossy(&output.stderr));
}
