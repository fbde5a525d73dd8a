//! Tuning, scrubbing and digesting a store: what is told, what is set, what stays as it was.

use std::path::Path;

use rehome_store::{Flags, MailboxState, MeasureBounds, OpenOptions, Store};

use super::tune::tune_within;
use super::{
    ExportFormat, MovePace, PlaceRequest, ScrubRequest, TuneRequest, export, maildir_digest,
    move_mailboxes, open, store_digest, store_info, store_place, store_scrub,
};
use crate::report::JobReport;
use crate::testing::{append, letter, mailbox, quiet, rich_store, stop};

const BOUNDS: MeasureBounds = MeasureBounds { syncs_ms: 0, stream_ms: 0, stream_bytes: 4 << 20 };

fn store() -> (tempfile::TempDir, std::path::PathBuf) {
    let scratch = tempfile::tempdir().expect("a scratch folder");
    let path = scratch.path().join("store");
    rich_store(&path).close().expect("durable");
    (scratch, path)
}

fn tune_request(store: &Path, dry_run: bool) -> TuneRequest {
    let store = store.to_owned();
    TuneRequest { store, target: None, log_dir: None, segment_dir: None, dry_run }
}

#[test]
fn what_was_measured_is_set_and_used_by_the_next_opening() {
    let (_scratch, path) = store();
    let settings = path.join("settings.json");
    let dry = tune_within(&tune_request(&path, true), BOUNDS, &mut quiet).expect("measured");
    assert!(dry.text.contains("nothing was set") && dry.text.contains("why"), "{dry}");
    assert!(!settings.exists());
    let stopped = tune_within(&tune_request(&path, false), BOUNDS, &mut stop);
    assert_eq!(stopped.expect_err("it was stopped").exit_code(), 5);
    assert!(!settings.exists());
    let set = tune_within(&tune_request(&path, false), BOUNDS, &mut quiet).expect("measured");
    assert_eq!(set.document["set"], true, "{set}");
    let cache_bytes = &set.document["settings"]["cache_bytes"];
    let opened = open(&path).expect("a store");
    assert_eq!(opened.options().expect("open").cache_bytes as u64, *cache_bytes);
    opened.close().expect("durable");
    let again = tune_within(&tune_request(&path, false), BOUNDS, &mut quiet).expect("measured");
    assert_eq!(again.document["before"], set.document["settings"]);
    assert!(std::fs::read_dir(&path).expect("readable").all(|entry| {
        !entry.expect("readable").file_name().to_string_lossy().starts_with("measure")
    }));
}

#[test]
fn damaged_settings_are_told_by_whoever_looks_at_the_store() {
    let (_scratch, path) = store();
    std::fs::write(path.join("settings.json"), "{").expect("writable");
    let info = store_info(&path).expect("it opens");
    assert!(info.text.contains("settings.json is damaged"), "{info}");
    assert_eq!(info.document["notes"].as_array().expect("a list").len(), 1);
    let set = tune_within(&tune_request(&path, false), BOUNDS, &mut quiet).expect("measured");
    assert!(set.text.contains("settings.json is damaged"), "{set}");
    assert!(!store_info(&path).expect("it opens").text.contains("damaged"));
}

#[test]
fn a_store_that_is_not_there_is_not_tuned() {
    let scratch = tempfile::tempdir().expect("a scratch folder");
    let request = tune_request(scratch.path(), false);
    let error = tune_within(&request, BOUNDS, &mut quiet).expect_err("no store");
    assert_eq!(error.exit_code(), 65, "{error}");
    assert_eq!(std::fs::read_dir(scratch.path()).expect("readable").count(), 0);
}

#[test]
fn log_and_segments_lie_elsewhere_and_come_home_and_nothing_is_guessed() {
    let (scratch, path) = store();
    let (fast, before) = (scratch.path().join("fast"), super::tests::images(&path));
    std::fs::create_dir(&fast).expect("writable");
    let request = |dir: &Path| PlaceRequest {
        store: path.clone(),
        log_dir: Some(dir.to_owned()),
        segment_dir: Some(dir.to_owned()),
    };
    store_place(&request(&fast), &mut quiet).expect("room");
    assert_eq!(std::fs::read_dir(&fast).expect("readable").count(), 2);
    assert_eq!(std::fs::read_dir(path.join("log")).expect("readable").count(), 0);
    assert_eq!(super::tests::images(&path), before);
    tune_within(&tune_request(&path, false), BOUNDS, &mut quiet).expect("measured");
    assert_eq!(super::tests::images(&path), before, "tuning leaves the places alone");
    let refused = |words: &str| {
        let error = open(&path).expect_err("nothing may be guessed").to_string();
        assert!(error.contains(words), "no {words:?} in {error}");
    };
    let settings = path.join("settings.json");
    let good = std::fs::read(&settings).expect("readable");
    std::fs::write(&settings, "{").expect("writable");
    refused("put settings.json back");
    let error = tune_within(&tune_request(&path, false), BOUNDS, &mut quiet).expect_err("refused");
    assert!(error.to_string().contains("put settings.json back"), "{error}");
    std::fs::write(&settings, good).expect("writable");
    std::fs::rename(&fast, scratch.path().join("unmounted")).expect("writable");
    refused("mount its disk");
    std::fs::rename(scratch.path().join("unmounted"), &fast).expect("writable");
    store_place(&request(&path), &mut quiet).expect("room");
    assert_eq!(super::tests::images(&path), before);
    let away = std::fs::read_dir(&fast).expect("readable");
    let empty = |entry: std::io::Result<std::fs::DirEntry>| {
        std::fs::read_dir(entry.expect("readable").path()).expect("readable").count() == 0
    };
    assert!(away.into_iter().all(empty));
}

