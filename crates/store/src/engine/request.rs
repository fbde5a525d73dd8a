//! What callers ask the committer for.

use rehome_log::Lsn;

use super::answer::Promise;
use crate::content_run::ContentRun;
use crate::model::incoming::FOLDER_STEP;
use crate::model::{
    ContentId, Extent, FlagChange, Flags, FolderId, FolderName, IncomingMailbox, MailboxId,
    MailboxName, MailboxState, Modseq, NewFolder, Uid,
};
use crate::op::Purge;
use crate::record::Encoded;

/// Bytes of log that a row takes at most, apart from its texts.
const ROW_LOG_BYTES: u64 = 128;
/// Bytes of log that a content takes at most, with a segment that ends before it.
const CONTENT_LOG_BYTES: u64 = 144;

/// A change, prepared as far as one can without knowing what goes before it.
pub(crate) enum Request {
    CreateMailbox { name: MailboxName, state: MailboxState },
    SetState { mailbox: MailboxId, state: MailboxState },
    SetSubscriptions { mailbox: MailboxId, subscriptions: Vec<String> },
    SetAttribute { mailbox: MailboxId, key: String, value: Option<String> },
    CreateFolder { mailbox: MailboxId, name: FolderName, new: NewFolder },
    Append { bodies: Vec<Encoded>, rows: Vec<NewRow> },
    ChangeFlags { mailbox: MailboxId, folder: FolderId, uid: Uid, change: FlagChange },
    Expunge { mailbox: MailboxId, folder: FolderId, uids: Vec<Uid> },
    DeleteMailbox { mailbox: MailboxId, only_copy: bool, folders: u64 },
    RenameMailbox { mailbox: MailboxId, name: MailboxName, folders: u64 },
    RestoreMailbox { mailbox: MailboxId, name: MailboxName, folders: u64 },
    DeleteFolder { mailbox: MailboxId, folder: FolderId },
    RenameFolder { mailbox: MailboxId, folder: FolderId, name: FolderName, folders: u64 },
    Copy { from: (MailboxId, FolderId), uids: Vec<Uid>, to: (MailboxId, FolderId), moved: bool },
    Undelete { mailbox: MailboxId, removed: Vec<Modseq>, to: FolderId },
    Take { from: (MailboxId, FolderId), uids: Vec<Uid>, to: FolderId },
    Purge(Purge),
    Compact(Compaction),
    RollLog,
    Receive(Received),
}

/// A message to be appended.
pub(crate) struct NewRow {
    pub(crate) mailbox: MailboxId,
    pub(crate) folder: FolderId,
    /// Index of its body among those of the request.
    pub(crate) body: usize,
    pub(crate) internal_date_seconds: i64,
    pub(crate) flags: Flags,
    /// Sorted, each once.
    pub(crate) keywords: Vec<String>,
    pub(crate) uid: Option<Uid>,
    pub(crate) origin: Option<String>,
}

/// What came from another store: contents, in segments or to be put into the store's own, and rows
/// that need no others.
#[derive(Default)]
pub(crate) struct Received {
    pub(crate) segments: Vec<NewSegment>,
    pub(crate) runs: Vec<ContentRun>,
    pub(crate) mailboxes: Vec<IncomingMailbox>,
}

/// A segment that was written apart and is durable, with its records.
pub(crate) struct NewSegment {
    pub(crate) id: u32,
    /// End of the last record.
    pub(crate) end: u64,
    pub(crate) records: Vec<(ContentId, Extent, u64)>,
}

/// Contents that are to lie elsewhere or nowhere, and the segments that have none left then.
#[derive(Default)]
pub(crate) struct Compaction {
    /// The new segment, which is durable: number, end of the last record, records.
    pub(crate) sealed: Option<(u32, u64, u64)>,
    pub(crate) moves: Vec<(u64, Extent)>,
    /// Contents without messages, each with its segment.
    pub(crate) frees: Vec<(u64, ContentId, u32)>,
    /// Contents that lost their last message after this group are kept.
    pub(crate) free_below: Lsn,
    pub(crate) drops: Vec<u32>,
}

impl Received {
    /// Bytes of log it takes at most.
    pub(crate) fn log_bytes(&self) -> u64 {
        let in_segments = self.segments.iter().map(|one| one.records.len());
        let records = in_segments.chain(self.runs.iter().map(|run| run.records().len()));
        records.sum::<usize>() as u64 * CONTENT_LOG_BYTES
            + self.segments.len() as u64 * ROW_LOG_BYTES
            + self.mailboxes.iter().map(incoming_log_bytes).sum::<u64>()
    }

    /// Adds what came after it.
    pub(crate) fn extend(&mut self, later: Received) {
        self.segments.extend(later.segments);
        self.runs.extend(later.runs);
        self.mailboxes.extend(later.mailboxes);
    }
}

