//! What a store receives from another: body records and rows, applied as one durable group.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::content_run::ContentRun;

use super::{FolderName, MailboxName, Message, Modseq, Uid, UidValidity};

/// A piece of a transfer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ApplyBatch {
    /// Body records, byte for byte as in the sender's segments.
    pub runs: Vec<ContentRun>,
    /// What there is to know about the mailboxes.
    pub mailboxes: Vec<IncomingMailbox>,
}

/// Part of a mailbox being received.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct IncomingMailbox {
    /// Its name, here as there.
    pub name: MailboxName,
    /// Its attributes, all of them.
    pub attributes: BTreeMap<String, String>,
    /// Its subscriptions, all of them.
    pub subscriptions: Vec<String>,
    /// Folders, new and known; those not named stay as they are.
    pub folders: Vec<IncomingFolder>,
    /// Messages, new and known, each with its folder.
    pub messages: Vec<(FolderName, Message)>,
    /// Messages that are gone: folder, number, and when they went.
    pub expunges: Vec<(FolderName, Uid, Modseq)>,
    /// The sender's history up to here has been received once this batch is applied.
    pub cursor: Modseq,
}

/// A folder being received.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct IncomingFolder {
    /// Its name, here as there.
    pub name: FolderName,
    /// Validity of its UIDs.
    pub uidvalidity: UidValidity,
    /// The lowest UID that no message has had.
    pub uidnext: Uid,
    /// Its attributes, all of them.
    pub attributes: BTreeMap<String, String>,
    /// Last change of the folder itself.
    pub modseq: Modseq,
}
