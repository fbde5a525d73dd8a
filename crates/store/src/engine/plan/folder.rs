//! Folders: made, renamed, deleted.

use std::collections::HashSet;

use super::{Draft, Folder, Mailbox, Planner};
use crate::engine::request::Reply;
use crate::error::StoreError;
use crate::model::{FolderId, FolderName, FolderStep, MailboxId, NewFolder, Uid, UidValidity};
use crate::op::{MadeFolder, Op};

impl Planner {
    /// The folder of that name; `now` is the validity of one that is made and asks for none, unless
    /// a name that is free again had it.
    pub(super) fn create_folder(
        &mut self,
        id: MailboxId,
        name: FolderName,
        new: NewFolder,
        now: UidValidity,
        draft: &mut Draft,
    ) -> Result<Reply, StoreError> {
        if let Some(folder) = self.mailbox(id)?.by_name.get(&name) {
            return Ok(Reply::Folder(*folder));
        }
        let floor = *self.validity_floor()?;
        let mailbox = self.active(id)?;
        let validity = mailbox.fresh_validity(now, floor);
        let folder = mailbox.add_new(id, name, new, validity, draft);
        Ok(Reply::Folder(folder))
    }

    /// Renames the folder and those below it. The root folder stays, empty (RFC 9051, 6.3.6).
    pub(super) fn rename_folder(
        &mut self,
        (id, folder): (MailboxId, FolderId),
        name: FolderName,
        folders: u64,
        now: UidValidity,
        draft: &mut Draft,
    ) -> Result<Reply, StoreError> {
        let floor = *self.validity_floor()?;
        let mailbox = self.active(id)?;
        mailbox.folder(id, folder)?;
        let Some(old) = mailbox.name_of(folder).cloned() else {
            return Err(StoreError::NoSuchFolder { mailbox: id, folder });
        };
        if old == name {
            return Ok(Reply::Done);
        }
        let renamed = mailbox.renamed(id, folder, &old, &name)?;
        if mailbox.folders.len() as u64 > folders {
            let cause = "folders were made meanwhile; try again";
            return Err(StoreError::FolderStays { mailbox: id, folder: old, cause });
        }
        let lost = mailbox.retired.uidvalidity;
        let fresh = mailbox.fresh_validity(now, floor);
        for (folder, name) in renamed {
            mailbox.rename(id, folder, name, lost, fresh, draft);
        }
        if old.is_inbox() {
            let fresh = mailbox.fresh_validity(now, floor);
            mailbox.add_new(id, old, NewFolder::default(), fresh, draft);
        }
        draft.touched.insert(id);
        Ok(Reply::Done)
    }

    pub(super) fn delete_folder(
        &mut self,
        id: MailboxId,
        folder: FolderId,
        now_seconds: i64,
        draft: &mut Draft,
    ) -> Result<Reply, StoreError> {
        let mailbox = self.active(id)?;
        mailbox.folder(id, folder)?;
        if let Some(name) = mailbox.name_of(folder).filter(|name| name.is_inbox()) {
            let cause = "a mailbox keeps its root folder; expunge its messages";
            return Err(StoreError::FolderStays { mailbox: id, folder: name.clone(), cause });
        }
        let modseq = mailbox.step();
        mailbox.drop_folder(folder);
        mailbox.retired.last_step = mailbox.retired.last_step.max(modseq);
        draft.touched.insert(id);
        let removed_seconds = now_seconds;
        draft.ops.push(Op::DeleteFolder { mailbox: id, folder, modseq, removed_seconds });
        Ok(Reply::Done)
    }

    /// Does here what was done to a folder's name at the sender, unless it was done before.
    pub(super) fn receive_step(
        &mut self,
        id: MailboxId,
        step: FolderStep,
        draft: &mut Draft,
    ) -> Result<(), StoreError> {
        let removed_seconds = self.now_seconds;
        let mailbox = self.mailbox(id)?;
        let FolderStep { modseq, from, to } = step;
        if modseq <= mailbox.retired.last_step {
            return Ok(());
        }
        mailbox.retired.last_step = modseq;
        mailbox.highest_modseq = mailbox.highest_modseq.max(modseq);
        let folder = mailbox.by_name.get(&from).copied();
        let free = to.as_ref().is_none_or(|to| !mailbox.by_name.contains_key(to));
        let op = match (folder.filter(|_| free), to) {
            (None, to) => Op::NoteFolderStep { mailbox: id, modseq, from, to },
            (Some(folder), None) => {
                mailbox.drop_folder(folder);
                Op::DeleteFolder { mailbox: id, folder, modseq, removed_seconds }
            }
            (Some(folder), Some(name)) => {
                let uidvalidity = mailbox.retire(folder);
                mailbox.by_name.remove(&from);
                mailbox.by_name.insert(name.clone(), folder);
                Op::RenameFolder { mailbox: id, folder, name, uidvalidity, modseq }
            }
        };
        draft.ops.push(op);
        Ok(())
    }
}

