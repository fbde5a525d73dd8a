//! Body records: one content with its checksum and name, the same bytes wherever it lies.

use std::borrow::Cow;

use crc32c::{crc32c, crc32c_append};

use crate::model::ContentId;
use crate::pack;

/// Length of the header before the payload.
pub(crate) const RECORD_HEADER_SIZE: usize = 56;
/// Records begin at multiples of this.
pub(crate) const RECORD_ALIGNMENT: usize = 8;
/// Longest content, so that a record's length fits 32 bits.
pub(crate) const BODY_SIZE_MAX: usize = 1 << 31;

const MAGIC: [u8; 4] = *b"MREC";
/// The checksum covers everything from here on but the padding.
const CHECKED_FROM: usize = 12;
/// How a payload is packed: as it is, or as one zstd frame.
const PLAIN: u32 = 0;
const ZSTD: u32 = 1;

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
    /// Whether its payload is a zstd frame.
    pub(crate) is_packed: bool,
}

/// Length of the record of a content of `body_bytes`.
pub(crate) fn record_bytes(body_bytes: usize) -> usize {
    (RECORD_HEADER_SIZE + body_bytes).next_multiple_of(RECORD_ALIGNMENT)
}

/// Makes the record of `body`, which must not be longer than [`BODY_SIZE_MAX`], as it is.
pub(crate) fn encode(body: &[u8]) -> Encoded {
    let mut bytes = vec![0; RECORD_HEADER_SIZE];
    bytes.reserve_exact(record_bytes(body.len()) - RECORD_HEADER_SIZE);
    bytes.extend_from_slice(body);
    finished(bytes, PLAIN, body)
}

/// The same, packed if it is longer than `pack_over_bytes` and that makes it enough smaller.
pub(crate) fn encode_packed(body: &[u8], pack_over_bytes: Option<u32>) -> Encoded {
    let is_long = pack_over_bytes.is_some_and(|over| body.len() as u64 > u64::from(over));
    match is_long.then(|| pack::squeeze(body, RECORD_HEADER_SIZE)).flatten() {
        Some(bytes) => finished(bytes, ZSTD, body),
        None => encode(body),
    }
}

/// The record of `body`, which `zstd_frame` was decompressed to.
pub(crate) fn encode_frame(body: &[u8], zstd_frame: &[u8]) -> Encoded {
    if !pack::says(zstd_frame, body.len() as u64) || zstd_frame.len() >= body.len() {
        return encode(body);
    }
    let mut bytes = vec![0; RECORD_HEADER_SIZE];
    bytes.reserve_exact(record_bytes(zstd_frame.len()) - RECORD_HEADER_SIZE);
    bytes.extend_from_slice(zstd_frame);
    finished(bytes, ZSTD, body)
}

/// The record whose payload lies behind the room for the header.
fn finished(mut bytes: Vec<u8>, packing: u32, body: &[u8]) -> Encoded {
    let len = |len: usize| u32::try_from(len).expect("the caller has checked the length");
    let content = ContentId::of(body);
    let payload = bytes.len() - RECORD_HEADER_SIZE;
    let words = [packing, len(body.len()), message_header_len(body)];
    bytes[..4].copy_from_slice(&MAGIC);
    bytes[4..8].copy_from_slice(&len(payload).to_le_bytes());
    for (at, word) in (CHECKED_FROM..).step_by(4).zip(words) {
        bytes[at..at + 4].copy_from_slice(&word.to_le_bytes());
    }
    bytes[24..RECORD_HEADER_SIZE].copy_from_slice(&content.0);
    let crc = crc32c(&bytes[CHECKED_FROM..]);
    bytes[8..CHECKED_FROM].copy_from_slice(&crc.to_le_bytes());
    bytes.resize(record_bytes(payload), 0);
    Encoded { bytes, content, size_bytes: body.len() as u64 }
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

/// Reads and checks the record at the start of `bytes`; returns what it says and its payload.
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
    let is_packed = match flags {
        PLAIN if raw as usize == stored => false,
        ZSTD if raw as usize <= BODY_SIZE_MAX => true,
        _ => return Err("a record is packed in a way that this version does not know"),
    };
    let content = ContentId(bytes[24..56].try_into().expect("32 bytes"));
    let head = Head { content, size_bytes: u64::from(raw), crc, record_bytes, is_packed };
    Ok((head, &bytes[RECORD_HEADER_SIZE..end]))
}

