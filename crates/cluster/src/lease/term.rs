//! The term of a lease as a value: until when a node may act, by its own clock.

use crate::configuration::Timing;

/// Until when this node may act. Pure: the times are arguments. The node and the simulation use
/// the same one.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Term {
    until_ms: u64,
    lost: bool,
}

impl Term {
    /// The end, with what ending by force may take already taken off: a quarter of the lease.
    pub(crate) fn end_ms(self, timing: &Timing) -> u64 {
        self.until_ms.saturating_sub(timing.lease_ms / 4)
    }

    /// Whether there is nothing to watch: it never began, or its loss is known already.
    pub(crate) fn idle(self) -> bool {
        self.until_ms == 0 || self.lost
    }

    /// Whether the end came and nobody has dealt with it yet.
    pub(crate) fn lost(self) -> bool {
        self.lost
    }

    /// The loss has been dealt with.
    pub(crate) fn acknowledge(&mut self) {
        self.lost = false;
    }

    /// Notes that the end has come, if it has; true once for each loss.
    pub(crate) fn ends(&mut self, now_ms: u64, timing: &Timing) -> bool {
        let over = !self.idle() && now_ms >= self.end_ms(timing);
        self.lost |= over;
        over
    }

    /// The heartbeat that was begun at `start_ms` is known to be durable, and the term is renewed.
    ///
    /// [`Term::ends`] is to be asked just before: a heartbeat renews the term only if it is known
    /// before the term is over. Otherwise others may have taken over already: the node was paused,
    /// and the write went on in the system. The term is lost then, and what comes next is another
    /// one.
    pub(crate) fn renewed(&mut self, start_ms: u64, timing: &Timing) {
        self.until_ms = self.until_ms.max(start_ms + timing.lease_ms);
    }
}
