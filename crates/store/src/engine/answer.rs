//! Answers to requests.
//!
//! Callers whose requests are taken together are mostly answered together. They wait for one
//! [`Latch`], which opens when all of them have their answers: that is one call of the system. One
//! for each of them would take a quarter of the time of a group of small deliveries.

use std::sync::{Arc, Mutex, OnceLock};

use rehome_log::Lsn;

use super::request::Reply;
use crate::error::StoreError;
use crate::lock::lock;

/// What a request gives back, and the group that holds it.
pub(super) type Answer = Result<(Reply, Lsn), StoreError>;

/// What those wait for whose requests are taken at once; open for good when it is dropped.
pub(super) struct Latch(Arc<OnceLock<()>>);

/// Where one answer goes. If it is dropped without one, its caller is told that there is none.
pub(super) struct Promise(Arc<Slot>);

/// A caller's side of a promise.
pub(super) struct Promised(Arc<Slot>);

#[derive(Default)]
struct Slot {
    answer: Mutex<Option<Answer>>,
    /// There is an answer, or there will be none.
    done: OnceLock<()>,
}

/// A promise, and where its caller waits.
pub(super) fn promise() -> (Promise, Promised) {
    let slot = Arc::new(Slot::default());
    (Promise(Arc::clone(&slot)), Promised(slot))
}

impl Latch {
    pub(super) fn new() -> Latch {
        Latch(Arc::new(OnceLock::new()))
    }

    /// For one who waits.
    pub(super) fn waiter(&self) -> Arc<OnceLock<()>> {
        Arc::clone(&self.0)
    }
}

impl Drop for Latch {
    fn drop(&mut self) {
        // Nobody else opens it.
        let _first = self.0.set(());
    }
}

impl Promise {
    /// Answers; whoever has stopped waiting does not need it.
    pub(super) fn keep(self, answer: Answer) {
        *lock(&self.0.answer) = Some(answer);
    }
}

impl Drop for Promise {
    fn drop(&mut self) {
        let _first = self.0.done.set(());
    }
}

impl Promised {
    /// Waits for the answer; none if there will be none.
    pub(super) fn wait(self) -> Option<Answer> {
        self.0.done.wait();
        lock(&self.0.answer).take()
    }
}

#[cfg(test)]
mod tests {
    use std::thread;

    use super::*;

    const ANSWER: Answer = Ok((Reply::Done, Lsn::ZERO));

    /// Has two callers wait for a latch while `answer` is done with their promises.
    #[track_caller]
    fn check(answer: impl FnOnce([Promise; 2]), expected: [bool; 2]) {
        let latch = Latch::new();
        let (promises, waiting): (Vec<_>, Vec<_>) = [promise(), promise()].into_iter().unzip();
        let Ok(promises) = promises.try_into() else { unreachable!("there are two") };
        thread::scope(|scope| {
            let answers: Vec<_> = waiting
                .into_iter()
                .map(|promised| {
                    let waiter = latch.waiter();
                    scope.spawn(move || {
                        waiter.wait();
                        promised.wait().is_some()
                    })
                })
                .collect();
            answer(promises);
            drop(latch);
            let answered = answers.into_iter().map(|caller| caller.join().unwrap());
            assert_eq!(answered.collect::<Vec<_>>(), expected);
        });
    }

    #[test]
    fn all_who_wait_for_a_latch_have_their_own_answers() {
        check(|promises| promises.into_iter().for_each(|one| one.keep(ANSWER)), [true, true]);
        check(|[one, _other]| one.keep(ANSWER), [true, false]);
        check(drop, [false, false]);
    }

    #[test]
    fn who_was_let_in_too_early_waits_on_alone() {
        let (promise, promised) = promise();
        drop(Latch::new());
        thread::scope(|scope| {
            let caller = scope.spawn(|| promised.wait().is_some());
            promise.keep(ANSWER);
            assert!(caller.join().unwrap());
        });
    }
}
