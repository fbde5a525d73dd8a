//! Making a server's directory where no service runs on it.

use std::path::Path;
use std::sync::Arc;

use rehome_log::{RealDisk, SystemClock};
use rehome_server::{DurableDirectory, DurableError};
use rehome_site::Directory;

use crate::error::Error;

/// Puts a directory into a folder; one that is there already stays as it is.
pub(crate) fn create(folder: &Path, directory: &Directory) -> Result<(), Error> {
    std::fs::create_dir_all(folder)
        .map_err(|error| Error::needs_human(format!("{}: {error}", folder.display())))?;
    let (disk, clock) = (Arc::new(RealDisk::new(folder)), Arc::new(SystemClock));
    match DurableDirectory::create(disk, clock, "installation", 0, directory.clone()) {
        Ok(mut made) => made.checkpoint().map_err(Error::chain),
        Err(DurableError::Exists { .. }) => Ok(()),
        Err(error) => Err(Error::chain(error)),
    }
}

/// Reads the directory of a server that does not run.
pub(crate) fn read(folder: &Path) -> Result<Directory, Error> {
    let (disk, clock) = (Arc::new(RealDisk::new(folder)), Arc::new(SystemClock));
    let opened = DurableDirectory::open(disk, clock, "backup", 0).map_err(Error::chain)?;
    Ok(opened.directory().clone())
}
