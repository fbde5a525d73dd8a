//! What can go wrong with a backup set, and where.

use std::fmt;
use std::io;

use serde::{Deserialize, Serialize};

use rehome_log::Lsn;

use crate::ids::{BackupId, ContentId, SetId, StoreId};
use crate::kind::RecordKind;

/// A place in a set whose bytes are not what was written there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Damage {
    /// File, as the target names it.
    pub file: String,
    /// First byte of the place.
    pub offset: u64,
    /// Bytes up to where reading can go on; 0 if the place is a missing file or a missing fact.
    pub length: u64,
    /// Sequence number of the record there, if it is known.
    pub record: Option<u32>,
    /// Kind of the record there, if it is known.
    pub kind: Option<RecordKind>,
    /// What is wrong.
    pub what: String,
}

impl fmt::Display for Damage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}, byte {}", self.file, self.offset)?;
        if let Some(record) = self.record {
            write!(f, ", record {record}")?;
        }
        if let Some(kind) = self.kind {
            write!(f, " ({kind})")?;
        }
        write!(f, ": {}", self.what)
    }
}

/// Why an operation on a backup set did not do what it was asked for.
#[derive(Debug, thiserror::Error)]
pub enum ArchiveError {
    /// The target failed.
    #[error("{file}: cannot {action}: {source}; see that the target can be reached and has room")]
    Target {
        /// File, as the target names it.
        file: String,
        /// What was tried.
        action: &'static str,
        /// What the target said.
        source: io::Error,
    },
    /// There is no set at the target.
    #[error("no backup set here: there is no file SET; name the folder that holds it, or salvage")]
    NoSet,
    /// Bytes of the set are not what was written.
    #[error(
        "{0}; what it held cannot be read from here; check names what is lost, \
         salvage reads the rest"
    )]
    Damaged(Damage),
    /// What comes out of the pipe is no backup.
    #[error(
        "the pipe does not carry a backup: it begins with other bytes; feed it with what \
         `backup --to -` writes"
    )]
    NoPipe,
    /// A pipe ended before the backup in it did.
    #[error(
        "the pipe ends at byte {offset}, in {place}: its writer stopped early or the bytes were \
         cut off; nothing of it counts as a backup; send it again"
    )]
    PipeCut {
        /// Bytes that came.
        offset: u64,
        /// What they end in.
        place: String,
    },
    /// The target holds another set than the one that the backup in the pipe is of.
    #[error(
        "the backup in the pipe belongs to set {pipe}, the target holds set {target}; nothing was \
         written; use another folder"
    )]
    OtherSet {
        /// The set that the pipe's backup was made for.
        pipe: SetId,
        /// The set at the target.
        target: SetId,
    },
    /// Something was written by a later version in a way this one does not know.
    #[error(
        "{file}: format version {version}, this program reads up to {known}; use a newer program"
    )]
    FutureVersion {
        /// File, as the target names it.
        file: String,
        /// Version in the file.
        version: u16,
        /// Highest version known here.
        known: u16,
    },
    /// A feature bit that must be understood is not known here.
    #[error(
        "{file}: uses {class} feature {bit} ({name}), not known here; \
         nothing was {consequence}; use version {since} or later"
    )]
    UnknownFeature {
        /// File, as the target names it.
        file: String,
        /// `incompat` or `ro_compat`.
        class: &'static str,
        /// Number of the bit.
        bit: u8,
        /// Its name, as the writer gave it.
        name: String,
        /// The first program version that knows it.
        since: String,
        /// `read` or `written`.
        consequence: &'static str,
    },
    /// A later task of the format that this version does not carry out.
    #[error("{what} is not supported by this version; nothing was done")]
    Unsupported {
        /// What was asked for.
        what: String,
    },
    /// The set belongs to another store.
    #[error(
        "the set belongs to store {set}, not to {store}; nothing was written; use another folder"
    )]
    OtherStore {
        /// The set's store.
        set: StoreId,
        /// The store to back up.
        store: StoreId,
    },
    /// Another writer is at work on the file.
    #[error("{file}: another backup is writing it; wait for it to end, then start again")]
    Busy {
        /// File, as the target names it.
        file: String,
    },
    /// There is no backup with this id.
    #[error("no backup {id} in this set; list names those there are")]
    NoBackup {
        /// What was asked for.
        id: BackupId,
    },
    /// The backup was never finished.
    #[error(
        "backup {id} is incomplete: it has no MANIFEST, so its writer stopped early; \
         it is not restored or checked; make a new backup, or salvage this one"
    )]
    Incomplete {
        /// The backup.
        id: BackupId,
    },
    /// A backup builds upon something that is not there as it was.
    #[error(
        "backup {backup} cannot be used: at {at}, {what}; use an older backup, \
         or put the missing one back"
    )]
    BrokenChain {
        /// The backup asked for.
        backup: BackupId,
        /// Where its chain does not hold.
        at: BackupId,
        /// What is wrong there.
        what: String,
    },
    /// A differential or incremental backup has nothing to build upon.
    #[error(
        "there is no backup that a {kind} one could build upon{why}; nothing was written; \
         make a full one first"
    )]
    NoBase {
        /// The kind asked for.
        kind: &'static str,
        /// Why a backup that is there will not do.
        why: String,
    },
    /// No backup shows the moment asked for or an earlier one.
    #[error(
        "no usable backup is as old as the moment asked for{}{}; nothing was touched; \
         ask for a later moment",
        describe_oldest(.oldest),
        if reasons.is_empty() { String::new() } else { format!(" ({reasons})") }
    )]
    NothingToRestore {
        /// The oldest usable backup and the state that it shows.
        oldest: Option<(BackupId, Lsn)>,
        /// Why older ones are not usable.
        reasons: String,
    },
    /// Log records that were to be kept do not follow those that were kept before.
    #[error(
        "the log is archived up to {archived}, and {offered} was offered as the next one's \
         predecessor; nothing of it was kept; make a full backup, or archive what lies between"
    )]
    LogGap {
        /// The last log record that is archived.
        archived: Lsn,
        /// What the record that was offered follows.
        offered: Lsn,
    },
    /// Somebody holds a lease that keeps this from being done.
    #[error(
        "{file} says that the set is in use: restores and retention do not go together; nothing \
         was touched; wait for it to end, or for the time in its name, or remove a stale one"
    )]
    Leased {
        /// The lease, as the target names it.
        file: String,
    },
    /// Something is encrypted, and none of the keys given opens it.
    #[error(
        "{file}: it is encrypted, and no key that was given opens it; nothing of it was read; \
         give the identity file of one of its recipients"
    )]
    Locked {
        /// File or folder, as the target names it.
        file: String,
    },
    /// The set is encrypted, and what would be written is not.
    #[error(
        "the set is encrypted, and what would be written into it is not; nothing was written; \
         give the recipients, or another set"
    )]
    MustEncrypt,
    /// A key or recipient is none.
    #[error("{what}; nothing was done; give age keys, as age-keygen makes them")]
    BadKey {
        /// What is wrong with it.
        what: String,
    },
    /// The backup has no such content.
    #[error("backup holds no content {id}")]
    NoContent {
        /// What was asked for.
        id: ContentId,
    },
    /// The backup has no such stream.
    #[error("backup holds no stream {name:?}")]
    NoStream {
        /// What was asked for.
        name: String,
    },
    /// Some parts of a mailbox's outline are lost, so the mailbox cannot be given out whole.
    #[error(
        "mailbox {mailbox} ({name:?}): {missing} of its outline records cannot be read, so \
         messages of it are unknown; the readable ones are given out by outline_parts"
    )]
    OutlineIncomplete {
        /// Number of the mailbox in the backup.
        mailbox: u32,
        /// Its name.
        name: String,
        /// Records known to be missing.
        missing: u32,
    },
    /// The writer was given bytes whose hash is not their name.
    #[error(
        "content {id} was handed over with other bytes (they hash to {found}); \
         the backup is abandoned; scrub the store"
    )]
    WrongContent {
        /// The name.
        id: ContentId,
        /// The hash of the bytes.
        found: ContentId,
    },
    /// The writer was given a zstd frame that does not hold what it should.
    #[error(
        "content {id} was handed over compressed and does not decompress to its size; the backup \
         is abandoned; scrub the store"
    )]
    BadFrame {
        /// The content's name.
        id: ContentId,
    },
    /// Contents that outlines name were never handed over.
    #[error(
        "{count} contents that the outlines name were not handed over; the backup is abandoned, \
         because it could not be restored whole"
    )]
    ContentsMissing {
        /// How many.
        count: u64,
    },
    /// A call does not fit the calls before it.
    #[error("{what}; nothing was written")]
    Misuse {
        /// What does not fit.
        what: String,
    },
    /// Something is larger than the format can hold.
    #[error(
        "{what} takes {bytes} bytes, at most {limit} fit into a record; it is not in the backup"
    )]
    TooLarge {
        /// What it is.
        what: String,
        /// Its size.
        bytes: u64,
        /// The limit.
        limit: u64,
    },
    /// The writer failed before.
    #[error("this backup was abandoned after an earlier error; start a new one")]
    Abandoned,
    /// What was written did not read back.
    #[error(
        "the backup does not read back as written: {first}; it has no MANIFEST; \
         check the medium, then start a new one"
    )]
    NotVerified {
        /// The first damage found.
        first: Damage,
    },
}

fn describe_oldest(oldest: &Option<(BackupId, Lsn)>) -> String {
    match oldest {
        None => String::new(),
        Some((id, lsn)) => format!("; the oldest is {id}, which shows {lsn}"),
    }
}

impl ArchiveError {
    /// Damage to a whole file, or to a fact about it.
    pub(crate) fn file_damaged(file: &str, what: impl Into<String>) -> ArchiveError {
        ArchiveError::Damaged(Damage::of_file(file, what))
    }

    /// For `map_err` on what a target returned.
    pub(crate) fn target(
        file: &str,
        action: &'static str,
    ) -> impl FnOnce(io::Error) -> ArchiveError {
        move |source| match source.kind() {
            io::ErrorKind::WouldBlock => ArchiveError::Busy { file: file.to_owned() },
            _ => ArchiveError::Target { file: file.to_owned(), action, source },
        }
    }
}

impl Damage {
    /// Damage to a whole file, or to a fact about it.
    pub(crate) fn of_file(file: &str, what: impl Into<String>) -> Damage {
        let file = file.to_owned();
        Damage { file, offset: 0, length: 0, record: None, kind: None, what: what.into() }
    }
}
