//! Scrubs: what is damaged is found, named and repaired; what was stopped goes on.

use std::sync::Arc;

use rehome_log::{FileName, ManualClock, SimDisk};
use rehome_store::{Flow, ScrubOptions, ScrubReport, Store, StoreError, Uid};

use crate::support::{append, check_whole, mailbox, new_store, open, options};

const MESSAGES: u32 = 12;

/// A store with messages for two mailboxes, of which one message is shared.
fn filled() -> (Arc<SimDisk>, Store) {
    let (disk, store) = new_store();
    let (anna, inbox) = mailbox(&store, "anna");
    let (ben, his) = mailbox(&store, "ben");
    for n in 0..MESSAGES {
        store.append_batch(vec![(anna, inbox, append(&format!("message {n}.")))]).unwrap();
    }
    store.append_batch(vec![(ben, his, append("message 3."))]).unwrap();
    (disk, store)
}

/// Flips a byte of the only record in which `text` is.
fn flip(disk: &SimDisk, text: &str) {
    let segment = FileName::new("seg/s00000001.seg").unwrap();
    let mut bytes = disk.contents(&segment).unwrap();
    let at = bytes.windows(text.len()).position(|window| window == text.as_bytes()).unwrap();
    bytes[at] ^= 0x20;
    disk.set_contents(&segment, bytes);
}

fn scrub(store: &Store, repair_from: Option<&Store>) -> ScrubReport {
    store.scrub(ScrubOptions::default(), repair_from, &mut |_| Flow::Continue).unwrap()
}

/// Expects these messages, by mailbox and UID, to be named.
#[track_caller]
fn check(report: &ScrubReport, contents: u64, named: &[(&str, u32)]) {
    assert_eq!(report.contents, contents, "{report:?}");
    let found: Vec<_> =
        report.messages.iter().map(|one| (one.mailbox.as_str(), one.uid.0)).collect();
    assert_eq!(found, named, "{report:?}");
    assert_eq!(report.faults, [""; 0]);
    for one in &report.messages {
        let extent = one.extent.expect("a scrub knows");
        assert!(extent.segment == 1 && extent.offset >= 4096, "{one:?}");
        assert!(one.cause.contains("s00000001.seg"), "{one:?}");
    }
}

#[test]
fn every_message_with_a_damaged_content_is_named_and_no_other() {
    let (disk, store) = filled();
    check(&scrub(&store, None), MESSAGES.into(), &[]);
    store.close().unwrap();
    flip(&disk, "message 3.");
    flip(&disk, "message 7.");
    let store = open(&disk).unwrap();
    let report = scrub(&store, None);
    check(&report, MESSAGES.into(), &[("anna", 4), ("anna", 8), ("ben", 1)]);
    assert_eq!(report.damaged.len(), 2);
    assert!(!report.is_clean());
    let checked = store.check(&mut |_| {}).unwrap();
    assert_eq!(checked.damaged.len(), 3, "the check finds the same");
}

#[test]
fn what_another_store_has_whole_is_written_anew() {
    let (_other_disk, other) = filled();
    let (disk, store) = filled();
    let before = store.statistics().unwrap();
    store.close().unwrap();
    flip(&disk, "message 3.");
    flip(&disk, "message 7.");
    let store = open(&disk).unwrap();
    let report = scrub(&store, Some(&other));
    check(&report, MESSAGES.into(), &[("anna", 4), ("anna", 8), ("ben", 1)]);
    assert!(report.is_clean(), "{report:?}");
    assert!(report.damaged.iter().all(|one| one.repaired.is_some_and(|at| at.segment > 1)));
    check_whole(&store);
    assert_eq!(store.statistics().unwrap().messages, before.messages);
    store.close().unwrap();
    let store = open(&disk).unwrap();
    check_whole(&store);
    let anna = store.mailbox(&crate::support::mailbox_name("anna")).unwrap().unwrap().id;
    let inbox = store.folders(anna).unwrap()[0].id;
    assert_eq!(store.read(anna, inbox, Uid(4)).unwrap().1, append("message 3.").body);
    check(&scrub(&store, None), MESSAGES.into(), &[]);
}

