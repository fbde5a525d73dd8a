//! Records: framing and checksum.

use super::header::{u32_at, u64_at};
use crate::Lsn;
use crate::crc::crc32c_append;

/// Bytes before the payload.
pub(crate) const RECORD_HEADER_SIZE: usize = 48;

/// Records begin at multiples of this.
pub(crate) const ALIGNMENT: usize = 8;

const MAGIC: u32 = u32::from_le_bytes(*b"RREC");
const _: () = assert!(RECORD_HEADER_SIZE.is_multiple_of(ALIGNMENT));

/// What a record is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RecordKind {
    /// A payload of the caller.
    Data = 1,
    /// The end of a generation that was ended on purpose.
    Close = 2,
}

/// The fields of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Fields {
    pub(crate) kind: RecordKind,
    pub(crate) lsn: Lsn,
    pub(crate) prev_lsn: Lsn,
    pub(crate) durable_lsn: Lsn,
    pub(crate) wall_us: i64,
}

/// A record as it lies in a generation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Decoded<'a> {
    pub(crate) fields: Fields,
    pub(crate) payload: &'a [u8],
    pub(crate) crc: u32,
    /// Bytes it takes, padding included.
    pub(crate) size: usize,
}

/// Why there is no record where one was looked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NoRecord {
    /// Nothing was written here.
    Zeros,
    /// The bytes end inside the record, or the length is not one.
    Length,
    /// The bytes are not a record's.
    Magic,
    /// The checksum is wrong.
    Checksum,
    /// A record, but of another place.
    Place,
}

impl NoRecord {
    pub(crate) fn cause(self) -> &'static str {
        match self {
            NoRecord::Zeros => "there are zeros where a record was",
            NoRecord::Length => "the record there has an impossible length",
            NoRecord::Magic => "the bytes there are not a record",
            NoRecord::Checksum => "the record there has a wrong checksum",
            NoRecord::Place => "the record there belongs elsewhere",
        }
    }
}

/// Bytes that a record with a payload of `payload_size` bytes takes.
pub(crate) const fn record_size(payload_size: usize) -> usize {
    (RECORD_HEADER_SIZE + payload_size).next_multiple_of(ALIGNMENT)
}

/// Replaces `buffer` by the record, and returns its checksum.
pub(crate) fn encode(buffer: &mut Vec<u8>, seed: u32, fields: &Fields, payload: &[u8]) -> u32 {
    let payload_len = u32::try_from(payload.len()).expect("a payload fits in a generation");
    buffer.clear();
    buffer.extend_from_slice(&MAGIC.to_le_bytes());
    buffer.extend_from_slice(&[0; 4]);
    buffer.extend_from_slice(&payload_len.to_le_bytes());
    buffer.extend_from_slice(&(fields.kind as u32).to_le_bytes());
    buffer.extend_from_slice(&fields.lsn.to_u64().to_le_bytes());
    buffer.extend_from_slice(&fields.prev_lsn.to_u64().to_le_bytes());
    buffer.extend_from_slice(&fields.durable_lsn.to_u64().to_le_bytes());
    buffer.extend_from_slice(&fields.wall_us.to_le_bytes());
    buffer.extend_from_slice(payload);
    buffer.resize(record_size(payload.len()), 0);
    let crc = crc32c_append(seed, &buffer[8..]);
    buffer[4..8].copy_from_slice(&crc.to_le_bytes());
    crc
}

/// Whether `bytes` begin with the frame of a record that says it lies at `lsn`, right or wrong
/// checksum.
pub(crate) fn claims_place(bytes: &[u8], lsn: Lsn) -> bool {
    bytes.len() >= RECORD_HEADER_SIZE
        && u32_at(bytes, 0) == MAGIC
        && u64_at(bytes, 16) == lsn.to_u64()
}

