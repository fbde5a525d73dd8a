#![doc = include_str!("../README.md")]

mod backup;
mod bytes;
mod catalog;
mod check;
mod compress;
mod error;
mod fate;
mod feature;
mod forward;
mod frame;
mod ids;
mod index;
mod layout;
mod manifest;
mod outline;
mod record;
mod salvage;
mod set;
mod set_file;
mod stream;
mod survey;
mod target;
mod text;
mod verify;
mod volume;
mod writer;
pub use backup::{Backup, Content, Contents, OutlineParts, Outlines};
pub use check::{CheckLevel, CheckReport, Progress};
pub use error::{ArchiveError, Damage};
pub use fate::{Fate, LostMessages, MailboxFate};
pub use feature::{Feature, Features};
pub use forward::{PipeReader, check_pipe, unpack_pipe};
pub use ids::{BackupId, ContentId, IdParseError, SetId, StoreId};
pub use manifest::{
    BackupHeader, BackupKind, BaseReference, FORMAT_VERSION, LogRange, Manifest, Totals,
    VolumeEntry,
};
pub use outline::{FolderOutline, MailboxOutline, MessageOutline, OutlinePart};
pub use record::RecordKind;
pub use salvage::{Salvage, salvage};
pub use set::{BackupInfo, BackupState, Set};
pub use stream::{StreamInfo, StreamReader};
pub use target::{DiskTarget, PipeTarget, SourceFile, Target, TargetFile};
#[cfg(feature = "s3")]
pub use target::{S3Options, S3Target};
pub use writer::{BackupWriter, WriterOptions};
