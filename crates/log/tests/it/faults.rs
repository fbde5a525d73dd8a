//! One fault at every call of a short script.

use std::sync::Arc;

use rehome_log::{Fault, Log, LogError, SimDisk};

use crate::support::{create_on, open};

/// What the script got an acknowledgement for, and what it tried.
#[derive(Default)]
struct Outcome {
    acknowledged: usize,
    tried: Vec<Vec<u8>>,
    error: Option<LogError>,
}

fn step(log: &Log, serial: u8, outcome: &mut Outcome) -> Result<(), LogError> {
    let payload = vec![serial; 700];
    outcome.tried.push(payload.clone());
    if let Err(error) = log.append(&payload) {
        if matches!(error, LogError::NoSpace { .. }) {
            outcome.tried.pop();
        }
        return Err(error);
    }
    log.sync()?;
    outcome.acknowledged = outcome.tried.len();
    Ok(())
}

/// Twelve records of 700 bytes, each synced: three generations.
fn script(disk: &Arc<SimDisk>) -> Outcome {
    let mut outcome = Outcome::default();
    let log = match create_on(disk.clone(), 1) {
        Ok(log) => log,
        Err(error) => {
            outcome.error = Some(error);
            return outcome;
        }
    };
    for serial in 1..=12 {
        if let Err(error) = step(&log, serial, &mut outcome) {
            // A log that failed stays failed.
            if !matches!(error, LogError::NoSpace { .. }) {
                assert!(matches!(error, LogError::Poisoned { .. }), "{error}");
                assert!(matches!(log.append(b"x"), Err(LogError::Poisoned { .. })));
                assert!(matches!(log.sync(), Err(LogError::Poisoned { .. })));
                assert!(matches!(log.roll(), Err(LogError::Poisoned { .. })));
            }
            outcome.error = Some(error);
            return outcome;
        }
    }
    outcome
}

#[track_caller]
fn check(fault: Fault, good_error: impl Fn(&LogError) -> bool) {
    let quiet = Arc::new(SimDisk::new());
    assert!(script(&quiet).error.is_none());
    let mut hits = 0;
    for at in 0..quiet.ops() {
        for seed in 0..8 {
            let disk = Arc::new(SimDisk::new());
            disk.fail_after(at, fault);
            let outcome = script(&disk);
            hits += usize::from(outcome.error.is_some());
            if let Some(error) = &outcome.error {
                assert!(good_error(error), "call {at}: {error}");
            }
            disk.heal();
            // Seed 0: only the process ends.
            let left = if seed == 0 { disk.restart() } else { disk.crash(seed) };
            compare(&Arc::new(left), &outcome, at, seed);
        }
    }
    assert!(hits > 8, "the fault was never met");
}

#[track_caller]
fn compare(left: &Arc<SimDisk>, outcome: &Outcome, at: u64, seed: u64) {
    let records = match open(left, 2) {
        Ok((_, _, records)) => records,
        Err(LogError::Absent { .. }) if outcome.acknowledged == 0 => return,
        Err(error) => panic!("call {at}, seed {seed}: {error}"),
    };
    let read: Vec<_> = records.into_iter().map(|record| record.1).collect();
    assert!(read.len() >= outcome.acknowledged, "call {at}, seed {seed}: a record is lost");
    assert_eq!(read, outcome.tried[..read.len()], "call {at}, seed {seed}");
    // What an opening gave back stays, whatever happens next.
    let again = Arc::new(left.crash(seed));
    let (_, _, records) = open(&again, 3).unwrap();
    assert_eq!(records.len(), read.len(), "call {at}, seed {seed}: an opening was not durable");
}

#[test]
fn an_error_of_any_call_loses_nothing_acknowledged() {
    check(Fault::Eio, |error| matches!(error, LogError::Io { .. } | LogError::Poisoned { .. }));
}

#[test]
fn a_failed_sync_loses_nothing_acknowledged() {
    check(Fault::FsyncEio, |error| {
        matches!(error, LogError::Io { .. } | LogError::Poisoned { .. })
    });
}

#[test]
fn a_power_cut_at_any_call_loses_nothing_acknowledged() {
    check(Fault::PowerCut, |error| {
        matches!(error, LogError::Io { .. } | LogError::Poisoned { .. })
    });
}

#[test]
fn a_full_disk_is_said_to_be_full_and_loses_nothing() {
    check(Fault::Enospc, |error| {
        let in_folder = matches!(error, LogError::Io { action: "make the folder", .. });
        in_folder || matches!(error, LogError::NoSpace { .. })
    });
}

#[test]
fn a_log_on_a_full_disk_goes_on_once_there_is_room() {
    for at in 0..8 {
        let disk = Arc::new(SimDisk::new());
        let log = create_on(disk.clone(), 1).unwrap();
        log.append(&[1; 3000]).unwrap();
        disk.fail_after(at, Fault::Enospc);
        let mut expected = vec![1];
        match log.append(&[2; 3000]) {
            Ok(_) => expected.push(2),
            Err(error) => assert!(matches!(error, LogError::NoSpace { .. }), "{error}"),
        }
        log.append(b"small ones still fit").unwrap();
        log.sync().unwrap();
        disk.heal();
        log.append(&[3; 3000]).unwrap();
        log.sync().unwrap();
        let (_, _, records) = open(&Arc::new(disk.crash(1)), 2).unwrap();
        let first_bytes: Vec<u8> = records.iter().map(|record| record.1[0]).collect();
        expected.extend([b's', 3]);
        assert_eq!(first_bytes, expected, "call {at}");
    }
}
