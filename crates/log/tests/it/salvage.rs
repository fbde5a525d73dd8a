//! Logs that cannot be opened: what can be read of them, and another log after them.

use std::sync::Arc;

use rehome_log::{Disk, FileName, Log, LogError, LogOptions, Lsn, Record, SimDisk, Visit};

use crate::support::{IDENTITY, Read, changed, clock, create, dir, files, open, small};

/// A log over three generations, and its records.
fn written() -> (Arc<SimDisk>, Vec<Read>) {
    let disk = Arc::new(SimDisk::new());
    let log = create(&disk);
    let mut records = Vec::new();
    for serial in 0..9_u8 {
        if serial % 3 == 0 && serial > 0 {
            log.roll().unwrap();
        }
        let payload = vec![serial; 10 + usize::from(serial)];
        records.push((log.append(&payload).unwrap(), payload));
        log.sync().unwrap();
    }
    log.close().unwrap();
    (disk, records)
}

/// What follows, and what else is whole; nothing of a log that is whole.
fn salvage(disk: &SimDisk, after: Lsn) -> Option<(Vec<Read>, Vec<Read>)> {
    let (mut followed, mut stray) = (Vec::new(), Vec::new());
    let mut visit = |record: Record<'_>, follows: bool| {
        let list = if follows { &mut followed } else { &mut stray };
        list.push((record.lsn, record.payload.to_vec()));
        Visit::Accept
    };
    let found = Log::salvage(disk, &dir(), IDENTITY, after, &mut visit).unwrap()?;
    let last = followed.last().map_or(after, |(lsn, _)| *lsn);
    assert!(found.until >= last, "{found:?}");
    Some((followed, stray))
}

/// Salvages `disk` from behind the first `known` records on. What follows must be the next records
/// without a gap, and everything else later ones. Returns how many were found of each.
#[track_caller]
fn check(disk: &SimDisk, records: &[Read], known: usize, what: &str) -> Option<(usize, usize)> {
    let after = known.checked_sub(1).map_or(Lsn::ZERO, |last| records[last].0);
    let (followed, stray) = salvage(disk, after)?;
    assert_eq!(followed, records[known..known + followed.len()], "{what}");
    let behind = &records[known + followed.len()..];
    assert!(stray.iter().all(|record| behind.contains(record)), "{what}");
    Some((followed.len(), stray.len()))
}

#[test]
fn a_whole_log_needs_no_salvage() {
    let (disk, records) = written();
    for known in 0..=records.len() {
        assert_eq!(check(&disk, &records, known, "whole"), None);
    }
}

#[test]
fn all_but_the_record_with_the_flipped_bit_is_found_and_what_is_before_it_follows() {
    let (disk, records) = written();
    for (hit, (lsn, _)) in records.iter().enumerate() {
        let file = &files(&disk)[lsn.generation() as usize - 1];
        let damaged = changed(&disk, file, |bytes| bytes[lsn.offset() as usize + 50] ^= 4);
        let what = format!("record {hit}");
        for known in 0..=hit {
            let found = check(&damaged, &records, known, &what);
            assert_eq!(found, Some((hit - known, records.len() - hit - 1)), "{what}, {known}");
        }
        let found = check(&damaged, &records, hit + 1, &what);
        assert_eq!(found, Some((records.len() - hit - 1, 0)), "known are all up to {what}");
    }
}

#[test]
fn any_flipped_byte_and_any_cut_leaves_records_that_follow_or_are_said_not_to() {
    let (disk, records) = written();
    for file in files(&disk) {
        let len = disk.contents(&file).unwrap().len();
        for at in (0..len).filter(|at| *at < 256 || *at > 4000).step_by(3) {
            let flipped = changed(&disk, &file, |bytes| bytes[at] ^= 1 << (at % 8));
            check(&flipped, &records, 0, &format!("{file}, byte {at:#x}"));
            let cut = changed(&disk, &file, |bytes| bytes.truncate(at));
            check(&cut, &records, 0, &format!("{file}, cut at {at:#x}"));
        }
    }
}

