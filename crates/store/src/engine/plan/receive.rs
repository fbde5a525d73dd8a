//! What comes from another store.

use std::collections::{HashMap, HashSet};

use super::{Draft, Folder, Mailbox, Planner};
use crate::content_run::ContentRun;
use crate::engine::request::{Received, Reply};
use crate::error::StoreError;
use crate::model::incoming::{FOLDER_STEP, folder_steps};
use crate::model::{
    ContentId, FolderName, IncomingFolder, IncomingMailbox, MailboxId, MailboxName, MailboxState,
    Modseq, Uid,
};
use crate::op::Op;

impl Planner {
    /// Takes what another store sent. The bytes of its segments are durable already.
    pub(super) fn receive(
        &mut self,
        received: Received,
        draft: &mut Draft,
    ) -> Result<Reply, StoreError> {
        let Received { segments, runs, mailboxes } = received;
        let in_segments = segments.iter().flat_map(|segment| &segment.records);
        let in_runs = runs.iter().flat_map(ContentRun::records);
        let brought = in_segments.map(|(content, _, _)| *content);
        let brought = brought.chain(in_runs.map(|record| record.content));
        let known = self.check_contents(brought, &mailboxes, draft)?;
        self.check_folders(&mailboxes)?;
        let mut known = known.as_slice();
        for segment in &segments {
            let (of_segment, rest) = known.split_at(segment.records.len());
            self.attach_segment(segment, of_segment, draft);
            known = rest;
        }
        self.put_runs(&runs, known, draft);
        for incoming in mailboxes {
            self.receive_mailbox(incoming, draft)?;
        }
        Ok(Reply::Done)
    }

    /// Whether each content is there already, if every message's is, or is one of `brought`.
    fn check_contents(
        &mut self,
        brought: impl Iterator<Item = ContentId> + Clone,
        mailboxes: &[IncomingMailbox],
        draft: &mut Draft,
    ) -> Result<Vec<bool>, StoreError> {
        let new: HashSet<ContentId> = brought.clone().collect();
        for (_, message) in mailboxes.iter().flat_map(|mailbox| &mailbox.messages) {
            let content = message.content;
            if !new.contains(&content) && self.number_of(&content, draft)?.is_none() {
                return Err(StoreError::NoSuchContent { content });
            }
        }
        brought.map(|content| Ok(self.number_of(&content, draft)?.is_some())).collect()
    }

    /// Every mailbox is incoming or new, and has the folders that its rows name.
    fn check_folders(&mut self, mailboxes: &[IncomingMailbox]) -> Result<(), StoreError> {
        let mut brought: HashMap<&MailboxName, HashSet<&FolderName>> = HashMap::new();
        for incoming in mailboxes {
            let name = &incoming.name;
            let id = self.mailbox_named(name)?;
            let known = id.map(|id| self.mailbox(id)).transpose()?;
            if let Some(Mailbox { state, .. }) = &known
                && *state != MailboxState::Incoming
            {
                let (mailbox, state) = (name.clone(), state.clone());
                return Err(StoreError::NotIncoming { mailbox, state });
            }
            let brought = brought.entry(name).or_default();
            brought.extend(incoming.folders.iter().map(|folder| &folder.name));
            let in_messages = incoming.messages.iter().map(|(folder, _)| folder);
            let in_expunges = incoming.expunges.iter().filter(|(_, uid, _)| *uid != FOLDER_STEP);
            let in_expunges = in_expunges.map(|(folder, _, _)| folder);
            for folder in in_messages.chain(in_expunges) {
                let there = known.as_ref().is_some_and(|m| m.by_name.contains_key(folder));
                if !there && !brought.contains(folder) {
                    let (mailbox, folder) = (name.clone(), folder.clone());
                    return Err(StoreError::UnknownFolder { mailbox, folder });
                }
            }
        }
        Ok(())
    }

    fn receive_mailbox(
        &mut self,
        incoming: IncomingMailbox,
        draft: &mut Draft,
    ) -> Result<(), StoreError> {
        let IncomingMailbox { name, attributes, subscriptions, .. } = incoming;
        let id = match self.mailbox_named(&name)? {
            Some(id) => id,
            None => self.add_mailbox(name, MailboxState::Incoming, draft),
        };
        draft.touched.insert(id);
        let attributes = attributes.into_iter().collect();
        draft.ops.push(Op::ReceiveMailbox { mailbox: id, attributes, subscriptions });
        for step in folder_steps(&incoming.expunges) {
            self.receive_step(id, step, draft)?;
        }
        let mailbox = self.mailbox(id)?;
        for folder in incoming.folders {
            draft.ops.push(mailbox.receive_folder(id, folder));
        }
        for (folder, mut message) in incoming.messages {
            message.keywords.sort_unstable();
            message.keywords.dedup();
            let folder = mailbox.receive_uid(&folder, message.uid, message.modseq);
            draft.ops.push(Op::ReceiveMessage { mailbox: id, folder, message });
        }
        let expunges = incoming.expunges.into_iter().filter(|(_, uid, _)| *uid != FOLDER_STEP);
        for (folder, uid, modseq) in expunges {
            let folder = mailbox.receive_uid(&folder, uid, modseq);
            draft.ops.push(Op::ReceiveExpunge { mailbox: id, folder, uid, modseq });
        }
        mailbox.see(incoming.cursor);
        draft.ops.push(Op::ReceiveCursor { mailbox: id, cursor: incoming.cursor });
        Ok(())
    }
}

impl Mailbox {
    /// No change of this mailbox gets a modseq up to `modseq` from now on.
    fn see(&mut self, modseq: Modseq) {
        self.highest_modseq = self.highest_modseq.max(modseq);
    }

    fn receive_folder(&mut self, mailbox: MailboxId, incoming: IncomingFolder) -> Op {
        self.see(incoming.modseq);
        let next = self.next_folder();
        let folder = *self.by_name.entry(incoming.name.clone()).or_insert(next);
        let (uidnext, uidvalidity) = (incoming.uidnext, incoming.uidvalidity);
        let new = Folder { uidnext, uidvalidity };
        let known = self.folders.entry(folder).or_insert(new);
        known.uidvalidity = uidvalidity;
        known.uidnext = known.uidnext.max(incoming.uidnext);
        Op::ReceiveFolder { mailbox, folder, incoming }
    }

    /// The folder, which has been checked; no message of it gets a UID up to `uid` from now on.
    fn receive_uid(
        &mut self,
        name: &FolderName,
        uid: Uid,
        modseq: Modseq,
    ) -> crate::model::FolderId {
        self.see(modseq);
        let id = *self.by_name.get(name).expect("the batch was checked");
        if let Some(folder) = self.folders.get_mut(&id) {
            folder.uidnext = folder.uidnext.max(Uid(uid.0.saturating_add(1)));
        }
        id
    }
}
