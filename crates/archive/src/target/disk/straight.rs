//! A file read from front to back, leaving nothing in the page cache: while a block is used, a
//! thread reads the next one.

use std::io;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::Builder;

use rehome_log::{AlignedBuf, BufPool};

use super::Open;
use crate::target::SourceFile;

/// Bytes that are read at once.
const BLOCK_SIZE: u64 = 1 << 20;

/// A file whose reads are answered from blocks: large ones, at offsets that a direct read takes.
pub(super) struct Straight {
    file: Arc<File>,
    blocks: Mutex<Blocks>,
}

/// The file, and memory that blocks were in before.
struct File {
    open: Open,
    pool: Arc<BufPool>,
}

/// A block that was read, and where it begins.
type Loaded = (u64, io::Result<AlignedBuf>);

/// The block in use, and the one after it.
struct Blocks {
    begin: u64,
    bytes: AlignedBuf,
    /// The thread that reads ahead; it ends with the channel.
    ahead: Option<(Sender<u64>, Receiver<Loaded>)>,
    /// What it was asked for and did not hand over yet.
    asked: Option<u64>,
}

impl Straight {
    pub(super) fn new(file: Open) -> Straight {
        let blocks = Blocks { begin: 0, bytes: AlignedBuf::zeroed(0), ahead: None, asked: None };
        let file = Arc::new(File { open: file, pool: Arc::default() });
        Straight { file, blocks: Mutex::new(blocks) }
    }

    /// Makes the block that holds `offset` the present one.
    fn turn_to(&self, blocks: &mut Blocks, offset: u64) -> io::Result<()> {
        let end = blocks.begin + blocks.bytes.as_slice().len() as u64;
        if (blocks.begin..end).contains(&offset) {
            return Ok(());
        }
        let begin = offset - offset % BLOCK_SIZE;
        let goes_on = begin == end;
        blocks.bytes = match blocks.arrived(begin) {
            Some(read) => read?,
            None => load(&self.file, begin)?,
        };
        blocks.begin = begin;
        let next = begin + BLOCK_SIZE;
        if goes_on && next < self.file.open.size_bytes() {
            blocks.ask(&self.file, next);
        }
        Ok(())
    }
}

impl Blocks {
    /// The block at `begin`, if the thread was asked for it.
    fn arrived(&mut self, begin: u64) -> Option<io::Result<AlignedBuf>> {
        self.asked.take()?;
        let (at, read) = self.ahead.as_ref()?.1.recv().ok()?;
        (at == begin).then_some(read)
    }

    /// Has the thread read the block at `begin`.
    fn ask(&mut self, file: &Arc<File>, begin: u64) {
        if self.ahead.is_none() {
            let ((ask, asked), (hand_over, arriving)) = (channel(), channel());
            let file = Arc::clone(file);
            let thread = Builder::new().name("archive-ahead".to_owned());
            let begun = thread.spawn(move || {
                for begin in asked {
                    if hand_over.send((begin, load(&file, begin))).is_err() {
                        return;
                    }
                }
            });
            self.ahead = begun.ok().map(|_| (ask, arriving));
        }
        let asked = self.ahead.as_ref().is_some_and(|(ask, _)| ask.send(begin).is_ok());
        self.asked = asked.then_some(begin);
    }
}

/// Reads the block at `begin`.
fn load(file: &File, begin: u64) -> io::Result<AlignedBuf> {
    let len = file.open.size_bytes().saturating_sub(begin).min(BLOCK_SIZE);
    let mut bytes = file.pool.take(usize::try_from(len).map_err(io::Error::other)?);
    file.open.read_at(begin, bytes.as_mut_slice())?;
    Ok(bytes)
}

impl SourceFile for Straight {
    fn size_bytes(&self) -> u64 {
        self.file.open.size_bytes()
    }

    fn read_at(&self, mut offset: u64, buf: &mut [u8]) -> io::Result<()> {
        let end = offset.checked_add(buf.len() as u64);
        if end.is_none_or(|end| end > self.size_bytes()) {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let mut blocks = self.blocks.lock().unwrap_or_else(PoisonError::into_inner);
        let mut rest = buf;
        while !rest.is_empty() {
            if self.turn_to(&mut blocks, offset).is_err() {
                // What cannot be read of the block may lie elsewhere in it.
                return self.file.open.read_at(offset, rest);
            }
            let from = usize::try_from(offset - blocks.begin).map_err(io::Error::other)?;
            let have = &blocks.bytes.as_slice()[from..];
            let len = have.len().min(rest.len());
            let (part, behind) = rest.split_at_mut(len);
            part.copy_from_slice(&have[..len]);
            offset += len as u64;
            rest = behind;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use rehome_log::SplitMix64;

    use crate::target::{DiskTarget, Target as _};

    #[test]
    fn a_file_read_once_has_the_same_bytes_wherever_it_is_read() {
        let folder = tempfile::tempdir().unwrap();
        let target = DiskTarget::at(folder.path());
        let bytes: Vec<u8> = (0..2_500_000_u32).map(|at| (at / 7).to_le_bytes()[0]).collect();
        let mut file = target.create("f").unwrap();
        file.append(&bytes).unwrap();
        file.finish().unwrap();
        let file = target.open_once("f").unwrap();
        assert_eq!(file.size_bytes(), 2_500_000);
        let mut random = SplitMix64::new(3);
        let mut places: Vec<(u64, u64)> = (0..25).map(|part| (part * 100_000, 100_000)).collect();
        for _ in 0..50 {
            let at = random.below(2_500_000);
            places.push((at, random.below(2_500_000 - at)));
        }
        for (at, len) in places {
            let mut read = vec![0; usize::try_from(len).unwrap()];
            file.read_at(at, &mut read).unwrap();
            let from = usize::try_from(at).unwrap();
            assert!(read == bytes[from..from + read.len()], "{len} bytes at {at}");
        }
        assert!(file.read_at(2_499_999, &mut [0; 2]).is_err());
        assert!(file.read_at(u64::MAX, &mut [0; 2]).is_err());
    }
}
