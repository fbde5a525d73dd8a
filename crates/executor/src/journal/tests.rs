//! Journals cut, damaged and given to the wrong plan.

use std::collections::BTreeMap;

use rehome_log::{ManualClock, SimDisk};
use rehome_planner::StepId;

use super::*;

fn binding() -> Binding {
    Binding { plan: "p".to_owned(), inventory_hash: "h".to_owned(), steps_crc32c: 7 }
}

fn name() -> FileName {
    FileName::new("run/journal").expect("it is a file name")
}

fn records() -> Vec<Record> {
    let step = || StepId::from("S0");
    vec![
        Record::Begin { step: step(), attempt: 1 },
        Record::Failed { step: step(), how: Failure::Interrupted, why: "a\nb".to_owned() },
        Record::Begin { step: step(), attempt: 2 },
        Record::Done {
            step: step(),
            notes: vec!["größer".to_owned()],
            figures: BTreeMap::from([("lock_ms.p99".to_owned(), 1.5)]),
        },
        Record::Finished,
    ]
}

fn open(disk: &Arc<SimDisk>) -> Result<(Journal, Vec<Entry>), ExecutorError> {
    Journal::open(disk.clone(), name(), Arc::new(ManualClock::new(5)), &binding())
}

/// A disk with a whole journal, and the bytes of it.
fn written() -> (Arc<SimDisk>, Vec<u8>) {
    let disk = Arc::new(SimDisk::new());
    let (mut journal, _) = open(&disk).unwrap();
    for record in records() {
        journal.append(&record).unwrap();
    }
    drop(journal);
    let bytes = disk.contents(&name()).unwrap();
    (disk, bytes)
}

/// What a journal with these bytes says; the error's text if it is refused.
#[track_caller]
fn check(bytes: &[u8], expected: Result<usize, &str>) {
    let (disk, _) = written();
    disk.set_contents(&name(), bytes.to_vec());
    match (open(&disk), expected) {
        (Ok((_, entries)), Ok(count)) => assert_eq!(entries.len(), count),
        (Err(error), Err(part)) => assert!(error.to_string().contains(part), "{error}"),
        (got, expected) => panic!("{:?} instead of {expected:?}", got.map(|(_, at)| at.len())),
    }
}

#[test]
fn what_was_appended_is_read_back() {
    let (disk, _) = written();
    let (_, entries) = open(&disk).unwrap();
    let read: Vec<_> = entries.into_iter().skip(1).map(|entry| entry.record).collect();
    assert_eq!(read, records());
}

#[test]
fn a_journal_cut_at_any_byte_keeps_its_whole_lines() {
    let (_, bytes) = written();
    for cut in 0..=bytes.len() {
        let lines = bytes[..cut].iter().filter(|byte| **byte == b'\n').count();
        check(&bytes[..cut], Ok(lines));
        let zeros = [&bytes[..cut], &[0; 40][..]].concat();
        check(&zeros, Ok(lines));
    }
}

#[test]
fn a_cut_journal_goes_on_where_it_was_cut() {
    let (disk, bytes) = written();
    for cut in 0..bytes.len() {
        disk.set_contents(&name(), bytes[..cut].to_vec());
        let (mut journal, entries) = open(&disk).unwrap();
        journal.append(&Record::BackOut).unwrap();
        drop(journal);
        let (_, again) = open(&disk).unwrap();
        assert_eq!(again.len(), entries.len().max(1) + 1, "cut at {cut}");
        assert_eq!(again[again.len() - 1].record, Record::BackOut);
    }
}

#[test]
fn a_changed_byte_is_refused_with_its_line() {
    let (_, bytes) = written();
    for at in 0..bytes.len() - 1 {
        let mut damaged = bytes.clone();
        damaged[at] ^= 0x01;
        let line = bytes[..at].iter().filter(|byte| **byte == b'\n').count() + 1;
        check(&damaged, Err(&format!("line {line}, byte")));
    }
}

#[test]
fn a_line_that_is_gone_or_doubled_is_refused() {
    let (_, bytes) = written();
    let lines: Vec<_> = bytes.split_inclusive(|byte| *byte == b'\n').collect();
    for at in 0..lines.len() - 1 {
        let without = [&lines[..at], &lines[at + 1..]].concat().concat();
        check(&without, Err("it has number"));
        let twice = [&lines[..=at], &lines[at..]].concat().concat();
        check(&twice, Err("it has number"));
    }
}

#[test]
fn a_journal_of_another_plan_or_format_is_refused() {
    let line = |format, plan: &str, steps_crc32c| {
        line::encode(
            1,
            0,
            &Record::Bound {
                format,
                plan: plan.to_owned(),
                inventory_hash: "h".to_owned(),
                steps_crc32c,
            },
        )
    };
    check(&line(1, "p", 7), Ok(1));
    check(&line(1, "q", 7), Err("belongs to plan q"));
    check(&line(1, "p", 8), Err("belongs to plan p"));
    check(&line(2, "p", 7), Ok(1));
    check(&line(3, "p", 7), Err("format 3"));
    check(&line::encode(1, 0, &Record::Finished), Err("does not name a plan"));
}

#[test]
fn two_programs_never_hold_one_journal() {
    let (disk, _) = written();
    let first = open(&disk).unwrap();
    assert!(matches!(open(&disk), Err(ExecutorError::InUse { .. })));
    drop(first);
    assert!(open(&disk).is_ok());
}

#[test]
fn after_a_write_that_failed_nothing_is_written() {
    let (disk, _) = written();
    let (mut journal, _) = open(&disk).unwrap();
    disk.fail_after(0, rehome_log::Fault::Eio);
    assert!(journal.append(&Record::BackOut).is_err());
    disk.heal();
    assert!(journal.append(&Record::BackOut).is_err());
}
