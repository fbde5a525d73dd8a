//! Stores whose log cannot be read: what is kept of them, and what is said of the rest.

use std::sync::Arc;
use std::time::{Duration, Instant};

use rehome_log::{Disk, Fault, FileName, SimDisk};
use rehome_store::{
    CompactBudget, FolderId, LogPolicy, MailboxId, OpenOptions, SalvageReport, Store, StoreError,
    Uid,
};

use crate::support::{append, check_whole, clock, mailbox, open, options};

/// How much higher UIDs go on.
const SKIPPED: u32 = 1 << 20;

fn name(text: &str) -> FileName {
    FileName::new(text).unwrap()
}

fn salvage(disk: &Arc<SimDisk>) -> Result<(Store, SalvageReport), StoreError> {
    Store::salvage(disk.clone(), clock(), options())
}

fn preview(disk: &Arc<SimDisk>) -> Result<SalvageReport, StoreError> {
    Store::preview_salvage(disk.clone(), clock(), options())
}

fn deliver(store: &Store, at: (MailboxId, FolderId), numbers: std::ops::Range<u32>) {
    for number in numbers {
        store.deliver(&[at], append(&format!("message {number}"))).unwrap();
    }
}

/// A store of a process that died: 5 messages before a checkpoint, 5 behind it.
fn died() -> (Arc<SimDisk>, (MailboxId, FolderId)) {
    died_with(options(), |_| true)
}

/// The messages behind the checkpoint come when `ready` says so of the disk.
fn died_with(
    options: OpenOptions,
    ready: impl Fn(&SimDisk) -> bool,
) -> (Arc<SimDisk>, (MailboxId, FolderId)) {
    let disk = Arc::new(SimDisk::new());
    let store = Store::create(disk.clone(), clock(), options).unwrap();
    let anna = mailbox(&store, "anna");
    deliver(&store, anna, 1..6);
    store.checkpoint().unwrap();
    let begun = Instant::now();
    while !ready(&disk) {
        assert!(begun.elapsed() < Duration::from_secs(60), "it is not ready");
        std::thread::yield_now();
    }
    deliver(&store, anna, 6..11);
    (Arc::new(disk.restart()), anna)
}

fn log_file(disk: &SimDisk) -> FileName {
    let names = disk.list(&name("log")).unwrap();
    let first = names.iter().find(|file| file.starts_with("E0000000001-")).unwrap();
    name("log").join(first).unwrap()
}

/// Flips a bit in the record of the `number`th group of the log.
fn spoil(disk: &SimDisk, number: usize) {
    let file = log_file(disk);
    let mut bytes = disk.contents(&file).unwrap();
    let records = (4096..bytes.len()).step_by(8).filter(|at| bytes[*at..].starts_with(b"RREC"));
    let at = records.collect::<Vec<_>>()[number];
    bytes[at + 50] ^= 1;
    disk.set_contents(&file, bytes);
}

/// The mailbox and its folder are made by two groups; each message is one.
const FIRST: usize = 2;

/// The messages that are there are `expected`, whole, and new ones come behind them.
#[track_caller]
fn check_messages(store: &Store, at: (MailboxId, FolderId), expected: &[u32]) {
    let found = store.messages(at.0, at.1, Uid(0), 1000).unwrap();
    assert_eq!(found.iter().map(|message| message.uid.0).collect::<Vec<_>>(), expected);
    for uid in expected {
        let body = store.read(at.0, at.1, Uid(*uid)).unwrap().1;
        assert_eq!(body, append(&format!("message {uid}")).body);
    }
    check_whole(store);
}

