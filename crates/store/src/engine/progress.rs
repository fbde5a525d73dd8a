//! What is acknowledged, and how much of it the catalog holds.

use std::collections::HashMap;
use std::sync::{Condvar, Mutex};

use rehome_log::Lsn;

use crate::error::StoreError;
use crate::lock::{lock, wait};
use crate::model::MailboxId;

/// How far the store is.
pub(crate) struct Progress {
    state: Mutex<State>,
    changed: Condvar,
}

struct State {
    acknowledged: Lsn,
    applied: Lsn,
    /// The last group about a mailbox, for groups that are not applied yet.
    mailboxes: HashMap<MailboxId, Lsn>,
    failed: Option<StoreError>,
}

impl Progress {
    /// Of a catalog that holds everything up to `applied`.
    pub(super) fn new(applied: Lsn) -> Progress {
        let mailboxes = HashMap::new();
        let state = State { acknowledged: applied, applied, mailboxes, failed: None };
        Progress { state: Mutex::new(state), changed: Condvar::new() }
    }

    /// Group `lsn`, which is about `mailboxes`, is durable.
    pub(super) fn acknowledge(&self, lsn: Lsn, mailboxes: impl IntoIterator<Item = MailboxId>) {
        let mut state = lock(&self.state);
        state.acknowledged = lsn;
        state.mailboxes.extend(mailboxes.into_iter().map(|mailbox| (mailbox, lsn)));
    }

    /// The catalog holds everything up to `lsn`.
    pub(super) fn apply(&self, lsn: Lsn) {
        let mut state = lock(&self.state);
        state.applied = lsn;
        state.mailboxes.retain(|_, last| *last > lsn);
        self.changed.notify_all();
    }

    /// The catalog cannot be brought up to date any more.
    pub(super) fn fail(&self, error: StoreError) {
        lock(&self.state).failed.get_or_insert(error);
        self.changed.notify_all();
    }

    /// The last group that is acknowledged.
    pub(crate) fn acknowledged(&self) -> Lsn {
        lock(&self.state).acknowledged
    }

    /// The last group that the catalog holds.
    pub(super) fn applied(&self) -> Lsn {
        lock(&self.state).applied
    }

    /// Waits until the catalog holds everything acknowledged before the call.
    pub(super) fn wait_all(&self) -> Result<(), StoreError> {
        self.wait_for(self.acknowledged())
    }

    /// Waits until the catalog holds everything about `mailbox` acknowledged before the call.
    pub(super) fn wait_mailbox(&self, mailbox: MailboxId) -> Result<(), StoreError> {
        let last = lock(&self.state).mailboxes.get(&mailbox).copied();
        last.map_or(Ok(()), |lsn| self.wait_for(lsn))
    }

    /// Waits until the catalog holds group `lsn`.
    pub(crate) fn wait_for(&self, lsn: Lsn) -> Result<(), StoreError> {
        let mut state = lock(&self.state);
        while state.applied < lsn {
            if let Some(error) = &state.failed {
                return Err(error.latch());
            }
            state = wait(&self.changed, state);
        }
        Ok(())
    }
}
