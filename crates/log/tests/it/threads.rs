//! Many threads on one log.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;

use rehome_log::{Disk, Fault, Log, RealDisk, SimDisk};

use crate::support::{create_on, open_on};

const THREADS: u8 = 4;

/// Lets each thread append and sync `count` records or until the log fails; gives back how many
/// each got an acknowledgement for.
fn work(log: &Log, count: u32) -> BTreeMap<u8, u32> {
    let acknowledged = Mutex::new(BTreeMap::new());
    thread::scope(|scope| {
        for writer in 0..THREADS {
            let acknowledged = &acknowledged;
            scope.spawn(move || {
                for serial in 0..count {
                    let payload = [&[writer][..], &serial.to_le_bytes(), &[7; 60]].concat();
                    let Ok(lsn) = log.append(&payload) else { return };
                    let Ok(durable) = log.sync() else { return };
                    assert!(durable >= lsn);
                    acknowledged.lock().unwrap().insert(writer, serial + 1);
                }
            });
        }
    });
    acknowledged.into_inner().unwrap()
}

#[track_caller]
fn check(disk: Arc<dyn Disk>, acknowledged: &BTreeMap<u8, u32>) {
    let (_, _, records) = open_on(disk, 2).unwrap();
    let mut next: BTreeMap<u8, u32> = BTreeMap::new();
    for (_, payload) in records {
        let serial = u32::from_le_bytes(payload[1..5].try_into().unwrap());
        let expected = next.entry(payload[0]).or_default();
        assert_eq!(serial, *expected, "writer {}", payload[0]);
        *expected += 1;
    }
    for (writer, count) in acknowledged {
        assert!(next.get(writer) >= Some(count), "writer {writer}");
    }
}

#[test]
fn threads_share_a_log_on_a_real_disk() {
    let folder = tempfile::tempdir().unwrap();
    let disk = || Arc::new(RealDisk::new(folder.path()));
    let log = create_on(disk(), 1).unwrap();
    let acknowledged = work(&log, 60);
    assert_eq!(acknowledged, (0..THREADS).map(|writer| (writer, 60)).collect());
    drop(log);
    check(disk(), &acknowledged);
}

#[test]
fn threads_lose_nothing_acknowledged_when_the_disk_fails() {
    for seed in 0..60 {
        let disk = Arc::new(SimDisk::new());
        let log = create_on(disk.clone(), 1).unwrap();
        let faults = [Fault::PowerCut, Fault::Eio, Fault::FsyncEio];
        disk.fail_after(seed * 9, faults[seed as usize % 3]);
        let acknowledged = work(&log, 200);
        check(Arc::new(disk.crash(seed)), &acknowledged);
        disk.heal();
        check(Arc::new(disk.restart()), &acknowledged);
    }
}

/// Says that the work is done when it ends, also by a failed assertion.
struct Finish<'a>(&'a AtomicBool);

impl Drop for Finish<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

#[test]
fn a_reader_sees_whole_records_while_others_write_and_release() {
    let disk = Arc::new(SimDisk::new());
    let log = create_on(disk, 1).unwrap();
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        let (log, done) = (&log, &done);
        scope.spawn(move || {
            let _finish = Finish(done);
            work(log, 300);
        });
        scope.spawn(move || {
            while !done.load(Ordering::SeqCst) {
                log.release_below(log.durable()).unwrap();
                thread::yield_now();
            }
        });
        while !done.load(Ordering::SeqCst) {
            for (_, payload) in crate::support::read_all(log) {
                assert_eq!(payload[5..], [7; 60]);
            }
        }
    });
}
