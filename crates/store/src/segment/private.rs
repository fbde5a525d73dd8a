//! Private segments: written by one transfer apart from the store's own, past the page cache, and
//! attached to the store once they are durable.

use std::collections::BTreeSet;
use std::io;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};

use rehome_log::{AlignedBuf, Disk, Lsn, OpenMode, SyncKind};

use super::frame::FOOTER_SIZE;
use super::write::not_full;
use super::{OpenFile, SEGMENT_HEADER_SIZE, Shape, file_name, folder};
use crate::content_run::ContentRun;
use crate::lock::lock;
use crate::model::{ContentId, Extent};
use crate::record::RunCrc;

/// Numbers for new segments, and those that are being written apart.
#[derive(Debug)]
pub(crate) struct SegmentNumbers {
    next: AtomicU32,
    private: Mutex<BTreeSet<u32>>,
}

/// A segment that is being written apart. Its file is removed with it unless it is kept.
pub(crate) struct PrivateSegment {
    disk: Arc<dyn Disk>,
    numbers: Arc<SegmentNumbers>,
    shape: Shape,
    id: u32,
    file: Option<Arc<OpenFile>>,
    end: u64,
    records: Vec<(ContentId, Extent, u64)>,
    crc: RunCrc,
    kept: bool,
}

impl From<u32> for SegmentNumbers {
    fn from(next: u32) -> SegmentNumbers {
        SegmentNumbers { next: AtomicU32::new(next), private: Mutex::default() }
    }
}

impl SegmentNumbers {
    /// A number that no segment has.
    pub(crate) fn take(&self) -> u32 {
        self.next.fetch_add(1, Ordering::Relaxed)
    }

    /// A number for a segment that is made before it is needed; it is in use until
    /// [`SegmentNumbers::begin`].
    pub(crate) fn take_ahead(&self) -> u32 {
        let id = self.take();
        lock(&self.private).insert(id);
        id
    }

    /// Rows may name the segment, made ahead, from now on; or it was given up.
    pub(crate) fn begin(&self, id: u32) {
        lock(&self.private).remove(&id);
    }

    /// The number that was taken last.
    pub(crate) fn last(&self) -> u32 {
        self.next.load(Ordering::Relaxed).saturating_sub(1)
    }

    /// Whether the segment is being written apart: no row names it yet, but it is in use.
    pub(crate) fn is_private(&self, id: u32) -> bool {
        lock(&self.private).contains(&id)
    }
}

impl PrivateSegment {
    /// Makes the file with its header. File and name are not durable yet.
    pub(crate) fn create(
        disk: &Arc<dyn Disk>,
        numbers: &Arc<SegmentNumbers>,
        shape: Shape,
        after: Lsn,
        wall_us: i64,
    ) -> io::Result<PrivateSegment> {
        let id = numbers.take();
        lock(&numbers.private).insert(id);
        let mut segment = PrivateSegment {
            disk: Arc::clone(disk),
            numbers: Arc::clone(numbers),
            shape,
            id,
            file: None,
            end: SEGMENT_HEADER_SIZE,
            records: Vec::new(),
            crc: RunCrc::default(),
            kept: false,
        };
        let file = disk.open(&file_name(id), OpenMode::CreateDirect)?;
        segment.file = Some(Arc::new(OpenFile::new(Arc::clone(disk), file)));
        let header = AlignedBuf::copy_of(&shape.header(id, after, wall_us));
        segment.write(0, header.as_slice())?;
        Ok(segment)
    }

    pub(crate) fn id(&self) -> u32 {
        self.id
    }

    /// Bytes from the header to the last record.
    pub(crate) fn len_bytes(&self) -> u64 {
        self.end
    }

    pub(crate) fn records(&self) -> &[(ContentId, Extent, u64)] {
        &self.records
    }

    /// Writes a run at the next multiple of the alignment.
    pub(crate) fn append(&mut self, run: &mut ContentRun) -> io::Result<()> {
        let at = self.end.next_multiple_of(FOOTER_SIZE as u64);
        self.write(at, run.padded())?;
        for record in run.records() {
            let len = u32::try_from(record.len).expect("a record's length fits 32 bits");
            let extent = Extent { segment: self.id, offset: at + record.offset as u64, len };
            self.records.push((record.content, extent, record.size_bytes));
            self.crc.add(record.crc);
        }
        self.end = at + run.len() as u64;
        Ok(())
    }

