//! Records of named byte streams: pieces, closed by one that holds length and hash of the whole.

use crate::bytes::{Fields, Malformed, put_text, put_u32, put_u64};

/// Bytes of a stream in one record.
pub(crate) const CHUNK_SIZE: usize = 1 << 20;
/// The longest name.
pub(crate) const NAME_SIZE_MAX: usize = 1024;

/// The payload of record `chunk` of stream `name`.
pub(crate) fn encode_chunk(name: &str, chunk: u32, bytes: &[u8]) -> Vec<u8> {
    let mut payload = Vec::with_capacity(name.len() + 8 + bytes.len());
    put_text(&mut payload, name);
    put_u32(&mut payload, chunk);
    payload.extend_from_slice(bytes);
    payload
}

/// Name, number and bytes of a stream record's payload.
pub(crate) fn decode_chunk(payload: &[u8]) -> Result<(String, u32, &[u8]), Malformed> {
    let mut fields = Fields(payload);
    Ok((fields.text()?, fields.u32()?, fields.0))
}

/// What the last record of a stream holds in place of bytes.
pub(crate) fn encode_end(bytes: u64, hasher: &blake3::Hasher) -> Vec<u8> {
    let mut end = Vec::new();
    put_u64(&mut end, bytes);
    end.extend_from_slice(hasher.finalize().as_bytes());
    end
}

/// A record of a stream.
pub(crate) struct ChunkRecord {
    pub(crate) name: String,
    pub(crate) chunk: u32,
    /// Whether it closes the stream.
    pub(crate) last: bool,
    pub(crate) payload: Vec<u8>,
}

/// A stream cut into records as its bytes come.
pub(crate) struct ChunkedStream {
    name: String,
    hasher: blake3::Hasher,
    bytes: u64,
    chunk: u32,
    waiting: Vec<u8>,
}

impl ChunkedStream {
    pub(crate) fn new(name: &str) -> ChunkedStream {
        let (hasher, waiting) = (blake3::Hasher::new(), Vec::new());
        ChunkedStream { name: name.to_owned(), hasher, bytes: 0, chunk: 0, waiting }
    }

    /// Takes the next bytes; hands out each record that they complete.
    pub(crate) fn push<E>(
        &mut self,
        mut bytes: &[u8],
        put: &mut dyn FnMut(ChunkRecord) -> Result<(), E>,
    ) -> Result<(), E> {
        while !bytes.is_empty() {
            let (part, rest) = bytes.split_at(bytes.len().min(CHUNK_SIZE - self.waiting.len()));
            self.waiting.extend_from_slice(part);
            bytes = rest;
            if self.waiting.len() == CHUNK_SIZE {
                put(self.take())?;
            }
        }
        Ok(())
    }

    /// Hands out what is left and the record that closes the stream; returns how many bytes it has.
    pub(crate) fn finish<E>(
        mut self,
        put: &mut dyn FnMut(ChunkRecord) -> Result<(), E>,
    ) -> Result<u64, E> {
        if !self.waiting.is_empty() {
            put(self.take())?;
        }
        let end = encode_end(self.bytes, &self.hasher);
        put(self.record(&end, true))?;
        Ok(self.bytes)
    }

    fn take(&mut self) -> ChunkRecord {
        let waiting = std::mem::take(&mut self.waiting);
        self.hasher.update(&waiting);
        self.bytes += waiting.len() as u64;
        let record = self.record(&waiting, false);
        self.chunk += 1;
        record
    }

    fn record(&self, bytes: &[u8], last: bool) -> ChunkRecord {
        let (name, chunk) = (self.name.clone(), self.chunk);
        ChunkRecord { payload: encode_chunk(&name, chunk, bytes), name, chunk, last }
    }
}
