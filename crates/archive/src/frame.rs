//! Data frames: contents one after the other, then a directory of them.

use std::ops::Range;

use zstd::zstd_safe::{find_frame_compressed_size, get_frame_content_size};

use crate::bytes::{Fields, Malformed, put_len, put_u32};
use crate::ids::ContentId;

/// How the directory ends.
const MAGIC: [u8; 8] = *b"MBARDIR1";
/// Bytes of count, offset and magic at the very end.
const FOOTER_SIZE: usize = 16;

/// A content's line in the directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct FrameEntry {
    pub(crate) id: ContentId,
    offset: usize,
    len: usize,
    pub(crate) owners: Vec<u32>,
}

/// A payload to be stored. Its first `framed_bytes` are compressed already: into `frames`, whole
/// zstd frames.
#[derive(Default)]
pub(crate) struct Payload {
    pub(crate) raw: Vec<u8>,
    pub(crate) frames: Vec<u8>,
    pub(crate) framed_bytes: usize,
}

impl From<Vec<u8>> for Payload {
    fn from(raw: Vec<u8>) -> Payload {
        Payload { raw, ..Payload::default() }
    }
}

/// A frame being filled.
#[derive(Default)]
pub(crate) struct FrameBuilder {
    /// Contents that came as zstd frames, and these; they lie before the others.
    framed: Payload,
    plain: Vec<u8>,
    entries: Vec<FrameEntry>,
    /// Of which entries the offset counts from the first plain content.
    are_plain: Vec<bool>,
}

impl FrameBuilder {
    /// Adds a content; `zstd_frame` is what it is compressed to, if it is.
    pub(crate) fn push(
        &mut self,
        id: ContentId,
        owners: &[u32],
        bytes: &[u8],
        zstd_frame: Option<&[u8]>,
    ) {
        let to = if zstd_frame.is_some() { &mut self.framed.raw } else { &mut self.plain };
        let entry =
            FrameEntry { id, offset: to.len(), len: bytes.len(), owners: owners.to_owned() };
        to.extend_from_slice(bytes);
        self.framed.frames.extend_from_slice(zstd_frame.unwrap_or_default());
        self.entries.push(entry);
        self.are_plain.push(zstd_frame.is_none());
    }

    /// Bytes of contents in it.
    pub(crate) fn body_bytes(&self) -> usize {
        self.framed.raw.len() + self.plain.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// The payload and the prefixes of the ids in it; the builder is empty again.
    pub(crate) fn take(&mut self) -> (Payload, Vec<u64>) {
        let FrameBuilder { framed, plain, entries, are_plain } = std::mem::take(self);
        let Payload { mut raw, frames, .. } = framed;
        let framed_bytes = raw.len();
        raw.extend_from_slice(&plain);
        let directory_at = raw.len();
        for (entry, is_plain) in entries.iter().zip(are_plain) {
            raw.extend_from_slice(&entry.id.0);
            put_len(&mut raw, entry.offset + if is_plain { framed_bytes } else { 0 });
            put_len(&mut raw, entry.len);
            put_len(&mut raw, entry.owners.len());
            entry.owners.iter().for_each(|owner| put_u32(&mut raw, *owner));
        }
        put_len(&mut raw, entries.len());
        put_len(&mut raw, directory_at);
        raw.extend_from_slice(&MAGIC);
        let prefixes = entries.iter().map(|entry| entry.id.prefix()).collect();
        (Payload { raw, frames, framed_bytes }, prefixes)
    }
}

/// Bytes that a content with `owners` owners adds to a frame besides its own.
pub(crate) fn overhead_bytes(owners: usize) -> u64 {
    (32 + 12 + FOOTER_SIZE) as u64 + owners as u64 * 4
}

/// A frame that was read.
pub(crate) struct Frame {
    payload: Vec<u8>,
    pub(crate) entries: Vec<FrameEntry>,
    /// The payload as it was stored, if that is zstd frames, and where they are.
    stored: Vec<u8>,
    zstd_frames: Vec<ZstdFrame>,
}

/// A zstd frame, and the bytes of the payload that it holds.
struct ZstdFrame {
    raw: Range<usize>,
    stored: Range<usize>,
}

/// The zstd frames that lie one behind the other in `stored`, as far as they say their size.
fn zstd_frames(stored: &[u8]) -> Vec<ZstdFrame> {
    let (mut frames, mut at, mut raw_at) = (Vec::new(), 0, 0_usize);
    while at < stored.len() {
        let rest = &stored[at..];
        let Ok(len) = find_frame_compressed_size(rest) else { break };
        let size = get_frame_content_size(rest).ok().flatten();
        let Some(size) = size.and_then(|size| usize::try_from(size).ok()) else { break };
        let Some(raw_end) = raw_at.checked_add(size) else { break };
        frames.push(ZstdFrame { raw: raw_at..raw_end, stored: at..at + len });
        (at, raw_at) = (at + len, raw_end);
    }
    frames
}

impl Frame {
    pub(crate) fn decode(payload: Vec<u8>) -> Result<Frame, Malformed> {
        let footer_at = payload.len().checked_sub(FOOTER_SIZE).ok_or("the frame is cut off")?;
        let mut footer = Fields(&payload[footer_at..]);
        let (count, directory_at) = (footer.len()?, footer.len()?);
        if footer.array()? != MAGIC {
            return Err("the frame does not end with a directory");
        }
        let directory = payload.get(directory_at..footer_at).ok_or("the directory is outside")?;
        let mut directory = Fields(directory);
        let mut entries = Vec::new();
        for _ in 0..count {
            let id = ContentId(directory.array()?);
            let (offset, len, owner_count) = (directory.len()?, directory.len()?, directory.len()?);
            if offset.checked_add(len).is_none_or(|end| end > directory_at) {
                return Err("a content lies outside the frame");
            }
            let owners = directory.bytes(owner_count.checked_mul(4).ok_or("too many owners")?)?;
            let owners = owners
                .chunks_exact(4)
                .map(|four| u32::from_le_bytes([four[0], four[1], four[2], four[3]]))
                .collect();
            entries.push(FrameEntry { id, offset, len, owners });
        }
        Ok(Frame { payload, entries, stored: Vec::new(), zstd_frames: Vec::new() })
    }

