//! The words of the store: mailboxes, folders, messages and what is said about them.

mod content;
mod flags;
pub(crate) mod incoming;
mod name;
mod removed;

pub use content::ContentId;
pub use flags::{FlagChange, Flags};
pub use incoming::{ApplyBatch, IncomingFolder, IncomingMailbox};
pub use name::{FolderName, MailboxName, NameError};
pub use removed::{
    Copied, FolderStep, PurgeReport, RecoverableFolder, RecoverableMailbox, RecoverableMessage,
};

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

macro_rules! number {
    ($(#[$doc:meta])* $name:ident($inner:ty)) => {
        $(#[$doc])*
        #[derive(
            Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize,
            Deserialize,
        )]
        #[serde(transparent)]
        pub struct $name(pub $inner);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}", self.0)
            }
        }
    };
}

number! {
    /// Number of a mailbox within its store; never given to another mailbox.
    MailboxId(u32)
}
number! {
    /// Number of a folder within its mailbox; never given to another folder.
    FolderId(u32)
}
number! {
    /// Number of a message within its folder; never given to another message (RFC 9051, 2.3.1.1).
    Uid(u32)
}
number! {
    /// Says that the UIDs of a folder are those the client knows (RFC 9051, 2.3.1.1).
    UidValidity(u32)
}
number! {
    /// Place of a change in its mailbox's history; every change takes a higher one (RFC 7162).
    Modseq(u64)
}

/// What a mailbox's copy in this store may be used for. Only an active one takes writes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum MailboxState {
    /// The home of the mailbox.
    Active,
    /// A copy being received.
    Incoming,
    /// Being handed over: readable, and closed to writes until the directory has decided.
    Fenced {
        /// The server it is handed to.
        to: String,
    },
    /// Handed over: kept until its successor is released, and never written again.
    Moved {
        /// The server that is its home now.
        to: String,
    },
}

impl fmt::Display for MailboxState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            MailboxState::Active => f.write_str("active"),
            MailboxState::Incoming => f.write_str("incoming"),
            MailboxState::Fenced { to } => write!(f, "fenced (going to {to})"),
            MailboxState::Moved { to } => write!(f, "moved to {to}"),
        }
    }
}

/// A message as the catalog knows it; its bytes are found by [`Message::content`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Message {
    /// Number within the folder.
    pub uid: Uid,
    /// Its last change.
    pub modseq: Modseq,
    /// Name of its bytes.
    pub content: ContentId,
    /// Length of its bytes.
    pub size_bytes: u64,
    /// When it arrived, in seconds since 1970.
    pub internal_date_seconds: i64,
    /// System flags.
    pub flags: Flags,
    /// Other keywords, sorted, each once.
    pub keywords: Vec<String>,
    /// Where an import found it: the base name of a Maildir file, or `file.mbox@offset`.
    pub origin: Option<String>,
}

/// A mailbox and its counters.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MailboxInfo {
    /// Number within the store.
    pub id: MailboxId,
    /// Name within the store.
    pub name: MailboxName,
    /// What this copy may be used for.
    pub state: MailboxState,
    /// Names of folders its user has subscribed to, in the order given.
    pub subscriptions: Vec<String>,
    /// Free attributes: quota, access control and the like.
    pub attributes: BTreeMap<String, String>,
    /// The last change.
    pub highest_modseq: Modseq,
    /// Messages in all folders.
    pub messages: u64,
    /// Bytes of these messages, shared content counted each time.
    pub bytes: u64,
}

/// A folder and its counters.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FolderInfo {
    /// Number within the mailbox.
    pub id: FolderId,
    /// Name within the mailbox.
    pub name: FolderName,
    /// Validity of its UIDs.
    pub uidvalidity: UidValidity,
    /// The lowest UID that no message has had.
    pub uidnext: Uid,
    /// Messages in it.
    pub messages: u64,
    /// Bytes of these messages.
    pub bytes: u64,
    /// Free attributes: special use and the like.
    pub attributes: BTreeMap<String, String>,
    /// Last change of the folder itself, apart from its messages.
    pub modseq: Modseq,
}

/// A message to be stored.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Append {
    /// The raw message.
    pub body: Vec<u8>,
    /// When it arrived, in seconds since 1970.
    pub internal_date_seconds: i64,
    /// System flags.
    pub flags: Flags,
    /// Other keywords; the store sorts them and drops doubles.
    pub keywords: Vec<String>,
    /// The UID it should have: at least the folder's `uidnext`. `None` takes that.
    pub uid: Option<Uid>,
    /// Where an import found it.
    pub origin: Option<String>,
}

/// What a folder is made with. The default gives it a validity from the clock and UIDs from 1.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NewFolder {
    /// Validity of its UIDs, if an older store has given it one.
    pub uidvalidity: Option<UidValidity>,
    /// First UID to give out, if an older store has given out lower ones.
    pub uidnext: Option<Uid>,
    /// Free attributes.
    pub attributes: BTreeMap<String, String>,
}

/// One step of a mailbox's history that still matters.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Change {
    /// The folder was made or its attributes changed; this is how it is now.
    Folder(FolderInfo),
    /// The message arrived or its flags changed; this is how it is now.
    Message {
        /// Folder it is in.
        folder: FolderId,
        /// The message.
        message: Message,
    },
    /// The message is gone for good.
    Expunge {
        /// Folder it was in.
        folder: FolderId,
        /// Number it had.
        uid: Uid,
        /// When it went.
        modseq: Modseq,
    },
}

impl Change {
    /// Its place in the history.
    #[must_use]
    pub fn modseq(&self) -> Modseq {
        match self {
            Change::Folder(folder) => folder.modseq,
            Change::Message { message, .. } => message.modseq,
            Change::Expunge { modseq, .. } => *modseq,
        }
    }
}

/// Place of a body record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Extent {
    /// Number of the segment.
    pub segment: u32,
    /// Byte in the segment at which the record begins; a multiple of 8.
    pub offset: u64,
    /// Length of the record with its header and padding, in bytes.
    pub len: u32,
}

impl Statistics {
    /// How many times each byte of content is used by messages: 1.3 is 30 % more mail than room.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "a ratio for people")]
    pub fn single_instance_ratio(&self) -> f64 {
        let live = self.content_bytes.saturating_sub(self.dead_bytes);
        if live == 0 { 1.0 } else { self.message_bytes as f64 / live as f64 }
    }

    /// Bytes that compaction can give back at most.
    #[must_use]
    pub fn reclaimable_bytes(&self) -> u64 {
        self.segment_bytes.saturating_sub(self.live_bytes) + self.waiting_bytes
    }
}

/// What a store holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Statistics {
    /// Mailboxes, whatever their state.
    pub mailboxes: u64,
    /// Folders of these.
    pub folders: u64,
    /// Messages in these.
    pub messages: u64,
    /// Bytes of the messages, shared content counted each time.
    pub message_bytes: u64,
    /// Different contents.
    pub contents: u64,
    /// Bytes of the contents, each once.
    pub content_bytes: u64,
    /// Contents that no message refers to any more.
    pub dead_contents: u64,
    /// Bytes of these.
    pub dead_bytes: u64,
    /// Segments.
    pub segments: u64,
    /// Bytes of the segments.
    pub segment_bytes: u64,
    /// Bytes in these of records that messages need, those included that can be had back. The
    /// rest of `segment_bytes` is what compaction can give back at most.
    pub live_bytes: u64,
    /// Bytes of files that are of no use any more and wait for an older snapshot.
    pub waiting_bytes: u64,
    /// Bytes of the log on disk.
    pub log_bytes: u64,
}
