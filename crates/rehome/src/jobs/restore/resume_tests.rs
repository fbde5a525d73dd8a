//! A restore that was stopped anywhere goes on with the same command, and with no other one.

use std::path::{Path, PathBuf};

use rehome_archive::BackupKind;
use rehome_store::{Flags, MailboxState, OpenOptions, Store};

use super::{RestoreRequest, RestoreTo, restore};
use crate::error::Error;
use crate::event::{Event, Flow};
use crate::jobs::{
    ExportFormat, archive_log, backup, maildir_digest, restore_from_pipe, store_digest,
};
use crate::report::JobReport;
use crate::testing::{append, letter, mailbox, quiet, rich_store};

/// A set with a base and log after it; the store has had more since.
fn scene(root: &Path) {
    rich_store(&root.join("store")).close().expect("durable");
    archive_log(&root.join("store"), &root.join("set"), &[], &mut quiet).expect("room");
    deliver(root, "in the log");
    archive_log(&root.join("store"), &root.join("set"), &[], &mut quiet).expect("room");
}

fn deliver(root: &Path, text: &str) {
    let store = Store::open_at(&root.join("store"), OpenOptions::default()).expect("a store");
    let alice = store.mailbox(&mailbox("alice")).expect("readable").expect("there").id;
    append(&store, (alice, "INBOX"), &letter(text), Flags::NONE);
    store.close().expect("durable");
}

/// Stops at the event with number `at`.
fn stopped_at(request: &RestoreRequest, at: usize) -> Result<JobReport, Error> {
    let mut heard = 0;
    restore(request, &mut |_| {
        heard += 1;
        if heard > at { Flow::Stop } else { Flow::Continue }
    })
}

fn digest(request: &RestoreRequest) -> String {
    match &request.to {
        RestoreTo::Store(place) => store_digest(place, &[]).expect("a store").text,
        RestoreTo::Files(place, _) => maildir_digest(place).expect("mail").text,
    }
}

/// What lies in `root` besides store, set and what was restored.
fn others(root: &Path, place: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(root).expect("readable");
    let mut all: Vec<PathBuf> = entries.map(|entry| entry.expect("readable").path()).collect();
    all.retain(|path| path != place && !path.ends_with("store") && !path.ends_with("set"));
    all
}

/// Stops `request` at each event, and goes on; returns in how many cases contents were there.
fn check(root: &Path, request: &RestoreRequest) -> usize {
    let place = request.to.place().to_owned();
    let whole = restore(request, &mut quiet).expect("an intact set");
    assert_eq!(whole.document["there_bytes"], 0, "{whole}");
    let expected = digest(request);
    let mut with_some = 0;
    for at in 0.. {
        std::fs::remove_dir_all(&place).expect("removable");
        match stopped_at(request, at) {
            Ok(_) => {
                std::fs::remove_dir_all(&place).expect("removable");
                return with_some;
            }
            Err(Error::Interrupted { .. }) => {}
            Err(other) => panic!("stopped at event {at}: {other}"),
        }
        assert!(!place.exists(), "event {at}");
        let mut told = false;
        let again = restore(request, &mut |event| {
            told |= matches!(event, Event::Note { text } if text.contains("there already"));
            Flow::Continue
        });
        let again = again.unwrap_or_else(|error| panic!("after event {at}: {error}"));
        assert_eq!(digest(request), expected, "event {at}");
        assert_eq!(again.document["amount"], whole.document["amount"], "event {at}");
        assert_eq!(others(root, &place), [] as [PathBuf; 0], "event {at}");
        let there_bytes = again.document["there_bytes"].as_u64().expect("a number");
        assert!(there_bytes > 0 || !told, "event {at}: {again}");
        with_some += usize::from(there_bytes > 0);
    }
    unreachable!("it ends")
}

fn whole(root: &Path, to: RestoreTo) -> RestoreRequest {
    RestoreRequest::whole(root.join("set"), to)
}

#[test]
fn the_same_command_goes_on_with_a_store() {
    let scratch = tempfile::tempdir().expect("a scratch folder");
    let root = scratch.path();
    scene(root);
    let request = whole(root, RestoreTo::Store(root.join("again")));
    assert!(check(root, &request) > 1);
    let of_alice = RestoreRequest { mailbox: Some("alice".to_owned()), ..request };
    assert!(check(root, &of_alice) > 1, "by way of a passing store");
    backup(&root.join("store"), &root.join("set"), BackupKind::Incremental, &mut quiet)
        .expect("room");
    assert!(check(root, &of_alice) > 1, "by its outlines");
}

