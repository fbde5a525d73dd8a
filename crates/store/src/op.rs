//! Operations: what a log record tells the catalog to do.

use rehome_log::Lsn;
use serde::{Deserialize, Serialize};

use crate::error::StoreError;
use crate::model::FolderName;
use crate::model::{
    ContentId, Extent, FlagChange, FolderId, IncomingFolder, MailboxId, MailboxName, MailboxState,
    Message, Modseq, NewFolder, Uid, UidValidity,
};

/// First byte of a payload.
const PAYLOAD_VERSION: u8 = 1;

/// One durable group: all or nothing of it is applied.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Group {
    /// Bytes of segments that this group wrote and depends on.
    pub(crate) ranges: Vec<BodyRange>,
    /// What to do, in order.
    pub(crate) ops: Vec<Op>,
}

/// A run of records that a group wrote.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct BodyRange {
    /// Number of the segment.
    pub(crate) segment: u32,
    /// First byte.
    pub(crate) from: u64,
    /// First byte behind it.
    pub(crate) to: u64,
    /// Checksum over the checksums of its records.
    pub(crate) crc: u32,
}

/// One step. The order of the variants is the format: new ones go to the end.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Op {
    /// A content was written; a store that has it already leaves this one unused.
    PutContent { number: u64, content: ContentId, extent: Extent, size_bytes: u64 },
    /// A segment takes no more records.
    SealSegment { segment: u32, len_bytes: u64, records: u64 },
    /// A mailbox was made.
    CreateMailbox { mailbox: MailboxId, name: MailboxName, state: MailboxState },
    /// A mailbox has another state.
    SetState { mailbox: MailboxId, state: MailboxState },
    /// A mailbox has other subscriptions.
    SetSubscriptions { mailbox: MailboxId, subscriptions: Vec<String>, modseq: Modseq },
    /// A mailbox has another attribute, or one less.
    SetAttribute { mailbox: MailboxId, key: String, value: Option<String>, modseq: Modseq },
    /// A folder was made.
    CreateFolder { mailbox: MailboxId, folder: FolderId, made: MadeFolder },
    /// A message arrived; its content has the number given.
    Append { mailbox: MailboxId, folder: FolderId, number: u64, message: Message },
    /// A message's flags changed; no message, no change.
    ChangeFlags {
        mailbox: MailboxId,
        folder: FolderId,
        uid: Uid,
        modseq: Modseq,
        change: FlagChange,
    },
    /// A message went; no message, no change.
    Expunge { mailbox: MailboxId, folder: FolderId, uid: Uid, modseq: Modseq },
    /// A mailbox being received has these attributes and subscriptions.
    ReceiveMailbox {
        mailbox: MailboxId,
        attributes: Vec<(String, String)>,
        subscriptions: Vec<String>,
    },
    /// A folder was received: made, or brought up to date.
    ReceiveFolder { mailbox: MailboxId, folder: FolderId, incoming: IncomingFolder },
    /// A message was received: made, or brought up to date; its content is found by name.
    ReceiveMessage { mailbox: MailboxId, folder: FolderId, message: Message },
    /// A message is gone at the sender.
    ReceiveExpunge { mailbox: MailboxId, folder: FolderId, uid: Uid, modseq: Modseq },
    /// A mailbox has been received up to here.
    ReceiveCursor { mailbox: MailboxId, cursor: Modseq },
    /// A message went and can be had back; no message, no change.
    Remove { mailbox: MailboxId, folder: FolderId, uid: Uid, modseq: Modseq, removed_seconds: i64 },
    /// A folder gets a message that is like this one; no message, none.
    Copy { from: (MailboxId, FolderId, Uid), to: Place },
    /// A folder gets back the message that went at that modseq; no message, none.
    Undelete { mailbox: MailboxId, removed: Modseq, to: Place },
    /// A folder gets a message of a removed folder; no message, none.
    Take { from: (MailboxId, FolderId, Uid), to: Place },
    /// A folder went and can be had back.
    DeleteFolder { mailbox: MailboxId, folder: FolderId, modseq: Modseq, removed_seconds: i64 },
    /// A folder has another name.
    RenameFolder {
        mailbox: MailboxId,
        folder: FolderId,
        name: FolderName,
        uidvalidity: UidValidity,
        modseq: Modseq,
    },
    /// A step in the history of folders that concerns no folder here.
    NoteFolderStep { mailbox: MailboxId, modseq: Modseq, from: FolderName, to: Option<FolderName> },
    /// A mailbox went with its folders and can be had back.
    DeleteMailbox { mailbox: MailboxId, folders: Vec<FolderId>, removed_seconds: i64 },
    /// A mailbox has another name.
    RenameMailbox { mailbox: MailboxId, name: MailboxName, uidvalidity: UidValidity },
    /// A removed mailbox is back, with these folders and perhaps other validities.
    RestoreMailbox {
        mailbox: MailboxId,
        name: MailboxName,
        folders: Vec<(FolderId, Option<(UidValidity, Modseq)>)>,
    },
    /// What was removed is gone for good.
    Purge(Purge),
    /// The record of a content lies elsewhere.
    MoveContent { number: u64, extent: Extent },
    /// A content without messages is gone for good.
    FreeContent { number: u64 },
    /// Nothing lies in a segment any more.
    DropSegment { segment: u32 },
    /// A content is about to get messages.
    KeepContent { number: u64 },
}

