//! Where things are in a set, by name.

use std::sync::Arc;

use crate::error::{ArchiveError, Damage};
use crate::heal::HealingFile;
use crate::ids::{BackupId, hex};
use crate::manifest::{Manifest, VolumeEntry};
use crate::names::{MANIFEST, parity_name, volume_number};
use crate::record::{Identity, VolumeFile};
use crate::seal::RecordKey;
use crate::target::{Target, read_small};
use crate::text;

/// No manifest is larger.
pub(crate) const MANIFEST_SIZE_MAX: u64 = 256 << 20;

/// The root over volumes' roots.
pub(crate) fn root(volumes: &[VolumeEntry]) -> String {
    let mut hasher = blake3::Hasher::new();
    for volume in volumes {
        hasher.update(volume.root.as_bytes());
    }
    hex(hasher.finalize().as_bytes())
}

/// Reads the manifest of the backup in `folder`, and the hash on its last line.
pub(crate) fn read_manifest(
    target: &dyn Target,
    folder: &str,
) -> Result<(Manifest, String), ArchiveError> {
    let name = format!("{folder}/{MANIFEST}");
    let bytes = read_small(target, &name, MANIFEST_SIZE_MAX)
        .map_err(ArchiveError::target(&name, "read it"))?;
    Ok((Manifest::decode(&name, &bytes)?, text::hash(&bytes)))
}

/// Opens the volumes that `manifest` names.
pub(crate) fn open_volumes(
    target: &dyn Target,
    folder: &str,
    manifest: &Manifest,
    key: Option<&Arc<RecordKey>>,
) -> Vec<Result<VolumeFile, Damage>> {
    let numbered = (0..).zip(&manifest.volumes);
    let open = |(number, entry): (u16, &VolumeEntry)| {
        let identity = Identity { tag: manifest.backup_id.tag(), volume: Some(number) };
        let mut volume =
            VolumeFile::open(target, &format!("{folder}/{}", entry.file), Some(identity))?;
        volume.key = key.cloned();
        if !manifest.features.has_parity() {
            return Ok(volume);
        }
        Ok(with_parity(target, folder, &entry.file, volume, Some(entry.size_bytes)))
    };
    numbered.map(open).collect()
}

/// Opens the volumes that are in the folder of backup `id`, finished or not, whatever their order.
pub(crate) fn find_volumes(
    target: &dyn Target,
    folder: &str,
    id: BackupId,
) -> Result<Vec<Result<VolumeFile, Damage>>, ArchiveError> {
    let names = target.list(folder).map_err(ArchiveError::target(folder, "list it"))?;
    let identity = Identity { tag: id.tag(), volume: None };
    let volumes = names.iter().filter(|name| volume_number(name).is_some());
    Ok(volumes
        .map(|name| {
            let volume = VolumeFile::open(target, &format!("{folder}/{name}"), Some(identity))?;
            Ok(with_parity(target, folder, name, volume, None))
        })
        .collect())
}

/// The volume with its parity, if there is any; `size_bytes` is how many bytes were written.
fn with_parity(
    target: &dyn Target,
    folder: &str,
    file: &str,
    volume: VolumeFile,
    size_bytes: Option<u64>,
) -> VolumeFile {
    let (identity, number) = (volume.identity, volume_number(file));
    let identity = identity.map(|identity| Identity { volume: number, ..identity });
    match VolumeFile::open(target, &parity_name(folder, file), identity) {
        Ok(parity) => {
            volume.healing(|stored| Box::new(HealingFile::new(stored, parity, size_bytes)))
        }
        Err(_) => volume,
    }
}
