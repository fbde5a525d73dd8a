//! What a change tells.

use rehome_log::Lsn;
use serde::{Deserialize, Serialize};

use crate::model::{FolderId, FolderName, MailboxId, MailboxName, MailboxState, Uid};
use crate::op::{Group, Op, Place};

/// One change. Several may have the same LSN: they became durable as one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChangeEvent {
    /// The group that it is in.
    pub lsn: Lsn,
    /// The group before, up to which everything was told when this was the first of its group.
    pub after: Lsn,
    /// When it was written, in microseconds since 1970.
    pub wall_us: i64,
    /// The mailbox that it is about.
    pub mailbox: MailboxId,
    /// What happened.
    pub what: ChangeKind,
}

/// What happened. What is there now is asked of the store.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub enum ChangeKind {
    /// A message came: delivered, copied, had back, or received, perhaps with other flags.
    Delivered {
        /// Its folder.
        folder: FolderId,
        /// Its number.
        uid: Uid,
    },
    /// The flags of a message changed.
    Flags {
        /// Its folder.
        folder: FolderId,
        /// Its number.
        uid: Uid,
    },
    /// A message went.
    Expunged {
        /// Its folder.
        folder: FolderId,
        /// Its number.
        uid: Uid,
    },
    /// A folder was made, or received.
    FolderMade {
        /// Its number.
        folder: FolderId,
        /// Its name.
        name: FolderName,
    },
    /// A folder has another name.
    FolderRenamed {
        /// Its number.
        folder: FolderId,
        /// Its name now.
        name: FolderName,
    },
    /// A folder went with its messages.
    FolderDeleted {
        /// Its number.
        folder: FolderId,
    },
    /// A mailbox was made, or is back with its folders.
    MailboxMade {
        /// Its name.
        name: MailboxName,
    },
    /// A mailbox has another name.
    MailboxRenamed {
        /// Its name now.
        name: MailboxName,
    },
    /// A mailbox went with its folders.
    MailboxDeleted,
    /// A mailbox has another state.
    State {
        /// Its state now.
        state: MailboxState,
    },
    /// Attributes or subscriptions of a mailbox changed.
    Settings,
}

/// The changes of a group that comes after `after`.
pub(crate) fn events(after: Lsn, lsn: Lsn, wall_us: i64, group: &Group) -> Vec<ChangeEvent> {
    let told = group.ops.iter().filter_map(event);
    told.map(|(mailbox, what)| ChangeEvent { lsn, after, wall_us, mailbox, what }).collect()
}

fn event(op: &Op) -> Option<(MailboxId, ChangeKind)> {
    let change = match op {
        Op::Append { mailbox, folder, message, .. }
        | Op::ReceiveMessage { mailbox, folder, message } => {
            (*mailbox, ChangeKind::Delivered { folder: *folder, uid: message.uid })
        }
        Op::Copy { to, .. } | Op::Undelete { to, .. } | Op::Take { to, .. } => {
            let Place { mailbox, folder, uid, .. } = *to;
            (mailbox, ChangeKind::Delivered { folder, uid })
        }
        Op::ChangeFlags { mailbox, folder, uid, .. } => {
            (*mailbox, ChangeKind::Flags { folder: *folder, uid: *uid })
        }
        Op::Expunge { mailbox, folder, uid, .. }
        | Op::Remove { mailbox, folder, uid, .. }
        | Op::ReceiveExpunge { mailbox, folder, uid, .. } => {
            (*mailbox, ChangeKind::Expunged { folder: *folder, uid: *uid })
        }
        Op::SetSubscriptions { mailbox, .. }
        | Op::SetAttribute { mailbox, .. }
        | Op::ReceiveMailbox { mailbox, .. } => (*mailbox, ChangeKind::Settings),
        other => return structure(other),
    };
    Some(change)
}

/// Changes of mailboxes and folders themselves.
fn structure(op: &Op) -> Option<(MailboxId, ChangeKind)> {
    let change = match op {
        Op::CreateFolder { mailbox, folder, made } => {
            (*mailbox, ChangeKind::FolderMade { folder: *folder, name: made.name.clone() })
        }
        Op::ReceiveFolder { mailbox, folder, incoming } => {
            (*mailbox, ChangeKind::FolderMade { folder: *folder, name: incoming.name.clone() })
        }
        Op::RenameFolder { mailbox, folder, name, .. } => {
            (*mailbox, ChangeKind::FolderRenamed { folder: *folder, name: name.clone() })
        }
        Op::DeleteFolder { mailbox, folder, .. } => {
            (*mailbox, ChangeKind::FolderDeleted { folder: *folder })
        }
        Op::CreateMailbox { mailbox, name, .. } | Op::RestoreMailbox { mailbox, name, .. } => {
            (*mailbox, ChangeKind::MailboxMade { name: name.clone() })
        }
        Op::RenameMailbox { mailbox, name, .. } => {
            (*mailbox, ChangeKind::MailboxRenamed { name: name.clone() })
        }
        Op::DeleteMailbox { mailbox, .. } => (*mailbox, ChangeKind::MailboxDeleted),
        Op::SetState { mailbox, state } => (*mailbox, ChangeKind::State { state: state.clone() }),
        _ => return None,
    };
    Some(change)
}
