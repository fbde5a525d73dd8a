//! The catalog as a reader sees it.

mod removed;

use super::keys;
use super::rows::{
    ChangeRow, ContentRow, FolderRow, MailboxRow, MessageRow, MetaRow, SegmentRow, unpack,
    unpack_message,
};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::error::StoreError;
use crate::model::{
    Change, ContentId, FolderId, FolderInfo, FolderName, MailboxId, MailboxInfo, MailboxName,
    Message, Modseq, Uid,
};
use crate::tree::{Scan, Table, TreeRead};

/// A consistent view of the catalog.
pub(crate) struct View {
    tree: Box<dyn TreeRead>,
    /// Keeps the files of the segments that it names.
    _pin: Option<Arc<()>>,
}

impl View {
    pub(crate) fn new(tree: Box<dyn TreeRead>) -> View {
        View { tree, _pin: None }
    }

    /// The view, with what keeps the files that it names.
    pub(crate) fn pinned(self, pin: Arc<()>) -> View {
        View { _pin: Some(pin), ..self }
    }

    /// The rows themselves.
    pub(crate) fn tree(&self) -> &dyn TreeRead {
        &*self.tree
    }

    fn row<T: serde::de::DeserializeOwned>(
        &self,
        table: Table,
        key: &[u8],
    ) -> Result<Option<T>, StoreError> {
        let row = self.tree.get(table, key)?;
        row.map(|bytes| unpack(table, key, &bytes)).transpose()
    }

    /// The store's counters.
    pub(crate) fn meta(&self) -> Result<MetaRow, StoreError> {
        Ok(self.row(Table::Meta, &keys::META)?.unwrap_or_default())
    }

    /// Number of the mailbox of that name.
    pub(crate) fn mailbox_id(&self, name: &MailboxName) -> Result<Option<MailboxId>, StoreError> {
        let number = self.tree.get(Table::MailboxName, name.as_str().as_bytes())?;
        Ok(number.map(|bytes| MailboxId(keys::number(&bytes))))
    }

    /// The mailbox of that number.
    pub(crate) fn mailbox(&self, id: MailboxId) -> Result<Option<MailboxInfo>, StoreError> {
        let row: Option<MailboxRow> = self.row(Table::Mailbox, &keys::mailbox(id))?;
        Ok(row.map(|row| row.info(id)))
    }

    /// How far the mailbox has been received.
    pub(crate) fn cursor(&self, id: MailboxId) -> Result<Option<Modseq>, StoreError> {
        let row: Option<MailboxRow> = self.row(Table::Mailbox, &keys::mailbox(id))?;
        Ok(row.and_then(|row| row.cursor))
    }

    /// All mailboxes, by number.
    pub(crate) fn mailboxes(&self) -> Result<Vec<MailboxInfo>, StoreError> {
        let mut mailboxes = Vec::new();
        self.tree.scan(Table::Mailbox, &[0; 4], &[0xff; 4], &mut |key, value| {
            let row: MailboxRow = unpack(Table::Mailbox, key, value)?;
            mailboxes.push(row.info(MailboxId(keys::number(key))));
            Ok(Scan::Next)
        })?;
        Ok(mailboxes)
    }

    /// Number of the folder of that name.
    pub(crate) fn folder_id(
        &self,
        mailbox: MailboxId,
        name: &FolderName,
    ) -> Result<Option<FolderId>, StoreError> {
        let key = keys::folder_name(mailbox, name.as_str());
        let number = self.tree.get(Table::FolderName, &key)?;
        Ok(number.map(|bytes| FolderId(keys::number(&bytes))))
    }

    /// The folder of that number.
    pub(crate) fn folder(
        &self,
        mailbox: MailboxId,
        folder: FolderId,
    ) -> Result<Option<FolderInfo>, StoreError> {
        let row: Option<FolderRow> = self.row(Table::Folder, &keys::folder(mailbox, folder))?;
        Ok(row.map(|row| row.info(folder)))
    }

    /// All folders of the mailbox, by number.
    pub(crate) fn folders(&self, mailbox: MailboxId) -> Result<Vec<FolderInfo>, StoreError> {
        let from = keys::folder(mailbox, FolderId(0));
        let to = keys::folder(mailbox, FolderId(u32::MAX));
        let mut folders = Vec::new();
        self.tree.scan(Table::Folder, &from, &to, &mut |key, value| {
            let row: FolderRow = unpack(Table::Folder, key, value)?;
            folders.push(row.info(FolderId(keys::number(&key[4..]))));
            Ok(Scan::Next)
        })?;
        Ok(folders)
    }

