//! Taking a store before its catalog and its log are read, and starting it when they were.

use std::io;
use std::sync::Arc;

use rehome_log::{Disk, FileName, Ownership};

use super::{has, least_epoch};
use crate::catalog::View;
use crate::engine::{Engine, Parts};
use crate::error::StoreError;
use crate::identity::{Identity, identity_name};
use crate::keeping::{self, LogPolicy};
use crate::options::OpenOptions;
use crate::place::{placing_name, refuse_unfinished};
use crate::segment::{self, Shape};
use crate::settings::{Settled, settings_name, settle};

/// A store that is taken and not open yet.
pub(super) struct Claim {
    pub(super) disk: Arc<dyn Disk>,
    pub(super) options: OpenOptions,
    pub(super) notes: Vec<String>,
    pub(super) identity: Identity,
    pub(super) shape: Shape,
    pub(super) log_policy: LogPolicy,
    pub(super) ownership: Ownership,
}

/// Takes the store in the disk's root folder.
pub(super) fn claim(disk: Arc<dyn Disk>, options: OpenOptions) -> Result<Claim, StoreError> {
    let missing = || StoreError::NoStore { place: identity_name().to_string() };
    let has_settings = match disk.list(&FileName::root()) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Err(missing()),
        Err(_) => true,
        Ok(there) => {
            if has(&there, &placing_name()) {
                refuse_unfinished(&*disk)?;
            }
            has(&there, &settings_name())
        }
    };
    let identity = Identity::read(&*disk)?.ok_or_else(missing)?;
    let Settled { disk, options, notes } = settle(disk, options, has_settings);
    let store_id = identity.id()?;
    let (least, token) = (least_epoch(&*disk)?, options.epoch_token);
    let ownership = Ownership::acquire_above(Arc::clone(&disk), &options.owner, token, least)?;
    let log_policy = keeping::read(&*disk, &identity)?;
    let shape = Shape { store_id, epoch: ownership.epoch() };
    Ok(Claim { disk, options, notes, identity, shape, log_policy, ownership })
}

/// Starts the store, whose catalog holds all of its log. New segments have numbers above those in
/// the catalog and of the files that are there.
pub(super) fn start(parts: Parts) -> Result<Engine, StoreError> {
    let meta = View::new(parts.tree.read()?).meta()?;
    let above_files = segment::highest(&*parts.disk)?.saturating_add(1);
    let next_segment = meta.next_segment.max(above_files);
    Ok(Engine::start(parts, &meta, next_segment))
}