    /// The same, with `stored`: the zstd frames that `payload` was decompressed from.
    pub(crate) fn decode_with(payload: Vec<u8>, stored: Vec<u8>) -> Result<Frame, Malformed> {
        let zstd_frames = zstd_frames(&stored);
        Ok(Frame { stored, zstd_frames, ..Frame::decode(payload)? })
    }

    /// The zstd frame that holds `entry` and nothing else, if there is one.
    pub(crate) fn zstd_frame(&self, entry: &FrameEntry) -> Option<&[u8]> {
        let found = self.zstd_frames.binary_search_by_key(&entry.offset, |one| one.raw.start);
        let frame = self.zstd_frames.get(found.ok()?)?;
        (frame.raw.len() == entry.len).then(|| &self.stored[frame.stored.clone()])
    }

    /// The bytes of `entry`, if their hash is its id.
    pub(crate) fn content(&self, entry: &FrameEntry) -> Option<&[u8]> {
        let bytes = self.payload.get(entry.offset..entry.offset + entry.len)?;
        (ContentId::of(bytes) == entry.id).then_some(bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_content_that_came_compressed_is_handed_out_so() {
        let bodies = [b"a word and ".repeat(30), b"plain".to_vec(), b"another one, ".repeat(20)];
        let mut builder = FrameBuilder::default();
        for (number, body) in bodies.iter().enumerate() {
            let zstd_frame = zstd::bulk::compress(body, 1).unwrap();
            let zstd_frame = (number != 1).then_some(&zstd_frame[..]);
            builder.push(ContentId::of(body), &[], body, zstd_frame);
        }
        let (Payload { raw, frames, framed_bytes }, _) = builder.take();
        let rest = zstd::bulk::compress(&raw[framed_bytes..], 1).unwrap();
        let stored = [frames, rest].concat();
        let payload = zstd::bulk::decompress(&stored, raw.len()).unwrap();
        assert_eq!(payload, raw);
        let frame = Frame::decode_with(payload, stored).unwrap();
        for (entry, body) in frame.entries.iter().zip(&bodies) {
            let alone = frame.zstd_frame(entry);
            assert_eq!(alone.is_some(), body != b"plain");
            let Some(alone) = alone else { continue };
            assert_eq!(&zstd::bulk::decompress(alone, body.len()).unwrap(), body);
        }
        assert_eq!(zstd_frames(b"nothing that is zstd").len(), 0);
    }

    #[test]
    fn a_frame_gives_back_contents_and_owners_and_no_wrong_byte() {
        let bodies: [&[u8]; 3] = [b"one", b"", b"the third"];
        let mut builder = FrameBuilder::default();
        for (owner, body) in (0..).zip(bodies) {
            // What a content is compressed to is no matter of the directory.
            let zstd_frame = (owner == 2).then_some(&b"compressed"[..]);
            builder.push(ContentId::of(body), &[owner, 9], body, zstd_frame);
        }
        let (Payload { raw: payload, frames, framed_bytes }, prefixes) = builder.take();
        assert_eq!((&frames[..], &payload[..framed_bytes]), (&b"compressed"[..], bodies[2]));
        assert_eq!(prefixes.len(), 3);
        let frame = Frame::decode(payload.clone()).unwrap();
        for (owner, (entry, body)) in (0..).zip(frame.entries.iter().zip(bodies)) {
            assert_eq!(frame.content(entry), Some(body));
            assert_eq!(entry.owners, [owner, 9]);
        }
        for at in 0..payload.len() {
            let mut bad = payload.clone();
            bad[at] ^= 0xff;
            let Ok(frame) = Frame::decode(bad) else { continue };
            for bytes in frame.entries.iter().filter_map(|entry| frame.content(entry)) {
                assert!(bodies.contains(&bytes), "byte {at}");
            }
        }
        for cut in 0..payload.len() {
            assert!(Frame::decode(payload[..cut].to_vec()).is_err(), "cut at {cut}");
        }
    }
}
