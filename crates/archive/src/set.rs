//! A set: the backups of one store.

mod chains;
mod logs;
mod notes;
mod repair;
mod retention;

pub use chains::Base;

use std::sync::Arc;

use rehome_log::Lsn;

use crate::backup::Backup;
use crate::check::{CheckLevel, CheckReport};
use crate::error::{ArchiveError, Damage};
use crate::head::VolumeHead;
use crate::ids::{BackupId, SetId, StoreId};
use crate::info::{BackupInfo, BackupState};
use crate::kind::BackupKind;
use crate::layout;
use crate::manifest::Manifest;
use crate::names::{self, BASE, MANIFEST};
use crate::record::VolumeFile;
use crate::salvage::Salvage;
use crate::seal::{Identities, RecordKey};
use crate::set_file::{SetFile, write};
use crate::survey::Progress;
use crate::target::Target;
use crate::verify;

/// A backup set, open for reading.
pub struct Set {
    target: Arc<dyn Target>,
    file: SetFile,
    identities: Identities,
}

impl Set {
    /// Opens the set at `target`.
    ///
    /// # Errors
    ///
    /// [`ArchiveError::NoSet`] if there is none; [`ArchiveError::FutureVersion`],
    /// [`ArchiveError::UnknownFeature`] and [`ArchiveError::Damaged`] if its file `SET` cannot be
    /// read by this program; the target's errors.
    pub fn open(target: Arc<dyn Target>) -> Result<Set, ArchiveError> {
        let file = SetFile::read(&*target)?;
        Ok(Set { target, file, identities: Identities::default() })
    }

    /// The same set, where `identities` open what is encrypted.
    #[must_use]
    pub fn with_identities(self, identities: Identities) -> Set {
        Set { identities, ..self }
    }

    /// What opens the payloads of a backup; `None` if they are not sealed, or nothing opens them.
    fn key(&self, manifest: &Manifest) -> Option<Arc<RecordKey>> {
        self.identities.open(manifest.envelope.as_ref()?, manifest.backup_id.0)
    }

    /// The same, where something that is sealed must be read.
    fn expect_key(&self, manifest: &Manifest, folder: &str) -> Result<(), ArchiveError> {
        if manifest.envelope.is_none() || self.key(manifest).is_some() {
            return Ok(());
        }
        Err(ArchiveError::Locked { file: folder.to_owned() })
    }

    /// # Errors
    ///
    /// [`ArchiveError::MustEncrypt`] if what is added must be encrypted and is not.
    pub(crate) fn may_hold(&self, encrypted: bool) -> Result<(), ArchiveError> {
        self.file.may_hold(encrypted)
    }

    /// Its id.
    #[must_use]
    pub fn id(&self) -> SetId {
        self.file.set_id
    }

    /// The store it belongs to.
    #[must_use]
    pub fn store_id(&self) -> StoreId {
        self.file.store_id
    }

    /// All backups by the state of the store that they show, the oldest first; incomplete ones
    /// and unreadable ones too.
    ///
    /// # Errors
    ///
    /// The target's errors.
    pub fn list(&self) -> Result<Vec<BackupInfo>, ArchiveError> {
        let names = self.target.list(BASE).map_err(ArchiveError::target(BASE, "list it"))?;
        let mut backups = Vec::new();
        for name in names {
            if let Some((lsn_end, kind, id)) = names::parse_folder_name(&name) {
                backups.push(self.info(format!("{BASE}/{name}"), lsn_end, kind, id)?);
            }
        }
        let wall_us = |info: &BackupInfo| info.manifest.as_ref().map(|m| m.header.wall_us);
        backups.sort_by_key(|info| (info.lsn_end, wall_us(info), info.id));
        Ok(backups)
    }

    fn info(
        &self,
        folder: String,
        lsn_end: Lsn,
        kind: BackupKind,
        id: BackupId,
    ) -> Result<BackupInfo, ArchiveError> {
        let listed = self.target.list(&folder).map_err(ArchiveError::target(&folder, "list it"))?;
        let (state, read) = if !listed.iter().any(|name| name == MANIFEST) {
            (BackupState::Incomplete, None)
        } else {
            match self.read_manifest(&folder, id) {
                Ok(read) => (BackupState::Complete, Some(read)),
                Err(error) => (BackupState::Unreadable { what: error.to_string() }, None),
            }
        };
        let (manifest, manifest_hash) = read.unzip();
        Ok(BackupInfo { id, folder, kind, lsn_end, state, manifest, manifest_hash })
    }