#[test]
fn the_same_command_goes_on_with_files() {
    let scratch = tempfile::tempdir().expect("a scratch folder");
    let root = scratch.path();
    scene(root);
    let to = || RestoreTo::Files(root.join("mail"), ExportFormat::Maildir);
    assert!(check(root, &whole(root, to())) > 1, "by way of a passing store");
    backup(&root.join("store"), &root.join("set"), BackupKind::Incremental, &mut quiet)
        .expect("room");
    assert!(check(root, &whole(root, to())) > 1, "by its outlines");
}

#[test]
fn what_has_begun_ends_at_its_own_moment_while_the_set_grows() {
    let scratch = tempfile::tempdir().expect("a scratch folder");
    let root = scratch.path();
    scene(root);
    let request = whole(root, RestoreTo::Store(root.join("again")));
    let before = store_digest(&root.join("store"), &[]).expect("a store").text;
    stopped_at(&request, 2).expect_err("stopped");
    deliver(root, "later");
    archive_log(&root.join("store"), &root.join("set"), &[], &mut quiet).expect("room");
    restore(&request, &mut quiet).expect("the moment is still there");
    assert_eq!(digest(&request), before);
    std::fs::remove_dir_all(root.join("again")).expect("removable");
    restore(&request, &mut quiet).expect("the newest");
    assert_ne!(digest(&request), before);
}

#[test]
fn another_restore_does_not_go_on_with_what_was_begun() {
    let scratch = tempfile::tempdir().expect("a scratch folder");
    let root = scratch.path();
    scene(root);
    let other = Store::create_at(&root.join("store-2"), OpenOptions::default()).expect("new");
    other.create_mailbox(&mailbox("alice"), MailboxState::Active).expect("a new one");
    other.close().expect("durable");
    backup(&root.join("store-2"), &root.join("set-2"), BackupKind::Full, &mut quiet).expect("room");
    let begun = whole(root, RestoreTo::Store(root.join("again")));
    stopped_at(&begun, 2).expect_err("stopped");
    let before = others(root, &root.join("again"));
    let files = RestoreTo::Files(root.join("again"), ExportFormat::Mbox);
    for (other, why) in [
        (RestoreRequest { set: root.join("set-2"), ..begun.clone() }, "and this one is from set"),
        (RestoreRequest { mailbox: Some("bob".to_owned()), ..begun.clone() }, "something else"),
        (RestoreRequest { to: files, ..begun.clone() }, "something else (into a store)"),
        (RestoreRequest { until: Some("2999-01-01T00:00:00Z".into()), ..begun.clone() }, "else"),
    ] {
        let refused = restore(&other, &mut quiet).expect_err("another one");
        assert!(matches!(refused, Error::BadInput { .. }), "{refused}");
        let text = refused.to_string();
        let remedy = format!("remove {}", root.join("again.restoring").display());
        assert!(text.contains(why) && text.contains(&remedy), "{text}");
        assert!(text.contains("again.restoring.json: a restore to this place was begun"), "{text}");
        assert_eq!(others(root, &root.join("again")), before);
    }
    let refused = restore_from_pipe(&begun, &b""[..], &mut quiet).expect_err("another one");
    assert!(refused.to_string().contains("this one is from a pipe"), "{refused}");
    restore(&begun, &mut quiet).expect("its own command");
}

#[test]
fn a_restore_that_was_killed_before_it_took_its_note_away_has_ended() {
    let scratch = tempfile::tempdir().expect("a scratch folder");
    let root = scratch.path();
    scene(root);
    let request = whole(root, RestoreTo::Store(root.join("again")));
    let note = root.join("again.restoring.json");
    let mut last = Vec::new();
    restore(&request, &mut |_| {
        last = std::fs::read(&note).expect("it is there while work goes on");
        Flow::Continue
    })
    .expect("an intact set");
    let mut json: serde_json::Value = serde_json::from_slice(&last).expect("a note");
    json["made"] = serde_json::json!({
        "amount": { "mailboxes": 2, "messages": 7, "content_bytes": 1 },
        "reached": rehome_log::Lsn::from_u64(1), "there_bytes": 0,
    });
    std::fs::write(&note, json.to_string()).expect("writable");
    let report = restore(&request, &mut quiet).expect("nothing is left to do");
    assert_eq!(report.document["amount"]["messages"], 7, "{report}");
    assert!(!note.exists());
    let refused = restore(&request, &mut quiet).expect_err("something is there");
    assert!(matches!(refused, Error::BadInput { .. }), "{refused}");
}
