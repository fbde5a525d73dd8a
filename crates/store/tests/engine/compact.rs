//! Compaction: room comes back, and nothing that anybody needs goes.

use std::sync::Arc;

use rehome_log::{Disk, Fault, FileName, OpenMode, SimDisk, SplitMix64};
use rehome_store::{
    CompactBudget, CompactReport, FolderId, MailboxId, OpenOptions, Store, StoreError, Uid,
};

use crate::support::{append, check_whole, clock, mailbox, options};

/// Compacts everything that holds anything that is not needed.
pub(crate) fn compact_all(store: &Store) -> Result<CompactReport, StoreError> {
    store.compact(CompactBudget { live_share_min_percent: 100, ..CompactBudget::default() })
}

fn compact_options() -> OpenOptions {
    OpenOptions { grace_seconds: 0, segment_bytes: 16 << 10, ..options() }
}

fn begin() -> (Arc<SimDisk>, Store, (MailboxId, FolderId)) {
    let disk = Arc::new(SimDisk::new());
    let store = Store::create(disk.clone(), clock(), compact_options()).unwrap();
    let at = mailbox(&store, "anna");
    (disk, store, at)
}

fn open(disk: &Arc<SimDisk>) -> Store {
    Store::open(disk.clone(), clock(), compact_options()).unwrap()
}

fn text(number: u32) -> String {
    format!("{number} {}", "x".repeat(900))
}

/// Delivers messages `from` to `to`, whose UIDs are their numbers if they are the first.
fn fill(store: &Store, (mailbox, folder): (MailboxId, FolderId), numbers: std::ops::Range<u32>) {
    for number in numbers {
        store.deliver(&[(mailbox, folder)], append(&text(number))).unwrap();
    }
}

/// Bytes of the files of segments.
fn segment_bytes(disk: &SimDisk) -> u64 {
    let folder = FileName::new("seg").unwrap();
    let mut bytes = 0;
    for name in disk.list(&folder).unwrap() {
        let file = disk.open(&folder.join(&name).unwrap(), OpenMode::Read).unwrap();
        bytes += disk.len(file).unwrap();
        disk.close(file);
    }
    bytes
}

#[track_caller]
fn check_there(store: &Store, at: (MailboxId, FolderId), uids: &[u32]) {
    let found = store.messages(at.0, at.1, Uid(0), 1000).unwrap();
    assert_eq!(found.iter().map(|message| message.uid.0).collect::<Vec<_>>(), uids);
    for uid in uids {
        assert_eq!(store.read(at.0, at.1, Uid(*uid)).unwrap().1, append(&text(*uid)).body);
    }
    check_whole(store);
}

fn uids(numbers: impl IntoIterator<Item = u32>) -> Vec<Uid> {
    numbers.into_iter().map(Uid).collect()
}

#[test]
fn the_room_of_what_was_deleted_comes_back_and_the_rest_is_still_there() {
    let (disk, store, at) = begin();
    fill(&store, at, 1..101);
    let full = segment_bytes(&disk);
    store.expunge(at.0, at.1, &uids((1..101).filter(|uid| uid % 4 != 0))).unwrap();
    let before = store.statistics().unwrap();
    assert!(before.reclaimable_bytes() > full / 2, "{before:?}");
    let report = store.compact(CompactBudget::default()).unwrap();
    assert!(report.segments > 4 && report.bytes_freed > full * 6 / 10, "{report:?} of {full}");
    assert!(segment_bytes(&disk) < full * 45 / 100, "{} of {full}", segment_bytes(&disk));
    let kept: Vec<u32> = (1..101).filter(|uid| uid % 4 == 0).collect();
    check_there(&store, at, &kept);
    assert_eq!(store.compact(CompactBudget::default()).unwrap().segments, 0);
    drop(store);
    let disk = Arc::new(disk.crash(1));
    check_there(&open(&disk), at, &kept);
}

#[test]
fn a_snapshot_taken_before_reads_every_body_and_keeps_the_files_until_it_goes() {
    let (disk, store, at) = begin();
    fill(&store, at, 1..61);
    let full = segment_bytes(&disk);
    let snapshot = store.snapshot().unwrap();
    store.delete_mailbox(at.0).unwrap();
    let report = compact_all(&store).unwrap();
    assert!(report.waiting_segments > 2 && report.bytes_freed == 0, "{report:?}");
    assert!(store.statistics().unwrap().waiting_bytes > full / 3);
    let messages = snapshot.messages(at.0, at.1, Uid(0), 1000).unwrap();
    assert_eq!(messages.len(), 60);
    for message in &messages {
        let body = snapshot.body(&message.content).unwrap();
        assert_eq!(body, append(&text(message.uid.0)).body);
    }
    drop(snapshot);
    let report = compact_all(&store).unwrap();
    assert!(report.bytes_freed > full / 3 && report.waiting_segments == 0, "{report:?}");
    check_whole(&store);
}

