//! What was removed and can be had back, and what became of copies.

use serde::{Deserialize, Serialize};

use super::{FolderId, FolderInfo, FolderName, MailboxInfo, Message, Modseq, Uid, UidValidity};

/// A message that went and can be had back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RecoverableMessage {
    /// When it went, in its mailbox's history; by this it is asked for.
    pub removed: Modseq,
    /// Folder it was in.
    pub folder: FolderId,
    /// The message as it was.
    pub message: Message,
    /// When it went, in seconds since 1970.
    pub removed_seconds: i64,
}

/// A folder that went and can be had back with its messages.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RecoverableFolder {
    /// The folder as it was.
    pub folder: FolderInfo,
    /// When it went, in seconds since 1970.
    pub removed_seconds: i64,
}

/// A mailbox that went and can be had back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RecoverableMailbox {
    /// The mailbox as it was; its counters of messages are zero.
    pub mailbox: MailboxInfo,
    /// When it went, in seconds since 1970.
    pub removed_seconds: i64,
}

/// What a copy or a move gives back: what IMAP tells as COPYUID (RFC 9051, 7.1).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Copied {
    /// Validity of the UIDs of the folder that the messages are in now.
    pub uidvalidity: UidValidity,
    /// UID that a message had, and the one that it has there, in the order asked for.
    pub uids: Vec<(Uid, Uid)>,
}

/// A name that a folder lost.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FolderStep {
    /// When, in its mailbox's history.
    pub modseq: Modseq,
    /// The name.
    pub from: FolderName,
    /// The name it got; none if it went.
    pub to: Option<FolderName>,
}

/// What was given up for good.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PurgeReport {
    /// Messages, those of folders and mailboxes included.
    pub messages: u64,
    /// Folders, those of mailboxes included.
    pub folders: u64,
    /// Mailboxes.
    pub mailboxes: u64,
}