#[test]
fn a_place_that_cannot_be_is_refused_and_nothing_is_changed() {
    let (scratch, path) = store();
    let before = super::tests::images(&path);
    let request = |dir: &Path| PlaceRequest {
        store: path.clone(),
        log_dir: Some(dir.to_owned()),
        segment_dir: None,
    };
    let nowhere = store_place(&request(&scratch.path().join("nowhere")), &mut quiet);
    assert_eq!(nowhere.expect_err("no folder").exit_code(), 65);
    let nothing = PlaceRequest { log_dir: None, ..request(&path) };
    assert_eq!(store_place(&nothing, &mut quiet).expect_err("nothing").exit_code(), 65);
    let opened = open(&path).expect("a store");
    let locked = store_place(&request(scratch.path()), &mut quiet).expect_err("it is open");
    assert_eq!(locked.exit_code(), 65, "{locked}");
    opened.close().expect("durable");
    let stopped = store_place(&request(scratch.path()), &mut stop).expect_err("stopped");
    assert_eq!(stopped.exit_code(), 5, "{stopped}");
    let refused = open(&path).expect_err("it is half done").to_string();
    assert!(refused.contains("store place") && refused.contains("placing.json"), "{refused}");
    store_place(&request(&path), &mut quiet).expect("given up");
    assert_eq!(super::tests::images(&path), before);
}

fn scrub(store: &Path, repair_from: Option<&Path>) -> JobReport {
    let request = ScrubRequest {
        store: store.to_owned(),
        bytes_per_second_max: None,
        since_days: None,
        repair_from: repair_from.map(Path::to_owned),
    };
    store_scrub(&request, &mut quiet).expect("it opens")
}

#[test]
fn a_damaged_message_is_named_and_had_back_from_a_store_that_has_it() {
    let (scratch, path) = store();
    let other = scratch.path().join("other");
    move_mailboxes(&path, &other, &[], &MovePace::default(), &mut quiet).expect("moved");
    scrub(&other, None).verdict().expect("whole");
    let segment = other.join("seg/s00000001.seg");
    let mut bytes = std::fs::read(&segment).expect("a segment");
    let text = letter("alice");
    let found = bytes.windows(text.len()).position(|window| window == text.as_bytes());
    bytes[found.expect("it is there") + 30] ^= 1;
    std::fs::write(&segment, bytes).expect("writable");
    let report = scrub(&other, None);
    for words in ["alice INBOX UID 2", "segment 1 at byte"] {
        assert!(report.text.contains(words), "no {words:?} in {report}");
    }
    let error = report.verdict().expect_err("it is damaged");
    assert_eq!(error.exit_code(), 6);
    assert!(error.to_string().contains("--repair-from"), "{error}");
    let repaired = scrub(&other, Some(&path));
    repaired.verdict().expect("repaired");
    assert!(repaired.text.contains("1 damaged, 1 of them repaired"), "{repaired}");
    super::store_check(&other, &mut quiet).expect("it opens").verdict().expect("whole");
}

#[test]
fn a_store_and_its_export_have_the_same_digests_by_two_implementations() {
    let scratch = tempfile::tempdir().expect("a scratch folder");
    let (path, out) = (scratch.path().join("store"), scratch.path().join("out"));
    let store = Store::create_at(&path, OpenOptions::default()).expect("an empty folder");
    let id = store.create_mailbox(&mailbox("alice"), MailboxState::Active).expect("a new one");
    let names = ["INBOX", "Entwürfe/日本語", "v1.2", "A & B", "Empty/below", "🏲"];
    for (index, name) in names.into_iter().enumerate() {
        append(&store, (id, name), &letter(name), Flags::SEEN);
        append(&store, (id, name), &letter(&format!("{index}")), Flags::RECENT);
    }
    store.set_subscriptions(id, vec!["v1.2".into(), "Entwürfe/日本語".into()]).expect("writable");
    store.create_mailbox(&mailbox("nobody"), MailboxState::Active).expect("a new one");
    store.close().expect("durable");
    export(&path, &out, &[], ExportFormat::Maildir, &mut quiet).expect("an empty folder");
    let of_store = store_digest(&path, &[]).expect("a store");
    let of_trees = maildir_digest(&out).expect("trees");
    assert_eq!(of_store.document, of_trees.document);
    assert_eq!(of_store.text, of_trees.text);
    let one = maildir_digest(&out.join("alice")).expect("a tree");
    assert_eq!(one.document["mailboxes"]["alice"], of_store.document["mailboxes"]["alice"]);
    let file = std::fs::read_dir(out.join("alice/cur")).expect("mail").next().expect("a message");
    let file = file.expect("readable").path();
    std::fs::write(&file, "other").expect("writable");
    let changed = maildir_digest(&out).expect("trees");
    assert_ne!(changed.document, of_store.document, "a changed message is seen");
}

#[test]
fn trees_that_have_no_digest_are_refused_with_their_place() {
    let scratch = tempfile::tempdir().expect("a scratch folder");
    let tree = scratch.path().join("alice");
    let refused = |words: &str| {
        let error = maildir_digest(scratch.path()).expect_err("no digest");
        assert_eq!(error.exit_code(), 65, "{error}");
        assert!(error.to_string().contains(words), "no {words:?} in {error}");
    };
    refused("no Maildir");
    crate::testing::write_tree(&tree);
    refused("dovecot-uidlist");
    std::fs::write(tree.join("dovecot-uidlist"), "3 V5 N9\n1 :1001.a.host\n").expect("writable");
    refused("no UID");
}
