//! Moments between backups come back: whole stores, and what is wanted of one.

use std::path::{Path, PathBuf};

use rehome_archive::BackupKind;
use rehome_log::Lsn;
use rehome_store::{Flags, FolderName, OpenOptions, Store, Uid};

use crate::error::Error;
use crate::jobs::restore::{RestoreRequest, RestoreTo, restore};
use crate::jobs::{
    ExportFormat, archive_check, archive_drill, archive_expire, archive_list, archive_log,
    archive_salvage, backup, store_check,
};
use crate::testing::{append, image, letter, mailbox, quiet, rich_store};

/// What two mailboxes show, and the LSN and time of it.
struct Moment {
    lsn: Lsn,
    time: String,
    seen: Vec<Vec<String>>,
}

fn seen(store: &Store) -> Vec<Vec<String>> {
    ["alice", "bob"].iter().map(|name| image(store, name)).collect()
}

/// Changes a store and says what it shows then.
fn change(root: &Path, change: impl FnOnce(&Store)) -> Moment {
    let store = Store::open_at(&root.join("store"), OpenOptions::default()).expect("a store");
    change(&store);
    let (lsn, seen) = (store.lsn(), seen(&store));
    store.close().expect("durable");
    Moment { lsn, time: chrono::Utc::now().to_rfc3339(), seen }
}

fn archive(root: &Path) {
    archive_log(&root.join("store"), &root.join("set"), &[], &mut quiet).expect("room");
}

/// A set with a base and three moments after it, in a segment each.
fn moments(root: &Path) -> Vec<Moment> {
    rich_store(&root.join("store")).close().expect("durable");
    archive(root);
    let mut moments = Vec::new();
    moments.push(change(root, |store| {
        let alice = store.mailbox(&mailbox("alice")).expect("readable").expect("there").id;
        append(store, (alice, "INBOX"), &letter("later"), Flags::SEEN);
    }));
    archive(root);
    moments.push(change(root, |store| {
        let bob = store.mailbox(&mailbox("bob")).expect("readable").expect("there").id;
        let inbox = store.folder(bob, &FolderName::inbox()).expect("readable").expect("there").id;
        let all = store.messages(bob, inbox, Uid(0), usize::MAX).expect("readable");
        let uids: Vec<Uid> = all.iter().map(|one| one.uid).collect();
        store.expunge(bob, inbox, &uids).expect("there");
    }));
    archive(root);
    moments.push(change(root, |store| {
        let bob = store.mailbox(&mailbox("bob")).expect("readable").expect("there").id;
        append(store, (bob, "INBOX"), &letter("last"), Flags::NONE);
    }));
    archive(root);
    moments
}

fn request(root: &Path, until: &str, to: RestoreTo) -> RestoreRequest {
    let until = Some(until.to_owned());
    RestoreRequest { until, ..RestoreRequest::whole(root.join("set"), to) }
}

fn to_store(root: &Path, name: &str) -> (PathBuf, RestoreTo) {
    let path = root.join(name);
    (path.clone(), RestoreTo::Store(path))
}

#[track_caller]
fn check(path: &Path, expected: &[Vec<String>]) {
    let store = Store::open_at(path, OpenOptions::default()).expect("a store");
    assert_eq!(seen(&store), expected);
    store.close().expect("durable");
    store_check(path, &mut quiet).expect("readable").verdict().expect("undamaged");
}

#[test]
fn a_store_comes_back_at_an_lsn_a_time_and_the_end() {
    let scratch = tempfile::tempdir().expect("a scratch folder");
    let root = scratch.path();
    let moments = moments(root);
    for (number, moment) in moments.iter().enumerate() {
        for (word, until) in [("lsn", moment.lsn.to_string()), ("time", moment.time.clone())] {
            let (path, to) = to_store(root, &format!("{word}-{number}"));
            restore(&request(root, &until, to), &mut quiet).expect("an intact set");
            check(&path, &moment.seen);
        }
    }
    let (path, to) = to_store(root, "latest");
    restore(&RestoreRequest::whole(root.join("set"), to), &mut quiet).expect("an intact set");
    check(&path, &moments[2].seen);
    let refused = restore(
        &request(root, &moments[0].lsn.to_string(), RestoreTo::Store(path.clone())),
        &mut quiet,
    );
    assert!(matches!(refused, Err(Error::BadInput { .. })), "it is not empty");
    check(&path, &moments[2].seen);
    let refused =
        archive_log(&path, &root.join("set"), &[], &mut quiet).expect_err("another store");
    assert!(refused.to_string().contains("a set of its own"), "{refused}");
    let late = request(root, "2040-01-01T00:00:00Z", RestoreTo::Store(root.join("late")));
    let report = restore(&late, &mut quiet).expect("the log as far as it goes");
    assert!(report.to_string().contains("is NOT there"), "{report}");
}

/// The texts of all files below a folder.
fn texts_below(root: &Path) -> Vec<String> {
    let mut texts = Vec::new();
    for entry in std::fs::read_dir(root).expect("readable") {
        let path = entry.expect("readable").path();
        if path.is_dir() {
            texts.extend(texts_below(&path));
        } else {
            texts.extend(std::fs::read_to_string(&path));
        }
    }
    texts
}

