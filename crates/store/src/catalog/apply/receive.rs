//! What comes from another store. Applying it again changes nothing: the higher modseq stays.

use rehome_log::Lsn;

use super::{Applier, contradiction};
use crate::catalog::keys;
use crate::catalog::rows::{ChangeRow, unpack};
use crate::error::StoreError;
use crate::model::{FolderId, IncomingFolder, MailboxId, Message, Modseq, Uid};
use crate::op::{MadeFolder, Op};
use crate::tree::Table;

impl Applier<'_> {
    pub(super) fn receive(&mut self, lsn: Lsn, op: &Op) -> Result<(), StoreError> {
        match op {
            Op::ReceiveMailbox { mailbox, attributes, subscriptions } => {
                let row = self.mailbox(lsn, *mailbox)?;
                row.attributes = attributes.iter().cloned().collect();
                row.subscriptions.clone_from(subscriptions);
                Ok(())
            }
            Op::ReceiveFolder { mailbox, folder, incoming } => {
                self.receive_folder(lsn, (*mailbox, *folder), incoming)
            }
            Op::ReceiveMessage { mailbox, folder, message } => {
                self.receive_message(lsn, (*mailbox, *folder), message)
            }
            Op::ReceiveExpunge { mailbox, folder, uid, modseq } => {
                self.receive_expunge(lsn, (*mailbox, *folder), *uid, *modseq)
            }
            Op::ReceiveCursor { mailbox, cursor } => {
                self.touch(lsn, *mailbox, *cursor)?.cursor = Some(*cursor);
                Ok(())
            }
            other => Err(contradiction(lsn, format!("it cannot be received: {other:?}"))),
        }
    }

    fn receive_folder(
        &mut self,
        lsn: Lsn,
        at: (MailboxId, FolderId),
        incoming: &IncomingFolder,
    ) -> Result<(), StoreError> {
        let key = keys::folder_name(at.0, incoming.name.as_str());
        if self.tree.get(Table::FolderName, &key)?.is_none() {
            let made = MadeFolder {
                name: incoming.name.clone(),
                uidvalidity: incoming.uidvalidity,
                uidnext: incoming.uidnext,
                attributes: incoming.attributes.clone().into_iter().collect(),
                modseq: incoming.modseq,
            };
            return self.create_folder(lsn, at.0, at.1, &made);
        }
        let row = self.folder(lsn, at)?;
        row.uidnext = row.uidnext.max(incoming.uidnext);
        if incoming.modseq < row.modseq {
            return Ok(());
        }
        let old = row.modseq;
        row.modseq = incoming.modseq;
        row.uidvalidity = incoming.uidvalidity;
        row.attributes.clone_from(&incoming.attributes);
        if old != incoming.modseq {
            self.remove_folder_change(at, old)?;
        }
        self.touch(lsn, at.0, incoming.modseq)?;
        self.put_change(at.0, incoming.modseq, ChangeRow::Folder { folder: at.1 });
        Ok(())
    }

    /// Removes the folder's change at `modseq`, unless something else has that modseq.
    pub(super) fn remove_folder_change(
        &mut self,
        at: (MailboxId, FolderId),
        modseq: Modseq,
    ) -> Result<(), StoreError> {
        let key = keys::change(at.0, modseq);
        let Some(row) = self.tree.get(Table::Change, &key)? else { return Ok(()) };
        let row: ChangeRow = unpack(Table::Change, &key, &row)?;
        if row == (ChangeRow::Folder { folder: at.1 }) {
            self.remove_change(at.0, modseq);
        }
        Ok(())
    }

    fn receive_message(
        &mut self,
        lsn: Lsn,
        at: (MailboxId, FolderId),
        message: &Message,
    ) -> Result<(), StoreError> {
        self.use_uid(lsn, at, message.uid)?;
        if self.is_beyond(at, message.uid)? {
            // Neither was it ever here, nor did it go.
        } else if let Some(row) = self.message(at, message.uid)? {
            if row.message.modseq >= message.modseq {
                return Ok(());
            }
            self.remove_message(lsn, at, &row)?;
        } else if self.gone(at, message.uid)?.is_some_and(|gone| gone >= message.modseq) {
            return Ok(());
        }
        let Some(number) = self.find_number(&message.content)? else {
            let cause = format!(
                "message {} of folder {} of mailbox {} has content {}, which is not there",
                message.uid, at.1, at.0, message.content
            );
            return Err(contradiction(lsn, cause));
        };
        self.insert_message(lsn, at, number, message)
    }

    fn receive_expunge(
        &mut self,
        lsn: Lsn,
        at: (MailboxId, FolderId),
        uid: Uid,
        modseq: Modseq,
    ) -> Result<(), StoreError> {
        self.use_uid(lsn, at, uid)?;
        self.touch(lsn, at.0, modseq)?;
        if let Some(row) = self.message(at, uid)? {
            if row.message.modseq > modseq {
                return Ok(());
            }
            self.remove_message(lsn, at, &row)?;
        }
        match self.gone(at, uid)? {
            Some(gone) if gone >= modseq => return Ok(()),
            Some(gone) => self.remove_change(at.0, gone),
            None => {}
        }
        self.put_gone(at, uid, modseq);
        Ok(())
    }
}
