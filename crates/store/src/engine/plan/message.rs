//! Messages.

use std::collections::HashMap;

use super::{Draft, Planner};
use crate::engine::request::{NewRow, Reply};
use crate::error::StoreError;
use crate::model::{ContentId, FlagChange, FolderId, MailboxId, Message, Uid};
use crate::op::Op;
use crate::record::Encoded;

impl Planner {
    pub(super) fn append(
        &mut self,
        bodies: Vec<Encoded>,
        rows: Vec<NewRow>,
        draft: &mut Draft,
    ) -> Result<Reply, StoreError> {
        let uids = self.choose_uids(&rows)?;
        let known: Result<Vec<_>, _> =
            bodies.iter().map(|body| self.number_of(&body.content, draft)).collect();
        let contents: Vec<(ContentId, u64)> =
            bodies.iter().map(|body| (body.content, body.size_bytes)).collect();
        let mut numbers = Vec::with_capacity(bodies.len());
        for (body, known) in bodies.into_iter().zip(known?) {
            let number = known.or_else(|| self.contents.get(&body.content).copied());
            numbers.push(number.unwrap_or_else(|| self.put_body(body, draft)));
        }
        for (row, uid) in rows.into_iter().zip(&uids) {
            let (content, size_bytes) = contents[row.body];
            let mailbox = self.mailbox(row.mailbox)?;
            let folder = mailbox.folder(row.mailbox, row.folder)?;
            folder.uidnext = folder.uidnext.max(Uid(uid.0 + 1));
            let message = Message {
                uid: *uid,
                modseq: mailbox.step(),
                content,
                size_bytes,
                internal_date_seconds: row.internal_date_seconds,
                flags: row.flags,
                keywords: row.keywords,
                origin: row.origin,
            };
            let (mailbox, folder, number) = (row.mailbox, row.folder, numbers[row.body]);
            draft.touched.insert(mailbox);
            draft.ops.push(Op::Append { mailbox, folder, number, message });
        }
        Ok(Reply::Uids(uids))
    }

    /// The UID of each row, if all of them may be appended.
    fn choose_uids(&mut self, rows: &[NewRow]) -> Result<Vec<Uid>, StoreError> {
        let mut next: HashMap<(MailboxId, FolderId), Uid> = HashMap::new();
        let mut uids = Vec::with_capacity(rows.len());
        for row in rows {
            let (mailbox, folder) = (row.mailbox, row.folder);
            let free = match next.get(&(mailbox, folder)) {
                Some(free) => *free,
                None => self.active(mailbox)?.folder(mailbox, folder)?.uidnext,
            };
            let uid = row.uid.unwrap_or(free);
            if uid < free || uid.0 == u32::MAX {
                return Err(StoreError::UidTaken { mailbox, folder, asked: uid, uidnext: free });
            }
            next.insert((mailbox, folder), Uid(uid.0 + 1));
            uids.push(uid);
        }
        Ok(uids)
    }

    pub(super) fn change_flags(
        &mut self,
        at: (MailboxId, FolderId),
        uid: Uid,
        change: FlagChange,
        draft: &mut Draft,
    ) -> Result<Reply, StoreError> {
        let (mailbox, folder) = at;
        let active = self.active(mailbox)?;
        active.folder(mailbox, folder)?;
        let modseq = active.step();
        draft.touched.insert(mailbox);
        draft.ops.push(Op::ChangeFlags { mailbox, folder, uid, modseq, change });
        Ok(Reply::Modseq(modseq))
    }

    pub(super) fn expunge(
        &mut self,
        at: (MailboxId, FolderId),
        uids: &[Uid],
        kept_since: Option<i64>,
        draft: &mut Draft,
    ) -> Result<Reply, StoreError> {
        let (mailbox, folder) = at;
        let active = self.active(mailbox)?;
        active.folder(mailbox, folder)?;
        for uid in uids {
            let (uid, modseq) = (*uid, active.step());
            draft.ops.push(match kept_since {
                Some(removed_seconds) => {
                    Op::Remove { mailbox, folder, uid, modseq, removed_seconds }
                }
                None => Op::Expunge { mailbox, folder, uid, modseq },
            });
        }
        draft.touched.insert(mailbox);
        Ok(Reply::Done)
    }
}
