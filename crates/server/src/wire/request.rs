//! Requests and answers, as they stand in the lines.

use std::collections::BTreeMap;

use rehome_log::Lsn;
use rehome_site::{
    FolderPath, MailboxName as SiteMailbox, PublicFolderEntry, Role, ServerName, UpToDateness,
};
use rehome_store::{
    FlagChange, Flags, FolderName, LogPolicy, MailboxName, MailboxState, Message, Modseq, Uid,
};
use serde::{Deserialize, Serialize};

/// What an attendant is asked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "op", rename_all = "snake_case")]
pub(crate) enum AttendantRequest {
    Who,
    Shutdown,
}

/// What a directory is asked without changing it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "op", rename_all = "snake_case")]
pub(crate) enum DirectoryRequest {
    Hello,
    Home { mailbox: SiteMailbox },
    Summary,
    Vector,
    Export,
    ChangesSince { seen: UpToDateness, partner: Option<ServerName> },
    Pending { partner: ServerName },
    Checkpoint,
    Shutdown,
}

/// What a store is asked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "op", rename_all = "snake_case")]
pub(crate) enum StoreRequest {
    Hello,
    Deliver(Recipient),
    Logon {
        mailbox: MailboxName,
    },
    Folders {
        mailbox: MailboxName,
    },
    CreateFolder {
        mailbox: MailboxName,
        folder: FolderName,
        #[serde(default)]
        attributes: BTreeMap<String, String>,
    },
    Subscribe {
        mailbox: MailboxName,
        subscriptions: Vec<String>,
    },
    Messages {
        mailbox: MailboxName,
        folder: FolderName,
        #[serde(default)]
        after: Uid,
        limit: usize,
    },
    Fetch {
        mailbox: MailboxName,
        folder: FolderName,
        uid: Uid,
    },
    Flags {
        mailbox: MailboxName,
        folder: FolderName,
        uid: Uid,
        change: FlagChange,
    },
    Expunge {
        mailbox: MailboxName,
        folder: FolderName,
        uids: Vec<Uid>,
    },
    Mailboxes,
    Statistics,
    Checkpoint,
    Verify {
        #[serde(default)]
        mailbox: Option<MailboxName>,
    },
    FenceAll {
        reason: String,
    },
    ResumeAll,
    Create {
        mailbox: MailboxName,
    },
    SetAttribute {
        mailbox: MailboxName,
        key: String,
        value: Option<String>,
    },
    Info {
        mailbox: MailboxName,
    },
    SetState {
        mailbox: MailboxName,
        state: MailboxState,
    },
    Digest {
        mailbox: MailboxName,
    },
    Rows {
        mailbox: MailboxName,
        after: Modseq,
    },
    Cursor {
        mailbox: MailboxName,
    },
    Missing,
    Offer {
        since: Vec<(MailboxName, Option<Modseq>)>,
        #[serde(default)]
        all: bool,
    },
    Send {
        lsn: Lsn,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        lanes: Option<u8>,
    },
    SendBase {
        lsn: Lsn,
    },
    KeepLog,
    UseCircularLog,
    LogState,
    RollLog,
    LogReaches {
        after: Lsn,
    },
    ReadLog(LogStretch),
    ArchivedUntil {
        lsn: Lsn,
        store_id: String,
        epoch: u64,
    },
    Receive,
    Shutdown,
}

/// A stretch of a store's log that is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogStretch {
    /// The record before its first one.
    pub after: Lsn,
    /// It ends behind this one at the latest.
    pub until: Lsn,
    /// Whether the bodies come along that its records put.
    pub bodies: bool,
    /// It ends behind the record with which so many bytes have come.
    pub bytes_max: u64,
}

/// How a store's log is given up, and what no archive has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogState {
    /// How it is given up.
    pub policy: LogPolicy,
    /// Bytes of it that no archive has; 0 if it is circular.
    pub unarchived_bytes: u64,
    /// Seconds since the oldest record was written that no archive has.
    pub unarchived_seconds: Option<u64>,
}

