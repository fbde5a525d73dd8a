//! Bytes of heartbeats and checkpoints.

use std::collections::BTreeMap;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::file::damaged;
use crate::coordinator::{Checkpoint, CoordinatorError, Heartbeat, KeyContent};
use crate::ids::{CheckpointKey, NodeName, ResourceName};

/// Size of a heartbeat file: always the same, so that it is overwritten in place.
pub(super) const HEARTBEAT_BYTES: usize = 512;

/// First word of a checkpoint file.
const CHECKPOINT_MAGIC: &str = "rehome-checkpoint";

/// A heartbeat as JSON, spaces, and the CRC32C of all before it.
pub(super) fn encode_heartbeat(
    heartbeat: &Heartbeat,
    place: &Path,
) -> Result<[u8; HEARTBEAT_BYTES], CoordinatorError> {
    let json = serde_json::to_vec(heartbeat).map_err(|error| damaged(place, error))?;
    let body = HEARTBEAT_BYTES - 10;
    if json.len() > body {
        return Err(damaged(place, "the heartbeat is longer than its file"));
    }
    let mut bytes = [b' '; HEARTBEAT_BYTES];
    bytes[..json.len()].copy_from_slice(&json);
    let sum = rehome_log::crc32c(&bytes[..body]);
    bytes[body..].copy_from_slice(format!("\n{sum:08x}\n").as_bytes());
    Ok(bytes)
}

/// `None` if the bytes are being overwritten at this moment, or are none of ours: a heartbeat
/// that cannot be read is one that was not seen.
pub(super) fn decode_heartbeat(bytes: &[u8]) -> Option<Heartbeat> {
    let body = HEARTBEAT_BYTES - 10;
    if bytes.len() != HEARTBEAT_BYTES {
        return None;
    }
    let sum = format!("\n{:08x}\n", rehome_log::crc32c(&bytes[..body]));
    if bytes[body..] != *sum.as_bytes() {
        return None;
    }
    serde_json::from_slice(bytes[..body].trim_ascii_end()).ok()
}

#[derive(Serialize, Deserialize)]
struct CheckpointHeader {
    resource: ResourceName,
    key: CheckpointKey,
    serial: u64,
    epoch: u64,
    version: u64,
    node: NodeName,
    content: ContentHeader,
}

#[derive(Serialize, Deserialize)]
#[serde(tag = "is", rename_all = "snake_case")]
enum ContentHeader {
    Absent,
    File { size_bytes: usize },
    Folder { files: Vec<(String, usize)> },
}

impl Checkpoint {
    /// The checkpoint as the bytes that `docs/format/quorum.md` describes. `place` is where they
    /// go, for the error.
    ///
    /// # Errors
    ///
    /// [`CoordinatorError::Damaged`] if it cannot be written as such.
    pub fn to_bytes(&self, place: &Path) -> Result<Vec<u8>, CoordinatorError> {
        encode_checkpoint(self, place)
    }

    /// Reads what [`Checkpoint::to_bytes`] wrote.
    ///
    /// # Errors
    ///
    /// [`CoordinatorError::Damaged`] if its checksum or its sizes are wrong.
    pub fn from_bytes(bytes: &[u8], place: &Path) -> Result<Self, CoordinatorError> {
        decode_checkpoint(bytes, place)
    }
}

pub(super) fn encode_checkpoint(
    checkpoint: &Checkpoint,
    place: &Path,
) -> Result<Vec<u8>, CoordinatorError> {
    let content = match &checkpoint.content {
        KeyContent::Absent => ContentHeader::Absent,
        KeyContent::File(bytes) => ContentHeader::File { size_bytes: bytes.len() },
        KeyContent::Folder(files) => ContentHeader::Folder {
            files: files.iter().map(|(name, bytes)| (name.clone(), bytes.len())).collect(),
        },
    };
    let header = CheckpointHeader {
        resource: checkpoint.resource.clone(),
        key: checkpoint.key.clone(),
        serial: checkpoint.serial,
        epoch: checkpoint.epoch,
        version: checkpoint.version,
        node: checkpoint.node.clone(),
        content,
    };
    let mut rest = serde_json::to_vec(&header).map_err(|error| damaged(place, error))?;
    rest.push(b'\n');
    match &checkpoint.content {
        KeyContent::Absent => {}
        KeyContent::File(bytes) => rest.extend_from_slice(bytes),
        KeyContent::Folder(files) => files.values().for_each(|bytes| rest.extend(bytes)),
    }
    let sum = rehome_log::crc32c(&rest);
    let mut bytes = format!("{CHECKPOINT_MAGIC} 1 {sum:08x} {}\n", rest.len()).into_bytes();
    bytes.extend_from_slice(&rest);
    Ok(bytes)
}