/// Spoils group `hit`, salvages the store, and goes on with it; `kept` messages are there.
#[track_caller]
fn check(hit: usize, kept: u32, given_up: u64) -> SalvageReport {
    let (disk, anna) = died();
    spoil(&disk, hit);
    let refused = open(&disk).unwrap_err();
    assert!(refused.to_string().contains("--give-up-log"), "{refused}");
    let expected: Vec<u32> = (1..=kept).collect();
    let told = preview(&disk).unwrap();
    let (store, report) = salvage(&disk).unwrap();
    assert_eq!(SalvageReport { old_catalog: None, old_log: Vec::new(), ..report.clone() }, told);
    check_messages(&store, anna, &expected);
    let messages: u64 = report.given_up.iter().map(|mailbox| mailbox.messages).sum();
    assert_eq!(messages, given_up, "{report:?}");
    assert!(report.given_up.iter().all(|one| one.name.as_ref().unwrap().as_str() == "anna"));
    // Nor does whoever follows the log take the new one for the rest of the old one.
    assert!(store.read_log(report.until, store.lsn()).is_err());
    // No client takes new mail for what it knows.
    let before = store.mailboxes().unwrap()[0].highest_modseq;
    let placed = store.deliver(&[anna], append(&format!("message {}", kept + 1 + SKIPPED)));
    placed.unwrap();
    let after = store.mailboxes().unwrap()[0].highest_modseq;
    assert!(after > before && before.0 > u64::from(SKIPPED), "{before:?} {after:?}");
    let expected: Vec<u32> = expected.into_iter().chain([kept + 1 + SKIPPED]).collect();
    check_messages(&store, anna, &expected);
    store.close().unwrap();
    let store = open(&disk).unwrap();
    check_messages(&store, anna, &expected);
    store.close().unwrap();
    // The catalog can be lost again.
    disk.remove(&name("mail.redb")).unwrap();
    let (store, _) = Store::rebuild(disk, clock(), options()).unwrap();
    check_messages(&store, anna, &expected);
    report
}

#[test]
fn damage_before_the_checkpoint_costs_nothing() {
    for hit in 0..FIRST + 5 {
        let report = check(hit, 10, 0);
        assert!(report.acknowledged <= report.until, "nothing is lost: {report:?}");
        assert_eq!((report.base, report.not_used.len()), (None, 0));
        assert_eq!(report.old_catalog.as_deref(), Some("mail.redb.lost-1"));
        assert!(report.old_log.iter().all(|file| file.ends_with(".log.lost")), "{report:?}");
    }
}

#[test]
fn damage_behind_the_checkpoint_costs_what_it_hits_and_what_builds_on_it() {
    for hit in 5..9 {
        let report = check(FIRST + hit, hit as u32, 9 - hit as u64);
        assert!(report.acknowledged > report.until || hit == 8, "{hit}: {report:?}");
        assert!(report.damage.contains("E0000000001-"), "{report:?}");
    }
}

#[test]
fn a_store_whose_log_is_whole_is_left_alone() {
    let (disk, anna) = died();
    let before = disk.contents(&name("mail.redb"));
    assert!(matches!(preview(&disk), Err(StoreError::LogIsWhole)));
    assert!(matches!(salvage(&disk), Err(StoreError::LogIsWhole)));
    assert_eq!(disk.contents(&name("mail.redb")), before);
    check_messages(&open(&disk).unwrap(), anna, &(1..11).collect::<Vec<_>>());
}

#[test]
fn a_preview_changes_nothing_but_the_epoch() {
    let (disk, _) = died();
    spoil(&disk, FIRST + 7);
    let seen = |disk: &SimDisk| {
        let mut files = Vec::new();
        for folder in ["", "log", "seg", "base"] {
            let dir = if folder.is_empty() { FileName::root() } else { name(folder) };
            for file in disk.list(&dir).unwrap_or_default() {
                let file = dir.join(&file).unwrap();
                let is_owner = ["epoch", "lock"].contains(&file.as_str());
                files.push((file.clone(), disk.contents(&file).filter(|_| !is_owner)));
            }
        }
        files
    };
    let before = seen(&disk);
    preview(&disk).unwrap();
    assert_eq!(seen(&disk), before);
}

#[test]
fn a_base_takes_the_place_of_a_damaged_catalog() {
    let with = OpenOptions { catalog_base_bytes: Some(1), ..options() };
    let (disk, anna) = died_with(with, |disk| {
        let bases = disk.list(&name("base")).unwrap_or_default();
        bases.iter().any(|base| base.ends_with(".cat"))
    });
    spoil(&disk, FIRST + 8);
    let catalog = disk.contents(&name("mail.redb")).unwrap();
    // Not more: the second half may be room that is not in use.
    disk.set_contents(&name("mail.redb"), catalog[..5000].to_vec());
    let (store, report) = salvage(&disk).unwrap();
    assert!(report.base.is_some(), "{report:?}");
    assert_eq!(report.not_used.len(), 1, "{report:?}");
    check_messages(&store, anna, &(1..9).collect::<Vec<_>>());
}

