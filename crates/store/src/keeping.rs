//! How a store's log is given up: by checkpoints alone, or when an archive has it too.
#![doc = include_str!("../../../docs/format/log-policy.md")]

mod file;
mod status;

pub use self::file::LogPolicy;
pub(crate) use self::file::{forget_archive, lost, read};
pub use self::status::{LogHold, LogStatus};

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use rehome_log::{Disk, Log, Lsn};

use crate::error::StoreError;
use crate::lock::lock;
use crate::options::OpenOptions;

/// Above every record.
const EVERY: Lsn = Lsn::from_u64(u64::MAX);

/// Generations that an archived log may keep, whatever the options say.
const GENERATIONS_MIN: u64 = 2;

/// What the log is kept for, in an open store.
pub(crate) struct LogKeeping {
    disk: Arc<dyn Disk>,
    store_id: [u8; 16],
    /// Never gives up more than the file says. Held while log is released.
    policy: Mutex<LogPolicy>,
    /// What the policy says is archived, above every record if it is circular: for those who must
    /// not wait while the file is written or log is removed.
    archived: AtomicU64,
    /// The catalog is durable up to here.
    checkpoint: AtomicU64,
    /// The newest base of the catalog.
    base: AtomicU64,
    /// Everything in generations up to this mark is acknowledged.
    settled: AtomicU64,
}

/// Whether there is room for more log that no archive has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Pressure {
    /// There is.
    None,
    /// Only for what brings no mail.
    Mail { kept_bytes: u64, max_bytes: u64 },
    /// There is none.
    All { kept_bytes: u64, max_bytes: u64 },
}

impl LogKeeping {
    /// Of a store whose catalog is durable up to `checkpoint` and has a base as of `base`, and
    /// whose closed generations end at `settled`.
    pub(crate) fn new(
        disk: Arc<dyn Disk>,
        store_id: [u8; 16],
        policy: LogPolicy,
        checkpoint: Lsn,
        base: Lsn,
        settled: Lsn,
    ) -> LogKeeping {
        LogKeeping {
            disk,
            store_id,
            policy: Mutex::new(policy),
            archived: policy.archived().to_u64().into(),
            checkpoint: checkpoint.to_u64().into(),
            base: base.to_u64().into(),
            settled: settled.to_u64().into(),
        }
    }

    pub(crate) fn policy(&self) -> LogPolicy {
        *lock(&self.policy)
    }

    /// Keeps the log above what is `acknowledged` from now on until an archive has it.
    pub(crate) fn archive(&self, acknowledged: impl Fn() -> Lsn) -> Result<Lsn, StoreError> {
        let mut policy = lock(&self.policy);
        if let LogPolicy::Archived { whole_after, .. } = *policy {
            // After an error it may be on the disk or not.
            file::write(&*self.disk, self.store_id, &policy)?;
            return Ok(whole_after);
        }
        file::prepare(&*self.disk, self.store_id)?;
        let whole_after = acknowledged();
        self.set(&mut policy, LogPolicy::Archived { whole_after, archived_until: whole_after });
        file::write(&*self.disk, self.store_id, &policy)?;
        Ok(whole_after)
    }

    /// Keeps the log only as far as the store itself needs it.
    pub(crate) fn circulate(&self) -> Result<(), StoreError> {
        let mut policy = lock(&self.policy);
        if *policy == LogPolicy::Circular {
            return Ok(());
        }
        file::write(&*self.disk, self.store_id, &LogPolicy::Circular)?;
        self.set(&mut policy, LogPolicy::Circular);
        Ok(())
    }

