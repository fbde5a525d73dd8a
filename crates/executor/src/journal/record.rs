//! What a journal can say.

use std::collections::BTreeMap;

use rehome_planner::StepId;
use serde::{Deserialize, Serialize};

use crate::operations::GateRefusal;

/// One thing that happened.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "rec", rename_all = "kebab-case")]
pub(crate) enum Record {
    /// First line: the plan that the journal belongs to.
    Bound { format: u32, plan: String, inventory_hash: String, steps_crc32c: u32 },
    /// A step is about to be carried out.
    Begin { step: StepId, attempt: u32 },
    /// It was, and its postconditions hold.
    Done { step: StepId, notes: Vec<String>, figures: BTreeMap<String, f64> },
    /// Its postconditions held before anything was done.
    Evidence { step: StepId, seen: Vec<String> },
    /// An attempt ended without success.
    Failed { step: StepId, how: Failure, why: String },
    /// A condition that only warns does not hold.
    Warned { step: StepId, code: String, why: String },
    /// A person is asked: these may answer, until then.
    Asked { step: StepId, owners: Vec<String>, until_us: Option<i64> },
    /// A person has answered, and it does not count.
    Refused { step: StepId, by: String, why: GateRefusal },
    /// A person has answered.
    Confirmed { step: StepId, by: String, said: String },
    /// These steps are about to be taken back.
    Reverse { steps: Vec<StepId> },
    /// They were, and these, which rest upon them, are due again.
    Reversed { steps: Vec<StepId>, again: Vec<StepId> },
    /// From here on the plan is taken back.
    BackOut,
    /// A step is about to be undone.
    UndoBegin { step: StepId, attempt: u32 },
    /// It was.
    Undone { step: StepId, notes: Vec<String> },
    /// Every step is done.
    Finished,
    /// Every step is undone.
    BackedOut,
}

/// How an attempt ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Failure {
    /// It was asked to stop.
    Interrupted,
    /// It failed, and may be tried again.
    Failed,
    /// It must not be tried again before a person has looked.
    NeedsHuman,
}
