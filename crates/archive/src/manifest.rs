//! The manifest: the last file of a backup; its presence says that the backup is complete.

use serde::{Deserialize, Serialize};

use rehome_log::Lsn;

use crate::error::ArchiveError;
use crate::feature::Features;
use crate::ids::{BackupId, ContentId, SetId, StoreId};
use crate::kind::BackupKind;
use crate::names::volume_number;
use crate::text;

/// The version of the format that this crate writes, and the highest that it reads.
pub const FORMAT_VERSION: u16 = 1;

/// What a backup is of, as its writer states it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BackupHeader {
    /// What it holds of its store.
    pub kind: BackupKind,
    /// The store.
    pub store_id: StoreId,
    /// The store's epoch while it was read.
    pub store_epoch: u64,
    /// Where replay has to begin: the state that the backup shows, or the end of a generation of
    /// the log after it.
    pub lsn_begin: Lsn,
    /// The state that the backup shows.
    pub lsn_end: Lsn,
    /// When it was begun, microseconds since 1970.
    pub wall_us: i64,
    /// Program and version that wrote it.
    pub software: String,
    /// Account that wrote it.
    pub account: String,
}

/// A finished volume.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct VolumeEntry {
    /// File name within the backup's folder.
    pub file: String,
    /// Its size.
    pub size_bytes: u64,
    /// Sequence number of its first record.
    pub first_record: u32,
    /// Records in it.
    pub records: u32,
    /// BLAKE3 over its records' headers in order, as hexadecimal digits; a header ends with the
    /// hash of its record.
    pub root: String,
}

/// How much a backup holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Totals {
    /// Mailboxes outlined.
    pub mailboxes: u64,
    /// Messages in those outlines.
    pub messages: u64,
    /// Outline records.
    pub outline_records: u64,
    /// Contents, each counted once.
    pub contents: u64,
    /// Their bytes.
    pub content_bytes: u64,
    /// Named streams.
    pub streams: u64,
    /// Bytes of all records before compression.
    pub raw_bytes: u64,
    /// Bytes of all volumes.
    pub stored_bytes: u64,
}

/// Part of the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogRange {
    /// First position in it.
    pub begin: Lsn,
    /// First position after it.
    pub end: Lsn,
}

/// The backup that another one builds upon.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BaseReference {
    /// Its id.
    pub backup_id: BackupId,
    /// The hash on the last line of its manifest.
    pub manifest_hash: String,
}

/// Everything about a backup that is needed before its data are read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    /// Version of the format.
    pub format: u16,
    /// Features in use.
    pub features: Features,
    /// The set it was written into.
    pub set_id: SetId,
    /// Its id.
    pub backup_id: BackupId,
    /// The backup it builds upon; none for a full one.
    pub base: Option<BaseReference>,
    /// What it is of.
    pub header: BackupHeader,
    /// The log it cannot be restored without.
    pub log_required: LogRange,
    /// How much it holds.
    pub totals: Totals,
    /// Contents that outlines name and that the store could not hand over.
    pub absent: Vec<ContentId>,
    /// Its volumes in order.
    pub volumes: Vec<VolumeEntry>,
    /// BLAKE3 over the volumes' roots in order, as hexadecimal digits: one name for all of it.
    pub root: String,
    /// If payloads are sealed: an age file with the secret for its recipients, as hexadecimal
    /// digits. Each volume's first record has it too.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub envelope: Option<String>,
}

/// The part of a manifest that every version can be asked for.
#[derive(Deserialize)]
struct Preamble {
    format: u16,
    #[serde(default)]
    features: Features,
}

impl Manifest {
    /// The place in the log after which records can be replayed upon this backup; none if it does
    /// not hold the store's catalog.
    #[must_use]
    pub fn log_follows(&self) -> Option<Lsn> {
        let begin = self.header.lsn_begin.max(self.header.lsn_end);
        self.features.has_catalog().then_some(begin)
    }

    /// The file's bytes.
    pub(crate) fn encode(&self) -> Result<Vec<u8>, ArchiveError> {
        text::seal_json(self)
    }

    /// Reads the bytes of `file`.
    pub(crate) fn decode(file: &str, bytes: &[u8]) -> Result<Manifest, ArchiveError> {
        let json = text::unseal(file, bytes)?;
        let bad = |error: serde_json::Error| {
            ArchiveError::file_damaged(file, format!("its text is no manifest: {error}"))
        };
        let preamble: Preamble = serde_json::from_str(json).map_err(bad)?;
        if preamble.format > FORMAT_VERSION {
            let file = file.to_owned();
            let (version, known) = (preamble.format, FORMAT_VERSION);
            return Err(ArchiveError::FutureVersion { file, version, known });
        }
        preamble.features.may_read(file)?;
        let manifest: Manifest = serde_json::from_str(json).map_err(bad)?;
        let numbers = (0..=u32::from(u16::MAX)).map(Some).chain(std::iter::repeat(None));
        let named = manifest.volumes.iter().map(|entry| volume_number(&entry.file));
        if !named.zip(numbers).all(|(named, number)| named.map(u32::from) == number) {
            return Err(ArchiveError::file_damaged(file, "its volumes are not named in order"));
        }
        Ok(manifest)
    }
}
