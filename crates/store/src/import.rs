//! Bringing mail into a store: Maildir++, mbox, `.eml` and Outlook files.
#![doc = include_str!("../../../docs/format/import.md")]

pub(crate) mod detect;
mod eml;
mod error;
pub(crate) mod files;
mod known;
mod maildir;
mod mbox;
mod pst;
mod report;
mod run;
mod scan;
mod site;

pub use detect::{SourceKind, detect_source};
pub use error::ImportError;
pub use report::{ImportProgress, ImportReport, ImportedMailbox, Skipped};
pub use scan::{ScanReport, ScannedMailbox, scan_site, scan_source};

pub(crate) use maildir::{GUID, KEYWORDS, SUBSCRIPTIONS_FORM, SUBSCRIPTIONS_TEXT};

use crate::mbox::Quoting;
use crate::{Flow, FolderName, MailboxName, Store};
use run::Run;
use std::path::Path;

/// How to import.
#[derive(Debug, Clone)]
pub struct ImportOptions {
    /// Only these mailboxes of a site; all if `None`. Has no effect on a single source.
    pub mailboxes: Option<Vec<MailboxName>>,
    /// Messages are stored in batches; each ends when it holds at least so many bytes.
    pub batch_bytes: usize,
    /// A batch ends as well when it holds so many messages.
    pub batch_messages: usize,
    /// Larger messages are skipped and listed.
    pub message_bytes_max: u64,
    /// Whether the `>` before quoted `From ` lines of an mbox comes off. It does not by default:
    /// the bytes are stored as they are.
    pub mbox_quoting: Quoting,
}

impl Default for ImportOptions {
    fn default() -> Self {
        Self {
            mailboxes: None,
            batch_bytes: 4 << 20,
            batch_messages: 1000,
            message_bytes_max: 256 << 20,
            mbox_quoting: Quoting::AsStored,
        }
    }
}

/// Imports every mailbox of a site: a folder with one Maildir++ for each, named by its mailbox.
///
/// Mailboxes that the store does not have are created as active ones. What is there already stays
/// as it is; importing the same again adds nothing. The source is only read. After each durable
/// batch `observe` hears how far the import is.
///
/// # Errors
///
/// [`ImportError::Interrupted`] if `observe` says so. Whatever the error, all batches reported are
/// durable, and the same call goes on from there. Messages that cannot be read are no error: they
/// are listed in the report, see [`ImportReport::is_complete`].
pub fn import_site(
    root: &Path,
    store: &Store,
    options: &ImportOptions,
    observe: &mut dyn FnMut(ImportProgress) -> Flow,
) -> Result<ImportReport, ImportError> {
    let (mailboxes, skipped) = site::mailboxes(root, options.mailboxes.as_deref())?;
    let mut run = Run::new(store, options, observe);
    run.report.skipped = skipped;
    for (name, path) in mailboxes {
        run.begin(&name)?;
        maildir::import(&mut run, &path, None)?;
    }
    run.finish()
}

/// Imports one source into one mailbox: a Maildir++, an mbox, a folder of `.eml`, one
/// `.eml`, or an Outlook file (PST).
///
/// `folder` is where it goes: an mbox or a message into it, a tree below it; INBOX if `None`.
/// Everything else is as in [`import_site`].
///
/// # Errors
///
/// As [`import_site`].
pub fn import_source(
    path: &Path,
    mailbox: &MailboxName,
    folder: Option<&FolderName>,
    store: &Store,
    options: &ImportOptions,
    observe: &mut dyn FnMut(ImportProgress) -> Flow,
) -> Result<ImportReport, ImportError> {
    let kind = detect_source(path)?;
    let folder = folder.filter(|folder| !folder.is_inbox());
    let mut run = Run::new(store, options, observe);
    run.begin(mailbox)?;
    match kind {
        SourceKind::Maildir => maildir::import(&mut run, path, folder)?,
        SourceKind::Mbox => {
            mbox::import(&mut run, path, folder.unwrap_or(&FolderName::inbox()))?;
        }
        SourceKind::Outlook => {
            pst::import(&mut run, path, folder)?;
            let note = pst::note(&run.report.classes);
            run.report.warnings.extend(note);
        }
        SourceKind::MessageFolder => eml::import_tree(&mut run, path, folder)?,
        SourceKind::Message => {
            eml::import_file(&mut run, path, folder.unwrap_or(&FolderName::inbox()))?;
        }
    }
    run.finish()
}

#[cfg(test)]
mod corpus_tests;
#[cfg(test)]
mod hostile_tests;
#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;
