//! The ordered tree that holds the catalog: what the store needs of it, and no more.

mod backend;
mod batch;
mod redb_tree;
mod young;

pub(crate) use backend::PART_BYTES;
pub(crate) use batch::{Batch, Rows};
pub(crate) use redb_tree::RedbTree;

use crate::error::StoreError;

/// The catalog's tables.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Table {
    /// One row: counters of the store and the last group applied.
    Meta,
    /// Mailbox number → mailbox.
    Mailbox,
    /// Mailbox name → mailbox number.
    MailboxName,
    /// Mailbox and folder number → folder.
    Folder,
    /// Mailbox number and folder name → folder number.
    FolderName,
    /// Mailbox, folder, UID → message.
    Message,
    /// Mailbox, folder, UID → when the message went.
    Gone,
    /// Mailbox, modseq → what changed.
    Change,
    /// Content number → place and references.
    Content,
    /// First half of a content's name → content number.
    Hash,
    /// Group since which nobody refers to it, content number → nothing.
    Dead,
    /// Segment number → what is in it.
    Segment,
    /// Mailbox, modseq → message that went then and can be had back.
    RemovedMessage,
    /// Mailbox and folder number → folder that went and can be had back.
    RemovedFolder,
    /// Mailbox number → mailbox that went and can be had back.
    RemovedMailbox,
    /// Mailbox, modseq → name that a folder lost then.
    FolderStep,
    /// Mailbox, or 0 for the store → numbers that must not be given again.
    Retired,
}

impl Table {
    /// All tables, in the order of their numbers.
    pub(crate) const ALL: [Table; 17] = [
        Table::Meta,
        Table::Mailbox,
        Table::MailboxName,
        Table::Folder,
        Table::FolderName,
        Table::Message,
        Table::Gone,
        Table::Change,
        Table::Content,
        Table::Hash,
        Table::Dead,
        Table::Segment,
        Table::RemovedMessage,
        Table::RemovedFolder,
        Table::RemovedMailbox,
        Table::FolderStep,
        Table::Retired,
    ];

    /// Its name in the file.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Table::Meta => "meta",
            Table::Mailbox => "mailbox",
            Table::MailboxName => "mailbox-name",
            Table::Folder => "folder",
            Table::FolderName => "folder-name",
            Table::Message => "message",
            Table::Gone => "gone",
            Table::Change => "change",
            Table::Content => "content",
            Table::Hash => "hash",
            Table::Dead => "dead",
            Table::Segment => "segment",
            Table::RemovedMessage => "removed-message",
            Table::RemovedFolder => "removed-folder",
            Table::RemovedMailbox => "removed-mailbox",
            Table::FolderStep => "folder-step",
            Table::Retired => "retired",
        }
    }

    /// Length of its keys, in bytes; `None` if they vary.
    pub(crate) fn key_size(self) -> Option<usize> {
        match self {
            Table::Meta => Some(1),
            Table::Mailbox | Table::Segment | Table::RemovedMailbox | Table::Retired => Some(4),
            Table::Folder | Table::Content | Table::RemovedFolder => Some(8),
            Table::Message
            | Table::Gone
            | Table::Change
            | Table::RemovedMessage
            | Table::FolderStep => Some(12),
            Table::Hash | Table::Dead => Some(16),
            Table::MailboxName | Table::FolderName => None,
        }
    }
}

/// Whether a scan goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Scan {
    /// To the next row.
    Next,
    /// No further.
    Stop,
}

/// What a scan calls with each row's key and value.
pub(crate) type VisitRow<'a> = dyn FnMut(&[u8], &[u8]) -> Result<Scan, StoreError> + 'a;

/// A consistent view.
pub(crate) trait TreeRead: Send + Sync {
    /// The row with that key.
    fn get(&self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError>;

    /// Visits the rows with keys from `from` to `to`, both included, in order.
    fn scan(
        &self,
        table: Table,
        from: &[u8],
        to: &[u8],
        visit: &mut VisitRow<'_>,
    ) -> Result<(), StoreError>;
}

/// A row's key, and what it will be; none if it goes.
pub(crate) type Change<'a> = (&'a [u8], Option<&'a [u8]>);

/// Whether a transaction survives a power cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Commit {
    /// With the next checkpoint; until then a power cut leaves the tree as of the last one.
    Later,
    /// Once it returns.
    Checkpoint,
}

/// The tree.
pub(crate) trait Tree: Send + Sync {
    /// The tree as it is now.
    fn read(&self) -> Result<Box<dyn TreeRead>, StoreError>;

    /// Writes `rows` in one transaction; an error leaves the tree as it was.
    fn write(&self, commit: Commit, rows: &Rows) -> Result<(), StoreError>;
}
