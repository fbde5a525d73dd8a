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
