//! Which member of etcd is asked: the first if it answers, another one if not.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// How long another member than the first is asked, and one that takes nothing is passed over.
const AWAY_MAX: Duration = Duration::from_secs(2);

/// The members of a place, and what was learnt of them.
#[derive(Debug)]
pub(crate) struct Endpoints {
    urls: Vec<String>,
    inner: Mutex<Inner>,
}

#[derive(Debug)]
struct Inner {
    /// The one that is asked now.
    current: usize,
    /// When another one than the first was chosen.
    left_first: Option<Instant>,
    /// When each took nothing, last.
    deaf: Vec<Option<Instant>>,
}

impl Inner {
    fn is_deaf(&self, which: usize, now: Instant) -> bool {
        self.deaf[which].is_some_and(|at| now.duration_since(at) <= AWAY_MAX)
    }
}

impl Endpoints {
    /// `urls` are one at least.
    pub(crate) fn new(urls: Vec<String>) -> Self {
        let deaf = vec![None; urls.len()];
        Self { urls, inner: Mutex::new(Inner { current: 0, left_first: None, deaf }) }
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn count(&self) -> usize {
        self.urls.len()
    }

    pub(crate) fn url(&self, which: usize) -> &str {
        &self.urls[which]
    }

    /// The one to ask. The first is the best, the member on this host for instance: it is tried
    /// again after a while.
    pub(crate) fn current(&self, now: Instant) -> usize {
        let mut inner = self.inner();
        if inner.left_first.is_some_and(|left| now.duration_since(left) > AWAY_MAX) {
            inner.left_first = None;
            inner.current = 0;
        }
        inner.current
    }

    /// `which` gave no answer; if it is `deaf` it did not even take the question, and is passed
    /// over for a while. Another one is asked next, unless somebody else has seen to that.
    pub(crate) fn failed(&self, which: usize, deaf: bool, now: Instant) {
        let mut inner = self.inner();
        if deaf {
            inner.deaf[which] = Some(now);
        }
        if inner.current != which {
            return;
        }
        inner.left_first.get_or_insert(now);
        let count = self.urls.len();
        let after = (1..count).map(|step| (which + step) % count);
        let next = after.clone().find(|other| !inner.is_deaf(*other, now));
        inner.current = next.or(after.clone().next()).unwrap_or(which);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `failures` are (when, which, whether it took nothing); who is asked at `at_ms`?
    #[track_caller]
    fn check(failures: &[(u64, usize, bool)], at_ms: u64, expected: usize) {
        let endpoints = Endpoints::new(["a", "b", "c"].map(str::to_owned).to_vec());
        let begun = Instant::now();
        let at = |ms| begun + Duration::from_millis(ms);
        for &(ms, which, deaf) in failures {
            endpoints.failed(which, deaf, at(ms));
        }
        assert_eq!(endpoints.current(at(at_ms)), expected);
    }

    #[test]
    fn who_does_not_answer_is_followed_by_the_next_and_who_takes_nothing_is_passed_over() {
        check(&[], 0, 0);
        check(&[(0, 0, false)], 1, 1);
        check(&[(0, 0, false), (1, 0, false)], 1, 1);
        check(&[(0, 0, false), (1, 1, true), (2, 2, false)], 3, 0);
        check(&[(0, 0, false), (1, 1, true), (2, 2, false), (3, 0, false)], 4, 2);
        check(&[(0, 0, true), (1, 1, true), (2, 2, true)], 3, 0);
        check(&[(0, 0, false)], 2_000, 1);
        check(&[(0, 0, false)], 2_001, 0);
    }

    #[test]
    fn a_single_member_is_asked_whatever_it_does() {
        let endpoints = Endpoints::new(vec!["a".to_owned()]);
        let now = Instant::now();
        endpoints.failed(0, true, now);
        assert_eq!(endpoints.current(now), 0);
    }
}
