//! What follows is the README; below are the modules and the whole public list.
#![doc = include_str!("../README.md")]

mod error;
mod executor;
mod journal;
mod operations;
mod outcome;
mod state;

pub use error::ExecutorError;
pub use executor::{Executor, Notice};
pub use journal::JOURNAL_FORMAT;
pub use operations::{
    CheckOutcome, Flow, Gate, GateAnswer, GateRefusal, OperationError, Operations, Performed,
    Progress,
};
pub use outcome::{End, Run};
