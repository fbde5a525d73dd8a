//! The committers: two threads that take turns. While one waits for its group to be durable, the
//! other numbers the next group and writes it into the page cache.
//!
//! Groups are numbered and written one at a time, under one lock, and made durable and acknowledged
//! one at a time, in the same order. So a group is acknowledged only after all groups before it,
//! and a sync that fails is seen by the group it failed for before any later one asks again.

mod finish;
mod gather;
mod write;

use std::sync::{Arc, Condvar, Mutex};

use self::gather::Returning;
use self::write::Writer;
use super::Shared;
use super::answer::{Latch, Promise};
use super::plan::Planner;
use super::request::{Pending, Reply};
use super::sync::Syncer;
use crate::error::StoreError;
use crate::lock::{lock, wait};

/// Bytes of requests in a group, at most, but for a single larger request.
const GROUP_BYTES_MAX: u64 = 8 << 20;
/// Requests in a group, at most.
const GROUP_REQUESTS_MAX: usize = 4_096;

/// Where the answer to a request goes, and the answer if all goes well.
type Ready = (Promise, Reply);

/// Requests that are taken at once.
struct Taken {
    requests: Vec<Pending>,
    /// What their callers wait for.
    latch: Latch,
}

/// What the committers share.
struct Desk<'s> {
    shared: &'s Arc<Shared>,
    writer: Mutex<Writer<'s>>,
    turns: Turns,
    syncer: Mutex<Syncer>,
    returning: Mutex<Returning>,
}

/// Closes the way in when a committer ends, however it ends. One that panics leaves things as
/// nobody knows: the store stops.
struct Closing<'s>(&'s Shared);

impl Drop for Closing<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let cause = "a thread of the store panicked".to_owned();
            self.0.fail(&StoreError::Poisoned { cause });
        }
        self.0.abandon_requests();
    }
}

/// Works until the queue ends.
pub(super) fn run(shared: &Arc<Shared>, planner: Planner) {
    let syncer = Mutex::new(Syncer::start(Arc::clone(&shared.disk)));
    let writer = Mutex::new(Writer::new(shared, planner));
    let (turns, returning) = (Turns::default(), Mutex::default());
    let desk = Desk { shared, writer, turns, syncer, returning };
    std::thread::scope(|scope| {
        let second = std::thread::Builder::new().name("store-commit-2".to_owned());
        // Without a second thread the first does all of the work.
        drop(second.spawn_scoped(scope, || desk.work()));
        desk.work();
    });
    lock(&desk.writer).stop();
}

/// Tells everybody the same error.
fn refuse(answers: Vec<Ready>, error: impl Fn() -> StoreError) {
    for (to, _) in answers {
        to.keep(Err(error()));
    }
}

impl Desk<'_> {
    fn work(&self) {
        let _closing = Closing(self.shared);
        loop {
            let mut writer = lock(&self.writer);
            let Some(group) = self.take() else { break };
            let written = writer.commit(group, &self.turns);
            drop(writer);
            if let Some(written) = written {
                self.finish(written);
                self.shared.requests.nudge();
            }
        }
    }

    /// Waits for requests and takes a group of them.
    fn take(&self) -> Option<Taken> {
        self.gather();
        let log_bytes_max = self.shared.log.payload_bytes_max();
        let (mut bytes, mut log_bytes, mut requests) = (0, 0, 0);
        let requests = self.shared.requests.pop_group(|pending| {
            bytes += pending.request.weight();
            log_bytes += pending.request.log_bytes();
            requests += 1;
            bytes <= GROUP_BYTES_MAX && log_bytes <= log_bytes_max && requests <= GROUP_REQUESTS_MAX
        })?;
        // Only now: whoever comes between the two is woken too early and waits on alone. Had the
        // new latch been there before, one of these might wait for the next group with it.
        Some(Taken { requests, latch: self.shared.next_latch() })
    }
}

/// Keeps groups in the order in which they were written.
#[derive(Default)]
struct Turns {
    state: Mutex<TurnState>,
    changed: Condvar,
}

#[derive(Default)]
struct TurnState {
    given: u64,
    ended: u64,
}

/// The turn of a group; it ends when this is dropped.
struct Turn<'t>(&'t Turns);

impl Turns {
    /// The turn after all that were given before.
    fn give(&self) -> u64 {
        let mut state = lock(&self.state);
        state.given += 1;
        state.given
    }

    /// Waits until all turns before `turn` have ended.
    fn wait_for(&self, turn: u64) -> Turn<'_> {
        let mut state = lock(&self.state);
        while state.ended + 1 < turn {
            state = wait(&self.changed, state);
        }
        Turn(self)
    }

    /// Whether all turns that were given have ended.
    fn is_idle(&self) -> bool {
        let state = lock(&self.state);
        state.ended == state.given
    }

    /// Waits until all turns that were given have ended.
    fn wait_idle(&self) {
        let mut state = lock(&self.state);
        while state.ended < state.given {
            state = wait(&self.changed, state);
        }
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        lock(&self.0.state).ended += 1;
        self.0.changed.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn turns_come_in_the_order_in_which_they_were_given() {
        let turns = Turns::default();
        let given: Vec<u64> = (0..8).map(|_| turns.give()).collect();
        let order = Mutex::new(Vec::new());
        std::thread::scope(|scope| {
            for turn in given.iter().rev() {
                scope.spawn(|| {
                    let _turn = turns.wait_for(*turn);
                    lock(&order).push(*turn);
                });
            }
        });
        turns.wait_idle();
        assert_eq!(*lock(&order), given);
    }

    #[test]
    fn a_turn_ends_when_its_thread_panics() {
        let turns = Turns::default();
        let (first, second) = (turns.give(), turns.give());
        std::thread::scope(|scope| {
            let failing = scope.spawn(|| {
                let _turn = turns.wait_for(first);
                std::panic::resume_unwind(Box::new(()));
            });
            assert!(failing.join().is_err());
        });
        drop(turns.wait_for(second));
        turns.wait_idle();
    }
}
