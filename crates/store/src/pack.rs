//! Contents packed with zstd, each for itself, so that any of them can be read and moved alone.

use std::cell::RefCell;

use zstd::bulk::{Compressor, Decompressor};
use zstd::zstd_safe::{CParameter, get_frame_content_size};

/// The fastest level that also finds words again. The parameters below are for inputs of some ten
/// thousand bytes.
const LEVEL: i32 = 1;
/// One part in so many must be saved: less is not worth the unpacking at each read.
const SAVED_PART: usize = 16;
/// A thread keeps no more memory than this.
const KEPT_BYTES_MAX: usize = 1 << 20;
/// A block of a frame takes 3 bytes at least and holds at most this.
const BLOCK_BYTES: u64 = 128 << 10;

/// What a thread keeps between two contents: a compressor costs as much to make as a message to
/// pack, and fresh memory more than a copy.
struct Tools {
    compressor: Compressor<'static>,
    packed: Vec<u8>,
}

thread_local! {
    static TOOLS: RefCell<Option<Tools>> = const { RefCell::new(None) };
    static DECOMPRESSOR: RefCell<Option<Decompressor<'static>>> = const { RefCell::new(None) };
}

/// `body` as a zstd frame behind `room` zeros, if that is enough smaller.
pub(crate) fn squeeze(body: &[u8], room: usize) -> Option<Vec<u8>> {
    let limit = body.len() - body.len().div_ceil(SAVED_PART);
    TOOLS.with_borrow_mut(|tools| {
        if tools.is_none() {
            *tools = begin().map(|compressor| Tools { compressor, packed: Vec::new() });
        }
        let Tools { compressor, packed } = tools.as_mut()?;
        if packed.len() < limit {
            packed.resize(limit, 0);
        }
        // A frame that has not enough room is one that does not save enough.
        let len = compressor.compress_to_buffer(body, &mut packed[..limit]).ok();
        let bytes = len.map(|len| {
            let mut bytes = Vec::with_capacity(room + len + room);
            bytes.resize(room, 0);
            bytes.extend_from_slice(&packed[..len]);
            bytes
        });
        if packed.len() > KEPT_BYTES_MAX {
            *packed = Vec::new();
        }
        bytes
    })
}

fn begin() -> Option<Compressor<'static>> {
    let mut compressor = Compressor::new(LEVEL).ok()?;
    compressor.set_parameter(CParameter::MinMatch(5)).ok()?;
    compressor.set_parameter(CParameter::HashLog(16)).ok()?;
    Some(compressor)
}

/// Whether a frame says that it holds `size_bytes`.
pub(crate) fn says(frame: &[u8], size_bytes: u64) -> bool {
    get_frame_content_size(frame).ok().flatten() == Some(size_bytes)
}

/// The content of a frame that must have `size_bytes`.
///
/// # Errors
///
/// What is wrong with the frame.
pub(crate) fn restore(frame: &[u8], size_bytes: u64) -> Result<Vec<u8>, &'static str> {
    const WRONG: &str = "a packed record does not hold what it says";
    let blocks_max = frame.len() as u64 / 3;
    // No memory is taken for a size that cannot be.
    if !says(frame, size_bytes) || size_bytes > blocks_max.saturating_mul(BLOCK_BYTES) {
        return Err(WRONG);
    }
    let mut body = Vec::new();
    let size = usize::try_from(size_bytes).map_err(|_| WRONG)?;
    body.try_reserve_exact(size).map_err(|_| "there is no memory for a packed record")?;
    let len = DECOMPRESSOR.with_borrow_mut(|decompressor| {
        if decompressor.is_none() {
            *decompressor = Decompressor::new().ok();
        }
        decompressor.as_mut()?.decompress_to_buffer(frame, &mut body).ok()
    });
    if len == Some(size) { Ok(body) } else { Err(WRONG) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(body: &[u8], is_packed: bool) {
        let packed = squeeze(body, 7);
        assert_eq!(packed.is_some(), is_packed);
        let Some(packed) = packed else { return };
        assert_eq!(packed[..7], [0; 7]);
        assert_eq!(restore(&packed[7..], body.len() as u64).unwrap(), body);
        for cut in 7..packed.len() {
            assert!(restore(&packed[7..cut], body.len() as u64).is_err(), "cut at {cut}");
        }
    }

    #[test]
    fn what_was_packed_comes_back() {
        check(&b"a word and ".repeat(1000), true);
        check(&[0; 1_000_000], true);
        check(b"short", false);
        check(b"", false);
    }

    #[test]
    fn a_frame_that_claims_much_takes_no_memory() {
        // A frame header with 8 bytes of size, 2^60, and an empty last block.
        let mut frame = vec![0x28, 0xb5, 0x2f, 0xfd, 0xe0];
        frame.extend_from_slice(&(1_u64 << 60).to_le_bytes());
        frame.extend_from_slice(&[1, 0, 0]);
        assert!(restore(&frame, 1 << 60).is_err());
        assert!(restore(&frame, 8).is_err());
        assert!(restore(&[], 0).is_err());
    }
}
