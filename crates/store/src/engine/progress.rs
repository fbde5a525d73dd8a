//! What is acknowledged, and how much of it the catalog holds.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};

use rehome_log::Lsn;

use crate::error::StoreError;
use crate::lock::{lock, wait, wait_for as wait_timeout};
use crate::model::MailboxId;

/// How far the store is.
pub(crate) struct Progress {
    state: Mutex<State>,
    changed: Condvar,
    /// Whether the catalog is waited for, or lags much: for its threads.
    awaited: Arc<AtomicBool>,
}

struct State {
    acknowledged: Lsn,
    applied: Lsn,
    /// The last group about a mailbox, for groups that are not applied yet.
    mailboxes: HashMap<MailboxId, Lsn>,
    failed: Option<StoreError>,
    /// Callers that wait for the catalog.
    waiters: usize,
    /// Much is to be applied.
    lags: bool,
}

/// Somebody who waits for the catalog, until this is dropped: what is to be applied is not gathered
/// meanwhile.
pub(super) struct Waiter<'p>(&'p Progress);

impl Drop for Waiter<'_> {
    fn drop(&mut self) {
        self.0.change(|state| state.waiters -= 1);
    }
}

impl Progress {
    /// Of a catalog that holds everything up to `applied`.
    pub(super) fn new(applied: Lsn) -> Progress {
        let mailboxes = HashMap::new();
        let (failed, waiters, lags) = (None, 0, false);
        let state = State { acknowledged: applied, applied, mailboxes, failed, waiters, lags };
        let (changed, awaited) = (Condvar::new(), Arc::default());
        Progress { state: Mutex::new(state), changed, awaited }
    }

    /// Whether somebody waits for the catalog, or it lags much; changes with time.
    pub(super) fn awaited(&self) -> Arc<AtomicBool> {
        Arc::clone(&self.awaited)
    }

    /// Says whether the catalog lags much.
    pub(super) fn lag(&self, lags: bool) {
        self.change(|state| state.lags = lags);
    }

    fn change(&self, change: impl FnOnce(&mut State)) {
        let mut state = lock(&self.state);
        change(&mut state);
        self.awaited.store(state.waiters > 0 || state.lags, Ordering::Relaxed);
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

    /// Has everything applied at once as long as the answer lives.
    pub(super) fn hurry(&self) -> Waiter<'_> {
        self.change(|state| state.waiters += 1);
        self.changed.notify_all();
        Waiter(self)
    }

    /// Looks at what there is once more: for [`Progress::gather`].
    pub(super) fn look(&self) {
        // The lock: whoever has looked already waits by now.
        drop(lock(&self.state));
        self.changed.notify_all();
    }

    /// Waits until somebody waits for the catalog, or `enough` says so, or for so long.
    pub(super) fn gather(&self, patience: Duration, enough: impl Fn() -> bool) {
        let begun = Instant::now();
        let mut state = lock(&self.state);
        while state.waiters == 0 && !enough() {
            let Some(left) = patience.checked_sub(begun.elapsed()) else { break };
            state = wait_timeout(&self.changed, state, left);
        }
    }

    /// Waits until the catalog holds group `lsn`.
    pub(crate) fn wait_for(&self, lsn: Lsn) -> Result<(), StoreError> {
        if lock(&self.state).applied >= lsn {
            return Ok(());
        }
        let _waiter = self.hurry();
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

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(progress: &Progress, awaited: bool) {
        assert_eq!(progress.awaited().load(Ordering::Relaxed), awaited);
    }

    #[test]
    fn the_catalog_is_awaited_while_somebody_waits_or_it_lags() {
        let progress = Progress::new(Lsn::ZERO);
        check(&progress, false);
        let (first, second) = (progress.hurry(), progress.hurry());
        drop(first);
        check(&progress, true);
        progress.lag(true);
        drop(second);
        check(&progress, true);
        progress.lag(false);
        check(&progress, false);
    }
}
