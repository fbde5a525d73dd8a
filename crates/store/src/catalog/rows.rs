//! Rows of the catalog: a checksum, then the fields in postcard.

use std::collections::BTreeMap;

use rehome_log::{Lsn, crc32c};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::keys;
use crate::error::StoreError;
use crate::model::{
    ContentId, Extent, FolderId, FolderInfo, FolderName, MailboxId, MailboxInfo, MailboxName,
    MailboxState, Message, Modseq, Uid, UidValidity,
};
use crate::tree::Table;

const CRC_SIZE: usize = 4;

/// Counters of the store.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct MetaRow {
    /// The last group that the catalog holds.
    pub(crate) applied: Lsn,
    pub(crate) next_mailbox: u32,
    pub(crate) next_content: u64,
    pub(crate) next_segment: u32,
    pub(crate) mailboxes: u64,
    pub(crate) folders: u64,
    pub(crate) messages: u64,
    pub(crate) message_bytes: u64,
    pub(crate) contents: u64,
    pub(crate) content_bytes: u64,
    pub(crate) dead_contents: u64,
    pub(crate) dead_bytes: u64,
}

impl Default for MetaRow {
    /// Of an empty store.
    fn default() -> MetaRow {
        MetaRow {
            applied: Lsn::ZERO,
            next_mailbox: 1,
            next_content: 1,
            next_segment: 1,
            mailboxes: 0,
            folders: 0,
            messages: 0,
            message_bytes: 0,
            contents: 0,
            content_bytes: 0,
            dead_contents: 0,
            dead_bytes: 0,
        }
    }
}

/// A mailbox.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct MailboxRow {
    pub(super) name: MailboxName,
    pub(super) state: MailboxState,
    pub(super) subscriptions: Vec<String>,
    pub(super) attributes: BTreeMap<String, String>,
    pub(super) highest_modseq: Modseq,
    pub(super) messages: u64,
    pub(super) bytes: u64,
    pub(super) cursor: Option<Modseq>,
}

impl MailboxRow {
    pub(super) fn info(self, id: MailboxId) -> MailboxInfo {
        MailboxInfo {
            id,
            name: self.name,
            state: self.state,
            subscriptions: self.subscriptions,
            attributes: self.attributes,
            highest_modseq: self.highest_modseq,
            messages: self.messages,
            bytes: self.bytes,
        }
    }
}

/// A folder.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct FolderRow {
    pub(super) name: FolderName,
    pub(super) uidvalidity: UidValidity,
    pub(super) uidnext: Uid,
    pub(super) messages: u64,
    pub(super) bytes: u64,
    pub(super) attributes: BTreeMap<String, String>,
    pub(super) modseq: Modseq,
}

impl FolderRow {
    pub(super) fn info(self, id: FolderId) -> FolderInfo {
        FolderInfo {
            id,
            name: self.name,
            uidvalidity: self.uidvalidity,
            uidnext: self.uidnext,
            messages: self.messages,
            bytes: self.bytes,
            attributes: self.attributes,
            modseq: self.modseq,
        }
    }
}

/// A message.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct MessageRow {
    /// Number of its content.
    pub(super) number: u64,
    pub(super) message: Message,
}

/// What changed at a modseq.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum ChangeRow {
    Folder { folder: FolderId },
    Message { folder: FolderId, uid: Uid },
    Expunge { folder: FolderId, uid: Uid },
}

/// A content.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ContentRow {
    pub(crate) content: ContentId,
    pub(crate) extent: Extent,
    pub(crate) size_bytes: u64,
    /// Messages that have it.
    pub(crate) refs: u64,
    /// Group that took the last of these, or put the content there without one.
    pub(crate) dead_since: Option<Lsn>,
}

impl ContentRow {
    /// Whether nobody needs it: it has had no message since before `free_below`.
    pub(crate) fn is_free(&self, free_below: Lsn) -> bool {
        self.dead_since.is_some_and(|since| since <= free_below)
    }
}

