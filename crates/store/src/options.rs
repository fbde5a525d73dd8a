//! How a store is opened, and the lease under which it may commit.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use rehome_log::{Clock, Lsn};
use serde::{Deserialize, Serialize};

use crate::settings::{CopyMethod, StoreSettings};

/// Choices for opening or creating a store. The default suits a machine that does other things.
///
/// What has its default value is taken from the settings of the store, if it has any: from
/// `settings`, else from its file `settings.json`.
#[derive(Clone)]
pub struct OpenOptions {
    /// Who opens it: goes into the lock file for others to read.
    pub owner: String,
    /// Fencing token of the cluster; the epoch is at least this.
    pub epoch_token: u64,
    /// Memory for the catalog's cache.
    pub cache_bytes: usize,
    /// A checkpoint is made after so many operations; a new message with a new content is two.
    pub checkpoint_rows: u64,
    /// A checkpoint is made after so many bytes of log.
    pub checkpoint_bytes: u64,
    /// A segment is sealed when it has reached this length.
    pub segment_bytes: u64,
    /// Length of a log generation.
    pub log_generation_bytes: u32,
    /// Log generations prepared ahead: one, so that the log goes on without a pause, and a reserve
    /// for a disk that has become full.
    pub log_generations_ahead: usize,
    /// How transfers, compaction, and groups of 256 KiB and more write their segments.
    pub copy_method: CopyMethod,
    /// Contents longer than this are packed with zstd as they are stored, where that saves at least
    /// a sixteenth; transfers and compaction carry them as they are. `None` packs nothing.
    pub pack_over_bytes: Option<u32>,
    /// How many threads read the source of a move where its contents lie scattered. One cannot read
    /// them as fast as a disk writes them, and more than two have nothing to do on one disk.
    pub move_lanes: u32,
    /// Settings to be used in place of those in the store's folder.
    pub settings: Option<StoreSettings>,
    /// What was deleted can be had back for so long; 0 gives it up at once.
    pub retention_seconds: u64,
    /// A content that has lost its last message is kept for so long, for transfers that count on
    /// it. 0 is for stores that receive nothing.
    pub grace_seconds: u64,
    /// A base of the catalog is written when the log has grown by so much, and by the length of
    /// the base before; the log is kept from the newest one on, so that a lost catalog can be
    /// rebuilt. `None` writes none, and the log is kept from the last checkpoint on.
    pub catalog_base_bytes: Option<u64>,
    /// Bytes of log that may be kept for want of an archive that has them, at least two
    /// generations. Beyond them no mail is taken in; for an eighth more, other changes go on.
    pub log_kept_bytes_max: u64,
    /// Identity of a new store; `None` makes one up.
    pub store_id: Option<[u8; 16]>,
    /// What [`RestoreWriter::finish`](crate::RestoreWriter::finish) gave, for the first opening.
    pub restore_marker: Option<RestoreMarker>,
    /// Deadline for commits; `None` has none.
    pub lease: Option<Lease>,
    /// Hears how far recovery is.
    pub progress: Option<ProgressFn>,
}

/// What a store is opened for; see [`OpenOptions::profile`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Profile {
    /// A few mailboxes on a small machine: 16 MiB of cache, segments of 16 MiB, generations of
    /// 4 MiB, a checkpoint each 16 MiB of log.
    Small,
    /// A mail server: 1 GiB of cache, and otherwise the default.
    Server,
    /// Taking in much at once: 256 MiB of cache, and a checkpoint each 256 MiB of log or two
    /// million operations, so that an opening after a crash takes longer.
    BulkLoad,
}

impl OpenOptions {
    /// Choices for what the store is opened for.
    #[must_use]
    pub fn profile(profile: Profile) -> OpenOptions {
        let default = OpenOptions::default();
        match profile {
            Profile::Small => OpenOptions {
                cache_bytes: 16 << 20,
                segment_bytes: 16 << 20,
                log_generation_bytes: 4 << 20,
                checkpoint_bytes: 16 << 20,
                ..default
            },
            Profile::Server => OpenOptions { cache_bytes: 1 << 30, ..default },
            Profile::BulkLoad => OpenOptions {
                cache_bytes: 256 << 20,
                checkpoint_bytes: 256 << 20,
                checkpoint_rows: 2_000_000,
                ..default
            },
        }
    }
}

/// Hears how far recovery is.
pub type ProgressFn = Arc<dyn Fn(RecoveryProgress) + Send + Sync>;

impl Default for OpenOptions {
    fn default() -> OpenOptions {
        OpenOptions {
            owner: format!("process {}", std::process::id()),
            epoch_token: 0,
            cache_bytes: 64 << 20,
            checkpoint_rows: 500_000,
            checkpoint_bytes: 64 << 20,
            segment_bytes: 64 << 20,
            log_generation_bytes: 16 << 20,
            log_generations_ahead: 3,
            copy_method: CopyMethod::Direct,
            pack_over_bytes: Some(4096),
            move_lanes: 2,
            settings: None,
            retention_seconds: 14 * 24 * 60 * 60,
            grace_seconds: 24 * 60 * 60,
            catalog_base_bytes: Some(64 << 20),
            log_kept_bytes_max: 16 << 30,
            store_id: None,
            restore_marker: None,
            lease: None,
            progress: None,
        }
    }
}

impl fmt::Debug for OpenOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OpenOptions")
            .field("owner", &self.owner)
            .field("epoch_token", &self.epoch_token)
            .field("cache_bytes", &self.cache_bytes)
            .field("restore_marker", &self.restore_marker)
            .finish_non_exhaustive()
    }
}

/// How far recovery is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RecoveryProgress {
    /// Bytes of log replayed.
    pub done_bytes: u64,
    /// Bytes of log there are at most.
    pub total_bytes: u64,
}

/// Proof that a restore was finished: the store opens for the first time only with it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RestoreMarker {
    /// Identity of the store, in hexadecimal.
    pub store_id: String,
    /// First log record to replay.
    pub low: Lsn,
    /// Last log record to replay.
    pub high: Lsn,
    /// BLAKE3 over the records from `low` to `high`, in hexadecimal.
    pub digest: String,
}

/// A deadline for commits, extended by whoever holds the cluster's lease.
///
/// Clones share the deadline. A new lease has run out until it is extended.
#[derive(Clone)]
pub struct Lease {
    clock: Arc<dyn Clock>,
    deadline_ms: Arc<AtomicU64>,
}

impl Lease {
    /// A lease by `clock` that has run out.
    #[must_use]
    pub fn new(clock: Arc<dyn Clock>) -> Lease {
        Lease { clock, deadline_ms: Arc::new(AtomicU64::new(0)) }
    }

    /// Moves the deadline to `monotonic_ms` of the clock; an earlier one than now is no change.
    pub fn extend_to(&self, monotonic_ms: u64) {
        self.deadline_ms.fetch_max(monotonic_ms, Ordering::SeqCst);
    }

    /// Ends the lease at once; it can be extended again.
    pub fn end(&self) {
        self.deadline_ms.store(0, Ordering::SeqCst);
    }

    /// Milliseconds since the deadline; `None` before it.
    #[must_use]
    pub fn late_ms(&self) -> Option<u64> {
        let now = self.clock.monotonic_ms();
        let deadline = self.deadline_ms.load(Ordering::SeqCst);
        (now >= deadline).then(|| now - deadline)
    }
}

impl fmt::Debug for Lease {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lease").field("late_ms", &self.late_ms()).finish_non_exhaustive()
    }
}
