//! The answer of an observer.

/// Whether long work is to go on. Work that was stopped can be taken up again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Flow {
    /// Go on.
    Continue,
    /// End as soon as everything is in order.
    Stop,
}
