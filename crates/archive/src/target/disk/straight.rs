//! A file read from front to back, past the page cache.

use std::io;
use std::sync::{Mutex, PoisonError};

use rehome_log::AlignedBuf;

use super::Open;
use crate::target::SourceFile;

/// Bytes that are read at once.
const BLOCK_SIZE: u64 = 1 << 20;

/// A file whose reads are answered from blocks: large ones, at offsets that a direct read takes.
pub(super) struct Straight {
    file: Open,
    block: Mutex<Block>,
}

/// The bytes from `begin` on; empty at first.
struct Block {
    begin: u64,
    bytes: AlignedBuf,
}

impl Straight {
    pub(super) fn new(file: Open) -> Straight {
        let block = Block { begin: 0, bytes: AlignedBuf::zeroed(0) };
        Straight { file, block: Mutex::new(block) }
    }

    /// Reads the block that holds `offset`, unless it is the present one.
    fn turn_to(&self, block: &mut Block, offset: u64) -> io::Result<()> {
        let end = block.begin + block.bytes.as_slice().len() as u64;
        if (block.begin..end).contains(&offset) {
            return Ok(());
        }
        let begin = offset - offset % BLOCK_SIZE;
        let len = self.file.size_bytes().saturating_sub(begin).min(BLOCK_SIZE);
        let len = usize::try_from(len).map_err(io::Error::other)?;
        if block.bytes.as_slice().len() != len {
            block.bytes = AlignedBuf::zeroed(len);
        }
        // Should the read fail, nothing in the block is taken for anything.
        block.begin = u64::MAX - BLOCK_SIZE;
        self.file.read_at(begin, block.bytes.as_mut_slice())?;
        block.begin = begin;
        Ok(())
    }
}

impl SourceFile for Straight {
    fn size_bytes(&self) -> u64 {
        self.file.size_bytes()
    }

    fn read_at(&self, mut offset: u64, buf: &mut [u8]) -> io::Result<()> {
        let end = offset.checked_add(buf.len() as u64);
        if end.is_none_or(|end| end > self.size_bytes()) {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let mut block = self.block.lock().unwrap_or_else(PoisonError::into_inner);
        let mut rest = buf;
        while !rest.is_empty() {
            self.turn_to(&mut block, offset)?;
            let from = usize::try_from(offset - block.begin).map_err(io::Error::other)?;
            let have = &block.bytes.as_slice()[from..];
            let len = have.len().min(rest.len());
            let (part, behind) = rest.split_at_mut(len);
            part.copy_from_slice(&have[..len]);
            offset += len as u64;
            rest = behind;
        }
        Ok(())
    }
}
