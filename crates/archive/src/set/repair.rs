//! Writing volumes anew whose damage parity heals.

use std::io;

use super::Set;
use crate::error::{ArchiveError, Damage};
use crate::ids::BackupId;
use crate::layout;
use crate::manifest::VolumeEntry;
use crate::record::VolumeFile;
use crate::survey::Survey;

/// Folder of volumes that are being put in place of damaged ones.
const REPAIR: &str = "repair";
/// Bytes copied at a time.
const COPY_SIZE: usize = 1 << 20;

impl Set {
    /// Writes each damaged volume of a backup anew, if parity brings all of it back; returns the
    /// files. The new one is written beside the old, read back and compared with the manifest
    /// before the old one goes.
    ///
    /// # Errors
    ///
    /// [`ArchiveError::NoBackup`], [`ArchiveError::Incomplete`], why the manifest cannot be read,
    /// [`ArchiveError::Damaged`] if there is more damage than parity heals: nothing was changed in
    /// that volume; the target's errors.
    pub fn repair(&self, id: BackupId) -> Result<Vec<String>, ArchiveError> {
        let folder = self.complete_folder(id)?;
        let manifest = self.manifest(&folder, id)?;
        let mut repaired = Vec::new();
        for number in 0..manifest.volumes.len() {
            let entry = &manifest.volumes[number];
            let copy = format!("{REPAIR}/{id}-{}", entry.file);
            let name = format!("{folder}/{}", entry.file);
            let volume = match layout::open_volumes(&*self.target, &folder, &manifest, None)
                .swap_remove(number)
            {
                Ok(volume) => volume,
                // A repair that was killed may have taken the old volume away already.
                Err(damage) => match VolumeFile::open(&*self.target, &copy, None) {
                    Ok(copied) => copied,
                    Err(_) => return Err(ArchiveError::Damaged(damage)),
                },
            };
            let (is_whole, is_stored) = judge(&volume, entry);
            if !is_whole {
                let what = "more of it is lost than parity brings back";
                return Err(ArchiveError::Damaged(Damage::of_file(&name, what)));
            }
            if is_stored && volume.name == name {
                continue;
            }
            self.replace(&volume, &copy, &name, entry)?;
            repaired.push(name);
        }
        Ok(repaired)
    }

    /// Puts the bytes of `volume` at `name`, by way of `copy`.
    fn replace(
        &self,
        volume: &VolumeFile,
        copy: &str,
        name: &str,
        entry: &VolumeEntry,
    ) -> Result<(), ArchiveError> {
        if volume.name != copy {
            match self.target.remove(copy) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => {
                    return Err(ArchiveError::target(copy, "remove it")(error));
                }
                _ => {}
            }
            self.copy(volume, copy)?;
            self.expect_whole(copy, volume, entry)?;
            self.target.remove(name).map_err(ArchiveError::target(name, "remove it"))?;
        }
        let copied = self.open_as(copy, volume)?;
        self.copy(&copied, name)?;
        self.expect_whole(name, volume, entry)?;
        self.target.remove(copy).map_err(ArchiveError::target(copy, "remove it"))
    }

    fn open_as(&self, name: &str, volume: &VolumeFile) -> Result<VolumeFile, ArchiveError> {
        let opened = VolumeFile::open(&*self.target, name, volume.identity);
        opened.map_err(ArchiveError::Damaged)
    }

    fn expect_whole(
        &self,
        name: &str,
        volume: &VolumeFile,
        entry: &VolumeEntry,
    ) -> Result<(), ArchiveError> {
        if judge(&self.open_as(name, volume)?, entry) == (true, true) {
            return Ok(());
        }
        let first = Damage::of_file(name, "the repaired volume does not read back");
        Err(ArchiveError::NotVerified { first })
    }

    fn copy(&self, from: &VolumeFile, to: &str) -> Result<(), ArchiveError> {
        let mut file = self.target.create(to).map_err(ArchiveError::target(to, "create it"))?;
        let (mut at, end) = (0, from.size_bytes());
        let mut buf = vec![0; COPY_SIZE];
        while at < end {
            let len = usize::try_from(end - at).unwrap_or(COPY_SIZE).min(COPY_SIZE);
            let part = &mut buf[..len];
            from.read_bytes(at, part).map_err(ArchiveError::target(&from.name, "read it"))?;
            file.append(part).map_err(ArchiveError::target(to, "write to it"))?;
            at += len as u64;
        }
        file.finish().map_err(ArchiveError::target(to, "finish it"))
    }
}

/// Whether all of a volume can be read, and whether it is stored so.
fn judge(volume: &VolumeFile, entry: &VolumeEntry) -> (bool, bool) {
    let one: [Result<&VolumeFile, &Damage>; 1] = [Ok(volume)];
    let survey = Survey::of(&one, false, &mut |_| {});
    let root = survey.volumes.first().map(|summary| summary.root.as_str());
    let is_whole = survey.damage.is_empty() && root == Some(entry.root.as_str());
    let is_stored = volume.healed().is_empty() && volume.stored_bytes() == entry.size_bytes;
    (is_whole, is_stored)
}
