//! Threads in the background, which yield to others.
//!
//! A scheduler lets a thread run on for some milliseconds where it knows of nothing more urgent.
//! Committers and callers would wait for a thread of the catalog that long, though nobody waits for
//! the catalog. So such a thread yields every few rows, unless somebody does.

use std::cell::RefCell;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Steps between two yields: some tens of microseconds of work.
const STEPS: u32 = 32;

thread_local! {
    static AWAITED: RefCell<Option<Arc<AtomicBool>>> = const { RefCell::new(None) };
}

/// From now on this thread yields to others, but while `awaited` says that it is waited for;
/// without it, never.
pub(crate) fn begin(awaited: Option<Arc<AtomicBool>>) {
    AWAITED.set(awaited);
}

/// Counts the steps of a piece of work.
pub(crate) struct Background {
    awaited: Option<Arc<AtomicBool>>,
    steps: u32,
}

impl Background {
    /// That of this thread, which yields only once it has begun to.
    pub(crate) fn of_this_thread() -> Background {
        Background { awaited: AWAITED.with_borrow(Clone::clone), steps: 0 }
    }

    /// A step was done.
    pub(crate) fn step(&mut self) {
        if self.is_due() {
            std::thread::yield_now();
        }
    }

    fn is_due(&mut self) -> bool {
        let Some(awaited) = &self.awaited else { return false };
        self.steps = (self.steps + 1) % STEPS;
        self.steps == 0 && !awaited.load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How often it yields in so many steps.
    #[track_caller]
    fn check(steps: u32, expected: usize) {
        let mut background = Background::of_this_thread();
        assert_eq!((0..steps).filter(|_| background.is_due()).count(), expected);
    }

    #[test]
    fn it_yields_unless_somebody_waits() {
        check(1000, 0);
        let awaited = Arc::new(AtomicBool::new(false));
        begin(Some(Arc::clone(&awaited)));
        check(STEPS * 3 + 1, 3);
        awaited.store(true, Ordering::Relaxed);
        check(1000, 0);
    }
}
