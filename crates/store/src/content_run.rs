//! A run of body records, checked once and for all, in memory that direct writes can use.

use std::borrow::Cow;

use rehome_log::AlignedBuf;

use crate::error::StoreError;
use crate::model::ContentId;
use crate::record::{self, BadRun, Head};

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

/// A content as a run holds it. Its CRC32C was right.
#[derive(Clone, Copy, Debug)]
pub struct StoredContent<'r> {
    head: Head,
    payload: &'r [u8],
    offset_bytes: u64,
}

impl<'r> StoredContent<'r> {
    /// Its name: BLAKE3 of the bytes as they were when they were stored. Whether they still have
    /// that name is not checked: hashing costs ten times as much.
    #[must_use]
    pub fn content(&self) -> ContentId {
        self.head.content
    }

    /// Length of the content, unpacked.
    #[must_use]
    pub fn size_bytes(&self) -> u64 {
        self.head.size_bytes
    }

    /// The content as one zstd frame, if that is how it is stored.
    #[must_use]
    pub fn zstd_frame(&self) -> Option<&'r [u8]> {
        self.head.is_packed.then_some(self.payload)
    }

    /// The content itself.
    ///
    /// # Errors
    ///
    /// [`StoreError::BadRecords`] if it is packed and does not unpack to what it should be.
    pub fn bytes(&self) -> Result<Cow<'r, [u8]>, StoreError> {
        let bad = |cause| StoreError::BadRecords { offset: self.offset_bytes, cause };
        record::unpack(&self.head, self.payload).map_err(bad)
    }
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

    /// The contents in it, as they are stored.
    pub fn contents(&self) -> impl Iterator<Item = StoredContent<'_>> {
        self.records.iter().map(|one| {
            let read = record::decode(&self.bytes()[one.offset..one.offset + one.len]);
            let (head, payload) = read.expect("every record was checked");
            StoredContent { head, payload, offset_bytes: one.offset as u64 }
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
        let found: Vec<_> = picked.contents().map(|one| one.bytes().unwrap()).collect();
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
