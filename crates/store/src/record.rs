//! Body records: one content with its checksum and name, the same bytes wherever it lies.

use crc32c::{crc32c, crc32c_append};

use crate::model::ContentId;

/// Length of the header before the payload.
pub(crate) const RECORD_HEADER_SIZE: usize = 56;
/// Records begin at multiples of this.
pub(crate) const RECORD_ALIGNMENT: usize = 8;
/// Longest content, so that a record's length fits 32 bits.
pub(crate) const BODY_SIZE_MAX: usize = 1 << 31;

const MAGIC: [u8; 4] = *b"MREC";
/// The checksum covers everything from here on but the padding.
const CHECKED_FROM: usize = 12;

/// A content as a record, ready to be written.
pub(crate) struct Encoded {
    /// The record with its padding.
    pub(crate) bytes: Vec<u8>,
    /// Name of the content.
    pub(crate) content: ContentId,
    /// Length of the content.
    pub(crate) size_bytes: u64,
}

/// What a record's header says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Head {
    /// Name of the content.
    pub(crate) content: ContentId,
    /// Length of the content.
    pub(crate) size_bytes: u64,
    /// Checksum of the record.
    pub(crate) crc: u32,
    /// Length of the record with header and padding.
    pub(crate) record_bytes: usize,
}

/// Length of the record of a content of `body_bytes`.
pub(crate) fn record_bytes(body_bytes: usize) -> usize {
    (RECORD_HEADER_SIZE + body_bytes).next_multiple_of(RECORD_ALIGNMENT)
}

/// Makes the record of `body`, which must not be longer than [`BODY_SIZE_MAX`].
pub(crate) fn encode(body: &[u8]) -> Encoded {
    let size = u32::try_from(body.len()).expect("the caller has checked the length");
    let content = ContentId::of(body);
    let mut bytes = Vec::with_capacity(record_bytes(body.len()));
    bytes.extend_from_slice(&MAGIC);
    bytes.extend_from_slice(&size.to_le_bytes());
    bytes.extend_from_slice(&[0; 8]); // Checksum, then flags: raw.
    bytes.extend_from_slice(&size.to_le_bytes());
    bytes.extend_from_slice(&message_header_len(body).to_le_bytes());
    bytes.extend_from_slice(&content.0);
    bytes.extend_from_slice(body);
    let crc = crc32c(&bytes[CHECKED_FROM..]);
    bytes[8..12].copy_from_slice(&crc.to_le_bytes());
    bytes.resize(record_bytes(body.len()), 0);
    Encoded { bytes, content, size_bytes: u64::from(size) }
}

/// Length of the header of an RFC 5322 message with the empty line after it.
fn message_header_len(body: &[u8]) -> u32 {
    let mut line_empty = true;
    for (index, byte) in body.iter().enumerate() {
        match byte {
            b'\n' if line_empty => return u32::try_from(index + 1).unwrap_or(u32::MAX),
            b'\n' => line_empty = true,
            b'\r' => {}
            _ => line_empty = false,
        }
    }
    u32::try_from(body.len()).unwrap_or(u32::MAX)
}

/// Reads and checks the record at the start of `bytes`; returns what it says and its content.
///
/// # Errors
///
/// What is wrong with it.
pub(crate) fn decode(bytes: &[u8]) -> Result<(Head, &[u8]), &'static str> {
    let word = |at: usize| -> u32 {
        u32::from_le_bytes(bytes[at..at + 4].try_into().expect("four bytes"))
    };
    if bytes.len() < RECORD_HEADER_SIZE {
        return Err("it ends inside a record's header");
    }
    if bytes[..4] != MAGIC {
        return Err("no record begins here");
    }
    let (stored, crc, flags, raw) = (word(4) as usize, word(8), word(12), word(16));
    let record_bytes = record_bytes(stored);
    if stored > BODY_SIZE_MAX || bytes.len() < record_bytes {
        return Err("it ends inside a record");
    }
    let end = RECORD_HEADER_SIZE + stored;
    if crc32c(&bytes[CHECKED_FROM..end]) != crc {
        return Err("the checksum of a record is wrong");
    }
    if flags != 0 || raw as usize != stored {
        return Err("a record is packed in a way that this version does not know");
    }
    let content = ContentId(bytes[24..56].try_into().expect("32 bytes"));
    let head = Head { content, size_bytes: u64::from(raw), crc, record_bytes };
    Ok((head, &bytes[RECORD_HEADER_SIZE..end]))
}

