//! Random work, random faults, random crashes: what was acknowledged is always there.

use std::sync::Arc;

use rehome_log::{Disk, Fault, Log, LogError, SimDisk, SplitMix64};

use crate::support::{Liar, Lie, Read, create_on, open_on};

const ROUNDS: usize = 5;

/// The log's disk over several lives, and what must be on it.
struct Life {
    rng: SplitMix64,
    disk: Arc<SimDisk>,
    lie: Lie,
    epoch: u64,
    /// Every record that may be there, in order.
    submitted: Vec<Read>,
    /// How many of them must be.
    acknowledged: usize,
    serial: u64,
}

impl Life {
    fn view(&self) -> Arc<dyn Disk> {
        Arc::new(Liar { disk: Arc::clone(&self.disk), lie: self.lie })
    }

    fn plan_fault(&mut self, within_ops: u64) {
        let faults = [Fault::PowerCut, Fault::PowerCut, Fault::Eio, Fault::Enospc, Fault::FsyncEio];
        let fault = faults[self.rng.below(faults.len() as u64) as usize];
        let after = self.rng.below(within_ops);
        self.disk.fail_after(after, fault);
    }

    /// The power goes, or only the process.
    fn end(&mut self) {
        let power_cut = self.rng.chance(70);
        let seed = self.rng.next_u64();
        let left = if power_cut { self.disk.crash(seed) } else { self.disk.restart() };
        self.disk = Arc::new(left);
    }

    fn payload(&mut self) -> Vec<u8> {
        self.serial += 1;
        let size_max = if self.rng.chance(20) { 1500 } else { 120 };
        let size = self.rng.below(size_max) as usize;
        let mut payload = self.serial.to_le_bytes().to_vec();
        payload.resize(8 + size, self.serial as u8);
        payload
    }

    fn append(&mut self, log: &Log) -> Result<(), LogError> {
        let payload = self.payload();
        match log.append(&payload) {
            Ok(lsn) => self.submitted.push((lsn, payload)),
            Err(LogError::NoSpace { .. }) => self.disk.heal(),
            Err(error) => {
                // It may be there; where, the next opening tells.
                self.submitted.push((log.end(), payload));
                return Err(error);
            }
        }
        Ok(())
    }

    /// Works until a fault or enough.
    fn work(&mut self, log: &Log) -> Result<(), LogError> {
        for _ in 0..60 {
            match self.rng.below(11) {
                0..=5 => self.append(log)?,
                6..=8 => {
                    let count = self.submitted.len();
                    log.sync()?;
                    self.acknowledged = count;
                }
                9 => match log.prepare_ahead(1 + self.rng.below(3) as usize) {
                    Ok(_) | Err(LogError::Io { .. }) => {}
                    Err(LogError::NoSpace { .. }) => self.disk.heal(),
                    Err(error) => return Err(error),
                },
                _ => match log.roll() {
                    Err(LogError::NoSpace { .. }) => self.disk.heal(),
                    rolled => _ = rolled?,
                },
            }
        }
        Ok(())
    }

    /// Opens under faults until it works, and checks what is there.
    fn reopen(&mut self) -> Result<Log, String> {
        loop {
            self.epoch += 1;
            if self.rng.chance(40) {
                self.plan_fault(25);
            }
            match open_on(self.view(), self.epoch) {
                Ok((log, _, records)) => {
                    self.disk.heal();
                    self.compare(records)?;
                    return Ok(log);
                }
                Err(error @ (LogError::Io { .. } | LogError::NoSpace { .. })) => {
                    if !error.to_string().contains("power") {
                        self.disk.heal();
                    }
                    self.end();
                }
                Err(LogError::Absent { .. }) if self.submitted.is_empty() => {
                    match create_on(self.view(), self.epoch) {
                        Ok(log) => return Ok(log),
                        Err(_) => self.end(),
                    }
                }
                Err(error) => return Err(error.to_string()),
            }
        }
    }

    fn compare(&mut self, records: Vec<Read>) -> Result<(), String> {
        let (found, must, may) = (records.len(), self.acknowledged, self.submitted.len());
        if found < must || found > may {
            return Err(format!("{found} records, {must} to {may} expected"));
        }
        for (read, submitted) in records.iter().zip(&self.submitted) {
            // A failed append does not tell its place.
            let placed = read.0 == submitted.0 || found == may;
            if read.1 != submitted.1 || !placed {
                return Err(format!("at {} another record than expected", read.0));
            }
        }
        if !records.is_sorted_by(|a, b| a.0 < b.0) {
            return Err("positions do not rise".to_owned());
        }
        self.acknowledged = found;
        self.submitted = records;
        Ok(())
    }
}

fn run(seed: u64, lie: Lie) -> Result<(), String> {
    let mut life = Life {
        rng: SplitMix64::new(seed),
        disk: Arc::new(SimDisk::new()),
        lie,
        epoch: 0,
        submitted: Vec::new(),
        acknowledged: 0,
        serial: 0,
    };
    for _ in 0..ROUNDS {
        let log = life.reopen()?;
        life.plan_fault(150);
        if life.work(&log).is_ok() && life.rng.chance(30) {
            let count = life.submitted.len();
            if log.close().is_ok() {
                life.acknowledged = count;
            }
        }
        life.end();
    }
    life.reopen().map(drop)
}

#[track_caller]
fn check(seeds: std::ops::Range<u64>, lie: Lie) -> usize {
    let failures: Vec<_> =
        seeds.filter_map(|seed| run(seed, lie).err().map(|error| (seed, error))).collect();
    if lie == Lie::None {
        assert!(failures.is_empty(), "{} failures, such as {:?}", failures.len(), failures[0]);
    }
    failures.len()
}

#[test]
fn after_any_crash_the_log_is_a_prefix_with_everything_acknowledged() {
    check(0..400, Lie::None);
}

#[test]
fn a_disk_that_lies_about_syncs_of_files_is_noticed() {
    assert!(check(0..60, Lie::Files) > 0);
}

#[test]
fn a_disk_that_lies_about_syncs_of_folders_is_noticed() {
    assert!(check(0..60, Lie::Folders) > 0);
}
