//! The real disk: the same log, the same calls, and how many of them.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use rehome_log::{AlignedBuf, Disk, FileName, LogOptions, OpenMode, RealDisk, SimDisk, SyncKind};

use crate::support::{create_on, name, open_on, read_all};

/// Runs the same calls on both disks.
fn check(test: impl Fn(&dyn Disk)) {
    test(&SimDisk::new());
    let folder = tempfile::tempdir().unwrap();
    test(&RealDisk::new(folder.path().join("store")));
}

#[test]
fn both_disks_answer_alike() {
    check(|disk| {
        disk.create_dir(&name("a/b")).unwrap();
        disk.create_dir(&name("a/b")).unwrap();
        let file = disk.open(&name("a/b/f"), OpenMode::CreateNew).unwrap();
        let again = disk.open(&name("a/b/f"), OpenMode::CreateNew);
        assert_eq!(again.unwrap_err().kind(), io::ErrorKind::AlreadyExists);
        let absent = disk.open(&name("a/b/g"), OpenMode::ReadWrite);
        assert_eq!(absent.unwrap_err().kind(), io::ErrorKind::NotFound);
        disk.write_at(file, 3, b"xyz").unwrap();
        disk.allocate_zeroed(file, 100_000).unwrap();
        disk.allocate_zeroed(file, 10).unwrap();
        assert_eq!(disk.len(file).unwrap(), 100_000);
        let mut bytes = [1; 8];
        disk.read_at(file, 0, &mut bytes).unwrap();
        assert_eq!(&bytes, b"\0\0\0xyz\0\0");
        let past = disk.read_at(file, 99_995, &mut bytes);
        assert_eq!(past.unwrap_err().kind(), io::ErrorKind::UnexpectedEof);
        disk.set_len(file, 5).unwrap();
        disk.write_behind(file, 0, 5);
        disk.sync(file, SyncKind::Data).unwrap();
        disk.sync(file, SyncKind::All).unwrap();
        disk.close(file);
        assert!(disk.len(file).is_err());
        disk.rename(&name("a/b/f"), &name("a/g")).unwrap();
        disk.sync_dir(&name("a")).unwrap();
        disk.sync_dir(&FileName::root()).unwrap();
        assert_eq!(disk.list(&name("a")).unwrap(), ["b", "g"]);
        assert!(disk.list(&name("a/b")).unwrap().is_empty());
        let missing = disk.list(&name("z")).unwrap_err();
        assert_eq!(missing.kind(), io::ErrorKind::NotFound);
        let reader = disk.open(&name("a/g"), OpenMode::Read).unwrap();
        assert_eq!(disk.len(reader).unwrap(), 5);
        assert!(disk.write_at(reader, 0, b"no").is_err());
        disk.remove(&name("a/g")).unwrap();
        assert_eq!(disk.remove(&name("a/g")).unwrap_err().kind(), io::ErrorKind::NotFound);
        let held = disk.lock(&name("lock")).unwrap();
        assert_eq!(disk.lock(&name("lock")).unwrap_err().kind(), io::ErrorKind::WouldBlock);
        disk.close(held);
        disk.lock(&name("lock")).unwrap();
    });
}

#[test]
fn direct_writes_and_others_are_read_back_alike() {
    check(|disk| {
        disk.create_dir(&name("a")).unwrap();
        let file = disk.open(&name("a/f"), OpenMode::CreateDirect).unwrap();
        assert!(disk.open(&name("a/f"), OpenMode::CreateDirect).is_err());
        let mut aligned = AlignedBuf::copy_of(&[7; 10_000]);
        disk.write_at(file, 4096, aligned.padded()).unwrap();
        disk.write_at(file, 5, b"elsewhere").unwrap();
        disk.write_at(file, 16_384, &aligned.as_slice()[1..]).unwrap();
        disk.sync(file, SyncKind::All).unwrap();
        let mut bytes = vec![1; 16_384 + 9_999];
        disk.read_at(file, 0, &mut bytes).unwrap();
        assert_eq!(&bytes[5..14], b"elsewhere");
        assert!(bytes[4096..14_096].iter().all(|byte| *byte == 7));
        assert!(bytes[14_096..16_384].iter().all(|byte| *byte == 0));
        assert!(bytes[16_384..].iter().all(|byte| *byte == 7));
        assert_eq!(disk.len(file).unwrap(), bytes.len() as u64);
    });
}

