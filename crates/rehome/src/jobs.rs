//! Work on one store or one archive set: import, export, move, backup, restore, checks.

mod archive;
mod digest;
mod drill;
pub(crate) mod keys;
mod log;
mod mail;
mod pipe;
mod place;
mod recover;
mod restore;
mod scrub;
mod store;
mod tune;

pub use crate::backup::BackupOptions;
pub use archive::{archive_check, archive_expire, archive_list, backup};
pub use digest::{maildir_digest, store_digest};
pub use drill::{archive_drill, archive_salvage};
pub use keys::{ArchiveKeys, SetAccess, recipients};
pub use log::{LogChange, ServedLog, archive_log, archive_served_log, follow_log, store_log};
pub use mail::{ExportFormat, export, import};
pub use pipe::{archive_check_pipe, archive_unpack, backup_to_pipe, restore_from_pipe};
pub use place::{PlaceRequest, store_place};
pub use recover::{store_give_up_log, store_recover};
pub use restore::{RestoreRequest, RestoreTo, archive_extract, restore};
pub use scrub::{ScrubRequest, store_scrub};
pub use store::{MovePace, move_mailboxes, store_check, store_compact, store_info};
pub use tune::{TuneRequest, store_tune};

use std::path::Path;

use rehome_log::RealDisk;
use rehome_store::{MailboxName, OpenOptions, Store, StoreError};

use crate::error::Error;

/// Opens a store that exists.
pub(crate) fn open(path: &Path) -> Result<Store, Error> {
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

/// There is a store, of a version that this program knows.
fn require_known(path: &Path) -> Result<(), Error> {
    require(path)?;
    Store::identify(&RealDisk::new(path)).map_err(|error| store_error(path, error)).map(drop)
}

/// The named mailboxes, all of which the store has; all that it has if none is named.
fn named(store: &Store, path: &Path, names: &[String]) -> Result<Vec<MailboxName>, Error> {
    if names.is_empty() {
        let all = store.mailboxes().map_err(Error::chain)?;
        return Ok(all.into_iter().map(|mailbox| mailbox.name).collect());
    }
    let mut found = Vec::new();
    for name in names {
        let name = MailboxName::try_from(name.as_str()).map_err(Error::bad_input)?;
        if store.mailbox(&name).map_err(Error::chain)?.is_none() {
            return Err(Error::BadInput {
                message: format!(
                    "{}: there is no mailbox \"{name}\"; see rehome store info",
                    path.display()
                ),
            });
        }
        found.push(name);
    }
    Ok(found)
}

/// A text, and what a person should know about the opening of a store.
fn noted(mut text: String, notes: &[String]) -> String {
    for note in notes {
        text.push_str(&format!("\n  {note}"));
    }
    text
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

/// What this crate's observers say, as the store's.
fn flow(flow: crate::event::Flow) -> rehome_store::Flow {
    match flow {
        crate::event::Flow::Continue => rehome_store::Flow::Continue,
        crate::event::Flow::Stop => rehome_store::Flow::Stop,
    }
}

#[cfg(test)]
mod care_tests;
#[cfg(test)]
mod tests;