    /// The manifest in `folder`, if it is of backup `id` of this set.
    fn manifest(&self, folder: &str, id: BackupId) -> Result<Manifest, ArchiveError> {
        self.read_manifest(folder, id).map(|(manifest, _)| manifest)
    }

    /// The same, with its hash.
    fn read_manifest(
        &self,
        folder: &str,
        id: BackupId,
    ) -> Result<(Manifest, String), ArchiveError> {
        let (manifest, hash) = layout::read_manifest(&*self.target, folder)?;
        let is_ours = manifest.backup_id == id
            && manifest.set_id == self.file.set_id
            && manifest.header.store_id == self.file.store_id;
        if !is_ours {
            let what = "it is the manifest of another backup or set";
            return Err(ArchiveError::file_damaged(&format!("{folder}/{MANIFEST}"), what));
        }
        Ok((manifest, hash))
    }

    /// The complete backup that shows the newest state, the one begun last if there are several.
    ///
    /// # Errors
    ///
    /// The target's errors.
    pub fn latest(&self) -> Result<Option<BackupInfo>, ArchiveError> {
        let complete = |info: &BackupInfo| info.state == BackupState::Complete;
        Ok(self.list()?.into_iter().rfind(complete))
    }

    /// Opens a complete backup.
    ///
    /// # Errors
    ///
    /// [`ArchiveError::NoBackup`], [`ArchiveError::Incomplete`], [`ArchiveError::Locked`], and why
    /// the manifest cannot be read.
    pub fn backup(&self, id: BackupId) -> Result<Backup, ArchiveError> {
        let folder = self.complete_folder(id)?;
        let manifest = self.manifest(&folder, id)?;
        self.expect_key(&manifest, &folder)?;
        Ok(self.open_backup(&folder, manifest))
    }

    fn open_backup(&self, folder: &str, manifest: Manifest) -> Backup {
        let key = self.key(&manifest);
        let volumes = layout::open_volumes(&*self.target, folder, &manifest, key.as_ref());
        Backup::of_volumes(folder, volumes, Some(manifest))
    }

    /// Checks a complete backup. Damage is no error: it is in the report, with the mailboxes and
    /// messages that it touches. At [`CheckLevel::Hashes`] damage leads to a second reading that
    /// goes as deep as [`CheckLevel::Deep`], to name them.
    ///
    /// # Errors
    ///
    /// [`ArchiveError::NoBackup`], [`ArchiveError::Incomplete`],
    /// [`ArchiveError::FutureVersion`] and [`ArchiveError::UnknownFeature`] if this program cannot
    /// judge it, and the target's errors. A backup whose manifest is damaged is checked without.
    pub fn check(
        &self,
        id: BackupId,
        level: CheckLevel,
        observe: &mut dyn FnMut(Progress),
    ) -> Result<CheckReport, ArchiveError> {
        let folder = self.complete_folder(id)?;
        match self.manifest(&folder, id) {
            Ok(manifest) => {
                let target = &*self.target;
                if level == CheckLevel::Deep {
                    self.expect_key(&manifest, &folder)?;
                }
                let key = self.key(&manifest);
                let (elsewhere, broken) = self.elsewhere(&manifest, level);
                let known = (elsewhere.as_slice(), key.as_ref());
                let mut report =
                    verify::check_volumes(target, &folder, &manifest, level, known, observe);
                report.damage.extend(broken);
                Ok(report)
            }
            Err(ArchiveError::Damaged(damage)) => {
                self.check_without_manifest(&folder, id, level, damage, observe)
            }
            Err(error) => Err(error),
        }
    }

    /// Gives volumes whose payloads are sealed their key; what it is, their first records say.
    fn unlock(
        &self,
        volumes: &mut [Result<VolumeFile, Damage>],
        folder: &str,
        id: BackupId,
    ) -> Result<(), ArchiveError> {
        let mut heads = volumes.iter().flatten().filter_map(|one| VolumeHead::read(one).ok());
        let Some(envelope) = heads.find_map(|head| head.envelope) else { return Ok(()) };
        let locked = || ArchiveError::Locked { file: folder.to_owned() };
        let key = self.identities.open(&envelope, id.0).ok_or_else(locked)?;
        for volume in volumes.iter_mut().flatten() {
            volume.key = Some(Arc::clone(&key));
        }
        Ok(())
    }

