//! With `--json` standard output is for the next program alone, also when a command is refused.

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

/// A folder of one test, empty at its beginning.
fn scratch(test: &str) -> PathBuf {
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(test);
    if path.exists() {
        std::fs::remove_dir_all(&path).expect("the folder of an earlier run");
    }
    std::fs::create_dir_all(&path).expect("a writable folder");
    path
}

fn rehome(folder: &Path, args: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_rehome"));
    command.args(args).arg("--json").current_dir(folder).stdin(Stdio::null());
    command.output().expect("the program starts")
}

/// Runs a command with `--json` and expects this exit code, JSON lines on standard output, and
/// words for people on standard error if it was refused.
#[track_caller]
fn check(folder: &Path, args: &[&str], code: i32) {
    let output = rehome(folder, args);
    let (out, err) = (text(&output.stdout), text(&output.stderr));
    assert_eq!(output.status.code(), Some(code), "{args:?}: {err}");
    for line in out.lines() {
        let parsed = serde_json::from_str::<serde_json::Value>(line);
        assert!(parsed.is_ok(), "{args:?}: no JSON: {line}");
    }
    assert_eq!(out.is_empty(), code == 65, "{args:?}: {out}");
    assert_eq!(err.starts_with("rehome: "), code != 0, "{args:?}: {err}");
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).expect("text")
}

#[test]
fn every_answer_on_standard_output_is_json() {
    let folder = scratch("json");
    check(&folder, &["sample", "site", "--mailboxes", "2", "--messages", "3"], 0);
    check(&folder, &["plan", "site"], 0);
    check(&folder, &["check", "site/rehome-work/plan.json"], 0);
    check(&folder, &["status", "site/rehome-work"], 0);
    check(&folder, &["report", "site/rehome-work"], 0);
    check(&folder, &["import", "site/mail", "--store", "store"], 0);
    check(&folder, &["store", "info", "store"], 0);
    check(&folder, &["store", "check", "store"], 0);
    check(&folder, &["store", "scrub", "store", "--since-days", "1"], 0);
    check(&folder, &["store", "digest", "store"], 0);
    check(&folder, &["export", "--store", "store", "--to", "trees"], 0);
    check(&folder, &["digest", "--maildir", "trees"], 0);
    check(&folder, &["export", "--store", "store", "--to", "out", "--format", "mbox"], 0);
    check(&folder, &["backup", "--store", "store", "--to", "set"], 0);
    check(&folder, &["archive", "list", "set"], 0);
    check(&folder, &["archive", "check", "set", "--deep"], 0);
    check(&folder, &["restore", "--from", "set", "--store", "again", "--dry-run"], 0);
    check(&folder, &["restore", "--from", "set", "--store", "again"], 0);
    check(&folder, &["archive", "extract", "set", "--to", "mail"], 0);
    let moved = ["move", "--from", "store", "--to", "other", "--all", "--pause-when", "load>9999"];
    check(&folder, &moved, 0);
    check(&folder, &["store", "tune", "other", "--dry-run"], 0);
}

#[test]
fn a_refusal_is_told_on_standard_error_and_leaves_nothing_behind() {
    let folder = scratch("refused");
    std::fs::create_dir(folder.join("mine")).expect("writable");
    std::fs::write(folder.join("mine/letter"), "precious").expect("writable");
    check(&folder, &["sample", "mine"], 65);
    check(&folder, &["import", "nowhere", "--store", "store"], 65);
    check(&folder, &["import", "mine/letter", "nowhere", "--store", "store"], 65);
    check(&folder, &["export", "--store", "store", "--to", "out"], 65);
    check(&folder, &["store", "info", "mine"], 65);
    check(&folder, &["store", "scrub", "mine"], 65);
    check(&folder, &["store", "digest", "mine"], 65);
    check(&folder, &["store", "tune", "mine"], 65);
    check(&folder, &["digest", "--maildir", "mine"], 65);
    check(&folder, &["archive", "list", "mine"], 65);
    check(&folder, &["restore", "--from", "mine", "--store", "store"], 65);
    check(&folder, &["move", "--from", "mine", "--to", "store", "--all"], 65);
    check(&folder, &["plan", "mine"], 65);
    check(&folder, &["status", "mine"], 65);
    let names = std::fs::read_dir(&folder).expect("readable").count();
    assert_eq!(names, 1, "something was made");
    assert_eq!(std::fs::read_dir(folder.join("mine")).expect("readable").count(), 1);
}
