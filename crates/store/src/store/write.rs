//! Changes.

use rehome_log::Lsn;

use super::Store;
use crate::catalog::View;
use crate::engine::{NewRow, Received, Reply, Request};
use crate::error::StoreError;
use crate::model::{
    Append, ApplyBatch, FlagChange, FolderId, FolderInfo, FolderName, MailboxId, MailboxName,
    MailboxState, Modseq, NewFolder, Uid,
};
use crate::record::Encoded;

/// A request got the answer to another one.
pub(super) const WRONG_REPLY: &str = "the committer answers each request in kind";

/// Each of these calls returns once the change is durable. Errors that all of them share:
/// [`StoreError::Closed`], [`StoreError::Poisoned`] after a failure that left the outcome unknown,
/// [`StoreError::Fenced`], [`StoreError::LeaseExpired`], [`StoreError::DiskFull`] (nothing of it is
/// stored), [`StoreError::TooLarge`]; and, for changes of a mailbox,
/// [`StoreError::NoSuchMailbox`] and [`StoreError::NotActive`].
impl Store {
    /// Creates a mailbox without folders.
    ///
    /// # Errors
    ///
    /// [`StoreError::MailboxExists`], and those that all changes share.
    pub fn create_mailbox(
        &self,
        name: &MailboxName,
        state: MailboxState,
    ) -> Result<MailboxId, StoreError> {
        match self.commit(Request::CreateMailbox { name: name.clone(), state })?.0 {
            Reply::Mailbox(id) => Ok(id),
            _ => unreachable!("{WRONG_REPLY}"),
        }
    }

    /// Sets the state of a mailbox, whatever it was.
    ///
    /// # Errors
    ///
    /// Those that all changes share, but for [`StoreError::NotActive`].
    pub fn set_state(&self, mailbox: MailboxId, state: MailboxState) -> Result<(), StoreError> {
        self.commit(Request::SetState { mailbox, state }).map(|_| ())
    }

    /// Sets the subscriptions of a mailbox.
    ///
    /// # Errors
    ///
    /// Those that all changes share.
    pub fn set_subscriptions(
        &self,
        mailbox: MailboxId,
        subscriptions: Vec<String>,
    ) -> Result<(), StoreError> {
        self.commit(Request::SetSubscriptions { mailbox, subscriptions }).map(|_| ())
    }

    /// Sets an attribute of a mailbox, or removes it.
    ///
    /// # Errors
    ///
    /// Those that all changes share.
    pub fn set_attribute(
        &self,
        mailbox: MailboxId,
        key: &str,
        value: Option<&str>,
    ) -> Result<(), StoreError> {
        let (key, value) = (key.to_owned(), value.map(str::to_owned));
        self.commit(Request::SetAttribute { mailbox, key, value }).map(|_| ())
    }

    /// Creates a folder. One that exists is returned as it is, whatever `new` says and whatever
    /// the mailbox's state.
    ///
    /// # Errors
    ///
    /// Those that all changes share.
    pub fn create_folder(
        &self,
        mailbox: MailboxId,
        name: &FolderName,
        new: NewFolder,
    ) -> Result<FolderInfo, StoreError> {
        if let Some(there) = self.folder(mailbox, name)? {
            return Ok(there);
        }
        match self.commit(Request::CreateFolder { mailbox, name: name.clone(), new })?.0 {
            Reply::Folder(folder) => {
                let view = self.engine.shared()?.view_of(mailbox)?;
                view.folder(mailbox, folder)?.ok_or(StoreError::NoSuchFolder { mailbox, folder })
            }
            _ => unreachable!("{WRONG_REPLY}"),
        }
    }

    /// Appends messages as one durable group: all of them or none. Returns their UIDs, in order.
    ///
    /// # Errors
    ///
    /// [`StoreError::NoSuchFolder`], [`StoreError::UidTaken`], and those that all changes share.
    pub fn append_batch(
        &self,
        mut batch: Vec<(MailboxId, FolderId, Append)>,
    ) -> Result<Vec<Uid>, StoreError> {
        let take = |append: &mut Append| std::mem::take(&mut append.body);
        let bodies = batch.iter_mut().map(|(.., append)| take(append)).collect();
        let bodies = self.records(bodies)?;
        let rows = batch.into_iter().enumerate();
        let rows = rows.map(|(body, (mailbox, folder, append))| row(mailbox, folder, body, append));
        self.append(bodies, rows.collect())
    }

