//! Recovery: what the log holds and the catalog does not.

use std::sync::Arc;

use rehome_log::{Clock, Disk, Log, LogError, Lsn, OpenMode, Record, SyncKind, Visit};

use super::{log_folder, log_options};
use crate::base;
use crate::catalog::{View, Writer};
use crate::error::{StoreError, doing};
use crate::keeping::{self, LogPolicy};
use crate::op::{BodyRange, Group};
use crate::options::{OpenOptions, RecoveryProgress};
use crate::segment::{Segments, Shape, file_name};
use crate::tree::{Commit, Rows, Tree};

/// Operations replayed in one transaction, at most, but for a single larger group.
const BATCH_OPS_MAX: usize = 131_072;
/// Bytes of log replayed in one transaction, at most, likewise.
const BATCH_BYTES_MAX: usize = 16 << 20;
/// The catalog is made durable after so many operations, so that a recovery cut short goes on from
/// there.
const CHECKPOINT_OPS: usize = 2_000_000;

/// What a recovery works with.
pub(super) struct Recovery<'a> {
    pub(super) disk: &'a Arc<dyn Disk>,
    pub(super) clock: &'a Arc<dyn Clock>,
    pub(super) options: &'a OpenOptions,
    pub(super) shape: Shape,
    pub(super) tree: &'a dyn Tree,
    /// Log above what is archived is kept.
    pub(super) log_policy: LogPolicy,
}

/// A recovery under way.
pub(super) struct Replay<'a> {
    recovery: &'a Recovery<'a>,
    segments: Segments,
    applied: Lsn,
    /// Groups read and not yet in the catalog.
    groups: Vec<(Lsn, Group)>,
    ops: usize,
    bytes: usize,
    writer: Writer<'a>,
    /// Operations given to it since the catalog was durable.
    ops_since: usize,
    /// Whether there were groups of which the log does not know that they were acknowledged.
    uncertain: bool,
    progress: RecoveryProgress,
    /// Why it stopped, if not because of the log.
    failed: Option<StoreError>,
}

/// Gives up the log that neither the catalog, durable up to `applied`, nor its base nor an archive
/// needs.
pub(super) fn release(
    disk: &dyn Disk,
    options: &OpenOptions,
    policy: LogPolicy,
    log: &Log,
    applied: Lsn,
) -> Result<(), StoreError> {
    let floor = base::floor(disk, options.catalog_base_bytes)?;
    // Files that cannot be removed now are removed with the next checkpoint.
    drop(log.release_below(applied.min(floor).min(policy.release_limit())));
    Ok(())
}

impl Recovery<'_> {
    /// Brings the catalog up to date, and gives up the log that nobody needs then.
    pub(super) fn run(&self) -> Result<Log, StoreError> {
        let (log, applied) = self.bring_up()?;
        release(&**self.disk, self.options, self.log_policy, &log, applied)?;
        Ok(log)
    }

    /// Replays the log from what the catalog holds, and makes the catalog durable. Returns the log,
    /// ready to be written, and up to where the catalog holds it.
    pub(super) fn bring_up(&self) -> Result<(Log, Lsn), StoreError> {
        let applied = View::new(self.tree.read()?).meta()?.applied;
        let (log, applied) = std::thread::scope(|scope| {
            let mut replay =
                Replay::new(self, applied, Writer::start(scope, self.tree, |_| (), None))?;
            let log = self.open_log(applied, &mut |record| replay.visit(&record));
            let log = replay.outcome(log)?;
            Ok::<_, StoreError>((log, replay.finish()?))
        })?;
        keeping::lost(self.log_policy, &log)?;
        Ok((log, applied))
    }

    /// Opens the log, showing `visit` the records from `from` on.
    pub(super) fn open_log(
        &self,
        from: Lsn,
        visit: &mut dyn FnMut(Record<'_>) -> Visit,
    ) -> Result<Log, LogError> {
        let opened = Log::open(
            Arc::clone(self.disk),
            log_folder(),
            self.shape.store_id,
            self.shape.epoch,
            Arc::clone(self.clock),
            log_options(self.options),
            from,
            visit,
        );
        opened.map(|(log, _)| log)
    }

    /// Bytes of the log's files.
    pub(super) fn log_bytes(&self) -> Result<u64, StoreError> {
        let folder = log_folder();
        let mut bytes = 0;
        for entry in self.disk.list(&folder).map_err(doing("listing the log"))? {
            let name = folder.join(&entry).expect("the disk listed it");
            let file = self.disk.open(&name, OpenMode::Read);
            let file = file.map_err(doing(format!("opening {name}")))?;
            let len = self.disk.len(file);
            self.disk.close(file);
            bytes += len.map_err(doing(format!("measuring {name}")))?;
        }
        Ok(bytes)
    }
}

