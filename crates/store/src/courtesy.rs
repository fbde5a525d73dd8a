//! Work in the background that lets others go first.

/// Steps between two times that others may go first: some tens of microseconds of work.
const STEPS: u32 = 32;

/// Counts steps of work that nobody waits for. A scheduler lets a thread run for some milliseconds
/// where nothing more urgent is known, and committers and callers would wait for it that long.
#[derive(Debug, Default)]
pub(crate) struct Courtesy {
    steps: u32,
}

impl Courtesy {
    /// A step was done.
    pub(crate) fn step(&mut self) {
        self.steps += 1;
        if self.steps >= STEPS {
            self.steps = 0;
            std::thread::yield_now();
        }
    }
}
