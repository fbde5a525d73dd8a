//! What a restore that was cut short left in durable segments: read, checked, and not written
//! again.

use std::sync::Arc;

use rehome_log::Disk;

use crate::content_run::{ContentRun, StoredContent};
use crate::error::{StoreError, doing};
use crate::flow::Flow;
use crate::identity::{Restore, remove_if_there, restore_name, write_json};
use crate::model::{ContentId, Extent};
use crate::record::{self, RECORD_HEADER_SIZE, RunCrc};
use crate::segment::{self, FOOTER_SIZE, Footer, SEGMENT_HEADER_SIZE, Segments};

/// So much is read at once, but for longer records.
const WINDOW_BYTES: usize = 4 << 20;

/// A content in a segment.
pub(super) struct KeptContent {
    pub(super) content: ContentId,
    pub(super) extent: Extent,
    pub(super) size_bytes: u64,
}

/// A segment that is whole and durable.
pub(super) struct KeptSegment {
    pub(super) id: u32,
    pub(super) len_bytes: u64,
    pub(super) contents: Vec<KeptContent>,
}

/// What is asked about contents, and who is told of the bytes read.
pub(super) struct Look<'a> {
    /// A segment with a content that is not wanted is not kept.
    pub(super) wanted: &'a dyn Fn(&ContentId) -> bool,
    /// Hears the bytes read so far.
    pub(super) progress: &'a mut dyn FnMut(u64) -> Flow,
}

/// Notes that segments up to number `sealed` are durable.
pub(super) fn note_sealed(disk: &dyn Disk, sealed: u32) -> Result<(), StoreError> {
    write_json(disk, &restore_name(), &Restore::Writing { sealed })
}

/// Reads the segments up to number `sealed` and removes those that are damaged or not wanted.
pub(super) fn look(
    disk: &Arc<dyn Disk>,
    store_id: [u8; 16],
    sealed: u32,
    look: &mut Look<'_>,
) -> Result<Vec<KeptSegment>, StoreError> {
    let segments = Segments::new(Arc::clone(disk), store_id);
    let (mut kept, mut done_bytes) = (Vec::new(), 0);
    let mut there = segment::numbers(&**disk)?;
    there.sort_unstable();
    for id in there.into_iter().filter(|id| *id <= sealed) {
        let mut reading = Reading { segments: &segments, id, done_bytes: &mut done_bytes, look };
        match reading.whole(&**disk, store_id)? {
            Some(segment) => kept.push(segment),
            None => {
                segments.forget(id);
                let failed = doing(format!("removing {}", segment::file_name(id)));
                remove_if_there(&**disk, &segment::file_name(id)).map_err(failed)?;
            }
        }
    }
    disk.sync_dir(&segment::folder()).map_err(doing("listing the segments"))?;
    Ok(kept)
}

/// A segment being read.
struct Reading<'a, 'l> {
    segments: &'a Segments,
    id: u32,
    done_bytes: &'a mut u64,
    look: &'a mut Look<'l>,
}

impl Reading<'_, '_> {
    /// The segment, if all of it is whole and wanted.
    fn whole(
        &mut self,
        disk: &dyn Disk,
        store_id: [u8; 16],
    ) -> Result<Option<KeptSegment>, StoreError> {
        match self.segments.check_header(self.id) {
            Err(StoreError::Damaged { .. }) => return Ok(None),
            checked => checked?,
        }
        let Some(footer) = footer(disk, self.id, store_id)? else { return Ok(None) };
        let (mut at, mut crc) = (SEGMENT_HEADER_SIZE, RunCrc::default());
        let mut contents = Vec::new();
        while at < footer.end {
            let Some(run) = self.run(at, footer.end)? else { return Ok(None) };
            let is_good = |one: StoredContent<'_>| {
                let is_right = one.bytes().is_ok_and(|body| ContentId::of(&body) == one.content());
                is_right && (self.look.wanted)(&one.content())
            };
            if !run.contents().all(is_good) {
                return Ok(None);
            }
            for one in run.records() {
                crc.add(one.crc);
                let offset = at + one.offset as u64;
                let len = u32::try_from(one.len).expect("a record's length fits 32 bits");
                let extent = Extent { segment: self.id, offset, len };
                let (content, size_bytes) = (one.content, one.size_bytes);
                contents.push(KeptContent { content, extent, size_bytes });
            }
            at += run.len() as u64;
            *self.done_bytes += run.len() as u64;
            if (self.look.progress)(*self.done_bytes) == Flow::Stop {
                return Err(StoreError::Stopped);
            }
        }
        let is_whole = (contents.len() as u64, crc.0) == (footer.records, footer.crc);
        let (id, len_bytes) = (self.id, footer.end);
        Ok(is_whole.then_some(KeptSegment { id, len_bytes, contents }))
    }

    /// Whole records from byte `at` on; nothing if they are damaged.
    fn run(&self, at: u64, end: u64) -> Result<Option<ContentRun>, StoreError> {
        let left = usize::try_from(end - at).unwrap_or(usize::MAX);
        let window = self.bytes(at, left.min(WINDOW_BYTES))?;
        let Some(window) = window else { return Ok(None) };
        let len = match (record::whole_records_len(&window), record::claimed_len(&window)) {
            (0, Some(len)) if len > RECORD_HEADER_SIZE && len <= left => len,
            (0, _) => return Ok(None),
            (len, _) => len,
        };
        let Ok(len) = u32::try_from(len) else { return Ok(None) };
        undamaged(self.segments.run(self.id, at, len))
    }

    fn bytes(&self, at: u64, len: usize) -> Result<Option<Vec<u8>>, StoreError> {
        let len = u32::try_from(len).expect("a window is small");
        undamaged(self.segments.bytes(self.id, at, len))
    }
}

/// Nothing in place of damage.
fn undamaged<T>(read: Result<T, StoreError>) -> Result<Option<T>, StoreError> {
    match read {
        Err(StoreError::Damaged { .. }) => Ok(None),
        read => read.map(Some),
    }
}

/// What the end of a segment's file says; nothing if it is no footer.
fn footer(disk: &dyn Disk, id: u32, store_id: [u8; 16]) -> Result<Option<Footer>, StoreError> {
    let name = segment::file_name(id);
    let failed = || doing(format!("reading the end of {name}"));
    let file = disk.open(&name, rehome_log::OpenMode::Read).map_err(failed())?;
    let mut bytes = vec![0; FOOTER_SIZE];
    let read = disk.len(file).and_then(|len| match len.checked_sub(FOOTER_SIZE as u64) {
        Some(at) => disk.read_at(file, at, &mut bytes).map(|()| at),
        None => Ok(0),
    });
    disk.close(file);
    let at = read.map_err(failed())?;
    let footer = Footer::read(&bytes, id, store_id);
    Ok(footer.filter(|footer| footer.end.next_multiple_of(FOOTER_SIZE as u64) == at))
}
