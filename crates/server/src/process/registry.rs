//! The registry keys that a store service reads and removes.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::Path;

use rehome_store::RestoreMarker;

use super::ServerError;

/// The key that lets a restored store be opened for the first time: a [`RestoreMarker`] as JSON.
pub const RESTORE_KEY: &str = "restore-in-progress";

fn failed(file: &Path) -> impl Fn(io::Error) -> ServerError {
    let file = file.display().to_string();
    move |source| ServerError::File { file: file.clone(), source }
}

/// Reads the marker of a restore; `None` if there is no such key.
///
/// # Errors
///
/// [`ServerError::File`] if the key is there and cannot be read.
pub fn read_restore_marker(registry: &Path) -> Result<Option<RestoreMarker>, ServerError> {
    let key = registry.join(RESTORE_KEY);
    match fs::read(&key) {
        Ok(bytes) => {
            let marker = serde_json::from_slice(&bytes);
            marker.map(Some).map_err(|error| failed(&key)(error.into()))
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(failed(&key)(error)),
    }
}

/// Writes the marker of a restore, durably.
///
/// # Errors
///
/// [`ServerError::File`] if it cannot be written.
pub fn write_restore_marker(registry: &Path, marker: &RestoreMarker) -> Result<(), ServerError> {
    let key = registry.join(RESTORE_KEY);
    let write = || -> io::Result<()> {
        fs::create_dir_all(registry)?;
        let fresh = registry.join(format!("{RESTORE_KEY}.new"));
        let mut file = File::create(&fresh)?;
        file.write_all(&serde_json::to_vec_pretty(marker)?)?;
        file.sync_all()?;
        fs::rename(&fresh, &key)?;
        File::open(registry)?.sync_all()
    };
    write().map_err(failed(&key))
}

/// Removes the marker of a restore, durably; returns whether there was one.
///
/// # Errors
///
/// [`ServerError::File`] if it cannot be removed.
pub fn remove_restore_marker(registry: &Path) -> Result<bool, ServerError> {
    let key = registry.join(RESTORE_KEY);
    match fs::remove_file(&key) {
        Ok(()) => {
            let synced = File::open(registry).and_then(|folder| folder.sync_all());
            synced.map(|()| true).map_err(failed(&key))
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(failed(&key)(error)),
    }
}
