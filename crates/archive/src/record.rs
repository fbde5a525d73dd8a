//! Records: the 64-byte header, the hash, and the padding that keeps every record on the grid.
//!
#![doc = include_str!("../../../docs/format/archive.md")]

mod forward;
mod scan;

pub(crate) use scan::{Heal, Healed, Identity, Scan, Scanned, VolumeFile, damage_in, damage_of};

pub(crate) use crate::bytes::GRID;

use std::borrow::Cow;
use std::sync::Arc;

use crate::bytes::Fields;
use crate::error::ArchiveError;
use crate::kind::RecordKind;
use crate::seal::{RecordKey, SEAL_SIZE};

/// How every record begins.
pub(crate) const MAGIC: [u8; 8] = *b"MBARREC1";
/// Bytes of a header.
pub(crate) const HEADER_SIZE: usize = 64;
/// The most bytes a payload may have, stored or raw.
pub(crate) const PAYLOAD_SIZE_MAX: u32 = 512 << 20;
/// The version of the records that this crate writes, and the highest that it reads.
pub(crate) const RECORD_VERSION: u16 = 1;
/// Flag: the payload is sealed.
pub(crate) const FLAG_SEALED: u8 = 1;
/// Flag: the stream's last record.
pub(crate) const FLAG_LAST: u8 = 2;
/// Codec: the payload is stored as it is.
pub(crate) const CODEC_NONE: u8 = 0;
/// Codec: one zstd frame.
pub(crate) const CODEC_ZSTD: u8 = 1;

/// Header bytes that the hash covers.
const HASHED_SIZE: usize = 40;
const HASH_SIZE: usize = HEADER_SIZE - HASHED_SIZE;
const _: () = assert!(HEADER_SIZE as u64 == GRID && HASH_SIZE == 24);

/// A record's header, without magic and hash.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct RecordHead {
    pub(crate) kind: RecordKind,
    pub(crate) flags: u8,
    pub(crate) codec: u8,
    pub(crate) key_slot: u8,
    pub(crate) version: u16,
    /// Number of the volume.
    pub(crate) volume: u16,
    /// Number of the record in the backup.
    pub(crate) sequence: u32,
    /// First half of the backup's id.
    pub(crate) tag: u32,
    pub(crate) raw_len: u32,
    pub(crate) stored_len: u32,
    pub(crate) lsn: u64,
}

impl RecordHead {
    /// The record's first 40 bytes.
    fn encode(&self) -> [u8; HASHED_SIZE] {
        let mut bytes = [0; HASHED_SIZE];
        bytes[..8].copy_from_slice(&MAGIC);
        bytes[8..12].copy_from_slice(&[self.kind.to_u8(), self.flags, self.codec, self.key_slot]);
        bytes[12..14].copy_from_slice(&self.version.to_le_bytes());
        bytes[14..16].copy_from_slice(&self.volume.to_le_bytes());
        bytes[16..20].copy_from_slice(&self.sequence.to_le_bytes());
        bytes[20..24].copy_from_slice(&self.tag.to_le_bytes());
        bytes[24..28].copy_from_slice(&self.raw_len.to_le_bytes());
        bytes[28..32].copy_from_slice(&self.stored_len.to_le_bytes());
        bytes[32..40].copy_from_slice(&self.lsn.to_le_bytes());
        bytes
    }

