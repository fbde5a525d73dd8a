//! Reading named byte streams out of a backup.

use std::io::{self, Read};

use super::Backup;
use crate::catalog::ChunkEntry;
use crate::chunk::{decode_chunk, encode_end};
use crate::error::{ArchiveError, Damage};
use crate::kind::RecordKind;
use crate::record::{FLAG_LAST, damage_in};

/// A stream in a backup.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StreamInfo {
    /// Name.
    pub name: String,
    /// Whether every record of it is where the indexes say; their bytes were not looked at.
    pub complete: bool,
}

/// A stream being read. The last read, the one that returns 0, says that length and hash of the
/// whole were right; until then the bytes are those of records whose hashes were.
pub struct StreamReader<'a> {
    backup: &'a Backup,
    name: String,
    entries: &'a [ChunkEntry],
    next: u32,
    chunk: Vec<u8>,
    at: usize,
    bytes: u64,
    hasher: blake3::Hasher,
    done: bool,
}

impl<'a> StreamReader<'a> {
    pub(crate) fn new(backup: &'a Backup, entries: &'a [ChunkEntry]) -> StreamReader<'a> {
        StreamReader {
            backup,
            name: entries.first().map(|entry| entry.name.clone()).unwrap_or_default(),
            entries,
            next: 0,
            chunk: Vec::new(),
            at: 0,
            bytes: 0,
            hasher: blake3::Hasher::new(),
            done: false,
        }
    }

    /// Reads the next record; afterwards there are bytes, or the stream is done.
    fn advance(&mut self) -> Result<(), ArchiveError> {
        let entry = usize::try_from(self.next).ok().and_then(|next| self.entries.get(next));
        let Some(entry) = entry.filter(|entry| entry.chunk == self.next) else {
            let what = format!("record {} of stream {:?} is lost", self.next, self.name);
            let file = self.backup.folder().to_owned();
            return Err(ArchiveError::Damaged(Damage::of_file(&file, what)));
        };
        let (volume, record) = self.backup.read(entry.place, RecordKind::Stream)?;
        let bad = |what: &str| ArchiveError::Damaged(damage_in(volume, &record, what));
        let payload = record.payload().map_err(|what| bad(&what))?;
        let (name, chunk, bytes) = decode_chunk(&payload).map_err(bad)?;
        if (name.as_str(), chunk) != (self.name.as_str(), self.next) {
            return Err(bad("it is another record of a stream than the index says"));
        }
        self.next += 1;
        if record.head.flags & FLAG_LAST != 0 {
            if bytes != encode_end(self.bytes, &self.hasher) {
                return Err(bad("length or hash of the stream is not what its end says"));
            }
            self.done = true;
            return Ok(());
        }
        self.bytes += bytes.len() as u64;
        self.hasher.update(bytes);
        self.at = payload.len() - bytes.len();
        self.chunk = payload;
        Ok(())
    }
}

impl Read for StreamReader<'_> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        while self.at == self.chunk.len() && !self.done && !buf.is_empty() {
            self.advance().map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))?;
        }
        let len = buf.len().min(self.chunk.len() - self.at);
        buf[..len].copy_from_slice(&self.chunk[self.at..self.at + len]);
        self.at += len;
        Ok(len)
    }
}
