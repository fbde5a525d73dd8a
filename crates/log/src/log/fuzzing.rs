//! What the log makes of any bytes; for `cargo xtask fuzz` and the tests.

use super::header::{HEADER_SIZE, Header, u64_at};
use super::record::{Fields, RECORD_HEADER_SIZE, RecordKind, decode, encode};
use super::scan::{Cursor, find_tail, lsn_at};
use crate::Lsn;
use crate::crc::{crc32c, crc32c_append};

const GENERATION: u64 = 3;
const SEED: u32 = 7;

/// Reads bytes as the header of a generation, as its records, and as one record whose checksum is
/// right, so that what lies behind the checksum is reached.
pub fn log(bytes: &[u8]) {
    header(bytes);
    let mut generation = vec![0; HEADER_SIZE];
    generation.extend_from_slice(bytes);
    let start = Cursor::new(&generation, GENERATION, SEED, Lsn::from_u64(0));
    find_tail(start, Lsn::from_u64(0));
    if bytes.len() < RECORD_HEADER_SIZE {
        return;
    }
    let mut fixed = bytes.to_vec();
    fixed[..4].copy_from_slice(b"RREC");
    let crc = crc32c_append(SEED, &fixed[8..]);
    fixed[4..8].copy_from_slice(&crc.to_le_bytes());
    let lsn = Lsn::from_u64(u64_at(&fixed, 16));
    if let Ok(record) = decode(&fixed, SEED, lsn) {
        assert!(record.size <= fixed.len() && record.payload.len() < record.size);
        let mut again = Vec::new();
        encode(&mut again, SEED, &record.fields, record.payload);
        let end = RECORD_HEADER_SIZE + record.payload.len();
        assert_eq!(again[8..end], fixed[8..end], "what is read is written the same");
    }
}

/// Reads a header whose checksum is right.
fn header(bytes: &[u8]) {
    let mut fixed = bytes.to_vec();
    fixed.resize(HEADER_SIZE, 0);
    fixed[..8].copy_from_slice(b"RHMELOG\n");
    let crc = crc32c(&fixed[12..HEADER_SIZE]);
    fixed[8..12].copy_from_slice(&crc.to_le_bytes());
    if let Ok((header, _)) = Header::decode(&fixed) {
        assert_eq!(Header::decode(&header.encode().0).ok().map(|(again, _)| again), Some(header));
    }
}

/// Whole records, to begin with.
#[must_use]
pub fn log_seeds() -> Vec<Vec<u8>> {
    let payloads: [&[u8]; 4] = [b"", b"a", b"eight by", &[0xA5; 300]];
    let record = |payload: &[u8]| {
        let mut record = Vec::new();
        let zero = Lsn::from_u64(0);
        let lsn = lsn_at(GENERATION, HEADER_SIZE);
        let fields = Fields {
            kind: if payload.is_empty() { RecordKind::Close } else { RecordKind::Data },
            lsn,
            prev_lsn: zero,
            durable_lsn: zero,
            wall_us: 1,
        };
        encode(&mut record, SEED, &fields, payload);
        record
    };
    payloads.into_iter().map(record).collect()
}

#[cfg(test)]
mod tests {
    use crate::SplitMix64;

    #[test]
    fn no_bytes_make_the_log_panic() {
        println!("seed 11");
        let mut rng = SplitMix64::new(11);
        let mut below = |bound: usize| usize::try_from(rng.below(bound as u64)).unwrap();
        let seeds = super::log_seeds();
        for _ in 0..5000 {
            let mut bytes = seeds[below(seeds.len())].clone();
            for _ in 0..below(6) {
                let at = below(bytes.len());
                bytes[at] = u8::try_from(below(256)).unwrap();
            }
            bytes.truncate(below(bytes.len() * 4).max(1));
            super::log(&bytes);
        }
    }
}
