//! Deleting, renaming, copying, and having back what was deleted.

use super::Store;
use super::write::WRONG_REPLY;
use crate::catalog::View;
use crate::engine::{Reply, Request};
use crate::error::StoreError;
use crate::model::{
    Copied, FolderId, FolderInfo, FolderName, MailboxId, MailboxInfo, MailboxName, Modseq,
    NewFolder, RecoverableFolder, RecoverableMailbox, RecoverableMessage, Uid,
};

/// Messages that come back with a folder in one durable group.
const UNDELETED_AT_ONCE: usize = 1_000;

/// What is deleted is gone for readers at once, its name is free, and no UID of it is given again.
/// For [`OpenOptions::retention_seconds`](crate::OpenOptions) it can be had back. Errors that all
/// changes share are those of the other changes.
impl Store {
    /// Deletes a mailbox with its folders.
    ///
    /// # Errors
    ///
    /// Those that all changes share; [`StoreError::NotActive`] if its home is elsewhere: what is
    /// here then is deleted by [`delete_copy`](Store::delete_copy) alone.
    pub fn delete_mailbox(&self, mailbox: MailboxId) -> Result<(), StoreError> {
        let folders = self.folder_count(mailbox)?;
        self.commit(Request::DeleteMailbox { mailbox, only_copy: false, folders }).map(|_| ())
    }

    /// Deletes the copy of a mailbox that was moved away or is being received. A copy that was
    /// moved away can be had back, one being received cannot.
    ///
    /// # Errors
    ///
    /// [`StoreError::NotACopy`] in any other state, and those that all changes share.
    pub fn delete_copy(&self, mailbox: MailboxId) -> Result<(), StoreError> {
        let folders = self.folder_count(mailbox)?;
        self.commit(Request::DeleteMailbox { mailbox, only_copy: true, folders }).map(|_| ())
    }

    /// Gives a mailbox another name.
    ///
    /// # Errors
    ///
    /// [`StoreError::MailboxExists`], and those that all changes share.
    pub fn rename_mailbox(&self, mailbox: MailboxId, to: &MailboxName) -> Result<(), StoreError> {
        let (name, folders) = (to.clone(), self.folder_count(mailbox)?);
        self.commit(Request::RenameMailbox { mailbox, name, folders }).map(|_| ())
    }

    /// Deletes a folder with its messages. Folders below it stay (RFC 9051, 6.3.5).
    ///
    /// # Errors
    ///
    /// [`StoreError::FolderStays`] for `INBOX`, [`StoreError::NoSuchFolder`], and those that all
    /// changes share.
    pub fn delete_folder(&self, mailbox: MailboxId, folder: FolderId) -> Result<(), StoreError> {
        self.commit(Request::DeleteFolder { mailbox, folder }).map(|_| ())
    }

    /// Gives a folder another name; folders below it go with it. If it is `INBOX`, its messages go
    /// to the new name, a new and empty `INBOX` takes its place, and folders below it stay
    /// (RFC 9051, 6.3.6). A folder whose new name may have had the same validity of UIDs before
    /// gets a higher one.
    ///
    /// # Errors
    ///
    /// [`StoreError::FolderExists`], [`StoreError::FolderStays`], [`StoreError::NoSuchFolder`], and
    /// those that all changes share. No folder has another name then.
    pub fn rename_folder(
        &self,
        mailbox: MailboxId,
        folder: FolderId,
        to: &FolderName,
    ) -> Result<(), StoreError> {
        let (name, folders) = (to.clone(), self.folder_count(mailbox)?);
        self.commit(Request::RenameFolder { mailbox, folder, name, folders }).map(|_| ())
    }

    /// Copies messages to a folder of this mailbox or another, as one durable group. They share
    /// their contents; flags, keywords, dates and origins are as they are when the copy is made.
    ///
    /// # Errors
    ///
    /// [`StoreError::NoSuchMessage`], [`StoreError::NoSuchFolder`], [`StoreError::UidTaken`] if the
    /// folder has no UIDs left, and those that all changes share.
    pub fn copy(
        &self,
        from: (MailboxId, FolderId),
        uids: &[Uid],
        to: (MailboxId, FolderId),
    ) -> Result<Copied, StoreError> {
        self.transfer(from, uids, to, false)
    }

