//! What an export did.

use crate::{FolderName, MailboxName, Uid};
use serde::Serialize;

/// How far an export is; what is written by then is not durable yet.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ExportProgress {
    /// The mailbox being written.
    pub mailbox: MailboxName,
    /// Messages written.
    pub messages: u64,
    /// Their bytes.
    pub bytes: u64,
}

/// What an export did.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct ExportReport {
    /// Each mailbox, in the order in which they were written.
    pub mailboxes: Vec<ExportedMailbox>,
    /// Messages that the store could not give out.
    pub missing: Vec<MissingMessage>,
    /// What was written otherwise than it stands in the store.
    pub warnings: Vec<String>,
}

impl ExportReport {
    /// Messages written.
    #[must_use]
    pub fn messages(&self) -> u64 {
        self.mailboxes.iter().map(|mailbox| mailbox.messages).sum()
    }

    /// Bytes of the messages written.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.mailboxes.iter().map(|mailbox| mailbox.bytes).sum()
    }

    /// Whether every message was written.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.missing.is_empty()
    }
}

/// What an export did with one mailbox.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ExportedMailbox {
    /// Its name.
    pub mailbox: MailboxName,
    /// Its folder.
    pub path: String,
    /// Folders written, empty ones as well.
    pub folders: u64,
    /// Messages written.
    pub messages: u64,
    /// Their bytes, as in the store.
    pub bytes: u64,
    /// Messages that are not written byte for byte: an mbox cannot hold them otherwise, or asked
    /// to be quoted.
    pub altered: u64,
}

/// A message that the store could not give out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct MissingMessage {
    /// Its mailbox.
    pub mailbox: MailboxName,
    /// Its folder.
    pub folder: FolderName,
    /// Its number.
    pub uid: Uid,
    /// Why.
    pub reason: String,
}
