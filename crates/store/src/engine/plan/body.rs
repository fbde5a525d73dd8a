//! Places for bodies.

use std::ops::Range;

use super::{Draft, Planner};
use crate::content_run::ContentRun;
use crate::engine::request::NewSegment;
use crate::error::StoreError;
use crate::model::{ContentId, Extent};
use crate::op::{BodyRange, Op};
use crate::record::{Encoded, RunCrc};
use crate::segment::{OpenSegment, SEGMENT_HEADER_SIZE};

/// A run of bytes for one segment.
pub(in crate::engine) struct Chunk {
    pub(in crate::engine) segment: u32,
    /// First byte.
    pub(in crate::engine) from: u64,
    /// First byte behind it.
    pub(in crate::engine) to: u64,
    /// The bytes, one piece after the other.
    pub(in crate::engine) pieces: Vec<Vec<u8>>,
    /// Checksums of the records in it.
    pub(in crate::engine) crcs: Vec<u32>,
}

impl Chunk {
    /// What the group depends on, if there is anything in it.
    pub(in crate::engine) fn range(&self) -> Option<BodyRange> {
        let mut crc = RunCrc::default();
        self.crcs.iter().for_each(|record| crc.add(*record));
        let (segment, from, to) = (self.segment, self.from, self.to);
        (to > from).then_some(BodyRange { segment, from, to, crc: crc.0 })
    }
}

/// Where the next record goes.
#[derive(Clone, Copy)]
pub(super) struct Cursor {
    segment: u32,
    end: u64,
    records: u64,
}

impl Cursor {
    pub(super) fn of(segment: &OpenSegment) -> Cursor {
        Cursor { segment: segment.id, end: segment.end, records: segment.records }
    }
}

impl Planner {
    /// Number of the content, if the store has it or this group puts it. One without messages is
    /// about to get some, and is kept for it.
    pub(super) fn number_of(
        &mut self,
        content: &ContentId,
        draft: &mut Draft,
    ) -> Result<Option<u64>, StoreError> {
        if let Some(number) = self.contents.get(content) {
            return Ok(Some(*number));
        }
        if self.freed.contains_key(content) {
            return Ok(None);
        }
        let Some((number, row)) = self.view().find_content(content)? else { return Ok(None) };
        if row.dead_since.is_some() {
            self.contents.insert(*content, number);
            draft.contents.push(*content);
            draft.ops.push(Op::KeepContent { number });
        }
        Ok(Some(number))
    }

    /// Places a content that is not there yet, and returns its number.
    pub(super) fn put_body(&mut self, body: Encoded, draft: &mut Draft) -> u64 {
        let crc = u32::from_le_bytes(body.bytes[8..12].try_into().expect("four bytes"));
        let (content, size_bytes) = (body.content, body.size_bytes);
        let extent = self.place(body.bytes.len(), crc, draft);
        if let Some(chunk) = draft.chunks.last_mut() {
            chunk.pieces.push(body.bytes);
        }
        self.put_content(content, extent, size_bytes, draft)
    }

    /// Places those records of `runs` that are not there yet; `known` says which are.
    pub(super) fn put_runs(&mut self, runs: &[ContentRun], known: &[bool], draft: &mut Draft) {
        let mut known = known;
        for run in runs {
            let (of_run, rest) = known.split_at(run.records().len());
            self.put_run(run, of_run, draft);
            known = rest;
        }
    }

    fn put_run(&mut self, run: &ContentRun, known: &[bool], draft: &mut Draft) {
        let mut parts: Vec<(usize, Range<usize>)> = Vec::new();
        for (record, known) in run.records().iter().zip(known) {
            if *known || self.contents.contains_key(&record.content) {
                continue;
            }
            let extent = self.place(record.len, record.crc, draft);
            self.put_content(record.content, extent, record.size_bytes, draft);
            let (chunk, end) = (draft.chunks.len() - 1, record.offset + record.len);
            match parts.last_mut() {
                Some((last, part)) if *last == chunk && part.end == record.offset => part.end = end,
                _ => parts.push((chunk, record.offset..end)),
            }
        }
        for (chunk, part) in parts {
            draft.chunks[chunk].pieces.push(run.bytes()[part].to_vec());
        }
    }

    /// Puts those records of a finished segment that are not there yet; `known` says which are.
    pub(super) fn attach_segment(
        &mut self,
        segment: &NewSegment,
        known: &[bool],
        draft: &mut Draft,
    ) {
        for ((content, extent, size_bytes), known) in segment.records.iter().zip(known) {
            if !*known && !self.contents.contains_key(content) {
                self.put_content(*content, *extent, *size_bytes, draft);
            }
        }
        draft.ops.push(Op::SealSegment {
            segment: segment.id,
            len_bytes: segment.end,
            records: segment.records.len() as u64,
        });
    }

    fn put_content(
        &mut self,
        content: ContentId,
        extent: Extent,
        size_bytes: u64,
        draft: &mut Draft,
    ) -> u64 {
        let number = self.next_content;
        self.next_content += 1;
        self.contents.insert(content, number);
        draft.contents.push(content);
        draft.ops.push(Op::PutContent { number, content, extent, size_bytes });
        number
    }

    /// Reserves `len` bytes for a record in the draft's last chunk, which may be a new one.
    fn place(&mut self, len: usize, crc: u32, draft: &mut Draft) -> Extent {
        let cursor = self.room_for(len as u64, draft);
        let offset = cursor.end;
        cursor.end += len as u64;
        cursor.records += 1;
        let (segment, end) = (cursor.segment, cursor.end);
        if draft.chunks.last().is_none_or(|chunk| chunk.segment != segment) {
            let (pieces, crcs) = (Vec::new(), Vec::new());
            draft.chunks.push(Chunk { segment, from: offset, to: offset, pieces, crcs });
        }
        if let Some(chunk) = draft.chunks.last_mut() {
            chunk.to = end;
            chunk.crcs.push(crc);
        }
        let len = u32::try_from(len).expect("a record's length fits 32 bits");
        Extent { segment, offset, len }
    }

    /// The segment being written, or a new one if `len` bytes do not fit into it.
    fn room_for(&mut self, len: u64, draft: &mut Draft) -> &mut Cursor {
        let full = |cursor: &Cursor| cursor.end + len > self.segment_bytes;
        if let Some(cursor) = self.segment.filter(full) {
            draft.ops.push(Op::SealSegment {
                segment: cursor.segment,
                len_bytes: cursor.end,
                records: cursor.records,
            });
            self.segment = None;
        }
        if self.segment.is_none() {
            let prepared = self.prepared_segment.take();
            let segment = prepared.unwrap_or_else(|| self.segment_numbers.take());
            self.segment = Some(Cursor { segment, end: SEGMENT_HEADER_SIZE, records: 0 });
        }
        self.segment.as_mut().expect("it was put there")
    }
}
