//! Kinds of records and of backups.

use std::fmt;

use serde::{Deserialize, Serialize};

/// What a record holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RecordKind {
    /// First record of a volume: what the volume belongs to.
    Volume,
    /// A mailbox's outline, or a part of it.
    Outline,
    /// Contents.
    Data,
    /// A piece of a named stream.
    Stream,
    /// Where the volume's records are.
    Index,
    /// Last record of a volume: where the index is.
    Trailer,
    /// Log records.
    Log,
    /// Reed–Solomon parity of a part of a volume.
    Parity,
    /// A kind of a later version; readers pass over it.
    Unknown(u8),
}

impl RecordKind {
    pub(crate) fn to_u8(self) -> u8 {
        match self {
            RecordKind::Volume => 1,
            RecordKind::Outline => 2,
            RecordKind::Data => 3,
            RecordKind::Stream => 4,
            RecordKind::Index => 5,
            RecordKind::Trailer => 6,
            RecordKind::Log => 7,
            RecordKind::Parity => 8,
            RecordKind::Unknown(number) => number,
        }
    }

    pub(crate) fn from_u8(number: u8) -> RecordKind {
        match number {
            1 => RecordKind::Volume,
            2 => RecordKind::Outline,
            3 => RecordKind::Data,
            4 => RecordKind::Stream,
            5 => RecordKind::Index,
            6 => RecordKind::Trailer,
            7 => RecordKind::Log,
            8 => RecordKind::Parity,
            _ => RecordKind::Unknown(number),
        }
    }
}

impl fmt::Display for RecordKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let word = match self {
            RecordKind::Volume => "volume",
            RecordKind::Outline => "outline",
            RecordKind::Data => "data",
            RecordKind::Stream => "stream",
            RecordKind::Index => "index",
            RecordKind::Trailer => "trailer",
            RecordKind::Log => "log",
            RecordKind::Parity => "parity",
            RecordKind::Unknown(number) => return write!(f, "kind {number}"),
        };
        f.write_str(word)
    }
}

/// What a backup holds of its store.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum BackupKind {
    /// Everything.
    Full,
    /// Everything, without being the base of later backups.
    Copy,
    /// What changed since the last full backup.
    Differential,
    /// What changed since the backup before that is no copy.
    Incremental,
}

impl BackupKind {
    /// How people call the kind.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            BackupKind::Full => "full",
            BackupKind::Copy => "copy",
            BackupKind::Differential => "differential",
            BackupKind::Incremental => "incremental",
        }
    }

    /// How the kind is called in a folder's name.
    pub(crate) fn folder_word(self) -> &'static str {
        match self {
            BackupKind::Full => "full",
            BackupKind::Copy => "copy",
            BackupKind::Differential => "diff",
            BackupKind::Incremental => "incr",
        }
    }

    /// The kind that [`BackupKind::folder_word`] calls `word`.
    pub(crate) fn from_folder_word(word: &str) -> Option<BackupKind> {
        let kinds =
            [BackupKind::Full, BackupKind::Copy, BackupKind::Differential, BackupKind::Incremental];
        kinds.into_iter().find(|kind| kind.folder_word() == word)
    }
}
