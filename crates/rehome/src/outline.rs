//! The store's rows as the archive's outlines, and back.

use std::collections::BTreeMap;

use rehome_archive::{
    ExpungeOutline, FolderOutline, MailboxOutline, MessageOutline, OutlineChanges,
};
use rehome_store::{
    ContentId, Flags, FolderName, IncomingFolder, IncomingMailbox, MailboxName, Message, Modseq,
    NameError, Uid, UidValidity,
};

/// Makes one outline of all batches of a mailbox, in the order in which they were read.
#[derive(Debug, Default)]
pub(crate) struct OutlineBuilder {
    batch: Option<IncomingMailbox>,
    folders: BTreeMap<FolderName, IncomingFolder>,
    messages: BTreeMap<(FolderName, Uid), Message>,
    expunges: Vec<(FolderName, Uid, Modseq)>,
}

impl OutlineBuilder {
    /// The mailbox that is being built.
    pub(crate) fn name(&self) -> Option<&MailboxName> {
        self.batch.as_ref().map(|batch| &batch.name)
    }

    /// Adds a batch; a later row replaces an earlier one.
    pub(crate) fn add(&mut self, mut batch: IncomingMailbox) {
        for folder in batch.folders.drain(..) {
            self.folders.insert(folder.name.clone(), folder);
        }
        for (folder, message) in batch.messages.drain(..) {
            self.messages.insert((folder, message.uid), message);
        }
        for (folder, uid, modseq) in batch.expunges.drain(..) {
            self.messages.remove(&(folder.clone(), uid));
            self.expunges.push((folder, uid, modseq));
        }
        self.batch = Some(batch);
    }

    /// The outline; `None` if nothing was added. It is one of changes if the batches were read
    /// from a modseq on.
    pub(crate) fn finish(self, since: Option<Modseq>) -> Option<MailboxOutline> {
        let batch = self.batch?;
        let mut by_folder: BTreeMap<FolderName, Vec<MessageOutline>> = BTreeMap::new();
        for ((folder, _), message) in self.messages {
            by_folder.entry(folder).or_default().push(message_outline(message));
        }
        let folder = |folder: IncomingFolder| FolderOutline {
            messages: by_folder.remove(&folder.name).unwrap_or_default(),
            name: folder.name.as_str().to_owned(),
            uidvalidity: folder.uidvalidity.0,
            uidnext: folder.uidnext.0,
            modseq: folder.modseq.0,
            attributes: folder.attributes,
        };
        let expunges = self.expunges.into_iter().map(expunge_outline);
        let changes =
            since.map(|since| OutlineChanges { since: since.0, expunges: expunges.collect() });
        Some(MailboxOutline {
            name: batch.name.as_str().to_owned(),
            attributes: batch.attributes,
            subscriptions: batch.subscriptions,
            highest_modseq: batch.cursor.0,
            folders: self.folders.into_values().map(folder).collect(),
            changes,
        })
    }
}

fn expunge_outline((folder, uid, modseq): (FolderName, Uid, Modseq)) -> ExpungeOutline {
    ExpungeOutline { folder: folder.as_str().to_owned(), uid: uid.0, modseq: modseq.0 }
}

fn message_outline(message: Message) -> MessageOutline {
    MessageOutline {
        uid: message.uid.0,
        modseq: message.modseq.0,
        flags: message.flags.bits(),
        keywords: message.keywords,
        internal_date_seconds: message.internal_date_seconds,
        size_bytes: message.size_bytes,
        content: rehome_archive::ContentId(message.content.0),
        origin: message.origin,
    }
}

/// The rows of an outline, as a store receives them.
///
/// # Errors
///
/// [`NameError`] for a mailbox or folder whose name no store can have.
pub(crate) fn rows_of(outline: MailboxOutline) -> Result<IncomingMailbox, NameError> {
    let mut folders = Vec::new();
    let mut messages = Vec::new();
    for folder in outline.folders {
        let name = FolderName::try_from(folder.name.as_str())?;
        for message in folder.messages {
            messages.push((name.clone(), message_row(message)));
        }
        folders.push(IncomingFolder {
            name,
            uidvalidity: UidValidity(folder.uidvalidity),
            uidnext: Uid(folder.uidnext),
            attributes: folder.attributes,
            modseq: Modseq(folder.modseq),
        });
    }
    Ok(IncomingMailbox {
        name: MailboxName::try_from(outline.name.as_str())?,
        attributes: outline.attributes,
        subscriptions: outline.subscriptions,
        folders,
        messages,
        expunges: Vec::new(),
        cursor: Modseq(outline.highest_modseq),
    })
}

fn message_row(message: MessageOutline) -> Message {
    Message {
        uid: Uid(message.uid),
        modseq: Modseq(message.modseq),
        content: ContentId(message.content.0),
        size_bytes: message.size_bytes,
        internal_date_seconds: message.internal_date_seconds,
        flags: Flags::from_bits(message.flags),
        keywords: message.keywords,
        origin: message.origin,
    }
}
