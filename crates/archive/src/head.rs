//! The first record of a volume: what the volume belongs to.

use serde::{Deserialize, Serialize};

use crate::error::ArchiveError;
use crate::feature::Features;
use crate::ids::{BackupId, SetId};
use crate::kind::RecordKind;
use crate::manifest::{BackupHeader, FORMAT_VERSION};
use crate::record::{Record, VolumeFile, damage_of};

/// The payload of a volume's first record.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct VolumeHead {
    pub(crate) format: u16,
    pub(crate) features: Features,
    pub(crate) set_id: SetId,
    pub(crate) backup_id: BackupId,
    pub(crate) volume: u16,
    pub(crate) header: BackupHeader,
    /// What holds the key of sealed payloads.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) envelope: Option<String>,
}

/// The part of it that every version can be asked for.
#[derive(Deserialize)]
struct Preamble {
    format: u16,
    #[serde(default)]
    features: Features,
}

impl VolumeHead {
    /// Reads the first record of `volume`.
    pub(crate) fn read(volume: &VolumeFile) -> Result<VolumeHead, ArchiveError> {
        let record = volume.read(0).map_err(ArchiveError::Damaged)?;
        VolumeHead::decode(&volume.name, &record)
    }

    /// What the first record of the volume called `file` says.
    pub(crate) fn decode(file: &str, record: &Record) -> Result<VolumeHead, ArchiveError> {
        let bad = |what: String| ArchiveError::Damaged(damage_of(file, record, what));
        if record.head.kind != RecordKind::Volume {
            return Err(bad("the first record does not say what the volume is of".to_owned()));
        }
        let payload = record.payload().map_err(bad)?;
        let no_json = |error: serde_json::Error| bad(format!("it cannot be read: {error}"));
        let preamble: Preamble = serde_json::from_slice(&payload).map_err(no_json)?;
        if preamble.format > FORMAT_VERSION {
            let file = file.to_owned();
            let (version, known) = (preamble.format, FORMAT_VERSION);
            return Err(ArchiveError::FutureVersion { file, version, known });
        }
        preamble.features.may_read(file)?;
        serde_json::from_slice(&payload).map_err(no_json)
    }
}
