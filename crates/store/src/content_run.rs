//! A run of body records, checked once and for all, in memory that direct writes can use.

use rehome_log::AlignedBuf;

use crate::error::StoreError;
use crate::model::ContentId;
use crate::record::{self, BadRun, RECORD_HEADER_SIZE};

/// Whole body records, one after the other, byte for byte as a segment holds them. The CRC32C of
/// each has been checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ContentRun {
    buf: AlignedBuf,
    records: Vec<RunRecord>,
}

/// A record in a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct RunRecord {
    pub(crate) content: ContentId,
    /// Byte in the run.
    pub(crate) offset: usize,
    pub(crate) len: usize,
    pub(crate) crc: u32,
    pub(crate) size_bytes: u64,
}

impl ContentRun {
    /// Checks the records in `bytes` and copies them.
    ///
    /// # Errors
    ///
    /// [`StoreError::BadRecords`] with the place.
    pub fn check(bytes: &[u8]) -> Result<ContentRun, StoreError> {
        ContentRun::of(AlignedBuf::copy_of(bytes))
            .map_err(|bad| StoreError::BadRecords { offset: bad.offset as u64, cause: bad.cause })
    }

    /// Checks the records in `buf`.
    pub(crate) fn of(buf: AlignedBuf) -> Result<ContentRun, BadRun> {
        let records = record::walk(buf.as_slice()).map(|record| {
            record.map(|(offset, head)| RunRecord {
                content: head.content,
                offset,
                len: head.record_bytes,
                crc: head.crc,
                size_bytes: head.size_bytes,
            })
        });
        let records = records.collect::<Result<Vec<RunRecord>, BadRun>>()?;
        Ok(ContentRun { buf, records })
    }

    /// The records' bytes.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        self.buf.as_slice()
    }

    /// The contents in it, each with its name: BLAKE3 of the bytes as they were when they were
    /// stored. Whether they still have that name is not checked: hashing costs ten times as much.
    pub fn bodies(&self) -> impl Iterator<Item = (ContentId, &[u8])> {
        self.records.iter().map(|one| {
            let body = &self.bytes()[one.offset..one.offset + one.len];
            let (head, body) = body.split_at(RECORD_HEADER_SIZE);
            let size = usize::try_from(one.size_bytes).expect("it is in memory");
            debug_assert!(head.len() + size <= one.len, "records are not packed");
            (one.content, &body[..size])
        })
    }

    /// How many bytes.
    #[must_use]
    pub fn len(&self) -> usize {
        self.bytes().len()
    }

    /// Whether there is no record in it.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.bytes().is_empty()
    }

    /// The records in it.
    pub(crate) fn records(&self) -> &[RunRecord] {
        &self.records
    }

    /// The bytes with zeros behind them up to the next multiple of the alignment.
    pub(crate) fn padded(&mut self) -> &[u8] {
        self.buf.padded()
    }

    /// Checks the records that begin at `offsets` of `buf`, which are sorted and do not overlap,
    /// and closes the gaps between them.
    pub(crate) fn picked(
        mut buf: AlignedBuf,
        offsets: impl IntoIterator<Item = usize>,
    ) -> Result<ContentRun, BadRun> {
        let (mut records, mut end) = (Vec::new(), 0);
        let bytes = buf.as_mut_slice();
        for offset in offsets {
            let head = record::decode(bytes.get(offset..).unwrap_or_default());
            let (head, _) = head.map_err(|cause| BadRun { offset, cause })?;
            if offset != end {
                bytes.copy_within(offset..offset + head.record_bytes, end);
            }
            records.push(RunRecord {
                content: head.content,
                offset: end,
                len: head.record_bytes,
                crc: head.crc,
                size_bytes: head.size_bytes,
            });
            end += head.record_bytes;
        }
        buf.truncate(end);
        Ok(ContentRun { buf, records })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::encode;

    fn run(bodies: &[&[u8]]) -> Vec<u8> {
        bodies.iter().flat_map(|body| encode(body).bytes).collect()
    }

    #[track_caller]
    fn check(kept: &[usize], expected: &[&[u8]]) {
        let bodies: [&[u8]; 4] = [b"one", b"the second", b"", b"four"];
        let all = ContentRun::check(&run(&bodies)).unwrap();
        let offsets = kept.iter().map(|at| all.records()[*at].offset);
        let picked = ContentRun::picked(all.buf.clone(), offsets).unwrap();
        let found: Vec<_> = picked.bodies().map(|(_, body)| body).collect();
        assert_eq!(found, expected);
        assert_eq!(picked, ContentRun::check(&run(expected)).unwrap());
    }

    #[test]
    fn what_is_picked_is_a_run_without_gaps() {
        check(&[0, 1, 2, 3], &[b"one", b"the second", b"", b"four"]);
        check(&[1, 3], &[b"the second", b"four"]);
        check(&[2], &[b""]);
        check(&[], &[]);
    }

    #[test]
    fn a_damaged_run_is_refused_with_its_place() {
        let mut bytes = run(&[b"one", b"two"]);
        bytes[64 + 57] ^= 1;
        let error = ContentRun::check(&bytes).unwrap_err();
        assert!(matches!(error, StoreError::BadRecords { offset: 64, .. }), "{error}");
        let buf = AlignedBuf::copy_of(&bytes);
        assert!(ContentRun::picked(buf.clone(), [0]).is_ok());
        for (offset, cause) in [
            (64, "the checksum of a record is wrong"),
            (8, "no record begins here"),
            (900, "it ends inside a record's header"),
        ] {
            let picked = ContentRun::picked(buf.clone(), [offset]);
            assert_eq!(picked.unwrap_err(), BadRun { offset, cause });
        }
    }
}
