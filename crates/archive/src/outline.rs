//! Outlines: what the archive knows of mailboxes.
//!
//! They come before the contents, so that an archive whose end is lost still names what it lost.

mod apply;
mod codec;

pub(crate) use apply::apply;
pub(crate) use codec::{EncodedPart, OutlineEncoder, decode_part};

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::ids::ContentId;

/// A mailbox: its settings, folders and messages, without the messages' bytes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct MailboxOutline {
    /// Name.
    pub name: String,
    /// Settings of any kind.
    pub attributes: BTreeMap<String, String>,
    /// Folders the owner subscribed to.
    pub subscriptions: Vec<String>,
    /// The highest modification sequence number given out, on deleted things too.
    pub highest_modseq: u64,
    /// Folders; all of them in outlines of every kind.
    pub folders: Vec<FolderOutline>,
    /// Present if the messages are those that changed since the backup's base alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub changes: Option<OutlineChanges>,
}

/// What makes an outline one of changes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct OutlineChanges {
    /// The base's highest modification sequence number of this mailbox: everything after it is
    /// here.
    pub since: u64,
    /// What went, by modification sequence number.
    pub expunges: Vec<ExpungeOutline>,
}

/// A message that went, or a folder that lost its name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExpungeOutline {
    /// The folder, by the name that it has now.
    pub folder: String,
    /// The message's UID. 0 is the folder itself: it went; or, if a second entry with the same
    /// number below follows, it got that entry's name.
    pub uid: u32,
    /// Modification sequence number of the change.
    pub modseq: u64,
}

/// A folder of a mailbox.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct FolderOutline {
    /// Name, unique in its mailbox.
    pub name: String,
    /// UIDVALIDITY of RFC 9051.
    pub uidvalidity: u32,
    /// The next UID to be given.
    pub uidnext: u32,
    /// Modification sequence number of the folder itself.
    pub modseq: u64,
    /// Settings of any kind.
    pub attributes: BTreeMap<String, String>,
    /// Messages.
    pub messages: Vec<MessageOutline>,
}

/// A message of a folder.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MessageOutline {
    /// UID, unique in its folder.
    pub uid: u32,
    /// Modification sequence number of its last change.
    pub modseq: u64,
    /// Flags; the archive gives the bits no meaning.
    pub flags: u16,
    /// Keywords.
    pub keywords: Vec<String>,
    /// When it came, seconds since 1970.
    pub internal_date_seconds: i64,
    /// Size of its content.
    pub size_bytes: u64,
    /// Its content.
    pub content: ContentId,
    /// Where an import found it.
    pub origin: Option<String>,
}

/// One record of an outline; a large mailbox takes several.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OutlinePart {
    /// Number of the mailbox in the backup, from 0 in the order they were outlined.
    pub mailbox: u32,
    /// Number of the part, from 0.
    pub part: u32,
    /// Whether it is the mailbox's last part.
    pub last: bool,
    /// Messages of this mailbox in the parts before.
    pub messages_before: u64,
    /// What the part holds. Attributes and subscriptions are in part 0 alone; a folder that began
    /// in the part before comes again, with the same name, numbers and attributes.
    pub outline: MailboxOutline,
}

impl MailboxOutline {
    /// Adds `next`, the part that follows the ones added so far.
    pub(crate) fn extend(&mut self, next: MailboxOutline) {
        let mut folders = next.folders.into_iter().peekable();
        if let Some(last) = self.folders.last_mut()
            && let Some(mut same) = folders.next_if(|first| first.name == last.name)
        {
            last.messages.append(&mut same.messages);
        }
        self.folders.extend(folders);
        if let (Some(changes), Some(mut more)) = (&mut self.changes, next.changes) {
            changes.expunges.append(&mut more.expunges);
        }
    }

    /// How many messages it names.
    #[must_use]
    pub fn messages(&self) -> u64 {
        self.folders.iter().map(|folder| folder.messages.len() as u64).sum()
    }
}
