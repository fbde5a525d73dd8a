//! Parity: Reed–Solomon over stripes of a volume, in a file beside it.
//!
//! A group is 2 MiB of the volume and has 32 stripes of 64 KiB, the last one fewer; two more
//! stripes are computed from them. So what lies in any two stripes of a group can be lost, and a
//! lost run of 64 KiB touches at most two.

use reed_solomon_simd::{ReedSolomonDecoder, ReedSolomonEncoder};

use crate::bytes::{Fields, put_len, put_u32};
use crate::kind::RecordKind;
use crate::record::{self, CODEC_NONE, RECORD_VERSION, RecordHead, Stored};

/// Bytes of a stripe.
pub(crate) const STRIPE_SIZE: usize = 64 << 10;
/// Stripes of a whole group.
const STRIPES: usize = 32;
/// Bytes of a whole group.
pub(crate) const GROUP_SIZE: u64 = (STRIPE_SIZE * STRIPES) as u64;
/// Stripes computed for a group.
const EXTRA: usize = 2;
/// Bytes of a stripe's hash.
const HASH_SIZE: usize = 16;

/// Computes parity, group after group, in the same memory.
#[derive(Default)]
pub(crate) struct ParityEncoder(Option<ReedSolomonEncoder>);

impl ParityEncoder {
    fn begin(&mut self, stripes: usize, size: usize) -> Option<&mut ReedSolomonEncoder> {
        match &mut self.0 {
            Some(encoder) => encoder.reset(stripes, EXTRA, size).ok()?,
            None => self.0 = Some(ReedSolomonEncoder::new(stripes, EXTRA, size).ok()?),
        }
        self.0.as_mut()
    }
}

/// The parity of one group.
pub(crate) struct Group {
    /// Bytes of the volume in it.
    pub(crate) len: usize,
    hashes: Vec<[u8; HASH_SIZE]>,
    extra: Vec<Vec<u8>>,
}

/// Bytes of each stripe of a group with `len` bytes: less than usual if there is only one.
fn stripe_size(len: usize) -> usize {
    if len < STRIPE_SIZE { len.next_multiple_of(64).max(64) } else { STRIPE_SIZE }
}

fn stripe_hash(stripe: &[u8]) -> [u8; HASH_SIZE] {
    let mut hash = [0; HASH_SIZE];
    hash.copy_from_slice(&blake3::hash(stripe).as_bytes()[..HASH_SIZE]);
    hash
}

impl Group {
    /// Computes the parity of a group's bytes, which lie in `pieces` and are not empty.
    pub(crate) fn of(encoder: &mut ParityEncoder, pieces: &[&[u8]]) -> Option<Group> {
        let len = pieces.iter().map(|piece| piece.len()).sum();
        let size = stripe_size(len);
        let encoder = encoder.begin(usize::div_ceil(len, size), size)?;
        let mut hashes = Vec::new();
        let mut add = |stripe: &[u8]| {
            hashes.push(stripe_hash(stripe));
            encoder.add_original_shard(stripe).ok()
        };
        // A stripe that lies in one piece is taken from where it is.
        let mut gathered = Vec::new();
        for mut piece in pieces.iter().copied() {
            while !piece.is_empty() {
                let (part, rest) = piece.split_at(piece.len().min(size - gathered.len()));
                piece = rest;
                if part.len() == size {
                    add(part)?;
                    continue;
                }
                gathered.extend_from_slice(part);
                if gathered.len() == size {
                    add(&gathered)?;
                    gathered.clear();
                }
            }
        }
        if !gathered.is_empty() {
            gathered.resize(size, 0);
            add(&gathered)?;
        }
        let result = encoder.encode().ok()?;
        let extra = result.recovery_iter().map(<[u8]>::to_vec).collect();
        Some(Group { len, hashes, extra })
    }

    fn encode(&self) -> Vec<u8> {
        let mut payload = Vec::new();
        put_len(&mut payload, self.len);
        put_u32(&mut payload, 0);
        for hash in &self.hashes {
            payload.extend_from_slice(hash);
        }
        for extra in &self.extra {
            payload.extend_from_slice(extra);
        }
        payload
    }