    /// The message and the number of its content.
    pub(crate) fn message(
        &self,
        mailbox: MailboxId,
        folder: FolderId,
        uid: Uid,
    ) -> Result<Option<(Message, u64)>, StoreError> {
        if !self.has_folder(mailbox, folder)? {
            return Ok(None);
        }
        let key = keys::message(mailbox, folder, uid);
        let row: Option<MessageRow> = self.row(Table::Message, &key)?;
        Ok(row.map(|row| (row.message, row.number)))
    }

    /// Whether the folder is there; messages of a removed one are not.
    fn has_folder(&self, mailbox: MailboxId, folder: FolderId) -> Result<bool, StoreError> {
        Ok(self.tree.get(Table::Folder, &keys::folder(mailbox, folder))?.is_some())
    }

    /// At most `limit` messages of the folder with UIDs above `after`, by UID.
    pub(crate) fn messages(
        &self,
        mailbox: MailboxId,
        folder: FolderId,
        after: Uid,
        limit: usize,
    ) -> Result<Vec<Message>, StoreError> {
        let mut messages = Vec::new();
        let Some(first) = after.0.checked_add(1) else { return Ok(messages) };
        let from = keys::message(mailbox, folder, Uid(first));
        let to = keys::message(mailbox, folder, Uid(u32::MAX));
        if limit == 0 || !self.has_folder(mailbox, folder)? {
            return Ok(messages);
        }
        self.tree.scan(Table::Message, &from, &to, &mut |key, value| {
            messages.push(unpack_message(key, value)?.message);
            Ok(if messages.len() < limit { Scan::Next } else { Scan::Stop })
        })?;
        Ok(messages)
    }

    /// Visits every message of the store with its mailbox, folder and number of content.
    pub(crate) fn every_message(
        &self,
        visit: &mut dyn FnMut(MailboxId, FolderId, Message, u64) -> Result<(), StoreError>,
    ) -> Result<(), StoreError> {
        self.tree.scan(Table::Message, &[0; 12], &[0xff; 12], &mut |key, value| {
            let row = unpack_message(key, value)?;
            let (mailbox, folder, _) = keys::read_message(key);
            visit(mailbox, folder, row.message, row.number)?;
            Ok(Scan::Next)
        })
    }

    /// Visits every message of the mailbox with the number of its content.
    pub(crate) fn messages_of(
        &self,
        mailbox: MailboxId,
        visit: &mut dyn FnMut(Message, u64),
    ) -> Result<(), StoreError> {
        let from = keys::message(mailbox, FolderId(0), Uid(0));
        let to = keys::message(mailbox, FolderId(u32::MAX), Uid(u32::MAX));
        let folders: BTreeSet<FolderId> = self.folders(mailbox)?.iter().map(|f| f.id).collect();
        self.tree.scan(Table::Message, &from, &to, &mut |key, value| {
            if folders.contains(&keys::read_message(key).1) {
                let row = unpack_message(key, value)?;
                visit(row.message, row.number);
            }
            Ok(Scan::Next)
        })
    }

    /// At most `limit` changes of the mailbox above `after` and up to `until`, by modseq; none of
    /// removed folders.
    pub(crate) fn changes(
        &self,
        mailbox: MailboxId,
        after: Modseq,
        until: Modseq,
        limit: usize,
    ) -> Result<Vec<Change>, StoreError> {
        let mut changes = Vec::new();
        if self.mailbox(mailbox)?.is_none() {
            return Ok(changes);
        }
        let folders = self.folders(mailbox)?;
        let folders: BTreeMap<FolderId, FolderInfo> =
            folders.into_iter().map(|folder| (folder.id, folder)).collect();
        let mut after = after;
        loop {
            let rows = self.change_rows(mailbox, after, until, limit - changes.len())?;
            let Some((last, _)) = rows.last() else { return Ok(changes) };
            after = *last;
            for (modseq, row) in rows {
                changes.extend(self.change(mailbox, modseq, row, &folders)?);
            }
        }
    }

    /// The modseq of change number `count` of the mailbox above `after`, if there are so many.
    pub(crate) fn change_number(
        &self,
        mailbox: MailboxId,
        after: Modseq,
        count: u64,
    ) -> Result<Option<Modseq>, StoreError> {
        let from = keys::change(mailbox, Modseq(after.0.saturating_add(1)));
        let to = keys::change(mailbox, Modseq(u64::MAX));
        let (mut seen, mut found) = (0, None);
        self.tree.scan(Table::Change, &from, &to, &mut |key, _| {
            seen += 1;
            found = (seen == count).then(|| keys::read_change(key));
            Ok(if seen < count { Scan::Next } else { Scan::Stop })
        })?;
        Ok(found)
    }

