//! A consistent view of the catalog.

use std::sync::Arc;

use rehome_log::Lsn;

use crate::catalog::View;
use crate::error::StoreError;
use crate::model::{
    Change, ContentId, Extent, FolderId, FolderInfo, FolderStep, MailboxId, MailboxInfo,
    MailboxName, Message, Modseq, Uid,
};
use crate::segment::Segments;

/// The catalog as of one group of the log. Clones are handles to the same view.
///
/// It does not hinder writers and they do not change it; the room of rows that went since is given
/// back when it is dropped. It can be used after the store was closed only as far as what it reads
/// is in memory: drop it before.
#[derive(Clone)]
pub struct Snapshot {
    view: Arc<View>,
    segments: Arc<Segments>,
    lsn: Lsn,
}

impl std::fmt::Debug for Snapshot {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Snapshot").field("lsn", &self.lsn).finish_non_exhaustive()
    }
}

/// Errors of all its calls: [`StoreError::Catalog`], and [`StoreError::Damaged`] for a damaged row.
impl Snapshot {
    pub(crate) fn new(view: View, segments: Arc<Segments>) -> Result<Snapshot, StoreError> {
        let lsn = view.meta()?.applied;
        Ok(Snapshot { view: Arc::new(view), segments, lsn })
    }

    /// The last group in it.
    #[must_use]
    pub fn lsn(&self) -> Lsn {
        self.lsn
    }

    /// All mailboxes, by number.
    ///
    /// # Errors
    ///
    /// Those of all its calls.
    pub fn mailboxes(&self) -> Result<Vec<MailboxInfo>, StoreError> {
        self.view.mailboxes()
    }

    /// The mailbox of that name.
    ///
    /// # Errors
    ///
    /// Those of all its calls.
    pub fn mailbox(&self, name: &MailboxName) -> Result<Option<MailboxInfo>, StoreError> {
        let Some(id) = self.view.mailbox_id(name)? else { return Ok(None) };
        self.view.mailbox(id)
    }

    /// All folders of a mailbox, by number.
    ///
    /// # Errors
    ///
    /// Those of all its calls.
    pub fn folders(&self, mailbox: MailboxId) -> Result<Vec<FolderInfo>, StoreError> {
        self.view.folders(mailbox)
    }

    /// At most `limit` messages of a folder with UIDs above `after`, by UID.
    ///
    /// # Errors
    ///
    /// Those of all its calls.
    pub fn messages(
        &self,
        mailbox: MailboxId,
        folder: FolderId,
        after: Uid,
        limit: usize,
    ) -> Result<Vec<Message>, StoreError> {
        self.view.messages(mailbox, folder, after, limit)
    }

    /// At most `limit` changes of a mailbox above `after`, by modseq. Of a message or folder that
    /// changed several times only the last change is there, with what it is now.
    ///
    /// # Errors
    ///
    /// Those of all its calls.
    pub fn changes(
        &self,
        mailbox: MailboxId,
        after: Modseq,
        limit: usize,
    ) -> Result<Vec<Change>, StoreError> {
        self.view.changes(mailbox, after, Modseq(u64::MAX), limit)
    }

    /// The same, up to `until`.
    pub(crate) fn changes_until(
        &self,
        mailbox: MailboxId,
        after: Modseq,
        until: Modseq,
        limit: usize,
    ) -> Result<Vec<Change>, StoreError> {
        self.view.changes(mailbox, after, until, limit)
    }

    /// The catalog itself.
    pub(crate) fn view(&self) -> &View {
        &self.view
    }

    /// What became of the names of a mailbox's folders after `after`, in order.
    ///
    /// # Errors
    ///
    /// Those of all its calls.
    pub fn folder_steps(
        &self,
        mailbox: MailboxId,
        after: Modseq,
    ) -> Result<Vec<FolderStep>, StoreError> {
        self.view.folder_steps(mailbox, after, usize::MAX)
    }

    /// The bytes of a content, checked. They can be read as long as the snapshot is held, whatever
    /// is deleted and compacted meanwhile.
    ///
    /// # Errors
    ///
    /// [`StoreError::NoSuchContent`], [`StoreError::Damaged`], [`StoreError::Io`], and those of all
    /// its calls.
    pub fn body(&self, content: &ContentId) -> Result<Vec<u8>, StoreError> {
        let found = self.view.find_content(content)?;
        let (_, row) = found.ok_or(StoreError::NoSuchContent { content: *content })?;
        self.segments.body(row.extent, content)
    }

    /// Where the record of a content lies. The place is good as long as the snapshot is held.
    ///
    /// # Errors
    ///
    /// Those of all its calls.
    pub fn locate(&self, content: &ContentId) -> Result<Option<Extent>, StoreError> {
        Ok(self.view.find_content(content)?.map(|(_, row)| row.extent))
    }
}
