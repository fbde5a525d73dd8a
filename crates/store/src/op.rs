//! Operations: what a log record tells the catalog to do.

use serde::{Deserialize, Serialize};

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
