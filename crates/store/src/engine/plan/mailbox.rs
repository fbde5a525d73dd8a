//! Mailboxes and folders.

use rehome_log::Lsn;

use super::{Draft, Folder, Mailbox, Planner};
use crate::engine::request::Reply;
use crate::error::StoreError;
use crate::model::{FolderName, MailboxId, MailboxName, MailboxState, NewFolder, UidValidity};
use crate::op::{MadeFolder, Op};

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
        // Above every group, until this one has a number.
        mailbox.last = Lsn::from_u64(u64::MAX);
        self.mailboxes.insert(id, mailbox);
        self.names.insert(name.clone(), id);
        draft.touched.insert(id);
        draft.ops.push(Op::CreateMailbox { mailbox: id, name, state });
        id
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

    /// The folder of that name; `now` is the validity of one that is made and asks for none.
    pub(super) fn create_folder(
        &mut self,
        id: MailboxId,
        name: FolderName,
        new: NewFolder,
        now: UidValidity,
        draft: &mut Draft,
    ) -> Result<Reply, StoreError> {
        if let Some(folder) = self.mailbox(id)?.by_name.get(&name) {
            return Ok(Reply::Folder(*folder));
        }
        let mailbox = self.active(id)?;
        let made = MadeFolder::new(name.clone(), new, now, mailbox.step());
        let folder = mailbox.next_folder();
        mailbox.folders.insert(folder, Folder { uidnext: made.uidnext });
        mailbox.by_name.insert(name, folder);
        draft.touched.insert(id);
        draft.ops.push(Op::CreateFolder { mailbox: id, folder, made });
        Ok(Reply::Folder(folder))
    }
}
