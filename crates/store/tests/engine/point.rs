//! Stores restored to a moment: from a base taken anywhere and the archived log from there on,
//! read in pieces while work goes on, a store is what it was, at every moment.

use std::sync::Arc;

use rehome_log::{Lsn, SimDisk, SplitMix64};
use rehome_store::{
    ContentRun, LogRecord, OpenOptions, PointRestore, Replayed, RestorePoint, RestoredTo, Snapshot,
    Store, StoreError,
};

use crate::script::{Seen, begin, choose, index, script_options};
use crate::support::{check_whole, clock};

/// A base as a backup has it.
#[derive(Default)]
struct Base {
    bodies: Vec<ContentRun>,
    rows: Vec<u8>,
    lsn: Lsn,
}

impl Base {
    fn of(snapshot: &Snapshot) -> Base {
        let mut base = Base { lsn: snapshot.lsn(), ..Base::default() };
        let mut keep = |run| {
            base.bodies.push(run);
            Ok(())
        };
        snapshot.every_body(&mut keep).unwrap();
        snapshot.write_base(&mut base.rows).unwrap();
        base
    }
}

/// Archived log: records, each with the bodies that it puts.
#[derive(Default)]
struct Archive {
    records: Vec<(LogRecord, Vec<ContentRun>)>,
    until: Lsn,
}

impl Archive {
    /// Reads on up to `until`; `meanwhile` is done in the middle.
    fn read(&mut self, store: &Store, until: Lsn, meanwhile: &mut dyn FnMut()) {
        let mut reader = store.read_log(self.until, until).unwrap();
        let mut count = 0;
        while let Some(record) = reader.next_record().unwrap() {
            let mut bodies = Vec::new();
            let mut keep = |run| {
                bodies.push(run);
                Ok(())
            };
            reader.bodies(&record, &mut keep).unwrap();
            self.records.push((record, bodies));
            count += 1;
            if count == 2 {
                meanwhile();
            }
        }
        self.until = reader.until();
    }
}

/// A history: what is seen after each step, the base, and the log from it on.
struct History {
    seen: Vec<(Lsn, Seen)>,
    base: Base,
    archive: Archive,
    end: Lsn,
}

/// Works at random and archives at random.
fn history(seed: u64, steps: usize) -> History {
    let mut random = SplitMix64::new(seed);
    let (_disk, store) = begin();
    let base_at = index(&mut random, steps / 2);
    let (mut snapshot, mut base) = (None, None);
    let mut archive = Archive::default();
    let mut seen = Vec::new();
    for number in 0..steps {
        if number == base_at {
            archive.until = store.archive_log().unwrap();
            snapshot = Some(store.snapshot().unwrap());
        }
        work(&store, &mut random, number, &mut seen);
        if snapshot.is_some() && random.chance(25) {
            base = snapshot.take().map(|snapshot| Base::of(&snapshot)).or(base);
        }
        if number > base_at && random.chance(20) {
            let rolled = random.chance(50).then(|| store.roll_log().unwrap());
            let until = rolled.unwrap_or_else(|| store.lsn());
            let mut more = || work(&store, &mut random, 1000 + number, &mut seen);
            archive.read(&store, until, &mut more);
            assert_eq!(store.archived_until(until).unwrap(), archive.until);
        }
    }
    base = snapshot.take().map(|snapshot| Base::of(&snapshot)).or(base);
    let until = store.roll_log().unwrap();
    archive.read(&store, until, &mut || {});
    let base = base.unwrap();
    seen.retain(|(lsn, _)| *lsn >= base.lsn);
    History { seen, base, archive, end: until }
}

fn work(store: &Store, random: &mut SplitMix64, number: usize, seen: &mut Vec<(Lsn, Seen)>) {
    let step = choose(store, random, number);
    step.run(store).unwrap_or_else(|error| panic!("{step:?}: {error}"));
    seen.push((store.lsn(), Seen::of(store)));
}

fn options() -> OpenOptions {
    OpenOptions { store_id: None, ..script_options() }
}

/// Restores to `point`.
fn restore(
    disk: &Arc<SimDisk>,
    base: &Base,
    archive: &Archive,
    point: RestorePoint,
) -> Result<RestoredTo, StoreError> {
    let above = archive.until;
    let mut restore = PointRestore::create(disk.clone(), clock(), options(), point, above)?;
    for run in &base.bodies {
        restore.put_run(run)?;
    }
    assert_eq!(restore.put_base(&mut base.rows.as_slice())?, base.lsn);
    for (record, bodies) in &archive.records {
        if restore.wants(record) {
            for run in bodies {
                restore.put_run(run)?;
            }
        }
        if restore.replay(record)? == Replayed::Beyond {
            break;
        }
    }
    restore.finish()
}

fn open(disk: &Arc<SimDisk>, restored: &RestoredTo) -> Result<Store, StoreError> {
    let restore_marker = Some(restored.marker.clone());
    Store::open(disk.clone(), clock(), OpenOptions { restore_marker, ..options() })
}

#[track_caller]
fn check_point(seed: u64, history: &History, lsn: Lsn, expected: &Seen) {
    let disk = Arc::new(SimDisk::new());
    let point = RestorePoint::Lsn(lsn);
    let restored = restore(&disk, &history.base, &history.archive, point)
        .unwrap_or_else(|error| panic!("seed {seed}, to {lsn}: {error}"));
    let store = open(&disk, &restored).unwrap();
    check_whole(&store);
    assert_eq!(Seen::of(&store), *expected, "seed {seed}, to {lsn}");
    assert!(store.lsn() <= history.base.lsn || store.lsn() > history.end, "a new history");
    assert_ne!(store.id(), [7; 16]);
}

/// Seeds of a run; `REHOME_POINT_SEEDS=1000` asks for more.
fn seeds() -> u64 {
    std::env::var("REHOME_POINT_SEEDS").ok().and_then(|seeds| seeds.parse().ok()).unwrap_or(50)
}

#[test]
fn a_store_comes_back_as_it_was_at_any_moment_after_its_base() {
    for seed in 0..seeds() {
        let history = history(seed, 40);
        let mut random = SplitMix64::new(seed ^ 0x70);
        for _ in 0..20 {
            let (lsn, expected) = &history.seen[index(&mut random, history.seen.len())];
            // Steps that change nothing have the LSN of the one before.
            check_point(seed, &history, *lsn, expected);
        }
    }
}
