//! A store as it was at a moment: a backup with the catalog, and the archived log after it.

use std::path::Path;
use std::sync::Arc;

use rehome_archive::{ContentId, LogEntry, RestorePlan, Set, Until};
use rehome_log::{Clock, Disk, Lsn, RealDisk, SystemClock};
use rehome_store::{
    LogRecord, OpenOptions, PointRestore, Replayed, RestorePoint, RestoredTo, StoreError,
};

use crate::error::Error;
use crate::event::{Event, Flow, Observe};
use crate::memory::write_durably;
use crate::restore::{Laid, looking, not_begun, tell_there, unreadable};

/// Lays the store of `plan`, which begins with a backup that holds the catalog, down in the folder
/// `target`, which is empty or has what an earlier attempt has left, and writes the marker that
/// opens it. Returns the last record of the log in it.
///
/// The store has an identity of its own: it is another history.
///
/// # Errors
///
/// [`Error::Interrupted`] if `observe` says so; [`Error::NeedsHuman`] if something of the set
/// cannot be read, or the target cannot be written. The store does not open then.
pub(crate) fn lay_down(
    set: &Set,
    plan: &RestorePlan,
    target: &Path,
    marker: &Path,
    observe: Observe<'_>,
) -> Result<Laid<Lsn>, Error> {
    std::fs::create_dir_all(target)
        .map_err(|error| Error::needs_human(format!("{}: {error}", target.display())))?;
    let disk: Arc<dyn Disk> = Arc::new(RealDisk::new(target));
    let options = OpenOptions { owner: "restore".to_owned(), ..OpenOptions::default() };
    let (disk, clock) = (disk, Arc::new(SystemClock));
    let (restored, there_bytes) = replay(set, plan, disk, clock, options, observe)?;
    let json = serde_json::to_vec_pretty(&restored.marker).map_err(Error::needs_human)?;
    write_durably(marker, &json)?;
    Ok(Laid { reached: restored.until, there_bytes })
}

/// The same on `disk`; the marker is in the answer, and how many bytes of contents an earlier
/// attempt had written.
pub(crate) fn replay(
    set: &Set,
    plan: &RestorePlan,
    disk: Arc<dyn Disk>,
    clock: Arc<dyn Clock>,
    options: OpenOptions,
    observe: Observe<'_>,
) -> Result<(RestoredTo, u64), Error> {
    let point = match plan.until {
        Until::Lsn(lsn) => RestorePoint::Lsn(lsn),
        Until::WallUs(wall_us) => RestorePoint::WallUs(wall_us),
        Until::Latest | Until::Backup(_) => RestorePoint::End,
    };
    let above = highest(set)?;
    let look = &mut |done| looking(observe, done);
    let restore = PointRestore::resume(disk, clock, options, point, above, look);
    let restore = restore.map_err(not_begun)?;
    let there_bytes = restore.kept_bytes();
    let mut replaying = Replaying { set, restore, observe, done: there_bytes, total: 0 };
    let base = replaying.base(plan)?;
    for step in &plan.logs {
        if replaying.segment(step, base)? == Replayed::Beyond {
            break;
        }
    }
    Ok((replaying.restore.finish().map_err(Error::chain)?, there_bytes))
}

/// The highest place in the log that the set knows of.
fn highest(set: &Set) -> Result<Lsn, Error> {
    let backups = set.list().map_err(Error::chain)?;
    let logs = set.logs().map_err(Error::chain)?;
    let shown = backups.iter().map(|one| one.log_follows().unwrap_or(one.lsn_end));
    Ok(shown.chain(logs.iter().map(|log| log.last)).max().unwrap_or(Lsn::ZERO))
}

/// A replay on its way.
struct Replaying<'a, 'o> {
    set: &'a Set,
    restore: PointRestore,
    observe: Observe<'o>,
    done: u64,
    total: u64,
}

impl Replaying<'_, '_> {
    /// Lays the backup down; returns where the log follows it.
    fn base(&mut self, plan: &RestorePlan) -> Result<Lsn, Error> {
        let step = plan.backups.last().filter(|step| step.has_catalog);
        let step = step.ok_or_else(|| Error::needs_human("a plan without a catalog"))?;
        let backup = self.set.backup(step.id).map_err(unreadable)?;
        self.total = backup.manifest().map_or(0, |manifest| manifest.totals.content_bytes);
        tell_there(self.observe, self.done, self.total)?;
        let there: Vec<ContentId> =
            self.restore.contents().map(|content| ContentId(content.0)).collect();
        let contents = match there.is_empty() {
            true => backup.contents(),
            false => backup.contents_but(there.into_iter()),
        };
        for content in contents {
            let content = content.map_err(Error::chain)?;
            if !self.restore.has(&rehome_store::ContentId(content.id.0)) {
                self.body(&content.bytes, content.zstd_frame.as_deref())?;
            }
        }
        let mut rows = backup.catalog_rows().map_err(Error::chain)?;
        self.restore.put_base(&mut rows).map_err(|error| base_refused(error, &step.folder))
    }

    /// Replays what of a segment lies after the base, up to the moment.
    fn segment(&mut self, step: &rehome_archive::LogStep, base: Lsn) -> Result<Replayed, Error> {
        let segment = self.set.log(&step.info()).map_err(unreadable)?;
        for entry in segment.entries(base) {
            let LogEntry { lsn, previous, wall_us, contents, payload } =
                entry.map_err(Error::chain)?;
            let record = LogRecord { lsn, prev_lsn: previous, wall_us, payload };
            if self.restore.wants(&record) {
                for content in contents {
                    if self.restore.has(&rehome_store::ContentId(content.0)) {
                        continue;
                    }
                    self.body(&segment.content(&content).map_err(Error::chain)?, None)?;
                }
            }
            let replayed = self.restore.replay(&record).map_err(Error::chain)?;
            if replayed == Replayed::Beyond {
                return Ok(replayed);
            }
        }
        Ok(Replayed::Applied)
    }

    fn body(&mut self, bytes: &[u8], zstd_frame: Option<&[u8]>) -> Result<(), Error> {
        let put = match zstd_frame {
            Some(frame) => self.restore.put_packed_body(bytes, frame),
            None => self.restore.put_body(bytes),
        };
        put.map_err(Error::chain)?;
        self.done += bytes.len() as u64;
        let (done, total) = (self.done, self.total.max(self.done));
        let (what, unit) = ("restoring".to_owned(), "bytes".to_owned());
        match (self.observe)(Event::Progress { what, done, total, unit }) {
            Flow::Continue => Ok(()),
            Flow::Stop => {
                self.restore.settle().map_err(Error::chain)?;
                Err(Error::stopped("the restore was asked to stop"))
            }
        }
    }
}

/// What is wrong with a backup's catalog, and what can be had without it.
fn base_refused(error: StoreError, folder: &str) -> Error {
    Error::needs_human(format!(
        "{folder}: {}; what its outlines name comes back without the catalog, with --backup",
        Error::chain(error)
    ))
}
