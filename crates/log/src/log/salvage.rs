//! What can be read still of a log that cannot be opened, and how such a log is put aside.

use super::chain::{self, Generation};
use super::header::{GenerationId, HEADER_SIZE};
use super::read::{Record, Visit, shown};
use super::record::{Decoded, Fields, RecordKind};
use super::recover::read_all;
use super::scan::whole_records;
use super::{Log, next_number};
use crate::disk::{Disk, FileName};
use crate::error::LogError;
use crate::lsn::Lsn;

/// What is added to the name of a generation that is put aside.
const ASIDE: &str = ".lost";

/// How far a log that cannot be opened can be read.
#[derive(Debug)]
pub struct Salvage {
    /// Why it cannot be opened.
    pub damage: LogError,
    /// The last record, of any kind, before which none is missing.
    pub until: Lsn,
    /// The highest LSN that the log says was acknowledged, in what of it is whole.
    pub acknowledged: Lsn,
}

impl Log {
    /// Reads a log that cannot be opened from behind the record `after` on, and changes nothing.
    /// None if the log is whole.
    ///
    /// Shows `visit` every whole record of the log's own, oldest first, and whether it follows:
    /// whether each one between `after` and it was there too. Only those can be built on. Of a
    /// record that follows, [`Visit::CutHere`] says that it cannot; then none follows any more.
    ///
    /// # Errors
    ///
    /// [`LogError::Stopped`] if the visitor said so; [`LogError::Foreign`], [`LogError::Version`],
    /// [`LogError::Io`].
    pub fn salvage(
        disk: &dyn Disk,
        dir: &FileName,
        identity: [u8; 16],
        after: Lsn,
        visit: &mut dyn FnMut(Record<'_>, bool) -> Visit,
    ) -> Result<Option<Salvage>, LogError> {
        let damage = match read_all(disk, dir, identity, after, &mut |_| Visit::Accept) {
            Ok(_) => return Ok(None),
            Err(
                error @ (LogError::Damaged { .. } | LogError::Gap { .. } | LogError::Absent { .. }),
            ) => error,
            Err(error) => return Err(error),
        };
        let chain = chain::find_readable(disk, dir, identity)?;
        let mut acknowledged = Lsn::ZERO;
        for generation in &chain {
            acknowledged = acknowledged.max(generation.header.durable_lsn);
            each_whole(disk, generation, &mut |record, _| {
                acknowledged = acknowledged.max(record.fields.durable_lsn);
                Ok(())
            })?;
        }
        let mut reading = Reading { after, until: after, follows: true, acknowledged, visit };
        for generation in chain.iter().filter(|g| g.number() >= after.generation()) {
            each_whole(disk, generation, &mut |record, end| reading.take(record, end))?;
        }
        Ok(Some(Salvage { damage, until: reading.until, acknowledged }))
    }

    /// A number for a generation, above `above` and those of all files in folder `dir`, put aside
    /// or not; the one after it is free too.
    ///
    /// # Errors
    ///
    /// [`LogError::Io`]; [`LogError::Damaged`] if there are no more numbers.
    pub fn unused_generation(disk: &dyn Disk, dir: &FileName, above: u64) -> Result<u64, LogError> {
        let names = chain::names(disk, dir)?;
        let number = |name: &String| {
            Some(GenerationId::parse(name.strip_suffix(ASIDE).unwrap_or(name))?.number)
        };
        let highest = names.iter().filter_map(number).fold(above, u64::max);
        let unused = next_number(highest, dir)?;
        next_number(unused, dir)?;
        Ok(unused)
    }

    /// Puts the log in folder `dir` aside, durably: its files get names that mean nothing, which
    /// are given back, and another log can be created there, with
    /// [`LogOptions::after`](super::LogOptions::after).
    ///
    /// # Errors
    ///
    /// [`LogError::Io`]: a part of the files has its new name.
    pub fn put_aside(disk: &dyn Disk, dir: &FileName) -> Result<Vec<FileName>, LogError> {
        let mut aside = Vec::new();
        for id in chain::list(disk, dir)? {
            let old = chain::path(dir, id);
            let new = dir.join(&format!("{}{ASIDE}", id.file_name())).expect("a plain name");
            let renamed = disk.rename(&old, &new);
            renamed.map_err(|source| LogError::Io { name: old, action: "rename it", source })?;
            aside.push(new);
        }
        let synced = disk.sync_dir(dir);
        synced.map_err(|source| LogError::Io {
            name: dir.clone(),
            action: "sync the folder",
            source,
        })?;
        aside.sort_unstable();
        Ok(aside)
    }
}

/// A salvage under way.
struct Reading<'v> {
    after: Lsn,
    until: Lsn,
    follows: bool,
    acknowledged: Lsn,
    visit: &'v mut dyn FnMut(Record<'_>, bool) -> Visit,
}

impl Reading<'_> {
    fn take(&mut self, record: &Decoded<'_>, end: usize) -> Result<(), LogError> {
        let Fields { kind, lsn, prev_lsn, .. } = record.fields;
        if lsn <= self.after {
            return Ok(());
        }
        let is_first = self.until == self.after && prev_lsn <= self.after;
        self.follows &= is_first || prev_lsn == self.until;
        if kind == RecordKind::Data {
            let shown = shown(record, end, self.acknowledged);
            match (self.visit)(shown, self.follows) {
                Visit::Accept => {}
                Visit::CutHere => self.follows = false,
                Visit::Stop(reason) => return Err(LogError::Stopped { lsn, reason }),
            }
        }
        if self.follows {
            self.until = lsn;
        }
        Ok(())
    }
}

/// Takes the whole records of a generation, wherever in it they lie; each with its end in the file.
fn each_whole(
    disk: &dyn Disk,
    generation: &Generation,
    take: &mut dyn FnMut(&Decoded<'_>, usize) -> Result<(), LogError>,
) -> Result<(), LogError> {
    let mut bytes = Vec::new();
    generation.read(disk, &mut bytes)?;
    let mut records = whole_records(&bytes, generation.number(), generation.seed, HEADER_SIZE);
    records.try_for_each(|record| {
        let end = record.fields.lsn.offset() as usize + record.size;
        take(&record, end)
    })
}