#[test]
fn a_repair_survives_a_power_cut_at_any_call() {
    let (_other_disk, other) = filled();
    let mut cuts = 0;
    for call in 0.. {
        let (disk, store) = filled();
        store.close().unwrap();
        flip(&disk, "message 7.");
        let store = open(&disk).unwrap();
        disk.fail_after(call, rehome_log::Fault::PowerCut);
        let repaired = store.scrub(ScrubOptions::default(), Some(&other), &mut |_| Flow::Continue);
        drop(store);
        let disk = Arc::new(disk.crash(call));
        let store = open(&disk).unwrap_or_else(|error| panic!("call and seed {call}: {error}"));
        if let Ok(report) = &repaired {
            assert!(report.is_clean());
            check_whole(&store);
        }
        let again = scrub(&store, Some(&other));
        assert!(again.is_clean(), "call and seed {call}: {again:?}");
        check_whole(&store);
        if repaired.is_ok() {
            break;
        }
        cuts += 1;
    }
    assert!(cuts > 15, "{cuts} calls are too few to prove anything");
}

#[test]
fn what_no_other_store_has_stays_damaged() {
    let (_other_disk, other) = new_store();
    let (disk, store) = filled();
    store.close().unwrap();
    flip(&disk, "message 7.");
    let store = open(&disk).unwrap();
    let report = scrub(&store, Some(&other));
    check(&report, MESSAGES.into(), &[("anna", 8)]);
    assert!(!report.is_clean());
}

#[test]
fn a_scrub_that_was_stopped_goes_on_and_tells_what_it_had_found() {
    let (disk, store) = filled();
    store.close().unwrap();
    flip(&disk, "message 1.");
    // A rate at which each content is a batch, and none is waited for.
    let paced = ScrubOptions { bytes_per_second_max: Some(1), ..ScrubOptions::default() };
    for stop in 1..=5 {
        let store = open(&disk).unwrap();
        let mut seen = 0;
        let stopped = store.scrub(paced, None, &mut |progress| {
            let first = progress.done_bytes > 0 && seen == 0;
            seen += 1;
            if first { Flow::Stop } else { Flow::Continue }
        });
        assert!(matches!(stopped, Err(StoreError::Stopped)), "{stop}: {stopped:?}");
        store.close().unwrap();
    }
    let store = open(&disk).unwrap();
    let report = scrub(&store, None);
    check(&report, u64::from(MESSAGES) - 5, &[("anna", 2)]);
    check(&scrub(&store, None), MESSAGES.into(), &[("anna", 2)]);
}

#[test]
fn contents_that_were_read_lately_are_passed_over_and_damaged_ones_are_not() {
    let (disk, store) = filled();
    store.close().unwrap();
    flip(&disk, "message 5.");
    let time = Arc::new(ManualClock::new(1_700_000_000_000_000));
    let store = Store::open(disk.clone(), time.clone(), options()).unwrap();
    let lately = ScrubOptions { since_seconds: Some(86_400), ..ScrubOptions::default() };
    let scrub = || store.scrub(lately, None, &mut |_| Flow::Continue).unwrap();
    check(&scrub(), MESSAGES.into(), &[("anna", 6)]);
    let again = scrub();
    check(&again, 1, &[("anna", 6)]);
    assert_eq!(again.passed_over, u64::from(MESSAGES) - 1);
    time.advance_ms(2 * 86_400_000);
    check(&scrub(), MESSAGES.into(), &[("anna", 6)]);
}

#[test]
fn a_state_that_cannot_be_read_means_that_everything_is_read() {
    let (disk, store) = filled();
    scrub(&store, None);
    disk.set_contents(&FileName::new("scrub.json").unwrap(), b"{".to_vec());
    check(&scrub(&store, None), MESSAGES.into(), &[]);
}
