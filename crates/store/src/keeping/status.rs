//! What the log is kept for, for people.

use rehome_log::{Log, Lsn, Record, Visit};
use serde::{Deserialize, Serialize};

use super::{LogKeeping, LogPolicy};
use crate::error::StoreError;

/// How much log there is, and why.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogStatus {
    /// How it is given up.
    pub policy: LogPolicy,
    /// Bytes of its records on the disk, without what is filled in or prepared ahead.
    pub kept_bytes: u64,
    /// Generations, the one being written included.
    pub generations: u64,
    /// Bytes that no archive has; 0 if the log is circular.
    pub unarchived_bytes: u64,
    /// Seconds since the oldest record was written that no archive has; none if there is none, or
    /// the log is circular.
    pub unarchived_seconds: Option<u64>,
    /// Who holds it, by the lowest position first.
    pub holds: Vec<LogHold>,
}

/// A reason to keep log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogHold {
    /// `checkpoint`: the catalog is durable as far; `base`: a lost catalog is rebuilt from there;
    /// `archive`: it has no more; `subscriber`, `archiver`, `reader`: they read from there.
    pub reason: String,
    /// The last record that is not needed.
    pub after: Lsn,
    /// Bytes of the generations that are kept for it.
    pub bytes: u64,
}

impl LogKeeping {
    /// Why the log is kept, by a clock that says `wall_us`.
    pub(crate) fn status(&self, log: &Log, wall_us: i64) -> Result<LogStatus, StoreError> {
        let policy = self.policy();
        let mut after = vec![("checkpoint", self.checkpoint()), ("base", self.base())];
        after.retain(|(_, lsn)| *lsn < super::EVERY);
        let mut unarchived_bytes = 0;
        let mut unarchived_seconds = None;
        if let LogPolicy::Archived { archived_until, .. } = policy {
            after.push(("archive", archived_until));
            unarchived_bytes = log.bytes_above(archived_until);
            let written = oldest_above(log, archived_until)?;
            let age = written.map(|written| wall_us.saturating_sub(written) / 1_000_000);
            unarchived_seconds = age.map(|age| u64::try_from(age).unwrap_or(0));
        }
        after.extend(log.pinned());
        after.sort_by_key(|(_, lsn)| *lsn);
        let holds = after.into_iter().map(|(reason, after)| LogHold {
            reason: reason.to_owned(),
            after,
            bytes: log.bytes_above(after),
        });
        let holds = holds.collect();
        let kept_bytes = log.bytes_above(Lsn::ZERO);
        let generations = log.closed_generations().len() as u64 + 1;
        Ok(LogStatus {
            policy,
            kept_bytes,
            generations,
            unarchived_bytes,
            unarchived_seconds,
            holds,
        })
    }
}

/// When the oldest group above `after` was written.
fn oldest_above(log: &Log, after: Lsn) -> Result<Option<i64>, StoreError> {
    let mut written = None;
    log.read_chain(after, super::EVERY, &mut |record: Record<'_>| {
        if record.is_mark {
            return Visit::Accept;
        }
        written = Some(record.wall_us);
        Visit::CutHere
    })?;
    Ok(written)
}
