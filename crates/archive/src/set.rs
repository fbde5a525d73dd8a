//! A set.
use crate::backup::Backup;
use crate::check::{CheckLevel, CheckReport, Progress};
use crate::error::ArchiveError;
use crate::ids::{BackupId, SetId, StoreId};
use crate::manifest::{BackupKind, Manifest};
use crate::salvage::Salvage;
use crate::target::Target;
use rehome_log::Lsn;
use std::sync::Arc;
/// A backup set, open for reading.
pub struct Set { target: Arc<dyn Target> }
/// Whether a backup can be restored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BackupState {
    /// It was finished.
    Complete,
    /// Its writer stopped before it was finished.
    Incomplete,
    /// It was finished, and its manifest cannot be read now.
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
}
impl Set {
    /// Opens the set at `target`.
    pub fn open(target: Arc<dyn Target>) -> Result<Set, ArchiveError> { Ok(Set { target }) }
    /// Its id.
    #[must_use]
    pub fn id(&self) -> SetId { let _ = &self.target; unimplemented!() }
    /// The store it belongs to.
    #[must_use]
    pub fn store_id(&self) -> StoreId { unimplemented!() }
    /// All backups, oldest state first; incomplete ones too.
    pub fn list(&self) -> Result<Vec<BackupInfo>, ArchiveError> { unimplemented!() }
    /// The complete backup with the newest state.
    pub fn latest(&self) -> Result<Option<BackupInfo>, ArchiveError> { unimplemented!() }
    /// Opens a complete backup.
    pub fn backup(&self, id: BackupId) -> Result<Backup, ArchiveError> { let _ = id; unimplemented!() }
    /// Checks a complete backup.
    pub fn check(&self, id: BackupId, level: CheckLevel, observe: &mut dyn FnMut(Progress)) -> Result<CheckReport, ArchiveError> { let _ = (id, level, observe); unimplemented!() }
    /// Keeps `report` in the set under `verify/`.
    pub fn keep_report(&self, report: &CheckReport, wall_us: i64, account: &str) -> Result<(), ArchiveError> { let _ = (report, wall_us, account); unimplemented!() }
    /// Reads whatever is left of a backup, finished or not.
    pub fn salvage(&self, id: BackupId, observe: &mut dyn FnMut(Progress)) -> Result<Salvage, ArchiveError> { let _ = (id, observe); unimplemented!() }
}