pub(super) fn decode_checkpoint(
    bytes: &[u8],
    place: &Path,
) -> Result<Checkpoint, CoordinatorError> {
    let (first, rest) = split_line(bytes).ok_or_else(|| damaged(place, "it has no first line"))?;
    let sum = rehome_log::crc32c(rest);
    let expected = format!("{CHECKPOINT_MAGIC} 1 {sum:08x} {}", rest.len());
    if first != expected.as_bytes() {
        let first = String::from_utf8_lossy(first);
        return Err(damaged(place, format!("its first line is {first:?}, not {expected:?}")));
    }
    let (header, body) = split_line(rest).ok_or_else(|| damaged(place, "it has no header"))?;
    let header: CheckpointHeader =
        serde_json::from_slice(header).map_err(|error| damaged(place, error))?;
    let content = decode_content(header.content, body)
        .ok_or_else(|| damaged(place, "its sizes do not add up"))?;
    Ok(Checkpoint {
        resource: header.resource,
        key: header.key,
        serial: header.serial,
        epoch: header.epoch,
        version: header.version,
        node: header.node,
        content,
    })
}

fn decode_content(header: ContentHeader, body: &[u8]) -> Option<KeyContent> {
    match header {
        ContentHeader::Absent => body.is_empty().then_some(KeyContent::Absent),
        ContentHeader::File { size_bytes } => {
            (body.len() == size_bytes).then(|| KeyContent::File(body.to_vec()))
        }
        ContentHeader::Folder { files } => {
            let mut rest = body;
            let mut found = BTreeMap::new();
            for (name, size_bytes) in files {
                CheckpointKey::new(&name).ok()?;
                let (bytes, after) = rest.split_at_checked(size_bytes)?;
                found.insert(name, bytes.to_vec());
                rest = after;
            }
            rest.is_empty().then_some(KeyContent::Folder(found))
        }
    }
}

fn split_line(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let end = bytes.iter().position(|&byte| byte == b'\n')?;
    Some((&bytes[..end], &bytes[end + 1..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn checkpoint(content: KeyContent) -> Checkpoint {
        Checkpoint {
            resource: ResourceName::new("store").unwrap(),
            key: CheckpointKey::new("services/store").unwrap(),
            serial: 3,
            epoch: 7,
            version: 2,
            node: NodeName::new("a").unwrap(),
            content,
        }
    }

    #[track_caller]
    fn check(content: KeyContent) {
        let place = Path::new("x.cpt");
        let written = checkpoint(content);
        let bytes = encode_checkpoint(&written, place).unwrap();
        assert_eq!(decode_checkpoint(&bytes, place).unwrap(), written);
        for position in 0..bytes.len() {
            let mut broken = bytes.clone();
            broken[position] ^= 1;
            assert!(decode_checkpoint(&broken, place).is_err(), "byte {position}");
            assert!(decode_checkpoint(&bytes[..position], place).is_err(), "cut at {position}");
        }
    }

    #[test]
    fn a_checkpoint_reads_back_and_every_changed_byte_is_seen() {
        check(KeyContent::Absent);
        check(KeyContent::File(b"threads = 4\n".to_vec()));
        let files = [("a".to_owned(), b"1".to_vec()), ("b/c".to_owned(), vec![])];
        check(KeyContent::Folder(files.into()));
    }

    #[test]
    fn a_heartbeat_that_is_half_overwritten_is_not_seen() {
        let place = Path::new("a.hb");
        let beat = |counter| Heartbeat {
            node: NodeName::new("a").unwrap(),
            incarnation: "1f".to_owned(),
            counter,
            pid: 1,
            leaving: false,
        };
        let old = encode_heartbeat(&beat(11), place).unwrap();
        let new = encode_heartbeat(&beat(12), place).unwrap();
        for cut in 0..=HEARTBEAT_BYTES {
            let mixed = [&new[..cut], &old[cut..]].concat();
            let seen = decode_heartbeat(&mixed).map(|heartbeat| heartbeat.counter);
            let whole = if mixed == old { Some(11) } else { Some(12) };
            assert!(seen.is_none() || seen == whole, "cut at {cut}: {seen:?}");
        }
        assert_eq!(decode_heartbeat(&new), Some(beat(12)));
    }
}
