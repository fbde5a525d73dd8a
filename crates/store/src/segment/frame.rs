//! Header and footer of a segment.

use rehome_log::{Lsn, crc32c};

/// Length of the header; the first record follows it.
pub(crate) const SEGMENT_HEADER_SIZE: u64 = 4096;
/// Length of the footer, which begins at the next multiple of it.
pub(crate) const FOOTER_SIZE: usize = 4096;

const HEADER_MAGIC: [u8; 8] = *b"RHSEGHDR";
const FOOTER_MAGIC: [u8; 8] = *b"RHSEGFTR";
const VERSION: u32 = 1;
const HEADER_FIELDS: usize = 56;
const FOOTER_FIELDS: usize = 56;

/// What all segments written by one opening of a store have in common.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Shape {
    /// Identity of the store.
    pub(crate) store_id: [u8; 16],
    /// Fencing epoch of the opening.
    pub(crate) epoch: u64,
}

impl Shape {
    /// The header of segment `id`, begun after group `after`.
    pub(super) fn header(&self, id: u32, after: Lsn, wall_us: i64) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(SEGMENT_HEADER_SIZE as usize);
        bytes.extend_from_slice(&HEADER_MAGIC);
        bytes.extend_from_slice(&VERSION.to_le_bytes());
        bytes.extend_from_slice(&id.to_le_bytes());
        bytes.extend_from_slice(&self.store_id);
        bytes.extend_from_slice(&self.epoch.to_le_bytes());
        bytes.extend_from_slice(&after.to_u64().to_le_bytes());
        bytes.extend_from_slice(&wall_us.to_le_bytes());
        debug_assert_eq!(bytes.len(), HEADER_FIELDS);
        sealed(bytes, SEGMENT_HEADER_SIZE as usize)
    }

    /// The footer of segment `id`: `end` of its records, how many, and the checksum over theirs.
    pub(super) fn footer(&self, id: u32, end: u64, records: u64, crc: u32) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(FOOTER_SIZE);
        bytes.extend_from_slice(&FOOTER_MAGIC);
        bytes.extend_from_slice(&VERSION.to_le_bytes());
        bytes.extend_from_slice(&id.to_le_bytes());
        bytes.extend_from_slice(&self.store_id);
        bytes.extend_from_slice(&end.to_le_bytes());
        bytes.extend_from_slice(&records.to_le_bytes());
        bytes.extend_from_slice(&crc.to_le_bytes());
        bytes.extend_from_slice(&[0; 4]);
        debug_assert_eq!(bytes.len(), FOOTER_FIELDS);
        sealed(bytes, FOOTER_SIZE)
    }
}

/// What a footer says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Footer {
    /// End of the last record.
    pub(crate) end: u64,
    pub(crate) records: u64,
    /// Checksum over the checksums of the records.
    pub(crate) crc: u32,
}

impl Footer {
    /// Reads the footer of segment `id` of store `store_id`; nothing if these bytes are not it.
    pub(crate) fn read(bytes: &[u8], id: u32, store_id: [u8; 16]) -> Option<Footer> {
        let fields = bytes.get(..FOOTER_FIELDS)?;
        let is_sealed = bytes.get(FOOTER_FIELDS..FOOTER_FIELDS + 4)?
            == crc32c(fields).to_le_bytes()
            && fields[..8] == FOOTER_MAGIC
            && fields[8..12] == VERSION.to_le_bytes()
            && fields[12..16] == id.to_le_bytes()
            && fields[16..32] == store_id;
        let long = |at: usize| u64::from_le_bytes(fields[at..at + 8].try_into().expect("eight"));
        let crc = u32::from_le_bytes(fields[48..52].try_into().expect("four bytes"));
        is_sealed.then(|| Footer { end: long(32), records: long(40), crc })
    }
}

/// The fields with their checksum, filled up with zeros.
fn sealed(mut bytes: Vec<u8>, size: usize) -> Vec<u8> {
    let crc = crc32c(&bytes);
    bytes.extend_from_slice(&crc.to_le_bytes());
    bytes.resize(size, 0);
    bytes
}

/// Checks the header of segment `id` of store `store_id`.
///
/// # Errors
///
/// What is wrong with it.
pub(crate) fn check_header(bytes: &[u8], id: u32, store_id: [u8; 16]) -> Result<(), &'static str> {
    if bytes.len() < HEADER_FIELDS + 4 || bytes[..8] != HEADER_MAGIC {
        return Err("it does not begin with a segment header");
    }
    let stored = &bytes[HEADER_FIELDS..HEADER_FIELDS + 4];
    if crc32c(&bytes[..HEADER_FIELDS]).to_le_bytes() != *stored {
        return Err("the checksum of its header is wrong");
    }
    if bytes[8..12] != VERSION.to_le_bytes() {
        return Err("its header has a version that this program does not know");
    }
    if bytes[12..16] != id.to_le_bytes() || bytes[16..32] != store_id {
        return Err("its header names another segment");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_footer_gives_back_what_it_says_and_shows_a_flip_of_any_of_its_bytes() {
        let footer = Shape { store_id: [7; 16], epoch: 3 }.footer(9, 5000, 4, 77);
        let read = |bytes: &[u8], id, store_id| Footer::read(bytes, id, store_id);
        assert_eq!(read(&footer, 9, [7; 16]), Some(Footer { end: 5000, records: 4, crc: 77 }));
        assert_eq!(read(&footer, 8, [7; 16]), None);
        assert_eq!(read(&footer, 9, [8; 16]), None);
        assert_eq!(read(&footer[..20], 9, [7; 16]), None);
        for at in 0..FOOTER_FIELDS + 4 {
            let mut bytes = footer.clone();
            bytes[at] ^= 4;
            assert_eq!(read(&bytes, 9, [7; 16]), None, "byte {at}");
        }
    }

    #[test]
    fn a_header_names_its_segment_and_shows_a_flip_of_any_of_its_bytes() {
        let shape = Shape { store_id: [7; 16], epoch: 3 };
        let header = shape.header(9, Lsn::new(1, 4096), -5);
        assert_eq!(header.len(), 4096);
        assert_eq!(check_header(&header, 9, [7; 16]), Ok(()));
        assert!(check_header(&header, 8, [7; 16]).is_err());
        assert!(check_header(&header, 9, [8; 16]).is_err());
        for at in 0..HEADER_FIELDS + 4 {
            let mut bytes = header.clone();
            bytes[at] ^= 4;
            assert!(check_header(&bytes, 9, [7; 16]).is_err(), "byte {at}");
        }
    }
}
