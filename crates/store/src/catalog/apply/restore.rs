//! What comes back, and what is gone for good.

use rehome_log::Lsn;

use super::{Applier, Count, contradiction};
use crate::catalog::keys;
use crate::catalog::rows::{
    ChangeRow, MessageRow, RemovedFolderRow, RemovedMailboxRow, RemovedMessageRow, unpack,
};
use crate::error::StoreError;
use crate::model::{FolderId, MailboxId, MailboxName, Modseq, Uid, UidValidity};
use crate::op::{Place, Purge};
use crate::tree::Table;

impl Applier<'_> {
    /// A message that went by itself comes back.
    pub(super) fn undelete(
        &mut self,
        lsn: Lsn,
        mailbox: MailboxId,
        removed: Modseq,
        to: Place,
    ) -> Result<(), StoreError> {
        self.reserve(lsn, to)?;
        let Some(found) = self.removed_message(mailbox, removed)? else { return Ok(()) };
        self.tree.remove(Table::RemovedMessage, &keys::change(mailbox, removed));
        self.insert_at(lsn, found.row.number, found.row.message, to)?;
        self.release(lsn, found.row.number)
    }

    /// A message of a removed folder comes back.
    pub(super) fn take(
        &mut self,
        lsn: Lsn,
        from: (MailboxId, FolderId, Uid),
        to: Place,
    ) -> Result<(), StoreError> {
        self.reserve(lsn, to)?;
        let at = (from.0, from.1);
        let Some(row) = self.hidden_message(at, from.2)? else { return Ok(()) };
        self.drop_hidden(at, &row)?;
        let number = row.number;
        self.insert_at(lsn, number, row.message, to)?;
        self.release(lsn, number)
    }

    /// The message, if its folder is a removed one.
    fn hidden_message(
        &mut self,
        at: (MailboxId, FolderId),
        uid: Uid,
    ) -> Result<Option<MessageRow>, StoreError> {
        if self.removed_folder(at)?.is_none() {
            return Ok(None);
        }
        self.message(at, uid)
    }

    /// Takes away the row of a message of a removed folder, but not its reference.
    fn drop_hidden(
        &mut self,
        at: (MailboxId, FolderId),
        row: &MessageRow,
    ) -> Result<(), StoreError> {
        self.remove_change(at.0, row.message.modseq);
        self.tree.remove(Table::Message, &keys::message(at.0, at.1, row.message.uid));
        if let Some(folder) = self.removed_folder(at)? {
            folder.row.messages = folder.row.messages.saturating_sub(1);
            folder.row.bytes = folder.row.bytes.saturating_sub(row.message.size_bytes);
        }
        Ok(())
    }

    pub(super) fn restore_mailbox(
        &mut self,
        lsn: Lsn,
        id: MailboxId,
        name: &MailboxName,
        folders: &[(FolderId, Option<(UidValidity, Modseq)>)],
    ) -> Result<(), StoreError> {
        let key = keys::mailbox(id);
        let Some(row) = self.tree.get(Table::RemovedMailbox, &key)? else {
            return Err(contradiction(lsn, format!("it restores mailbox {id}, not removed")));
        };
        let mut removed: RemovedMailboxRow = unpack(Table::RemovedMailbox, &key, &row)?;
        self.tree.remove(Table::RemovedMailbox, &key);
        removed.row.name = name.clone();
        self.mailboxes.insert(id, removed.row);
        self.meta.mailboxes += 1;
        self.tree.put(Table::MailboxName, name.as_str().as_bytes(), &id.0.to_be_bytes());
        for (folder, renewed) in folders {
            self.show_folder(lsn, (id, *folder), *renewed)?;
        }
        Ok(())
    }

    /// A removed folder is there again, perhaps with another validity.
    fn show_folder(
        &mut self,
        lsn: Lsn,
        at: (MailboxId, FolderId),
        renewed: Option<(UidValidity, Modseq)>,
    ) -> Result<(), StoreError> {
        self.removed_folder(at)?;
        let Some(removed) = self.removed_folders.remove(&at) else { return Ok(()) };
        self.tree.remove(Table::RemovedFolder, &keys::folder(at.0, at.1));
        let mut row = removed.row;
        if let Some((uidvalidity, modseq)) = renewed {
            self.touch(lsn, at.0, modseq)?;
            self.remove_folder_change(at, row.modseq)?;
            self.put_change(at.0, modseq, ChangeRow::Folder { folder: at.1 });
            (row.uidvalidity, row.modseq) = (uidvalidity, modseq);
        }
        self.count_folder(lsn, at.0, (row.messages, row.bytes), Count::In)?;
        let key = keys::folder_name(at.0, row.name.as_str());
        self.tree.put(Table::FolderName, &key, &at.1.0.to_be_bytes());
        self.folders.insert(at, row);
        Ok(())
    }

    pub(super) fn purge(&mut self, lsn: Lsn, purge: &Purge) -> Result<(), StoreError> {
        let id = purge.mailbox;
        for (folder, uid) in &purge.messages {
            if let Some(row) = self.hidden_message((id, *folder), *uid)? {
                self.drop_hidden((id, *folder), &row)?;
                self.release(lsn, row.number)?;
            }
        }
        for (folder, uid) in &purge.gone {
            if self.removed_folder((id, *folder))?.is_none() {
                continue;
            }
            if let Some(modseq) = self.gone((id, *folder), *uid)? {
                self.tree.remove(Table::Gone, &keys::message(id, *folder, *uid));
                self.remove_change(id, modseq);
            }
        }
        for modseq in &purge.removed {
            if let Some(found) = self.removed_message(id, *modseq)? {
                self.tree.remove(Table::RemovedMessage, &keys::change(id, *modseq));
                self.release(lsn, found.row.number)?;
            }
        }
        for modseq in &purge.steps {
            self.tree.remove(Table::FolderStep, &keys::change(id, *modseq));
        }
        for folder in &purge.folders {
            self.purge_folder((id, *folder))?;
        }
        if purge.whole {
            self.tree.remove(Table::RemovedMailbox, &keys::mailbox(id));
            self.tree.remove(Table::Retired, &keys::mailbox(id));
        }
        Ok(())
    }

    fn purge_folder(&mut self, at: (MailboxId, FolderId)) -> Result<(), StoreError> {
        let Some(removed) = self.removed_folder(at)? else { return Ok(()) };
        let modseq = removed.row.modseq;
        self.removed_folders.remove(&at);
        self.tree.remove(Table::RemovedFolder, &keys::folder(at.0, at.1));
        self.remove_folder_change(at, modseq)
    }

    fn removed_message(
        &mut self,
        mailbox: MailboxId,
        modseq: Modseq,
    ) -> Result<Option<RemovedMessageRow>, StoreError> {
        let key = keys::change(mailbox, modseq);
        let row = self.tree.get(Table::RemovedMessage, &key)?;
        row.map(|row| unpack(Table::RemovedMessage, &key, &row)).transpose()
    }

    /// The removed folder, to be changed.
    fn removed_folder(
        &mut self,
        at: (MailboxId, FolderId),
    ) -> Result<Option<&mut RemovedFolderRow>, StoreError> {
        if !self.removed_folders.contains_key(&at) {
            let key = keys::folder(at.0, at.1);
            let Some(row) = self.tree.get(Table::RemovedFolder, &key)? else { return Ok(None) };
            self.removed_folders.insert(at, unpack(Table::RemovedFolder, &key, &row)?);
        }
        Ok(self.removed_folders.get_mut(&at))
    }
}
