//! Why an import stopped.

use crate::StoreError;
use std::io;
use std::path::PathBuf;

/// Why an import or a scan stopped. What was reported as stored by then is durable.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ImportError {
    /// There is nothing at the path.
    #[error("{}: there is nothing here, so nothing was imported; give the path of a Maildir, an \
             mbox, a folder of .eml files or one .eml file", path.display())]
    Missing {
        /// The path given.
        path: PathBuf,
    },
    /// What is at the path is no mail that can be read.
    #[error("{}: this is {found}, so nothing was imported; {remedy}", path.display())]
    NotMail {
        /// The path given.
        path: PathBuf,
        /// What it is instead.
        found: &'static str,
        /// What to do.
        remedy: &'static str,
    },
    /// A mailbox that was asked for is not in the site.
    #[error("{}: there is no Maildir named {mailbox} here, so nothing was imported; leave it out \
             or give the folder that has it", path.display())]
    NoSuchMailbox {
        /// The site.
        path: PathBuf,
        /// The mailbox asked for.
        mailbox: String,
    },
    /// A file or folder could not be read.
    #[error("{}: {doing} failed: {source}; what was stored before stays, and the rest is not \
             imported; make it readable and run the same again", path.display())]
    Unreadable {
        /// The file or folder.
        path: PathBuf,
        /// What was being done.
        doing: &'static str,
        /// What the system says.
        source: io::Error,
    },
    /// An Outlook file contradicts itself.
    #[error("{}: this Outlook file cannot be read on: {cause}; what was stored before stays, and \
             the rest is not imported; repair a copy of it with scanpst and import that",
             path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        cause: String,
    },
    /// The observer said [`Flow::Stop`](crate::Flow::Stop).
    #[error(
        "the import was stopped after {messages} messages ({bytes} bytes), which are stored; \
             run the same again to go on"
    )]
    Interrupted {
        /// Messages stored by this call.
        messages: u64,
        /// Their bytes.
        bytes: u64,
    },
    /// The store refused or failed.
    #[error("{place}: the store did not take it: {source}")]
    Store {
        /// What was being stored.
        place: String,
        /// Why.
        source: StoreError,
    },
}

/// Turns an I/O error into [`ImportError::Unreadable`].
pub(super) fn unreadable(
    path: &std::path::Path,
    doing: &'static str,
) -> impl FnOnce(io::Error) -> ImportError {
    move |source| match source.kind() {
        io::ErrorKind::NotFound => ImportError::Missing { path: path.to_owned() },
        _ => ImportError::Unreadable { path: path.to_owned(), doing, source },
    }
}