#[test]
fn without_catalog_base_and_log_nothing_is_changed() {
    let (disk, _) = died();
    spoil(&disk, FIRST);
    disk.remove(&name("mail.redb")).unwrap();
    let error = salvage(&disk).unwrap_err();
    assert!(error.to_string().contains("backup"), "{error}");
    assert!(log_file(&disk).as_str().ends_with(".log"));
}

#[test]
fn an_archive_of_the_log_ends() {
    let disk = Arc::new(SimDisk::new());
    let store = Store::create(disk.clone(), clock(), options()).unwrap();
    let anna = mailbox(&store, "anna");
    store.keep_log_until_archived().unwrap();
    deliver(&store, anna, 1..4);
    let disk = Arc::new(disk.restart());
    spoil(&disk, FIRST);
    let (store, report) = salvage(&disk).unwrap();
    assert!(report.archive_ended);
    assert_eq!(store.log_status().unwrap().policy, LogPolicy::Circular);
    store.keep_log_until_archived().unwrap();
    deliver(&store, anna, 4..5);
    store.close().unwrap();
    drop(open(&disk).unwrap());
}

#[test]
fn contents_that_were_moved_are_found_without_the_log_that_says_so() {
    let with = || OpenOptions { grace_seconds: 0, ..options() };
    let disk = Arc::new(SimDisk::new());
    let store = Store::create(disk.clone(), clock(), with()).unwrap();
    let anna = mailbox(&store, "anna");
    deliver(&store, anna, 1..11);
    drop(store);
    let store = Store::open(disk.clone(), clock(), with()).unwrap();
    store.checkpoint().unwrap();
    store.expunge(anna.0, anna.1, &[Uid(1), Uid(2)]).unwrap();
    let budget = CompactBudget { live_share_min_percent: 100, ..CompactBudget::default() };
    let compacted = store.compact(budget).unwrap();
    assert!(compacted.bytes_freed > 0, "{compacted:?}");
    let disk = Arc::new(disk.restart());
    for file in disk.list(&name("log")).unwrap() {
        disk.remove(&name("log").join(&file).unwrap()).unwrap();
    }
    let (store, report) = salvage(&disk).unwrap();
    assert!(report.damage.contains("no file"), "{report:?}");
    check_whole(&store);
}

/// Salvages with a fault after `cut` calls, then again without. Returns whether the first was done.
#[track_caller]
fn check_cut(cut: u64, fault: Fault, expected: &[u32]) -> bool {
    let (disk, anna) = died();
    spoil(&disk, FIRST + 7);
    disk.fail_after(cut, fault);
    let first = salvage(&disk).map(|(store, _)| store.close());
    let done = matches!(first, Ok(Ok(())));
    let disk = Arc::new(disk.crash(cut));
    let store = match open(&disk) {
        Ok(store) => store,
        Err(_) => salvage(&disk).unwrap_or_else(|error| panic!("{fault:?} at {cut}: {error}")).0,
    };
    check_messages(&store, anna, expected);
    store.deliver(&[anna], append("new")).unwrap();
    let last = store.messages(anna.0, anna.1, Uid(0), 1000).unwrap().last().unwrap().uid;
    assert!(last.0 > SKIPPED, "{fault:?} at {cut}: {last:?}");
    store.close().unwrap();
    drop(open(&disk).unwrap());
    done
}

#[test]
fn a_salvage_that_is_cut_short_is_done_again() {
    let expected: Vec<u32> = (1..8).collect();
    for fault in [Fault::PowerCut, Fault::Eio, Fault::FsyncEio] {
        let mut cut = 0;
        while !check_cut(cut, fault, &expected) || cut < 50 {
            cut += 1;
            assert!(cut < 2000, "{fault:?}: it is never done");
        }
        println!("{fault:?}: {cut} calls");
    }
}
