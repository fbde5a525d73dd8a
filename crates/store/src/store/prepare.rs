//! Contents made into records, in the thread of the caller, and in others beside it when there is
//! much to pack.

use std::thread;

use crate::error::StoreError;
use crate::record::{self, BODY_SIZE_MAX, Encoded};

/// Threads at most, with the caller's.
const THREADS_MAX: usize = 4;
/// So many bytes are worth a thread: it takes about as long to start one as to pack a tenth of it.
const THREAD_BYTES_MIN: usize = 256 << 10;

/// The record of one content.
///
/// # Errors
///
/// [`StoreError::TooLarge`].
pub(super) fn one(body: &[u8], pack_over_bytes: Option<u32>) -> Result<Encoded, StoreError> {
    if body.len() > BODY_SIZE_MAX {
        let (size_bytes, max_bytes) = (body.len() as u64, BODY_SIZE_MAX as u64);
        return Err(StoreError::TooLarge { size_bytes, max_bytes });
    }
    Ok(record::encode_packed(body, pack_over_bytes))
}

/// The records of contents, in order.
///
/// # Errors
///
/// [`StoreError::TooLarge`].
pub(super) fn many(
    bodies: &[&[u8]],
    pack_over_bytes: Option<u32>,
) -> Result<Vec<Encoded>, StoreError> {
    let bytes = bodies.iter().map(|body| body.len()).sum::<usize>();
    let cores = thread::available_parallelism().map_or(1, usize::from);
    let threads = (bytes / THREAD_BYTES_MIN).clamp(1, cores.min(THREADS_MAX));
    let all = |bodies: &[&[u8]]| -> Result<Vec<Encoded>, StoreError> {
        bodies.iter().map(|body| one(body, pack_over_bytes)).collect()
    };
    if pack_over_bytes.is_none() || threads == 1 {
        return all(bodies);
    }
    thread::scope(|scope| {
        let mut shares = shares(bodies, bytes.div_ceil(threads)).into_iter();
        let mine = shares.next().unwrap_or_default();
        let others: Vec<_> = shares.map(|share| (share, scope.spawn(move || all(share)))).collect();
        let mut records = all(mine)?;
        for (share, other) in others {
            // What a thread could not do is done here.
            records.extend(other.join().unwrap_or_else(|_| all(share))?);
        }
        Ok(records)
    })
}

/// `bodies` in runs of about `share_bytes`.
fn shares<'b>(mut bodies: &'b [&'b [u8]], share_bytes: usize) -> Vec<&'b [&'b [u8]]> {
    let mut shares = Vec::new();
    while !bodies.is_empty() {
        let mut bytes = 0;
        let full = bodies.iter().position(|body| {
            bytes += body.len();
            bytes >= share_bytes
        });
        let (share, rest) = bodies.split_at(full.map_or(bodies.len(), |last| last + 1));
        shares.push(share);
        bodies = rest;
    }
    shares
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(lens: &[usize], pack_over_bytes: Option<u32>) {
        let bodies: Vec<Vec<u8>> = lens.iter().map(|len| vec![b'a'; *len]).collect();
        let bodies: Vec<&[u8]> = bodies.iter().map(Vec::as_slice).collect();
        let many = many(&bodies, pack_over_bytes).unwrap();
        assert_eq!(many.len(), bodies.len());
        for (record, body) in many.iter().zip(&bodies) {
            assert_eq!(record.bytes, one(body, pack_over_bytes).unwrap().bytes);
        }
    }

    #[test]
    fn many_records_are_those_of_each_in_order() {
        check(&[], Some(0));
        check(&[7], Some(0));
        check(&[300_000, 300_001, 4, 0, 900_000, 80_000], Some(100));
        check(&[300_000, 300_001], None);
        check(&[2_000_000, 1, 2, 3], Some(2));
    }

    #[test]
    fn shares_are_of_about_the_same_length() {
        let body = [0_u8; 10];
        let bodies = [&body[..]; 10];
        let lens: Vec<_> = shares(&bodies, 35).iter().map(|share| share.len()).collect();
        assert_eq!(lens, [4, 4, 2]);
        assert_eq!(shares(&[], 5).len(), 0);
    }
}
