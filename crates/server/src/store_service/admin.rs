//! What an administrator asks of the store as a whole.

use rehome_store::{CheckReport, ContentId, DamagedMessage, MailboxName, MailboxState, Uid};
use serde_json::{Value, json};

use super::StoreService;
use crate::wire::{Answer, Refusal, Reply, chain};

/// Rows read at once when a mailbox is verified.
const PAGE_ROWS: usize = 1000;

impl StoreService {
    pub(super) fn mailboxes(&self) -> Answer<Reply> {
        Reply::of(&self.store.mailboxes()?)
    }

    pub(super) fn statistics(&self) -> Answer<Reply> {
        Reply::of(&self.store.statistics()?)
    }

    pub(super) fn checkpoint(&self) -> Answer<Reply> {
        Reply::of(&self.store.checkpoint()?)
    }

    /// Makes sure that there is an active mailbox of that name.
    pub(super) fn create(&self, mailbox: &MailboxName) -> Answer<Reply> {
        match self.store.mailbox(mailbox)? {
            None => {
                self.store.create_mailbox(mailbox, MailboxState::Active)?;
                Reply::of(&json!({ "created": true }))
            }
            Some(info) if info.state == MailboxState::Active => {
                Reply::of(&json!({ "created": false }))
            }
            Some(info) => {
                let text = format!("mailbox {mailbox} is here already, {}", info.state);
                Err(Refusal::bad_request(text))
            }
        }
    }

    pub(super) fn set_attribute(
        &self,
        mailbox: &MailboxName,
        key: &str,
        value: Option<&str>,
    ) -> Answer<Reply> {
        let info = self.require(mailbox)?;
        Reply::of(&self.store.set_attribute(info.id, key, value)?)
    }

    pub(super) fn fence_all(&self, reason: &str) -> Answer<Reply> {
        self.fence.set(Some(reason))?;
        Reply::of(&self.store.lsn())
    }

    pub(super) fn resume_all(&self) -> Answer<Reply> {
        self.fence.set(None)?;
        Reply::of(&Value::Null)
    }

    /// Reads the whole store, or one mailbox, and compares each message with its hash.
    pub(super) fn verify(&self, mailbox: Option<&MailboxName>) -> Answer<Reply> {
        match mailbox {
            None => Reply::of(&self.store.check(&mut |_| {})?),
            Some(mailbox) => Reply::of(&self.verify_mailbox(mailbox)?),
        }
    }

    fn verify_mailbox(&self, mailbox: &MailboxName) -> Answer<CheckReport> {
        let info = self.require(mailbox)?;
        let mut report = CheckReport::default();
        for folder in self.store.folders(info.id)? {
            let mut after = Uid(0);
            loop {
                let page = self.store.messages(info.id, folder.id, after, PAGE_ROWS)?;
                for message in &page {
                    report.messages += 1;
                    report.contents += 1;
                    report.content_bytes += message.size_bytes;
                    let cause = match self.store.body(&message.content) {
                        Ok(body) if ContentId::of(&body) == message.content => continue,
                        Ok(_) => "its bytes have another hash".to_owned(),
                        Err(error) => chain(&error),
                    };
                    report.damaged.push(DamagedMessage {
                        mailbox: mailbox.clone(),
                        folder: folder.name.clone(),
                        uid: message.uid,
                        content: message.content,
                        extent: None,
                        cause,
                    });
                }
                match page.last() {
                    Some(last) if page.len() == PAGE_ROWS => after = last.uid,
                    _ => break,
                }
            }
        }
        Ok(report)
    }
}