    /// Moves messages to a folder as one durable group: as [`copy`](Store::copy), and they are gone
    /// where they were. A message that somebody else moves or expunges at the same moment is in one
    /// place afterwards or in none.
    ///
    /// # Errors
    ///
    /// As [`copy`](Store::copy).
    pub fn move_messages(
        &self,
        from: (MailboxId, FolderId),
        uids: &[Uid],
        to: (MailboxId, FolderId),
    ) -> Result<Copied, StoreError> {
        self.transfer(from, uids, to, true)
    }

    fn transfer(
        &self,
        from: (MailboxId, FolderId),
        uids: &[Uid],
        to: (MailboxId, FolderId),
        moved: bool,
    ) -> Result<Copied, StoreError> {
        let view = self.writable(to.0, to.1)?;
        let missing = StoreError::NoSuchFolder { mailbox: to.0, folder: to.1 };
        let uidvalidity = view.folder(to.0, to.1)?.ok_or(missing)?.uidvalidity;
        let view = self.view_of(from.0)?;
        for uid in uids {
            if view.message(from.0, from.1, *uid)?.is_none() {
                let (mailbox, folder, uid) = (from.0, from.1, *uid);
                return Err(StoreError::NoSuchMessage { mailbox, folder, uid });
            }
        }
        if uids.is_empty() {
            return Ok(Copied { uidvalidity, uids: Vec::new() });
        }
        match self.commit(Request::Copy { from, uids: uids.to_vec(), to, moved })?.0 {
            Reply::Uids(new) => {
                Ok(Copied { uidvalidity, uids: uids.iter().copied().zip(new).collect() })
            }
            _ => unreachable!("{WRONG_REPLY}"),
        }
    }

    /// At most `limit` messages of a mailbox that can be had back and went after `after`, in the
    /// order in which they went. Those of deleted folders come back with their folders.
    ///
    /// # Errors
    ///
    /// Those that all reading shares.
    pub fn recoverable(
        &self,
        mailbox: MailboxId,
        after: Modseq,
        limit: usize,
    ) -> Result<Vec<RecoverableMessage>, StoreError> {
        let expired = self.expired_before()?;
        let mut found = self.view_of(mailbox)?.removed_messages(mailbox, after, limit)?;
        found.retain(|message| message.removed_seconds > expired);
        Ok(found)
    }

    /// The deleted folders of a mailbox that can be had back.
    ///
    /// # Errors
    ///
    /// Those that all reading shares.
    pub fn recoverable_folders(
        &self,
        mailbox: MailboxId,
    ) -> Result<Vec<RecoverableFolder>, StoreError> {
        let expired = self.expired_before()?;
        let mut found = self.view_of(mailbox)?.removed_folders(mailbox, false)?;
        found.retain(|folder| folder.removed_seconds > expired);
        Ok(found)
    }

    /// The deleted mailboxes that can be had back.
    ///
    /// # Errors
    ///
    /// Those that all reading shares.
    pub fn recoverable_mailboxes(&self) -> Result<Vec<RecoverableMailbox>, StoreError> {
        let expired = self.expired_before()?;
        let mut found = self.engine.shared()?.view()?.removed_mailboxes()?;
        found.retain(|mailbox| mailbox.removed_seconds > expired);
        Ok(found)
    }

    /// Gives messages back that went, into a folder of their mailbox, as one durable group. They
    /// get new UIDs, returned in order; everything else is as it was.
    ///
    /// # Errors
    ///
    /// [`StoreError::NotRecoverable`] if one of them cannot be had back: none is then. Those that
    /// all changes share.
    pub fn undelete(
        &self,
        mailbox: MailboxId,
        removed: &[Modseq],
        to: FolderId,
    ) -> Result<Vec<Uid>, StoreError> {
        let view = self.writable(mailbox, to)?;
        let expired = self.expired_before()?;
        for at in removed {
            let found = view.removed_messages(mailbox, Modseq(at.0.saturating_sub(1)), 1)?;
            let fresh = |one: &RecoverableMessage| one.removed_seconds > expired;
            if !found.first().is_some_and(|one| one.removed == *at && fresh(one)) {
                let what = format!("the message of mailbox number {mailbox} that went at {at}");
                return Err(StoreError::NotRecoverable { what });
            }
        }
        let mut removed = removed.to_vec();
        removed.dedup();
        match self.commit(Request::Undelete { mailbox, removed, to })?.0 {
            Reply::Uids(uids) => Ok(uids),
            _ => unreachable!("{WRONG_REPLY}"),
        }
    }

