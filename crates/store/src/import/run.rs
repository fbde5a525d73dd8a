//! One import: collects messages into batches and stores them.

use super::ImportOptions;
use super::error::ImportError;
use super::report::{ImportProgress, ImportReport, ImportedMailbox};
use crate::maildir::tree::skip;
use crate::{
    Append, Flow, FolderId, FolderInfo, FolderName, MailboxId, MailboxInfo, MailboxName,
    MailboxState, NewFolder, Store, StoreError,
};
use std::fmt::Display;
use std::path::Path;

/// The observer is asked after so many messages that are in the store already.
const ASK_EVERY: u64 = 1000;

/// An import under way.
pub(super) struct Run<'a> {
    pub(super) store: &'a Store,
    pub(super) options: &'a ImportOptions,
    pub(super) report: ImportReport,
    observe: &'a mut dyn FnMut(ImportProgress) -> Flow,
    mailbox: Option<MailboxInfo>,
    batch: Vec<(MailboxId, FolderId, Append)>,
    batch_bytes: usize,
    /// What is durable.
    stored_messages: u64,
    stored_bytes: u64,
}

impl<'a> Run<'a> {
    pub(super) fn new(
        store: &'a Store,
        options: &'a ImportOptions,
        observe: &'a mut dyn FnMut(ImportProgress) -> Flow,
    ) -> Self {
        Self {
            store,
            options,
            report: ImportReport::default(),
            observe,
            mailbox: None,
            batch: Vec::new(),
            batch_bytes: 0,
            stored_messages: 0,
            stored_bytes: 0,
        }
    }

    /// Turns to a mailbox, which is created if the store does not have it.
    pub(super) fn begin(&mut self, name: &MailboxName) -> Result<(), ImportError> {
        let store = self.store;
        let info = stored(name, || match store.mailbox(name)? {
            Some(info) => Ok(Some(info)),
            None => {
                store.create_mailbox(name, MailboxState::Active)?;
                store.mailbox(name)
            }
        })?;
        let missing = || ImportError::Store { place: name.to_string(), source: StoreError::Closed };
        self.mailbox = Some(info.ok_or_else(missing)?);
        self.report.mailboxes.push(ImportedMailbox {
            mailbox: name.clone(),
            folders: 0,
            messages: 0,
            bytes: 0,
            present: 0,
        });
        Ok(())
    }

    /// The mailbox being imported, as it was when it was begun.
    pub(super) fn mailbox(&self) -> &MailboxInfo {
        self.mailbox.as_ref().expect("an import begins with its mailbox")
    }

    fn counts(&mut self) -> &mut ImportedMailbox {
        self.report.mailboxes.last_mut().expect("an import begins with its mailbox")
    }

    /// A folder of the mailbox, which is created if it is not there.
    pub(super) fn folder(
        &mut self,
        name: &FolderName,
        new: NewFolder,
    ) -> Result<FolderInfo, ImportError> {
        let mailbox = self.mailbox().id;
        let store = self.store;
        self.counts().folders += 1;
        stored(name, || match store.folder(mailbox, name)? {
            Some(info) => Ok(info),
            None => store.create_folder(mailbox, name, new),
        })
    }

    /// Takes a message for a folder of the mailbox.
    pub(super) fn add(&mut self, folder: FolderId, append: Append) -> Result<(), ImportError> {
        let mailbox = self.mailbox().id;
        let size = append.body.len();
        if size >= self.options.batch_bytes {
            self.flush()?; // A message that fills a batch goes alone.
        }
        let counts = self.counts();
        counts.messages += 1;
        counts.bytes += size as u64;
        self.batch_bytes += size;
        self.batch.push((mailbox, folder, append));
        let full = self.batch_bytes >= self.options.batch_bytes
            || self.batch.len() >= self.options.batch_messages;
        if full { self.flush() } else { Ok(()) }
    }

    /// Counts a message that is in the store already. Many of them are progress as well.
    pub(super) fn present(&mut self) -> Result<(), ImportError> {
        let counts = self.counts();
        counts.present += 1;
        if counts.present.is_multiple_of(ASK_EVERY) { self.ask() } else { Ok(()) }
    }

    /// Lists something that is not imported.
    pub(super) fn skip(&mut self, path: &Path, reason: impl Into<String>, mail: bool) {
        self.report.skipped.push(skip(path, reason, mail));
    }

    /// Whether a message of this size is too large; lists it then.
    pub(super) fn is_too_large(&mut self, path: &Path, place: &str, size_bytes: u64) -> bool {
        let max = self.options.message_bytes_max;
        if size_bytes > max {
            let reason = format!("{place}{size_bytes} bytes, and at most {max} are taken");
            self.skip(path, reason, true);
        }
        size_bytes > max
    }

    /// Stores what was collected, durably, and asks the observer whether to go on.
    pub(super) fn flush(&mut self) -> Result<(), ImportError> {
        if self.batch.is_empty() {
            return Ok(());
        }
        let batch = std::mem::take(&mut self.batch);
        let (messages, bytes) = (batch.len() as u64, self.batch_bytes as u64);
        self.batch_bytes = 0;
        let alone = (messages == 1).then(|| batch[0].2.origin.clone()).flatten();
        match (self.store.append_batch(batch), alone) {
            (Ok(_), _) => {
                self.stored_messages += messages;
                self.stored_bytes += bytes;
            }
            (Err(error @ StoreError::TooLarge { .. }), Some(origin)) => {
                let counts = self.counts();
                counts.messages -= 1;
                counts.bytes -= bytes;
                self.skip(Path::new(&origin), error.to_string(), true);
            }
            (Err(source), _) => {
                let place = format!("mailbox {}", self.mailbox().name);
                return Err(ImportError::Store { place, source });
            }
        }
        self.ask()
    }

    /// Asks the observer whether to go on.
    fn ask(&mut self) -> Result<(), ImportError> {
        let progress = ImportProgress {
            mailbox: self.mailbox().name.clone(),
            messages: self.stored_messages,
            bytes: self.stored_bytes,
            present: self.report.present(),
        };
        match (self.observe)(progress) {
            Flow::Continue => Ok(()),
            Flow::Stop => Err(ImportError::Interrupted {
                messages: self.stored_messages,
                bytes: self.stored_bytes,
            }),
        }
    }

    /// Stores the rest.
    pub(super) fn finish(mut self) -> Result<ImportReport, ImportError> {
        self.flush()?;
        Ok(self.report)
    }
}

/// Does something with the store; an error says what it was for.
pub(super) fn stored<T>(
    place: impl Display,
    act: impl FnOnce() -> Result<T, StoreError>,
) -> Result<T, ImportError> {
    act().map_err(|source| ImportError::Store { place: place.to_string(), source })
}
