//! Records in the bytes of one generation: one after the other, and where they end.

use super::header::HEADER_SIZE;
use super::record::{self, ALIGNMENT, Decoded, NoRecord, RecordKind};
use crate::Lsn;
use crate::crc::crc32c_append;

/// No generation is longer, because an [`Lsn`] could not name places past it.
pub(crate) const GENERATION_SIZE_MAX: usize = 1 << 24;

/// A place between records of a generation, and what leads up to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    /// Bytes from the start of the file.
    pub(crate) offset: usize,
    /// The record before, whichever generation it is in.
    pub(crate) prev_lsn: Lsn,
    /// Checksum over the checksums of the header and of the records before.
    pub(crate) running_crc: u32,
}

impl Place {
    /// Before the first record of a generation whose header has the checksum `seed`.
    pub(crate) fn first(prev_lsn: Lsn, seed: u32) -> Place {
        Place { offset: HEADER_SIZE, prev_lsn, running_crc: seed }
    }

    /// After the record `lsn`, which has `crc` and takes `size` bytes.
    pub(crate) fn after(self, lsn: Lsn, crc: u32, size: usize) -> Place {
        Place {
            offset: self.offset + size,
            prev_lsn: lsn,
            running_crc: crc32c_append(self.running_crc, &crc.to_le_bytes()),
        }
    }
}

/// Goes through the records of one generation.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cursor<'a> {
    bytes: &'a [u8],
    generation: u64,
    seed: u32,
    place: Place,
    closed: bool,
}

impl<'a> Cursor<'a> {
    /// At the first record of the generation that `bytes` begin with.
    pub(crate) fn new(bytes: &'a [u8], generation: u64, seed: u32, prev_lsn: Lsn) -> Cursor<'a> {
        let bytes = &bytes[..bytes.len().min(GENERATION_SIZE_MAX)];
        Cursor { bytes, generation, seed, place: Place::first(prev_lsn, seed), closed: false }
    }

    /// Where the next record is read.
    pub(crate) fn place(&self) -> Place {
        self.place
    }

    /// Reads the next record. After an error the cursor stays where it is.
    pub(crate) fn next_record(&mut self) -> Result<Decoded<'a>, NoRecord> {
        if self.closed || self.place.offset >= self.bytes.len() {
            return Err(NoRecord::Zeros);
        }
        let lsn = lsn_at(self.generation, self.place.offset);
        let decoded = record::decode(&self.bytes[self.place.offset..], self.seed, lsn)?;
        if decoded.fields.prev_lsn != self.place.prev_lsn {
            return Err(NoRecord::Place);
        }
        self.closed = decoded.fields.kind == RecordKind::Close;
        if !self.closed && self.place.offset + decoded.size >= GENERATION_SIZE_MAX {
            return Err(NoRecord::Length);
        }
        self.place = self.place.after(lsn, decoded.crc, decoded.size);
        Ok(decoded)
    }
}

/// The position `offset` bytes into generation `generation`, where a record begins.
pub(crate) fn lsn_at(generation: u64, offset: usize) -> Lsn {
    Lsn::new(generation, u32::try_from(offset).expect("a record begins inside a generation"))
}

/// How the newest generation ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Tail {
    /// After the last whole record.
    pub(crate) end: Place,
    /// Where the first record begins that nothing says was acknowledged.
    pub(crate) uncertain_offset: usize,
    /// The highest LSN that the header or a record says was acknowledged.
    pub(crate) acknowledged: Lsn,
    /// Bytes after `end` up to the last one that is not zero.
    pub(crate) torn_size: usize,
    /// What stands at `end` instead of a record.
    pub(crate) cause: NoRecord,
}

/// Finds the end of a generation that nothing sealed yet.
///
/// The records end at the first place where none can be read. Whole records may follow, because a
/// power cut keeps some writes and loses others; what they say was acknowledged counts.
pub(crate) fn find_tail(start: Cursor<'_>, durable_lsn: Lsn) -> Tail {
    let mut cursor = start;
    let mut acknowledged = durable_lsn;
    let cause = loop {
        match cursor.next_record() {
            Ok(record) => acknowledged = acknowledged.max(record.fields.durable_lsn),
            Err(cause) => break cause,
        }
    };
    let end = cursor.place();
    let rest = start.bytes.get(end.offset..).unwrap_or_default();
    if !cursor.closed {
        acknowledged = acknowledged.max(acknowledged_after(&cursor));
    }
    let torn_size = rest.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
    let uncertain_offset = uncertain_offset(start, acknowledged);
    Tail { end, uncertain_offset, acknowledged, torn_size, cause }
}