impl Compaction {
    /// Bytes of log it takes at most.
    fn log_bytes(&self) -> u64 {
        let Compaction { moves, frees, drops, .. } = self;
        64 + moves.len() as u64 * 40 + frees.len() as u64 * 16 + drops.len() as u64 * 8
    }
}

/// What a request gives back.
#[derive(Debug)]
pub(crate) enum Reply {
    Done,
    Mailbox(MailboxId),
    Folder(FolderId),
    Uids(Vec<Uid>),
    Modseq(Modseq),
    /// Segments that keep something, whatever was asked for.
    Segments(Vec<u32>),
}

/// A request whose caller waits.
pub(super) struct Pending {
    pub(super) request: Request,
    pub(super) answer: Promise,
}

fn texts<'a>(texts: impl IntoIterator<Item = &'a String>) -> u64 {
    texts.into_iter().map(|text| text.len() as u64 + 10).sum()
}

/// Where a mailbox goes or went.
fn destination(state: &MailboxState) -> Option<&String> {
    match state {
        MailboxState::Active | MailboxState::Incoming => None,
        MailboxState::Fenced { to } | MailboxState::Moved { to } => Some(to),
    }
}

impl Request {
    /// Whether it takes mail in.
    pub(super) fn brings_mail(&self) -> bool {
        matches!(
            self,
            Request::Append { .. } | Request::Receive(_) | Request::Copy { moved: false, .. }
        )
    }

    /// Memory it takes while it waits.
    pub(super) fn weight(&self) -> u64 {
        let bodies = match self {
            Request::Append { bodies, .. } => {
                bodies.iter().map(|body| body.bytes.len() as u64).sum()
            }
            Request::Receive(Received { runs, .. }) => {
                runs.iter().map(|run| run.len() as u64).sum()
            }
            _ => 0,
        };
        bodies + self.log_bytes()
    }

    /// Bytes of log it takes at most.
    pub(super) fn log_bytes(&self) -> u64 {
        ROW_LOG_BYTES
            + match self {
                Request::SetSubscriptions { subscriptions, .. } => texts(subscriptions),
                Request::SetAttribute { key, value, .. } => texts([key]) + texts(value),
                Request::CreateFolder { new, .. } => {
                    1100 + texts(new.attributes.keys()) + texts(new.attributes.values())
                }
                Request::CreateMailbox { state, .. } | Request::SetState { state, .. } => {
                    1024 + texts(destination(state))
                }
                Request::Append { bodies, rows } => {
                    let rows = rows
                        .iter()
                        .map(|row| ROW_LOG_BYTES + texts(&row.keywords) + texts(&row.origin));
                    bodies.len() as u64 * CONTENT_LOG_BYTES + rows.sum::<u64>()
                }
                Request::ChangeFlags { change, .. } => {
                    texts(&change.add_keywords) + texts(&change.remove_keywords)
                }
                Request::Expunge { uids, .. } => uids.len() as u64 * 48,
                Request::DeleteMailbox { folders, .. } => folders * 8,
                Request::RestoreMailbox { folders, .. } => 1024 + folders * 32,
                Request::RenameMailbox { folders, .. } | Request::RenameFolder { folders, .. } => {
                    (folders + 2) * (1100 + ROW_LOG_BYTES)
                }
                Request::DeleteFolder { .. } | Request::RollLog => 0,
                Request::Copy { uids, .. } => uids.len() as u64 * 112,
                Request::Undelete { removed, .. } => removed.len() as u64 * 64,
                Request::Take { uids, .. } => uids.len() as u64 * 64,
                Request::Purge(purge) => purge.rows() * 16,
                Request::Compact(compaction) => compaction.log_bytes(),
                Request::Receive(received) => received.log_bytes(),
            }
    }
}

fn incoming_log_bytes(mailbox: &IncomingMailbox) -> u64 {
    let attributes = texts(mailbox.attributes.keys()) + texts(mailbox.attributes.values());
    let folders = mailbox.folders.iter().map(|folder| {
        let attributes = texts(folder.attributes.keys()) + texts(folder.attributes.values());
        1100 + ROW_LOG_BYTES + attributes
    });
    let messages = mailbox
        .messages
        .iter()
        .map(|(_, message)| ROW_LOG_BYTES + texts(&message.keywords) + texts(&message.origin));
    1024 + attributes
        + texts(&mailbox.subscriptions)
        + folders.sum::<u64>()
        + messages.sum::<u64>()
        + mailbox.expunges.iter().map(expunge_log_bytes).sum::<u64>()
}

fn expunge_log_bytes((folder, uid, _): &(FolderName, Uid, Modseq)) -> u64 {
    if *uid == FOLDER_STEP { 64 + folder.as_str().len() as u64 } else { 32 }
}
