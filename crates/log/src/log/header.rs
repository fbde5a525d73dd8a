//! The header of a generation, and the name of its file.

use crate::Lsn;
use crate::crc::crc32c;
use crate::lsn::GENERATION_MAX;

/// Bytes before the first record.
pub(crate) const HEADER_SIZE: usize = 4096;

/// The newest version of the format.
pub(crate) const VERSION: u32 = 1;

const MAGIC: &[u8; 8] = b"RHMELOG\n";

/// Which file a generation is in. Two owners may both have begun the same number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct GenerationId {
    pub(crate) number: u64,
    pub(crate) epoch: u64,
}

impl GenerationId {
    pub(crate) fn file_name(self) -> String {
        format!("E{:010x}-{:08x}.log", self.number, self.epoch)
    }

    /// The generation whose file is called `name`; none if that is no generation's name.
    pub(crate) fn parse(name: &str) -> Option<GenerationId> {
        let (number, epoch) = name.strip_prefix('E')?.strip_suffix(".log")?.split_once('-')?;
        let number = u64::from_str_radix(number, 16).ok().filter(|n| *n <= GENERATION_MAX)?;
        let id = GenerationId { number, epoch: u64::from_str_radix(epoch, 16).ok()? };
        (id.file_name() == name).then_some(id)
    }
}

/// How the generation before ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Seal {
    pub(crate) id: GenerationId,
    /// Bytes of its file that count; the first record after them would begin there.
    pub(crate) len: u32,
    /// Checksum over the checksums of its header and records.
    pub(crate) closing_crc: u32,
}

impl Seal {
    /// Of a generation that never had a file, which ends with the record `after`.
    pub(crate) fn before(after: Lsn, epoch: u64) -> Seal {
        let id = GenerationId { number: after.generation(), epoch };
        Seal { id, len: after.offset(), closing_crc: 0 }
    }
}

/// The first 4096 bytes of a generation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Header {
    pub(crate) identity: [u8; 16],
    pub(crate) id: GenerationId,
    pub(crate) created_wall_us: i64,
    /// The highest LSN acknowledged when the generation was begun.
    pub(crate) durable_lsn: Lsn,
    /// The record before the first one here.
    pub(crate) prev_lsn: Lsn,
    pub(crate) previous: Option<Seal>,
}

/// Why bytes are not a header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NoHeader {
    /// A header was never finished here, or is damaged.
    Invalid,
    /// A good header of a version that this program does not know.
    Version(u32),
}

impl Header {
    /// Where the first record lies.
    pub(crate) fn first_lsn(&self) -> Lsn {
        Lsn::new(self.id.number, HEADER_SIZE as u32)
    }

    /// The bytes, and their checksum, which seeds the checksums of the records.
    pub(crate) fn encode(&self) -> (Vec<u8>, u32) {
        let none = Seal { id: GenerationId { number: 0, epoch: 0 }, len: 0, closing_crc: 0 };
        let previous = self.previous.unwrap_or(none);
        let mut bytes = Vec::with_capacity(HEADER_SIZE);
        bytes.extend_from_slice(MAGIC);
        bytes.extend_from_slice(&[0; 4]);
        bytes.extend_from_slice(&VERSION.to_le_bytes());
        bytes.extend_from_slice(&self.identity);
        bytes.extend_from_slice(&self.id.number.to_le_bytes());
        bytes.extend_from_slice(&self.id.epoch.to_le_bytes());
        bytes.extend_from_slice(&self.created_wall_us.to_le_bytes());
        bytes.extend_from_slice(&self.first_lsn().to_u64().to_le_bytes());
        bytes.extend_from_slice(&self.durable_lsn.to_u64().to_le_bytes());
        bytes.extend_from_slice(&self.prev_lsn.to_u64().to_le_bytes());
        bytes.extend_from_slice(&previous.id.number.to_le_bytes());
        bytes.extend_from_slice(&previous.id.epoch.to_le_bytes());
        bytes.extend_from_slice(&previous.len.to_le_bytes());
        bytes.extend_from_slice(&previous.closing_crc.to_le_bytes());
        bytes.resize(HEADER_SIZE, 0);
        let crc = crc32c(&bytes[12..]);
        bytes[8..12].copy_from_slice(&crc.to_le_bytes());
        (bytes, crc)
    }

