//! Taking mail out of a store: Maildir++, mbox and `.eml`.

mod eml;
mod error;
mod job;
mod maildir;
mod mbox;
mod names;
mod report;
mod target;

pub use error::ExportError;
pub use report::{ExportProgress, ExportReport, ExportedMailbox, MissingMessage};

use crate::mbox::Quoting;
use crate::{Flow, MailboxName, Store};
use job::Job;
use std::path::Path;

/// How to export.
#[derive(Debug, Clone, Default)]
pub struct ExportOptions {
    /// Only these mailboxes; all if `None`.
    pub mailboxes: Option<Vec<MailboxName>>,
    /// What happens to lines that begin with `From ` in an mbox.
    pub quoting: Quoting,
}

/// Writes mailboxes as Maildir++, one folder in `to` for each, as they were when the call began.
///
/// `to` is created if need be, and must be empty. Message bytes, flags, keywords, internal dates
/// (as the time of the file's last change), UIDs and UIDVALIDITY (as `dovecot-uidlist`), folder
/// names and subscriptions are all given back. Everything is durable on return; until then a file
/// `.rehome-export-unfinished` stands in `to`. `observe` hears of progress every few messages.
///
/// # Errors
///
/// [`ExportError::NotEmpty`] before anything is written; [`ExportError::Interrupted`] if `observe`
/// says so. Messages whose bytes are damaged in the store are no error but listed in the report,
/// see [`ExportReport::is_complete`].
pub fn export_maildir(
    store: &Store,
    to: &Path,
    options: &ExportOptions,
    observe: &mut dyn FnMut(ExportProgress) -> Flow,
) -> Result<ExportReport, ExportError> {
    Job::run(store, to, options, observe, maildir::export_mailbox)
}

/// Writes mailboxes as mboxes: a folder in `to` for each, with a file `FOLDER.mbox` for each of its
/// folders.
///
/// An mbox has no place for flags, keywords, UIDs and subscriptions. Everything else is as in
/// [`export_maildir`]. [`ExportedMailbox::altered`] counts messages that could not be written byte
/// for byte as they are.
///
/// # Errors
///
/// As [`export_maildir`].
pub fn export_mbox(
    store: &Store,
    to: &Path,
    options: &ExportOptions,
    observe: &mut dyn FnMut(ExportProgress) -> Flow,
) -> Result<ExportReport, ExportError> {
    Job::run(store, to, options, observe, mbox::export_mailbox)
}

/// Writes mailboxes as `.eml` files: a folder in `to` for each, with the messages of INBOX in it
/// and a folder for each other folder.
///
/// Message bytes and internal dates are given back, nothing else. Everything else is as in
/// [`export_maildir`].
///
/// # Errors
///
/// As [`export_maildir`].
pub fn export_eml(
    store: &Store,
    to: &Path,
    options: &ExportOptions,
    observe: &mut dyn FnMut(ExportProgress) -> Flow,
) -> Result<ExportReport, ExportError> {
    Job::run(store, to, options, observe, eml::export_mailbox)
}

#[cfg(test)]
mod tests;
