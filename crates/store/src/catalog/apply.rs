//! Applying groups to the catalog, in LSN order, in one transaction.

mod content;
mod message;
mod receive;
mod remove;
mod restore;

use std::collections::BTreeMap;

use rehome_log::Lsn;

use super::keys;
use super::rows::{
    ChangeRow, ContentRow, FolderRow, MailboxRow, MetaRow, RemovedFolderRow, SegmentRow, pack,
    unpack,
};
use crate::background::Background;
use crate::error::StoreError;
use crate::model::{FolderId, MailboxId, MailboxName, MailboxState, Modseq, Uid};
use crate::op::{Group, MadeFolder, Op};
use crate::tree::{Batch, Table};

/// Applies `groups`, each with its LSN; those at or below what the catalog holds are passed over.
pub(crate) fn apply_groups(tree: &mut Batch, groups: &[(Lsn, Group)]) -> Result<(), StoreError> {
    let mut applier = Applier::new(tree)?;
    let mut background = Background::of_this_thread();
    for (lsn, group) in groups {
        if *lsn > applier.meta.applied {
            for op in &group.ops {
                applier.apply(*lsn, op)?;
                background.step();
            }
            applier.meta.applied = *lsn;
        }
    }
    applier.finish();
    Ok(())
}

/// A transaction with the rows that many operations change, written when it ends.
struct Applier<'t> {
    tree: &'t mut Batch,
    meta: MetaRow,
    mailboxes: BTreeMap<MailboxId, MailboxRow>,
    folders: BTreeMap<(MailboxId, FolderId), FolderRow>,
    removed_folders: BTreeMap<(MailboxId, FolderId), RemovedFolderRow>,
    contents: BTreeMap<u64, HeldContent>,
    segments: BTreeMap<u32, SegmentRow>,
    used: BTreeMap<(MailboxId, FolderId), Used>,
}

/// A content's row, and since when it was dead before this transaction.
struct HeldContent {
    row: ContentRow,
    was_dead_since: Option<Lsn>,
}

/// The UIDs in a folder that messages have or had.
#[derive(Default)]
struct Used {
    /// None above this one before this transaction, if that was asked.
    before: Option<Uid>,
    /// The highest in this transaction.
    here: Uid,
}

/// The catalog contradicts the log.
fn contradiction(lsn: Lsn, cause: String) -> StoreError {
    StoreError::Damaged {
        place: format!("group {lsn} of the log"),
        cause,
        remedy: "restore the store from a backup",
    }
}

