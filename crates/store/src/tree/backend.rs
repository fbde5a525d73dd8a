//! The store's disk as redb sees it.

use std::fmt;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use rehome_log::{Disk, FileId, SyncKind};

/// A checkpoint writes hundreds of megabytes. They go to the disk in parts of so many bytes: all at
/// once would stand before every delivery's sync until the last of them is written.
const PART_BYTES: u64 = 8 << 20;

/// One file of the store's disk.
pub(super) struct DiskBackend {
    disk: Arc<dyn Disk>,
    file: FileId,
    /// Bytes written since a sync.
    written_bytes: AtomicU64,
}

impl DiskBackend {
    /// Takes over `file`, which is closed with the database.
    pub(super) fn new(disk: Arc<dyn Disk>, file: FileId) -> DiskBackend {
        DiskBackend { disk, file, written_bytes: AtomicU64::new(0) }
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
        self.written_bytes.store(0, Ordering::Relaxed);
        self.disk.sync(self.file, SyncKind::Data)
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.disk.write_at(self.file, offset, data)?;
        let len = data.len() as u64;
        if self.written_bytes.fetch_add(len, Ordering::Relaxed) + len < PART_BYTES {
            return Ok(());
        }
        self.sync_data()
    }

    fn close(&self) -> io::Result<()> {
        self.disk.close(self.file);
        Ok(())
    }
}
