//! How far a backup shows each mailbox: what a later one needs to know to hold changes alone.

use std::collections::BTreeMap;

use crate::bytes::{Fields, Malformed, put_len, put_u32, put_u64};
use crate::ids::SetId;
use crate::outline::MailboxOutline;

/// The stream that holds them.
pub(crate) const STREAM: &str = "cursors";
/// Version of the bytes.
const VERSION: u32 = 1;

/// How far a backup shows each of its mailboxes.
///
/// It has hashes in place of names, so that it may stay readable in an encrypted backup. They do
/// not keep a name from being guessed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cursors {
    salt: SetId,
    mailboxes: BTreeMap<[u8; 16], MailboxCursor>,
}

/// How far a backup shows a mailbox.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MailboxCursor {
    /// The store's number of the mailbox, so that another one of the same name is noticed.
    pub number: u32,
    /// The highest modification sequence number that is in the backup.
    pub highest_modseq: u64,
    folders: BTreeMap<[u8; 16], u32>,
}

impl Cursors {
    /// None yet, for a backup in set `salt`.
    #[must_use]
    pub fn new(salt: SetId) -> Cursors {
        Cursors { salt, mailboxes: BTreeMap::new() }
    }

    fn key(&self, mailbox: &str, folder: &str) -> [u8; 16] {
        let mut hasher = blake3::Hasher::new();
        hasher.update(&self.salt.0).update(&(mailbox.len() as u64).to_le_bytes());
        hasher.update(mailbox.as_bytes()).update(folder.as_bytes());
        let mut key = [0; 16];
        key.copy_from_slice(&hasher.finalize().as_bytes()[..16]);
        key
    }

    /// States how far mailbox `name` is shown: its folders with their UIDNEXT.
    pub fn insert<'a>(
        &mut self,
        name: &str,
        number: u32,
        highest_modseq: u64,
        folders: impl IntoIterator<Item = (&'a str, u32)>,
    ) {
        let folders = folders.into_iter().map(|(folder, next)| (self.key(name, folder), next));
        let cursor = MailboxCursor { number, highest_modseq, folders: folders.collect() };
        self.mailboxes.insert(self.key(name, ""), cursor);
    }

    /// States that mailbox `name` is shown as `base` shows it.
    pub fn keep(&mut self, name: &str, base: &MailboxCursor) {
        self.mailboxes.insert(self.key(name, ""), base.clone());
    }

    /// How far mailbox `name` is shown; `None` if it is not.
    #[must_use]
    pub fn mailbox(&self, name: &str) -> Option<&MailboxCursor> {
        self.mailboxes.get(&self.key(name, ""))
    }

    /// Messages of `folder` with lower UIDs than this are in the backup with these cursors, and
    /// so are their contents, where `outline` is of the changes since. 0 if nothing is known of
    /// them: the outline is of everything, or the folder is not the one that had this name.
    #[must_use]
    pub fn shown_below(&self, outline: &MailboxOutline, folder: &str) -> u32 {
        let Some(changes) = &outline.changes else { return 0 };
        if changes.expunges.iter().any(|entry| entry.uid == 0 && entry.folder == folder) {
            return 0;
        }
        self.uidnext(&outline.name, folder).unwrap_or(0)
    }

    fn uidnext(&self, mailbox: &str, folder: &str) -> Option<u32> {
        self.mailbox(mailbox)?.folders.get(&self.key(mailbox, folder)).copied()
    }

    /// How many mailboxes.
    #[must_use]
    pub fn len(&self) -> usize {
        self.mailboxes.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.mailboxes.is_empty()
    }

    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        put_u32(&mut bytes, VERSION);
        bytes.extend_from_slice(&self.salt.0);
        put_len(&mut bytes, self.mailboxes.len());
        for (key, cursor) in &self.mailboxes {
            bytes.extend_from_slice(key);
            put_u32(&mut bytes, cursor.number);
            put_u64(&mut bytes, cursor.highest_modseq);
            put_len(&mut bytes, cursor.folders.len());
            for (key, uidnext) in &cursor.folders {
                bytes.extend_from_slice(key);
                put_u32(&mut bytes, *uidnext);
            }
        }
        bytes
    }

    pub(crate) fn decode(bytes: &[u8]) -> Result<Cursors, Malformed> {
        let mut fields = Fields(bytes);
        if fields.u32()? != VERSION {
            return Err("the cursors are of a later version");
        }
        let mut cursors = Cursors::new(SetId(fields.array()?));
        for _ in 0..fields.u32()? {
            let key = fields.array()?;
            let (number, highest_modseq) = (fields.u32()?, fields.u64()?);
            let mut folders = BTreeMap::new();
            for _ in 0..fields.u32()? {
                folders.insert(fields.array()?, fields.u32()?);
            }
            cursors.mailboxes.insert(key, MailboxCursor { number, highest_modseq, folders });
        }
        Ok(cursors)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cursors_give_back_what_was_stated_and_hold_no_name() {
        let mut cursors = Cursors::new(SetId([3; 16]));
        cursors.insert("anna", 4, 17, [("INBOX", 9), ("Sent", 1)]);
        cursors.insert("bert", 5, 1, []);
        let bytes = cursors.encode();
        assert!(!bytes.windows(4).any(|four| four == b"anna"));
        let read = Cursors::decode(&bytes).unwrap();
        assert_eq!(read, cursors);
        assert_eq!(read.uidnext("anna", "INBOX"), Some(9));
        assert_eq!(read.uidnext("bert", "INBOX"), None);
        assert_eq!(read.mailbox("bert").map(|cursor| cursor.highest_modseq), Some(1));
        assert_eq!(read.mailbox("ann").map(|cursor| cursor.number), None);
        for cut in 0..bytes.len() {
            Cursors::decode(&bytes[..cut]).unwrap_err();
        }
    }
}