    /// Gives messages of a deleted folder back, with new UIDs, in the folder `to`, which is made
    /// with the old attributes if it is not there. Cut short, it goes on when it is called again.
    ///
    /// # Errors
    ///
    /// [`StoreError::NotRecoverable`], and those that all changes share.
    pub fn undelete_folder(
        &self,
        mailbox: MailboxId,
        folder: FolderId,
        to: &FolderName,
    ) -> Result<FolderInfo, StoreError> {
        let found = self.recoverable_folders(mailbox)?;
        let found = found.into_iter().find(|found| found.folder.id == folder);
        let what = || format!("folder number {folder} of mailbox number {mailbox}");
        let found = found.ok_or_else(|| StoreError::NotRecoverable { what: what() })?;
        let new = NewFolder { attributes: found.folder.attributes, ..NewFolder::default() };
        let made = self.create_folder(mailbox, to, new)?.id;
        loop {
            let view = self.view_of(mailbox)?;
            let uids = view.hidden_messages(mailbox, folder, UNDELETED_AT_ONCE)?;
            if uids.is_empty() {
                break;
            }
            self.commit(Request::Take { from: (mailbox, folder), uids, to: made })?;
        }
        self.purge_folder(mailbox, folder)?;
        let missing = StoreError::NoSuchFolder { mailbox, folder: made };
        self.view_of(mailbox)?.folder(mailbox, made)?.ok_or(missing)
    }

    /// Gives a deleted mailbox back as it was, under its old name or another one. If the name may
    /// have stood for other folders meanwhile, its folders get new validities of UIDs.
    ///
    /// # Errors
    ///
    /// [`StoreError::NotRecoverable`], [`StoreError::MailboxExists`], and those that all changes
    /// share.
    pub fn undelete_mailbox(
        &self,
        mailbox: MailboxId,
        name: Option<&MailboxName>,
    ) -> Result<MailboxInfo, StoreError> {
        let found = self.recoverable_mailboxes()?;
        let found = found.into_iter().find(|found| found.mailbox.id == mailbox);
        let lost = || StoreError::NotRecoverable { what: format!("mailbox number {mailbox}") };
        let name = name.cloned().unwrap_or(found.ok_or_else(lost)?.mailbox.name);
        let view = self.view_of(mailbox)?;
        let folders = view.removed_folders(mailbox, true)?.len() as u64;
        self.commit(Request::RestoreMailbox { mailbox, name, folders })?;
        self.view_of(mailbox)?.mailbox(mailbox)?.ok_or(StoreError::NoSuchMailbox { mailbox })
    }

    /// What went at this second or before cannot be had back any more.
    fn expired_before(&self) -> Result<i64, StoreError> {
        let shared = self.engine.shared()?;
        let now = shared.clock.wall_us().div_euclid(1_000_000);
        let kept = i64::try_from(shared.options.retention_seconds).unwrap_or(i64::MAX);
        Ok(now.saturating_sub(kept))
    }

    /// At most so many folders the mailbox has when the request comes to be planned.
    fn folder_count(&self, mailbox: MailboxId) -> Result<u64, StoreError> {
        let view = self.view_of(mailbox)?;
        view.mailbox(mailbox)?.ok_or(StoreError::NoSuchMailbox { mailbox })?;
        Ok(view.folders(mailbox)?.len() as u64 + 16)
    }

    pub(super) fn view_of(&self, mailbox: MailboxId) -> Result<View, StoreError> {
        self.engine.shared()?.view_of(mailbox)
    }
}
