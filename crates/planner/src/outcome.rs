//! What became of a plan: the executor fills it in, the report shows it beside the plan.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::plan::StepId;

/// What has been recorded about a plan so far.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Outcome {
    /// Id of the plan.
    pub plan_id: String,
    /// In one word: `done`, `waiting`, `interrupted`, `backed-out`, `needs-human`, `open`.
    pub end: String,
    /// The first record, in microseconds since 1970.
    pub started_us: Option<i64>,
    /// The last record, in microseconds since 1970.
    pub ended_us: Option<i64>,
    /// Every step of the plan, in the order of the plan.
    pub steps: Vec<StepOutcome>,
    /// All figures that steps reported; a later step replaces an earlier one's.
    pub figures: BTreeMap<String, f64>,
}

/// What has been recorded about one step.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StepOutcome {
    /// The step.
    pub id: StepId,
    /// Where it stands.
    pub state: StepState,
    /// When its first attempt began, in microseconds since 1970.
    pub started_us: Option<i64>,
    /// When it was done or undone, in microseconds since 1970.
    pub ended_us: Option<i64>,
    /// How often it was begun.
    pub attempts: u32,
    /// What it reported, one sentence each.
    pub notes: Vec<String>,
}

/// Where a step stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum StepState {
    /// Not begun.
    Pending,
    /// Begun, and neither done nor failed.
    Begun,
    /// Done.
    Done,
    /// Found to be done already, by its postconditions.
    DoneByEvidence,
    /// Its last attempt failed.
    Failed,
    /// Undone.
    Undone,
}
