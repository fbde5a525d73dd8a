//! The store's disk as redb sees it.

use std::fmt;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use rehome_log::{Disk, FileId, SyncKind};

/// A checkpoint, and a base of the catalog, is hundreds of megabytes. They go to the disk in parts
/// of so many bytes: all at once would stand before each delivery's sync until the last is written.
pub(crate) const PART_BYTES: u64 = 8 << 20;

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

#[cfg(test)]
mod tests {
    use redb::StorageBackend as _;
    use rehome_log::{Fault, FileName, OpenMode, SimDisk};

    use super::*;

    /// Writes three parts and a half; gives back the disk and what the last write said.
    fn written(fault: Option<Fault>) -> (Arc<SimDisk>, io::Result<()>) {
        let disk = Arc::new(SimDisk::new());
        let name = FileName::new("mail.redb").unwrap();
        let file = disk.open(&name, OpenMode::CreateNew).unwrap();
        disk.sync_dir(&FileName::root()).unwrap();
        let backend = DiskBackend::new(disk.clone(), file);
        let piece = vec![7; PART_BYTES as usize / 2];
        if let Some(fault) = fault {
            disk.fail_after(0, fault);
        }
        let pieces = (0..7).map(|at| backend.write(at * PART_BYTES / 2, &piece));
        let told = pieces.collect();
        (disk, told)
    }

    #[test]
    fn what_is_written_goes_to_the_disk_part_by_part() {
        let (disk, told) = written(None);
        told.unwrap();
        for seed in 0..4 {
            let left = disk.crash(seed).contents(&FileName::new("mail.redb").unwrap()).unwrap();
            let parts = 3 * PART_BYTES as usize;
            assert!(left.len() >= parts && left[..parts].iter().all(|byte| *byte == 7), "{seed}");
        }
    }

    #[test]
    fn a_part_that_is_not_synced_is_an_error() {
        written(Some(Fault::FsyncEio)).1.unwrap_err();
    }
}
