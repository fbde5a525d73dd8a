//! Looking after stores: digests of all copies of a mailbox, moves that rest, repair.

use std::path::Path;
use std::process::{Command, Stdio};

use rehome_tests::{Run, run};
use serde_json::Value;

use crate::{REHOME, sample};

/// Runs the program and expects success.
#[track_caller]
fn whole(args: &[&str]) -> Run {
    let done = run(REHOME, args);
    assert_eq!(done.code, Some(0), "{args:?}: {done:?}");
    done
}

/// Imports a sample into `store`; returns the paths of `store` and `other`, which is not made.
fn stores(scratch: &Path, test: u8) -> (String, String) {
    let site = sample(scratch, test, 3, 30);
    let path = |name: &str| scratch.join(name).display().to_string();
    whole(&["import", &format!("{site}/mail"), "--store", &path("store")]);
    (path("store"), path("other"))
}

fn digests(args: &[&str]) -> Value {
    whole(&[args, &["--json"]].concat()).json()["mailboxes"].take()
}

#[test]
fn a_moved_mailbox_its_source_and_its_export_have_one_digest() {
    let scratch = tempfile::tempdir().expect("a scratch folder");
    let (store, other) = stores(scratch.path(), 41);
    let before = digests(&["store", "digest", &store]);
    let moved = whole(&["move", "--from", &store, "--to", &other, "--all", "--json"]).json();
    let out = scratch.path().join("out").display().to_string();
    whole(&["export", "--store", &other, "--to", &out]);
    assert_eq!(before.as_object().expect("mailboxes").len(), 3);
    assert_eq!(digests(&["store", "digest", &store]), before, "the source's copy");
    assert_eq!(digests(&["store", "digest", &other]), before, "the target");
    assert_eq!(digests(&["digest", "--maildir", &out]), before, "the export");
    for (name, digest) in before.as_object().expect("mailboxes") {
        assert_eq!(moved["digest_by_mailbox"][name], digest["digest"], "{name}");
    }
}

#[test]
fn a_move_rests_while_its_condition_holds_and_goes_on_by_itself() {
    let scratch = tempfile::tempdir().expect("a scratch folder");
    let (store, other) = stores(scratch.path(), 42);
    let stop = scratch.path().join("stop");
    std::fs::write(&stop, "").expect("writable");
    let condition = format!("file:{}", stop.display());
    let args = ["move", "--from", &store, "--to", &other, "--all", "--json"];
    let mut child = Command::new(REHOME)
        .args([&args[..], &["--pause-when", &condition]].concat())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .expect("the program starts");
    let stdout = child.stdout.take().expect("a pipe");
    let mut lines = std::io::BufRead::lines(std::io::BufReader::new(stdout));
    let mut next = || lines.next().expect("the program goes on").expect("text");
    // It says what holds, more than once, and carries nothing.
    for _ in 0..2 {
        let line = next();
        assert!(line.contains("resting") && line.contains(&condition), "{line}");
    }
    std::fs::remove_file(&stop).expect("it is there");
    let last = lines.last().expect("a summary").expect("text");
    let summary: Value = serde_json::from_str(&last).expect("JSON");
    assert_eq!(summary["verified"], true, "{summary}");
    assert_eq!(summary["messages"]["lost"], 0, "{summary}");
    assert_eq!(child.wait().expect("a child").code(), Some(0));
}

#[test]
fn a_condition_that_is_none_is_refused_with_the_forms_there_are() {
    let args = ["move", "--from", "a", "--to", "b", "--all", "--pause-when", "moon>1"];
    let refused = run(REHOME, &args);
    assert_eq!(refused.code, Some(64), "{refused:?}");
    assert!(refused.stderr.contains("disk-free<5GiB"), "{refused:?}");
}

#[test]
fn what_a_scrub_finds_is_repaired_from_another_store() {
    let scratch = tempfile::tempdir().expect("a scratch folder");
    let (store, other) = stores(scratch.path(), 43);
    whole(&["move", "--from", &store, "--to", &other, "--all"]);
    let segment = Path::new(&other).join("seg/s00000001.seg");
    let mut bytes = std::fs::read(&segment).expect("a segment");
    let end = bytes.len() * 2 / 3;
    let at = bytes[..end].windows(9).rposition(|nine| nine == b"\nSubject:").expect("a message");
    bytes[at + 2] ^= 1;
    std::fs::write(&segment, bytes).expect("writable");
    let args = ["store", "scrub", &other, "--rate", "1GB/s", "--json"];
    let found = run(REHOME, &args);
    assert_eq!(found.code, Some(6), "{found:?}");
    assert!(found.stderr.contains("--repair-from"), "{found:?}");
    let document = found.json();
    assert_eq!(document["damaged"].as_array().expect("a list").len(), 1, "{document}");
    let named = document["messages"].as_array().expect("a list");
    assert!(!named.is_empty() && named[0]["uid"].is_number(), "{document}");
    whole(&[&args[..], &["--repair-from", &store]].concat());
    whole(&["store", "check", &other]);
}
