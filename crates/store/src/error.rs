//! Why the store refused or failed: one variant for each thing a caller does about it.

use std::io;

use rehome_log::{LogError, Lsn, OwnershipError};

use crate::model::{ContentId, FolderId, FolderName, MailboxId, MailboxName, MailboxState, Uid};

/// What to do about a damaged catalog.
const CATALOG_REMEDY: &str = "segments and log are as they were: build the catalog \
                                         anew with `rehome store recover`, or restore the store \
                                         from a backup";

/// What to do about a log that cannot be read.
const LOG_REMEDY: &str = "nothing was changed; put the log's files back from a copy, or see with \
                          `rehome store recover --give-up-log --dry-run` what can be kept without \
                          them, or restore the store from a backup";

/// What went wrong in a [`Store`](crate::Store).
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// The mailbox takes no writes here: go where it says.
    #[error("mailbox {mailbox} takes no writes here: it is {state}; {}", remedy(.state))]
    NotActive {
        /// The mailbox.
        mailbox: MailboxName,
        /// Its state.
        state: MailboxState,
    },
    /// The mailbox exists and is not being received.
    #[error("mailbox {mailbox} takes no transfer: it is {state}, not incoming; move another way")]
    NotIncoming {
        /// The mailbox.
        mailbox: MailboxName,
        /// Its state.
        state: MailboxState,
    },
    /// The mailbox is no copy of one whose home is elsewhere.
    #[error(
        "mailbox {mailbox} is {state}: what is here is no mere copy; delete the mailbox itself"
    )]
    NotACopy {
        /// The mailbox.
        mailbox: MailboxName,
        /// Its state.
        state: MailboxState,
    },
    /// There is no such mailbox.
    #[error("there is no mailbox number {mailbox} in this store")]
    NoSuchMailbox {
        /// Its number.
        mailbox: MailboxId,
    },
    /// There is a mailbox of that name already.
    #[error("there is a mailbox {mailbox} already; use it or choose another name")]
    MailboxExists {
        /// The name.
        mailbox: MailboxName,
    },
    /// There is no such folder.
    #[error("there is no folder number {folder} in mailbox {mailbox}")]
    NoSuchFolder {
        /// Number of the mailbox.
        mailbox: MailboxId,
        /// Number of the folder.
        folder: FolderId,
    },
    /// There is a folder of that name already.
    #[error("there is a folder {folder} in mailbox number {mailbox} already; choose another name")]
    FolderExists {
        /// Number of the mailbox.
        mailbox: MailboxId,
        /// The name.
        folder: FolderName,
    },
    /// The folder cannot be deleted, or not be renamed so.
    #[error("folder {folder} of mailbox number {mailbox} stays as it is: {cause}")]
    FolderStays {
        /// Number of the mailbox.
        mailbox: MailboxId,
        /// Its name.
        folder: FolderName,
        /// Why, and what to do.
        cause: &'static str,
    },
    /// What was to come back is not there any more.
    #[error("{what} cannot be had back: it was not removed, or is gone for good; use a backup")]
    NotRecoverable {
        /// A message, folder or mailbox.
        what: String,
    },
    /// The log does not reach back so far: changes are missing.
    #[error(
        "changes after {since} cannot be told: the log begins at {first}; read the store as it \
         is and follow it from its last group"
    )]
    NamesGap {
        /// The last group known to the one who asks.
        since: Lsn,
        /// Where the log begins.
        first: Lsn,
    },
    /// There is no folder of that name, and a batch needs it.
    #[error(
        "a batch names folder {folder} of mailbox {mailbox}, which neither it nor the store \
             has; nothing of it is applied; send the folder first"
    )]
    UnknownFolder {
        /// Name of the mailbox.
        mailbox: MailboxName,
        /// Name of the folder.
        folder: FolderName,
    },
    /// There is no such message.
    #[error("there is no message {uid} in folder number {folder} of mailbox number {mailbox}")]
    NoSuchMessage {
        /// Number of the mailbox.
        mailbox: MailboxId,
        /// Number of the folder.
        folder: FolderId,
        /// Number of the message.
        uid: Uid,
    },
    /// There is no such content.
    #[error("there is no content {content} in this store; send its body record with its rows")]
    NoSuchContent {
        /// Its name.
        content: ContentId,
    },
    /// The UID asked for was given out before, or the folder has no UIDs left.
    #[error(
        "UID {asked} cannot be given in folder number {folder} of mailbox number {mailbox}: \
             the next free one is {uidnext}; ask for none or a higher one"
    )]
    UidTaken {
        /// Number of the mailbox.
        mailbox: MailboxId,
        /// Number of the folder.
        folder: FolderId,
        /// The UID asked for.
        asked: Uid,
        /// The lowest free one.
        uidnext: Uid,
    },
    /// The request does not fit into one durable group.
    #[error("a request of {size_bytes} bytes does not fit: at most {max_bytes}; split it")]
    TooLarge {
        /// Bytes it takes.
        size_bytes: u64,
        /// Bytes there may be.
        max_bytes: u64,
    },
    /// Bytes that should be whole are not. Nothing else is harmed.
    #[error("{place} is damaged: {cause}; {remedy}")]
    Damaged {
        /// File and position, or message.
        place: String,
        /// What is wrong there.
        cause: String,
        /// What to do.
        remedy: &'static str,
    },
    /// A run of body records that came in from outside is not whole.
    #[error(
        "the records handed in are damaged at byte {offset}: {cause}; read and send them again"
    )]
    BadRecords {
        /// Byte in the run.
        offset: u64,
        /// What is wrong there.
        cause: &'static str,
    },
    /// An earlier failure makes it unknown what is on the disk. Open the store again.
    #[error(
        "the store stopped after {cause}; what was under way may or may not be stored; \
             close it, see to the disk, and open it again"
    )]
    Poisoned {
        /// The earlier failure.
        cause: String,
    },
    /// Another process has the store open.
    #[error("the store is open elsewhere: {owner}; close it there first")]
    Locked {
        /// What is known about the other.
        owner: String,
    },
    /// It was opened under a later token than the one given: [`OwnershipError::Outdated`].
    #[error(transparent)]
    Outdated(OwnershipError),
    /// A later owner has opened the store: this one must stop.
    #[error(
        "the store has a new owner: its epoch is {newer} and ours is {mine}; stop and do not \
             retry here"
    )]
    Fenced {
        /// Epoch of this opening.
        mine: u64,
        /// Epoch on the disk.
        newer: u64,
    },
    /// The lease ran out before the commit could be acknowledged; its outcome is unknown.
    #[error(
        "the lease ended {late_ms} ms ago; the commit may or may not be stored; renew the \
             lease and read back"
    )]
    LeaseExpired {
        /// Milliseconds since the deadline.
        late_ms: u64,
    },
    /// The store is being restored and the right marker was not given.
    #[error("the store in this folder is being restored: {cause}")]
    RestoreInProgress {
        /// How far, and what is missing.
        cause: String,
    },
    /// The folder holds no store.
    #[error("there is no store here: {place} is missing; create one or restore one")]
    NoStore {
        /// The missing file.
        place: String,
    },
    /// The folder holds a store, or something else that would be overwritten.
    #[error("there is something here already: {place}; open it, or use an empty folder")]
    StoreExists {
        /// The file found.
        place: String,
    },
    /// The store was written by a later version of the program.
    #[error(
        "the store has format version {found}, and this program knows versions up to \
             {known}; use a program that knows it"
    )]
    UnsupportedVersion {
        /// Version in `store.id`.
        found: u32,
        /// Highest version known.
        known: u32,
    },
    /// The disk is full. Nothing of the request is stored; the store goes on.
    #[error("the disk is full: {place}; nothing of the request is stored; make room and retry")]
    DiskFull {
        /// What was being written.
        place: String,
    },
    /// The log has grown as far as it may while no archive has it. Nothing of the request is
    /// stored; after a backup of the log the store goes on.
    #[error(
        "the log keeps {kept_bytes} bytes that no archive has, and {max_bytes} are allowed: \
             nothing of the request is stored; back the log up, or switch it to circular"
    )]
    LogNotArchived {
        /// Bytes of log above what was archived.
        kept_bytes: u64,
        /// Bytes there may be.
        max_bytes: u64,
    },
    /// Nothing of this log is to be given up.
    #[error(
        "the log is whole: nothing of it has to be given up; open the store, or build a damaged \
             catalog anew with `rehome store recover`"
    )]
    LogIsWhole,
    /// Nobody archives this log.
    #[error("the log is circular: nothing of it is kept for an archive; switch it to archived")]
    LogIsCircular,
    /// A position in the log is above what was acknowledged.
    #[error("{lsn} is above {acknowledged}, the last that was acknowledged; name what was read")]
    NotAcknowledged {
        /// The position.
        lsn: Lsn,
        /// The last that was acknowledged.
        acknowledged: Lsn,
    },
    /// Records of an archived log do not follow each other.
    #[error(
        "record {found} follows {before} in its log, and {last} is what was replayed last; \
             replay the records between them first, from the same log"
    )]
    ReplayGap {
        /// The last record replayed, or the base's.
        last: Lsn,
        /// The record.
        found: Lsn,
        /// The one before it.
        before: Lsn,
    },
    /// A base does not fit the moment to be restored.
    #[error("the base is as of {base}, after {wanted}, which is to be restored; use an older one")]
    BaseTooNew {
        /// The last group in the base.
        base: Lsn,
        /// The last group asked for.
        wanted: Lsn,
    },
    /// The caller asked to stop. What was done stays done.
    #[error("stopped on request; the same call goes on or begins again")]
    Stopped,
    /// The store was closed.
    #[error("the store is closed; open it again")]
    Closed,
    /// Reading or opening failed; nothing is lost by it.
    #[error("{doing} failed: {source}; see to the disk and retry")]
    Io {
        /// What was being done.
        doing: String,
        /// What the disk says.
        source: io::Error,
    },
    /// The log refused or failed.
    #[error("the transaction log failed: {source}")]
    Log {
        /// Why.
        source: Box<LogError>,
    },
    /// The catalog's tree failed.
    #[error("the catalog failed at {doing}: {source}")]
    Catalog {
        /// What was being done.
        doing: &'static str,
        /// Why.
        source: Box<redb::Error>,
    },
}

