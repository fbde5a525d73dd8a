//! Bodies written into the segments of a new store, and where each lies.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use rehome_log::{Clock, Disk, Lsn};

use super::kept::{KeptSegment, note_sealed};
use crate::catalog::SegmentRow;
use crate::error::{StoreError, filling};
use crate::model::{ContentId, Extent};
use crate::op::Op;
use crate::record;
use crate::segment::{self, OpenSegment, SEGMENT_HEADER_SIZE, Shape};

/// The segments of a store that is being restored.
pub(super) struct PlacedBodies {
    disk: Arc<dyn Disk>,
    clock: Arc<dyn Clock>,
    shape: Shape,
    segment_bytes: u64,
    open: Option<OpenSegment>,
    next_segment: u32,
    places: HashMap<ContentId, Extent>,
    /// Segments that are full and durable, and that no row or group speaks of yet.
    sealed: BTreeMap<u32, SegmentRow>,
}

impl PlacedBodies {
    pub(super) fn new(
        disk: &Arc<dyn Disk>,
        clock: &Arc<dyn Clock>,
        shape: Shape,
        segment_bytes: u64,
    ) -> PlacedBodies {
        PlacedBodies {
            disk: Arc::clone(disk),
            clock: Arc::clone(clock),
            shape,
            segment_bytes,
            open: None,
            next_segment: 1,
            places: HashMap::new(),
            sealed: BTreeMap::new(),
        }
    }

    /// Takes over segments up to number `sealed` that an earlier attempt has written; returns how
    /// many bytes of bodies they hold.
    pub(super) fn keep(&mut self, kept: Vec<KeptSegment>, sealed: u32) -> u64 {
        let mut bytes = 0;
        for KeptSegment { id, len_bytes, contents } in kept {
            let records = contents.len() as u64;
            self.sealed.insert(id, SegmentRow { len_bytes, records, live_bytes: 0, sealed: true });
            for kept in contents {
                bytes += kept.size_bytes;
                self.places.insert(kept.content, kept.extent);
            }
        }
        self.next_segment = sealed + 1;
        bytes
    }

    /// The contents that are there.
    pub(super) fn contents(&self) -> impl Iterator<Item = &ContentId> {
        self.places.keys()
    }

    /// Where the content lies.
    pub(super) fn place(&self, content: ContentId) -> Result<Extent, StoreError> {
        self.places.get(&content).copied().ok_or(StoreError::NoSuchContent { content })
    }

    /// Writes those records of `run`, which is whole, that are not there yet.
    pub(super) fn put(&mut self, run: &[u8]) -> Result<(), StoreError> {
        let (mut part, mut known) = (0..0, HashSet::new());
        for (offset, head) in record::walk(run).filter_map(Result::ok) {
            let end = offset + head.record_bytes;
            if self.places.contains_key(&head.content) || known.contains(&head.content) {
                continue;
            }
            let room = self.room().saturating_sub(part.len() as u64);
            if part.end != offset || head.record_bytes as u64 > room {
                self.write(&run[part])?;
                known.clear();
                part = offset..offset;
            }
            part.end = end;
            known.insert(head.content);
        }
        self.write(&run[part])
    }

    /// Bytes that the segment being written still takes.
    fn room(&self) -> u64 {
        self.open.as_ref().map_or(0, |open| self.segment_bytes.saturating_sub(open.end))
    }

    /// Writes records behind each other; the first may be longer than a segment has room for.
    fn write(&mut self, part: &[u8]) -> Result<(), StoreError> {
        if part.is_empty() {
            return Ok(());
        }
        if part.len() as u64 > self.room() {
            self.next_segment()?;
        }
        let Some(open) = &mut self.open else { return Ok(()) };
        let from = open.end;
        open.write(&*self.disk, from, &[part])
            .map_err(filling("writing", segment::file_name(open.id)))?;
        for (offset, head) in record::walk(part).filter_map(Result::ok) {
            open.crc.add(head.crc);
            open.records += 1;
            let len = u32::try_from(head.record_bytes).expect("a record's length fits 32 bits");
            let place = Extent { segment: open.id, offset: from + offset as u64, len };
            self.places.insert(head.content, place);
        }
        open.end = from + part.len() as u64;
        Ok(())
    }

    fn next_segment(&mut self) -> Result<(), StoreError> {
        self.seal()?;
        let (id, wall_us) = (self.next_segment, self.clock.wall_us());
        self.next_segment += 1;
        self.open = Some(segment::create(&self.disk, &self.shape, id, Lsn::ZERO, wall_us)?);
        Ok(())
    }

    /// Ends the segment being written, durably.
    pub(super) fn seal(&mut self) -> Result<(), StoreError> {
        let Some(open) = self.open.take() else { return Ok(()) };
        if open.end > SEGMENT_HEADER_SIZE {
            let sealed = open.seal(&*self.disk, &self.shape);
            sealed.map_err(filling("ending", segment::file_name(open.id)))?;
            note_sealed(&*self.disk, open.id)?;
            let (len_bytes, records) = (open.end, open.records);
            let row = SegmentRow { len_bytes, records, live_bytes: 0, sealed: true };
            self.sealed.insert(open.id, row);
        }
        Ok(())
    }

    /// Rows of the segments that are sealed, for a base that says the rest about them.
    pub(super) fn take_rows(&mut self) -> BTreeMap<u32, SegmentRow> {
        std::mem::take(&mut self.sealed)
    }

    /// The operations that say which segments were sealed since.
    pub(super) fn take_seals(&mut self) -> impl Iterator<Item = Op> + use<> {
        self.take_rows().into_iter().map(|(segment, row)| Op::SealSegment {
            segment,
            len_bytes: row.len_bytes,
            records: row.records,
        })
    }
}
