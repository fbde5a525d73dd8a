//! Putting a record together from bytes that come strictly forward.

use super::{GRID, HEADER_SIZE, Record, RecordHead, hash};

impl Record {
    /// The record with this header, whose stored payload and padding are `padded`.
    pub(crate) fn assemble(
        header: [u8; HEADER_SIZE],
        head: RecordHead,
        mut padded: Vec<u8>,
        offset: u64,
    ) -> Result<Record, &'static str> {
        let stored_len = head.stored_len as usize;
        if padded.len() < stored_len {
            return Err("the file ends inside the record, or its length is damaged");
        }
        let is_full = padded.len() as u64 + HEADER_SIZE as u64 == head.size_bytes();
        let is_zero = padded[stored_len..].iter().all(|padding| *padding == 0);
        padded.truncate(stored_len);
        if hash(&header[..40], &padded) != header[40..] {
            return Err("its hash does not fit its bytes");
        }
        if !(is_full && is_zero && offset.is_multiple_of(GRID)) {
            return Err("its padding is cut off or not zero");
        }
        Ok(Record { head, header, stored: padded, offset, padded: true, key: None })
    }
}