/// A run of records that is damaged at a byte.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct BadRun {
    /// Byte in the run.
    pub(crate) offset: usize,
    /// What is wrong there.
    pub(crate) cause: &'static str,
}

/// Walks a run of whole records, each checked, with its place in the run.
pub(crate) fn walk(run: &[u8]) -> impl Iterator<Item = Result<(usize, Head), BadRun>> {
    let mut offset = 0;
    std::iter::from_fn(move || {
        if offset >= run.len() {
            return None;
        }
        let at = offset;
        match decode(&run[at..]) {
            Ok((head, _)) => {
                offset += head.record_bytes;
                Some(Ok((at, head)))
            }
            Err(cause) => {
                offset = run.len();
                Some(Err(BadRun { offset: at, cause }))
            }
        }
    })
}

/// Length of the whole records at the start of `bytes`, as their headers have it; nothing is
/// checked.
pub(crate) fn whole_records_len(bytes: &[u8]) -> usize {
    let mut whole = 0;
    while let Some(len) = claimed_len(&bytes[whole..]).filter(|len| whole + len <= bytes.len()) {
        whole += len;
    }
    whole
}

/// Length of the record at the start of `bytes` as its header has it, if the header is there.
pub(crate) fn claimed_len(bytes: &[u8]) -> Option<usize> {
    let stored = bytes.get(..RECORD_HEADER_SIZE)?[4..8].try_into().expect("four bytes");
    Some(record_bytes(u32::from_le_bytes(stored) as usize))
}

/// Checksum over the checksums of records, built record by record.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct RunCrc(pub(crate) u32);

impl RunCrc {
    /// Adds the record with checksum `crc`.
    pub(crate) fn add(&mut self, crc: u32) {
        self.0 = crc32c_append(self.0, &crc.to_le_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(run: &[u8], expected: Result<&[u64], BadRun>) {
        let sizes: Result<Vec<u64>, BadRun> =
            walk(run).map(|record| record.map(|(_, head)| head.size_bytes)).collect();
        assert_eq!(sizes, expected.map(<[u64]>::to_vec));
    }

    fn run() -> Vec<u8> {
        [&b"a"[..], b"", b"twelve bytes"].iter().flat_map(|body| encode(body).bytes).collect()
    }

    #[test]
    fn records_come_back_in_order() {
        check(&run(), Ok(&[1, 0, 12]));
        check(&[], Ok(&[]));
    }

    #[test]
    fn a_flip_of_any_byte_but_padding_is_seen() {
        let whole = encode(b"five!").bytes;
        for at in 0..RECORD_HEADER_SIZE + 5 {
            let mut bytes = whole.clone();
            bytes[at] ^= 0x10;
            assert!(decode(&bytes).is_err(), "byte {at}");
        }
    }

    #[test]
    fn a_cut_at_any_byte_is_seen() {
        let whole = encode(b"five!").bytes;
        for cut in 0..whole.len() {
            assert!(decode(&whole[..cut]).is_err(), "cut at {cut}");
        }
        let mut two = run();
        two.truncate(two.len() - 8);
        check(&two, Err(BadRun { offset: 120, cause: "it ends inside a record" }));
    }

    #[test]
    fn the_example_of_the_format_page_is_what_is_written() {
        let page = include_str!("../../../docs/format/store.md");
        let example = page.split("```text").nth(1).unwrap().split("```").next().unwrap();
        let digits: String = example.split_whitespace().collect();
        let bytes = encode(b"A: b\n\nhi").bytes;
        let written: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(digits, written);
    }

    #[test]
    fn the_message_header_ends_with_the_first_empty_line() {
        assert_eq!(message_header_len(b"A: b\r\n\r\nbody"), 8);
        assert_eq!(message_header_len(b"A: b\n\nbody"), 6);
        assert_eq!(message_header_len(b"\nbody"), 1);
        assert_eq!(message_header_len(b"A: b"), 4);
    }
}