    /// Reads a header; `None` if it does not begin with the magic. Nothing in it is checked yet.
    pub(crate) fn decode(header: &[u8; HEADER_SIZE]) -> Option<RecordHead> {
        let mut fields = Fields(header.strip_prefix(&MAGIC)?);
        let mut read = || -> Result<RecordHead, &'static str> {
            Ok(RecordHead {
                kind: RecordKind::from_u8(fields.u8()?),
                flags: fields.u8()?,
                codec: fields.u8()?,
                key_slot: fields.u8()?,
                version: fields.u16()?,
                volume: fields.u16()?,
                sequence: fields.u32()?,
                tag: fields.u32()?,
                raw_len: fields.u32()?,
                stored_len: fields.u32()?,
                lsn: fields.u64()?,
            })
        };
        read().ok()
    }

    /// Where the record says it belongs.
    pub(crate) fn identity(&self) -> Identity {
        Identity { tag: self.tag, volume: Some(self.volume) }
    }

    /// Bytes from this record to the next one, padding included.
    pub(crate) fn size_bytes(&self) -> u64 {
        record_size(self.stored_len)
    }

    /// Why this version cannot interpret the payload; `None` if it can.
    fn unknown(&self) -> Option<String> {
        if self.version > RECORD_VERSION {
            return Some(format!("its version {} is later than {RECORD_VERSION}", self.version));
        }
        if self.flags & !(FLAG_LAST | FLAG_SEALED) != 0 {
            return Some(format!("its flags {:#04x} are not known", self.flags));
        }
        if self.codec > CODEC_ZSTD || self.key_slot != self.flags & FLAG_SEALED {
            return Some(format!("codec {} or key {} is not known", self.codec, self.key_slot));
        }
        None
    }
}

/// Bytes that a record with `stored_len` bytes of payload takes.
pub(crate) fn record_size(stored_len: u32) -> u64 {
    (HEADER_SIZE as u64 + u64::from(stored_len)).next_multiple_of(GRID)
}

fn hash(head: &[u8], stored: &[u8]) -> [u8; HASH_SIZE] {
    let mut hasher = blake3::Hasher::new();
    hasher.update(head).update(stored);
    let mut hash = [0; HASH_SIZE];
    hash.copy_from_slice(&hasher.finalize().as_bytes()[..HASH_SIZE]);
    hash
}

/// A payload as it is stored, with the room that its record's header takes before it: so that a
/// record is made without copying it.
pub(crate) struct Stored(Vec<u8>);

impl Stored {
    /// A copy of `payload`.
    pub(crate) fn of(payload: &[u8]) -> Stored {
        let mut bytes = Vec::with_capacity(HEADER_SIZE + payload.len() + HEADER_SIZE);
        bytes.resize(HEADER_SIZE, 0);
        bytes.extend_from_slice(payload);
        Stored(bytes)
    }

    /// What `bytes` have behind [`HEADER_SIZE`] bytes of any kind.
    pub(crate) fn behind_a_header(bytes: Vec<u8>) -> Stored {
        assert!(bytes.len() >= HEADER_SIZE, "there is room for a header");
        Stored(bytes)
    }

    /// Bytes of the payload.
    pub(crate) fn len(&self) -> usize {
        self.0.len() - HEADER_SIZE
    }
}

/// Seals a payload, which `head` says then; leaves it as it is without a key.
///
/// # Errors
///
/// [`ArchiveError::TooLarge`].
pub(crate) fn seal(
    head: &mut RecordHead,
    key: Option<&RecordKey>,
    stored: &mut Stored,
) -> Result<(), ArchiveError> {
    let Some(key) = key else { return Ok(()) };
    let bytes = stored.len() as u64 + SEAL_SIZE as u64;
    let too_large = || {
        let what = format!("a sealed record of kind {}", head.kind);
        ArchiveError::TooLarge { what, bytes, limit: u64::from(PAYLOAD_SIZE_MAX) }
    };
    let fits = u32::try_from(bytes).ok().filter(|len| *len <= PAYLOAD_SIZE_MAX);
    let stored_len = fits.ok_or_else(too_large)?;
    let sealed = RecordHead { flags: head.flags | FLAG_SEALED, key_slot: 1, stored_len, ..*head };
    let place = (head.volume, head.sequence);
    let tag = key.seal(place, &sealed.encode(), &mut stored.0[HEADER_SIZE..]);
    stored.0.extend_from_slice(&tag.ok_or_else(too_large)?);
    *head = sealed;
    Ok(())
}