    /// Reads the header in `bytes`, of which there must be [`HEADER_SIZE`], and its checksum.
    pub(crate) fn decode(bytes: &[u8]) -> Result<(Header, u32), NoHeader> {
        let crc = u32_at(bytes, 8);
        if bytes[..8] != *MAGIC || crc != crc32c(&bytes[12..HEADER_SIZE]) {
            return Err(NoHeader::Invalid);
        }
        if u32_at(bytes, 12) != VERSION {
            return Err(NoHeader::Version(u32_at(bytes, 12)));
        }
        if u64_at(bytes, 32) > GENERATION_MAX {
            return Err(NoHeader::Invalid); // No position lies in such a generation.
        }
        let mut identity = [0; 16];
        identity.copy_from_slice(&bytes[16..32]);
        let id = |at| GenerationId { number: u64_at(bytes, at), epoch: u64_at(bytes, at + 8) };
        let seal = Seal { id: id(80), len: u32_at(bytes, 96), closing_crc: u32_at(bytes, 100) };
        let header = Header {
            identity,
            id: id(32),
            created_wall_us: u64_at(bytes, 48).cast_signed(),
            durable_lsn: Lsn::from_u64(u64_at(bytes, 64)),
            prev_lsn: Lsn::from_u64(u64_at(bytes, 72)),
            previous: (seal.id.number != 0).then_some(seal),
        };
        Ok((header, crc))
    }
}

/// The little-endian number at `at`; the caller knows that it is there.
pub(crate) fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(bytes[at..at + 4].try_into().expect("4 bytes"))
}

/// The little-endian number at `at`; the caller knows that it is there.
pub(crate) fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(bytes[at..at + 8].try_into().expect("8 bytes"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header() -> Header {
        let before = GenerationId { number: 0x1a, epoch: 2 };
        Header {
            identity: *b"0123456789abcdef",
            id: GenerationId { number: 0x1b, epoch: 3 },
            created_wall_us: 1,
            durable_lsn: Lsn::new(0x1a, 8192),
            prev_lsn: Lsn::new(0x1a, 8192),
            previous: Some(Seal { id: before, len: 9000, closing_crc: 77 }),
        }
    }

    #[track_caller]
    fn check(header: Header) {
        let (bytes, crc) = header.encode();
        assert_eq!(bytes.len(), HEADER_SIZE);
        assert_eq!(Header::decode(&bytes), Ok((header, crc)));
    }

    #[test]
    fn a_header_gives_back_what_was_written() {
        check(header());
        check(Header { previous: None, prev_lsn: Lsn::ZERO, ..header() });
    }

    #[test]
    fn a_generation_without_positions_makes_it_none() {
        let (mut bytes, _) = header().encode();
        bytes[32..40].copy_from_slice(&(GENERATION_MAX + 1).to_le_bytes());
        let crc = crc32c(&bytes[12..HEADER_SIZE]);
        bytes[8..12].copy_from_slice(&crc.to_le_bytes());
        assert_eq!(Header::decode(&bytes), Err(NoHeader::Invalid));
    }

    #[test]
    fn a_flipped_bit_anywhere_makes_it_none() {
        let (bytes, _) = header().encode();
        for bit in 0..bytes.len() * 8 {
            let mut bytes = bytes.clone();
            bytes[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(Header::decode(&bytes), Err(NoHeader::Invalid), "bit {bit}");
        }
    }

    #[test]
    fn a_name_is_a_generation_only_in_its_one_spelling() {
        let id = GenerationId { number: 0x2a, epoch: 0x1_0000_0001 };
        assert_eq!(id.file_name(), "E000000002a-100000001.log");
        assert_eq!(GenerationId::parse(&id.file_name()), Some(id));
        for name in ["E2a-1.log", "E000000002A-00000001.log", "E000000002a-00000001.log.tmp"] {
            assert_eq!(GenerationId::parse(name), None, "{name}");
        }
    }
}
