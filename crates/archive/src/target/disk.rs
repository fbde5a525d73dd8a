//! A folder as a target.

mod part;
mod straight;

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use rehome_log::{Disk, FileId, FileName, OpenMode, RealDisk};

use self::part::Part;
use self::straight::Straight;
use super::{SourceFile, Target, TargetFile};

/// How often a folder is made again that went away.
const ATTEMPTS: u32 = 100;
/// What a file is called until it is finished.
const PART: &str = ".part";

/// A set in a folder of a [`Disk`].
///
/// A file is written as `NAME.part` under a lock, synced, renamed to `NAME`, and its folder
/// synced. After a crash `NAME.part` may be left; it is read by salvage alone.
#[derive(Clone)]
pub struct DiskTarget {
    disk: Arc<dyn Disk>,
}

impl DiskTarget {
    /// The set at the root of `disk`.
    #[must_use]
    pub fn new(disk: Arc<dyn Disk>) -> DiskTarget {
        DiskTarget { disk }
    }

    /// The set in folder `path` of the file system, made when first written to.
    #[must_use]
    pub fn at(path: impl Into<PathBuf>) -> DiskTarget {
        DiskTarget::new(Arc::new(RealDisk::new(path)))
    }

    /// Makes file `part` and its folder. The folder goes with its last file, so it is made again
    /// if that happens in between.
    fn lock(&self, part: &FileName) -> io::Result<FileId> {
        let mut attempt = 0;
        loop {
            attempt += 1;
            self.disk.create_dir(&part.parent())?;
            match self.disk.lock(part) {
                Err(error) if error.kind() == io::ErrorKind::NotFound && attempt < ATTEMPTS => {}
                locked => return locked,
            }
        }
    }
}

fn file_name(name: &str) -> io::Result<FileName> {
    FileName::new(name).map_err(|error| io::Error::new(io::ErrorKind::InvalidInput, error))
}

impl Target for DiskTarget {
    fn create(&self, name: &str) -> io::Result<Box<dyn TargetFile>> {
        let (name, part) = (file_name(name)?, file_name(&format!("{name}{PART}"))?);
        let file = self.lock(&part)?;
        let part = Part::new(&self.disk, file, part, name);
        // Whoever finished this name did so under the lock that is now held here; after that
        // finish the locked file is the finished one, so it must not be touched before the look.
        match self.disk.open(part.name(), OpenMode::Read) {
            Ok(found) => {
                self.disk.close(found);
                return Err(io::ErrorKind::AlreadyExists.into());
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
        if self.disk.len(file)? != 0 {
            self.disk.set_len(file, 0)?;
        }
        Ok(Box::new(part))
    }

    fn open(&self, name: &str) -> io::Result<Box<dyn SourceFile>> {
        Ok(Box::new(Open::new(&self.disk, name, OpenMode::Read)?))
    }

    fn open_once(&self, name: &str) -> io::Result<Box<dyn SourceFile>> {
        Ok(Box::new(Straight::new(Open::new(&self.disk, name, OpenMode::ReadOnce)?)))
    }

    fn settle(&self, name: &str) -> io::Result<()> {
        self.disk.sync_dir(&file_name(name)?.parent())
    }

    fn list(&self, dir: &str) -> io::Result<Vec<String>> {
        let dir = if dir.is_empty() { FileName::root() } else { file_name(dir)? };
        match self.disk.list(&dir) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
            listed => listed,
        }
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        let name = file_name(name)?;
        self.disk.remove(&name)?;
        let folder = name.parent();
        match self.disk.sync_dir(&folder) {
            // Whoever took the last file away at the same time has taken the folder too.
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            synced => synced?,
        }
        // An empty folder means nothing; it is no error if it stays, or fills again.
        if folder != FileName::root() && self.disk.list(&folder).is_ok_and(|names| names.is_empty())
        {
            _ = self.disk.remove_dir(&folder);
        }
        Ok(())
    }
}

/// A finished file, open.
struct Open {
    disk: Arc<dyn Disk>,
    file: FileId,
    size_bytes: u64,
}

impl Open {
    fn new(disk: &Arc<dyn Disk>, name: &str, mode: OpenMode) -> io::Result<Open> {
        let file = disk.open(&file_name(name)?, mode)?;
        let mut open = Open { disk: Arc::clone(disk), file, size_bytes: 0 };
        open.size_bytes = disk.len(file)?;
        Ok(open)
    }
}

impl SourceFile for Open {
    fn size_bytes(&self) -> u64 {
        self.size_bytes
    }

    fn read_at(&self, offset: u64, buf: &mut [u8]) -> io::Result<()> {
        self.disk.read_at(self.file, offset, buf)
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.disk.close(self.file);
    }
}