/// Where a message goes and what is known about it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Recipient {
    /// The mailbox.
    pub mailbox: MailboxName,
    /// The folder, made if need be; `INBOX` if not given.
    #[serde(default)]
    pub folder: Option<FolderName>,
    /// The internal date in seconds since 1970; the service's clock if not given.
    #[serde(default)]
    pub date_seconds: Option<i64>,
    /// System flags, as the store keeps them.
    #[serde(default)]
    pub flags: Flags,
    /// Keywords.
    #[serde(default)]
    pub keywords: Vec<String>,
    /// A name that no other delivery has. It becomes the message's origin, and a delivery that is
    /// tried again under it is stored once.
    #[serde(default)]
    pub token: Option<String>,
    /// Whether this delivery may have succeeded before; its token is looked for then.
    #[serde(default)]
    pub again: bool,
}

impl Recipient {
    /// A new message for the `INBOX` of a mailbox.
    #[must_use]
    pub fn new(mailbox: MailboxName) -> Self {
        Self {
            mailbox,
            folder: None,
            date_seconds: None,
            flags: Flags::default(),
            keywords: Vec::new(),
            token: None,
            again: false,
        }
    }
}

/// Where a message was stored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stored {
    /// The folder.
    pub folder: FolderName,
    /// Its number there.
    pub uid: Uid,
    /// Whether it had been stored before, by a delivery with the same token.
    #[serde(default)]
    pub before: bool,
}

/// What a store says to a user who logs on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Logon {
    /// The server.
    pub server: String,
    /// Whether it is the first logon at this server.
    pub first: bool,
}

/// Some rows of a folder.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MessagesPage {
    /// The rows, by UID.
    pub messages: Vec<Message>,
    /// Whether more may follow.
    pub more: bool,
}

/// What a store or a directory says of itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hello {
    /// `store` or `directory`.
    pub role: String,
    /// The server that it belongs to.
    pub server: String,
    /// The fencing epoch of this opening.
    pub epoch: u64,
    /// For a store its identity, in hexadecimal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub store_id: Option<String>,
    /// For a store the last acknowledged LSN.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lsn: Option<Lsn>,
    /// The reason, if a store refuses all writes for now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fenced: Option<String>,
    /// Version of the protocol.
    pub version: u32,
}

/// What a server says of itself: the answer of its attendant.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identity {
    /// The organization.
    pub organization: String,
    /// The site.
    pub site: String,
    /// The server.
    pub server: String,
    /// The epoch that the attendant was started with.
    pub epoch: u64,
    /// Where the directory listens, if it is known.
    pub directory: Option<String>,
    /// Where the store listens, if it is known.
    pub store: Option<String>,
}

/// Where a service listens: what it writes into the folder of endpoints.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Endpoint {
    /// The server that the service belongs to.
    pub server: String,
    /// Address and port.
    pub address: String,
    /// The fencing epoch of the service.
    pub epoch: u64,
}

/// Everything that a directory says about its site.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DirectorySummary {
    /// The organization.
    pub organization: String,
    /// The site.
    pub site: String,
    /// The server whose replica this is.
    pub server: ServerName,
    /// The servers of the site.
    pub servers: Vec<ServerName>,
    /// The mailboxes with their home servers.
    pub mailboxes: Vec<(SiteMailbox, ServerName)>,
    /// The public folders.
    pub public_folders: Vec<FolderReplicas>,
    /// The folders that the site needs.
    pub system_folders: Vec<FolderReplicas>,
    /// The roles with their holders.
    pub roles: Vec<(Role, Vec<ServerName>)>,
    /// What the replica has seen.
    pub vector: UpToDateness,
    /// Objects, tombstones not counted.
    pub objects: u64,
}

/// What a replica of the directory has seen.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Seen {
    pub(crate) server: ServerName,
    pub(crate) vector: UpToDateness,
}

/// What a partner of a replica has not seen yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pending {
    /// Objects whose present version the partner had not seen when it last asked.
    pub pending: usize,
    /// Whether it had seen everything.
    pub replicated: bool,
}

/// Where a public or system folder is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FolderReplicas {
    /// Its path.
    pub path: FolderPath,
    /// Its home server.
    pub home: ServerName,
    /// The servers that hold its contents.
    pub replicas: Vec<ServerName>,
}

impl From<PublicFolderEntry> for FolderReplicas {
    fn from(entry: PublicFolderEntry) -> Self {
        Self { path: entry.path, home: entry.home, replicas: entry.replicas }
    }
}
