//! A log that is archived: policies change, generations end, records are read and given up, and the
//! disk fails anywhere. Nothing that was acknowledged goes before the archive has it, and base and
//! archive give the store back.

use std::sync::Arc;

use rehome::parts::log::{Lsn, SplitMix64};
use rehome::parts::store::{
    CompactBudget, ContentRun, LogPolicy, LogRecord, OpenOptions, PointRestore, RestorePoint,
    Store, StoreError,
};

use super::keeper::{End, Keeper, clock, honest, options};
use super::model::Model;
use super::rig::{Rig, Site, Trouble};
use super::steps::index;
use super::{Failure, Tally};

/// Calls of the disk among which it fails.
const CALLS: u64 = 400;
/// What is done by archiver and clients before a crash.
const TURNS: usize = 14;

/// Some crashes of a store whose log is archived.
pub(super) fn point(
    lie: Option<Site>,
    random: &mut SplitMix64,
    tally: &mut Tally,
) -> Result<(), Failure> {
    // What is given up soon is what a late archiver would lack.
    let bases = [None, None, Some(64 << 20)][index(random, 3)];
    let options = OpenOptions {
        retention_seconds: 0,
        grace_seconds: 0,
        catalog_base_bytes: bases,
        ..options(random)
    };
    let mut keeper = Keeper::with(lie, options)?;
    let mut archiver = Archiver::default();
    let steps = index(random, 15);
    keeper.work(steps, random)?;
    for _ in 0..=index(random, 3) {
        let trouble = Trouble::ALL[index(random, Trouble::ALL.len())];
        keeper.rig.plan(trouble, random.below(CALLS), random);
        archiver.work(&mut keeper, random)?;
        tally.crash(trouble);
        keeper.crash(trouble, random);
        keeper.recover(random, tally)?;
        keeper.compare()?;
        archiver.check_policy(&keeper.store()).map_err(|failure| keeper.with_trail(failure))?;
    }
    let proved = archiver.prove(&mut keeper, random);
    proved.map_err(|failure| keeper.with_trail(failure))
}

/// A base and the bodies that it needs.
struct Base {
    lsn: Lsn,
    rows: Vec<u8>,
    bodies: Vec<ContentRun>,
}

impl Base {
    fn of(store: &Store) -> Result<Base, StoreError> {
        let snapshot = store.snapshot()?;
        let lsn = snapshot.base_lsn();
        let mut base = Base { lsn, rows: Vec::new(), bodies: Vec::new() };
        snapshot.write_base(&mut base.rows)?;
        snapshot.every_body(&mut |run| {
            base.bodies.push(run);
            Ok(())
        })?;
        Ok(base)
    }
}

/// An archive under way: what it has, and what the store has promised it.
struct Archive {
    whole_after: Lsn,
    base: Base,
    records: Vec<(LogRecord, Vec<ContentRun>)>,
    /// What it has.
    until: Lsn,
    /// What the store has acknowledged that it has.
    noted: Lsn,
}

/// Who archives; what it has lies on a disk that never fails.
#[derive(Default)]
struct Archiver {
    archive: Option<Archive>,
}

impl Archiver {
    /// Archives between calls of clients, until the store stops.
    fn work(&mut self, keeper: &mut Keeper, random: &mut SplitMix64) -> Result<(), Failure> {
        for _ in 0..TURNS {
            let steps = 1 + index(random, 5);
            if let End::Stopped = keeper.work(steps, random)? {
                return Ok(());
            }
            let store = keeper.store();
            let ended = match self.turn(&store, random) {
                Ok(()) => End::Done,
                Err(error) => {
                    whole(&error).map_err(|failure| keeper.with_trail(failure))?;
                    keeper.goes_on(&store)?
                }
            };
            if let End::Stopped = ended {
                return Ok(());
            }
        }
        Ok(())
    }

    /// One thing that an archiver does.
    fn turn(&mut self, store: &Store, random: &mut SplitMix64) -> Result<(), StoreError> {
        match random.below(100) {
            0..8 => {
                // Whatever comes of it, the archive is at an end.
                self.archive = None;
                store.use_circular_log()
            }
            8..20 => store.compact(CompactBudget::default()).map(drop),
            20..35 => store.roll_log().map(drop),
            35..45 => store.checkpoint().map(drop),
            45..75 => self.read(store, random.chance(40)),
            _ => self.note(store),
        }
    }