/// What the caller of a write does about `state`.
fn remedy(state: &MailboxState) -> &'static str {
    match state {
        MailboxState::Active => "retry",
        MailboxState::Incoming => "its home is still the server it comes from",
        MailboxState::Fenced { .. } => "retry in a moment",
        MailboxState::Moved { .. } => "go to that server",
    }
}

/// Turns an I/O error into a [`StoreError::Io`] that says what was being done.
pub(crate) fn doing(what: impl Into<String>) -> impl FnOnce(io::Error) -> StoreError {
    move |source| StoreError::Io { doing: what.into(), source }
}

/// The same for what needs room at `place`: without it, [`StoreError::DiskFull`].
pub(crate) fn filling(
    what: &str,
    place: impl std::fmt::Display,
) -> impl FnOnce(io::Error) -> StoreError {
    let (doing, place) = (format!("{what} {place}"), place.to_string());
    move |source| match source.kind() {
        io::ErrorKind::StorageFull => StoreError::DiskFull { place },
        _ => StoreError::Io { doing, source },
    }
}

impl StoreError {
    /// Bytes of the catalog that are not whole.
    pub(crate) fn damaged_catalog(
        place: impl Into<String>,
        cause: impl Into<String>,
    ) -> StoreError {
        let (place, cause) = (place.into(), cause.into());
        StoreError::Damaged { place, cause, remedy: CATALOG_REMEDY }
    }

