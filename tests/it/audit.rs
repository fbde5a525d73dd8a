//! The record of a finished migration, beside what is there later.

use std::path::{Path, PathBuf};

use rehome::parts::store::{FlagChange, Flags, FolderName};
use rehome_tests::cluster::{Nodes, named};
use rehome_tests::{Run, run, tree};
use serde_json::Value;

use crate::{REHOME, sample};

const STORE: &str = "cluster/shared/store";

/// A finished migration of three mailboxes.
fn migrated(test: u8) -> (tempfile::TempDir, PathBuf) {
    let scratch = tempfile::tempdir().expect("a scratch folder");
    let site = sample(scratch.path(), test, 3, 12);
    let work = scratch.path().join("work");
    let shown = work.display().to_string();
    let done = run(REHOME, &["migrate", &site, "--work", &shown, "--confirm", "all", "--traffic"]);
    assert_eq!(done.code, Some(0), "{done:?}");
    assert!(done.stdout.contains("whose digest is"), "{done:?}");
    (scratch, work)
}

#[track_caller]
fn audit(work: &Path, more: &[&str], code: i32) -> Run {
    let work = work.display().to_string();
    let found = run(REHOME, &[&["audit", &work, "--json"], more].concat());
    assert_eq!(found.code, Some(code), "{found:?}");
    found
}

#[track_caller]
fn counts(found: &Value, expected: [u64; 3]) {
    let found_of = |key: &str| found[key].as_u64().expect("a count");
    let counts = [found_of("equal"), found_of("changed"), found_of("differing")];
    assert_eq!(counts, expected, "{found}");
}

#[test]
fn what_users_do_later_is_told_from_what_is_missing() {
    let (scratch, work) = migrated(71);
    // The three mailboxes, and the public folders if there are any.
    let first = audit(&work, &[], 0).json();
    let all = first["equal"].as_u64().expect("a count");
    counts(&first, [all, 0, 0]);
    assert!(all >= 3, "{first}");
    let out = scratch.path().join("out").display().to_string();
    let store = work.join(STORE).display().to_string();
    assert_eq!(run(REHOME, &["export", "--store", &store, "--to", &out]).code, Some(0));
    counts(&audit(&work, &["--maildir", &out], 0).json(), [all, 0, 0]);
    let nodes = Nodes::start(REHOME, &work, &["N1", "N2"]);
    let (mut user, inbox) = (nodes.user("EXCL1", "alice"), FolderName::inbox());
    user.logon().expect("online");
    let messages = user.messages(&inbox).expect("mail");
    user.deliver(b"Subject: years later\r\n\r\nstill here\r\n").expect("delivered");
    let change = FlagChange { add: Flags::FLAGGED, ..FlagChange::default() };
    user.flags(&inbox, messages[0].uid, &change).expect("flags");
    let gone = vec![messages[1].uid];
    let name = named("alice");
    assert_eq!(nodes.store("EXCL1").expunge(&name, &inbox, gone.clone()).expect("deleted"), gone);
    let live = audit(&work, &[], 0).json();
    assert!(live["against"].as_str().is_some_and(|place| place.contains("EXCL1")), "{live}");
    drop(nodes);
    let rests = audit(&work, &["--store", &store], 0).json();
    assert_eq!(live["mailboxes"], rests["mailboxes"], "the same over the network and on disk");
    counts(&rests, [all - 1, 1, 0]);
    let alice = &rests["mailboxes"]["alice"];
    assert_eq!(alice["state"], "changed since", "{alice}");
    for count in ["came_since", "marked_since", "removed_since"] {
        assert_eq!(alice[count], 1, "{count}: {alice}");
    }
    assert_eq!(alice["same"], alice["then"].as_u64().expect("a count") - 2, "{alice}");
}

#[test]
fn what_is_damaged_or_gone_is_found_and_so_is_a_record_that_was_changed() {
    let (_scratch, work) = migrated(72);
    let store = work.join(STORE);
    let whole = tree(&store);
    // Every content of the largest segment gets a wrong byte.
    let segments = whole.iter().filter(|(path, _)| path.starts_with("seg"));
    let (path, bytes) = segments.max_by_key(|(_, bytes)| bytes.len()).expect("a segment");
    let mut damaged = bytes.clone();
    damaged.iter_mut().skip(300).step_by(500).for_each(|byte| *byte ^= 0x10);
    std::fs::write(store.join(path), damaged).expect("writable");
    let found = audit(&work, &[], 6);
    assert!(found.stderr.contains("are not what the migration left"), "{found:?}");
    assert!(found.json()["differing"].as_u64().is_some_and(|count| count > 0), "{found:?}");
    std::fs::write(store.join(path), bytes).expect("writable");
    audit(&work, &[], 0);
    let lines = work.join("proof/000000.lines");
    let text = std::fs::read_to_string(&lines).expect("lines");
    std::fs::write(&lines, text.replacen(" S ", " - ", 1)).expect("writable");
    let changed = audit(&work, &[], 65);
    assert!(changed.stderr.contains("the record itself has changed"), "{changed:?}");
    std::fs::remove_dir_all(work.join("proof")).expect("it is there");
    let none = audit(&work, &[], 65);
    assert!(none.stderr.contains("written when a migration has come to its end"), "{none:?}");
}
