//! The clock that comes in as an argument.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

/// Time as the program sees it.
pub trait Clock: Send + Sync {
    /// Microseconds since 1970 by the wall clock. It informs people; nothing is ordered by it.
    fn wall_us(&self) -> i64;

    /// Milliseconds by a clock that never steps back, from an arbitrary start in this process.
    fn monotonic_ms(&self) -> u64;
}

/// The computer's clock.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "the one place that asks the computer")]
    fn wall_us(&self) -> i64 {
        let (sign, distance) = match SystemTime::now().duration_since(UNIX_EPOCH) {
            Ok(after) => (1, after),
            Err(before) => (-1, before.duration()),
        };
        i64::try_from(distance.as_micros()).map_or(i64::MAX, |us| sign * us)
    }

    fn monotonic_ms(&self) -> u64 {
        static START: OnceLock<Instant> = OnceLock::new();
        let elapsed = START.get_or_init(Instant::now).elapsed();
        u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX)
    }
}

/// Milliseconds since this computer was started, its sleep counted: the same in all its processes,
/// so that one can tell another until when.
#[must_use]
pub fn boot_ms() -> u64 {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
    let (seconds, ns) = (now.tv_sec.unsigned_abs(), now.tv_nsec.unsigned_abs());
    seconds.saturating_mul(1_000).saturating_add(ns / 1_000_000)
}

/// A clock wound by hand, for tests.
#[derive(Debug, Default)]
pub struct ManualClock {
    wall_us: AtomicI64,
    monotonic_ms: AtomicU64,
}

impl ManualClock {
    /// A clock that shows `wall_us` and stands still until it is wound.
    #[must_use]
    pub fn new(wall_us: i64) -> ManualClock {
        ManualClock { wall_us: AtomicI64::new(wall_us), monotonic_ms: AtomicU64::new(0) }
    }

    /// Lets `ms` milliseconds pass.
    pub fn advance_ms(&self, ms: u64) {
        self.monotonic_ms.fetch_add(ms, Ordering::SeqCst);
        let us = i64::try_from(ms.saturating_mul(1000)).unwrap_or(i64::MAX);
        self.wall_us.fetch_add(us, Ordering::SeqCst);
    }

    /// Sets the wall clock alone, back or forth, as an administrator might.
    pub fn set_wall_us(&self, wall_us: i64) {
        self.wall_us.store(wall_us, Ordering::SeqCst);
    }
}

impl Clock for ManualClock {
    fn wall_us(&self) -> i64 {
        self.wall_us.load(Ordering::SeqCst)
    }

    fn monotonic_ms(&self) -> u64 {
        self.monotonic_ms.load(Ordering::SeqCst)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_manual_clock_moves_only_when_wound() {
        let clock = ManualClock::new(5);
        assert_eq!((clock.wall_us(), clock.monotonic_ms()), (5, 0));
        clock.advance_ms(3);
        assert_eq!((clock.wall_us(), clock.monotonic_ms()), (3005, 3));
        clock.set_wall_us(1);
        assert_eq!((clock.wall_us(), clock.monotonic_ms()), (1, 3));
    }

    #[test]
    fn the_system_clock_does_not_step_back() {
        let first = SystemClock.monotonic_ms();
        assert!(SystemClock.monotonic_ms() >= first);
        assert!(SystemClock.wall_us() > 1_600_000_000_000_000);
    }
}
