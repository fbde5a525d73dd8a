//! How carrying out ended, and what was recorded on the way.

use rehome_planner::{Check, Outcome, StepId};

use crate::operations::GateRefusal;

/// The end of one call of `run`, `reverse` or `back_out`. Each of them leaves a consistent journal.
#[derive(Debug, Clone, PartialEq)]
pub struct Run {
    /// How it ended.
    pub end: End,
    /// What has been recorded about every step, in this call and earlier ones.
    pub outcome: Outcome,
}

/// How a call ended.
#[derive(Debug, Clone, PartialEq)]
pub enum End {
    /// Every step is done.
    Done,
    /// A person has to answer before `step` may begin.
    WaitingAtGate {
        /// The step.
        step: StepId,
        /// What the person does and confirms.
        instruction: String,
        /// How to answer.
        how: String,
    },
    /// A person has answered who may not, or too late; `step` still waits.
    ConfirmationRefused {
        /// The step.
        step: StepId,
        /// Who answered.
        by: String,
        /// Why that does not count.
        refusal: GateRefusal,
        /// Who may answer; anybody, if nobody is named.
        owners: Vec<String>,
        /// The last moment of an answer, in microseconds since 1970.
        until_us: Option<i64>,
    },
    /// A condition of `step` does not hold yet.
    PreconditionOpen {
        /// The step.
        step: StepId,
        /// The condition.
        check: Box<Check>,
        /// What is missing.
        why: String,
        /// What to do.
        remedy: String,
    },
    /// The work stopped at `step`; the same call goes on.
    Interrupted {
        /// The step.
        step: StepId,
        /// By what.
        why: String,
    },
    /// Every step that was done has been undone.
    BackedOut,
    /// The steps that were to be taken back have been, and what rests upon them is due again.
    Reversed,
    /// A person has to look at `step` before anything goes on.
    NeedsHuman {
        /// The step.
        step: StepId,
        /// What happened.
        why: String,
        /// What to do.
        remedy: String,
    },
}

impl End {
    /// The end in one word, as [`Outcome::end`] has it.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::WaitingAtGate { .. } => "waiting",
            Self::ConfirmationRefused { .. } => "refused",
            Self::PreconditionOpen { .. } => "open",
            Self::Interrupted { .. } => "interrupted",
            Self::BackedOut => "backed-out",
            Self::Reversed => "reversed",
            Self::NeedsHuman { .. } => "needs-human",
        }
    }
}