impl<'t> Applier<'t> {
    fn new(tree: &'t mut Batch) -> Result<Applier<'t>, StoreError> {
        let meta = tree.get(Table::Meta, &keys::META)?;
        let meta = meta.map(|row| unpack(Table::Meta, &keys::META, &row)).transpose()?;
        Ok(Applier {
            tree,
            meta: meta.unwrap_or_default(),
            mailboxes: BTreeMap::new(),
            folders: BTreeMap::new(),
            removed_folders: BTreeMap::new(),
            contents: BTreeMap::new(),
            segments: BTreeMap::new(),
            used: BTreeMap::new(),
        })
    }

    fn apply(&mut self, lsn: Lsn, op: &Op) -> Result<(), StoreError> {
        match op {
            Op::PutContent { number, content, extent, size_bytes } => {
                self.put_content(lsn, *number, *content, *extent, *size_bytes)
            }
            Op::SealSegment { segment, len_bytes, .. } => self.seal_segment(*segment, *len_bytes),
            Op::CreateMailbox { mailbox, name, state } => {
                self.create_mailbox(*mailbox, name, state)
            }
            Op::SetState { mailbox, state } => {
                self.mailbox(lsn, *mailbox)?.state = state.clone();
                Ok(())
            }
            Op::SetSubscriptions { mailbox, subscriptions, modseq } => {
                let row = self.touch(lsn, *mailbox, *modseq)?;
                row.subscriptions.clone_from(subscriptions);
                Ok(())
            }
            Op::SetAttribute { mailbox, key, value, modseq } => {
                let row = self.touch(lsn, *mailbox, *modseq)?;
                set_attribute(&mut row.attributes, key, value.as_ref());
                Ok(())
            }
            Op::CreateFolder { mailbox, folder, made } => {
                self.create_folder(lsn, *mailbox, *folder, made)
            }
            Op::Append { mailbox, folder, number, message } => {
                self.insert_message(lsn, (*mailbox, *folder), *number, message)
            }
            Op::ChangeFlags { mailbox, folder, uid, modseq, change } => {
                self.change_flags(lsn, (*mailbox, *folder), *uid, *modseq, change)
            }
            Op::Expunge { mailbox, folder, uid, modseq } => {
                self.expunge(lsn, (*mailbox, *folder), *uid, *modseq)
            }
            Op::MoveContent { number, extent } => self.move_content(*number, *extent),
            Op::FreeContent { number } => self.free_content(*number),
            Op::DropSegment { segment } => self.drop_segment(*segment),
            Op::KeepContent { number } => self.keep_content(lsn, *number),
            other => self.apply_rest(lsn, other),
        }
    }

    fn apply_rest(&mut self, lsn: Lsn, op: &Op) -> Result<(), StoreError> {
        match op {
            Op::Remove { mailbox, folder, uid, modseq, removed_seconds } => {
                self.remove(lsn, (*mailbox, *folder), *uid, *modseq, *removed_seconds)
            }
            Op::Copy { from, to } => self.copy(lsn, *from, *to),
            Op::Undelete { mailbox, removed, to } => self.undelete(lsn, *mailbox, *removed, *to),
            Op::Take { from, to } => self.take(lsn, *from, *to),
            Op::DeleteFolder { mailbox, folder, modseq, removed_seconds } => {
                self.delete_folder(lsn, (*mailbox, *folder), *modseq, *removed_seconds)
            }
            Op::RenameFolder { mailbox, folder, name, uidvalidity, modseq } => {
                self.rename_folder(lsn, (*mailbox, *folder), name, *uidvalidity, *modseq)
            }
            Op::NoteFolderStep { mailbox, modseq, from, to } => {
                self.touch(lsn, *mailbox, *modseq)?;
                self.put_step(*mailbox, *modseq, from, to.as_ref())
            }
            Op::DeleteMailbox { mailbox, folders, removed_seconds } => {
                self.delete_mailbox(lsn, *mailbox, folders, *removed_seconds)
            }
            Op::RenameMailbox { mailbox, name, uidvalidity } => {
                self.rename_mailbox(lsn, *mailbox, name, *uidvalidity)
            }
            Op::RestoreMailbox { mailbox, name, folders } => {
                self.restore_mailbox(lsn, *mailbox, name, folders)
            }
            Op::Purge(purge) => self.purge(lsn, purge),
            received => self.receive(lsn, received),
        }
    }

    fn create_mailbox(
        &mut self,
        id: MailboxId,
        name: &MailboxName,
        state: &MailboxState,
    ) -> Result<(), StoreError> {
        let row = MailboxRow {
            name: name.clone(),
            state: state.clone(),
            subscriptions: Vec::new(),
            attributes: BTreeMap::new(),
            highest_modseq: Modseq(0),
            messages: 0,
            bytes: 0,
            cursor: None,
        };
        self.mailboxes.insert(id, row);
        self.meta.mailboxes += 1;
        self.meta.next_mailbox = self.meta.next_mailbox.max(id.0.saturating_add(1));
        self.tree.put(Table::MailboxName, name.as_str().as_bytes(), &id.0.to_be_bytes());
        Ok(())
    }

    fn create_folder(
        &mut self,
        lsn: Lsn,
        mailbox: MailboxId,
        folder: FolderId,
        made: &MadeFolder,
    ) -> Result<(), StoreError> {
        let row = FolderRow {
            name: made.name.clone(),
            uidvalidity: made.uidvalidity,
            uidnext: made.uidnext,
            messages: 0,
            bytes: 0,
            attributes: made.attributes.iter().cloned().collect(),
            modseq: made.modseq,
        };
        self.folders.insert((mailbox, folder), row);
        self.meta.folders += 1;
        self.touch(lsn, mailbox, made.modseq)?;
        self.put_change(mailbox, made.modseq, ChangeRow::Folder { folder });
        let key = keys::folder_name(mailbox, made.name.as_str());
        self.tree.put(Table::FolderName, &key, &folder.0.to_be_bytes());
        Ok(())
    }

    /// The mailbox, to be changed.
    fn mailbox(&mut self, lsn: Lsn, id: MailboxId) -> Result<&mut MailboxRow, StoreError> {
        if !self.mailboxes.contains_key(&id) {
            let key = keys::mailbox(id);
            let Some(row) = self.tree.get(Table::Mailbox, &key)? else {
                return Err(contradiction(
                    lsn,
                    format!("it names mailbox {id}, unknown to the catalog"),
                ));
            };
            self.mailboxes.insert(id, unpack(Table::Mailbox, &key, &row)?);
        }
        Ok(self.mailboxes.get_mut(&id).expect("it was put there"))
    }

    /// The mailbox, to be changed at `modseq`.
    fn touch(
        &mut self,
        lsn: Lsn,
        id: MailboxId,
        modseq: Modseq,
    ) -> Result<&mut MailboxRow, StoreError> {
        let row = self.mailbox(lsn, id)?;
        row.highest_modseq = row.highest_modseq.max(modseq);
        Ok(row)
    }

    /// The folder, to be changed.
    fn folder(
        &mut self,
        lsn: Lsn,
        at: (MailboxId, FolderId),
    ) -> Result<&mut FolderRow, StoreError> {
        if !self.folders.contains_key(&at) {
            let key = keys::folder(at.0, at.1);
            let Some(row) = self.tree.get(Table::Folder, &key)? else {
                let cause =
                    format!("it names folder {} of mailbox {}, unknown to the catalog", at.1, at.0);
                return Err(contradiction(lsn, cause));
            };
            self.folders.insert(at, unpack(Table::Folder, &key, &row)?);
        }
        Ok(self.folders.get_mut(&at).expect("it was put there"))
    }

    fn put_change(&mut self, mailbox: MailboxId, modseq: Modseq, row: ChangeRow) {
        self.tree.put(Table::Change, &keys::change(mailbox, modseq), &pack(&row));
    }

    fn remove_change(&mut self, mailbox: MailboxId, modseq: Modseq) {
        self.tree.remove(Table::Change, &keys::change(mailbox, modseq));
    }

    /// Counts a message in or out.
    fn count(
        &mut self,
        lsn: Lsn,
        at: (MailboxId, FolderId),
        size_bytes: u64,
        way: Count,
    ) -> Result<(), StoreError> {
        let one_way = |messages: &mut u64, bytes: &mut u64| match way {
            Count::In => {
                *messages += 1;
                *bytes += size_bytes;
            }
            Count::Out => {
                *messages = messages.saturating_sub(1);
                *bytes = bytes.saturating_sub(size_bytes);
            }
        };
        let folder = self.folder(lsn, at)?;
        one_way(&mut folder.messages, &mut folder.bytes);
        let mailbox = self.mailbox(lsn, at.0)?;
        one_way(&mut mailbox.messages, &mut mailbox.bytes);
        one_way(&mut self.meta.messages, &mut self.meta.message_bytes);
        Ok(())
    }

    /// No message gets `uid` from now on.
    fn use_uid(&mut self, lsn: Lsn, at: (MailboxId, FolderId), uid: Uid) -> Result<(), StoreError> {
        let folder = self.folder(lsn, at)?;
        folder.uidnext = folder.uidnext.max(Uid(uid.0.saturating_add(1)));
        Ok(())
    }

    /// Writes the rows that were kept back.
    fn finish(self) {
        let tree = self.tree;
        for (id, row) in &self.mailboxes {
            tree.put(Table::Mailbox, &keys::mailbox(*id), &pack(row));
        }
        for ((mailbox, folder), row) in &self.folders {
            tree.put(Table::Folder, &keys::folder(*mailbox, *folder), &pack(row));
        }
        for ((mailbox, folder), row) in &self.removed_folders {
            tree.put(Table::RemovedFolder, &keys::folder(*mailbox, *folder), &pack(row));
        }
        for (number, HeldContent { row, was_dead_since }) in &self.contents {
            tree.put(Table::Content, &keys::content(*number), &pack(row));
            if *was_dead_since == row.dead_since {
                continue;
            }
            if let Some(since) = was_dead_since {
                tree.remove(Table::Dead, &keys::dead(*since, *number));
            }
            if let Some(since) = row.dead_since {
                tree.put(Table::Dead, &keys::dead(since, *number), &[]);
            }
        }
        for (segment, row) in &self.segments {
            tree.put(Table::Segment, &keys::segment(*segment), &pack(row));
        }
        tree.put(Table::Meta, &keys::META, &pack(&self.meta));
    }
}

/// Which way a message goes.
#[derive(Clone, Copy)]
enum Count {
    In,
    Out,
}

fn set_attribute(attributes: &mut BTreeMap<String, String>, key: &str, value: Option<&String>) {
    match value {
        Some(value) => attributes.insert(key.to_owned(), value.clone()),
        None => attributes.remove(key),
    };
}
