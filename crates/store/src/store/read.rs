//! Reading.

use super::Store;
use crate::catalog::ContentRow;
use crate::content_run::ContentRun;
use crate::error::StoreError;
use crate::model::{
    ContentId, Extent, FolderId, FolderInfo, FolderName, MailboxId, MailboxInfo, MailboxName,
    Message, Modseq, Uid,
};
use crate::segment::stretches;

/// Each of these calls sees what was acknowledged before it. Errors that all of them share:
/// [`StoreError::Closed`], [`StoreError::Poisoned`] if the catalog cannot be brought up to date,
/// [`StoreError::Catalog`], and [`StoreError::Damaged`] for a damaged row.
impl Store {
    /// The mailbox of that name.
    ///
    /// # Errors
    ///
    /// Those that all reading shares.
    pub fn mailbox(&self, name: &MailboxName) -> Result<Option<MailboxInfo>, StoreError> {
        let view = self.engine.shared()?.view()?;
        let Some(id) = view.mailbox_id(name)? else { return Ok(None) };
        view.mailbox(id)
    }

    /// All mailboxes, by number.
    ///
    /// # Errors
    ///
    /// Those that all reading shares.
    pub fn mailboxes(&self) -> Result<Vec<MailboxInfo>, StoreError> {
        self.engine.shared()?.view()?.mailboxes()
    }

    /// The folder of that name; none if there is no such mailbox.
    ///
    /// # Errors
    ///
    /// Those that all reading shares.
    pub fn folder(
        &self,
        mailbox: MailboxId,
        name: &FolderName,
    ) -> Result<Option<FolderInfo>, StoreError> {
        let view = self.engine.shared()?.view_of(mailbox)?;
        let Some(folder) = view.folder_id(mailbox, name)? else { return Ok(None) };
        view.folder(mailbox, folder)
    }

    /// All folders of a mailbox, by number.
    ///
    /// # Errors
    ///
    /// Those that all reading shares.
    pub fn folders(&self, mailbox: MailboxId) -> Result<Vec<FolderInfo>, StoreError> {
        self.engine.shared()?.view_of(mailbox)?.folders(mailbox)
    }

    /// What the catalog says about a message.
    ///
    /// # Errors
    ///
    /// Those that all reading shares.
    pub fn message(
        &self,
        mailbox: MailboxId,
        folder: FolderId,
        uid: Uid,
    ) -> Result<Option<Message>, StoreError> {
        let view = self.engine.shared()?.view_of(mailbox)?;
        Ok(view.message(mailbox, folder, uid)?.map(|(message, _)| message))
    }

    /// At most `limit` messages of a folder with UIDs above `after`, by UID.
    ///
    /// # Errors
    ///
    /// Those that all reading shares.
    pub fn messages(
        &self,
        mailbox: MailboxId,
        folder: FolderId,
        after: Uid,
        limit: usize,
    ) -> Result<Vec<Message>, StoreError> {
        self.engine.shared()?.view_of(mailbox)?.messages(mailbox, folder, after, limit)
    }

    /// The bytes of a content, checked.
    ///
    /// # Errors
    ///
    /// [`StoreError::NoSuchContent`], [`StoreError::Damaged`] if they are not as they were stored,
    /// [`StoreError::Io`], and those that all reading shares.
    pub fn body(&self, content: &ContentId) -> Result<Vec<u8>, StoreError> {
        let shared = self.engine.shared()?;
        let mut view = shared.view_now()?;
        let mut found = view.find_content(content)?;
        if found.is_none() {
            view = shared.view()?;
            found = view.find_content(content)?;
        }
        let (_, row) = found.ok_or(StoreError::NoSuchContent { content: *content })?;
        shared.segments.body(row.extent, content)
    }

    /// A message with its bytes, checked.
    ///
    /// # Errors
    ///
    /// [`StoreError::NoSuchMessage`], [`StoreError::Damaged`] if they are not as they were stored,
    /// [`StoreError::Io`], and those that all reading shares.
    pub fn read(
        &self,
        mailbox: MailboxId,
        folder: FolderId,
        uid: Uid,
    ) -> Result<(Message, Vec<u8>), StoreError> {
        let shared = self.engine.shared()?;
        let view = shared.view_of(mailbox)?;
        let found = view.message(mailbox, folder, uid)?;
        let (message, number) = found.ok_or(StoreError::NoSuchMessage { mailbox, folder, uid })?;
        let content = message.content;
        let row = view.content(number)?.ok_or(StoreError::NoSuchContent { content })?;
        let body = shared.segments.body(row.extent, &content)?;
        Ok((message, body))
    }

    /// Whether the store has the content and keeps it for a while, so that a transfer need not
    /// bring it.
    ///
    /// # Errors
    ///
    /// Those that all reading shares.
    pub fn has_content(&self, content: &ContentId) -> Result<bool, StoreError> {
        let shared = self.engine.shared()?;
        let free_below = shared.compactor.free_below();
        let lasts = |(_, row): &(u64, ContentRow)| !row.is_free(free_below);
        if shared.view_now()?.find_content(content)?.is_some_and(|found| lasts(&found)) {
            return Ok(true);
        }
        Ok(shared.view()?.find_content(content)?.is_some_and(|found| lasts(&found)))
    }

    /// How far a mailbox has been received; none if it is not here or was never received.
    ///
    /// # Errors
    ///
    /// Those that all reading shares.
    pub fn incoming_cursor(&self, name: &MailboxName) -> Result<Option<Modseq>, StoreError> {
        let view = self.engine.shared()?.view()?;
        let Some(id) = view.mailbox_id(name)? else { return Ok(None) };
        view.cursor(id)
    }

    /// Which of `contents` the store does not have, or does not keep for long.
    ///
    /// # Errors
    ///
    /// Those that all reading shares.
    pub fn missing(&self, contents: &[ContentId]) -> Result<Vec<bool>, StoreError> {
        let shared = self.engine.shared()?;
        let view = shared.view()?;
        if view.meta()?.contents == 0 {
            return Ok(vec![true; contents.len()]);
        }
        let free_below = shared.compactor.free_below();
        let missing = |content: &ContentId| {
            let found = view.find_content(content)?;
            Ok(found.is_none_or(|(_, row)| row.is_free(free_below)))
        };
        contents.iter().map(missing).collect()
    }

    /// The body records at `extents`, which are sorted and whole, one after the other; each is
    /// checked.
    ///
    /// # Errors
    ///
    /// [`StoreError::Damaged`], [`StoreError::Io`], [`StoreError::Closed`].
    pub fn read_records(&self, extents: &[Extent]) -> Result<ContentRun, StoreError> {
        self.engine
            .shared()?
            .segments
            .load(&stretches(extents.iter().copied()), &|index| extents[index])
    }
}
