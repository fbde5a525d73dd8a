//! What an import did.

use crate::MailboxName;
use serde::Serialize;
use std::collections::BTreeMap;

/// How far an import is: what this call has stored durably.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ImportProgress {
    /// The mailbox being read.
    pub mailbox: MailboxName,
    /// Messages stored.
    pub messages: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Messages that were there already.
    pub present: u64,
}

/// What an import did.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct ImportReport {
    /// Each mailbox, in the order in which they were read.
    pub mailboxes: Vec<ImportedMailbox>,
    /// What was not imported.
    pub skipped: Vec<Skipped>,
    /// Items of Outlook files by their class, imported or there already.
    pub classes: BTreeMap<String, u64>,
    /// What was imported, but not quite as it stands there.
    pub warnings: Vec<String>,
}

impl ImportReport {
    /// Messages stored by this import.
    #[must_use]
    pub fn messages(&self) -> u64 {
        self.mailboxes.iter().map(|mailbox| mailbox.messages).sum()
    }

    /// Bytes of the messages stored by this import.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.mailboxes.iter().map(|mailbox| mailbox.bytes).sum()
    }

    /// Messages that were there already.
    #[must_use]
    pub fn present(&self) -> u64 {
        self.mailboxes.iter().map(|mailbox| mailbox.present).sum()
    }

    /// Whether nothing was skipped that is, or may be, mail.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.skipped.iter().all(|skipped| !skipped.mail)
    }
}

/// What an import did with one mailbox.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ImportedMailbox {
    /// Its name.
    pub mailbox: MailboxName,
    /// Folders found, empty ones as well.
    pub folders: u64,
    /// Messages stored by this import.
    pub messages: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Messages that were there already.
    pub present: u64,
}

/// Something that was not imported.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Skipped {
    /// The file or folder, or the place in a file.
    pub place: String,
    /// Why.
    pub reason: String,
    /// Whether it is, or may be, mail; other files that lie about are not.
    pub mail: bool,
}
