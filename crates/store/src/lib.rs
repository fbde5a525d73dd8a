//! A mailbox store with transaction logs, single-instance content and bulk moves.

mod check;
mod error;
mod model;
mod options;
mod restore;
mod snapshot;
mod store;

pub use check::{CheckProgress, CheckReport, DamagedMessage};
pub use error::StoreError;
pub use model::{
    Append, ApplyBatch, Change, ContentId, Extent, FlagChange, Flags, FolderId, FolderInfo,
    FolderName, IncomingFolder, IncomingMailbox, MailboxId, MailboxInfo, MailboxName, MailboxState,
    Message, Modseq, NameError, NewFolder, Statistics, Uid, UidValidity,
};
pub use options::{Lease, OpenOptions, ProgressFn, RecoveryProgress, RestoreMarker};
pub use restore::RestoreWriter;
pub use snapshot::Snapshot;
pub use store::Store;
