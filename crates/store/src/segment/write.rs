//! Writing segments.

use std::io;
use std::ops::Range;
use std::sync::Arc;

use rehome_log::{AlignedBuf, BufPool, DIRECT_ALIGNMENT, Disk, FileId, Lsn, OpenMode, SyncKind};

use super::frame::FOOTER_SIZE;
use super::{OpenFile, SEGMENT_HEADER_SIZE, Shape, file_name, folder};
use crate::error::{StoreError, doing};
use crate::record::RunCrc;

/// So many bytes at once go past the page cache: a copy in it costs more than it is worth, most of
/// all where a virtual machine has to get the memory from its host first. Fewer go through it, so
/// that a message that was just delivered is read from memory.
const DIRECT_BYTES_MIN: usize = 256 << 10;
/// How much of them is written at once.
const DIRECT_BYTES: usize = 4 << 20;

/// A segment being written.
#[derive(Clone)]
pub(crate) struct OpenSegment {
    pub(crate) id: u32,
    pub(crate) file: Arc<OpenFile>,
    /// End of the last record.
    pub(crate) end: u64,
    /// Records in it.
    pub(crate) records: u64,
    /// Checksum over the checksums of these.
    pub(crate) crc: RunCrc,
    pool: Arc<BufPool>,
}

/// Makes the file of segment `id` with its header; its name is durable when this returns.
pub(crate) fn create(
    disk: &Arc<dyn Disk>,
    shape: &Shape,
    id: u32,
    after: Lsn,
    wall_us: i64,
) -> Result<OpenSegment, StoreError> {
    let name = file_name(id);
    let failed = || doing(format!("making {name}"));
    let file = disk.open(&name, OpenMode::CreateDirect).map_err(failed())?;
    let file = Arc::new(OpenFile::new(Arc::clone(disk), file));
    disk.write_at(file.id, 0, &shape.header(id, after, wall_us)).map_err(failed())?;
    disk.sync(file.id, SyncKind::All).map_err(not_full).map_err(failed())?;
    disk.sync_dir(&folder()).map_err(not_full).map_err(failed())?;
    let (end, crc, pool) = (SEGMENT_HEADER_SIZE, RunCrc::default(), Arc::default());
    Ok(OpenSegment { id, file, end, records: 0, crc, pool })
}

impl OpenSegment {
    /// Writes `pieces` from byte `from` on, one after the other.
    pub(crate) fn write(
        &self,
        disk: &dyn Disk,
        from: u64,
        pieces: &[impl AsRef<[u8]>],
    ) -> io::Result<()> {
        let len = pieces.iter().map(|piece| piece.as_ref().len()).sum::<usize>();
        if len >= DIRECT_BYTES_MIN {
            let (file, buf) = (self.file.id, self.pool.take(DIRECT_BYTES));
            let mut writer = DirectWriter { disk, file, at: from, buf, len: 0 };
            pieces.iter().try_for_each(|piece| writer.add(piece.as_ref()))?;
            return writer.end();
        }
        let mut gathered = Vec::with_capacity(len);
        pieces.iter().for_each(|piece| gathered.extend_from_slice(piece.as_ref()));
        disk.write_at(self.file.id, from, &gathered)?;
        disk.write_behind(self.file.id, from, len as u64);
        Ok(())
    }

    /// Ends the segment with its footer, durably.
    pub(crate) fn seal(&self, disk: &dyn Disk, shape: &Shape) -> io::Result<()> {
        let at = self.end.next_multiple_of(FOOTER_SIZE as u64);
        let footer = shape.footer(self.id, self.end, self.records, self.crc.0);
        disk.write_at(self.file.id, at, &footer)?;
        disk.sync(self.file.id, SyncKind::All).map_err(not_full)
    }
}

/// Bytes on their way past the page cache. What of them fills no whole unit at the beginning and at
/// the end goes through it.
struct DirectWriter<'d> {
    disk: &'d dyn Disk,
    file: FileId,
    /// Where the buffer begins in the file.
    at: u64,
    buf: AlignedBuf,
    /// Bytes in the buffer.
    len: usize,
}

impl DirectWriter<'_> {
    fn add(&mut self, mut bytes: &[u8]) -> io::Result<()> {
        while !bytes.is_empty() {
            let over = (self.at % DIRECT_ALIGNMENT as u64) as usize;
            let limit = if over == 0 { DIRECT_BYTES } else { DIRECT_ALIGNMENT - over };
            let taken = (limit - self.len).min(bytes.len());
            let (first, rest) = bytes.split_at(taken);
            self.buf.as_mut_slice()[self.len..self.len + taken].copy_from_slice(first);
            self.len += taken;
            bytes = rest;
            if self.len == limit {
                self.write(0..limit)?;
                self.len = 0;
            }
        }
        Ok(())
    }

    fn end(mut self) -> io::Result<()> {
        let whole = self.len - self.len % DIRECT_ALIGNMENT;
        self.write(0..whole)?;
        self.write(whole..self.len)
    }

    fn write(&mut self, part: Range<usize>) -> io::Result<()> {
        let bytes = &self.buf.as_slice()[part];
        if !bytes.is_empty() {
            self.disk.write_at(self.file, self.at, bytes)?;
        }
        self.at += bytes.len() as u64;
        Ok(())
    }
}

/// A failed sync is never a matter of making room: the bytes may be lost whatever the disk says.
pub(super) fn not_full(error: io::Error) -> io::Error {
    if error.kind() == io::ErrorKind::StorageFull { io::Error::other(error) } else { error }
}

#[cfg(test)]
mod tests {
    use rehome_log::RealDisk;

    use super::*;

    /// Writes pieces of these lengths twice, one group behind the other, and reads the file.
    #[track_caller]
    fn check(lens: &[usize]) {
        let folder = tempfile::tempdir().unwrap();
        let disk: Arc<dyn Disk> = Arc::new(RealDisk::new(folder.path()));
        disk.create_dir(&super::super::folder()).unwrap();
        let shape = Shape { store_id: [3; 16], epoch: 1 };
        let segment = create(&disk, &shape, 7, Lsn::ZERO, 0).unwrap();
        let piece = |(number, len): (usize, &usize)| -> Vec<u8> {
            (0..*len).map(|at| (at * 31 + at / 4096 + number) as u8).collect()
        };
        let pieces: Vec<Vec<u8>> = lens.iter().enumerate().map(piece).collect();
        let group = pieces.concat();
        for from in [segment.end, segment.end + group.len() as u64] {
            segment.write(&*disk, from, &pieces).unwrap();
        }
        let file = std::fs::read(folder.path().join(file_name(7).as_str())).unwrap();
        assert_eq!(file.len(), segment.end as usize + 2 * group.len());
        assert!(file[segment.end as usize..] == [&group[..], &group[..]].concat(), "{lens:?}");
    }

    #[test]
    fn what_goes_past_the_page_cache_lies_where_it_should() {
        check(&[1, 2, 3]);
        check(&[DIRECT_BYTES_MIN]);
        check(&[DIRECT_BYTES_MIN + 1]);
        check(&[5, 4091, DIRECT_BYTES_MIN, 4096]);
        check(&[100; 5000]);
        check(&[DIRECT_BYTES - 3, 7, DIRECT_BYTES + 4095]);
        check(&[7, 3 * DIRECT_BYTES]);
    }
}
