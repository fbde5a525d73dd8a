//! Why an export stopped.

use crate::StoreError;
use std::io;
use std::path::{Path, PathBuf};

/// Why an export stopped. What it has written is unfinished, and marked so.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ExportError {
    /// The target has something in it already.
    #[error("{}: there is something here already, so nothing was written; give an empty folder or \
             one that does not exist", path.display())]
    NotEmpty {
        /// The target.
        path: PathBuf,
    },
    /// A mailbox that was asked for is not in the store.
    #[error(
        "there is no mailbox {mailbox} in the store, so nothing was written; leave it out or \
             check its name"
    )]
    NoSuchMailbox {
        /// The mailbox asked for.
        mailbox: String,
    },
    /// A file or folder could not be written.
    #[error("{}: {doing} failed: {source}; the export is not finished; see to the disk, remove \
             what was written and export again", path.display())]
    Unwritable {
        /// The file or folder.
        path: PathBuf,
        /// What was being done.
        doing: &'static str,
        /// What the system says.
        source: io::Error,
    },
    /// The observer said [`Flow::Stop`](crate::Flow::Stop).
    #[error(
        "the export was stopped after {messages} messages ({bytes} bytes) and is not \
             finished; remove what was written and export again"
    )]
    Interrupted {
        /// Messages written.
        messages: u64,
        /// Their bytes.
        bytes: u64,
    },
    /// The store failed.
    #[error("the store could not be read: {source}; the export is not finished")]
    Store {
        /// Why.
        #[from]
        source: StoreError,
    },
}

/// Turns an I/O error into [`ExportError::Unwritable`].
pub(super) fn unwritable(
    path: &Path,
    doing: &'static str,
) -> impl FnOnce(io::Error) -> ExportError {
    move |source| ExportError::Unwritable { path: path.to_owned(), doing, source }
}
