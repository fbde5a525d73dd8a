//! What the executor asks of the world.

use rehome_planner::{Check, Step};

/// Carries actions out and looks at the world. The executor calls nothing else.
pub trait Operations {
    /// Finds out whether a condition holds now. Changes nothing.
    ///
    /// # Errors
    ///
    /// [`OperationError`] if it could not be found out.
    fn check(&mut self, check: &Check) -> Result<CheckOutcome, OperationError>;

    /// Carries a step out. Called again with the next `attempt` after a crash or an error, so a
    /// call must be harmless whatever part of an earlier one took effect.
    ///
    /// `progress` is called now and then with how far it is; on [`Flow::Stop`] the work ends at
    /// the next safe place with [`OperationError::Interrupted`].
    ///
    /// # Errors
    ///
    /// [`OperationError`]; the variant says what the executor does about it.
    fn perform(
        &mut self,
        step: &Step,
        attempt: u32,
        progress: &mut dyn FnMut(Progress) -> Flow,
    ) -> Result<Performed, OperationError>;

    /// Undoes a step by the action in its `undo`. As harmless to call twice as `perform`.
    ///
    /// # Errors
    ///
    /// [`OperationError`]; the variant says what the executor does about it.
    fn undo(&mut self, step: &Step, attempt: u32) -> Result<Performed, OperationError>;

    /// Asks the person who owns the step, without waiting for the answer.
    ///
    /// # Errors
    ///
    /// [`OperationError`] if the question could not be put.
    fn gate(&mut self, step: &Step) -> Result<GateAnswer, OperationError>;
}

/// Whether a condition holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CheckOutcome {
    /// It holds.
    Met {
        /// What was seen.
        evidence: String,
    },
    /// It does not hold yet; waiting or work can change that.
    Open {
        /// What is missing.
        why: String,
        /// What to do.
        remedy: String,
    },
    /// It does not hold, and going on would do harm.
    Violated {
        /// What was seen.
        why: String,
        /// What to do.
        remedy: String,
    },
}

/// How far a step is.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Progress {
    /// What is being done, in a few words.
    pub what: String,
    /// Done so far, in `unit`s.
    pub done: u64,
    /// All there is, in `unit`s; 0 if unknown.
    pub total: u64,
    /// For example `bytes` or `mailboxes`.
    pub unit: String,
}

/// Whether to go on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Flow {
    /// Go on.
    Continue,
    /// End at the next safe place.
    Stop,
}

/// What a step has to report.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Performed {
    /// For the report, one sentence each.
    pub notes: Vec<String>,
    /// Numbers for the report and for the program's JSON, for example lock times.
    pub figures: std::collections::BTreeMap<String, f64>,
}

/// A person's answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum GateAnswer {
    /// The step may begin.
    Confirmed {
        /// Who said so.
        by: String,
        /// What was said.
        said: String,
    },
    /// There is no answer yet.
    Waiting {
        /// How to answer.
        how: String,
    },
}

/// Why an operation failed: one variant for each thing the executor does about it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OperationError {
    /// It was asked to stop, or the machine is going down. The same plan can be resumed.
    #[error("interrupted: {why}; the same command goes on from here")]
    Interrupted {
        /// By what.
        why: String,
    },
    /// It failed and may work if tried again later.
    #[error("{place}: {cause}; {consequence}; {remedy}")]
    Failed {
        /// Where.
        place: String,
        /// What happened.
        cause: String,
        /// What that means.
        consequence: String,
        /// What to do.
        remedy: String,
    },
    /// Going on by itself would do harm: a person has to look.
    #[error("{place}: {cause}; {consequence}; {remedy}")]
    NeedsHuman {
        /// Where.
        place: String,
        /// What happened.
        cause: String,
        /// What that means.
        consequence: String,
        /// What to do.
        remedy: String,
    },
}
