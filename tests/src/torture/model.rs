//! What a store should hold after each call, and what one does hold.

use std::collections::BTreeMap;

use rehome::parts::store::{ContentId, Flags, MailboxState, Snapshot, Store, StoreError, Uid};

/// A message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Row {
    pub(super) content: ContentId,
    pub(super) flags: Flags,
    pub(super) modseq: u64,
}

/// A folder: its next UID and its messages.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Folder {
    pub(super) uidnext: u32,
    pub(super) messages: BTreeMap<u32, Row>,
}

/// A mailbox.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Mailbox {
    pub(super) state: MailboxState,
    pub(super) modseq: u64,
    pub(super) subscriptions: Vec<String>,
    pub(super) folders: BTreeMap<String, Folder>,
}

/// A store.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Model {
    pub(super) mailboxes: BTreeMap<String, Mailbox>,
}

/// How one model differs from another.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Difference {
    /// Messages that are not there.
    pub(super) lost: u64,
    /// Contents that a folder has more often.
    pub(super) doubled: u64,
    /// Messages with other bytes or flags.
    pub(super) altered: u64,
}

impl Model {
    /// What `store` holds, every body read and compared with its name.
    pub(super) fn of(store: &Store) -> Result<Model, StoreError> {
        let snapshot = store.snapshot()?;
        let mut model = Model::default();
        for info in snapshot.mailboxes()? {
            let mut folders = BTreeMap::new();
            for folder in snapshot.folders(info.id)? {
                let messages = rows(store, &snapshot, info.id, folder.id)?;
                let content = Folder { uidnext: folder.uidnext.0, messages };
                folders.insert(folder.name.to_string(), content);
            }
            let (state, modseq) = (info.state, info.highest_modseq.0);
            let mailbox = Mailbox { state, modseq, subscriptions: info.subscriptions, folders };
            model.mailboxes.insert(info.name.to_string(), mailbox);
        }
        Ok(model)
    }

    /// What `found` lacks, has twice, or has otherwise, of what is in `self`.
    pub(super) fn difference(&self, found: &Model) -> Difference {
        let mut difference = Difference::default();
        for (name, mailbox) in &self.mailboxes {
            for (folder, wanted) in &mailbox.folders {
                let there = found.mailboxes.get(name).and_then(|there| there.folders.get(folder));
                difference.add(wanted, there.unwrap_or(&Folder::default()));
            }
        }
        difference
    }
}

impl Difference {
    fn add(&mut self, wanted: &Folder, found: &Folder) {
        for (uid, row) in &wanted.messages {
            match found.messages.get(uid) {
                None => self.lost += 1,
                Some(there) if there.content != row.content || there.flags != row.flags => {
                    self.altered += 1;
                }
                Some(_) => {}
            }
        }
        let extra = found.messages.iter().filter(|(uid, _)| !wanted.messages.contains_key(uid));
        let again = |row: &Row| wanted.messages.values().any(|had| had.content == row.content);
        self.doubled += extra.filter(|(_, row)| again(row)).count() as u64;
    }
}

/// The messages of a folder, every body read.
fn rows(
    store: &Store,
    snapshot: &Snapshot,
    mailbox: rehome::parts::store::MailboxId,
    folder: rehome::parts::store::FolderId,
) -> Result<BTreeMap<u32, Row>, StoreError> {
    let mut rows = BTreeMap::new();
    for message in snapshot.messages(mailbox, folder, Uid(0), usize::MAX)? {
        let body = store.body(&message.content)?;
        if ContentId::of(&body) != message.content {
            return Err(StoreError::Damaged {
                place: format!("message {} of the torture run", message.uid),
                cause: "its bytes have another BLAKE3 than its name".to_owned(),
                remedy: "this is an error of the store",
            });
        }
        let (content, flags, modseq) = (message.content, message.flags, message.modseq.0);
        rows.insert(message.uid.0, Row { content, flags, modseq });
    }
    Ok(rows)
}