    /// Reads what [`parity_record`] made the payload of.
    pub(crate) fn decode(payload: &[u8]) -> Result<Group, &'static str> {
        let mut fields = Fields(payload);
        let (len, _) = (fields.len()?, fields.u32()?);
        if len == 0 || len as u64 > GROUP_SIZE {
            return Err("a group has another size than groups have");
        }
        let size = stripe_size(len);
        let hashes = (0..len.div_ceil(size)).map(|_| fields.array()).collect::<Result<_, _>>()?;
        let extra = (0..EXTRA).map(|_| fields.bytes(size).map(<[u8]>::to_vec));
        let extra = extra.collect::<Result<_, _>>()?;
        Ok(Group { len, hashes, extra })
    }

    /// How many stripes it has, and of how many bytes.
    pub(crate) fn stripes(&self) -> (usize, usize) {
        (self.hashes.len(), stripe_size(self.len))
    }

    /// The group's bytes made of stripes that were read, `None` for those that could not be; and
    /// which of them were not as they were written. `None` if too many are lost.
    pub(crate) fn heal(&self, read: Vec<Option<Vec<u8>>>) -> Option<(Vec<u8>, Vec<usize>)> {
        let size = stripe_size(self.len);
        let whole = |(stripe, hash): (Option<Vec<u8>>, &[u8; HASH_SIZE])| {
            let mut stripe = stripe?;
            stripe.resize(size, 0);
            (stripe_hash(&stripe) == *hash).then_some(stripe)
        };
        let mut stripes: Vec<Option<Vec<u8>>> =
            read.into_iter().zip(&self.hashes).map(whole).collect();
        let lost: Vec<usize> = (0..stripes.len()).filter(|at| stripes[*at].is_none()).collect();
        if lost.len() > EXTRA || stripes.len() != self.hashes.len() {
            return None;
        }
        if !lost.is_empty() {
            let mut decoder = ReedSolomonDecoder::new(stripes.len(), EXTRA, size).ok()?;
            for (at, stripe) in stripes.iter().enumerate() {
                if let Some(stripe) = stripe {
                    decoder.add_original_shard(at, stripe).ok()?;
                }
            }
            for (at, extra) in self.extra.iter().enumerate() {
                decoder.add_recovery_shard(at, extra).ok()?;
            }
            let result = decoder.decode().ok()?;
            for (at, stripe) in result.restored_original_iter() {
                if stripe_hash(stripe) == self.hashes[at] {
                    stripes[at] = Some(stripe.to_vec());
                }
            }
        }
        let mut bytes = Vec::with_capacity(stripes.len() * size);
        for stripe in stripes {
            bytes.extend_from_slice(&stripe?);
        }
        bytes.truncate(self.len);
        Some((bytes, lost))
    }
}

/// Where the record of group `number` begins in the file of parity: all before it are of one size.
pub(crate) fn record_offset(number: u64) -> u64 {
    let payload = 8 + STRIPES * HASH_SIZE + EXTRA * STRIPE_SIZE;
    let payload = u32::try_from(payload).expect("a record is far smaller");
    number.saturating_mul(record::record_size(payload))
}

/// The record of group `number`.
pub(crate) fn parity_record(
    group: &Group,
    number: u32,
    tag: u32,
    volume: u16,
    lsn: u64,
) -> Vec<u8> {
    let payload = group.encode();
    let len = u32::try_from(payload.len()).expect("a group is far smaller");
    let head = RecordHead {
        kind: RecordKind::Parity,
        flags: 0,
        codec: CODEC_NONE,
        key_slot: 0,
        version: RECORD_VERSION,
        volume,
        sequence: number,
        tag,
        raw_len: len,
        stored_len: len,
        lsn,
    };
    record::encode(&head, Stored::of(&payload))
}

#[cfg(test)]
mod tests {
    use super::*;
    use rehome_log::SplitMix64;

    fn group(len: usize) -> Vec<u8> {
        let mut random = SplitMix64::new(len as u64);
        (0..len).map(|_| random.next_u64().to_le_bytes()[0]).collect()
    }

    #[track_caller]
    fn check(len: usize, lost: &[usize], healed: bool) {
        let bytes = group(len);
        let encoder = &mut ParityEncoder::default();
        let parity = Group::of(encoder, &[&bytes]).unwrap().encode();
        for cut in [0, 1, len / 3, len - 1] {
            let (left, right) = bytes.split_at(cut);
            let (middle, right) = right.split_at(right.len() / 2);
            let in_pieces = Group::of(encoder, &[left, middle, right]).unwrap();
            assert!(in_pieces.encode() == parity, "{len} bytes cut at {cut}");
        }
        let parity = Group::decode(&parity).unwrap();
        let (count, size) = parity.stripes();
        let mut read: Vec<Option<Vec<u8>>> =
            bytes.chunks(size).map(|stripe| Some(stripe.to_vec())).collect();
        assert_eq!(read.len(), count);
        for (number, at) in lost.iter().enumerate() {
            match &mut read[*at] {
                Some(stripe) if number % 2 == 0 => stripe[0] ^= 4,
                stripe => *stripe = None,
            }
        }
        let expected = healed.then(|| (bytes, lost.to_vec()));
        assert!(parity.heal(read) == expected, "{len} bytes, {lost:?} lost");
    }

    #[test]
    fn two_lost_stripes_of_a_group_come_back_and_three_do_not() {
        let whole = usize::try_from(GROUP_SIZE).unwrap();
        check(whole, &[], true);
        check(whole, &[0], true);
        check(whole, &[7, 8], true);
        check(whole, &[30, 31], true);
        check(whole, &[1, 2, 3], false);
        for len in [1, 63, 64, 65, 4000, STRIPE_SIZE - 1, STRIPE_SIZE, STRIPE_SIZE + 1, 700_000] {
            check(len, &[], true);
            check(len, &[0], true);
        }
        check(STRIPE_SIZE + 1, &[0, 1], true);
    }

    #[test]
    fn records_of_parity_lie_where_they_are_looked_for() {
        let bytes = group(usize::try_from(GROUP_SIZE).unwrap());
        let group = Group::of(&mut ParityEncoder::default(), &[&bytes]).unwrap();
        let record = parity_record(&group, 0, 1, 2, 3);
        assert_eq!(record.len() as u64, record_offset(1));
        for cut in [0, 7, 100, 600, 70_000, record.len() - 200] {
            assert!(Group::decode(&record[64..64 + cut]).is_err(), "cut at {cut}");
        }
    }
}
