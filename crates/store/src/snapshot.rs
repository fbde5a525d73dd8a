//! A consistent view of the catalog.

use rehome_log::Lsn;

use crate::error::StoreError;
use crate::model::{
    Change, ContentId, Extent, FolderId, FolderInfo, MailboxId, MailboxInfo, MailboxName, Message,
    Modseq, Uid,
};

/// The catalog as of one LSN. Clones are handles to the same view; it does not hinder writers.
#[derive(Clone)]
pub struct Snapshot {}

impl Snapshot {
    /// The last group in it.
    pub fn lsn(&self) -> Lsn {
        Lsn::ZERO
    }
    /// All mailboxes, by number.
    pub fn mailboxes(&self) -> Result<Vec<MailboxInfo>, StoreError> {
        Err(StoreError::Closed)
    }
    /// The mailbox of that name.
    pub fn mailbox(&self, name: &MailboxName) -> Result<Option<MailboxInfo>, StoreError> {
        let _ = name;
        Err(StoreError::Closed)
    }
    /// All folders of a mailbox, by number.
    pub fn folders(&self, mailbox: MailboxId) -> Result<Vec<FolderInfo>, StoreError> {
        let _ = mailbox;
        Err(StoreError::Closed)
    }
    /// At most `limit` messages of a folder with UIDs above `after`, by UID.
    pub fn messages(
        &self,
        mailbox: MailboxId,
        folder: FolderId,
        after: Uid,
        limit: usize,
    ) -> Result<Vec<Message>, StoreError> {
        let _ = (mailbox, folder, after, limit);
        Err(StoreError::Closed)
    }
    /// At most `limit` changes above `after`, by modseq.
    pub fn changes(
        &self,
        mailbox: MailboxId,
        after: Modseq,
        limit: usize,
    ) -> Result<Vec<Change>, StoreError> {
        let _ = (mailbox, after, limit);
        Err(StoreError::Closed)
    }
    /// Where the record of a content lies.
    pub fn locate(&self, content: &ContentId) -> Result<Option<Extent>, StoreError> {
        let _ = content;
        Err(StoreError::Closed)
    }
}
