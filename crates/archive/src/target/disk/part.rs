//! A file being written: whole blocks go past the page cache, the rest at the end.

use std::io;
use std::sync::Arc;

use rehome_log::{AlignedBuf, Disk, FileId, FileName, OpenMode, SyncKind};

use crate::target::TargetFile;

/// Bytes that are written at once.
const BLOCK_SIZE: usize = 1 << 20;

/// A file that does not have its name yet.
pub(super) struct Part {
    disk: Arc<dyn Disk>,
    /// Holds the lock.
    file: FileId,
    /// The same file, once a whole block was written.
    direct: Option<FileId>,
    part: FileName,
    name: FileName,
    /// Bytes written.
    offset: u64,
    block: AlignedBuf,
    /// Bytes in the block.
    filled: usize,
    /// Whether nothing more is to be written: it is finished, or a write failed.
    over: bool,
}

impl Part {
    /// The file called `part`, open and empty as `file`, which is to be called `name`.
    pub(super) fn new(disk: &Arc<dyn Disk>, file: FileId, part: FileName, name: FileName) -> Part {
        Part {
            disk: Arc::clone(disk),
            file,
            direct: None,
            part,
            name,
            offset: 0,
            block: AlignedBuf::zeroed(0),
            filled: 0,
            over: false,
        }
    }

    /// What it is to be called.
    pub(super) fn name(&self) -> &FileName {
        &self.name
    }

    /// Makes room in the block for `more` bytes, or as many as a block may have.
    fn make_room(&mut self, more: usize) {
        let needed = (self.filled + more).min(BLOCK_SIZE);
        if self.block.as_slice().len() >= needed {
            return;
        }
        // Most files are small.
        let size = needed.next_power_of_two().min(BLOCK_SIZE);
        let mut block = AlignedBuf::zeroed(size);
        block.as_mut_slice()[..self.filled].copy_from_slice(&self.block.as_slice()[..self.filled]);
        self.block = block;
    }

    fn put(&mut self, mut bytes: &[u8]) -> io::Result<()> {
        self.make_room(bytes.len());
        while !bytes.is_empty() {
            let (more, rest) = bytes.split_at(bytes.len().min(BLOCK_SIZE - self.filled));
            let end = self.filled + more.len();
            self.block.as_mut_slice()[self.filled..end].copy_from_slice(more);
            (self.filled, bytes) = (end, rest);
            if end == BLOCK_SIZE {
                self.put_block()?;
            }
        }
        Ok(())
    }

    /// Writes the block, which is full.
    fn put_block(&mut self) -> io::Result<()> {
        let direct = match self.direct {
            Some(direct) => direct,
            None => *self.direct.insert(self.disk.open(&self.part, OpenMode::WriteDirect)?),
        };
        self.disk.write_at(direct, self.offset, self.block.as_slice())?;
        (self.offset, self.filled) = (self.offset + BLOCK_SIZE as u64, 0);
        Ok(())
    }

    /// Writes what is in the block.
    fn put_rest(&mut self) -> io::Result<()> {
        if self.filled > 0 {
            self.disk.write_at(self.file, self.offset, &self.block.as_slice()[..self.filled])?;
            (self.offset, self.filled) = (self.offset + self.filled as u64, 0);
        }
        Ok(())
    }
}

impl TargetFile for Part {
    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        let put = self.put(bytes);
        self.over |= put.is_err();
        put
    }

    fn finish(mut self: Box<Self>) -> io::Result<()> {
        self.over = true;
        self.put_rest()?;
        self.disk.sync(self.file, SyncKind::All)?;
        self.disk.rename(&self.part, &self.name)?;
        if let Err(error) = self.disk.sync_dir(&self.name.parent()) {
            // Nobody may build upon a name that a power cut may take. If this fails too, the
            // file is whole and named, and its writer knows nothing but the error.
            _ = self.disk.rename(&self.name, &self.part);
            return Err(error);
        }
        // What is left of it in the cache may leave: the check that follows reads the disk.
        self.disk.write_behind(self.file, 0, self.offset);
        Ok(())
    }
}

impl Drop for Part {
    fn drop(&mut self) {
        if !self.over {
            // Its writer gave up: what came so far is for salvage, which takes what there is.
            _ = self.put_rest();
        }
        if let Some(direct) = self.direct {
            self.disk.close(direct);
        }
        self.disk.close(self.file);
    }
}