#[test]
fn a_missing_generation_parts_what_follows_from_what_does_not() {
    let (disk, records) = written();
    let gone = disk.restart();
    gone.remove(&files(&disk)[1]).unwrap();
    assert_eq!(check(&gone, &records, 0, "second"), Some((0, 3)), "the chain ends at the gap");
    assert_eq!(check(&gone, &records, 3, "second"), Some((0, 3)));
    assert_eq!(check(&gone, &records, 6, "second"), Some((0, 3)), "more may have been there");
    let none = SimDisk::new();
    assert_eq!(check(&none, &records, 6, "no log"), Some((0, 0)));
}

#[test]
fn what_cannot_be_built_on_ends_what_follows() {
    let (disk, records) = written();
    let file = files(&disk)[2].clone();
    let damaged = changed(&disk, &file, |bytes| bytes[4096 + 50] ^= 1);
    let mut followed = 0;
    let mut visit = |_: Record<'_>, follows: bool| {
        followed += usize::from(follows);
        if followed == 3 { Visit::CutHere } else { Visit::Accept }
    };
    let found = Log::salvage(&*damaged, &dir(), IDENTITY, Lsn::ZERO, &mut visit).unwrap().unwrap();
    assert_eq!((followed, found.until), (3, records[1].0));
    assert!(found.acknowledged >= records[6].0, "{found:?}");
    assert!(matches!(found.damage, LogError::Damaged { generation: 3, .. }), "{found:?}");
}

#[test]
fn another_log_goes_on_where_one_was_put_aside() {
    let (disk, records) = written();
    let unused = Log::unused_generation(&*disk, &dir(), 0).unwrap();
    assert_eq!(unused, 4);
    let aside = Log::put_aside(&*disk, &dir()).unwrap();
    assert_eq!(aside.len(), 3);
    assert!(matches!(open(&disk, 2), Err(LogError::Absent { .. })));
    assert_eq!(Log::unused_generation(&*disk, &dir(), 0).unwrap(), 4);
    assert_eq!(Log::unused_generation(&*disk, &dir(), 9).unwrap(), 10);
    let after = Lsn::new(unused, 8);
    let options = LogOptions { after, ..small() };
    let log = Log::create(disk.clone(), dir(), IDENTITY, 2, clock(), options).unwrap();
    let lsn = log.append(b"new").unwrap();
    assert!(lsn.generation() == 5 && lsn > records[8].0);
    assert!(log.reaches_back_to(after) && !log.reaches_back_to(records[8].0));
    log.close().unwrap();
    // Whoever knows the old log alone is told that something is missing.
    let mut read = Vec::new();
    for (epoch, from) in (3..).zip([Lsn::ZERO, records[8].0, after]) {
        let mut visit = |record: Record<'_>| {
            read.push((record.lsn, record.payload.to_vec()));
            Visit::Accept
        };
        let opened =
            Log::open(disk.clone(), dir(), IDENTITY, epoch, clock(), small(), from, &mut visit);
        assert_eq!(opened.is_ok(), from == after, "{from}");
        assert!(from == after || matches!(opened, Err(LogError::Gap { .. })));
    }
    assert_eq!(read, [(lsn, b"new".to_vec())]);
    let there: Vec<FileName> = files(&disk);
    assert!(aside.iter().all(|name| there.contains(name)), "{there:?}");
}

#[test]
fn there_is_an_end_to_the_numbers() {
    let disk = SimDisk::new();
    let last = dir().join("Effffffffff-00000001.log.lost").unwrap();
    disk.create_dir(&dir()).unwrap();
    disk.set_contents(&last, Vec::new());
    let error = Log::unused_generation(&disk, &dir(), 0).unwrap_err();
    assert!(matches!(error, LogError::Damaged { .. }), "{error}");
}
