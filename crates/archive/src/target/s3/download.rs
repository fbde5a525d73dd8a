//! An object, open for reading.

use std::io;
use std::sync::{Arc, Mutex, PoisonError};

use object_store::path::Path;

use super::bucket::Bucket;
use crate::target::SourceFile;

/// Bytes fetched after a jump: a record's header and most payloads.
const WINDOW_BYTES_MIN: u64 = 64 << 10;
/// Bytes fetched at once at most, unless more are asked for.
const WINDOW_BYTES_MAX: u64 = 4 << 20;
/// Reading ahead costs at most this part of what was read in one run.
const AHEAD_PART: u64 = 8;

/// An object. Reads that follow each other are served from a window, which grows with the run, so
/// that little more is fetched than is asked for.
pub(super) struct Download {
    bucket: Arc<Bucket>,
    path: Path,
    size_bytes: u64,
    window: Mutex<Window>,
}

/// What was fetched last.
#[derive(Default)]
struct Window {
    /// Where the run began.
    run_begin: u64,
    begin: u64,
    bytes: Vec<u8>,
}

impl Window {
    fn end(&self) -> u64 {
        self.begin + self.bytes.len() as u64
    }

    /// Copies what it has of `buf` at `offset`, from the front; says how many bytes.
    fn copy(&self, offset: u64, buf: &mut [u8]) -> usize {
        if !(self.begin..self.end()).contains(&offset) {
            return 0;
        }
        let start = usize::try_from(offset - self.begin).unwrap_or(usize::MAX);
        let rest = self.bytes.get(start..).unwrap_or_default();
        let len = rest.len().min(buf.len());
        buf[..len].copy_from_slice(&rest[..len]);
        len
    }

    /// The run to which a read at `offset` belongs, by where it began, and how many bytes to fetch
    /// when `needed` are asked for. The window stays as it is until they came.
    fn plan(&self, offset: u64, needed: u64, size_bytes: u64) -> (u64, u64) {
        let run_begin = if offset == self.end() { self.run_begin } else { offset };
        let ahead = offset.saturating_sub(run_begin) / AHEAD_PART;
        let len = needed.max(ahead.clamp(WINDOW_BYTES_MIN, WINDOW_BYTES_MAX));
        (run_begin, len.min(size_bytes - offset))
    }
}

impl Download {
    pub(super) fn new(bucket: Arc<Bucket>, path: Path, size_bytes: u64) -> Download {
        Download { bucket, path, size_bytes, window: Mutex::default() }
    }
}

impl SourceFile for Download {
    fn size_bytes(&self) -> u64 {
        self.size_bytes
    }

    fn read_at(&self, offset: u64, buf: &mut [u8]) -> io::Result<()> {
        let len = buf.len() as u64;
        if offset.checked_add(len).is_none_or(|end| end > self.size_bytes) {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let mut window = self.window.lock().unwrap_or_else(PoisonError::into_inner);
        let have = window.copy(offset, buf);
        if have == buf.len() {
            return Ok(());
        }
        let (at, needed) = (offset + have as u64, len - have as u64);
        let (run_begin, fetched) = window.plan(at, needed, self.size_bytes);
        let bytes = self.bucket.read(&self.path, at..at + fetched)?;
        *window = Window { run_begin, begin: at, bytes };
        match window.copy(at, &mut buf[have..]) {
            filled if filled == buf.len() - have => Ok(()),
            _ => Err(io::ErrorKind::UnexpectedEof.into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Reads `lens` one after the other from `offset` on; returns bytes asked for and fetched.
    fn run(window: &mut Window, mut offset: u64, lens: &[u64]) -> (u64, u64) {
        let (mut asked, mut fetched) = (0, 0);
        for len in lens {
            let mut buf = vec![0; usize::try_from(*len).unwrap()];
            let have = window.copy(offset, &mut buf) as u64;
            if have < *len {
                let begin = offset + have;
                let (run_begin, planned) = window.plan(begin, len - have, u64::MAX);
                let bytes = vec![0; usize::try_from(planned).unwrap()];
                *window = Window { run_begin, begin, bytes };
                fetched += planned;
            }
            offset += len;
            asked += len;
        }
        (asked, fetched)
    }

    #[test]
    fn a_long_run_fetches_little_more_than_it_is_asked_for_and_in_few_requests() {
        let mut window = Window::default();
        let records = [64, 100_000].repeat(500);
        let (asked, fetched) = run(&mut window, 1 << 30, &records);
        assert!(fetched >= asked);
        assert!(fetched * 8 <= asked * 9 + 8 * WINDOW_BYTES_MIN, "{fetched} for {asked}");
        // A jump whose read fails changes nothing.
        window.plan(u64::MAX / 2, 64, u64::MAX);
        let (asked, fetched) = run(&mut window, 5, &[64, 1000, 2000]);
        assert!(fetched == WINDOW_BYTES_MIN, "{fetched} for {asked} after a jump");
    }
}
