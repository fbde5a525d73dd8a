//! Memory that direct writes can use.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

/// What offset, length and address of a direct write must be multiples of, in bytes.
pub const DIRECT_ALIGNMENT: usize = 4096;

/// Bytes that begin at a multiple of [`DIRECT_ALIGNMENT`] in memory, with room behind them up to
/// the next one.
pub struct AlignedBuf {
    memory: Vec<u8>,
    start: usize,
    len: usize,
    pool: Option<Arc<BufPool>>,
}

/// Buffers to be used again: fresh memory of some MiB costs more than filling it.
#[derive(Debug, Default)]
pub struct BufPool {
    idle: Mutex<Vec<Vec<u8>>>,
}

/// Buffers kept idle, at most.
const IDLE_MAX: usize = 8;
/// Longer memory is given back to the system, in bytes.
const KEPT_BYTES_MAX: usize = 16 << 20;

impl BufPool {
    /// A buffer of `len` bytes: zeros, or what an earlier user left.
    #[must_use]
    pub fn take(self: &Arc<BufPool>, len: usize) -> AlignedBuf {
        let room = len.next_multiple_of(DIRECT_ALIGNMENT) + DIRECT_ALIGNMENT;
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        let fitting = idle.iter().position(|memory| memory.len() >= room);
        let memory = fitting.map(|at| idle.swap_remove(at));
        drop(idle);
        AlignedBuf::of(memory.unwrap_or_else(|| vec![0; room]), len, Some(Arc::clone(self)))
    }
}

impl AlignedBuf {
    /// `len` zeros.
    #[must_use]
    pub fn zeroed(len: usize) -> AlignedBuf {
        let room = len.next_multiple_of(DIRECT_ALIGNMENT) + DIRECT_ALIGNMENT;
        AlignedBuf::of(vec![0; room], len, None)
    }

    /// A copy of `bytes`.
    #[must_use]
    pub fn copy_of(bytes: &[u8]) -> AlignedBuf {
        let mut buf = AlignedBuf::zeroed(bytes.len());
        buf.as_mut_slice().copy_from_slice(bytes);
        buf
    }

    fn of(memory: Vec<u8>, len: usize, pool: Option<Arc<BufPool>>) -> AlignedBuf {
        let start = memory.as_ptr().align_offset(DIRECT_ALIGNMENT);
        assert!(start + len.next_multiple_of(DIRECT_ALIGNMENT) <= memory.len(), "room was left");
        AlignedBuf { memory, start, len, pool }
    }

    /// The bytes.
    #[must_use]
    pub fn as_slice(&self) -> &[u8] {
        &self.memory[self.start..self.start + self.len]
    }

    /// The bytes, to be changed.
    pub fn as_mut_slice(&mut self) -> &mut [u8] {
        &mut self.memory[self.start..self.start + self.len]
    }

    /// Keeps the first `len` bytes.
    pub fn truncate(&mut self, len: usize) {
        self.len = self.len.min(len);
    }

    /// The bytes and zeros up to the next multiple of [`DIRECT_ALIGNMENT`].
    pub fn padded(&mut self) -> &[u8] {
        let end = self.start + self.len;
        let padded = self.start + self.len.next_multiple_of(DIRECT_ALIGNMENT);
        self.memory[end..padded].fill(0);
        &self.memory[self.start..padded]
    }
}

impl Drop for AlignedBuf {
    fn drop(&mut self) {
        let Some(pool) = self.pool.take() else { return };
        let memory = std::mem::take(&mut self.memory);
        let mut idle = pool.idle.lock().unwrap_or_else(PoisonError::into_inner);
        if idle.len() < IDLE_MAX && memory.len() <= KEPT_BYTES_MAX {
            idle.push(memory);
        }
    }
}

impl Clone for AlignedBuf {
    fn clone(&self) -> AlignedBuf {
        AlignedBuf::copy_of(self.as_slice())
    }
}

impl PartialEq for AlignedBuf {
    fn eq(&self, other: &AlignedBuf) -> bool {
        self.as_slice() == other.as_slice()
    }
}

impl Eq for AlignedBuf {}

impl fmt::Debug for AlignedBuf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AlignedBuf").field("len", &self.len).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(mut buf: AlignedBuf, bytes: &[u8]) {
        assert_eq!(buf.as_slice(), bytes);
        assert_eq!(buf.as_slice().as_ptr().align_offset(DIRECT_ALIGNMENT), 0);
        let padded = buf.padded();
        assert_eq!(padded.len(), bytes.len().next_multiple_of(DIRECT_ALIGNMENT));
        assert_eq!(&padded[..bytes.len()], bytes);
        assert!(padded[bytes.len()..].iter().all(|byte| *byte == 0));
    }

    #[test]
    fn a_buffer_is_aligned_and_padded_with_zeros() {
        for len in [0, 1, 4095, 4096, 4097, 10_000] {
            let bytes: Vec<u8> = (0..len).map(|at| (at % 251) as u8).collect();
            check(AlignedBuf::copy_of(&bytes), &bytes);
            check(AlignedBuf::copy_of(&bytes).clone(), &bytes);
        }
    }

    #[test]
    fn a_used_buffer_comes_back_with_what_was_in_it_and_its_padding_is_zero_again() {
        let pool = Arc::new(BufPool::default());
        pool.take(8000).as_mut_slice().fill(7);
        let again = pool.take(5000);
        check(again, &[7; 5000]);
        assert_eq!(pool.idle.lock().unwrap().len(), 1);
        drop(pool.take(100_000));
        assert_eq!(pool.idle.lock().unwrap().len(), 2, "the first was too short");
    }
}
