//! Positions, reading back, cutting, pins and release.

use std::sync::Arc;

use rehome_log::{Disk, Log, LogError, LogOptions, Lsn, Record, Recovered, SimDisk, Visit};

use crate::support::{IDENTITY, clock, create, dir, files, name, open, read_all, small};

/// Opens from `from` with `visit` and gives back the serials it saw.
fn open_from(
    disk: &Arc<SimDisk>,
    epoch: u64,
    from: Lsn,
    verdict: impl Fn(&Record<'_>) -> Visit,
) -> Result<(Log, Recovered, Vec<u8>), LogError> {
    let mut serials = Vec::new();
    let mut visit = |record: Record<'_>| {
        serials.push(record.payload[0]);
        verdict(&record)
    };
    let disk = Arc::clone(disk) as Arc<dyn Disk>;
    let (log, recovered) =
        Log::open(disk, dir(), IDENTITY, epoch, clock(), small(), from, &mut visit)?;
    Ok((log, recovered, serials))
}

/// Accepts records until the one of `serial`.
fn cut_at(serial: u8) -> impl Fn(&Record<'_>) -> Visit {
    move |record| if record.payload[0] == serial { Visit::CutHere } else { Visit::Accept }
}

/// A log of ten records of 1000 bytes, serials 0 to 9, over several generations.
fn ten() -> (Arc<SimDisk>, Log, Vec<Lsn>) {
    let disk = Arc::new(SimDisk::new());
    let log = create(&disk);
    let lsns = (0..10).map(|serial| log.append(&[serial; 1000]).unwrap()).collect();
    log.sync().unwrap();
    (disk, log, lsns)
}

#[track_caller]
fn check(disk: &Arc<SimDisk>, epoch: u64, from: Lsn, expected: &[u8]) {
    let (_, recovered, serials) = open_from(disk, epoch, from, |_| Visit::Accept).unwrap();
    assert_eq!(serials, expected, "from {from}");
    assert_eq!(recovered.records, expected.len() as u64);
}

#[test]
fn reading_begins_at_any_record_and_at_the_end_of_any() {
    let (disk, log, lsns) = ten();
    let mut ends = Vec::new();
    let mut visit = |record: Record<'_>| {
        ends.push(record.end);
        Visit::Accept
    };
    assert_eq!(log.read_from(Lsn::ZERO, &mut visit).unwrap(), 10);
    let serials: Vec<u8> = (0..10).collect();
    for (index, (lsn, end)) in lsns.iter().zip(&ends).enumerate() {
        check(&Arc::new(disk.restart()), 2, *lsn, &serials[index..]);
        check(&Arc::new(disk.restart()), 2, *end, &serials[index + 1..]);
    }
}

#[test]
fn a_position_inside_a_record_or_past_the_end_is_refused() {
    let (disk, log, lsns) = ten();
    let inside = Lsn::from_u64(lsns[1].to_u64() + 8);
    let past = Lsn::from_u64(log.end().to_u64() + 8);
    let later = Lsn::new(log.end().generation() + 1, 4096);
    for from in [inside, past, later] {
        let disk = Arc::new(disk.restart());
        let opened = open_from(&disk, 2, from, |_| Visit::Accept);
        assert!(matches!(opened, Err(LogError::Gap { .. })), "{from}");
    }
}

#[test]
fn a_visitor_may_cut_what_nobody_acknowledged() {
    let disk = Arc::new(SimDisk::new());
    let log = create(&disk);
    for serial in 0..3 {
        log.append(&[serial; 100]).unwrap();
        log.sync().unwrap();
    }
    // Record 1 is stated to be acknowledged by record 2; of 2 itself nothing is said.
    let copy = Arc::new(disk.restart());
    assert!(matches!(open_from(&copy, 2, Lsn::ZERO, cut_at(1)), Err(LogError::Damaged { .. })));
    let (log, recovered, _) = open_from(&disk, 3, Lsn::ZERO, cut_at(2)).unwrap();
    assert_eq!((recovered.records, recovered.torn_bytes), (2, 152));
    log.append(&[7; 100]).unwrap();
    log.sync().unwrap();
    check(&disk, 4, Lsn::ZERO, &[0, 1, 7]);
}

#[test]
fn the_header_of_the_next_generation_says_what_was_acknowledged() {
    let disk = Arc::new(SimDisk::new());
    let log = create(&disk);
    log.append(&[0; 100]).unwrap();
    log.sync().unwrap();
    log.append(&[1; 100]).unwrap();
    log.roll().unwrap();
    drop(log);
    let copy = Arc::new(disk.restart());
    assert!(matches!(open_from(&copy, 2, Lsn::ZERO, cut_at(0)), Err(LogError::Damaged { .. })));
    assert_eq!(open_from(&disk, 2, Lsn::ZERO, cut_at(1)).unwrap().1.records, 1);
}

#[test]
fn what_is_not_durable_cannot_be_acknowledged() {
    let disk = Arc::new(SimDisk::new());
    let log = create(&disk);
    log.append(&[0; 100]).unwrap();
    let second = log.append(&[1; 100]).unwrap();
    log.acknowledge(second);
    log.append(&[2; 100]).unwrap();
    drop(log);
    assert_eq!(open_from(&disk, 2, Lsn::ZERO, cut_at(1)).unwrap().1.records, 1);
}

