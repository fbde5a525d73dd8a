//! What is deleted, comes back, is copied, or is given up for good.

use super::{Draft, Mailbox, Planner, UNWRITTEN};
use crate::engine::request::Reply;
use crate::error::StoreError;
use crate::model::{
    FolderId, MailboxId, MailboxName, MailboxState, Modseq, RecoverableFolder, Uid, UidValidity,
};
use crate::op::{Op, Place, Purge};

/// When a copy went that nobody shall have back: long ago.
const LONG_AGO_SECONDS: i64 = 0;

impl Planner {
    /// Deletes a mailbox, or the copy of one whose home is elsewhere.
    pub(super) fn delete_mailbox(
        &mut self,
        id: MailboxId,
        only_copy: bool,
        folders: u64,
        now_seconds: i64,
        draft: &mut Draft,
    ) -> Result<Reply, StoreError> {
        let mailbox = if only_copy { self.mailbox(id)? } else { self.active(id)? };
        let (name, state) = (mailbox.name.clone(), mailbox.state.clone());
        let removed_seconds = match (only_copy, &state) {
            (false, _) | (true, MailboxState::Moved { .. }) => now_seconds,
            (true, MailboxState::Incoming) => LONG_AGO_SECONDS,
            (true, _) => return Err(StoreError::NotACopy { mailbox: name, state }),
        };
        mailbox.check_folders(id, folders)?;
        let mut numbers: Vec<FolderId> = mailbox.folders.keys().copied().collect();
        numbers.sort_unstable();
        let highest = mailbox.highest_validity();
        (mailbox.removed, mailbox.last) = (true, UNWRITTEN);
        let floor = self.validity_floor()?;
        *floor = highest.max(*floor);
        self.name(name, id, false);
        draft.touched.insert(id);
        draft.ops.push(Op::DeleteMailbox { mailbox: id, folders: numbers, removed_seconds });
        Ok(Reply::Done)
    }

    pub(super) fn rename_mailbox(
        &mut self,
        id: MailboxId,
        name: MailboxName,
        folders: u64,
        now: UidValidity,
        draft: &mut Draft,
    ) -> Result<Reply, StoreError> {
        let floor = *self.validity_floor()?;
        let mailbox = self.active(id)?;
        mailbox.check_folders(id, folders)?;
        if mailbox.name == name {
            return Ok(Reply::Done);
        }
        let uidvalidity = mailbox.highest_validity();
        if self.mailbox_named(&name)?.is_some() {
            return Err(StoreError::MailboxExists { mailbox: name });
        }
        let mailbox = self.mailbox(id)?;
        let old = std::mem::replace(&mut mailbox.name, name.clone());
        let new = name.clone();
        draft.ops.push(Op::RenameMailbox { mailbox: id, name: new, uidvalidity });
        // A mailbox that had the name may have had a folder of the same name and validity.
        let mut same: Vec<_> =
            mailbox.by_name.iter().map(|(name, id)| (*id, name.clone())).collect();
        same.sort_unstable();
        let fresh = UidValidity(now.0.max(floor.0.saturating_add(1)));
        for (folder, name) in same {
            if mailbox.folders.get(&folder).is_some_and(|known| known.uidvalidity <= floor) {
                mailbox.rename(id, folder, name, floor, fresh, draft);
            }
        }
        let floor = self.validity_floor()?;
        *floor = uidvalidity.max(*floor);
        self.name(old, id, false);
        self.name(name, id, true);
        draft.touched.insert(id);
        Ok(Reply::Done)
    }

    /// Brings a removed mailbox back, with other validities if the name may have seen higher ones.
    pub(super) fn restore_mailbox(
        &mut self,
        id: MailboxId,
        name: MailboxName,
        folders: u64,
        now: UidValidity,
        draft: &mut Draft,
    ) -> Result<Reply, StoreError> {
        let lost = || StoreError::NotRecoverable { what: format!("mailbox number {id}") };
        if self.mailboxes.get(&id).is_some_and(|known| !known.removed || known.purged) {
            return Err(lost());
        }
        if self.mailbox_named(&name)?.is_some() {
            return Err(StoreError::MailboxExists { mailbox: name });
        }
        let info = self.view().removed_mailbox(id)?.ok_or_else(lost)?;
        let removed = self.view().removed_folders(id, true)?;
        let floor = *self.validity_floor()?;
        let mut mailbox = Mailbox::new(name.clone(), info.state);
        mailbox.highest_modseq = info.highest_modseq;
        mailbox.retired = self.view().retired(Some(id))?;
        mailbox.last = UNWRITTEN;
        let own = removed.iter().map(|removed| removed.folder.uidvalidity).max();
        let fresh = UidValidity(now.0.max(floor.0.saturating_add(1)));
        let mut back = Vec::with_capacity(removed.len());
        for RecoverableFolder { mut folder, .. } in removed {
            let renewed = own.is_some_and(|own| floor > own).then(|| (fresh, mailbox.step()));
            folder.uidvalidity = renewed.map_or(folder.uidvalidity, |(validity, _)| validity);
            back.push((folder.id, renewed));
            mailbox.add_folder(folder);
        }
        mailbox.check_folders(id, folders)?;
        self.mailboxes.insert(id, mailbox);
        self.name(name.clone(), id, true);
        draft.touched.insert(id);
        draft.ops.push(Op::RestoreMailbox { mailbox: id, name, folders: back });
        Ok(Reply::Done)
    }

