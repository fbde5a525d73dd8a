//! Writing segments.

use std::io;
use std::sync::Arc;

use rehome_log::{Disk, Lsn, OpenMode, SyncKind};

use super::frame::FOOTER_SIZE;
use super::{OpenFile, SEGMENT_HEADER_SIZE, Shape, file_name, folder};
use crate::error::{StoreError, doing};
use crate::record::RunCrc;

/// A piece at least this long is written by itself; shorter ones are gathered.
const GATHER_BYTES: usize = 256 << 10;
/// How much is gathered before it is written.
const GATHERED_BYTES: usize = 1 << 20;

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
    let file = disk.open(&name, OpenMode::CreateNew).map_err(failed())?;
    let file = Arc::new(OpenFile::new(Arc::clone(disk), file));
    disk.write_at(file.id, 0, &shape.header(id, after, wall_us)).map_err(failed())?;
    disk.sync(file.id, SyncKind::All).map_err(not_full).map_err(failed())?;
    disk.sync_dir(&folder()).map_err(not_full).map_err(failed())?;
    Ok(OpenSegment { id, file, end: SEGMENT_HEADER_SIZE, records: 0, crc: RunCrc::default() })
}

impl OpenSegment {
    /// Writes `pieces` from byte `from` on, one after the other.
    pub(crate) fn write(
        &self,
        disk: &dyn Disk,
        mut from: u64,
        pieces: &[Vec<u8>],
    ) -> io::Result<()> {
        let start = from;
        let mut gathered: Vec<u8> = Vec::new();
        let flush = |gathered: &mut Vec<u8>, from: &mut u64| -> io::Result<()> {
            if !gathered.is_empty() {
                disk.write_at(self.file.id, *from, gathered)?;
                *from += gathered.len() as u64;
                gathered.clear();
            }
            Ok(())
        };
        for piece in pieces {
            if piece.len() >= GATHER_BYTES {
                flush(&mut gathered, &mut from)?;
                disk.write_at(self.file.id, from, piece)?;
                from += piece.len() as u64;
                continue;
            }
            gathered.extend_from_slice(piece);
            if gathered.len() >= GATHERED_BYTES {
                flush(&mut gathered, &mut from)?;
            }
        }
        flush(&mut gathered, &mut from)?;
        disk.write_behind(self.file.id, start, from - start);
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

/// A failed sync is never a matter of making room: the bytes may be lost whatever the disk says.
pub(super) fn not_full(error: io::Error) -> io::Error {
    if error.kind() == io::ErrorKind::StorageFull { io::Error::other(error) } else { error }
}
