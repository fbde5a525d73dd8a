//! The last changes in memory, for those who keep up.

use std::collections::VecDeque;
use std::sync::{Condvar, Mutex};
use std::time::{Duration, Instant};

use rehome_log::Lsn;

use super::event::{ChangeEvent, events};
use crate::error::StoreError;
use crate::lock::{lock, wait_for};
use crate::op::Group;

/// Events kept, at most, but for a single larger group.
const EVENTS_MAX: usize = 16_384;

/// What writers tell and readers hear.
pub(crate) struct Feed {
    state: Mutex<State>,
    changed: Condvar,
}

struct State {
    acknowledged: Lsn,
    closed: bool,
    readers: usize,
    /// All groups after this one are in `recent`.
    floor: Lsn,
    recent: VecDeque<(Lsn, Vec<ChangeEvent>)>,
    events: usize,
}

impl Feed {
    /// Of a store whose last group is `acknowledged`.
    pub(crate) fn new(acknowledged: Lsn) -> Feed {
        let state = State {
            acknowledged,
            closed: false,
            readers: 0,
            floor: acknowledged,
            recent: VecDeque::new(),
            events: 0,
        };
        Feed { state: Mutex::new(state), changed: Condvar::new() }
    }

    /// Group `lsn` is acknowledged.
    pub(crate) fn publish(&self, lsn: Lsn, wall_us: i64, group: &Group) {
        let mut state = lock(&self.state);
        let before = std::mem::replace(&mut state.acknowledged, lsn);
        if state.readers == 0 {
            state.floor = lsn;
            return;
        }
        let events = events(before, lsn, wall_us, group);
        state.events += events.len();
        state.recent.push_back((lsn, events));
        while state.events > EVENTS_MAX {
            let Some((lsn, events)) = state.recent.pop_front() else { break };
            state.floor = lsn;
            state.events -= events.len();
        }
        self.changed.notify_all();
    }

    /// Nothing comes any more.
    pub(crate) fn close(&self) {
        lock(&self.state).closed = true;
        self.changed.notify_all();
    }

    pub(super) fn join(&self) {
        lock(&self.state).readers += 1;
    }

    pub(super) fn leave(&self) {
        let mut state = lock(&self.state);
        state.readers -= 1;
        if state.readers == 0 {
            state.recent = VecDeque::new();
            (state.events, state.floor) = (0, state.acknowledged);
        }
    }

    /// The groups after `last`, if all of them are in memory.
    pub(super) fn after(&self, last: Lsn) -> Option<Vec<(Lsn, Vec<ChangeEvent>)>> {
        let state = lock(&self.state);
        let newer = state.recent.iter().filter(|(lsn, _)| *lsn > last);
        (last >= state.floor).then(|| newer.cloned().collect())
    }

    /// Waits for a group after `last`; says whether there is one.
    pub(super) fn wait_beyond(&self, last: Lsn, timeout: Duration) -> Result<bool, StoreError> {
        let begun = Instant::now();
        let mut state = lock(&self.state);
        while state.acknowledged <= last {
            if state.closed {
                return Err(StoreError::Closed);
            }
            let Some(left) = timeout.checked_sub(begun.elapsed()).filter(|t| !t.is_zero()) else {
                return Ok(false);
            };
            state = wait_for(&self.changed, state, left);
        }
        Ok(true)
    }
}