/// Where a message goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Place {
    pub(crate) mailbox: MailboxId,
    pub(crate) folder: FolderId,
    pub(crate) uid: Uid,
    pub(crate) modseq: Modseq,
}

/// Rows about what was removed from a mailbox; those that are not there are passed over.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Purge {
    pub(crate) mailbox: MailboxId,
    /// Messages of removed folders.
    pub(crate) messages: Vec<(FolderId, Uid)>,
    /// Notes that such messages went.
    pub(crate) gone: Vec<(FolderId, Uid)>,
    /// Messages that went by themselves, by when they did.
    pub(crate) removed: Vec<Modseq>,
    /// Steps in the history of folders.
    pub(crate) steps: Vec<Modseq>,
    /// Removed folders.
    pub(crate) folders: Vec<FolderId>,
    /// Whether the mailbox itself goes, which was removed.
    pub(crate) whole: bool,
}

/// A folder as it was made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct MadeFolder {
    pub(crate) name: FolderName,
    pub(crate) uidvalidity: UidValidity,
    pub(crate) uidnext: Uid,
    pub(crate) attributes: Vec<(String, String)>,
    pub(crate) modseq: Modseq,
}

impl Purge {
    /// How many rows it names.
    pub(crate) fn rows(&self) -> u64 {
        let Purge { messages, gone, removed, steps, folders, .. } = self;
        (messages.len() + gone.len() + removed.len() + steps.len() + folders.len()) as u64
    }
}

impl MadeFolder {
    /// The folder that `new` asks for; `uidvalidity` is taken if it asks for none.
    pub(crate) fn new(
        name: FolderName,
        new: NewFolder,
        uidvalidity: UidValidity,
        modseq: Modseq,
    ) -> MadeFolder {
        MadeFolder {
            name,
            uidvalidity: new.uidvalidity.unwrap_or(uidvalidity),
            uidnext: new.uidnext.unwrap_or(Uid(1)).max(Uid(1)),
            attributes: new.attributes.into_iter().collect(),
            modseq,
        }
    }
}

impl Group {
    /// The payload of its log record.
    pub(crate) fn encode(&self) -> Vec<u8> {
        let payload = vec![PAYLOAD_VERSION];
        postcard::to_extend(self, payload).expect("memory takes any group")
    }

    /// Reads the payload of the log's record at `lsn`.
    ///
    /// # Errors
    ///
    /// [`StoreError::Damaged`] naming the record.
    pub(crate) fn of_record(lsn: Lsn, payload: &[u8]) -> Result<Group, StoreError> {
        Group::decode(payload).map_err(|cause| StoreError::Damaged {
            place: format!("record {lsn} of the log"),
            cause,
            remedy: "open the store with the program that wrote it, or restore it from a backup",
        })
    }

    /// Reads the payload of a log record.
    ///
    /// # Errors
    ///
    /// Why it cannot be read.
    pub(crate) fn decode(payload: &[u8]) -> Result<Group, String> {
        match payload.split_first() {
            Some((&PAYLOAD_VERSION, group)) => postcard::from_bytes(group)
                .map_err(|error| format!("its payload is no group: {error}")),
            Some((version, _)) => Err(format!(
                "its payload has version {version}, and this program knows {PAYLOAD_VERSION}"
            )),
            None => Err("its payload is empty".to_owned()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_group_comes_back_from_its_payload() {
        let group = Group {
            ranges: vec![BodyRange { segment: 1, from: 4096, to: 8192, crc: 7 }],
            ops: vec![
                Op::PutContent {
                    number: 9,
                    content: ContentId::of(b"x"),
                    extent: Extent { segment: 1, offset: 4096, len: 64 },
                    size_bytes: 1,
                },
                Op::Expunge {
                    mailbox: MailboxId(1),
                    folder: FolderId(2),
                    uid: Uid(3),
                    modseq: Modseq(4),
                },
            ],
        };
        assert_eq!(Group::decode(&group.encode()), Ok(group));
    }

    #[test]
    fn a_payload_of_a_later_version_is_refused_by_name() {
        let error = Group::decode(&[2, 0, 0]).unwrap_err();
        assert!(error.contains("version 2"), "{error}");
        assert!(Group::decode(&[]).is_err());
        assert!(Group::decode(&[1, 9]).is_err());
    }
}
