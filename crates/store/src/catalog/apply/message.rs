//! Messages: in, changed, out.

use rehome_log::Lsn;

use super::{Applier, Count};
use crate::catalog::keys;
use crate::catalog::rows::{ChangeRow, MessageRow, pack, unpack};
use crate::error::StoreError;
use crate::model::{FlagChange, FolderId, MailboxId, Message, Modseq, Uid};
use crate::tree::Table;

impl Applier<'_> {
    /// A message that the folder does not have.
    pub(super) fn insert_message(
        &mut self,
        lsn: Lsn,
        at: (MailboxId, FolderId),
        number: u64,
        message: &Message,
    ) -> Result<(), StoreError> {
        self.refer(lsn, number)?;
        self.count(lsn, at, message.size_bytes, Count::In)?;
        self.use_uid(lsn, at, message.uid)?;
        self.put_message(lsn, at, &MessageRow { number, message: message.clone() })
    }

    pub(super) fn change_flags(
        &mut self,
        lsn: Lsn,
        at: (MailboxId, FolderId),
        uid: Uid,
        modseq: Modseq,
        change: &FlagChange,
    ) -> Result<(), StoreError> {
        self.touch(lsn, at.0, modseq)?;
        let Some(mut row) = self.message(at, uid)? else { return Ok(()) };
        self.remove_change(at.0, row.message.modseq);
        row.message.modseq = modseq;
        change.apply(&mut row.message.flags, &mut row.message.keywords);
        self.put_message(lsn, at, &row)
    }

    pub(super) fn expunge(
        &mut self,
        lsn: Lsn,
        at: (MailboxId, FolderId),
        uid: Uid,
        modseq: Modseq,
    ) -> Result<(), StoreError> {
        self.touch(lsn, at.0, modseq)?;
        let Some(row) = self.message(at, uid)? else { return Ok(()) };
        self.remove_message(lsn, at, &row)?;
        self.put_gone(at, uid, modseq);
        Ok(())
    }

    /// The message is gone since `modseq`.
    pub(super) fn put_gone(&mut self, at: (MailboxId, FolderId), uid: Uid, modseq: Modseq) {
        self.tree.put(Table::Gone, &keys::message(at.0, at.1, uid), &pack(&modseq));
        self.use_here(at, uid);
        self.put_change(at.0, modseq, ChangeRow::Expunge { folder: at.1, uid })
    }

    /// When the message went, if it did.
    pub(super) fn gone(
        &mut self,
        at: (MailboxId, FolderId),
        uid: Uid,
    ) -> Result<Option<Modseq>, StoreError> {
        let key = keys::message(at.0, at.1, uid);
        let row = self.tree.get(Table::Gone, &key)?;
        row.map(|row| unpack(Table::Gone, &key, &row)).transpose()
    }

    pub(super) fn message(
        &mut self,
        at: (MailboxId, FolderId),
        uid: Uid,
    ) -> Result<Option<MessageRow>, StoreError> {
        let key = keys::message(at.0, at.1, uid);
        let row = self.tree.get(Table::Message, &key)?;
        row.map(|row| unpack(Table::Message, &key, &row)).transpose()
    }

    /// Writes the row and its change; an earlier change must be gone already.
    pub(super) fn put_message(
        &mut self,
        lsn: Lsn,
        at: (MailboxId, FolderId),
        row: &MessageRow,
    ) -> Result<(), StoreError> {
        let (uid, modseq) = (row.message.uid, row.message.modseq);
        self.touch(lsn, at.0, modseq)?;
        self.put_change(at.0, modseq, ChangeRow::Message { folder: at.1, uid });
        self.tree.put(Table::Message, &keys::message(at.0, at.1, uid), &pack(row));
        self.use_here(at, uid);
        Ok(())
    }

    /// Whether no message of the folder with that UID or a higher one ever was in the catalog. One
    /// look for each folder and transaction tells it of all messages that come in their order.
    pub(super) fn is_beyond(
        &mut self,
        at: (MailboxId, FolderId),
        uid: Uid,
    ) -> Result<bool, StoreError> {
        let used = self.used.entry(at).or_default();
        let before = match used.before {
            Some(before) => before,
            None => {
                let from = keys::message(at.0, at.1, uid);
                let to = keys::message(at.0, at.1, Uid(u32::MAX));
                let there = self.tree.had_any(Table::Message, &from, &to)?
                    || self.tree.had_any(Table::Gone, &from, &to)?;
                let before = if there { Uid(u32::MAX) } else { Uid(uid.0.saturating_sub(1)) };
                *used.before.insert(before)
            }
        };
        Ok(uid > before.max(used.here))
    }

    /// There is or was a message with that UID from now on.
    fn use_here(&mut self, at: (MailboxId, FolderId), uid: Uid) {
        let used = self.used.entry(at).or_default();
        used.here = used.here.max(uid);
    }

    /// Takes the row, its change and its reference away.
    pub(super) fn remove_message(
        &mut self,
        lsn: Lsn,
        at: (MailboxId, FolderId),
        row: &MessageRow,
    ) -> Result<(), StoreError> {
        self.remove_change(at.0, row.message.modseq);
        self.tree.remove(Table::Message, &keys::message(at.0, at.1, row.message.uid));
        self.count(lsn, at, row.message.size_bytes, Count::Out)?;
        self.release(lsn, row.number)
    }
}
