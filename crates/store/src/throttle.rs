//! Keeping a rate below a bound.

use std::time::{Duration, Instant};

/// Time saved up by being slow is given away later within no more than this.
const BURST: Duration = Duration::from_secs(1);

/// Says how long to wait so that a rate stays below its bound, which may change.
pub(crate) struct Throttle {
    bytes_per_second_max: Option<u64>,
    bytes: u64,
    begun: Instant,
}

impl Default for Throttle {
    fn default() -> Throttle {
        Throttle { bytes_per_second_max: None, bytes: 0, begun: Instant::now() }
    }
}

impl Throttle {
    pub(crate) fn new(bytes_per_second_max: u64) -> Throttle {
        Throttle { bytes_per_second_max: Some(bytes_per_second_max), ..Throttle::default() }
    }

    /// Counts bytes; returns for how long nothing more may be done.
    pub(crate) fn spent(&mut self, bytes: u64) -> Duration {
        self.count(bytes);
        self.left(self.bytes_per_second_max)
    }

    /// Counts bytes.
    pub(crate) fn count(&mut self, bytes: u64) {
        self.bytes += bytes;
    }

    /// For how long nothing more may be done under this bound.
    pub(crate) fn left(&mut self, bytes_per_second_max: Option<u64>) -> Duration {
        let Some(max) = bytes_per_second_max else {
            *self = Throttle::default();
            return Duration::ZERO;
        };
        if self.bytes_per_second_max != Some(max) {
            let since = self.bytes_per_second_max.is_some().then(|| self.begun.elapsed());
            let done = since.map_or(0.0, |since| {
                since.as_secs_f64() * self.bytes_per_second_max.unwrap_or(0) as f64
            });
            // What the old bound has let pass is paid for; only the rest waits under the new one.
            self.bytes = (self.bytes as f64 - done).max(0.0) as u64;
            (self.bytes_per_second_max, self.begun) = (Some(max), Instant::now());
        }
        let due = Duration::from_secs_f64(self.bytes as f64 / max.max(1) as f64);
        let elapsed = self.begun.elapsed();
        if elapsed > due + BURST {
            (self.bytes, self.begun) = (0, Instant::now());
        }
        due.saturating_sub(elapsed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_wait_grows_with_what_was_spent() {
        let mut throttle = Throttle::new(1_000);
        let first = throttle.spent(10_000);
        assert!(first > Duration::from_secs(9) && first <= Duration::from_secs(10), "{first:?}");
        assert!(throttle.spent(10_000) > first);
        assert_eq!(Throttle::new(u64::MAX).spent(1), Duration::ZERO);
    }

    #[test]
    fn a_new_bound_counts_at_once() {
        let mut throttle = Throttle::default();
        throttle.count(10_000);
        let slow = throttle.left(Some(1_000));
        assert!(slow > Duration::from_secs(9) && slow <= Duration::from_secs(10), "{slow:?}");
        let fast = throttle.left(Some(100_000));
        assert!(fast <= Duration::from_millis(100), "{fast:?}");
        assert_eq!(throttle.left(None), Duration::ZERO);
        throttle.count(1_000);
        let again = throttle.left(Some(1_000));
        assert!(again > Duration::from_millis(900) && again <= Duration::from_secs(1), "{again:?}");
    }
}
