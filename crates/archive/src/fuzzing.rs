//! What the archive makes of any bytes; for `cargo xtask fuzz` and the tests. Each target takes
//! bytes and panics if a promise is broken: nothing else panics, and what is read is written the
//! same.

mod seeds;

pub use seeds::seeds;

use std::io;

use crate::catalog::Catalog;
use crate::chunk::decode_chunk;
use crate::cursors::Cursors;
use crate::entry::decode_entries;
use crate::frame::Frame;
use crate::head::VolumeHead;
use crate::ids::ContentId;
use crate::index;
use crate::kind::RecordKind;
use crate::locate;
use crate::manifest::Manifest;
use crate::outline::{MailboxOutline, OutlineEncoder, OutlinePart, apply, decode_part};
use crate::parity::Group;
use crate::record::{
    self, Identity, RECORD_VERSION, Record, RecordHead, Scanned, Stored, VolumeFile,
};
use crate::set_file::SetFile;
use crate::survey::Survey;
use crate::target::SourceFile;
use crate::text;

/// What a target is called, and what it does with bytes.
pub type Target = (&'static str, fn(&[u8]));

/// Every target.
pub const TARGETS: [Target; 3] =
    [("archive-record", record), ("archive-manifest", manifest), ("archive-outline", outline)];

/// Between the parts of an input that is made of several.
const BREAK: u8 = 0xFF;

/// A volume: the bytes as they are, and cut into records whose hashes are right.
fn record(bytes: &[u8]) {
    look_through(bytes.to_vec());
    look_through(records_of(bytes));
}

/// Records of the kinds and with the payloads that the parts of `bytes` have.
fn records_of(bytes: &[u8]) -> Vec<u8> {
    let mut volume = Vec::new();
    for (sequence, part) in (0..).zip(bytes.split(|byte| *byte == BREAK)) {
        let Some((&[kind, flags, codec, raw], payload)) = part.split_first_chunk() else {
            continue;
        };
        let len = u32::try_from(payload.len()).expect("a fuzzer's input is short");
        let head = RecordHead {
            kind: RecordKind::from_u8(kind),
            flags: flags & 3,
            codec: codec & 3,
            key_slot: 0,
            version: RECORD_VERSION,
            volume: 0,
            sequence,
            tag: 7,
            // What is compressed may say of itself that it is longer.
            raw_len: if codec & 3 == 0 { len } else { u32::from(raw) << 8 },
            stored_len: len,
            lsn: 0,
        };
        volume.extend_from_slice(&record::encode(&head, Stored::of(payload)));
    }
    volume
}

/// Bytes as a file.
struct Bytes(Vec<u8>);

impl SourceFile for Bytes {
    fn size_bytes(&self) -> u64 {
        self.0.len() as u64
    }

    fn read_at(&self, offset: u64, buf: &mut [u8]) -> io::Result<()> {
        let begin = usize::try_from(offset).map_err(io::Error::other)?;
        let end = begin.checked_add(buf.len()).ok_or(io::ErrorKind::UnexpectedEof)?;
        buf.copy_from_slice(self.0.get(begin..end).ok_or(io::ErrorKind::UnexpectedEof)?);
        Ok(())
    }
}

/// Reads a volume in all ways that there are.
fn look_through(bytes: Vec<u8>) {
    let size = bytes.len() as u64;
    let identity = Some(Identity { tag: 7, volume: None });
    let source: io::Result<Box<dyn SourceFile>> = Ok(Box::new(Bytes(bytes)));
    let Ok(volume) = VolumeFile::opened("volume", identity, source) else { return };
    let mut end = 0;
    for scanned in volume.scan() {
        if let Scanned::Record(record) = scanned {
            assert!(record.offset >= end, "records lie one behind another");
            end = record.offset + record.stored.len() as u64;
            assert!(end <= size);
            look_into(&record);
        }
    }
    Survey::of(&[Ok(&volume)], true, &mut |_| {});
    if index::read(&volume, 0).is_ok() {
        assert!(size > 0, "an index has bytes");
    }
    locate::load(&[Ok(volume)]);
}

/// Reads a payload as that of each kind: damage may be in the kind.
fn look_into(record: &Record) {
    VolumeHead::decode("volume", record).ok();
    let Ok(payload) = record.payload() else { return };
    assert_eq!(payload.len(), record.head.raw_len as usize);
    decode_chunk(&payload).ok();
    decode_entries(&payload).ok();
    index::decode(&payload, 0, &mut Catalog::default(), true).ok();
    if let Ok(group) = Group::decode(&payload) {
        let (count, _) = group.stripes();
        group.heal(vec![None; count]);
    }
    if let Ok(frame) = Frame::decode(payload) {
        for entry in &frame.entries {
            let right = frame.content(entry).is_none_or(|bytes| ContentId::of(bytes) == entry.id);
            assert!(right, "no content has another name than its own");
        }
    }
}

/// Sealed texts and cursors: as they are, and with a right hash on the last line.
fn manifest(bytes: &[u8]) {
    sealed(bytes);
    if let Ok(plain) = std::str::from_utf8(bytes) {
        sealed(&text::seal(plain.to_owned()));
    }
    if let Ok(cursors) = Cursors::decode(bytes) {
        let again = Cursors::decode(&cursors.encode());
        assert_eq!(again.expect("what was written is read"), cursors);
    }
}

fn sealed(bytes: &[u8]) {
    if let Ok(manifest) = Manifest::decode("MANIFEST", bytes) {
        let text = manifest.encode().expect("a manifest is plain text");
        let again = Manifest::decode("MANIFEST", &text);
        assert_eq!(again.expect("what was written is read"), manifest);
    }
    if let Ok(set) = SetFile::decode(bytes) {
        let again = SetFile::decode(&set.encode()).expect("what was written is read");
        assert_eq!((again.set_id, again.store_id), (set.set_id, set.store_id));
    }
}

/// Outlines, and one after the other what they make of a mailbox.
fn outline(bytes: &[u8]) {
    let mut mailbox: Option<MailboxOutline> = None;
    for part in bytes.split(|byte| *byte == BREAK).chain([bytes]) {
        let Ok(part) = decode_part(part) else { continue };
        let once = written(&part);
        assert_eq!(written(&once), once, "what is read is written the same");
        let mut next = part.outline;
        if let (Some(base), Some(changes)) = (&mailbox, &mut next.changes) {
            changes.since = base.highest_modseq;
        }
        if let Ok(applied) = apply(mailbox.take(), next) {
            assert!(applied.changes.is_none(), "a mailbox is no changes");
            mailbox = Some(applied);
        }
    }
}

/// A part, written and read again: all that it says twice comes once.
fn written(part: &OutlinePart) -> OutlinePart {
    let mut payloads = Vec::new();
    let mut encoder = OutlineEncoder::new(part.mailbox, &part.outline);
    let mut keep = |encoded: crate::outline::EncodedPart| -> Result<(), ()> {
        payloads.push(encoded.payload);
        Ok(())
    };
    encoder.add(&part.outline, &mut keep).expect("keeping does not fail");
    payloads.push(encoder.finish().payload);
    assert_eq!(payloads.len(), 1, "a fuzzer's input is short");
    decode_part(&payloads[0]).expect("what was written is read")
}

#[cfg(test)]
mod tests {
    use super::{TARGETS, seeds};
    use rehome_log::SplitMix64;

    #[test]
    fn no_bytes_make_a_target_panic() {
        for (name, target) in TARGETS {
            println!("target {name}, seed 12");
            let mut rng = SplitMix64::new(12);
            let mut below = |bound: usize| usize::try_from(rng.below(bound as u64)).unwrap();
            let seeds = seeds(name);
            seeds.iter().for_each(|seed| target(seed));
            for _ in 0..1000 {
                let mut bytes = seeds[below(seeds.len())].clone();
                let other = &seeds[below(seeds.len())];
                bytes.splice(below(bytes.len() + 1).., other[below(other.len() + 1)..].to_vec());
                for _ in 0..below(8) {
                    let at = below(bytes.len() + 1);
                    bytes.insert(at, u8::try_from(below(256)).unwrap());
                    let at = below(bytes.len());
                    bytes[at] = u8::try_from(below(256)).unwrap();
                }
                target(&bytes);
            }
        }
    }
}