/// A segment.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct SegmentRow {
    /// End of the last record.
    pub(crate) len_bytes: u64,
    pub(crate) records: u64,
    /// Bytes of records whose content has a message.
    pub(crate) live_bytes: u64,
    pub(crate) sealed: bool,
}

/// A message that went and can be had back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct RemovedMessageRow {
    pub(super) folder: FolderId,
    pub(super) row: MessageRow,
    pub(super) removed_seconds: i64,
}

/// A folder that went and can be had back; its messages stay where they were.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct RemovedFolderRow {
    pub(super) row: FolderRow,
    pub(super) removed_seconds: i64,
    /// Whether it went with its mailbox.
    pub(super) with_mailbox: bool,
}

/// A mailbox that went and can be had back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct RemovedMailboxRow {
    pub(super) row: MailboxRow,
    pub(super) removed_seconds: i64,
}

/// A name that a folder lost: because it went, or for another name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct FolderStepRow {
    pub(super) from: FolderName,
    pub(super) to: Option<FolderName>,
}

/// Numbers that must not be given again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct RetiredRow {
    /// The first number for a new folder.
    pub(crate) next_folder: u32,
    /// The highest validity of a folder that lost its name.
    pub(crate) uidvalidity: UidValidity,
    /// The last step in the history of folders.
    pub(crate) last_step: Modseq,
}

/// The bytes of a row.
pub(crate) fn pack<T: Serialize>(row: &T) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(192);
    bytes.extend_from_slice(&[0; CRC_SIZE]);
    let mut bytes = postcard::to_extend(row, bytes).expect("memory takes any row");
    let crc = crc32c(&bytes[CRC_SIZE..]);
    bytes[..CRC_SIZE].copy_from_slice(&crc.to_le_bytes());
    bytes
}

/// The row in `bytes`.
///
/// # Errors
///
/// [`StoreError::Damaged`] naming the table and the key.
pub(crate) fn unpack<T: DeserializeOwned>(
    table: Table,
    key: &[u8],
    bytes: &[u8],
) -> Result<T, StoreError> {
    let damaged = |cause: &str| damaged(table, key, cause);
    let Some((crc, fields)) = bytes.split_first_chunk::<CRC_SIZE>() else {
        return Err(damaged("it is too short"));
    };
    if crc32c(fields) != u32::from_le_bytes(*crc) {
        return Err(damaged("its checksum is wrong"));
    }
    postcard::from_bytes(fields).map_err(|error| damaged(&error.to_string()))
}

/// The row of a message that was met under `key`, which names it too.
///
/// # Errors
///
/// As [`unpack`].
pub(crate) fn unpack_message(key: &[u8], bytes: &[u8]) -> Result<MessageRow, StoreError> {
    let row: MessageRow = unpack(Table::Message, key, bytes)?;
    match keys::read_message(key).2 == row.message.uid {
        true => Ok(row),
        false => Err(damaged(Table::Message, key, "it is of another message")),
    }
}

fn damaged(table: Table, key: &[u8], cause: &str) -> StoreError {
    let place = format!("row {key:02x?} of the catalog's table {}", table.name());
    StoreError::damaged_catalog(place, cause)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flip_of_any_byte_of_a_row_is_seen() {
        let row = SegmentRow { len_bytes: 4096, records: 1, live_bytes: 64, sealed: false };
        let bytes = pack(&row);
        assert_eq!(unpack::<SegmentRow>(Table::Segment, &[0; 4], &bytes).unwrap(), row);
        for at in 0..bytes.len() {
            let mut bytes = bytes.clone();
            bytes[at] ^= 1;
            let error = unpack::<SegmentRow>(Table::Segment, &[0; 4], &bytes).unwrap_err();
            assert!(matches!(error, StoreError::Damaged { .. }), "{error}");
        }
    }
}
