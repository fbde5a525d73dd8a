//! Logs cut short and with flipped bits.

use std::sync::Arc;

use rehome_log::{FileName, LogError, SimDisk};

use crate::support::{Read, changed, create, files, open};

/// A log over two generations, each record synced before the next, and its records.
fn log_of(closed: bool) -> (Arc<SimDisk>, Vec<Read>) {
    let disk = Arc::new(SimDisk::new());
    let log = create(&disk);
    let mut records = Vec::new();
    for serial in 0..6_u8 {
        if serial == 3 {
            log.roll().unwrap();
        }
        let payload = vec![serial; 10 + usize::from(serial)];
        records.push((log.append(&payload).unwrap(), payload));
        log.sync().unwrap();
    }
    if closed {
        log.close().unwrap();
    }
    (disk, records)
}

/// Opens a damaged log: it fails, or gives back at least the first `at_least` records.
#[track_caller]
fn check(disk: &Arc<SimDisk>, records: &[Read], at_least: usize, what: &str) -> bool {
    match open(disk, 2) {
        Err(LogError::Damaged { .. } | LogError::Gap { .. }) => true,
        Err(error) => panic!("{what}: {error}"),
        Ok((_, _, read)) => {
            assert!(read.len() >= at_least, "{what}: {} records", read.len());
            assert_eq!(read, records[..read.len()], "{what}");
            false
        }
    }
}

fn flip_every_byte(disk: &SimDisk, records: &[Read], at_least: usize) -> usize {
    let mut refused = 0;
    for name in files(disk) {
        for at in 0..disk.contents(&name).unwrap().len() {
            let damaged = changed(disk, &name, |bytes| bytes[at] ^= 1 << (at % 8));
            let what = format!("{name}, byte {at:#x}");
            refused += usize::from(check(&damaged, records, at_least, &what));
        }
    }
    refused
}

#[test]
fn a_flipped_bit_is_noticed_or_in_the_tail() {
    let (disk, records) = log_of(false);
    assert!(flip_every_byte(&disk, &records, 5) > 8000);
}

#[test]
fn in_a_closed_log_no_flipped_bit_costs_a_record_unnoticed() {
    let (disk, records) = log_of(true);
    assert!(flip_every_byte(&disk, &records, 6) > 8000);
}

/// The file of the newest generation, and where its last record begins and ends.
fn last_record(disk: &SimDisk, records: &[Read]) -> (FileName, usize, usize) {
    let (lsn, payload) = records.last().unwrap();
    let start = lsn.offset() as usize;
    let end = (start + 48 + payload.len()).next_multiple_of(8);
    (files(disk).pop().unwrap(), start, end)
}

#[test]
fn a_log_cut_at_any_byte_of_its_last_record_ends_before_it() {
    let (disk, records) = log_of(false);
    let (name, start, end) = last_record(&disk, &records);
    for cut in start..end {
        let shorter = changed(&disk, &name, |bytes| bytes.truncate(cut));
        let (_, recovered, read) = open(&shorter, 2).unwrap();
        assert_eq!(read, records[..5], "cut at {cut}");
        assert!(recovered.torn_bytes <= (cut - start) as u64);
    }
    let whole = changed(&disk, &name, |bytes| bytes.truncate(end));
    assert_eq!(open(&whole, 2).unwrap().2, records);
}

#[test]
fn a_last_record_with_zeros_after_any_byte_ends_the_log_or_is_whole() {
    let (disk, records) = log_of(false);
    let (name, start, end) = last_record(&disk, &records);
    for cut in start..end {
        let torn = changed(&disk, &name, |bytes| bytes[cut..end].fill(0));
        let what = format!("zeros from {cut} on");
        assert!(!check(&torn, &records, 5, &what));
    }
}

#[test]
fn damage_names_its_place_and_the_way_out() {
    let (disk, records) = log_of(false);
    let (name, _, _) = last_record(&disk, &records);
    let at = records[4].0.offset() as usize;
    let damaged = changed(&disk, &name, |bytes| bytes[at + 50] ^= 1);
    let error = open(&damaged, 2).unwrap_err();
    assert_eq!(
        error.to_string(),
        "generation 0x2 is damaged at offset 0x1040 (log/E0000000002-00000001.log): the record \
         there has a wrong checksum, and 0000000002:001040 was acknowledged; records from there \
         on cannot be trusted and nothing was changed: restore this file from an archived copy, \
         or restore the store"
    );
}

#[test]
fn a_refused_log_is_left_as_it_was() {
    let (disk, records) = log_of(false);
    let (name, _, _) = last_record(&disk, &records);
    let at = records[4].0.offset() as usize;
    let damaged = changed(&disk, &name, |bytes| bytes[at] ^= 1);
    let before: Vec<_> = files(&damaged).iter().map(|name| damaged.contents(name)).collect();
    open(&damaged, 2).unwrap_err();
    let after: Vec<_> = files(&damaged).iter().map(|name| damaged.contents(name)).collect();
    assert!(before == after);
}

#[test]
fn a_missing_generation_is_a_gap() {
    let (disk, _) = log_of(false);
    let oldest = files(&disk).remove(0);
    rehome_log::Disk::remove(&*disk, &oldest).unwrap();
    assert!(matches!(open(&disk, 2), Err(LogError::Gap { .. })));
}

#[test]
fn a_sealed_generation_of_another_history_is_damage() {
    let history = |byte: u8| {
        let disk = Arc::new(SimDisk::new());
        let log = create(&disk);
        log.append(&[byte; 50]).unwrap();
        log.roll().unwrap();
        disk
    };
    let (ours, other) = (history(1), history(2));
    let oldest = files(&ours).remove(0);
    ours.set_contents(&oldest, other.contents(&oldest).unwrap());
    let error = open(&ours, 2).unwrap_err();
    assert!(error.to_string().contains("another checksum"), "{error}");
}
