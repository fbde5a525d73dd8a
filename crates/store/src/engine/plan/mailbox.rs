//! Mailboxes.

use super::{Draft, Mailbox, Named, Planner, UNWRITTEN};
use crate::engine::request::Reply;
use crate::error::StoreError;
use crate::model::{MailboxId, MailboxName, MailboxState};
use crate::op::Op;

impl Planner {
    pub(super) fn create_mailbox(
        &mut self,
        name: MailboxName,
        state: MailboxState,
        draft: &mut Draft,
    ) -> Result<Reply, StoreError> {
        if self.mailbox_named(&name)?.is_some() {
            return Err(StoreError::MailboxExists { mailbox: name });
        }
        Ok(Reply::Mailbox(self.add_mailbox(name, state, draft)))
    }

    /// A mailbox of a name that is free.
    pub(super) fn add_mailbox(
        &mut self,
        name: MailboxName,
        state: MailboxState,
        draft: &mut Draft,
    ) -> MailboxId {
        let id = MailboxId(self.next_mailbox);
        self.next_mailbox += 1;
        let mut mailbox = Mailbox::new(name.clone(), state.clone());
        mailbox.last = UNWRITTEN;
        self.mailboxes.insert(id, mailbox);
        self.name(name.clone(), id, true);
        draft.touched.insert(id);
        draft.ops.push(Op::CreateMailbox { mailbox: id, name, state });
        id
    }

    /// From this group on `name` is the mailbox's, or not any more.
    pub(super) fn name(&mut self, name: MailboxName, mailbox: MailboxId, has: bool) {
        self.names.insert(name, Named { mailbox, has, last: UNWRITTEN });
    }

    pub(super) fn set_state(
        &mut self,
        id: MailboxId,
        state: MailboxState,
        draft: &mut Draft,
    ) -> Result<Reply, StoreError> {
        self.mailbox(id)?.state = state.clone();
        draft.touched.insert(id);
        draft.ops.push(Op::SetState { mailbox: id, state });
        Ok(Reply::Done)
    }

    pub(super) fn set_subscriptions(
        &mut self,
        id: MailboxId,
        subscriptions: Vec<String>,
        draft: &mut Draft,
    ) -> Result<Reply, StoreError> {
        let modseq = self.active(id)?.step();
        draft.touched.insert(id);
        draft.ops.push(Op::SetSubscriptions { mailbox: id, subscriptions, modseq });
        Ok(Reply::Done)
    }

    pub(super) fn set_attribute(
        &mut self,
        id: MailboxId,
        key: String,
        value: Option<String>,
        draft: &mut Draft,
    ) -> Result<Reply, StoreError> {
        let modseq = self.active(id)?.step();
        draft.touched.insert(id);
        draft.ops.push(Op::SetAttribute { mailbox: id, key, value, modseq });
        Ok(Reply::Done)
    }
}