    /// Delivers one message to several folders as one durable group: to all of them or to none. Its
    /// content is stored once. Returns its UIDs, in order.
    ///
    /// # Errors
    ///
    /// As [`Store::append_batch`].
    pub fn deliver(
        &self,
        to: &[(MailboxId, FolderId)],
        mut append: Append,
    ) -> Result<Vec<Uid>, StoreError> {
        let bodies = self.records(vec![std::mem::take(&mut append.body)])?;
        let rows =
            to.iter().map(|(mailbox, folder)| row(*mailbox, *folder, 0, append.clone())).collect();
        self.append(bodies, rows)
    }

    fn append(&self, bodies: Vec<Encoded>, rows: Vec<NewRow>) -> Result<Vec<Uid>, StoreError> {
        if rows.is_empty() {
            return Ok(Vec::new());
        }
        match self.commit(Request::Append { bodies, rows })?.0 {
            Reply::Uids(uids) => Ok(uids),
            _ => unreachable!("{WRONG_REPLY}"),
        }
    }

    /// Changes the flags of a message; returns the modseq of the change.
    ///
    /// # Errors
    ///
    /// [`StoreError::NoSuchFolder`], [`StoreError::NoSuchMessage`], and those that all changes
    /// share.
    pub fn store_flags(
        &self,
        mailbox: MailboxId,
        folder: FolderId,
        uid: Uid,
        change: FlagChange,
    ) -> Result<Modseq, StoreError> {
        let view = self.writable(mailbox, folder)?;
        if view.message(mailbox, folder, uid)?.is_none() {
            return Err(StoreError::NoSuchMessage { mailbox, folder, uid });
        }
        match self.commit(Request::ChangeFlags { mailbox, folder, uid, change })?.0 {
            Reply::Modseq(modseq) => Ok(modseq),
            _ => unreachable!("{WRONG_REPLY}"),
        }
    }

    /// Removes messages, as one durable group; they can be had back for the time of retention.
    /// Returns those of `uids` that were there; the others are passed over.
    ///
    /// # Errors
    ///
    /// [`StoreError::NoSuchFolder`], and those that all changes share.
    pub fn expunge(
        &self,
        mailbox: MailboxId,
        folder: FolderId,
        uids: &[Uid],
    ) -> Result<Vec<Uid>, StoreError> {
        let view = self.writable(mailbox, folder)?;
        let mut there = Vec::with_capacity(uids.len());
        for uid in uids {
            if view.message(mailbox, folder, *uid)?.is_some() {
                there.push(*uid);
            }
        }
        there.sort_unstable();
        there.dedup();
        if !there.is_empty() {
            self.commit(Request::Expunge { mailbox, folder, uids: there.clone() })?;
        }
        Ok(there)
    }

    /// Applies a piece of a transfer as one durable group: all of it or nothing. The mailboxes must
    /// be in state incoming; those that are not there are made so. Applying a piece again changes
    /// nothing: of two versions of a row the one with the higher modseq stays, and what was
    /// expunged does not come back. Returns a group that holds it.
    ///
    /// # Errors
    ///
    /// [`StoreError::NotIncoming`], [`StoreError::UnknownFolder`], [`StoreError::NoSuchContent`] if
    /// a row's content is neither here nor among the records; and those that all changes share.
    pub fn apply(&self, batch: ApplyBatch) -> Result<Lsn, StoreError> {
        let ApplyBatch { runs, mailboxes } = batch;
        Ok(self.commit(Request::Receive(Received { runs, mailboxes, ..Received::default() }))?.1)
    }

    fn records(&self, bodies: Vec<Vec<u8>>) -> Result<Vec<Encoded>, StoreError> {
        let shared = self.engine.shared()?;
        shared.packers.records(bodies, shared.options.pack_over_bytes)
    }

    pub(super) fn commit(&self, request: Request) -> Result<(Reply, Lsn), StoreError> {
        self.engine.shared()?.commit(request)
    }

    /// The catalog, if the folder is there and its mailbox takes writes.
    pub(super) fn writable(
        &self,
        mailbox: MailboxId,
        folder: FolderId,
    ) -> Result<View, StoreError> {
        let view = self.engine.shared()?.view_of(mailbox)?;
        let info = view.mailbox(mailbox)?.ok_or(StoreError::NoSuchMailbox { mailbox })?;
        if info.state != MailboxState::Active {
            return Err(StoreError::NotActive { mailbox: info.name, state: info.state });
        }
        if view.folder(mailbox, folder)?.is_none() {
            return Err(StoreError::NoSuchFolder { mailbox, folder });
        }
        Ok(view)
    }
}

fn row(mailbox: MailboxId, folder: FolderId, body: usize, append: Append) -> NewRow {
    let Append { internal_date_seconds, flags, mut keywords, uid, origin, .. } = append;
    keywords.sort_unstable();
    keywords.dedup();
    NewRow { mailbox, folder, body, internal_date_seconds, flags, keywords, uid, origin }
}
