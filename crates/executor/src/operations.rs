//! What the executor asks of the world.

use rehome_planner::{Check, Step};
use serde::{Deserialize, Serialize};

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

    /// Undoes a step by the action in its `undo`. As harmless to call twice as `perform`, and
    /// stopped in the same way.
    ///
    /// # Errors
    ///
    /// [`OperationError`]; the variant says what the executor does about it.
    fn undo(
        &mut self,
        step: &Step,
        attempt: u32,
        progress: &mut dyn FnMut(Progress) -> Flow,
    ) -> Result<Performed, OperationError>;

    /// Asks the person who owns the step, without waiting for the answer. Whether the answer
    /// counts is judged by the executor.
    ///
    /// # Errors
    ///
    /// [`OperationError`] if the question could not be put.
    fn gate(&mut self, step: &Step) -> Result<Gate, OperationError>;
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

/// A question to a person: who may answer it, until when, and the answer if there is one.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Gate {
    /// Who may answer; upper and lower case do not differ. Anybody, if nobody is named.
    pub owners: Vec<String>,
    /// The last moment of an answer, in microseconds since 1970; none if it does not expire.
    pub until_us: Option<i64>,
    /// How to answer.
    pub how: String,
    /// The answer.
    pub answer: Option<GateAnswer>,
}

/// A person's answer: the step may begin.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GateAnswer {
    /// Who said so.
    pub by: String,
    /// What was said.
    pub said: String,
}

/// Why an answer does not count.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum GateRefusal {
    /// It is not from one of the owners.
    Foreign,
    /// It came after the last moment.
    Expired,
}

impl std::fmt::Display for GateRefusal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Foreign => "it is not from one of the owners",
            Self::Expired => "it came too late",
        })
    }
}

impl Gate {
    /// Why an answer of `by` does not count at this moment, in microseconds since 1970.
    #[must_use]
    pub fn refuses(&self, by: &str, now_us: i64) -> Option<GateRefusal> {
        let owns = |owner: &String| owner.eq_ignore_ascii_case(by);
        if !self.owners.is_empty() && !self.owners.iter().any(owns) {
            return Some(GateRefusal::Foreign);
        }
        self.until_us.is_some_and(|until| now_us > until).then_some(GateRefusal::Expired)
    }
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