#[test]
fn reading_once_gives_what_reading_gives() {
    check(|disk| {
        disk.create_dir(&name("a")).unwrap();
        let file = disk.open(&name("a/f"), OpenMode::CreateNew).unwrap();
        let bytes: Vec<u8> = (0..10_000_u32).map(|at| at.to_le_bytes()[0]).collect();
        disk.write_at(file, 0, &bytes).unwrap();
        let file = disk.open(&name("a/f"), OpenMode::ReadOnce).unwrap();
        for (offset, len) in [(0, 8192), (4096, 4096), (8192, 1808), (1, 9_999), (0, 0)] {
            let mut read = AlignedBuf::zeroed(len);
            disk.read_at(file, offset, read.as_mut_slice()).unwrap();
            let from = usize::try_from(offset).unwrap();
            assert_eq!(read.as_slice(), &bytes[from..from + len]);
        }
        let mut beyond = AlignedBuf::zeroed(4096);
        let error = disk.read_at(file, 8192, beyond.as_mut_slice()).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof);
        assert!(disk.write_at(file, 0, b"no").is_err());
    });
}

#[test]
fn a_record_is_one_write_and_a_sync_is_one_sync() {
    let folder = tempfile::tempdir().unwrap();
    let disk = Arc::new(RealDisk::new(folder.path()));
    let (identity, clock) = ([0; 16], crate::support::clock());
    let options = LogOptions::default();
    let log =
        rehome_log::Log::create(disk.clone(), name("log"), identity, 1, clock, options).unwrap();
    let before = disk.counters();
    for _ in 0..100 {
        log.append(&[5; 200]).unwrap();
    }
    log.sync().unwrap();
    log.sync().unwrap();
    let after = disk.counters();
    assert_eq!((after.writes - before.writes, after.syncs - before.syncs), (100, 1));
    assert_eq!(after.written_bytes - before.written_bytes, 100 * 248);
}

#[test]
fn a_log_on_a_real_disk_gives_back_its_records() {
    let folder = tempfile::tempdir().unwrap();
    let disk = || Arc::new(RealDisk::new(folder.path()));
    let log = create_on(disk(), 1).unwrap();
    for serial in 0..20_u8 {
        log.append(&[serial; 1000]).unwrap();
    }
    log.close().unwrap();
    let (log, _, records) = open_on(disk(), 2).unwrap();
    assert_eq!(records.len(), 20);
    assert_eq!(read_all(&log), records);
}

#[test]
fn a_folder_that_lies_elsewhere_is_used_as_if_it_lay_here() {
    let (home, away) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let disk = RealDisk::new(home.path()).with_mount(name("log"), away.path());
    for file in ["log/a", "logs", "other/log"] {
        let file = name(file);
        disk.create_dir(&file.parent()).unwrap();
        let open = disk.open(&file, OpenMode::CreateNew).unwrap();
        disk.write_at(open, 0, b"text").unwrap();
        disk.close(open);
        disk.sync_dir(&file.parent()).unwrap();
    }
    disk.rename(&name("log/a"), &name("log/b")).unwrap();
    assert_eq!(disk.list(&name("log")).unwrap(), ["b"]);
    assert_eq!(std::fs::read(away.path().join("b")).unwrap(), b"text");
    assert_eq!(disk.list(&FileName::root()).unwrap(), ["logs", "other"]);
    disk.remove(&name("log/b")).unwrap();
    assert_eq!(std::fs::read_dir(away.path()).unwrap().count(), 0);
}

#[test]
fn a_lock_is_free_when_it_is_closed_though_children_are_started_meanwhile() {
    let folder = tempfile::tempdir().unwrap();
    let disk = RealDisk::new(folder.path());
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !done.load(Ordering::Relaxed) {
                std::process::Command::new("true").status().unwrap();
            }
        });
        let held = (0..2000).filter(|_| match disk.lock(&name("lock")) {
            Ok(lock) => {
                disk.close(lock);
                false
            }
            Err(_) => true,
        });
        let held = held.count();
        done.store(true, Ordering::Relaxed);
        assert_eq!(held, 0, "times that a closed lock was still held");
    });
}
