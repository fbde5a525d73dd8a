//! Bounds of a move that can be changed while it runs.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};

/// How fast a job may go; clones share it, so that somebody else can change it meanwhile.
#[derive(Clone, Default)]
pub struct LiveBounds(Arc<Bounds>);

/// Zero stands for no bound.
#[derive(Default)]
struct Bounds {
    bytes_per_second_max: AtomicU64,
    lanes: AtomicU8,
}

impl LiveBounds {
    /// Contents are sent no faster than this from now on, in bytes a second.
    pub fn set_bytes_per_second_max(&self, max: Option<u64>) {
        // A bound of nothing would be a pause that nobody can see.
        let max = max.map_or(0, |max| max.max(1));
        self.0.bytes_per_second_max.store(max, Ordering::Relaxed);
    }

    /// The bound on the rate, in bytes a second.
    #[must_use]
    pub fn bytes_per_second_max(&self) -> Option<u64> {
        Some(self.0.bytes_per_second_max.load(Ordering::Relaxed)).filter(|max| *max > 0)
    }

    /// Contents that lie scattered are read with so many threads from the next round on; with as
    /// many as the source is set to if there is no number.
    pub fn set_lanes(&self, lanes: Option<u8>) {
        self.0.lanes.store(lanes.unwrap_or(0), Ordering::Relaxed);
    }

    /// How many threads read what lies scattered.
    #[must_use]
    pub fn lanes(&self) -> Option<u8> {
        Some(self.0.lanes.load(Ordering::Relaxed)).filter(|lanes| *lanes > 0)
    }
}

impl fmt::Debug for LiveBounds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LiveBounds")
            .field("bytes_per_second_max", &self.bytes_per_second_max())
            .field("lanes", &self.lanes())
            .finish()
    }
}

impl PartialEq for LiveBounds {
    fn eq(&self, other: &LiveBounds) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl Eq for LiveBounds {}
