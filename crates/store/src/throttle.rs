//! Keeping a rate below a bound.

use std::time::{Duration, Instant};

/// Time saved up by being slow is given away later within no more than this.
const BURST: Duration = Duration::from_secs(1);

/// Says how long to wait so that a rate stays below its bound.
pub(crate) struct Throttle {
    bytes_per_second_max: u64,
    bytes: u64,
    begun: Instant,
}

impl Throttle {
    pub(crate) fn new(bytes_per_second_max: u64) -> Throttle {
        let bytes_per_second_max = bytes_per_second_max.max(1);
        Throttle { bytes_per_second_max, bytes: 0, begun: Instant::now() }
    }

    /// Counts bytes; returns for how long nothing more may be done.
    pub(crate) fn spent(&mut self, bytes: u64) -> Duration {
        self.bytes += bytes;
        let due = Duration::from_secs_f64(self.bytes as f64 / self.bytes_per_second_max as f64);
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
}
