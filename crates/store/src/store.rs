//! The store: what callers hold.

use std::path::Path;
use std::sync::Arc;

use rehome_log::{Clock, Disk, Lsn, RealDisk, SystemClock};

use crate::check::{CheckProgress, CheckReport};
use crate::error::StoreError;
use crate::model::{
    Append, ApplyBatch, ContentId, Extent, FlagChange, FolderId, FolderInfo, FolderName, MailboxId,
    MailboxInfo, MailboxName, MailboxState, Message, Modseq, NewFolder, Statistics, Uid,
};
use crate::options::OpenOptions;
use crate::snapshot::Snapshot;

/// A mailbox store. Clones are handles to the same one; all calls block and may come from any thread.
#[derive(Clone)]
pub struct Store {}

impl Store {
    /// Creates an empty store in the disk's root folder.
    pub fn create(
        disk: Arc<dyn Disk>,
        clock: Arc<dyn Clock>,
        options: OpenOptions,
    ) -> Result<Store, StoreError> {
        let _ = (disk, clock, options);
        Err(StoreError::Closed)
    }
    /// Opens the store.
    pub fn open(
        disk: Arc<dyn Disk>,
        clock: Arc<dyn Clock>,
        options: OpenOptions,
    ) -> Result<Store, StoreError> {
        let _ = (disk, clock, options);
        Err(StoreError::Closed)
    }
    /// Creates an empty store in folder `path`, made if need be.
    pub fn create_at(path: &Path, options: OpenOptions) -> Result<Store, StoreError> {
        Store::create(Arc::new(RealDisk::new(path)), Arc::new(SystemClock), options)
    }
    /// Opens the store in folder `path`.
    pub fn open_at(path: &Path, options: OpenOptions) -> Result<Store, StoreError> {
        Store::open(Arc::new(RealDisk::new(path)), Arc::new(SystemClock), options)
    }
    /// Identity of the store.
    pub fn id(&self) -> [u8; 16] {
        [0; 16]
    }
    /// Fencing epoch of this opening.
    pub fn epoch(&self) -> u64 {
        0
    }
    /// The last acknowledged group.
    pub fn lsn(&self) -> Lsn {
        Lsn::ZERO
    }
    /// Creates a mailbox.
    pub fn create_mailbox(
        &self,
        name: &MailboxName,
        state: MailboxState,
    ) -> Result<MailboxId, StoreError> {
        let _ = (name, state);
        Err(StoreError::Closed)
    }
    /// The mailbox of that name.
    pub fn mailbox(&self, name: &MailboxName) -> Result<Option<MailboxInfo>, StoreError> {
        let _ = name;
        Err(StoreError::Closed)
    }
    /// All mailboxes, by number.
    pub fn mailboxes(&self) -> Result<Vec<MailboxInfo>, StoreError> {
        Err(StoreError::Closed)
    }
    /// Sets the state of a mailbox, durably.
    pub fn set_state(&self, mailbox: MailboxId, state: MailboxState) -> Result<(), StoreError> {
        let _ = (mailbox, state);
        Err(StoreError::Closed)
    }
    /// Sets the subscriptions of a mailbox.
    pub fn set_subscriptions(
        &self,
        mailbox: MailboxId,
        subscriptions: Vec<String>,
    ) -> Result<(), StoreError> {
        let _ = (mailbox, subscriptions);
        Err(StoreError::Closed)
    }
    /// Sets or removes an attribute of a mailbox.
    pub fn set_attribute(
        &self,
        mailbox: MailboxId,
        key: &str,
        value: Option<&str>,
    ) -> Result<(), StoreError> {
        let _ = (mailbox, key, value);
        Err(StoreError::Closed)
    }
    /// Creates a folder; an existing one is returned unchanged.
    pub fn create_folder(
        &self,
        mailbox: MailboxId,
        name: &FolderName,
        new: NewFolder,
    ) -> Result<FolderInfo, StoreError> {
        let _ = (mailbox, name, new);
        Err(StoreError::Closed)
    }
    /// The folder of that name.
    pub fn folder(
        &self,
        mailbox: MailboxId,
        name: &FolderName,
    ) -> Result<Option<FolderInfo>, StoreError> {
        let _ = (mailbox, name);
        Err(StoreError::Closed)
    }
    /// All folders of a mailbox, by number.
    pub fn folders(&self, mailbox: MailboxId) -> Result<Vec<FolderInfo>, StoreError> {
        let _ = mailbox;
        Err(StoreError::Closed)
    }
    /// Appends messages as one durable group: all or none.
    pub fn append_batch(
        &self,
        batch: Vec<(MailboxId, FolderId, Append)>,
    ) -> Result<Vec<Uid>, StoreError> {
        let _ = batch;
        Err(StoreError::Closed)
    }
    /// Delivers one message to several folders as one durable group: all or none.
    pub fn deliver(
        &self,
        to: &[(MailboxId, FolderId)],
        append: Append,
    ) -> Result<Vec<Uid>, StoreError> {
        let _ = (to, append);
        Err(StoreError::Closed)
    }
    /// A message's row.
    pub fn message(
        &self,
        mailbox: MailboxId,
        folder: FolderId,
        uid: Uid,
    ) -> Result<Option<Message>, StoreError> {
        let _ = (mailbox, folder, uid);
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
    /// The bytes of a content.
    pub fn body(&self, content: &ContentId) -> Result<Vec<u8>, StoreError> {
        let _ = content;
        Err(StoreError::Closed)
    }
    /// A message with its bytes.
    pub fn read(
        &self,
        mailbox: MailboxId,
        folder: FolderId,
        uid: Uid,
    ) -> Result<(Message, Vec<u8>), StoreError> {
        let _ = (mailbox, folder, uid);
        Err(StoreError::Closed)
    }
    /// Changes the flags of a message.
    pub fn store_flags(
        &self,
        mailbox: MailboxId,
        folder: FolderId,
        uid: Uid,
        change: FlagChange,
    ) -> Result<Modseq, StoreError> {
        let _ = (mailbox, folder, uid, change);
        Err(StoreError::Closed)
    }
    /// Removes messages for good; returns those that were there.
    pub fn expunge(
        &self,
        mailbox: MailboxId,
        folder: FolderId,
        uids: &[Uid],
    ) -> Result<Vec<Uid>, StoreError> {
        let _ = (mailbox, folder, uids);
        Err(StoreError::Closed)
    }
    /// Applies a piece of a transfer as one durable group.
    pub fn apply(&self, batch: ApplyBatch) -> Result<Lsn, StoreError> {
        let _ = batch;
        Err(StoreError::Closed)
    }
    /// How far a mailbox has been received.
    pub fn incoming_cursor(&self, name: &MailboxName) -> Result<Option<Modseq>, StoreError> {
        let _ = name;
        Err(StoreError::Closed)
    }
    /// Whether the store has the content.
    pub fn has_content(&self, content: &ContentId) -> Result<bool, StoreError> {
        let _ = content;
        Err(StoreError::Closed)
    }
    /// The records at `extents`, one after the other.
    pub fn read_records(&self, extents: &[Extent]) -> Result<Vec<u8>, StoreError> {
        let _ = extents;
        Err(StoreError::Closed)
    }
    /// `len` bytes of whole records of a segment.
    pub fn read_run(&self, segment: u32, offset: u64, len: u32) -> Result<Vec<u8>, StoreError> {
        let _ = (segment, offset, len);
        Err(StoreError::Closed)
    }
    /// A consistent view.
    pub fn snapshot(&self) -> Result<Snapshot, StoreError> {
        Err(StoreError::Closed)
    }
    /// What the store holds.
    pub fn statistics(&self) -> Result<Statistics, StoreError> {
        Err(StoreError::Closed)
    }
    /// Makes the catalog durable and releases the log before it.
    pub fn checkpoint(&self) -> Result<Lsn, StoreError> {
        Err(StoreError::Closed)
    }
    /// Makes a checkpoint and closes the store for all handles.
    pub fn close(self) -> Result<(), StoreError> {
        Err(StoreError::Closed)
    }
    /// Reads everything and compares.
    pub fn check(
        &self,
        progress: &mut dyn FnMut(CheckProgress),
    ) -> Result<CheckReport, StoreError> {
        let _ = progress;
        Err(StoreError::Closed)
    }
}
