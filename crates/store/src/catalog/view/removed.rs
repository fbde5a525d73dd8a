//! What was removed and can be had back, and the rows that keep it.

use super::View;
use crate::catalog::keys;
use crate::catalog::rows::{
    FolderStepRow, RemovedFolderRow, RemovedMailboxRow, RemovedMessageRow, RetiredRow, unpack,
};
use crate::error::StoreError;
use crate::model::{
    FolderId, FolderInfo, FolderStep, MailboxId, MailboxInfo, Modseq, RecoverableFolder,
    RecoverableMailbox, RecoverableMessage, Uid,
};
use crate::tree::{Scan, Table};

/// Where the numbers are kept that no mailbox may give again.
const STORE: MailboxId = MailboxId(0);

impl View {
    /// Numbers that must not be given again: in a mailbox, or in all.
    pub(crate) fn retired(&self, mailbox: Option<MailboxId>) -> Result<RetiredRow, StoreError> {
        let key = keys::mailbox(mailbox.unwrap_or(STORE));
        Ok(self.row(Table::Retired, &key)?.unwrap_or_default())
    }

    /// At most `limit` messages that went by themselves after `after`, by when they did.
    pub(crate) fn removed_messages(
        &self,
        mailbox: MailboxId,
        after: Modseq,
        limit: usize,
    ) -> Result<Vec<RecoverableMessage>, StoreError> {
        let mut found = Vec::new();
        let Some(first) = after.0.checked_add(1) else { return Ok(found) };
        let from = keys::change(mailbox, Modseq(first));
        let to = keys::change(mailbox, Modseq(u64::MAX));
        if limit == 0 {
            return Ok(found);
        }
        self.tree.scan(Table::RemovedMessage, &from, &to, &mut |key, value| {
            let row: RemovedMessageRow = unpack(Table::RemovedMessage, key, value)?;
            found.push(RecoverableMessage {
                removed: keys::read_change(key),
                folder: row.folder,
                message: row.row.message,
                removed_seconds: row.removed_seconds,
            });
            Ok(if found.len() < limit { Scan::Next } else { Scan::Stop })
        })?;
        Ok(found)
    }

    /// The removed folders of the mailbox: those that went by themselves, or those with it.
    pub(crate) fn removed_folders(
        &self,
        mailbox: MailboxId,
        with_mailbox: bool,
    ) -> Result<Vec<RecoverableFolder>, StoreError> {
        let from = keys::folder(mailbox, FolderId(0));
        let to = keys::folder(mailbox, FolderId(u32::MAX));
        let mut folders = Vec::new();
        self.tree.scan(Table::RemovedFolder, &from, &to, &mut |key, value| {
            let row: RemovedFolderRow = unpack(Table::RemovedFolder, key, value)?;
            if row.with_mailbox == with_mailbox {
                let folder = row.row.info(FolderId(keys::number(&key[4..])));
                let removed_seconds = row.removed_seconds;
                folders.push(RecoverableFolder { folder, removed_seconds });
            }
            Ok(Scan::Next)
        })?;
        Ok(folders)
    }

    /// The removed folder, whichever way it went.
    pub(crate) fn removed_folder(
        &self,
        mailbox: MailboxId,
        folder: FolderId,
    ) -> Result<Option<FolderInfo>, StoreError> {
        let key = keys::folder(mailbox, folder);
        let row: Option<RemovedFolderRow> = self.row(Table::RemovedFolder, &key)?;
        Ok(row.map(|row| row.row.info(folder)))
    }

    /// The removed mailboxes, by number.
    pub(crate) fn removed_mailboxes(&self) -> Result<Vec<RecoverableMailbox>, StoreError> {
        let mut mailboxes = Vec::new();
        self.tree.scan(Table::RemovedMailbox, &[0; 4], &[0xff; 4], &mut |key, value| {
            let row: RemovedMailboxRow = unpack(Table::RemovedMailbox, key, value)?;
            let mailbox = row.row.info(MailboxId(keys::number(key)));
            let removed_seconds = row.removed_seconds;
            mailboxes.push(RecoverableMailbox { mailbox, removed_seconds });
            Ok(Scan::Next)
        })?;
        Ok(mailboxes)
    }

    /// The removed mailbox of that number.
    pub(crate) fn removed_mailbox(&self, id: MailboxId) -> Result<Option<MailboxInfo>, StoreError> {
        let row: Option<RemovedMailboxRow> = self.row(Table::RemovedMailbox, &keys::mailbox(id))?;
        Ok(row.map(|row| row.row.info(id)))
    }

    /// At most `limit` messages of a removed folder, by UID.
    pub(crate) fn hidden_messages(
        &self,
        mailbox: MailboxId,
        folder: FolderId,
        limit: usize,
    ) -> Result<Vec<Uid>, StoreError> {
        self.uids_in(Table::Message, mailbox, folder, limit)
    }

    /// At most `limit` notes of a folder that messages went, by UID.
    pub(crate) fn gone_in(
        &self,
        mailbox: MailboxId,
        folder: FolderId,
        limit: usize,
    ) -> Result<Vec<Uid>, StoreError> {
        self.uids_in(Table::Gone, mailbox, folder, limit)
    }

    fn uids_in(
        &self,
        table: Table,
        mailbox: MailboxId,
        folder: FolderId,
        limit: usize,
    ) -> Result<Vec<Uid>, StoreError> {
        let from = keys::message(mailbox, folder, Uid(0));
        let to = keys::message(mailbox, folder, Uid(u32::MAX));
        let mut uids = Vec::new();
        if limit == 0 {
            return Ok(uids);
        }
        self.tree.scan(table, &from, &to, &mut |key, _| {
            uids.push(keys::read_message(key).2);
            Ok(if uids.len() < limit { Scan::Next } else { Scan::Stop })
        })?;
        Ok(uids)
    }

    /// At most `limit` names that folders lost after `after`, in order.
    pub(crate) fn folder_steps(
        &self,
        mailbox: MailboxId,
        after: Modseq,
        limit: usize,
    ) -> Result<Vec<FolderStep>, StoreError> {
        let mut steps = Vec::new();
        let Some(first) = after.0.checked_add(1) else { return Ok(steps) };
        let from = keys::change(mailbox, Modseq(first));
        let to = keys::change(mailbox, Modseq(u64::MAX));
        self.tree.scan(Table::FolderStep, &from, &to, &mut |key, value| {
            if steps.len() == limit {
                return Ok(Scan::Stop);
            }
            let FolderStepRow { from, to } = unpack(Table::FolderStep, key, value)?;
            steps.push(FolderStep { modseq: keys::read_change(key), from, to });
            Ok(Scan::Next)
        })?;
        Ok(steps)
    }

    /// Visits the numbers of the contents of all messages that went by themselves.
    pub(crate) fn every_removed(
        &self,
        visit: &mut dyn FnMut(u64) -> Result<(), StoreError>,
    ) -> Result<(), StoreError> {
        self.tree.scan(Table::RemovedMessage, &[0; 12], &[0xff; 12], &mut |key, value| {
            let row: RemovedMessageRow = unpack(Table::RemovedMessage, key, value)?;
            visit(row.row.number)?;
            Ok(Scan::Next)
        })
    }
}
