//! A restore that was cut short: how far it is, and taking its folder again.

use std::sync::Arc;

use rehome_log::{Disk, FileName, Ownership};

use super::{clear_folder, least_epoch, log_folder, tree_name};
use crate::base;
use crate::error::{StoreError, doing};
use crate::identity::{
    Identity, Restore, identity_name, name, read_json, remove_if_there, restore_name,
};
use crate::options::{OpenOptions, RestoreMarker};
use crate::segment::{self, Shape};

/// How far a restore into a folder has come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RestoreStage {
    /// There is no store yet.
    Nothing,
    /// Bodies and log are being written: [`RestoreWriter::resume`](crate::RestoreWriter::resume)
    /// or [`PointRestore::resume`](crate::PointRestore::resume) goes on.
    Writing,
    /// All is written; opening the store with this marker ends the restore.
    Written(RestoreMarker),
    /// It has ended, or the store was never restored.
    Ended,
}

/// Says how far a restore into the disk's root folder has come; changes nothing.
///
/// # Errors
///
/// [`StoreError::Damaged`], [`StoreError::UnsupportedVersion`], [`StoreError::Io`].
pub fn restore_stage(disk: &dyn Disk) -> Result<RestoreStage, StoreError> {
    if Identity::read(disk)?.is_none() {
        return Ok(RestoreStage::Nothing);
    }
    Ok(match read_json::<Restore>(disk, &restore_name())? {
        Some(Restore::Writing { .. }) => RestoreStage::Writing,
        Some(Restore::Written { marker }) => RestoreStage::Written(marker),
        None => RestoreStage::Ended,
    })
}

/// Takes the folder of a restore that was cut short while it wrote; nothing if none has begun
/// there. Only segments that are durable are left; returns the highest number that they have.
pub(crate) fn begin_again(
    disk: &Arc<dyn Disk>,
    options: &OpenOptions,
) -> Result<Option<(Ownership, Shape, u32)>, StoreError> {
    let Some(identity) = Identity::read(&**disk)? else { return Ok(None) };
    let (store_id, other) = (identity.id()?, options.store_id);
    let taken = || StoreError::StoreExists { place: identity_name().to_string() };
    if restore_stage(&**disk)? != RestoreStage::Writing || other.is_some_and(|id| id != store_id) {
        return Err(taken());
    }
    let (owner, token) = (&options.owner, options.epoch_token);
    let least = least_epoch(&**disk)?;
    let ownership = Ownership::acquire_above(Arc::clone(disk), owner, token, least)?;
    // Whoever held the folder until now may have gone on.
    let Some(Restore::Writing { sealed }) = read_json(&**disk, &restore_name())? else {
        return Err(taken());
    };
    clear_again(&**disk, sealed)?;
    identity.renew(&**disk)?;
    let shape = Shape { store_id, epoch: ownership.epoch() };
    Ok(Some((ownership, shape, sealed)))
}

/// Removes what is written anew: the log, the base, and segments that may not be durable.
fn clear_again(disk: &dyn Disk, sealed: u32) -> Result<(), StoreError> {
    let failed = || doing("removing what an unfinished restore left");
    let durable: Vec<FileName> = (1..=sealed).map(segment::file_name).collect();
    clear_folder(disk, &log_folder(), |_| false).map_err(failed())?;
    clear_folder(disk, &base::folder(), |_| false).map_err(failed())?;
    clear_folder(disk, &segment::folder(), |file| durable.contains(file)).map_err(failed())?;
    for file in [tree_name(), name("log.json")] {
        remove_if_there(disk, &file).map_err(failed())?;
    }
    disk.sync_dir(&FileName::root()).map_err(failed())
}
