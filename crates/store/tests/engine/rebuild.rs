//! A catalog that is lost and built anew.

use std::sync::Arc;

use rehome_log::{Disk, FileName, ManualClock, OpenMode, SimDisk};
use rehome_store::{OpenOptions, RebuildReport, Store, StoreError};

use crate::receive::everything;
use crate::support::{append, mailbox, options};

fn name(text: &str) -> FileName {
    FileName::new(text).unwrap()
}

fn small(catalog_base_bytes: Option<u64>) -> OpenOptions {
    OpenOptions { catalog_base_bytes, checkpoint_rows: 8, log_generations_ahead: 1, ..options() }
}

fn rebuild(disk: &Arc<SimDisk>, base: Option<u64>) -> Result<(Store, RebuildReport), StoreError> {
    Store::rebuild(disk.clone(), Arc::new(ManualClock::new(0)), small(base))
}

/// Fills a store, spoils files of it, and rebuilds its catalog; everything must be as before.
#[track_caller]
fn check(base: Option<u64>, spoil: impl Fn(&SimDisk), expected: impl Fn(&RebuildReport)) {
    let disk = Arc::new(SimDisk::new());
    let clock = Arc::new(ManualClock::new(0));
    let store = Store::create(disk.clone(), clock, small(base)).unwrap();
    let (ben, inbox) = mailbox(&store, "ben");
    for round in 0..40 {
        let text = format!("{round} {}", "x".repeat(1500));
        store.append_batch(vec![(ben, inbox, append(&text))]).unwrap();
        store.checkpoint().unwrap();
    }
    let (_, before) = everything(&store);
    store.close().unwrap();
    disk.remove(&name("mail.redb")).unwrap();
    spoil(&disk);
    let (store, report) = rebuild(&disk, base).unwrap();
    expected(&report);
    let (_, after) = everything(&store);
    assert_eq!(before, after);
    assert!(store.check(&mut |_| ()).unwrap().is_clean());
    store.append_batch(vec![(ben, inbox, append("more"))]).unwrap();
    store.close().unwrap();
}

/// A store with one message.
fn with_a_message() -> (Arc<SimDisk>, Store) {
    let disk = Arc::new(SimDisk::new());
    let store = Store::create(disk.clone(), Arc::new(ManualClock::new(0)), small(None)).unwrap();
    let (ben, inbox) = mailbox(&store, "ben");
    store.append_batch(vec![(ben, inbox, append("a"))]).unwrap();
    (disk, store)
}

#[test]
fn a_catalog_whose_log_does_not_reach_stays_where_it_is() {
    let (disk, store) = with_a_message();
    store.close().unwrap();
    let log = name("log").join(&disk.list(&name("log")).unwrap()[0]).unwrap();
    flip(&disk, &log, 4096 + 60);
    let catalog = disk.contents(&name("mail.redb"));
    let refused = rebuild(&disk, None).unwrap_err();
    assert!(refused.to_string().contains("nothing was changed"), "{refused}");
    assert_eq!(disk.contents(&name("mail.redb")), catalog);
    let there = disk.list(&FileName::root()).unwrap();
    assert!(!there.iter().any(|file| file.starts_with("mail.redb.")), "{there:?}");
}

/// What an opening heeds, a rebuild does.
#[test]
fn a_store_is_taken_as_it_is_to_be_opened() {
    let (disk, store) = with_a_message();
    let epoch = store.epoch();
    store.close().unwrap();
    let placing = r#"{"part":"log","from":null,"to":"/x"}"#;
    disk.set_contents(&name("placing.json"), placing.into());
    let refused = rebuild(&disk, None).unwrap_err();
    assert!(refused.to_string().contains("placing.json"), "{refused}");
    disk.remove(&name("placing.json")).unwrap();
    // The file with the epoch may be lost; the names of the log's files say it too.
    disk.remove(&name("epoch")).unwrap();
    let (store, _) = rebuild(&disk, None).unwrap();
    assert!(store.epoch() > epoch);
}

fn flip(disk: &SimDisk, file: &FileName, at: u64) {
    let open = disk.open(file, OpenMode::ReadWrite).unwrap();
    let mut byte = [0];
    disk.read_at(open, at, &mut byte).unwrap();
    disk.write_at(open, at, &[byte[0] ^ 1]).unwrap();
    disk.close(open);
}

fn bases(disk: &SimDisk) -> Vec<FileName> {
    let names = disk.list(&name("base")).unwrap();
    names.iter().map(|file| name("base").join(file).unwrap()).collect()
}

#[test]
fn from_the_whole_log() {
    check(Some(1 << 30), |_| (), |report| assert_eq!(report.base, None));
}

#[test]
fn from_the_newest_base_and_the_log_behind_it() {
    check(
        Some(100),
        |disk| assert!(!bases(disk).is_empty()),
        |report| {
            assert!(report.base.is_some_and(|base| base <= report.until), "{report:?}");
            assert!(report.damaged_bases.is_empty(), "{report:?}");
        },
    );
}

#[test]
fn without_base_and_first_generation_nothing_is_changed() {
    let disk = Arc::new(SimDisk::new());
    let clock = Arc::new(ManualClock::new(0));
    let options = OpenOptions { log_generation_bytes: 1 << 16, ..small(None) };
    let store = Store::create(disk.clone(), clock, options).unwrap();
    let (ben, inbox) = mailbox(&store, "ben");
    for round in 0..400 {
        let mut message = append(&format!("{round}"));
        message.origin = Some("o".repeat(500));
        store.append_batch(vec![(ben, inbox, message)]).unwrap();
    }
    store.checkpoint().unwrap();
    store.close().unwrap();
    disk.remove(&name("mail.redb")).unwrap();
    let refused = rebuild(&disk, None).unwrap_err();
    assert!(matches!(refused, StoreError::Damaged { .. }), "{refused}");
    assert!(refused.to_string().contains("backup"), "{refused}");
    assert!(!disk.list(&FileName::root()).unwrap().iter().any(|file| file == "mail.redb"));
}

#[test]
fn a_base_with_any_byte_flipped_is_not_used() {
    let found = |at: u64| {
        let disk = Arc::new(SimDisk::new());
        let clock = Arc::new(ManualClock::new(0));
        let store = Store::create(disk.clone(), clock, small(Some(100))).unwrap();
        let (ben, inbox) = mailbox(&store, "ben");
        while bases_or_none(&disk).is_empty() {
            store.append_batch(vec![(ben, inbox, append("a"))]).unwrap();
            store.checkpoint().unwrap();
        }
        store.close().unwrap();
        for base in bases(&disk) {
            flip(&disk, &base, at);
        }
        rebuild(&disk, None).map(|(_, report)| report.damaged_bases.len()).map_err(drop)
    };
    for at in [0, 9, 20, 33, 41, 50, 60, 100] {
        assert_ne!(found(at), Ok(0), "byte {at}");
    }
}

fn bases_or_none(disk: &SimDisk) -> Vec<String> {
    let names = disk.list(&name("base")).unwrap_or_default();
    names.into_iter().filter(|file| file.ends_with(".cat")).collect()
}
