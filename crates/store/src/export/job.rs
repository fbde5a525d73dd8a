//! One export: what all formats share.

use super::ExportOptions;
use super::error::ExportError;
use super::report::{ExportProgress, ExportReport, ExportedMailbox, MissingMessage};
use super::target::{Target, create_folders};
use crate::{
    Flow, FolderInfo, MailboxInfo, MailboxName, Message, Snapshot, Store, StoreError, Uid,
};
use std::path::{Path, PathBuf};

/// How many rows are asked for at once.
const PAGE: usize = 1000;

/// The observer is asked after so many messages.
const OBSERVE_EVERY: u64 = 256;

/// An export under way.
pub(super) struct Job<'a> {
    store: &'a Store,
    snapshot: Snapshot,
    pub(super) options: &'a ExportOptions,
    pub(super) report: ExportReport,
    observe: &'a mut dyn FnMut(ExportProgress) -> Flow,
    messages: u64,
    bytes: u64,
}

/// Writes one mailbox into its folder.
type ExportMailbox = fn(&mut Job<'_>, &MailboxInfo, &Path) -> Result<(), ExportError>;

impl<'a> Job<'a> {
    /// Exports the mailboxes one after another.
    pub(super) fn run(
        store: &'a Store,
        to: &Path,
        options: &'a ExportOptions,
        observe: &'a mut dyn FnMut(ExportProgress) -> Flow,
        export_mailbox: ExportMailbox,
    ) -> Result<ExportReport, ExportError> {
        let snapshot = store.snapshot()?;
        let mailboxes = select(snapshot.mailboxes()?, options.mailboxes.as_deref())?;
        let target = Target::create(to)?;
        let report = ExportReport::default();
        let mut job = Job { store, snapshot, options, report, observe, messages: 0, bytes: 0 };
        for mailbox in mailboxes {
            let path = to.join(mailbox.name.as_str());
            job.begin(&mailbox, &path);
            create_folders(&path)?;
            export_mailbox(&mut job, &mailbox, &path)?;
            job.ask(&mailbox.name)?;
        }
        target.finish()?;
        Ok(job.report)
    }

    fn begin(&mut self, mailbox: &MailboxInfo, path: &Path) {
        self.report.mailboxes.push(ExportedMailbox {
            mailbox: mailbox.name.clone(),
            path: path.display().to_string(),
            folders: 0,
            messages: 0,
            bytes: 0,
            altered: 0,
        });
    }

    /// The counts of the mailbox being written.
    pub(super) fn counts(&mut self) -> &mut ExportedMailbox {
        self.report.mailboxes.last_mut().expect("a mailbox is begun before it is written")
    }

    /// Puts a warning into the report.
    pub(super) fn warn(&mut self, place: &Path, text: &str) {
        self.report.warnings.push(format!("{}: {text}", place.display()));
    }

    /// The folders of a mailbox.
    pub(super) fn folders(
        &mut self,
        mailbox: &MailboxInfo,
    ) -> Result<Vec<FolderInfo>, ExportError> {
        let folders = self.snapshot.folders(mailbox.id)?;
        self.counts().folders += folders.len() as u64;
        Ok(folders)
    }

    /// Shows every row of a folder by UID, without its bytes.
    pub(super) fn each_row(
        &mut self,
        mailbox: &MailboxInfo,
        folder: &FolderInfo,
        mut visit: impl FnMut(&mut Self, Message) -> Result<(), ExportError>,
    ) -> Result<(), ExportError> {
        let mut after = Uid(0);
        loop {
            let page = self.snapshot.messages(mailbox.id, folder.id, after, PAGE)?;
            let Some(last) = page.last() else { return Ok(()) };
            after = last.uid;
            for message in page {
                visit(self, message)?;
            }
        }
    }

    /// Shows every message of a folder by UID with its bytes. Damaged ones are listed and left out.
    pub(super) fn each_message(
        &mut self,
        mailbox: &MailboxInfo,
        folder: &FolderInfo,
        mut visit: impl FnMut(&mut Self, &Message, &[u8]) -> Result<(), ExportError>,
    ) -> Result<(), ExportError> {
        self.each_row(mailbox, folder, |job, message| {
            let body = match job.store.body(&message.content) {
                Ok(body) => body,
                Err(error @ (StoreError::Damaged { .. } | StoreError::NoSuchContent { .. })) => {
                    job.report.missing.push(MissingMessage {
                        mailbox: mailbox.name.clone(),
                        folder: folder.name.clone(),
                        uid: message.uid,
                        reason: error.to_string(),
                    });
                    return Ok(());
                }
                Err(error) => return Err(error.into()),
            };
            visit(job, &message, &body)?;
            job.count(&mailbox.name, body.len() as u64)
        })
    }

    /// Counts a message that was written.
    fn count(&mut self, mailbox: &MailboxName, bytes: u64) -> Result<(), ExportError> {
        let counts = self.counts();
        counts.messages += 1;
        counts.bytes += bytes;
        self.messages += 1;
        self.bytes += bytes;
        if self.messages.is_multiple_of(OBSERVE_EVERY) { self.ask(mailbox) } else { Ok(()) }
    }

    /// Asks the observer whether to go on.
    fn ask(&mut self, mailbox: &MailboxName) -> Result<(), ExportError> {
        let (mailbox, messages, bytes) = (mailbox.clone(), self.messages, self.bytes);
        match (self.observe)(ExportProgress { mailbox, messages, bytes }) {
            Flow::Continue => Ok(()),
            Flow::Stop => Err(ExportError::Interrupted { messages, bytes }),
        }
    }
}

/// The mailboxes wanted, sorted by name.
fn select(
    mut mailboxes: Vec<MailboxInfo>,
    wanted: Option<&[MailboxName]>,
) -> Result<Vec<MailboxInfo>, ExportError> {
    for name in wanted.unwrap_or_default() {
        if !mailboxes.iter().any(|mailbox| mailbox.name == *name) {
            return Err(ExportError::NoSuchMailbox { mailbox: name.to_string() });
        }
    }
    mailboxes.retain(|mailbox| wanted.is_none_or(|wanted| wanted.contains(&mailbox.name)));
    mailboxes.sort_by(|one, other| one.name.cmp(&other.name));
    Ok(mailboxes)
}

/// The path of a folder in a tree: a component of its name a level.
pub(super) fn tree_path(root: &Path, components: &[&str]) -> PathBuf {
    components.iter().fold(root.to_owned(), |path, part| path.join(super::names::component(part)))
}
