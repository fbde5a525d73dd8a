//! Work on one store or one archive set: import, export, move, backup, restore, checks.

mod archive;
mod drill;
mod mail;
mod restore;
mod store;

pub use archive::{archive_check, archive_expire, archive_list, backup};
pub use drill::{archive_drill, archive_salvage};
pub use mail::{ExportFormat, export, import};
pub use restore::{RestoreRequest, RestoreTo, archive_extract, restore};
pub use store::{move_mailboxes, store_check, store_compact, store_info, store_recover};

use std::path::Path;
use std::sync::Arc;

use rehome_log::RealDisk;
use rehome_store::{OpenOptions, Store, StoreError};

use crate::error::Error;

/// Opens a store that exists.
fn open(path: &Path) -> Result<Store, Error> {
    require(path)?;
    Store::open_at(path, OpenOptions::default()).map_err(|error| store_error(path, error))
}

/// There is a store.
fn require(path: &Path) -> Result<(), Error> {
    if !path.join("store.id").exists() {
        return Err(Error::BadInput {
            message: format!(
                "{}: there is no store here; give the folder that holds store.id, or make a \
                 store with rehome import",
                path.display()
            ),
        });
    }
    Ok(())
}

/// Opens a store, or makes it.
fn open_or_create(path: &Path) -> Result<Store, Error> {
    if path.join("store.id").exists() {
        return open(path);
    }
    expect_free(path, "it is not a store")?;
    Store::create_at(path, OpenOptions::default()).map_err(|error| store_error(path, error))
}

/// Refuses a folder that holds something.
fn expect_free(folder: &Path, why: &str) -> Result<(), Error> {
    if std::fs::read_dir(folder).map_or(!folder.exists(), |mut all| all.next().is_none()) {
        return Ok(());
    }
    Err(Error::BadInput {
        message: format!(
            "{}: there is something here, and {why}; nothing was changed; give an empty or a new \
             folder",
            folder.display()
        ),
    })
}

/// What a store's refusal means to the caller.
fn store_error(path: &Path, error: StoreError) -> Error {
    let text = Error::chain(&error).to_string();
    let message = format!("{}: {text}", path.display());
    match error {
        StoreError::Locked { .. }
        | StoreError::UnsupportedVersion { .. }
        | StoreError::RestoreInProgress { .. } => Error::BadInput { message },
        _ => Error::NeedsHuman { message },
    }
}

/// The archive set at a path.
fn target(path: &Path) -> Arc<rehome_archive::DiskTarget> {
    Arc::new(rehome_archive::DiskTarget::new(Arc::new(RealDisk::new(path))))
}

/// What this crate's observers say, as the store's.
fn flow(flow: crate::event::Flow) -> rehome_store::Flow {
    match flow {
        crate::event::Flow::Continue => rehome_store::Flow::Continue,
        crate::event::Flow::Stop => rehome_store::Flow::Stop,
    }
}

#[cfg(test)]
mod tests;
