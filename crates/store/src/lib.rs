//! What follows is the crate's README; below are the modules and the whole public list.
#![doc = include_str!("../README.md")]

mod archived_log;
mod background;
mod base;
mod bodies;
mod buffered;
mod catalog;
mod check;
mod compact;
mod content_run;
mod dovecot;
mod eml;
mod engine;
mod error;
mod export;
mod flow;
#[cfg(any(test, feature = "fuzzing"))]
#[doc(hidden)]
pub mod fuzzing;
mod identity;
mod import;
mod keeping;
mod lock;
mod maildir;
mod mbox;
mod measure;
mod model;
mod mover;
mod mutf7;
mod op;
mod open;
mod options;
mod pack;
mod packers;
mod place;
mod pst;
mod record;
mod restore;
mod segment;
mod settings;
mod snapshot;
mod store;
mod subscribe;
mod throttle;
mod transfer;
mod tree;
mod tune;

pub use archived_log::{LogReader, LogRecord};
pub use bodies::{Body, bodies};
pub use check::{
    CheckProgress, CheckReport, DamagedContent, DamagedMessage, ScrubOptions, ScrubReport,
};
pub use compact::{CompactBudget, CompactReport};
pub use content_run::{ContentRun, StoredContent};
pub use error::StoreError;
pub use export::{
    ExportError, ExportOptions, ExportProgress, ExportReport, ExportedMailbox, MissingMessage,
    export_eml, export_maildir, export_mbox,
};
pub use flow::Flow;
pub use import::{
    ImportError, ImportOptions, ImportProgress, ImportReport, ImportedMailbox, ScanReport,
    ScannedMailbox, Skipped, SourceKind, detect_source, import_site, import_source, scan_site,
    scan_source,
};
pub use keeping::{LogHold, LogPolicy, LogStatus};
pub use maildir::folder_name::maildir_folder_name;
pub use mbox::Quoting;
pub use measure::{DiskFigures, Latency, MeasureBounds, MeasureProgress, measure_disk};
pub use model::{
    Append, ApplyBatch, Change, ContentId, Copied, Extent, FlagChange, Flags, FolderId, FolderInfo,
    FolderName, FolderStep, IncomingFolder, IncomingMailbox, MailboxId, MailboxInfo, MailboxName,
    MailboxState, Message, Modseq, NameError, NewFolder, PurgeReport, RecoverableFolder,
    RecoverableMailbox, RecoverableMessage, Statistics, Uid, UidValidity,
};
pub use mover::{
    Comparison, HomeDirectory, LiveBounds, LocalSource, LocalTarget, LockTimes, MailboxEnd,
    MailboxMoved, MoveError, MoveEvent, MoveJob, MoveReport, MoveSource, MoveTarget, Offer, Pause,
    PauseWhen, TransferError, bulk_move, compare_mailbox,
};
pub use open::{GivenUp, RebuildReport, RestoreStage, SalvageReport, restore_stage};
pub use options::{Lease, OpenOptions, Profile, ProgressFn, RecoveryProgress, RestoreMarker};
pub use place::{PlaceProgress, StorePart, place_part, placed_disk};
pub use restore::{PointRestore, Replayed, RestorePoint, RestoreWriter, RestoredTo};
pub use settings::{CopyMethod, Measured, SettingsError, StoreSettings};
pub use snapshot::Snapshot;
pub use store::Store;
pub use subscribe::{ChangeEvent, ChangeKind, Subscription};
pub use transfer::{
    Begin, DigestBuilder, End, FRAME_SIZE_MAX, FolderDigest, Frame, FrameReader, FrameWriter,
    LeftBehind, MailboxDigest, StreamError, TRANSFER_VERSION, digest_line,
};
pub use tune::{Machine, Reason, Tuning, is_better_place, tune};
