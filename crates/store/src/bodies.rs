//! The contents in a run of body records, for readers outside the store.

use crate::error::StoreError;
use crate::model::ContentId;
use crate::record::{decode, unpack, walk};

/// A content and its name, as a body record has them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Body {
    /// Its name: BLAKE3 of the bytes as they were when they were stored.
    pub content: ContentId,
    /// The bytes; the record's CRC32C was right.
    pub bytes: Vec<u8>,
}

/// Reads the contents of a run of whole records, as [`Frame::Content`](crate::Frame) has it.
///
/// The checksum of each record is checked; whether a content's bytes have its name is not, because
/// hashing costs ten times as much. After a damaged record nothing more comes.
///
/// # Errors
///
/// [`StoreError::BadRecords`] with the place.
pub fn bodies(run: &[u8]) -> impl Iterator<Item = Result<Body, StoreError>> {
    walk(run).map(|record| {
        let bad = |offset: usize, cause| StoreError::BadRecords { offset: offset as u64, cause };
        let (at, _) = record.map_err(|damage| bad(damage.offset, damage.cause))?;
        let body = decode(&run[at..]).and_then(|(head, payload)| {
            let bytes = unpack(&head, payload)?.into_owned();
            Ok(Body { content: head.content, bytes })
        });
        body.map_err(|cause| bad(at, cause))
    })
}

#[cfg(test)]
mod tests {
    use super::bodies;
    use crate::record::encode;

    #[track_caller]
    fn check(run: &[u8], expected: &[Option<&[u8]>]) {
        let found: Vec<_> = bodies(run).map(|body| body.ok().map(|body| body.bytes)).collect();
        let expected: Vec<_> = expected.iter().map(|one| one.map(<[u8]>::to_vec)).collect();
        assert_eq!(found, expected);
    }

    #[test]
    fn contents_come_in_order_and_end_at_damage() {
        let mut run = [encode(b"one").bytes, encode(b"two").bytes].concat();
        check(&run, &[Some(b"one"), Some(b"two")]);
        let last = run.len() - 8;
        run[last] ^= 1;
        check(&run, &[Some(b"one"), None]);
    }
}
