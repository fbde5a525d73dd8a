//! Reading records back, every one checked.

use std::collections::HashMap;
use std::io;
use std::sync::{Arc, Mutex};

use rehome_log::{AlignedBuf, BufPool, Disk, OpenMode};

use super::frame::check_header;
use super::{OpenFile, SEGMENT_HEADER_SIZE, Stretch, file_name};
use crate::content_run::ContentRun;
use crate::error::StoreError;
use crate::lock::lock;
use crate::model::{ContentId, Extent};
use crate::op::BodyRange;
use crate::record::{self, RunCrc};

/// Files kept open for reading, at most.
const OPEN_FILES_MAX: usize = 256;
/// What to do about damaged bytes.
const REMEDY: &str = "restore the message from a backup; other messages are not concerned";

/// The store's segments, for reading.
pub(crate) struct Segments {
    disk: Arc<dyn Disk>,
    store_id: [u8; 16],
    files: Mutex<OpenFiles>,
    pool: Arc<BufPool>,
}

#[derive(Default)]
struct OpenFiles {
    by_segment: HashMap<u32, (Arc<OpenFile>, u64)>,
    /// Counts uses, to tell which file was used last.
    uses: u64,
}

impl Segments {
    pub(crate) fn new(disk: Arc<dyn Disk>, store_id: [u8; 16]) -> Segments {
        Segments { disk, store_id, files: Mutex::default(), pool: Arc::default() }
    }

    /// Identity of the store that they are of.
    pub(crate) fn store_id(&self) -> [u8; 16] {
        self.store_id
    }

    /// The content at `extent`, which should be `content`.
    pub(crate) fn body(&self, extent: Extent, content: &ContentId) -> Result<Vec<u8>, StoreError> {
        let bytes = self.bytes(extent.segment, extent.offset, extent.len)?;
        let damaged = |cause: &str| damaged(extent.segment, extent.offset, cause);
        let (head, payload) = record::decode(&bytes).map_err(damaged)?;
        if head.content != *content {
            return Err(damaged("another content is here"));
        }
        Ok(record::unpack(&head, payload).map_err(damaged)?.into_owned())
    }

    /// `len` bytes of whole records, each checked.
    pub(crate) fn run(
        &self,
        segment: u32,
        offset: u64,
        len: u32,
    ) -> Result<ContentRun, StoreError> {
        let mut buf = self.pool.take(len as usize);
        self.fill(segment, offset, buf.as_mut_slice())?;
        checked(buf, segment, offset)
    }

    /// The records in the stretches of a load, one after the other, each checked; `extent_of` says
    /// where the record of a number lies.
    pub(crate) fn load(
        &self,
        load: &[Stretch],
        extent_of: &dyn Fn(usize) -> Extent,
    ) -> Result<ContentRun, StoreError> {
        let len = load.iter().map(|stretch| stretch.len as usize).sum();
        let mut buf = self.pool.take(len);
        let (mut at, mut offsets) = (0, Vec::new());
        for stretch in load {
            let into = &mut buf.as_mut_slice()[at..at + stretch.len as usize];
            self.fill(stretch.segment, stretch.offset, into)?;
            let records = stretch.records.clone().map(extent_of);
            offsets.extend(records.map(|one| (at + within(&one, stretch), one)));
            at += stretch.len as usize;
        }
        ContentRun::picked(buf, offsets.iter().map(|(offset, _)| *offset)).map_err(|bad| {
            let found = offsets.iter().find(|(offset, _)| *offset == bad.offset);
            let (_, extent) = found.expect("it is about a record that was asked for");
            damaged(extent.segment, extent.offset, bad.cause)
        })
    }

    /// Hints that a stretch is going to be read.
    pub(crate) fn read_ahead(&self, stretch: &Stretch) {
        // Whatever is wrong with the file is told when it is read.
        if let Ok(file) = self.file(stretch.segment) {
            self.disk.read_ahead(file.id, stretch.offset, u64::from(stretch.len));
        }
    }

    /// Whether the records of `range` are all there, and if so, their bytes.
    pub(crate) fn range(&self, range: &BodyRange) -> Result<Option<ContentRun>, StoreError> {
        let Ok(len) = u32::try_from(range.to - range.from) else { return Ok(None) };
        let run = match self.run(range.segment, range.from, len) {
            Ok(run) => run,
            Err(StoreError::Damaged { .. }) => return Ok(None),
            Err(error) => return Err(error),
        };
        let mut crc = RunCrc::default();
        run.records().iter().for_each(|record| crc.add(record.crc));
        Ok((crc.0 == range.crc).then_some(run))
    }

    /// Closes the file of a segment that is of no use any more.
    pub(crate) fn forget(&self, segment: u32) {
        lock(&self.files).by_segment.remove(&segment);
    }

    /// Checks the header of a segment.
    pub(crate) fn check_header(&self, segment: u32) -> Result<(), StoreError> {
        let bytes = self.bytes(segment, 0, SEGMENT_HEADER_SIZE as u32)?;
        check_header(&bytes, segment, self.store_id).map_err(|cause| damaged(segment, 0, cause))
    }

    /// Bytes as they are.
    pub(crate) fn bytes(&self, segment: u32, offset: u64, len: u32) -> Result<Vec<u8>, StoreError> {
        let mut bytes = vec![0; len as usize];
        self.fill(segment, offset, &mut bytes)?;
        Ok(bytes)
    }

    fn fill(&self, segment: u32, offset: u64, bytes: &mut [u8]) -> Result<(), StoreError> {
        let read = self.file(segment).and_then(|file| self.disk.read_at(file.id, offset, bytes));
        match read {
            Ok(()) => Ok(()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                Err(damaged(segment, offset, "the file is missing"))
            }
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
                Err(damaged(segment, offset, "the file ends before that"))
            }
            Err(source) => Err(StoreError::Io {
                doing: format!(
                    "reading {} bytes at {offset} of {}",
                    bytes.len(),
                    file_name(segment)
                ),
                source,
            }),
        }
    }

    fn file(&self, segment: u32) -> io::Result<Arc<OpenFile>> {
        let mut files = lock(&self.files);
        files.uses += 1;
        let now = files.uses;
        if let Some((file, used)) = files.by_segment.get_mut(&segment) {
            *used = now;
            return Ok(Arc::clone(file));
        }
        drop(files);
        let id = self.disk.open(&file_name(segment), OpenMode::Read)?;
        let file = Arc::new(OpenFile::new(Arc::clone(&self.disk), id));
        let mut files = lock(&self.files);
        if files.by_segment.len() >= OPEN_FILES_MAX {
            let oldest = files.by_segment.iter().min_by_key(|(_, (_, used))| *used);
            if let Some(oldest) = oldest.map(|(segment, _)| *segment) {
                files.by_segment.remove(&oldest);
            }
        }
        files.by_segment.insert(segment, (Arc::clone(&file), now));
        Ok(file)
    }
}

/// Where a record lies in the bytes of its stretch.
fn within(extent: &Extent, stretch: &Stretch) -> usize {
    usize::try_from(extent.offset - stretch.offset).expect("a stretch fits into memory")
}

fn checked(buf: AlignedBuf, segment: u32, offset: u64) -> Result<ContentRun, StoreError> {
    let bad = |bad: record::BadRun| damaged(segment, offset + bad.offset as u64, bad.cause);
    ContentRun::of(buf).map_err(bad)
}

fn damaged(segment: u32, offset: u64, cause: &str) -> StoreError {
    StoreError::Damaged {
        place: format!("{} at byte {offset}", file_name(segment)),
        cause: cause.to_owned(),
        remedy: REMEDY,
    }
}
