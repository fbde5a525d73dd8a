//! Sections: what a pipe is made of.

use crate::bytes::{Fields, GRID};

/// How every section begins.
pub(crate) const MAGIC: [u8; 8] = *b"MBARPIP1";
/// Bytes of a section's header.
pub(crate) const HEADER_SIZE: usize = 64;
/// The longest payload of a section that does not carry a file's bytes: a name.
pub(crate) const NAME_SIZE_MAX: u32 = 1024;
/// Bytes of a file that one section carries at most.
pub(crate) const BYTES_SIZE_MAX: u32 = 1 << 30;

/// Header bytes that the hash covers.
const HASHED_SIZE: usize = 40;
const _: () = assert!(HEADER_SIZE as u64 == GRID);

/// What a section says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SectionKind {
    /// A file begins; the payload is its name.
    Begin,
    /// The next bytes of the file.
    Bytes,
    /// The file ends; the payload is its length (8).
    End,
    /// The stream ends; the payload is the number of files (8).
    Close,
}

/// A section's header, without magic and hash.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SectionHead {
    pub(crate) kind: SectionKind,
    /// Bytes of payload, without padding.
    pub(crate) len: u32,
    /// Number of the section, from 0 without gaps.
    pub(crate) sequence: u64,
}

impl SectionHead {
    /// The header in bytes. The hash covers `payload` too, unless it is a file's bytes: these
    /// carry their own hashes.
    pub(crate) fn encode(&self, payload: &[u8]) -> [u8; HEADER_SIZE] {
        let kind = match self.kind {
            SectionKind::Begin => 1,
            SectionKind::Bytes => 2,
            SectionKind::End => 3,
            SectionKind::Close => 4,
        };
        let mut header = [0; HEADER_SIZE];
        header[..8].copy_from_slice(&MAGIC);
        header[8] = kind;
        header[12..16].copy_from_slice(&self.len.to_le_bytes());
        header[16..24].copy_from_slice(&self.sequence.to_le_bytes());
        let hash = self.hash(&header, payload);
        header[HASHED_SIZE..].copy_from_slice(&hash);
        header
    }

    /// Reads a header; `None` if it does not begin with the magic or its kind is not known. The
    /// hash is not looked at.
    pub(crate) fn decode(header: &[u8; HEADER_SIZE]) -> Option<SectionHead> {
        let mut fields = Fields(header.strip_prefix(&MAGIC)?);
        let kind = match fields.u8().ok()? {
            1 => SectionKind::Begin,
            2 => SectionKind::Bytes,
            3 => SectionKind::End,
            4 => SectionKind::Close,
            _ => return None,
        };
        let mut fields = Fields(&header[12..]);
        Some(SectionHead { kind, len: fields.u32().ok()?, sequence: fields.u64().ok()? })
    }

    /// Whether `header` has the right hash, with the payload if that is covered.
    pub(crate) fn fits(&self, header: &[u8; HEADER_SIZE], payload: &[u8]) -> bool {
        self.hash(header, payload) == header[HASHED_SIZE..]
    }

    fn hash(&self, header: &[u8; HEADER_SIZE], payload: &[u8]) -> [u8; 24] {
        let mut hasher = blake3::Hasher::new();
        hasher.update(&header[..HASHED_SIZE]);
        if self.kind != SectionKind::Bytes {
            hasher.update(payload);
        }
        let mut hash = [0; HEADER_SIZE - HASHED_SIZE];
        hash.copy_from_slice(&hasher.finalize().as_bytes()[..HEADER_SIZE - HASHED_SIZE]);
        hash
    }

    /// Zeros after the payload.
    pub(crate) fn padding_len(&self) -> usize {
        let len = u64::from(self.len);
        usize::try_from(len.next_multiple_of(GRID) - len).expect("less than the grid")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_flipped_bit_of_a_header_is_noticed() {
        let kinds = [SectionKind::Begin, SectionKind::Bytes, SectionKind::End, SectionKind::Close];
        for kind in kinds {
            let head = SectionHead { kind, len: 4, sequence: 7 };
            let header = head.encode(b"SETx");
            assert_eq!(SectionHead::decode(&header), Some(head));
            assert!(head.fits(&header, b"SETx"));
            for bit in 0..HEADER_SIZE * 8 {
                let mut bad = header;
                bad[bit / 8] ^= 1 << (bit % 8);
                let good = SectionHead::decode(&bad).is_some_and(|head| head.fits(&bad, b"SETx"));
                assert!(!good, "bit {bit}");
            }
        }
    }
}
