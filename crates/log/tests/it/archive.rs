//! What an archiver reads: closed generations, and every record with the one before it.

use std::sync::Arc;

use rehome_log::{Disk, Log, LogError, LogOptions, Lsn, Record, SimDisk, Visit};

use crate::support::{IDENTITY, clock, create, dir, open, small};

/// A log of ten records of 1000 bytes over several generations, the last one ended.
fn ten() -> (Arc<SimDisk>, Log, Vec<Lsn>) {
    let disk = Arc::new(SimDisk::new());
    let log = create(&disk);
    let lsns = (0..10).map(|serial| log.append(&[serial; 1000]).unwrap()).collect();
    log.roll().unwrap();
    (disk, log, lsns)
}

/// What is read above `after` up to `until`: serials, none for marks. Each names the one before.
fn read(log: &Log, after: Lsn, until: Lsn) -> Result<Vec<Option<u8>>, LogError> {
    let mut found = Vec::new();
    let mut before: Option<Lsn> = None;
    let count = log.read_chain(after, until, &mut |record: Record<'_>| {
        match before {
            Some(before) => assert_eq!(record.prev_lsn, before),
            None => assert!(record.prev_lsn <= after),
        }
        before = Some(record.lsn);
        assert_eq!(record.is_mark, record.payload.is_empty());
        found.push(record.payload.first().copied());
        Visit::Accept
    })?;
    assert_eq!(count, found.len() as u64);
    Ok(found)
}

const END: Lsn = Lsn::from_u64(u64::MAX);

#[track_caller]
fn check(log: &Log, after: Lsn, until: Lsn, expected: &[u8]) {
    let found = read(log, after, until).unwrap();
    assert_eq!(found.into_iter().flatten().collect::<Vec<u8>>(), expected, "{after} to {until}");
}

#[test]
fn records_are_read_in_pieces_and_each_names_the_one_before() {
    let (_disk, log, lsns) = ten();
    check(&log, Lsn::ZERO, END, &[0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
    for (index, lsn) in lsns.iter().enumerate() {
        let serials: Vec<u8> = (0..10).collect();
        check(&log, *lsn, END, &serials[index + 1..]);
        check(&log, Lsn::ZERO, *lsn, &serials[..=index]);
    }
    assert_eq!(read(&log, Lsn::ZERO, END).unwrap().len(), 10 + log.closed_generations().len());
}

#[test]
fn closed_generations_follow_each_other_and_tell_their_length() {
    let (disk, log, lsns) = ten();
    let closed = log.closed_generations();
    assert!(log.generation_is_empty());
    let mut last = Lsn::ZERO;
    for generation in &closed {
        assert_eq!(generation.after, last);
        assert!(generation.first < generation.last);
        last = generation.last;
        let file = dir().join(&generation.name).unwrap();
        assert!(disk.contents(&file).unwrap().len() as u64 >= generation.len_bytes);
    }
    assert!(last > lsns[9] && closed[0].first == lsns[0]);
    let bytes = closed.iter().map(|generation| generation.len_bytes).sum::<u64>();
    assert_eq!(log.bytes_above(Lsn::ZERO), bytes);
    assert_eq!(log.bytes_above(closed[0].last), bytes - closed[0].len_bytes);
    assert_eq!(log.bytes_above(last), 0);
}

#[test]
fn what_was_released_up_to_a_mark_is_not_missed_and_what_lies_below_it_is() {
    let (_disk, log, lsns) = ten();
    let closed = log.closed_generations();
    let released = closed[1].last;
    assert_eq!(log.release_below(Lsn::from_u64(released.to_u64() + 1)).unwrap(), 2);
    assert!(log.reaches_back_to(released) && !log.reaches_back_to(lsns[0]));
    let kept = lsns.iter().filter(|lsn| **lsn <= released).count();
    let serials: Vec<u8> = (u8::try_from(kept).unwrap()..10).collect();
    check(&log, released, END, &serials);
    assert!(matches!(read(&log, lsns[0], END), Err(LogError::Gap { .. })));
}

#[test]
fn the_lowest_pin_of_each_owner_is_told() {
    let (_disk, log, lsns) = ten();
    let _one = log.pin_for(lsns[5], "one");
    let two = (log.pin_for(lsns[3], "two"), log.pin_for(lsns[7], "two"));
    assert_eq!(log.pinned(), [("one", lsns[5]), ("two", lsns[3])]);
    drop(two);
    assert_eq!(log.pinned(), [("one", lsns[5])]);
}

#[test]
fn a_log_can_begin_above_another_one() {
    let disk = Arc::new(SimDisk::new());
    let options = LogOptions { first_generation: 9, ..small() };
    let made = Log::create(disk.clone() as Arc<dyn Disk>, dir(), IDENTITY, 1, clock(), options);
    let log = made.unwrap();
    let lsn = log.append(b"first").unwrap();
    assert_eq!(lsn, Lsn::new(9, 4096));
    log.close().unwrap();
    let (log, _, records) = open(&disk, 2).unwrap();
    assert_eq!(records, [(lsn, b"first".to_vec())]);
    check(&log, Lsn::ZERO, END, b"f");
}
