//! A consistent view of the catalog.

use std::collections::HashSet;
use std::sync::Arc;

use rehome_log::Lsn;

use crate::archived_log::Runs;
use crate::base;
use crate::catalog::View;
use crate::content_run::ContentRun;
use crate::error::{StoreError, doing};
use crate::model::{
    Change, ContentId, Extent, FolderId, FolderInfo, FolderStep, MailboxId, MailboxInfo,
    MailboxName, Message, Modseq, Uid,
};
use crate::segment::Segments;
use crate::tree::Scan;

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
    base_lsn: Lsn,
}

impl std::fmt::Debug for Snapshot {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Snapshot").field("lsn", &self.lsn).finish_non_exhaustive()
    }
}

/// Errors of all its calls: [`StoreError::Catalog`], and [`StoreError::Damaged`] for a damaged row.
impl Snapshot {
    /// Of a view that was made when a generation that ended with `mark` was closed already.
    pub(crate) fn new(
        view: View,
        segments: Arc<Segments>,
        mark: Lsn,
    ) -> Result<Snapshot, StoreError> {
        let lsn = view.meta()?.applied;
        Ok(Snapshot { view: Arc::new(view), segments, lsn, base_lsn: lsn.max(mark) })
    }

    /// The last group in it.
    #[must_use]
    pub fn lsn(&self) -> Lsn {
        self.lsn
    }

    /// The LSN of a base of it: that of the last group in it, or of the mark that ended a
    /// generation after that. The log is read from there on.
    #[must_use]
    pub fn base_lsn(&self) -> Lsn {
        self.base_lsn
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

    /// Writes the catalog as a base (`docs/format/base.md`): with the bodies that
    /// [`every_body`](Snapshot::every_body) gives it is all that a store needs to begin anew from
    /// this moment, numbers, histories and what can be had back included.
    ///
    /// # Errors
    ///
    /// [`StoreError::Io`] if `out` fails, and those of all its calls.
    pub fn write_base(&self, out: &mut dyn std::io::Write) -> Result<(), StoreError> {
        let mut put = |bytes: &[u8]| out.write_all(bytes).map_err(doing("writing a base"));
        base::stream(self.view.tree(), self.segments.store_id(), self.base_lsn, &mut put)
    }

    /// Names all contents that a base of this moment needs, in the order of their numbers, each
    /// with its place and its length in bytes.
    /// [`Store::read_records`](crate::Store::read_records) reads them.
    ///
    /// # Errors
    ///
    /// Those of all its calls, and what `visit` says.
    pub fn every_content(
        &self,
        visit: &mut dyn FnMut(ContentId, Extent, u64) -> Result<(), StoreError>,
    ) -> Result<(), StoreError> {
        self.view.contents(0, &mut |_, row| {
            visit(row.content, row.extent, row.size_bytes)?;
            Ok(Scan::Next)
        })
    }

    /// Hands all contents that a base of this moment needs to `visit`, as runs of body records.
    ///
    /// # Errors
    ///
    /// [`StoreError::Damaged`], [`StoreError::Io`], those of all its calls, and what `visit` says.
    pub fn every_body(
        &self,
        visit: &mut dyn FnMut(ContentRun) -> Result<(), StoreError>,
    ) -> Result<(), StoreError> {
        self.bodies_but(&HashSet::new(), visit)
    }

    /// The same without `these`.
    pub(crate) fn bodies_but(
        &self,
        these: &HashSet<ContentId>,
        visit: &mut dyn FnMut(ContentRun) -> Result<(), StoreError>,
    ) -> Result<(), StoreError> {
        let mut runs = Runs::new(&self.segments, visit);
        self.every_content(&mut |content, extent, _| {
            if these.contains(&content) { Ok(()) } else { runs.add(content, extent) }
        })?;
        runs.flush()
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
