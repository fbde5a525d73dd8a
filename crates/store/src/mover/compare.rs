//! Compares the copy that a source has kept with what its target has made of it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::MailboxEnd;
use super::error::TransferError;
use crate::model::incoming::FOLDER_STEP;
use crate::{FolderName, IncomingMailbox, MailboxName, Message, Modseq, Uid, UidValidity};

/// How the two copies of a moved mailbox differ.
///
/// What users did at the target after the move is no difference: such changes, those of folders'
/// names too, have a modseq above the source's last one.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Comparison {
    /// Messages at the source.
    pub source: u64,
    /// Messages at the target.
    pub target: u64,
    /// Messages of the source that the target does not have and that nobody has expunged there.
    pub lost: u64,
    /// Messages whose content, date, flags or keywords differ, and folders whose UIDVALIDITY does.
    pub altered: u64,
    /// Messages at the target that are no newer than the move and that the source does not have.
    pub duplicated: u64,
    /// Messages that came to the target after the move, or to another folder's name with it.
    pub newer: u64,
    /// Messages that were expunged at the target after the move, or are no longer under the name
    /// that their folder had.
    pub expunged_since: u64,
}

impl Comparison {
    /// Tells whether nothing is lost, altered or doubled.
    #[must_use]
    pub fn is_equal(&self) -> bool {
        self.lost == 0 && self.altered == 0 && self.duplicated == 0
    }
}

/// All rows of a mailbox.
#[derive(Default)]
struct Rows {
    messages: BTreeMap<(FolderName, Uid), Message>,
    expunged: BTreeMap<(FolderName, Uid), Modseq>,
    folders: BTreeMap<FolderName, UidValidity>,
    highest: Modseq,
}

/// Compares the source's copy of a moved mailbox with the target's.
///
/// The rows of both sides are read; the contents are compared by their names, BLAKE3 hashes.
///
/// # Errors
///
/// [`TransferError::NoMailbox`] if one side does not have it, or that side's error.
pub fn compare_mailbox(
    source: &mut dyn MailboxEnd,
    target: &mut dyn MailboxEnd,
    mailbox: &MailboxName,
) -> Result<Comparison, TransferError> {
    let source = Rows::read(source, mailbox)?;
    let target = Rows::read(target, mailbox)?;
    let mut found = Comparison {
        source: source.messages.len() as u64,
        target: target.messages.len() as u64,
        ..Comparison::default()
    };
    let since = source.highest;
    // The folder has gone since, or another one has its name.
    let gone = |folder: &FolderName| {
        target.folders.get(folder) != source.folders.get(folder) && target.stepped(folder, since)
    };
    for (key, message) in &source.messages {
        let gone = gone(&key.0);
        match target.messages.get(key).filter(|_| !gone) {
            Some(copy) if differs(message, copy, since) => found.altered += 1,
            Some(_) => {}
            None if gone || target.expunged_after(key, since) => found.expunged_since += 1,
            None => found.lost += 1,
        }
    }
    for (key, message) in &target.messages {
        match source.messages.contains_key(key) && !gone(&key.0) {
            true => {}
            // What lies in a folder that was given another name has kept its numbers.
            false if message.modseq > since || target.stepped(&key.0, since) => found.newer += 1,
            false => found.duplicated += 1,
        }
    }
    let folders = source.folders.iter();
    found.altered += folders
        .filter(|(name, validity)| target.folders.get(*name) != Some(validity) && !gone(name))
        .count() as u64;
    Ok(found)
}

/// Tells whether a copy is not the message, apart from flags that were changed since.
fn differs(message: &Message, copy: &Message, highest: Modseq) -> bool {
    let same_mail = message.content == copy.content
        && message.internal_date_seconds == copy.internal_date_seconds
        && message.size_bytes == copy.size_bytes;
    let same_marks = message.flags == copy.flags && message.keywords == copy.keywords;
    !same_mail || (!same_marks && copy.modseq <= highest)
}

impl Rows {
    fn read(end: &mut dyn MailboxEnd, mailbox: &MailboxName) -> Result<Self, TransferError> {
        let mut rows = Self::default();
        loop {
            let batch = end.rows(mailbox, rows.highest)?;
            let last = batch.cursor == rows.highest;
            rows.highest = batch.cursor;
            rows.add(batch);
            if last {
                return Ok(rows);
            }
        }
    }

    fn expunged_after(&self, at: &(FolderName, Uid), since: Modseq) -> bool {
        self.expunged.get(at).is_some_and(|modseq| *modseq > since)
    }

    /// Whether a folder got or lost this name after `since`: the list of expunges says so.
    fn stepped(&self, folder: &FolderName, since: Modseq) -> bool {
        self.expunged_after(&(folder.clone(), FOLDER_STEP), since)
    }

    fn add(&mut self, batch: IncomingMailbox) {
        self.folders
            .extend(batch.folders.into_iter().map(|folder| (folder.name, folder.uidvalidity)));
        for (folder, message) in batch.messages {
            self.messages.insert((folder, message.uid), message);
        }
        for (folder, uid, modseq) in batch.expunges {
            self.messages.remove(&(folder.clone(), uid));
            self.expunged.insert((folder, uid), modseq);
        }
    }
}