    fn check_without_manifest(
        &self,
        folder: &str,
        id: BackupId,
        level: CheckLevel,
        manifest_damage: Damage,
        observe: &mut dyn FnMut(Progress),
    ) -> Result<CheckReport, ArchiveError> {
        let mut volumes = layout::find_volumes(&*self.target, folder, id)?;
        self.unlock(&mut volumes, folder, id)?;
        let bytes = volumes.iter().flatten().map(|volume| volume.size_bytes()).sum();
        let salvage = Salvage::of(folder, volumes, None, &[], observe);
        let mut damage = vec![manifest_damage];
        damage.extend(salvage.damage);
        let mut mailboxes = salvage.mailboxes;
        mailboxes.retain(|mailbox| mailbox.fate != crate::fate::Fate::Whole);
        let (records, contents, absent) = (0, salvage.contents, 0);
        let backup = id;
        let healed = Vec::new();
        Ok(CheckReport {
            backup,
            level,
            bytes,
            records,
            contents,
            absent,
            damage,
            healed,
            mailboxes,
        })
    }

    /// Keeps `report` in the set under `verify/`.
    ///
    /// # Errors
    ///
    /// The target's errors; `AlreadyExists` if a report of the same time, backup and level is
    /// there.
    pub fn keep_report(
        &self,
        report: &CheckReport,
        wall_us: i64,
        account: &str,
    ) -> Result<(), ArchiveError> {
        let bytes = verify::encode(report, wall_us, account)?;
        write(&*self.target, &verify::report_name(wall_us, report), &bytes)
    }

    /// Reads whatever is left of a backup, finished or not, and says what became of each mailbox.
    ///
    /// # Errors
    ///
    /// [`ArchiveError::NoBackup`], [`ArchiveError::FutureVersion`] and
    /// [`ArchiveError::UnknownFeature`], and the target's errors.
    pub fn salvage(
        &self,
        id: BackupId,
        observe: &mut dyn FnMut(Progress),
    ) -> Result<Salvage, ArchiveError> {
        let folder = self.folder(id)?;
        let manifest = match self.manifest(&folder, id) {
            Ok(manifest) => Some(manifest),
            Err(
                error @ (ArchiveError::FutureVersion { .. } | ArchiveError::UnknownFeature { .. }),
            ) => return Err(error),
            Err(_) => None,
        };
        let mut volumes = layout::find_volumes(&*self.target, &folder, id)?;
        self.unlock(&mut volumes, &folder, id)?;
        for missing in manifest.iter().flat_map(|manifest| &manifest.volumes) {
            let name = format!("{folder}/{}", missing.file);
            if !volumes.iter().flatten().any(|volume| volume.name == name) {
                volumes.push(Err(Damage::of_file(&name, "the file is missing")));
            }
        }
        let based = manifest.as_ref();
        let elsewhere = based.map(|manifest| self.elsewhere(manifest, CheckLevel::Deep).0);
        Ok(Salvage::of(&folder, volumes, manifest, &elsewhere.unwrap_or_default(), observe))
    }

    /// What is in the backups that one builds upon: the first bytes of ids of contents, sorted, if
    /// a check of this level may want them; and what is wrong with its chain.
    fn elsewhere(&self, manifest: &Manifest, level: CheckLevel) -> (Vec<u64>, Option<Damage>) {
        if manifest.base.is_none() {
            return (Vec::new(), None);
        }
        let chain = match self.chain(manifest.backup_id) {
            Ok(chain) => chain,
            Err(error) => {
                let folder = self.folder(manifest.backup_id).unwrap_or_default();
                return (Vec::new(), Some(Damage::of_file(&folder, error.to_string())));
            }
        };
        let is_locked = manifest.envelope.is_some() && self.key(manifest).is_none();
        if level == CheckLevel::Structure || is_locked {
            return (Vec::new(), None);
        }
        let mut prefixes = Vec::new();
        for info in chain.iter().filter(|info| info.id != manifest.backup_id) {
            let Some(manifest) = &info.manifest else { continue };
            let backup = self.open_backup(&info.folder, manifest.clone());
            prefixes.extend(backup.content_prefixes());
        }
        prefixes.sort_unstable();
        (prefixes, None)
    }

    fn folder(&self, id: BackupId) -> Result<String, ArchiveError> {
        let names = self.target.list(BASE).map_err(ArchiveError::target(BASE, "list it"))?;
        let is_it =
            |name: &String| names::parse_folder_name(name).is_some_and(|(_, _, found)| found == id);
        let name = names.into_iter().find(is_it).ok_or(ArchiveError::NoBackup { id })?;
        Ok(format!("{BASE}/{name}"))
    }

    fn complete_folder(&self, id: BackupId) -> Result<String, ArchiveError> {
        let folder = self.folder(id)?;
        let listed = self.target.list(&folder).map_err(ArchiveError::target(&folder, "list it"))?;
        if listed.iter().any(|name| name == MANIFEST) {
            Ok(folder)
        } else {
            Err(ArchiveError::Incomplete { id })
        }
    }
}