#[test]
fn a_mailbox_a_folder_and_a_message_come_back_at_a_moment_as_store_or_files() {
    let scratch = tempfile::tempdir().expect("a scratch folder");
    let root = scratch.path();
    let moments = moments(root);
    let until = moments[0].lsn.to_string();
    let of_bob =
        |to| RestoreRequest { mailbox: Some("bob".to_owned()), ..request(root, &until, to) };
    let (path, to) = to_store(root, "bob");
    let report = restore(&of_bob(to), &mut quiet).expect("an intact set");
    assert_eq!(report.document["amount"]["mailboxes"], 1, "{report}");
    let store = Store::open_at(&path, OpenOptions::default()).expect("a store");
    assert_eq!(image(&store, "bob")[1..], moments[0].seen[1][1..], "before it was expunged");
    store.close().expect("durable");
    let files = RestoreTo::Files(root.join("maildir"), ExportFormat::Maildir);
    restore(&of_bob(files), &mut quiet).expect("an intact set");
    let in_inbox = |text: &String| text.contains("This is bob.");
    assert_eq!(texts_below(&root.join("maildir")).iter().filter(|text| in_inbox(text)).count(), 1);
    let files = RestoreTo::Files(root.join("mbox"), ExportFormat::Mbox);
    let one =
        RestoreRequest { folder: Some("INBOX".to_owned()), message: Some(2), ..of_bob(files) };
    let report = restore(&one, &mut quiet).expect("an intact set");
    assert_eq!(report.document["amount"]["messages"], 1, "{report}");
    let gone = RestoreRequest { until: Some(moments[1].lsn.to_string()), ..one };
    let to = RestoreTo::Files(root.join("gone"), ExportFormat::Mbox);
    let refused = restore(&RestoreRequest { to, ..gone }, &mut quiet).expect_err("expunged");
    assert!(matches!(refused, Error::BadInput { .. }), "{refused}");
    let mut left: Vec<_> = std::fs::read_dir(root).expect("readable").flatten().collect();
    left.retain(|entry| entry.file_name().to_string_lossy().contains('.'));
    assert!(left.is_empty(), "passing stores are gone: {left:?}");
}

#[test]
fn what_is_missing_is_told_before_anything_is_touched() {
    let scratch = tempfile::tempdir().expect("a scratch folder");
    let root = scratch.path();
    let moments = moments(root);
    let logs = std::fs::read_dir(root.join("set/log")).expect("a log");
    let mut logs: Vec<PathBuf> = logs.map(|entry| entry.expect("readable").path()).collect();
    logs.sort();
    std::fs::remove_file(&logs[1]).expect("removable");
    // Nobody knows whether a time behind the last record before the gap is not in the gap.
    for (moment, lsn_is_there) in [(0, true), (1, false), (2, false)] {
        for (until, is_there) in
            [(moments[moment].lsn.to_string(), lsn_is_there), (moments[moment].time.clone(), false)]
        {
            let (path, to) = to_store(root, "again");
            let wanted = request(root, &until, to);
            let dry = RestoreRequest { dry_run: true, ..wanted.clone() };
            let told = restore(&dry, &mut quiet).expect("a plan");
            assert_eq!(told.verdict().is_ok(), is_there, "{told}");
            assert_eq!(told.to_string().contains("GAP: no log from"), !is_there, "{told}");
            assert!(told.to_string().contains(".mlog"), "{told}");
            assert!(!path.exists());
            if is_there {
                continue;
            }
            let refused = restore(&wanted, &mut quiet).expect_err("a gap").to_string();
            assert!(refused.contains("needs the log from"), "{refused}");
            assert!(!path.exists() && !root.join("set/lease").exists());
        }
    }
    let checked = archive_check(&root.join("set"), true, false, &mut quiet).expect("readable");
    assert!(checked.to_string().contains("cannot be reached"), "{checked}");
    checked.verdict().expect_err("a part of the log is missing");
}

#[test]
fn list_check_drill_salvage_and_expire_know_the_log() {
    let scratch = tempfile::tempdir().expect("a scratch folder");
    let root = scratch.path();
    let moments = moments(root);
    let set = root.join("set");
    let listed = archive_list(&set).expect("readable").to_string();
    assert!(listed.contains("log can follow") && listed.contains("3 segments"), "{listed}");
    let checked = archive_check(&set, true, false, &mut quiet).expect("readable");
    checked.verdict().expect("whole");
    let drill = archive_drill(&set, &root.join("drill"), &mut quiet).expect("restorable");
    drill.verdict().expect("as the outlines say");
    assert!(drill.to_string().contains("with the log up to"), "{drill}");
    let salvaged = archive_salvage(&set, None, &root.join("mail"), &mut quiet).expect("readable");
    salvaged.verdict().expect("whole");
    let told = archive_expire(&set, 1, true).expect("a plan");
    assert_eq!(told.document["plan"]["logs"].as_array().map(Vec::len), Some(0), "{told}");
    // A new full backup takes over: what was before it goes, and the log behind it stays of use.
    backup(&root.join("store"), &set, BackupKind::Full, &mut quiet).expect("room");
    let last = change(root, |store| {
        let bob = store.mailbox(&mailbox("bob")).expect("readable").expect("there").id;
        append(store, (bob, "INBOX"), &letter("after the second base"), Flags::NONE);
    });
    archive(root);
    let done = archive_expire(&set, 1, false).expect("nobody reads");
    assert_eq!(done.document["plan"]["backups"].as_array().map(Vec::len), Some(1), "{done}");
    let (path, to) = to_store(root, "after");
    restore(&request(root, &last.lsn.to_string(), to), &mut quiet).expect("base and log");
    check(&path, &last.seen);
    let early = request(root, &moments[0].lsn.to_string(), RestoreTo::Store(root.join("no")));
    restore(&early, &mut quiet).expect_err("it has expired");
}
