//! What a store receives from another: body records and rows, applied as one durable group.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::content_run::ContentRun;

use super::{FolderName, FolderStep, MailboxName, Message, Modseq, Uid, UidValidity};

/// A piece of a transfer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ApplyBatch {
    /// Body records, byte for byte as in the sender's segments.
    pub runs: Vec<ContentRun>,
    /// What there is to know about the mailboxes.
    pub mailboxes: Vec<IncomingMailbox>,
}

/// Part of a mailbox being received.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct IncomingMailbox {
    /// Its name, here as there.
    pub name: MailboxName,
    /// Its attributes, all of them.
    pub attributes: BTreeMap<String, String>,
    /// Its subscriptions, all of them.
    pub subscriptions: Vec<String>,
    /// Folders, new and known; those not named stay as they are.
    pub folders: Vec<IncomingFolder>,
    /// Messages, new and known, each with its folder.
    pub messages: Vec<(FolderName, Message)>,
    /// Messages that are gone: folder, number, and when they went. Number 0 is the folder itself:
    /// it went; or, with a second such entry of the same modseq, it got that entry's name.
    pub expunges: Vec<(FolderName, Uid, Modseq)>,
    /// The sender's history up to here has been received once this batch is applied.
    pub cursor: Modseq,
}

/// A folder being received.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct IncomingFolder {
    /// Its name, here as there.
    pub name: FolderName,
    /// Validity of its UIDs.
    pub uidvalidity: UidValidity,
    /// The lowest UID that no message has had.
    pub uidnext: Uid,
    /// Its attributes, all of them.
    pub attributes: BTreeMap<String, String>,
    /// Last change of the folder itself.
    pub modseq: Modseq,
}

/// Says in a list of expunges that it is about the folder itself.
pub(crate) const FOLDER_STEP: Uid = Uid(0);

/// The entries in a list of expunges that say what became of a folder's name.
pub(crate) fn expunges_of(step: FolderStep) -> impl Iterator<Item = (FolderName, Uid, Modseq)> {
    let FolderStep { modseq, from, to } = step;
    std::iter::once(from).chain(to).map(move |name| (name, FOLDER_STEP, modseq))
}

/// What a list of expunges says about the names of folders, in order.
pub(crate) fn folder_steps(expunges: &[(FolderName, Uid, Modseq)]) -> Vec<FolderStep> {
    let mut steps: Vec<FolderStep> = Vec::new();
    for (name, _, modseq) in expunges.iter().filter(|(_, uid, _)| *uid == FOLDER_STEP) {
        match steps.last_mut() {
            Some(step) if step.modseq == *modseq => step.to = Some(name.clone()),
            _ => steps.push(FolderStep { modseq: *modseq, from: name.clone(), to: None }),
        }
    }
    steps.sort_by_key(|step| step.modseq);
    steps
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_of_folders_travel_as_expunges_of_message_zero() {
        let name = |text: &str| FolderName::try_from(text).unwrap();
        let steps = vec![
            FolderStep { modseq: Modseq(4), from: name("a"), to: Some(name("b")) },
            FolderStep { modseq: Modseq(7), from: name("c"), to: None },
        ];
        let mut expunges: Vec<_> = steps.iter().cloned().flat_map(expunges_of).collect();
        expunges.push((name("b"), Uid(3), Modseq(5)));
        assert_eq!(folder_steps(&expunges), steps);
    }
}