/// The bytes of a record, padding included. The first [`HEADER_SIZE`] of them are the header.
pub(crate) fn encode(head: &RecordHead, stored: Stored) -> Vec<u8> {
    assert_eq!(stored.len(), head.stored_len as usize, "the header describes another payload");
    let size = usize::try_from(head.size_bytes()).expect("payloads are bounded");
    let mut bytes = stored.0;
    let start = head.encode();
    let hash = hash(&start, &bytes[HEADER_SIZE..]);
    bytes[..HASHED_SIZE].copy_from_slice(&start);
    bytes[HASHED_SIZE..HEADER_SIZE].copy_from_slice(&hash);
    bytes.resize(size, 0);
    bytes
}

/// A record whose hash is right.
#[derive(Clone, Debug)]
pub(crate) struct Record {
    pub(crate) head: RecordHead,
    pub(crate) header: [u8; HEADER_SIZE],
    pub(crate) stored: Vec<u8>,
    /// Where it begins in its file.
    pub(crate) offset: u64,
    /// Whether its padding is there and zero.
    pub(crate) padded: bool,
    /// What opens its payload if it is sealed.
    pub(crate) key: Option<Arc<RecordKey>>,
}

impl Record {
    /// Whether its payload is sealed and there is no key for it.
    pub(crate) fn is_locked(&self) -> bool {
        self.head.flags & FLAG_SEALED != 0 && self.key.is_none()
    }

    /// The payload as it was before it was sealed.
    fn unsealed(&self) -> Result<Cow<'_, [u8]>, String> {
        if self.head.flags & FLAG_SEALED == 0 {
            return Ok(Cow::Borrowed(&self.stored));
        }
        let key = self.key.as_ref().ok_or("it is encrypted, and no key was given")?;
        let place = (self.head.volume, self.head.sequence);
        let opened = key.open(place, &self.head.encode(), &self.stored);
        opened.map(Cow::Owned).ok_or_else(|| "its key does not open it".to_owned())
    }

    /// The payload, opened and decompressed, and what it was decompressed from; that is empty if it
    /// is stored as it is.
    pub(crate) fn payload_and_stored(&self) -> Result<(Vec<u8>, Vec<u8>), String> {
        let payload = self.payload()?;
        let stored = match self.head.codec {
            CODEC_NONE => Vec::new(),
            _ => self.unsealed()?.into_owned(),
        };
        Ok((payload, stored))
    }

    /// The payload, opened and decompressed.
    pub(crate) fn payload(&self) -> Result<Vec<u8>, String> {
        if let Some(unknown) = self.head.unknown() {
            return Err(unknown);
        }
        let raw_len = self.head.raw_len as usize;
        if self.head.raw_len > PAYLOAD_SIZE_MAX {
            return Err(format!("its payload is said to have {raw_len} bytes"));
        }
        let payload = match self.head.codec {
            CODEC_NONE => self.unsealed()?.into_owned(),
            _ => zstd::bulk::decompress(&self.unsealed()?, raw_len)
                .map_err(|error| format!("it does not decompress: {error}"))?,
        };
        if payload.len() == raw_len {
            Ok(payload)
        } else {
            Err(format!("its payload has {} bytes, {raw_len} are stated", payload.len()))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_gives_back_its_fields() {
        for kind in 0..=255 {
            let head = RecordHead {
                kind: RecordKind::from_u8(kind),
                flags: 2,
                codec: 1,
                key_slot: 9,
                version: 3,
                volume: 4,
                sequence: 5,
                tag: 6,
                raw_len: 70,
                stored_len: 1,
                lsn: 8,
            };
            let bytes = encode(&head, Stored::of(b"x"));
            assert_eq!(bytes.len(), 128);
            let header = bytes[..HEADER_SIZE].try_into().unwrap();
            assert_eq!(RecordHead::decode(&header), Some(head));
            assert_eq!(header[8], kind);
        }
    }
}