#[test]
fn a_cut_may_fall_before_later_generations() {
    let disk = Arc::new(SimDisk::new());
    let options = LogOptions { acknowledge_on_sync: false, ..small() };
    let log = Log::create(disk.clone(), dir(), IDENTITY, 1, clock(), options).unwrap();
    let lsns: Vec<_> = (0..10).map(|serial| log.append(&[serial; 1000]).unwrap()).collect();
    log.sync().unwrap();
    log.acknowledge(lsns[0]);
    log.append(&[10; 1000]).unwrap();
    assert!(lsns[9].generation() > lsns[2].generation() + 1);
    drop(log);
    let copy = Arc::new(disk.restart());
    assert!(matches!(open_from(&copy, 2, Lsn::ZERO, cut_at(0)), Err(LogError::Damaged { .. })));
    let (log, _, _) = open_from(&disk, 2, Lsn::ZERO, cut_at(2)).unwrap();
    let next = log.append(&[99]).unwrap();
    assert!(next > lsns[9], "a position must not be used twice");
    log.sync().unwrap();
    check(&Arc::new(disk.crash(1)), 3, Lsn::ZERO, &[0, 1, 99]);
}

#[test]
fn a_visitor_may_stop_and_nothing_changes() {
    let (disk, _, _) = ten();
    let before = files(&disk);
    let stop = |_: &Record<'_>| Visit::Stop("not now".to_owned());
    let error = open_from(&disk, 2, Lsn::ZERO, stop).unwrap_err();
    assert!(matches!(error, LogError::Stopped { .. }), "{error}");
    assert_eq!(files(&disk), before);
    check(&disk, 3, Lsn::ZERO, &[0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
}

#[test]
fn release_removes_what_lies_below_and_keeps_what_is_pinned() {
    let (disk, log, lsns) = ten();
    let generations = files(&disk).len();
    assert!(generations >= 4);
    let pin = log.pin(lsns[5]);
    assert!(log.release_below(lsns[9]).unwrap() > 0);
    let seen: Vec<u8> = read_all(&log).iter().map(|record| record.1[0]).collect();
    assert!(seen.contains(&5) && !seen.contains(&0), "{seen:?}");
    assert!(matches!(log.read_from(lsns[0], &mut |_| Visit::Accept), Err(LogError::Gap { .. })));
    drop(pin);
    assert!(log.release_below(Lsn::from_u64(u64::MAX)).unwrap() > 0);
    assert_eq!(files(&disk).len(), 1, "the generation being written stays");
    assert_eq!(log.release_below(Lsn::from_u64(u64::MAX)).unwrap(), 0);
    let oldest = log.first();
    drop(log);
    let crashed = Arc::new(disk.crash(3));
    assert!(matches!(
        open_from(&crashed, 2, lsns[0], |_| Visit::Accept),
        Err(LogError::Gap { .. })
    ));
    assert!(open_from(&crashed, 2, oldest, |_| Visit::Accept).is_ok());
}

#[test]
fn a_log_released_up_to_its_end_opens_from_that_end() {
    let (disk, log, _) = ten();
    let end = log.end();
    drop(log);
    let (log, recovered, _) = open_from(&disk, 2, end, |_| Visit::Accept).unwrap();
    assert!(log.release_below(end).unwrap() > 0);
    log.append(&[50]).unwrap();
    log.sync().unwrap();
    assert!(recovered.end_lsn > end);
    drop(log);
    check(&disk, 3, end, &[50]);
}

#[test]
fn what_is_not_durable_is_not_read_back() {
    let disk = Arc::new(SimDisk::new());
    let log = create(&disk);
    let first = log.append(b"durable").unwrap();
    assert_eq!(log.sync().unwrap(), first);
    log.append(b"not yet").unwrap();
    assert_eq!(read_all(&log).len(), 1);
    assert_eq!(log.durable(), first);
}

#[test]
fn a_record_that_fits_in_no_generation_is_refused() {
    let disk = Arc::new(SimDisk::new());
    let log = create(&disk);
    let limit = log.payload_bytes_max();
    for _ in 0..3 {
        log.append(&vec![1; limit as usize]).unwrap();
    }
    let error = log.append(&vec![1; limit as usize + 1]).unwrap_err();
    assert!(matches!(error, LogError::TooLarge { .. }), "{error}");
    log.sync().unwrap();
    assert_eq!(read_all(&log).len(), 3);
    assert_eq!(open(&disk, 2).unwrap().2.len(), 3);
}

#[test]
fn only_the_right_folder_is_opened_and_only_an_empty_one_created() {
    let disk = Arc::new(SimDisk::new());
    assert!(matches!(open(&disk, 1), Err(LogError::Absent { .. })));
    drop(create(&disk));
    let created = Log::create(disk.clone(), dir(), IDENTITY, 2, clock(), small());
    assert!(matches!(created, Err(LogError::Exists { .. })));
    let accept = &mut |_: Record<'_>| Visit::Accept;
    let foreign = Log::open(disk, dir(), [9; 16], 2, clock(), small(), Lsn::ZERO, accept);
    assert!(matches!(foreign, Err(LogError::Foreign { .. })));
}

#[test]
fn a_file_of_a_later_format_is_refused_by_its_version() {
    let (disk, _, _) = ten();
    let newest = files(&disk).pop().unwrap();
    let mut bytes = disk.contents(&newest).unwrap();
    bytes[12] = 2;
    let crc = rehome_log::crc32c(&bytes[12..4096]);
    bytes[8..12].copy_from_slice(&crc.to_le_bytes());
    disk.set_contents(&newest, bytes);
    assert!(matches!(open(&disk, 2), Err(LogError::Version { found: 2, known: 1, .. })));
}

#[test]
fn other_files_in_the_folder_do_not_matter() {
    let (disk, _, _) = ten();
    disk.set_contents(&name("log/README"), b"hello".to_vec());
    disk.set_contents(&name("log/E1-1.log"), b"hello".to_vec());
    assert_eq!(open(&disk, 2).unwrap().2.len(), 10);
}
