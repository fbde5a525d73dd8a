//! The log for those who archive it.

use rehome_log::{ClosedGeneration, Lsn};

use super::Store;
use crate::archived_log::LogReader;
use crate::engine::Request;
use crate::error::StoreError;
use crate::keeping::{LogPolicy, LogStatus};

/// An archiver calls [`keep_log_until_archived`](Store::keep_log_until_archived) once and takes a
/// base ([`Snapshot::write_base`](crate::Snapshot::write_base)). From its LSN on, again and again:
/// [`roll_log`](Store::roll_log), [`read_log`](Store::read_log) from where it was to what that
/// returned, and, when all of it is durable and was read back,
/// [`archived_until`](Store::archived_until). [`PointRestore`](crate::PointRestore) takes base and
/// log.
impl Store {
    /// How the log is given up.
    ///
    /// # Errors
    ///
    /// [`StoreError::Closed`].
    pub fn log_policy(&self) -> Result<LogPolicy, StoreError> {
        Ok(self.engine.shared()?.keeping.policy())
    }

    /// Keeps the log from now on until an archive has it; this survives restarts. Returns the LSN
    /// after which no record is given up without the archive's word: a base taken from now on can
    /// be followed by the log. A log that is archived already stays as it is.
    ///
    /// # Errors
    ///
    /// [`StoreError::Io`]: the log is kept until the store is closed; call it again.
    /// [`StoreError::Closed`].
    pub fn keep_log_until_archived(&self) -> Result<Lsn, StoreError> {
        let shared = self.engine.shared()?;
        shared.keeping.archive(|| shared.progress.acknowledged())
    }

    /// Keeps the log only as far as the store itself needs it. What was not archived is given up
    /// with the next checkpoint, and an archive that goes on later needs a new full backup.
    ///
    /// # Errors
    ///
    /// [`StoreError::Io`]: the log is kept as it was until the store is closed; call it again.
    /// [`StoreError::Closed`].
    pub fn use_circular_log(&self) -> Result<(), StoreError> {
        let shared = self.engine.shared()?;
        shared.keeping.circulate()?;
        shared.keeping.release(&shared.log);
        Ok(())
    }

    /// States that an archive has every record up to `lsn` with all that these need, durable and
    /// read back. What nobody else needs is given up. It never goes back: a lower LSN is no change.
    /// Returns what the store has noted now.
    ///
    /// # Errors
    ///
    /// [`StoreError::LogIsCircular`]; [`StoreError::NotAcknowledged`] if `lsn` is above what was
    /// acknowledged; [`StoreError::Io`]: the log is kept as it was, call it again;
    /// [`StoreError::Closed`].
    pub fn archived_until(&self, lsn: Lsn) -> Result<Lsn, StoreError> {
        let shared = self.engine.shared()?;
        let settled = shared.keeping.settled(shared.progress.acknowledged());
        let noted = shared.keeping.archived_until(lsn, settled)?;
        shared.keeping.release(&shared.log);
        Ok(noted)
    }

    /// Ends the generation of the log that is being written, unless it is empty, so that all that
    /// was acknowledged before the call lies in closed generations. Returns their last LSN.
    ///
    /// # Errors
    ///
    /// [`StoreError::DiskFull`]: nothing has changed. Those that all changes share.
    pub fn roll_log(&self) -> Result<Lsn, StoreError> {
        self.commit(Request::RollLog).map(|(_, last)| last)
    }

    /// The closed generations of which everything is acknowledged, oldest first.
    ///
    /// # Errors
    ///
    /// [`StoreError::Closed`].
    pub fn closed_generations(&self) -> Result<Vec<ClosedGeneration>, StoreError> {
        let shared = self.engine.shared()?;
        let settled = shared.keeping.settled(shared.progress.acknowledged());
        let mut closed = shared.log.closed_generations();
        closed.retain(|generation| generation.last <= settled);
        Ok(closed)
    }

    /// The records above `after` up to `until`, each with the bodies that it needs, while the store
    /// works on. The log is kept from there on as long as the reader lasts.
    ///
    /// Of a log that is archived, everything above what was archived can be read. Of any other,
    /// records and bodies may have been given up.
    ///
    /// # Errors
    ///
    /// [`StoreError::NamesGap`] if the log does not reach back to `after`;
    /// [`StoreError::NotAcknowledged`] if `until` is above what was acknowledged;
    /// [`StoreError::Closed`].
    pub fn read_log(&self, after: Lsn, until: Lsn) -> Result<LogReader, StoreError> {
        LogReader::begin(&self.engine, after, until)
    }

    /// How much log there is, and what it is kept for.
    ///
    /// # Errors
    ///
    /// [`StoreError::Damaged`], [`StoreError::Io`], [`StoreError::Closed`].
    pub fn log_status(&self) -> Result<LogStatus, StoreError> {
        let shared = self.engine.shared()?;
        shared.keeping.status(&shared.log, shared.clock.wall_us())
    }
}
