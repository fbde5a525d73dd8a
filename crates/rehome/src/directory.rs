//! Making a server's directory where no service runs on it.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rehome_log::{Disk, OwnershipError, RealDisk, SystemClock};
use rehome_server::{DurableDirectory, DurableError};
use rehome_site::Directory;

use crate::error::Error;
use crate::process::PREDECESSOR_MAX;

/// Puts a directory into a folder; one that is there already stays as it is.
pub(crate) fn create(folder: &Path, directory: &Directory) -> Result<(), Error> {
    std::fs::create_dir_all(folder)
        .map_err(|error| Error::needs_human(format!("{}: {error}", folder.display())))?;
    let disk = Arc::new(RealDisk::new(folder));
    let create = || {
        let (disk, clock) = (Arc::clone(&disk) as Arc<dyn Disk>, Arc::new(SystemClock));
        DurableDirectory::create(disk, clock, "installation", 0, directory.clone())
    };
    match patiently(create) {
        Ok(mut made) => made.checkpoint().map_err(Error::chain),
        Err(DurableError::Exists { .. }) => Ok(()),
        Err(error) => Err(Error::chain(error)),
    }
}

/// Reads the directory of a server that does not run.
pub(crate) fn read(folder: &Path) -> Result<Directory, Error> {
    let open = || {
        let (disk, clock) = (Arc::new(RealDisk::new(folder)), Arc::new(SystemClock));
        DurableDirectory::open(disk, clock, "backup", 0)
    };
    let opened = patiently(open).map_err(Error::chain)?;
    Ok(opened.directory().clone())
}

/// Tries again for a while when somebody has the directory open: what a killed run left may still
/// be ending.
fn patiently(
    open: impl Fn() -> Result<DurableDirectory, DurableError>,
) -> Result<DurableDirectory, DurableError> {
    let started = Instant::now();
    loop {
        match open() {
            Err(DurableError::Ownership { source: OwnershipError::Held { .. } })
                if started.elapsed() < PREDECESSOR_MAX =>
            {
                std::thread::park_timeout(Duration::from_millis(50));
            }
            other => return other,
        }
    }
}
