//! Where things are in a set, by name.

use rehome_log::Lsn;

use crate::error::{ArchiveError, Damage};
use crate::ids::{BackupId, hex};
use crate::manifest::{BackupHeader, BackupKind, Manifest, VolumeEntry};
use crate::record::{Identity, VolumeFile};
use crate::target::{Target, read_small};
use crate::volume::volume_number;

/// Folder of the backups that need no other backup, and later of those that do.
pub(crate) const BASE: &str = "base";
/// Folder of the reports of checks.
pub(crate) const VERIFY: &str = "verify";
/// The last file of a backup.
pub(crate) const MANIFEST: &str = "MANIFEST";
/// No manifest is larger.
pub(crate) const MANIFEST_SIZE_MAX: u64 = 256 << 20;

/// The name of a backup's folder below [`BASE`].
pub(crate) fn folder_name(header: &BackupHeader, id: BackupId) -> String {
    format!("{:016x}-{}-{id}", header.lsn_end.to_u64(), header.kind.folder_word())
}

/// What [`folder_name`] made `name` of; `None` for other names.
pub(crate) fn parse_folder_name(name: &str) -> Option<(Lsn, BackupKind, BackupId)> {
    let mut parts = name.splitn(3, '-');
    let (lsn, word, id) = (parts.next()?, parts.next()?, parts.next()?);
    let lsn = Lsn::from_u64(u64::from_be_bytes(crate::ids::unhex(lsn)?));
    Some((lsn, BackupKind::from_folder_word(word)?, id.parse().ok()?))
}

/// The root over volumes' roots.
pub(crate) fn root(volumes: &[VolumeEntry]) -> String {
    let mut hasher = blake3::Hasher::new();
    for volume in volumes {
        hasher.update(volume.root.as_bytes());
    }
    hex(hasher.finalize().as_bytes())
}

/// Reads the manifest of the backup in `folder`.
pub(crate) fn read_manifest(target: &dyn Target, folder: &str) -> Result<Manifest, ArchiveError> {
    let name = format!("{folder}/{MANIFEST}");
    let bytes = read_small(target, &name, MANIFEST_SIZE_MAX)
        .map_err(ArchiveError::target(&name, "read it"))?;
    Manifest::decode(&name, &bytes)
}

/// Opens the volumes that `manifest` names.
pub(crate) fn open_volumes(
    target: &dyn Target,
    folder: &str,
    manifest: &Manifest,
) -> Vec<Result<VolumeFile, Damage>> {
    let numbered = (0..).zip(&manifest.volumes);
    let open = |(number, entry): (u16, &VolumeEntry)| {
        let identity = Identity { tag: manifest.backup_id.tag(), volume: Some(number) };
        VolumeFile::open(target, &format!("{folder}/{}", entry.file), Some(identity))
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
        .map(|name| VolumeFile::open(target, &format!("{folder}/{name}"), Some(identity)))
        .collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(name: &str, good: bool) {
        assert_eq!(parse_folder_name(name).is_some(), good, "{name}");
    }

    #[test]
    fn a_folder_name_is_taken_apart_as_it_was_made() {
        check("0000000001001000-full-00112233445566ff", true);
        check("0000000001001000-incr-00112233445566ff", true);
        check("0000000001001000-other-00112233445566ff", false);
        check("0000000001001000-full-00112233445566FF", false);
        check("1-full-00112233445566ff", false);
        check("lost+found", false);
    }
}