/// The content of a record, from what [`decode`] gave.
///
/// # Errors
///
/// What is wrong with a packed payload whose checksum is right: its writer was wrong.
pub(crate) fn unpack<'p>(head: &Head, payload: &'p [u8]) -> Result<Cow<'p, [u8]>, &'static str> {
    if head.is_packed {
        return pack::restore(payload, head.size_bytes).map(Cow::Owned);
    }
    Ok(Cow::Borrowed(payload))
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

    /// Digits of the example with that number on the format's page.
    fn example(number: usize) -> String {
        let page = include_str!("../../../docs/format/store.md");
        let example = page.split("```text").nth(number).unwrap().split("```").next().unwrap();
        example.split_whitespace().collect()
    }

    #[test]
    fn the_example_of_the_format_page_is_what_is_written() {
        let bytes = encode(b"A: b\n\nhi").bytes;
        let written: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(example(1), written);
    }

    #[test]
    fn the_packed_example_of_the_format_page_is_read() {
        let digits = example(2);
        let bytes = digits
            .as_bytes()
            .chunks(2)
            .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap());
        let bytes: Vec<u8> = bytes.collect();
        let (head, payload) = decode(&bytes).unwrap();
        assert!(head.is_packed && head.record_bytes == bytes.len());
        let body = unpack(&head, payload).unwrap();
        assert_eq!(*body, *[&b"A: b\n\n"[..], &[b'h'; 94]].concat());
        assert_eq!(head.content, ContentId::of(&body));
    }

    #[track_caller]
    fn check_packed(body: &[u8], over: Option<u32>, is_packed: bool) {
        let encoded = encode_packed(body, over);
        let (head, payload) = decode(&encoded.bytes).unwrap();
        assert_eq!((head.is_packed, head.record_bytes), (is_packed, encoded.bytes.len()));
        assert_eq!(head.size_bytes, body.len() as u64);
        assert_eq!(encoded.content, ContentId::of(body));
        assert_eq!(*unpack(&head, payload).unwrap(), *body);
        if is_packed {
            assert!(encoded.bytes.len() < encode(body).bytes.len());
        }
    }

    #[test]
    fn what_is_long_and_gets_smaller_is_packed() {
        let text = b"Dear all, ".repeat(500);
        let noise: Vec<u8> = (0..200_u32).flat_map(|n| ContentId::of(&n.to_le_bytes()).0).collect();
        check_packed(&text, Some(4096), true);
        check_packed(&text, Some(5000), false);
        check_packed(&text, None, false);
        check_packed(&noise, Some(0), false);
        check_packed(b"", Some(0), false);
    }

    #[test]
    fn a_frame_that_was_made_elsewhere_is_kept() {
        let text = b"Dear all, ".repeat(500);
        let frame = zstd::bulk::compress(&text, 3).unwrap();
        let encoded = encode_frame(&text, &frame);
        let (head, payload) = decode(&encoded.bytes).unwrap();
        assert_eq!((head.is_packed, payload), (true, &frame[..]));
        assert_eq!(*unpack(&head, payload).unwrap(), text);
        // What does not say its size, or another one, is no frame of ours.
        for wrong in [&frame[..3], &zstd::bulk::compress(&text[1..], 1).unwrap()] {
            assert_eq!(encode_frame(&text, wrong).bytes, encode(&text).bytes);
        }
    }

    #[test]
    fn a_packed_record_that_says_another_size_is_refused_when_it_is_read() {
        let whole = encode_packed(&b"Dear all, ".repeat(500), Some(0)).bytes;
        for size in [0_u32, 4_999, 5_001, 1 << 31] {
            let mut bytes = whole.clone();
            bytes[16..20].copy_from_slice(&size.to_le_bytes());
            let stored = u32::from_le_bytes(bytes[4..8].try_into().unwrap()) as usize;
            let crc = crc32c(&bytes[CHECKED_FROM..RECORD_HEADER_SIZE + stored]);
            bytes[8..12].copy_from_slice(&crc.to_le_bytes());
            let (head, payload) = decode(&bytes).unwrap();
            assert!(unpack(&head, payload).is_err(), "{size}");
        }
    }

    #[test]
    fn the_message_header_ends_with_the_first_empty_line() {
        assert_eq!(message_header_len(b"A: b\r\n\r\nbody"), 8);
        assert_eq!(message_header_len(b"A: b\n\nbody"), 6);
        assert_eq!(message_header_len(b"\nbody"), 1);
        assert_eq!(message_header_len(b"A: b"), 4);
    }
}
