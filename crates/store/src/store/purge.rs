//! Giving up for good what was deleted long enough ago.

use super::Store;
use crate::engine::Request;
use crate::error::StoreError;
use crate::model::{FolderId, MailboxId, Modseq, PurgeReport, Uid};
use crate::op::Purge;

/// Rows given up in one durable group.
const ROWS_AT_ONCE: usize = 512;

impl Store {
    /// Gives up for good what was deleted longer ago than the retention, by a clock that says
    /// `now_seconds` since 1970. It is done in small groups; cut short, the next call goes on.
    ///
    /// # Errors
    ///
    /// Those that all changes share.
    pub fn purge_expired(&self, now_seconds: i64) -> Result<PurgeReport, StoreError> {
        let shared = self.engine.shared()?;
        let kept = i64::try_from(shared.options.retention_seconds).unwrap_or(i64::MAX);
        let expired = now_seconds.saturating_sub(kept);
        let mut report = PurgeReport::default();
        let view = shared.view()?;
        let mut mailboxes: Vec<MailboxId> = view.mailboxes()?.iter().map(|m| m.id).collect();
        for removed in view.removed_mailboxes()? {
            if removed.removed_seconds <= expired {
                self.purge_mailbox(removed.mailbox.id, &mut report)?;
            } else {
                mailboxes.push(removed.mailbox.id);
            }
        }
        drop((view, shared));
        for mailbox in mailboxes {
            self.purge_messages(mailbox, expired, &mut report)?;
            for removed in self.view_of(mailbox)?.removed_folders(mailbox, false)? {
                if removed.removed_seconds <= expired {
                    report.messages += self.purge_folder(mailbox, removed.folder.id)?;
                    report.folders += 1;
                }
            }
        }
        Ok(report)
    }

    /// Gives up messages that went by themselves, up to `expired`.
    fn purge_messages(
        &self,
        mailbox: MailboxId,
        expired: i64,
        report: &mut PurgeReport,
    ) -> Result<(), StoreError> {
        loop {
            let view = self.view_of(mailbox)?;
            let found = view.removed_messages(mailbox, Modseq(0), ROWS_AT_ONCE)?;
            drop(view);
            // They went in this order, so that nobody reads on behind the first that stays.
            let removed: Vec<Modseq> = found
                .iter()
                .take_while(|message| message.removed_seconds <= expired)
                .map(|message| message.removed)
                .collect();
            if removed.is_empty() {
                return Ok(());
            }
            report.messages += removed.len() as u64;
            self.give_up(Purge { mailbox, removed, ..Purge::default() })?;
        }
    }

    /// Gives up a deleted folder; returns how many messages it had left.
    pub(super) fn purge_folder(
        &self,
        mailbox: MailboxId,
        folder: FolderId,
    ) -> Result<u64, StoreError> {
        let in_folder = |uids: Vec<Uid>| uids.into_iter().map(|uid| (folder, uid)).collect();
        let mut messages = 0;
        loop {
            let view = self.view_of(mailbox)?;
            let uids = view.hidden_messages(mailbox, folder, ROWS_AT_ONCE)?;
            let gone = view.gone_in(mailbox, folder, ROWS_AT_ONCE)?;
            drop(view);
            if uids.is_empty() && gone.is_empty() {
                break;
            }
            messages += uids.len() as u64;
            let (uids, gone) = (in_folder(uids), in_folder(gone));
            self.give_up(Purge { mailbox, messages: uids, gone, ..Purge::default() })?;
        }
        self.give_up(Purge { mailbox, folders: vec![folder], ..Purge::default() })?;
        Ok(messages)
    }

    fn purge_mailbox(
        &self,
        mailbox: MailboxId,
        report: &mut PurgeReport,
    ) -> Result<(), StoreError> {
        for with_mailbox in [true, false] {
            for removed in self.view_of(mailbox)?.removed_folders(mailbox, with_mailbox)? {
                report.messages += self.purge_folder(mailbox, removed.folder.id)?;
                report.folders += 1;
            }
        }
        self.purge_messages(mailbox, i64::MAX, report)?;
        loop {
            let steps = self.view_of(mailbox)?.folder_steps(mailbox, Modseq(0), ROWS_AT_ONCE)?;
            if steps.is_empty() {
                break;
            }
            let steps = steps.into_iter().map(|step| step.modseq).collect();
            self.give_up(Purge { mailbox, steps, ..Purge::default() })?;
        }
        report.mailboxes += 1;
        self.give_up(Purge { mailbox, whole: true, ..Purge::default() })
    }

    fn give_up(&self, purge: Purge) -> Result<(), StoreError> {
        self.commit(Request::Purge(purge)).map(|_| ())
    }
}