    pub(super) fn copy(
        &mut self,
        from: (MailboxId, FolderId),
        uids: &[Uid],
        to: (MailboxId, FolderId),
        moved: bool,
        draft: &mut Draft,
    ) -> Result<Reply, StoreError> {
        let source = if moved { self.active(from.0)? } else { self.mailbox(from.0)? };
        source.folder(from.0, from.1)?;
        let target = self.active(to.0)?;
        let first = target.take_uids(to.0, to.1, uids.len())?;
        let mut new = Vec::with_capacity(uids.len());
        for (uid, to_uid) in uids.iter().zip(first.0..) {
            let to = self.mailbox(to.0)?.place(to, Uid(to_uid));
            draft.ops.push(Op::Copy { from: (from.0, from.1, *uid), to });
            new.push(to.uid);
            if moved {
                let modseq = self.mailbox(from.0)?.step();
                let (mailbox, folder, uid) = (from.0, from.1, *uid);
                draft.ops.push(Op::Expunge { mailbox, folder, uid, modseq });
            }
        }
        draft.touched.extend([from.0, to.0]);
        Ok(Reply::Uids(new))
    }

    pub(super) fn undelete(
        &mut self,
        id: MailboxId,
        removed: &[Modseq],
        to: FolderId,
        draft: &mut Draft,
    ) -> Result<Reply, StoreError> {
        let mailbox = self.active(id)?;
        let first = mailbox.take_uids(id, to, removed.len())?;
        let mut new = Vec::with_capacity(removed.len());
        for (removed, uid) in removed.iter().zip(first.0..) {
            let to = mailbox.place((id, to), Uid(uid));
            draft.ops.push(Op::Undelete { mailbox: id, removed: *removed, to });
            new.push(to.uid);
        }
        draft.touched.insert(id);
        Ok(Reply::Uids(new))
    }

    pub(super) fn take(
        &mut self,
        (id, from): (MailboxId, FolderId),
        uids: &[Uid],
        to: FolderId,
        draft: &mut Draft,
    ) -> Result<Reply, StoreError> {
        let mailbox = self.active(id)?;
        let first = mailbox.take_uids(id, to, uids.len())?;
        for (uid, to_uid) in uids.iter().zip(first.0..) {
            let to = mailbox.place((id, to), Uid(to_uid));
            draft.ops.push(Op::Take { from: (id, from, *uid), to });
        }
        draft.touched.insert(id);
        Ok(Reply::Done)
    }

    /// Rows of what is there are not touched, whatever the list says; see where it is applied.
    pub(super) fn purge(&mut self, purge: Purge, draft: &mut Draft) -> Result<Reply, StoreError> {
        let id = purge.mailbox;
        if purge.whole {
            if self.mailboxes.get(&id).is_some_and(|known| !known.removed) {
                return Ok(Reply::Done);
            }
            let Some(info) = self.view().removed_mailbox(id)? else { return Ok(Reply::Done) };
            let mut rest = Mailbox::new(info.name, info.state);
            (rest.removed, rest.purged, rest.last) = (true, true, UNWRITTEN);
            self.mailboxes.insert(id, rest);
        }
        draft.touched.insert(id);
        draft.ops.push(Op::Purge(purge));
        Ok(Reply::Done)
    }
}

impl Mailbox {
    /// The place of a message that comes now.
    fn place(&mut self, (mailbox, folder): (MailboxId, FolderId), uid: Uid) -> Place {
        Place { mailbox, folder, uid, modseq: self.step() }
    }

    fn highest_validity(&self) -> UidValidity {
        self.folders.values().map(|folder| folder.uidvalidity).max().unwrap_or(UidValidity(0))
    }

    /// The request was made for at most so many folders.
    fn check_folders(&self, mailbox: MailboxId, folders: u64) -> Result<(), StoreError> {
        let (size_bytes, max_bytes) = (self.folders.len() as u64, folders);
        if size_bytes <= max_bytes {
            return Ok(());
        }
        let Some((name, _)) = self.by_name.iter().next() else { return Ok(()) };
        let cause = "folders were made meanwhile; try again";
        Err(StoreError::FolderStays { mailbox, folder: name.clone(), cause })
    }
}