    /// A [`StoreError::Poisoned`] that names this error as its cause.
    pub(crate) fn latch(&self) -> StoreError {
        match self {
            StoreError::Poisoned { cause } => StoreError::Poisoned { cause: cause.clone() },
            StoreError::Fenced { mine, newer } => StoreError::Fenced { mine: *mine, newer: *newer },
            StoreError::Closed => StoreError::Closed,
            other => StoreError::Poisoned { cause: other.to_string() },
        }
    }
}

impl From<OwnershipError> for StoreError {
    fn from(error: OwnershipError) -> StoreError {
        match error {
            OwnershipError::Fenced { mine, newer, .. } => StoreError::Fenced { mine, newer },
            outdated @ OwnershipError::Outdated { .. } => StoreError::Outdated(outdated),
            OwnershipError::Held { owner, epoch } => {
                StoreError::Locked { owner: format!("{owner}, epoch {epoch}") }
            }
            other => StoreError::Io {
                doing: "taking ownership of the store".to_owned(),
                source: io::Error::other(other),
            },
        }
    }
}

impl StoreError {
    /// Why the log cannot be opened: one that does not reach as far as the catalog is damaged.
    pub(crate) fn of_opening(error: LogError) -> StoreError {
        match error {
            LogError::Gap { from, cause } => StoreError::Damaged {
                place: "the log".to_owned(),
                cause: format!("it cannot be read from {from}: {cause}"),
                remedy: LOG_REMEDY,
            },
            other => other.into(),
        }
    }
}

impl From<LogError> for StoreError {
    fn from(error: LogError) -> StoreError {
        match error {
            LogError::NoSpace { name, .. } => StoreError::DiskFull { place: name.to_string() },
            LogError::Damaged { generation, offset, name, cause } => StoreError::Damaged {
                place: format!("generation {generation:#x} of the log ({name}) at byte {offset}"),
                cause,
                remedy: LOG_REMEDY,
            },
            LogError::Absent { dir } => StoreError::Damaged {
                place: dir.to_string(),
                cause: "no file of the log is whole there, and the store has had one".to_owned(),
                remedy: LOG_REMEDY,
            },
            other => StoreError::Log { source: Box::new(other) },
        }
    }
}