/// Reads the record at the start of `bytes`, which lie at `lsn` in the generation of `seed`.
pub(crate) fn decode(bytes: &[u8], seed: u32, lsn: Lsn) -> Result<Decoded<'_>, NoRecord> {
    let Some(header) = bytes.get(..RECORD_HEADER_SIZE) else {
        let zeros = bytes.iter().all(|byte| *byte == 0);
        return Err(if zeros { NoRecord::Zeros } else { NoRecord::Length });
    };
    if u32_at(header, 0) != MAGIC {
        let zeros = header.iter().all(|byte| *byte == 0);
        return Err(if zeros { NoRecord::Zeros } else { NoRecord::Magic });
    }
    let payload_size = usize::try_from(u32_at(header, 8)).map_err(|_| NoRecord::Length)?;
    let size = RECORD_HEADER_SIZE.checked_add(payload_size).ok_or(NoRecord::Length)?;
    let size = size.checked_next_multiple_of(ALIGNMENT).ok_or(NoRecord::Length)?;
    let record = bytes.get(..size).ok_or(NoRecord::Length)?;
    let crc = u32_at(header, 4);
    if crc != crc32c_append(seed, &record[8..]) {
        return Err(NoRecord::Checksum);
    }
    let kind = match u32_at(header, 12) {
        1 => RecordKind::Data,
        2 => RecordKind::Close,
        _ => return Err(NoRecord::Magic),
    };
    let fields = Fields {
        kind,
        lsn: Lsn::from_u64(u64_at(header, 16)),
        prev_lsn: Lsn::from_u64(u64_at(header, 24)),
        durable_lsn: Lsn::from_u64(u64_at(header, 32)),
        wall_us: u64_at(header, 40).cast_signed(),
    };
    if fields.lsn != lsn {
        return Err(NoRecord::Place);
    }
    let payload = &record[RECORD_HEADER_SIZE..RECORD_HEADER_SIZE + payload_size];
    Ok(Decoded { fields, payload, crc, size })
}

#[cfg(test)]
mod tests {
    use super::*;

    const SEED: u32 = 0x1234_5678;

    fn fields() -> Fields {
        Fields {
            kind: RecordKind::Data,
            lsn: Lsn::new(3, 4096),
            prev_lsn: Lsn::new(2, 8192),
            durable_lsn: Lsn::new(2, 8000),
            wall_us: -5,
        }
    }

    fn record() -> Vec<u8> {
        let mut bytes = Vec::new();
        encode(&mut bytes, SEED, &fields(), b"move mailbox 12");
        bytes
    }

    #[track_caller]
    fn check(bytes: &[u8], seed: u32, lsn: Lsn, expected: Result<(Fields, &[u8]), NoRecord>) {
        let decoded = decode(bytes, seed, lsn);
        assert_eq!(decoded.map(|record| (record.fields, record.payload)), expected);
    }

    #[test]
    fn a_record_gives_back_what_was_written() {
        let bytes = record();
        assert_eq!(bytes.len(), record_size(15));
        check(&bytes, SEED, fields().lsn, Ok((fields(), b"move mailbox 12")));
    }

    #[test]
    fn a_record_of_another_generation_or_place_is_none() {
        check(&record(), SEED + 1, fields().lsn, Err(NoRecord::Checksum));
        check(&record(), SEED, Lsn::new(3, 4104), Err(NoRecord::Place));
    }

    #[test]
    fn a_record_cut_at_any_byte_is_none() {
        let bytes = record();
        for cut in 0..bytes.len() {
            let expected = if cut == 0 { NoRecord::Zeros } else { NoRecord::Length };
            check(&bytes[..cut], SEED, fields().lsn, Err(expected));
        }
    }

    #[test]
    fn a_flipped_bit_anywhere_makes_it_none() {
        for bit in 0..record().len() * 8 {
            let mut bytes = record();
            bytes[bit / 8] ^= 1 << (bit % 8);
            assert!(decode(&bytes, SEED, fields().lsn).is_err(), "bit {bit}");
        }
    }
}