#[test]
fn what_can_be_had_back_and_what_has_just_died_is_not_given_up() {
    let disk = Arc::new(SimDisk::new());
    let with = OpenOptions { grace_seconds: 60, retention_seconds: 100, ..compact_options() };
    let clock = clock();
    let store = Store::create(disk.clone(), clock.clone(), with).unwrap();
    let at = mailbox(&store, "anna");
    fill(&store, at, 1..41);
    store.expunge(at.0, at.1, &uids(1..41)).unwrap();
    assert_eq!(compact_all(&store).unwrap().segments, 0);
    clock.advance_ms(101_000);
    assert_eq!(compact_all(&store).unwrap().segments, 0, "they have just died");
    assert_eq!(store.statistics().unwrap().dead_contents, 40);
    clock.advance_ms(61_000);
    assert!(compact_all(&store).unwrap().segments > 1);
    check_whole(&store);
}

#[test]
fn a_content_that_comes_again_is_there_whether_it_was_given_up_or_not() {
    let (_disk, store, at) = begin();
    fill(&store, at, 1..41);
    store.expunge(at.0, at.1, &uids(1..41)).unwrap();
    std::thread::scope(|scope| {
        let delivering = scope.spawn(|| {
            for number in (1..41).rev() {
                store.deliver(&[at], append(&text(number))).unwrap();
            }
        });
        for _ in 0..10 {
            compact_all(&store).unwrap();
        }
        delivering.join().unwrap();
    });
    compact_all(&store).unwrap();
    for (uid, number) in (41..81).zip((1..41).rev()) {
        assert_eq!(store.read(at.0, at.1, Uid(uid)).unwrap().1, append(&text(number)).body);
    }
    check_whole(&store);
}

#[test]
fn files_that_nothing_refers_to_go_and_damaged_segments_stay() {
    let (disk, store, at) = begin();
    fill(&store, at, 1..41);
    store.close().unwrap();
    let orphan = FileName::new("seg/s00000077.seg").unwrap();
    disk.set_contents(&orphan, vec![7; 5000]);
    let first = FileName::new("seg/s00000001.seg").unwrap();
    let mut bytes = disk.contents(&first).unwrap();
    bytes[4096 + 100] ^= 1;
    disk.set_contents(&first, bytes);
    let store = open(&disk);
    store.expunge(at.0, at.1, &uids((2..41).filter(|uid| uid % 2 == 0))).unwrap();
    let report = compact_all(&store).unwrap();
    assert!(disk.contents(&orphan).is_none(), "{report:?}");
    assert_eq!(report.damaged_segments, [1]);
    assert!(disk.contents(&first).is_some());
    assert!(report.segments > 0, "{report:?}");
    assert!(matches!(store.read(at.0, at.1, Uid(1)), Err(StoreError::Damaged { .. })));
    for uid in (3..41).step_by(2) {
        assert_eq!(store.read(at.0, at.1, Uid(uid)).unwrap().1, append(&text(uid)).body);
    }
}

#[test]
fn a_power_cut_or_a_full_disk_at_any_call_of_a_compaction_loses_nothing() {
    let kept: Vec<u32> = (1..41).filter(|uid| uid % 3 == 0).collect();
    let run = |seed: u64, fault: Option<(u64, Fault)>| -> u64 {
        let (disk, store, at) = begin();
        fill(&store, at, 1..41);
        store.expunge(at.0, at.1, &uids((1..41).filter(|uid| uid % 3 != 0))).unwrap();
        let full = segment_bytes(&disk);
        let before = disk.ops();
        if let Some((after, fault)) = fault {
            disk.fail_after(after, fault);
        }
        let done = compact_all(&store).is_ok();
        let calls = disk.ops() - before;
        assert!(done || fault.is_some());
        if fault.is_some_and(|(_, fault)| fault == Fault::Enospc) {
            disk.heal();
            check_there(&store, at, &kept);
        }
        drop(store);
        let disk = Arc::new(disk.crash(seed));
        disk.heal();
        let store = open(&disk);
        check_there(&store, at, &kept);
        compact_all(&store).unwrap();
        check_there(&store, at, &kept);
        assert!(segment_bytes(&disk) < full * 6 / 10, "{:?}", segment_bytes(&disk));
        calls
    };
    let calls = run(0, None);
    let mut random = SplitMix64::new(5);
    for after in 0..calls {
        run(random.next_u64(), Some((after, Fault::PowerCut)));
        if after % 3 == 0 {
            run(random.next_u64(), Some((after, Fault::Enospc)));
        }
    }
}
