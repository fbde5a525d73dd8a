//! Reads the rows of a mailbox in order of modseq, in batches that can travel.

use std::collections::HashMap;

use super::error::TransferError;
use crate::model::incoming::expunges_of;
use crate::transfer::DigestBuilder;
use crate::{
    Change, FolderId, FolderName, FolderStep, IncomingFolder, IncomingMailbox, MailboxDigest,
    MailboxInfo, Modseq, Snapshot, Uid,
};

/// The most changes in a batch.
const BATCH_ROWS_MAX: usize = 4096;

/// The most folders in a batch that is to fit into one group of the target's log.
pub(super) const BATCH_FOLDERS_MAX: usize = 1000;

/// The folders of a mailbox as rows need them: by number and as they travel.
struct Folders {
    names: HashMap<FolderId, FolderName>,
    incoming: Vec<IncomingFolder>,
}

/// Reads batch after batch of one mailbox at one moment.
pub(super) struct RowReader<'a> {
    snapshot: &'a Snapshot,
    info: &'a MailboxInfo,
    folders: Folders,
    folders_max: usize,
    after: Modseq,
    /// The last modseq to be read.
    until: Modseq,
    /// What the batches so far have brought.
    sent: Modseq,
    /// What became of names of folders; the first batch brings it.
    steps: Vec<FolderStep>,
    done: bool,
}

impl<'a> RowReader<'a> {
    /// Begins after a modseq. Folders come first, at most `folders_max` in a batch.
    pub(super) fn new(
        snapshot: &'a Snapshot,
        info: &'a MailboxInfo,
        after: Modseq,
        folders_max: usize,
    ) -> Result<Self, TransferError> {
        let folders = Folders::read(snapshot, info)?;
        let steps = snapshot
            .folder_steps(info.id, after)
            .map_err(TransferError::store("read what became of a mailbox's folders"))?;
        let until = Modseq(u64::MAX);
        let (sent, done) = (after, false);
        Ok(Self { snapshot, info, folders, folders_max, after, until, sent, steps, done })
    }

    /// Ends at that modseq.
    pub(super) fn ending_at(self, until: Modseq) -> Self {
        Self { until, ..self }
    }

    /// Reads the next batch; `None` after the one that completes the mailbox. There is always one,
    /// and together they bring attributes, subscriptions and folders as they are.
    pub(super) fn next_batch(&mut self) -> Result<Option<IncomingMailbox>, TransferError> {
        if self.folders.incoming.len() > self.folders_max {
            return Ok(Some(self.batch(Vec::new())));
        }
        Ok(self.next_changes()?.map(|changes| self.batch(changes)))
    }

    /// Reads the next batch of changes up to `until`; `None` if there are no more of these.
    pub(super) fn next_until(
        &mut self,
        until: Modseq,
    ) -> Result<Option<IncomingMailbox>, TransferError> {
        let changes = self
            .snapshot
            .changes_until(self.info.id, self.after, until.min(self.until), BATCH_ROWS_MAX)
            .map_err(TransferError::store("read the changes of a mailbox"))?;
        let Some(last) = changes.last() else { return Ok(None) };
        self.after = last.modseq();
        if self.folders.incoming.len() <= self.folders_max {
            return Ok(Some(self.batch(changes)));
        }
        // Too many folders for one batch: they go ahead, and the changes are read again.
        self.after = self.sent;
        Ok(Some(self.batch(Vec::new())))
    }

    /// Reads the changes of the next batch.
    pub(super) fn next_changes(&mut self) -> Result<Option<Vec<Change>>, TransferError> {
        if self.done {
            return Ok(None);
        }
        let changes = self
            .snapshot
            .changes_until(self.info.id, self.after, self.until, BATCH_ROWS_MAX)
            .map_err(TransferError::store("read the changes of a mailbox"))?;
        self.done = changes.len() < BATCH_ROWS_MAX;
        let last = changes.last().map_or(self.after, Change::modseq);
        self.after =
            if self.done { last.max(self.info.highest_modseq.min(self.until)) } else { last };
        Ok(Some(changes))
    }

    /// Puts changes and the next folders into a batch.
    fn batch(&mut self, changes: Vec<Change>) -> IncomingMailbox {
        let folders = self.folders.incoming.len().min(self.folders_max);
        self.sent = self.after;
        let mut batch = IncomingMailbox {
            name: self.info.name.clone(),
            attributes: self.info.attributes.clone(),
            subscriptions: self.info.subscriptions.clone(),
            folders: self.folders.incoming.drain(..folders).collect(),
            messages: Vec::new(),
            expunges: self.steps.drain(..).flat_map(expunges_of).collect(),
            cursor: self.after,
        };
        for change in changes {
            match change {
                Change::Folder(_) => {}
                Change::Message { folder, message } => {
                    let name = self.folders.names.get(&folder).cloned();
                    batch.messages.extend(name.map(|name| (name, message)));
                }
                Change::Expunge { folder, uid, modseq } => {
                    let name = self.folders.names.get(&folder).cloned();
                    batch.expunges.extend(name.map(|name| (name, uid, modseq)));
                }
            }
        }
        batch
    }
}

impl Folders {
    fn read(snapshot: &Snapshot, info: &MailboxInfo) -> Result<Self, TransferError> {
        let list = snapshot
            .folders(info.id)
            .map_err(TransferError::store("read the folders of a mailbox"))?;
        let mut folders = Self { names: HashMap::new(), incoming: Vec::new() };
        for folder in list {
            folders.names.insert(folder.id, folder.name.clone());
            folders.incoming.push(IncomingFolder {
                name: folder.name,
                uidvalidity: folder.uidvalidity,
                uidnext: folder.uidnext,
                attributes: folder.attributes,
                modseq: folder.modseq,
            });
        }
        Ok(folders)
    }
}

/// Digests a mailbox at one moment.
pub(super) fn digest(
    snapshot: &Snapshot,
    info: &MailboxInfo,
) -> Result<MailboxDigest, TransferError> {
    let failed = TransferError::store("read the messages of a mailbox");
    let mut builder = DigestBuilder::new();
    for folder in snapshot.folders(info.id).map_err(&failed)? {
        builder.folder(folder.name, folder.uidvalidity);
        let mut after = Uid(0);
        loop {
            let page =
                snapshot.messages(info.id, folder.id, after, BATCH_ROWS_MAX).map_err(&failed)?;
            page.iter().for_each(|message| builder.message(message));
            match page.last() {
                Some(last) if page.len() == BATCH_ROWS_MAX => after = last.uid,
                _ => break,
            }
        }
    }
    Ok(builder.finish(&info.subscriptions))
}
