//! Checking a backup.

use rehome_log::Lsn;
use serde::{Deserialize, Serialize};

use crate::error::Damage;
use crate::fate::MailboxFate;
use crate::ids::BackupId;

/// How closely a backup is looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum CheckLevel {
    /// Manifest, volume sizes, and each volume's first record, index and trailer.
    Structure,
    /// And the hash of every record: all bytes are read, nothing is decompressed.
    Hashes,
    /// And every record is decompressed, every content and stream hashed again, and every message
    /// of every outline has its content.
    Deep,
}

/// What a check of the archived log found.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogReport {
    /// Segments.
    pub segments: u64,
    /// Records whose hash was checked.
    pub records: u64,
    /// Bytes read.
    pub bytes: u64,
    /// Every place that is not as it was written.
    pub damage: Vec<Damage>,
    /// Parts of the log that cannot be replayed: no moment in them or behind them is reached from
    /// a backup before them.
    pub lost: Vec<LostLog>,
}

/// A part of the log that cannot be replayed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LostLog {
    /// The last log record before it.
    pub after: Lsn,
    /// Its last log record.
    pub last: Lsn,
    /// The next backup that holds the catalog, from which on moments are reached again.
    pub until_backup: Option<BackupId>,
}

/// What a check found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CheckReport {
    /// The backup.
    pub backup: BackupId,
    /// How closely it was looked at.
    pub level: CheckLevel,
    /// Bytes of volumes read.
    pub bytes: u64,
    /// Records whose hash was checked.
    pub records: u64,
    /// Contents whose hash was checked; 0 below [`CheckLevel::Deep`] unless damage was found.
    pub contents: u64,
    /// Contents that the store could not hand over when the backup was made.
    pub absent: u64,
    /// Every place that is not as it was written.
    pub damage: Vec<Damage>,
    /// Places that are not as they were written, whose bytes came back from parity: nothing of
    /// them is lost as long as parity is there. `Set::repair` writes them anew.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub healed: Vec<Damage>,
    /// The mailboxes that are not whole, those with absent contents too. Damage found at
    /// [`CheckLevel::Structure`] names none.
    pub mailboxes: Vec<MailboxFate>,
}

impl CheckReport {
    /// Of a backup at which nobody looked yet.
    pub(crate) fn empty(backup: BackupId, level: CheckLevel) -> CheckReport {
        CheckReport {
            backup,
            level,
            bytes: 0,
            records: 0,
            contents: 0,
            absent: 0,
            damage: Vec::new(),
            healed: Vec::new(),
            mailboxes: Vec::new(),
        }
    }

    /// Whether everything is as it was when the backup was made.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        self.damage.is_empty() && self.healed.is_empty()
    }
}
