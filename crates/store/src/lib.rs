//! A mailbox store with transaction logs, single-instance content and bulk moves.

mod check;
mod error;
mod flow;
mod model;
mod mover;
mod options;
mod restore;
mod snapshot;
mod store;
mod transfer;

pub use check::{CheckProgress, CheckReport, DamagedMessage};
pub use error::StoreError;
pub use flow::Flow;
pub use model::{
    Append, ApplyBatch, Change, ContentId, Extent, FlagChange, Flags, FolderId, FolderInfo,
    FolderName, IncomingFolder, IncomingMailbox, MailboxId, MailboxInfo, MailboxName, MailboxState,
    Message, Modseq, NameError, NewFolder, Statistics, Uid, UidValidity,
};
pub use options::{Lease, OpenOptions, ProgressFn, RecoveryProgress, RestoreMarker};
pub use restore::RestoreWriter;
pub use snapshot::Snapshot;
pub use store::Store;
pub use mover::{
    Comparison, HomeDirectory, LocalSource, LocalTarget, LockTimes, MailboxEnd, MailboxMoved,
    MoveError, MoveEvent, MoveJob, MoveReport, MoveSource, MoveTarget, Offer, TransferError,
    bulk_move, compare_mailbox,
};
pub use transfer::{
    Begin, DigestBuilder, End, FRAME_SIZE_MAX, FolderDigest, Frame, FrameReader, FrameWriter,
    LeftBehind, MailboxDigest, StreamError, TRANSFER_VERSION,
};
