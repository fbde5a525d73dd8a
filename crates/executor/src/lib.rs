//! Carries a plan out, step by step, with a journal that survives a kill.

mod operations;
mod outcome;

pub use operations::{
    CheckOutcome, Flow, GateAnswer, OperationError, Operations, Performed, Progress,
};
pub use outcome::{End, Run};