impl<'a> Replay<'a> {
    pub(super) fn new(
        recovery: &'a Recovery<'a>,
        applied: Lsn,
        writer: Writer<'a>,
    ) -> Result<Replay<'a>, StoreError> {
        Ok(Replay {
            recovery,
            segments: Segments::new(Arc::clone(recovery.disk), recovery.shape.store_id),
            applied,
            groups: Vec::new(),
            ops: 0,
            bytes: 0,
            writer,
            ops_since: 0,
            uncertain: false,
            progress: RecoveryProgress { done_bytes: 0, total_bytes: recovery.log_bytes()? },
            failed: None,
        })
    }

    /// Takes a record of the log.
    pub(super) fn visit(&mut self, record: &Record<'_>) -> Visit {
        match self.take(record) {
            Ok(visit) => visit,
            Err(error) => {
                let reason = error.to_string();
                self.failed = Some(error);
                Visit::Stop(reason)
            }
        }
    }

    fn take(&mut self, record: &Record<'_>) -> Result<Visit, StoreError> {
        if record.lsn <= self.applied {
            return Ok(Visit::Accept);
        }
        let group = Group::of_record(record.lsn, record.payload)?;
        if !record.acknowledged {
            if !self.secure(&group.ranges)? {
                return Ok(Visit::CutHere);
            }
            self.uncertain = true;
        }
        self.ops += group.ops.len();
        self.bytes += record.payload.len();
        self.progress.done_bytes += record.payload.len() as u64;
        self.groups.push((record.lsn, group));
        // The catalog must never be ahead of the log. The end of the log is certain when the log is
        // open, so from there on groups wait; there are one or two.
        let enough = self.ops >= BATCH_OPS_MAX || self.bytes >= BATCH_BYTES_MAX;
        if enough && !self.uncertain {
            self.apply()?;
        }
        Ok(Visit::Accept)
    }

    /// Puts what was read into the catalog.
    fn apply(&mut self) -> Result<(), StoreError> {
        if self.groups.is_empty() {
            return Ok(());
        }
        self.ops_since += self.ops;
        (self.ops, self.bytes) = (0, 0);
        let commit =
            if self.ops_since < CHECKPOINT_OPS { Commit::Later } else { Commit::Checkpoint };
        if commit == Commit::Checkpoint {
            self.ops_since = 0;
        }
        self.writer.apply(std::mem::take(&mut self.groups), commit)?;
        self.report(self.progress);
        Ok(())
    }

    fn report(&self, progress: RecoveryProgress) {
        if let Some(hear) = &self.recovery.options.progress {
            hear(progress);
        }
    }

    /// What the reading of the log gave, or why it gave nothing.
    pub(super) fn outcome<T>(&mut self, read: Result<T, LogError>) -> Result<T, StoreError> {
        match (read, self.failed.take()) {
            (Ok(read), None) => Ok(read),
            (_, Some(error)) => Err(error),
            (Err(error), None) => Err(StoreError::of_opening(error)),
        }
    }

    /// Makes everything durable; returns what the catalog holds then.
    pub(super) fn finish(mut self) -> Result<Lsn, StoreError> {
        self.apply()?;
        self.writer.settle()?;
        let before = self.applied;
        let applied = View::new(self.recovery.tree.read()?).meta()?.applied;
        if applied > before {
            self.recovery.tree.write(Commit::Checkpoint, &Rows::default())?;
        }
        let total_bytes = self.progress.total_bytes;
        self.report(RecoveryProgress { done_bytes: total_bytes, total_bytes });
        Ok(applied)
    }

    /// Makes the bodies in `ranges` durable, if they are all there.
    ///
    /// They are written again, and not only synced: after a sync that failed, the page cache may
    /// hold bytes as clean that the disk never got. This has to happen before the log goes on,
    /// since its next generation states that everything before it was acknowledged.
    fn secure(&self, ranges: &[BodyRange]) -> Result<bool, StoreError> {
        let disk = self.recovery.disk;
        for range in ranges {
            let Some(run) = self.segments.range(range)? else { return Ok(false) };
            let name = file_name(range.segment);
            let file = disk.open(&name, OpenMode::ReadWrite);
            let file = file.map_err(doing(format!("opening {name}")))?;
            let written = disk
                .write_at(file, range.from, run.bytes())
                .and_then(|()| disk.sync(file, SyncKind::All));
            disk.close(file);
            written.map_err(doing(format!("securing the end of {name}")))?;
        }
        Ok(true)
    }
}