    /// Ends the segment with its footer; file and name are durable when this returns.
    pub(crate) fn finish(&self) -> io::Result<()> {
        self.end()?;
        sync_names(&*self.disk)
    }

    /// Ends the segment with its footer; the file is durable when this returns, and its name only
    /// once [`sync_names`] has returned after that.
    pub(crate) fn end(&self) -> io::Result<()> {
        let at = self.end.next_multiple_of(FOOTER_SIZE as u64);
        let footer = self.shape.footer(self.id, self.end, self.records.len() as u64, self.crc.0);
        self.write(at, AlignedBuf::copy_of(&footer).as_slice())?;
        if let Some(file) = &self.file {
            self.disk.sync(file.id, SyncKind::All).map_err(not_full)?;
        }
        Ok(())
    }

    /// The file stays, whatever becomes of it: a group that names it is, or may be, in the log.
    pub(crate) fn keep(&mut self) {
        self.kept = true;
    }

    fn write(&self, at: u64, bytes: &[u8]) -> io::Result<()> {
        match &self.file {
            Some(file) => self.disk.write_at(file.id, at, bytes),
            None => Err(io::Error::other("the segment has no file")),
        }
    }
}

/// Makes the names of all segments durable that were ended before.
pub(crate) fn sync_names(disk: &dyn Disk) -> io::Result<()> {
    disk.sync_dir(&folder()).map_err(not_full)
}

impl Drop for PrivateSegment {
    fn drop(&mut self) {
        if !self.kept && self.file.take().is_some() {
            // A file that stays is room lost until the next compaction, nothing else.
            drop(self.disk.remove(&file_name(self.id)));
        }
        lock(&self.numbers.private).remove(&self.id);
    }
}

#[cfg(test)]
mod tests {
    use rehome_log::SimDisk;

    use super::*;
    use crate::record::encode;
    use crate::segment::Segments;

    const SHAPE: Shape = Shape { store_id: [3; 16], epoch: 1 };

    /// Writes a segment of runs and gives it to `then`.
    #[track_caller]
    fn check(runs: &[&[&[u8]]], then: impl FnOnce(&Arc<dyn Disk>, PrivateSegment)) {
        let disk: Arc<dyn Disk> = Arc::new(SimDisk::new());
        disk.create_dir(&folder()).unwrap();
        let numbers = Arc::new(SegmentNumbers::from(7));
        let made = PrivateSegment::create(&disk, &numbers, SHAPE, Lsn::ZERO, 0);
        let mut segment = made.unwrap();
        assert!(numbers.is_private(7));
        for run in runs {
            let bytes: Vec<u8> = run.iter().flat_map(|body| encode(body).bytes).collect();
            segment.append(&mut ContentRun::check(&bytes).unwrap()).unwrap();
        }
        segment.finish().unwrap();
        then(&disk, segment);
        assert!(!numbers.is_private(7));
        assert_eq!(numbers.take(), 8);
    }

    #[test]
    fn every_record_is_where_its_extent_says_and_each_run_begins_aligned() {
        let runs: [&[&[u8]]; 2] = [&[b"one", b"two"], &[&[9; 10_000], b"four"]];
        check(&runs, |disk, mut segment| {
            segment.keep();
            let segments = Segments::new(Arc::clone(disk), SHAPE.store_id);
            segments.check_header(7).unwrap();
            let bodies: Vec<&[u8]> = runs.concat();
            assert_eq!(segment.records().len(), 4);
            for ((content, extent, size_bytes), body) in segment.records().iter().zip(bodies) {
                assert_eq!(segments.body(*extent, content).unwrap(), body);
                assert_eq!(*size_bytes, body.len() as u64);
            }
            assert_eq!(segment.records()[0].1.offset, 4096);
            assert_eq!(segment.records()[2].1.offset, 8192);
        });
    }

    #[test]
    fn a_segment_that_is_not_kept_is_removed() {
        check(&[&[b"one"]], |disk, segment| {
            drop(segment);
            assert!(disk.list(&folder()).unwrap().is_empty());
        });
    }
}
