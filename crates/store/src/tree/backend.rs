//! The store's disk as redb sees it.

use std::fmt;
use std::io;
use std::sync::Arc;

use rehome_log::{Disk, FileId, SyncKind};

/// One file of the store's disk.
pub(super) struct DiskBackend {
    disk: Arc<dyn Disk>,
    file: FileId,
}

impl DiskBackend {
    /// Takes over `file`, which is closed with the database.
    pub(super) fn new(disk: Arc<dyn Disk>, file: FileId) -> DiskBackend {
        DiskBackend { disk, file }
    }
}

impl fmt::Debug for DiskBackend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DiskBackend").field("file", &self.file).finish_non_exhaustive()
    }
}

impl redb::StorageBackend for DiskBackend {
    fn len(&self) -> io::Result<u64> {
        self.disk.len(self.file)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.disk.read_at(self.file, offset, out)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.disk.set_len(self.file, len)
    }

    fn sync_data(&self) -> io::Result<()> {
        self.disk.sync(self.file, SyncKind::Data)
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.disk.write_at(self.file, offset, data)
    }

    fn close(&self) -> io::Result<()> {
        self.disk.close(self.file);
        Ok(())
    }
}