    /// Reads on, from the beginning if there is no archive yet.
    fn read(&mut self, store: &Store, roll: bool) -> Result<(), StoreError> {
        if self.archive.is_none() {
            let whole_after = store.keep_log_until_archived()?;
            let base = Base::of(store)?;
            let (until, noted, records) = (base.lsn, Lsn::ZERO, Vec::new());
            self.archive = Some(Archive { whole_after, base, records, until, noted });
        }
        let Some(archive) = &mut self.archive else { return Ok(()) };
        let until = if roll { store.roll_log()? } else { store.lsn() };
        let mut reader = store.read_log(archive.until, until)?;
        let mut read = Vec::new();
        while let Some(record) = reader.next_record()? {
            let mut bodies = Vec::new();
            reader.bodies(&record, &mut |run| {
                bodies.push(run);
                Ok(())
            })?;
            read.push((record, bodies));
        }
        archive.records.extend(read);
        archive.until = reader.until();
        Ok(())
    }

    /// Tells the store what the archive has.
    fn note(&mut self, store: &Store) -> Result<(), StoreError> {
        let Some(archive) = &mut self.archive else { return Ok(()) };
        archive.noted = archive.noted.max(store.archived_until(archive.until)?);
        Ok(())
    }

    /// The store knows what it promised.
    fn check_policy(&self, store: &Store) -> Result<(), Failure> {
        let Some(archive) = &self.archive else { return Ok(()) };
        let policy = store.log_policy().map_err(Failure::of("asking for the policy"))?;
        let (low, high) = (archive.noted, archive.until);
        match policy {
            LogPolicy::Archived { whole_after, archived_until }
                if whole_after == archive.whole_after && (low..=high).contains(&archived_until) =>
            {
                Ok(())
            }
            other => Err(Failure::new(format!(
                "the log was archived, whole after {}, noted from {low} to {high}; now {other:?}",
                archive.whole_after
            ))),
        }
    }

    /// Archives the rest on a disk that works, restores, and compares.
    fn prove(&mut self, keeper: &mut Keeper, random: &mut SplitMix64) -> Result<(), Failure> {
        let store = keeper.store();
        self.read(&store, false).map_err(Failure::of("reading the log"))?;
        self.note(&store).map_err(Failure::of("noting what is archived"))?;
        // Clients may close the store and open it again.
        drop(store);
        keeper.work(4, random)?;
        let store = keeper.store();
        store.checkpoint().map_err(Failure::of("a checkpoint"))?;
        self.read(&store, true).map_err(Failure::of("reading the end of the log"))?;
        keeper.compare()?;
        let Some(archive) = &self.archive else { return Ok(()) };
        let found = archive.restored().map_err(Failure::of("restoring from the archive"))?;
        if found == keeper.certain {
            return Ok(());
        }
        let difference = keeper.certain.difference(&found);
        let text = format!("restored {found:?}, not {:?}", keeper.certain);
        Err(Failure { difference, ..Failure::new(text) })
    }
}

impl Archive {
    /// What a store holds that is restored from base and records.
    fn restored(&self) -> Result<Model, StoreError> {
        let disk = Arc::new(Rig::new(None));
        let options = OpenOptions { cache_bytes: 1 << 20, ..OpenOptions::default() };
        let (point, above) = (RestorePoint::End, self.until);
        let mut restore =
            PointRestore::create(disk.clone(), clock(), options.clone(), point, above)?;
        for run in &self.base.bodies {
            restore.put_run(run)?;
        }
        restore.put_base(&mut self.base.rows.as_slice())?;
        for (record, bodies) in &self.records {
            for run in bodies.iter().filter(|_| restore.wants(record)).collect::<Vec<_>>() {
                restore.put_run(run)?;
            }
            restore.replay(record)?;
        }
        let restore_marker = Some(restore.finish()?.marker);
        Model::of(&Store::open(disk, clock(), OpenOptions { restore_marker, ..options })?)
    }
}

/// A failing disk is no reason to lack what the archive has not.
fn whole(error: &StoreError) -> Result<(), Failure> {
    match error {
        StoreError::NamesGap { .. }
        | StoreError::NoSuchContent { .. }
        | StoreError::LogIsCircular
        | StoreError::NotAcknowledged { .. } => {
            Err(Failure::new(format!("an archived log is not whole: {error}")))
        }
        StoreError::Closed => Ok(()),
        other => honest(other),
    }
}
