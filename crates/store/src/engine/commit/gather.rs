//! How long a group gathers before it is taken: what is in one group shares its syncs.
//!
//! A group cannot be durable before the one in front of it, so small ones gather until that is
//! acknowledged. Then those who were just answered are given a moment to come back with their next
//! request: otherwise they and those who wait now would take turns for ever, half of them in each
//! group. The moment is no longer than a sync, and it is not given to callers who did not use it
//! the last times.

use std::time::{Duration, Instant};

use super::Desk;
use crate::engine::queue::Enough;
use crate::lock::lock;

/// Requests that weigh so much are written at once, while the group in front of them is synced.
const WORTH_WRITING_BYTES: u64 = 512 << 10;
/// The longest moment for callers to come back.
const MOMENT_MAX: Duration = Duration::from_millis(1);
/// Moments given in vain, after which they are given rarely.
const MISSES_MAX: u32 = 2;
/// How rarely.
const RARELY: u32 = 32;

/// What the last groups say of the next one.
#[derive(Default)]
pub(super) struct Returning {
    /// Requests added to the queue by when all who were answered last are back.
    added: u64,
    /// Until when they may come.
    until: Option<Instant>,
    /// How long a group takes to be durable: the mean of the last few.
    sync: Duration,
    misses: u32,
}

impl Returning {
    /// A group became durable in `took`; `answers` callers are answered now, when `added` requests
    /// have been added to the queue.
    pub(super) fn answered(&mut self, now: Instant, took: Duration, answers: u64, added: u64) {
        self.sync = (self.sync * 7 + took) / 8;
        self.added = added + answers;
        self.until = Some(now + self.sync.min(MOMENT_MAX));
    }

    /// What to wait for, and until when; nothing if it is not worth it.
    fn expected(&mut self) -> Option<(u64, Instant)> {
        let until = self.until.take()?;
        if self.misses >= MISSES_MAX {
            self.misses += 1;
            if !self.misses.is_multiple_of(RARELY) {
                return None;
            }
        }
        Some((self.added, until))
    }

    /// Whether they came.
    fn learn(&mut self, came: bool) {
        self.misses = if came { 0 } else { self.misses + 1 };
    }
}

impl Desk<'_> {
    /// Waits for requests, and as long as more of them make a better group.
    pub(super) fn gather(&self) {
        let requests = &self.shared.requests;
        requests.await_item();
        let weight = WORTH_WRITING_BYTES;
        let durable = || self.turns.is_idle();
        if requests.gather(Enough { added: u64::MAX, weight }, None, durable) {
            return;
        }
        let expected = lock(&self.returning).expected();
        if let Some((added, until)) = expected {
            let came = requests.gather(Enough { added, weight }, Some(until), || false);
            lock(&self.returning).learn(came);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Groups of four after which everybody came back or nobody did; whether the next group waits.
    #[track_caller]
    fn check(came: &[bool], expected: bool) {
        let mut returning = Returning::default();
        let now = Instant::now();
        for came in came {
            returning.answered(now, Duration::from_micros(800), 4, 10);
            if returning.expected().is_some() {
                returning.learn(*came);
            }
        }
        returning.answered(now, Duration::from_micros(800), 4, 10);
        let waits = returning.expected();
        assert_eq!(waits.is_some(), expected, "{came:?}");
        assert!(waits.is_none_or(|(added, until)| added == 14 && until <= now + MOMENT_MAX));
        assert!(returning.expected().is_none(), "once a group");
    }

    #[test]
    fn a_moment_is_given_as_long_as_it_is_used() {
        check(&[], true);
        check(&[true, true, false], true);
        check(&[false, false], false);
        check(&[false; 31], true);
        check(&[[false; 31].as_slice(), &[true]].concat(), true);
    }
}
