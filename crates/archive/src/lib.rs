#![doc = include_str!("../README.md")]

// Lowest level first; a module names modules of lower levels only.
mod bytes;
mod ids;
mod kind;

mod target;

mod chunk;
mod entry;
mod error;
mod frame;
mod names;
mod outline;

mod cursors;
mod feature;
mod seal;
mod text;

mod manifest;
mod record;

mod catalog;
mod compress;
mod head;
mod info;
mod parity;
mod set_file;

mod chain;
mod heal;
mod index;

mod layout;
mod locate;
mod volume;

mod backup;
mod expire;
mod lease;
mod plan;
mod survey;

mod fate;

mod check;
mod salvage;
mod segment;
mod state;

mod verify;

mod read_back;

mod recording;

mod forward;
mod set;
mod writer;

mod archiver;

#[cfg(any(test, feature = "fuzzing"))]
#[doc(hidden)]
pub mod fuzzing;
#[cfg(test)]
mod testing;

pub use archiver::{ArchiverOptions, LogArchiver};
pub use backup::{Backup, Content, Contents, OutlineParts, Outlines, StreamInfo, StreamReader};
pub use check::{CheckLevel, CheckReport, LogReport, LostLog};
pub use cursors::{Cursors, MailboxCursor};
pub use entry::LogEntry;
pub use error::{ArchiveError, Damage};
pub use expire::{ExpirePlan, ExpiredBackup, plan_expire};
pub use fate::{Fate, LostMessages, MailboxFate};
pub use feature::{Feature, Features};
pub use forward::{PipeReader, check_pipe, unpack_pipe};
pub use ids::{BackupId, ContentId, IdParseError, SegmentId, SetId, StoreId};
pub use info::{BackupInfo, BackupState, LogInfo};
pub use kind::{BackupKind, RecordKind};
pub use lease::{Lease, LeaseKind};
pub use manifest::{
    BackupHeader, BaseReference, FORMAT_VERSION, LogRange, Manifest, Totals, VolumeEntry,
};
pub use outline::{
    ExpungeOutline, FolderOutline, MailboxOutline, MessageOutline, OutlineChanges, OutlinePart,
};
pub use plan::{BackupStep, Gap, LogStep, RestorePlan, Until, plan};
pub use salvage::{Salvage, salvage};
pub use seal::{Encryption, Identities};
pub use segment::{LogHeader, LogSegment, SegmentHead};
pub use set::{Base, Set};
pub use state::{State, StateContents};
pub use survey::Progress;
pub use target::{DiskTarget, PipeTarget, SourceFile, Target, TargetFile};
#[cfg(feature = "s3")]
pub use target::{S3Options, S3Target};
pub use writer::{BackupWriter, WriterOptions};
