//! Generations prepared before they are needed.

use std::sync::Arc;

use rehome_log::{Fault, Log, LogError, SimDisk};

use crate::support::{create, files, open, read_all};

/// Appends and syncs until generation `number` is begun.
fn fill_up_to(log: &Log, number: u64) -> Result<(), LogError> {
    while log.end().generation() < number {
        log.append(&[7; 700])?;
        log.sync()?;
    }
    Ok(())
}

/// With `prepared` generations ready a full disk lets the log get to generation `last`.
#[track_caller]
fn check(prepared: usize, last: u64) {
    let disk = Arc::new(SimDisk::new());
    let log = create(&disk);
    assert_eq!(log.prepare_ahead(prepared).unwrap(), prepared);
    disk.fail_after(0, Fault::Enospc);
    let error = fill_up_to(&log, 99).unwrap_err();
    assert!(matches!(error, LogError::NoSpace { .. }), "{error}");
    assert_eq!(log.end().generation(), last);
    let written = read_all(&log);
    disk.heal();
    fill_up_to(&log, last + 2).unwrap();
    drop(log);
    let (_, _, records) = open(&Arc::new(disk.crash(1)), 2).unwrap();
    assert_eq!(records[..written.len()], written);
}

#[test]
fn a_full_disk_stops_the_log_only_after_what_was_prepared() {
    check(0, 1);
    check(1, 2);
    check(3, 4);
}

#[test]
fn a_roll_into_a_prepared_generation_makes_no_file() {
    let (plain, ready) = (Arc::new(SimDisk::new()), Arc::new(SimDisk::new()));
    let calls = |disk: &Arc<SimDisk>, log: &Log| {
        let before = disk.ops();
        log.roll().unwrap();
        disk.ops() - before
    };
    let without = calls(&plain, &create(&plain));
    let log = create(&ready);
    log.prepare_ahead(1).unwrap();
    // The mark, its sync, the header, its sync.
    assert_eq!((calls(&ready, &log), without), (4, 8));
}

#[test]
fn what_was_prepared_and_not_needed_goes_with_the_log() {
    let disk = Arc::new(SimDisk::new());
    let log = create(&disk);
    log.prepare_ahead(3).unwrap();
    assert_eq!((files(&disk).len(), log.bytes()), (4, 4 * 8192));
    log.close().unwrap();
    assert_eq!(files(&disk).len(), 1);
}

#[test]
fn what_a_dead_process_prepared_is_passed_over_and_its_numbers_with_it() {
    let disk = Arc::new(SimDisk::new());
    let log = create(&disk);
    log.append(b"first").unwrap();
    log.prepare_ahead(2).unwrap();
    log.sync().unwrap();
    let left = Arc::new(disk.crash(3));
    let (log, _, records) = open(&left, 2).unwrap();
    assert_eq!((records.len(), log.end().generation()), (1, 4));
    log.append(b"second").unwrap();
    let end = log.roll().unwrap();
    assert_eq!(log.release_below(end).unwrap(), 4, "with those that never came into being");
}

#[test]
fn a_generation_whose_preparation_failed_is_not_used() {
    for fault in [Fault::FsyncEio, Fault::Eio, Fault::Enospc] {
        for call in 0..8 {
            let disk = Arc::new(SimDisk::new());
            let log = create(&disk);
            disk.fail_after(call, fault);
            let prepared = log.prepare_ahead(1).is_ok();
            disk.heal();
            assert_eq!(log.prepared(), usize::from(prepared));
            fill_up_to(&log, 3).unwrap();
            let written = read_all(&log);
            let (_, _, records) = open(&Arc::new(disk.crash(call)), 2).unwrap();
            assert_eq!(records, written, "{fault:?} at call {call}");
        }
    }
}