    fn change_rows(
        &self,
        mailbox: MailboxId,
        after: Modseq,
        until: Modseq,
        limit: usize,
    ) -> Result<Vec<(Modseq, ChangeRow)>, StoreError> {
        let mut rows: Vec<(Modseq, ChangeRow)> = Vec::new();
        let Some(first) = after.0.checked_add(1) else { return Ok(rows) };
        if limit == 0 || first > until.0 {
            return Ok(rows);
        }
        let from = keys::change(mailbox, Modseq(first));
        let to = keys::change(mailbox, until);
        self.tree.scan(Table::Change, &from, &to, &mut |key, value| {
            rows.push((keys::read_change(key), unpack(Table::Change, key, value)?));
            Ok(if rows.len() < limit { Scan::Next } else { Scan::Stop })
        })?;
        Ok(rows)
    }

    /// The change of a row; none if it is about a removed folder.
    fn change(
        &self,
        mailbox: MailboxId,
        modseq: Modseq,
        row: ChangeRow,
        folders: &BTreeMap<FolderId, FolderInfo>,
    ) -> Result<Option<Change>, StoreError> {
        let (ChangeRow::Folder { folder }
        | ChangeRow::Message { folder, .. }
        | ChangeRow::Expunge { folder, .. }) = row;
        let Some(info) = folders.get(&folder) else { return Ok(None) };
        let change = match row {
            ChangeRow::Folder { .. } => Change::Folder(info.clone()),
            ChangeRow::Expunge { uid, .. } => Change::Expunge { folder, uid, modseq },
            ChangeRow::Message { uid, .. } => {
                let key = keys::message(mailbox, folder, uid);
                let row: Option<MessageRow> = self.row(Table::Message, &key)?;
                let Some(MessageRow { message, .. }) = row else {
                    return Err(StoreError::Damaged {
                        place: format!("change {modseq} of mailbox number {mailbox}"),
                        cause: "what it names is not there".to_owned(),
                        remedy: "check the store; restore it, or its catalog, from a backup",
                    });
                };
                Change::Message { folder, message }
            }
        };
        Ok(Some(change))
    }

    /// Whether the change index leads from `message` back to it.
    pub(crate) fn is_indexed(
        &self,
        mailbox: MailboxId,
        folder: FolderId,
        message: &Message,
    ) -> Result<bool, StoreError> {
        let key = keys::change(mailbox, message.modseq);
        let row: Option<ChangeRow> = self.row(Table::Change, &key)?;
        Ok(row == Some(ChangeRow::Message { folder, uid: message.uid }))
    }

    /// The content of that number.
    pub(crate) fn content(&self, number: u64) -> Result<Option<ContentRow>, StoreError> {
        self.row(Table::Content, &keys::content(number))
    }

    /// Number and row of the content of that name.
    pub(crate) fn find_content(
        &self,
        content: &ContentId,
    ) -> Result<Option<(u64, ContentRow)>, StoreError> {
        let key = content.short();
        let Some(number) = self.row::<u64>(Table::Hash, &key)? else { return Ok(None) };
        let row = self.content(number)?.filter(|row| row.content == *content);
        Ok(row.map(|row| (number, row)))
    }

    /// Visits the contents with numbers from `first` on.
    pub(crate) fn contents(
        &self,
        first: u64,
        visit: &mut dyn FnMut(u64, ContentRow) -> Result<Scan, StoreError>,
    ) -> Result<(), StoreError> {
        self.tree.scan(Table::Content, &keys::content(first), &[0xff; 8], &mut |key, value| {
            let row: ContentRow = unpack(Table::Content, key, value)?;
            visit(u64::from_be_bytes(key.try_into().expect("the width of the table")), row)
        })
    }

    /// The segments, by number.
    pub(crate) fn segments(&self) -> Result<Vec<(u32, SegmentRow)>, StoreError> {
        let mut segments = Vec::new();
        self.tree.scan(Table::Segment, &[0; 4], &[0xff; 4], &mut |key, value| {
            segments.push((keys::number(key), unpack(Table::Segment, key, value)?));
            Ok(Scan::Next)
        })?;
        Ok(segments)
    }
}
