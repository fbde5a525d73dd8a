//! A disk whose direct writes go through the page cache.

use std::io;
use std::sync::Arc;

use rehome_log::{Disk, FileId, FileName, OpenMode, SyncKind};

/// Another disk, but for [`OpenMode::CreateDirect`], which is [`OpenMode::CreateNew`] here.
pub(crate) struct BufferedDisk(pub(crate) Arc<dyn Disk>);

impl Disk for BufferedDisk {
    fn open(&self, name: &FileName, mode: OpenMode) -> io::Result<FileId> {
        let mode = if mode == OpenMode::CreateDirect { OpenMode::CreateNew } else { mode };
        self.0.open(name, mode)
    }

    fn close(&self, file: FileId) {
        self.0.close(file);
    }

    fn len(&self, file: FileId) -> io::Result<u64> {
        self.0.len(file)
    }

    fn read_at(&self, file: FileId, offset: u64, buf: &mut [u8]) -> io::Result<()> {
        self.0.read_at(file, offset, buf)
    }

    fn write_at(&self, file: FileId, offset: u64, buf: &[u8]) -> io::Result<()> {
        self.0.write_at(file, offset, buf)
    }

    fn sync(&self, file: FileId, what: SyncKind) -> io::Result<()> {
        self.0.sync(file, what)
    }

    fn read_ahead(&self, file: FileId, offset: u64, len: u64) {
        self.0.read_ahead(file, offset, len);
    }

    fn write_behind(&self, file: FileId, offset: u64, len: u64) {
        self.0.write_behind(file, offset, len);
    }

    fn allocate_zeroed(&self, file: FileId, len: u64) -> io::Result<()> {
        self.0.allocate_zeroed(file, len)
    }

    fn set_len(&self, file: FileId, len: u64) -> io::Result<()> {
        self.0.set_len(file, len)
    }

    fn rename(&self, from: &FileName, to: &FileName) -> io::Result<()> {
        self.0.rename(from, to)
    }

    fn remove(&self, name: &FileName) -> io::Result<()> {
        self.0.remove(name)
    }

    fn list(&self, dir: &FileName) -> io::Result<Vec<String>> {
        self.0.list(dir)
    }

    fn create_dir(&self, dir: &FileName) -> io::Result<()> {
        self.0.create_dir(dir)
    }

    fn sync_dir(&self, dir: &FileName) -> io::Result<()> {
        self.0.sync_dir(dir)
    }

    fn lock(&self, name: &FileName) -> io::Result<FileId> {
        self.0.lock(name)
    }
}
