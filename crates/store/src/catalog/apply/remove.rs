//! What goes and can be had back: messages, folders, mailboxes; and what loses its name.

use rehome_log::Lsn;

use super::{Applier, Count};
use crate::catalog::keys;
use crate::catalog::rows::{
    ChangeRow, FolderStepRow, RemovedFolderRow, RemovedMailboxRow, RemovedMessageRow, RetiredRow,
    pack, unpack,
};
use crate::error::StoreError;
use crate::model::{
    FolderId, FolderName, MailboxId, MailboxName, Message, Modseq, Uid, UidValidity,
};
use crate::op::Place;
use crate::tree::Table;

/// The key of the store's own retired numbers, which no mailbox has.
const STORE: MailboxId = MailboxId(0);

impl Applier<'_> {
    /// The message goes, and keeps its content for a while.
    pub(super) fn remove(
        &mut self,
        lsn: Lsn,
        at: (MailboxId, FolderId),
        uid: Uid,
        modseq: Modseq,
        removed_seconds: i64,
    ) -> Result<(), StoreError> {
        self.touch(lsn, at.0, modseq)?;
        let Some(row) = self.message(at, uid)? else { return Ok(()) };
        self.remove_change(at.0, row.message.modseq);
        self.tree.remove(Table::Message, &keys::message(at.0, at.1, uid));
        self.count(lsn, at, row.message.size_bytes, Count::Out)?;
        let removed = RemovedMessageRow { folder: at.1, row, removed_seconds };
        self.tree.put(Table::RemovedMessage, &keys::change(at.0, modseq), &pack(&removed));
        self.put_gone(at, uid, modseq);
        Ok(())
    }

    /// Another folder, or the same, gets a message like this one.
    pub(super) fn copy(
        &mut self,
        lsn: Lsn,
        from: (MailboxId, FolderId, Uid),
        to: Place,
    ) -> Result<(), StoreError> {
        self.reserve(lsn, to)?;
        let Some(row) = self.message((from.0, from.1), from.2)? else { return Ok(()) };
        self.insert_at(lsn, row.number, row.message, to)
    }

    /// The place is used up, whether a message comes there or not.
    pub(super) fn reserve(&mut self, lsn: Lsn, to: Place) -> Result<(), StoreError> {
        self.touch(lsn, to.mailbox, to.modseq)?;
        self.use_uid(lsn, (to.mailbox, to.folder), to.uid)
    }

    pub(super) fn insert_at(
        &mut self,
        lsn: Lsn,
        number: u64,
        message: Message,
        to: Place,
    ) -> Result<(), StoreError> {
        let message = Message { uid: to.uid, modseq: to.modseq, ..message };
        self.insert_message(lsn, (to.mailbox, to.folder), number, &message)
    }

    pub(super) fn delete_folder(
        &mut self,
        lsn: Lsn,
        at: (MailboxId, FolderId),
        modseq: Modseq,
        removed_seconds: i64,
    ) -> Result<(), StoreError> {
        self.touch(lsn, at.0, modseq)?;
        let name = self.folder(lsn, at)?.name.clone();
        self.hide_folder(lsn, at, removed_seconds, false)?;
        self.put_step(at.0, modseq, &name, None)
    }

    pub(super) fn rename_folder(
        &mut self,
        lsn: Lsn,
        at: (MailboxId, FolderId),
        name: &FolderName,
        uidvalidity: UidValidity,
        modseq: Modseq,
    ) -> Result<(), StoreError> {
        self.touch(lsn, at.0, modseq)?;
        let row = self.folder(lsn, at)?;
        let old = std::mem::replace(&mut row.name, name.clone());
        let lost = std::mem::replace(&mut row.uidvalidity, uidvalidity);
        let made = std::mem::replace(&mut row.modseq, modseq);
        self.retire(at.0, at.1, lost)?;
        self.tree.remove(Table::FolderName, &keys::folder_name(at.0, old.as_str()));
        let key = keys::folder_name(at.0, name.as_str());
        self.tree.put(Table::FolderName, &key, &at.1.0.to_be_bytes());
        self.remove_folder_change(at, made)?;
        self.put_change(at.0, modseq, ChangeRow::Folder { folder: at.1 });
        self.put_step(at.0, modseq, &old, Some(name))
    }

    pub(super) fn put_step(
        &mut self,
        mailbox: MailboxId,
        modseq: Modseq,
        from: &FolderName,
        to: Option<&FolderName>,
    ) -> Result<(), StoreError> {
        let step = FolderStepRow { from: from.clone(), to: to.cloned() };
        self.tree.put(Table::FolderStep, &keys::change(mailbox, modseq), &pack(&step));
        let mut retired = self.retired(mailbox)?;
        retired.last_step = retired.last_step.max(modseq);
        self.tree.put(Table::Retired, &keys::mailbox(mailbox), &pack(&retired));
        Ok(())
    }

    pub(super) fn delete_mailbox(
        &mut self,
        lsn: Lsn,
        id: MailboxId,
        folders: &[FolderId],
        removed_seconds: i64,
    ) -> Result<(), StoreError> {
        for folder in folders {
            self.hide_folder(lsn, (id, *folder), removed_seconds, true)?;
        }
        self.mailbox(lsn, id)?;
        let Some(row) = self.mailboxes.remove(&id) else { return Ok(()) };
        self.tree.remove(Table::Mailbox, &keys::mailbox(id));
        self.tree.remove(Table::MailboxName, row.name.as_str().as_bytes());
        self.meta.mailboxes = self.meta.mailboxes.saturating_sub(1);
        let removed = RemovedMailboxRow { row, removed_seconds };
        self.tree.put(Table::RemovedMailbox, &keys::mailbox(id), &pack(&removed));
        Ok(())
    }

    pub(super) fn rename_mailbox(
        &mut self,
        lsn: Lsn,
        id: MailboxId,
        name: &MailboxName,
        uidvalidity: UidValidity,
    ) -> Result<(), StoreError> {
        let row = self.mailbox(lsn, id)?;
        let old = std::mem::replace(&mut row.name, name.clone());
        self.tree.remove(Table::MailboxName, old.as_str().as_bytes());
        self.tree.put(Table::MailboxName, name.as_str().as_bytes(), &id.0.to_be_bytes());
        self.retire(STORE, FolderId(0), uidvalidity)
    }

    /// The folder is not there any more for readers; its messages are not counted any more.
    fn hide_folder(
        &mut self,
        lsn: Lsn,
        at: (MailboxId, FolderId),
        removed_seconds: i64,
        with_mailbox: bool,
    ) -> Result<(), StoreError> {
        self.folder(lsn, at)?;
        let Some(row) = self.folders.remove(&at) else { return Ok(()) };
        self.tree.remove(Table::Folder, &keys::folder(at.0, at.1));
        self.tree.remove(Table::FolderName, &keys::folder_name(at.0, row.name.as_str()));
        self.count_folder(lsn, at.0, (row.messages, row.bytes), Count::Out)?;
        self.retire(at.0, at.1, row.uidvalidity)?;
        if with_mailbox {
            self.retire(STORE, FolderId(0), row.uidvalidity)?;
        }
        let removed = RemovedFolderRow { row, removed_seconds, with_mailbox };
        self.removed_folders.insert(at, removed);
        Ok(())
    }

    /// Counts a folder with its messages in or out.
    pub(super) fn count_folder(
        &mut self,
        lsn: Lsn,
        mailbox: MailboxId,
        (messages, bytes): (u64, u64),
        way: Count,
    ) -> Result<(), StoreError> {
        let step = |number: &mut u64, by: u64| match way {
            Count::In => *number += by,
            Count::Out => *number = number.saturating_sub(by),
        };
        step(&mut self.meta.folders, 1);
        step(&mut self.meta.messages, messages);
        step(&mut self.meta.message_bytes, bytes);
        let row = self.mailbox(lsn, mailbox)?;
        step(&mut row.messages, messages);
        step(&mut row.bytes, bytes);
        Ok(())
    }

    fn retired(&mut self, mailbox: MailboxId) -> Result<RetiredRow, StoreError> {
        let key = keys::mailbox(mailbox);
        let row = self.tree.get(Table::Retired, &key)?;
        let row = row.map(|row| unpack(Table::Retired, &key, &row)).transpose()?;
        Ok(row.unwrap_or_default())
    }

    /// Neither the folder's number nor its validity is given again in this mailbox.
    fn retire(
        &mut self,
        mailbox: MailboxId,
        folder: FolderId,
        uidvalidity: UidValidity,
    ) -> Result<(), StoreError> {
        let mut row = self.retired(mailbox)?;
        row.next_folder = row.next_folder.max(folder.0.saturating_add(1));
        row.uidvalidity = row.uidvalidity.max(uidvalidity);
        self.tree.put(Table::Retired, &keys::mailbox(mailbox), &pack(&row));
        Ok(())
    }
}
