//! What a listing of a set says of its backups and log segments.

use rehome_log::Lsn;

use crate::ids::{BackupId, SegmentId};
use crate::kind::BackupKind;
use crate::manifest::Manifest;

/// Whether a backup can be restored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BackupState {
    /// It was finished.
    Complete,
    /// Its writer stopped before it was finished, or is still at work.
    Incomplete,
    /// It was finished, and this program cannot read its manifest.
    Unreadable {
        /// Why.
        what: String,
    },
}

/// A backup in a set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BackupInfo {
    /// Its id.
    pub id: BackupId,
    /// Its folder, as the target names it.
    pub folder: String,
    /// Its kind.
    pub kind: BackupKind,
    /// The state of the store that it shows.
    pub lsn_end: Lsn,
    /// Whether it can be restored.
    pub state: BackupState,
    /// Its manifest, if it is complete.
    pub manifest: Option<Manifest>,
    /// The hash on the last line of its manifest, by which later backups name it.
    pub manifest_hash: Option<String>,
}

impl BackupInfo {
    /// The place in the log after which records can be replayed upon it; none if it is not
    /// complete or does not hold the store's catalog.
    #[must_use]
    pub fn log_follows(&self) -> Option<Lsn> {
        self.manifest.as_ref().and_then(Manifest::log_follows)
    }
}

/// A log segment in a set, as its file name says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogInfo {
    /// Its file, as the target names it.
    pub file: String,
    /// Its id.
    pub id: SegmentId,
    /// The log record before its first one; [`Lsn::ZERO`] if there is none.
    pub after: Lsn,
    /// Its last log record.
    pub last: Lsn,
}
