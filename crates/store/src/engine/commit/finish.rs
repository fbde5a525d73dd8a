//! The second half of a commit: a written group becomes durable and is acknowledged.

use std::collections::BTreeSet;
use std::io;
use std::sync::Arc;
use std::time::Instant;

use rehome_log::Lsn;

use super::{Desk, Ready, refuse};
use crate::engine::answer::Latch;
use crate::engine::apply::{GATHERED_BYTES, Work};
use crate::error::StoreError;
use crate::lock::lock;
use crate::model::MailboxId;
use crate::op::Group;
use crate::segment::OpenFile;

/// A group that has been written, or requests that need nothing written.
pub(super) struct Written {
    /// Its place in the order.
    pub(super) turn: u64,
    pub(super) answers: Vec<Ready>,
    /// What those who are answered wait for.
    pub(super) latch: Latch,
    pub(super) group: Option<WrittenGroup>,
}

/// What was written.
pub(super) struct WrittenGroup {
    pub(super) lsn: Lsn,
    pub(super) group: Group,
    pub(super) payload: Vec<u8>,
    pub(super) touched: BTreeSet<MailboxId>,
    /// The segment that it wrote to last; those before it are sealed and durable.
    pub(super) segment: Option<Arc<OpenFile>>,
}

impl Desk<'_> {
    /// Makes what was written durable, when all before it is, and answers.
    pub(super) fn finish(&self, written: Written) {
        let Written { turn, answers, latch, group } = written;
        let _turn = self.turns.wait_for(turn);
        if let Err(error) = self.shared.check_poison() {
            return refuse(answers, || error.latch());
        }
        let Some(group) = group else {
            // What these requests found may be from the group before, which is durable now.
            let lsn = self.shared.progress.acknowledged();
            return self.answer_all(lsn, answers);
        };
        let begun = Instant::now();
        let (lsn, work) = match self.make_durable(group) {
            Ok(durable) => durable,
            Err(error) => {
                let error = self.shared.fail(&error);
                return refuse(answers, || error.latch());
            }
        };
        self.expect_back(begun, answers.len());
        self.answer_all(lsn, answers);
        drop(latch);
        let weight = work.weight();
        // If the catalog has failed, the group is durable nevertheless, and replayed at the next
        // opening.
        drop(self.shared.applies.push(work, weight));
        if self.shared.applies.has(GATHERED_BYTES) {
            self.shared.progress.look();
        }
    }

    /// Syncs segments and log at once, and makes sure that nobody has replaced this owner.
    fn make_durable(&self, written: WrittenGroup) -> Result<(Lsn, Work), StoreError> {
        let shared = self.shared;
        let WrittenGroup { lsn, group, payload, touched, segment } = written;
        let (bodies, log) = lock(&self.syncer).sync_beside(segment, || shared.log.sync());
        bodies.map_err(|source| failed("syncing a segment", source))?;
        log.map_err(StoreError::from)?;
        shared.ownership.verify().map_err(StoreError::from)?;
        shared.log.acknowledge(lsn);
        shared.progress.acknowledge(lsn, touched);
        shared.feed.publish(lsn, shared.clock.wall_us(), &group);
        // It waits as bytes, which are a quarter of what it is in memory.
        let ops = group.ops.len();
        Ok((lsn, Work::Group { lsn, ops, payload: payload.into_boxed_slice() }))
    }

    fn expect_back(&self, begun: Instant, answers: usize) {
        let (now, added) = (Instant::now(), self.shared.requests.added());
        lock(&self.returning).answered(now, now - begun, answers as u64, added);
    }

    fn answer_all(&self, lsn: Lsn, answers: Vec<Ready>) {
        let late = self.shared.options.lease.as_ref().and_then(|lease| lease.late_ms());
        if let Some(late_ms) = late {
            return refuse(answers, || StoreError::LeaseExpired { late_ms });
        }
        for (to, reply) in answers {
            to.keep(Ok((reply, lsn)));
        }
    }
}

pub(super) fn failed(doing: &str, source: io::Error) -> StoreError {
    StoreError::Io { doing: doing.to_owned(), source }
}