/// The highest acknowledged LSN that a whole record anywhere after the cursor states.
fn acknowledged_after(cursor: &Cursor<'_>) -> Lsn {
    let offset = cursor.place.offset + ALIGNMENT;
    let records = whole_records(cursor.bytes, cursor.generation, cursor.seed, offset);
    records.map(|record| record.fields.durable_lsn).max().unwrap_or(Lsn::ZERO)
}

/// The whole records of a generation from `offset` on, wherever they begin in `bytes`.
pub(crate) fn whole_records(
    bytes: &[u8],
    generation: u64,
    seed: u32,
    mut offset: usize,
) -> impl Iterator<Item = Decoded<'_>> {
    let bytes = &bytes[..bytes.len().min(GENERATION_SIZE_MAX)];
    std::iter::from_fn(move || {
        while let Some(rest) = bytes.get(offset..).filter(|rest| !rest.is_empty()) {
            let lsn = lsn_at(generation, offset);
            if record::claims_place(rest, lsn)
                && let Ok(record) = record::decode(rest, seed, lsn)
            {
                offset += record.size;
                return Some(record);
            }
            offset += ALIGNMENT;
        }
        None
    })
}

fn uncertain_offset(mut cursor: Cursor<'_>, acknowledged: Lsn) -> usize {
    if acknowledged < lsn_at(cursor.generation, HEADER_SIZE) {
        return 0;
    }
    loop {
        let offset = cursor.place.offset;
        match cursor.next_record() {
            Ok(record) if record.fields.lsn <= acknowledged => {}
            _ => return offset,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::log::record::{Fields, encode, record_size};

    const SEED: u32 = 99;

    /// A generation with 3 records of 16 bytes, each stating that the one before was acknowledged.
    fn generation() -> Vec<u8> {
        let mut bytes = vec![0; HEADER_SIZE];
        let mut prev_lsn = Lsn::ZERO;
        for payload in [b"first record 001", b"next record 0002", b"last record 0003"] {
            let lsn = lsn_at(1, bytes.len());
            let kind = RecordKind::Data;
            let fields = Fields { kind, lsn, prev_lsn, durable_lsn: prev_lsn, wall_us: 0 };
            let mut record = Vec::new();
            encode(&mut record, SEED, &fields, payload);
            bytes.extend_from_slice(&record);
            prev_lsn = lsn;
        }
        bytes.resize(bytes.len() + 100, 0);
        bytes
    }

    const SIZE: usize = record_size(16);

    /// Where the records of `bytes` end, and the highest acknowledged one.
    #[track_caller]
    fn check(bytes: &[u8], end: usize, acknowledged: Lsn) {
        let tail = find_tail(Cursor::new(bytes, 1, SEED, Lsn::ZERO), Lsn::ZERO);
        assert_eq!((tail.end.offset, tail.acknowledged), (HEADER_SIZE + end * SIZE, acknowledged));
    }

    #[test]
    fn a_whole_generation_ends_at_the_zeros() {
        check(&generation(), 3, lsn_at(1, HEADER_SIZE + SIZE));
        check(&generation()[..HEADER_SIZE], 0, Lsn::ZERO);
    }

    #[test]
    fn a_lost_record_ends_it_and_later_ones_still_testify() {
        let mut bytes = generation();
        bytes[HEADER_SIZE + SIZE..HEADER_SIZE + 2 * SIZE].fill(0);
        check(&bytes, 1, lsn_at(1, HEADER_SIZE + SIZE));
    }

    #[test]
    fn a_record_that_follows_another_one_than_it_says_ends_it() {
        let mut bytes = generation();
        let lsn = lsn_at(1, HEADER_SIZE + SIZE);
        let (kind, stranger) = (RecordKind::Data, Lsn::new(1, 4000));
        let fields = Fields { kind, lsn, prev_lsn: stranger, durable_lsn: Lsn::ZERO, wall_us: 0 };
        let mut record = Vec::new();
        encode(&mut record, SEED, &fields, b"from elsewhere 1");
        bytes[HEADER_SIZE + SIZE..HEADER_SIZE + 2 * SIZE].copy_from_slice(&record);
        check(&bytes, 1, lsn);
    }

    #[test]
    fn the_uncertain_part_begins_after_the_last_acknowledged_record() {
        let bytes = generation();
        let cursor = Cursor::new(&bytes, 1, SEED, Lsn::ZERO);
        let tail = find_tail(cursor, Lsn::ZERO);
        assert_eq!(tail.uncertain_offset, HEADER_SIZE + 2 * SIZE);
        let only_first = &bytes[..HEADER_SIZE + SIZE];
        let cursor = Cursor::new(only_first, 1, SEED, Lsn::ZERO);
        assert_eq!(find_tail(cursor, Lsn::ZERO).uncertain_offset, 0);
    }
}
