//! A writer that lost the log and does not know it yet.

use std::sync::Arc;

use rehome_log::{Disk, Log, LogError, Lsn, Ownership, Record, SimDisk, SplitMix64, Visit};

use crate::support::{IDENTITY, Read, clock, create, dir, name, open, read_all, small};

/// What a writer appended before it lost the log, and after.
struct Writer {
    log: Log,
    serial: u8,
}

impl Writer {
    fn append(&mut self, rng: &mut SplitMix64) -> Option<Read> {
        self.serial = self.serial.wrapping_add(1);
        let payload = vec![self.serial; 1 + rng.below(900) as usize];
        let lsn = self.log.append(&payload).ok()?;
        self.log.sync().ok()?;
        if rng.chance(15) {
            self.log.roll().ok()?;
        }
        Some((lsn, payload))
    }
}

#[test]
fn what_a_late_writer_writes_is_never_read() {
    for seed in 0..100 {
        let mut rng = SplitMix64::new(seed);
        let disk = Arc::new(SimDisk::new());
        let mut expected: Vec<Read> = Vec::new();
        let mut current = Writer { log: create(&disk), serial: 0 };
        let mut late: Vec<Writer> = Vec::new();
        for epoch in 2..7 {
            for _ in 0..rng.below(15) {
                expected.extend(current.append(&mut rng));
                for writer in &mut late {
                    writer.append(&mut rng);
                }
            }
            let (log, _, records) = open(&disk, epoch).unwrap();
            assert_eq!(records, expected, "seed {seed}, epoch {epoch}");
            late.push(std::mem::replace(&mut current, Writer { log, serial: epoch as u8 * 40 }));
        }
        assert_eq!(read_all(&current.log), expected, "seed {seed}");
    }
}

#[test]
fn an_epoch_must_be_above_all_that_were_here() {
    let disk = Arc::new(SimDisk::new());
    drop(create(&disk));
    assert!(matches!(open(&disk, 1), Err(LogError::StaleEpoch { mine: 1, found: 1, .. })));
    drop(open(&disk, 5).unwrap());
    assert!(matches!(open(&disk, 4), Err(LogError::StaleEpoch { mine: 4, found: 5, .. })));
    assert!(open(&disk, 6).is_ok());
}

#[test]
fn a_late_generation_of_the_same_number_does_not_count() {
    let disk = Arc::new(SimDisk::new());
    let late = create(&disk);
    late.append(b"seen by the next owner").unwrap();
    let (current, _, _) = open(&disk, 2).unwrap();
    late.append(b"late").unwrap();
    late.roll().unwrap();
    late.append(b"late in a generation of its own").unwrap();
    late.sync().unwrap();
    current.append(b"second owner").unwrap();
    current.sync().unwrap();
    let (_, _, records) = open(&disk, 3).unwrap();
    let texts: Vec<_> = records.iter().map(|r| std::str::from_utf8(&r.1).unwrap()).collect();
    assert_eq!(texts, ["seen by the next owner", "second owner"]);
}

/// The owner of epoch 3 has listed the folder when `between` happens; then the one of `epoch` opens
/// the log, its epoch written last.
#[track_caller]
fn check_overtaken(epoch: u64, between: impl Fn(&Log)) {
    let disk = Arc::new(SimDisk::new());
    let old = create(&disk);
    old.append(b"of the owner before").unwrap();
    old.sync().unwrap();
    let mut faster = None;
    let mut visit = |_: Record<'_>| {
        between(&old);
        let elsewhere = Arc::new(SimDisk::new());
        drop(Ownership::acquire(Arc::clone(&elsewhere) as Arc<dyn Disk>, "faster", epoch).unwrap());
        disk.set_contents(&name("epoch"), elsewhere.contents(&name("epoch")).unwrap());
        let (log, ..) = open(&disk, epoch).unwrap();
        log.append(b"of the faster one").unwrap();
        log.sync().unwrap();
        faster = Some(log);
        Visit::Accept
    };
    let there = Arc::clone(&disk) as Arc<dyn Disk>;
    let slower =
        Log::open(there, dir(), IDENTITY, 3, clock(), small(), Lsn::ZERO, &mut visit).map(drop);
    match slower {
        Err(LogError::StaleEpoch { mine: 3, found, .. }) => assert_eq!(found, epoch),
        other => panic!("{other:?}"),
    }
    let faster = faster.unwrap();
    faster.append(b"and again").unwrap();
    faster.sync().unwrap();
    disk.remove(&name("epoch")).unwrap();
    let (_, _, records) = open(&disk, 5).unwrap();
    let texts: Vec<_> = records.iter().map(|r| std::str::from_utf8(&r.1).unwrap()).collect();
    assert_eq!(texts, ["of the owner before", "of the faster one", "and again"]);
}

/// Two owners who read the same newest epoch take the same next one.
#[test]
fn of_two_owners_with_one_epoch_the_slower_one_is_refused() {
    check_overtaken(3, |_| ());
}

#[test]
fn of_two_owners_with_one_epoch_the_slower_one_is_refused_though_the_names_differ() {
    check_overtaken(3, |old| {
        old.roll().unwrap();
    });
}

/// The one with the lower epoch had read the epoch file long before it wrote it.
#[test]
fn a_lower_epoch_that_has_begun_meanwhile_is_not_left_out() {
    check_overtaken(2, |_| ());
    check_overtaken(2, |old| {
        old.roll().unwrap();
    });
}

#[test]
fn a_higher_epoch_that_has_begun_meanwhile_is_the_one_that_counts() {
    check_overtaken(4, |_| ());
}