impl Mailbox {
    /// A validity that no folder had which lost its name.
    fn fresh_validity(&self, now: UidValidity, floor: UidValidity) -> UidValidity {
        let floor = floor.max(self.retired.uidvalidity);
        UidValidity(now.0.max(floor.0.saturating_add(u32::from(floor.0 > 0))))
    }

    fn add_new(
        &mut self,
        id: MailboxId,
        name: FolderName,
        new: NewFolder,
        validity: UidValidity,
        draft: &mut Draft,
    ) -> FolderId {
        let made = MadeFolder::new(name.clone(), new, validity, self.step());
        let folder = self.next_folder();
        let known = Folder { uidnext: made.uidnext, uidvalidity: made.uidvalidity };
        self.folders.insert(folder, known);
        self.by_name.insert(name, folder);
        draft.touched.insert(id);
        draft.ops.push(Op::CreateFolder { mailbox: id, folder, made });
        folder
    }

    /// The folders that get another name with this one, and the names, if they are free.
    fn renamed(
        &self,
        id: MailboxId,
        folder: FolderId,
        old: &FolderName,
        new: &FolderName,
    ) -> Result<Vec<(FolderId, FolderName)>, StoreError> {
        let stays = |cause| StoreError::FolderStays { mailbox: id, folder: old.clone(), cause };
        let below = format!("{old}/");
        if new.as_str().starts_with(&below) && !old.is_inbox() {
            return Err(stays("it cannot lie below itself; choose another name"));
        }
        let mut renamed = vec![(folder, new.clone())];
        for (name, child) in self.by_name.iter().filter(|_| !old.is_inbox()) {
            if let Some(rest) = name.as_str().strip_prefix(&below) {
                let name = FolderName::try_from(format!("{new}/{rest}"));
                let name = name.map_err(|_| stays("a name below it would be too long"))?;
                renamed.push((*child, name));
            }
        }
        renamed.sort_unstable_by(|(_, one), (_, other)| one.cmp(other));
        let moving: HashSet<FolderId> = renamed.iter().map(|(folder, _)| *folder).collect();
        for (_, name) in &renamed {
            if self.by_name.get(name).is_some_and(|there| !moving.contains(there)) {
                return Err(StoreError::FolderExists { mailbox: id, folder: name.clone() });
            }
        }
        Ok(renamed)
    }

    /// Gives the folder another name; another validity too, if one as high as `lost` was given up
    /// with a name, since that may have been this name.
    pub(super) fn rename(
        &mut self,
        id: MailboxId,
        folder: FolderId,
        name: FolderName,
        lost: UidValidity,
        fresh: UidValidity,
        draft: &mut Draft,
    ) {
        let modseq = self.step();
        if let Some(old) = self.name_of(folder).cloned() {
            self.by_name.remove(&old);
        }
        let had = self.retire(folder);
        let uidvalidity = if lost >= had { fresh.max(had) } else { had };
        if let Some(known) = self.folders.get_mut(&folder) {
            known.uidvalidity = uidvalidity;
        }
        self.by_name.insert(name.clone(), folder);
        self.retired.last_step = self.retired.last_step.max(modseq);
        draft.ops.push(Op::RenameFolder { mailbox: id, folder, name, uidvalidity, modseq });
    }

    /// The folder's number and validity are not given again; returns the latter.
    fn retire(&mut self, folder: FolderId) -> UidValidity {
        let had = self.folders.get(&folder).map_or(UidValidity(0), |known| known.uidvalidity);
        self.retired.uidvalidity = self.retired.uidvalidity.max(had);
        self.retired.next_folder = self.retired.next_folder.max(folder.0.saturating_add(1));
        had
    }

    fn drop_folder(&mut self, folder: FolderId) {
        self.retire(folder);
        self.folders.remove(&folder);
        self.by_name.retain(|_, id| *id != folder);
    }

    /// Takes `count` UIDs of the folder; returns the first.
    pub(super) fn take_uids(
        &mut self,
        mailbox: MailboxId,
        folder: FolderId,
        count: usize,
    ) -> Result<Uid, StoreError> {
        let known = self.folder(mailbox, folder)?;
        let uidnext = known.uidnext;
        let next = u32::try_from(count).ok().and_then(|count| uidnext.0.checked_add(count));
        let Some(next) = next.filter(|next| *next < u32::MAX) else {
            return Err(StoreError::UidTaken { mailbox, folder, asked: uidnext, uidnext });
        };
        known.uidnext = Uid(next);
        Ok(uidnext)
    }
}