    /// An archive has everything up to `lsn`, of which everything up to `settled` may be said.
    pub(crate) fn archived_until(&self, lsn: Lsn, settled: Lsn) -> Result<Lsn, StoreError> {
        let mut policy = lock(&self.policy);
        let LogPolicy::Archived { whole_after, archived_until } = *policy else {
            return Err(StoreError::LogIsCircular);
        };
        if lsn > settled {
            return Err(StoreError::NotAcknowledged { lsn, acknowledged: settled });
        }
        if lsn <= archived_until {
            return Ok(archived_until);
        }
        let next = LogPolicy::Archived { whole_after, archived_until: lsn };
        file::write(&*self.disk, self.store_id, &next)?;
        self.set(&mut policy, next);
        Ok(lsn)
    }

    /// The catalog is durable up to `checkpoint` and has a base as of `base`: gives up what nobody
    /// needs any more. What cannot be removed is tried again the next time.
    pub(crate) fn checkpointed(&self, log: &Log, checkpoint: Lsn, base: Lsn) {
        self.checkpoint.store(checkpoint.to_u64(), Ordering::SeqCst);
        self.base.store(base.to_u64(), Ordering::SeqCst);
        self.release(log);
    }

    /// Gives up what nobody needs any more.
    pub(crate) fn release(&self, log: &Log) {
        let policy = lock(&self.policy);
        let own = self.checkpoint().min(self.base());
        // The store goes on with log that could not be removed.
        drop(log.release_below(own.min(policy.release_limit())));
    }

    /// A generation ended with the mark `lsn`, and all in it is acknowledged.
    pub(crate) fn settle(&self, lsn: Lsn) {
        self.settled.fetch_max(lsn.to_u64(), Ordering::SeqCst);
    }

    /// Everything up to here is acknowledged, `acknowledged` being the last group that is.
    pub(crate) fn settled(&self, acknowledged: Lsn) -> Lsn {
        acknowledged.max(Lsn::from_u64(self.settled.load(Ordering::SeqCst)))
    }

    /// Contents without messages since this group or before may be given up: the archive has all
    /// that puts them.
    pub(crate) fn free_limit(&self) -> Lsn {
        Lsn::from_u64(self.archived.load(Ordering::SeqCst))
    }

    fn set(&self, policy: &mut LogPolicy, next: LogPolicy) {
        *policy = next;
        self.archived.store(next.archived().to_u64(), Ordering::SeqCst);
    }

    /// Whether there is room for more log.
    pub(crate) fn pressure(&self, log: &Log, options: &OpenOptions) -> Pressure {
        let archived_until = self.free_limit();
        if archived_until == EVERY {
            return Pressure::None;
        }
        let generation = u64::from(options.log_generation_bytes);
        let max_bytes = options.log_kept_bytes_max.max(GENERATIONS_MIN * generation);
        let reserve = (max_bytes / 8).max(GENERATIONS_MIN * generation);
        match log.bytes_above(archived_until) {
            kept_bytes if kept_bytes < max_bytes => Pressure::None,
            kept_bytes if kept_bytes < max_bytes.saturating_add(reserve) => {
                Pressure::Mail { kept_bytes, max_bytes }
            }
            kept_bytes => Pressure::All { kept_bytes, max_bytes },
        }
    }

    fn checkpoint(&self) -> Lsn {
        Lsn::from_u64(self.checkpoint.load(Ordering::SeqCst))
    }

    /// The newest base of the catalog.
    pub(crate) fn base(&self) -> Lsn {
        Lsn::from_u64(self.base.load(Ordering::SeqCst))
    }
}

impl Pressure {
    /// Why a request is refused, if it is; `brings_mail` says whether it is one of these.
    pub(crate) fn refuses(self, brings_mail: bool) -> Option<StoreError> {
        match self {
            Pressure::Mail { kept_bytes, max_bytes } if brings_mail => {
                Some(StoreError::LogNotArchived { kept_bytes, max_bytes })
            }
            Pressure::All { kept_bytes, max_bytes } => {
                Some(StoreError::LogNotArchived { kept_bytes, max_bytes })
            }
            Pressure::None | Pressure::Mail { .. } => None,
        }
    }
}
