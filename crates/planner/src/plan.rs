//! The plan: an immutable value made of steps, bound to the inventory it was made from.
#![doc = include_str!("../../../docs/format/plan.md")]

use serde::{Deserialize, Serialize};

use crate::action::Action;
use crate::check::Check;
use crate::forecast::Forecast;
use crate::inventory::Inventory;
use crate::route::{Comparison, Route};
use crate::traps::TrapState;
use crate::waves::Schedule;

/// Version of `plan.json` that this crate writes and reads.
pub const PLAN_FORMAT: u32 = 1;

/// A whole plan for one route.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Plan {
    /// [`PLAN_FORMAT`].
    pub format: u32,
    /// Name of the plan: route, inventory hash and time of planning.
    pub id: String,
    /// The route that the steps go.
    pub route: Route,
    /// When it was made, in microseconds since 1970.
    pub made_us: i64,
    /// Hash of the inventory, given by the caller.
    pub inventory_hash: String,
    /// The inventory itself, so that the plan can be judged and shown alone.
    pub inventory: Inventory,
    /// Both routes beside each other, and why this one was taken.
    pub comparison: Comparison,
    /// The steps in the order in which they are carried out.
    pub steps: Vec<Step>,
    /// The steps that decide how long the plan takes.
    pub critical_path: Vec<StepId>,
    /// What the planner warns of without refusing.
    pub warnings: Vec<Warning>,
    /// Which mailboxes move when; without waves if all move in one go.
    #[serde(default)]
    pub schedule: Schedule,
    /// What is to be expected.
    #[serde(default)]
    pub forecast: Forecast,
    /// Where the known traps of the route stand.
    #[serde(default)]
    pub traps: Vec<TrapState>,
}

/// Name of a step, for example `D13` or `M3b`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct StepId(pub String);

/// One step.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Step {
    /// Its name.
    pub id: StepId,
    /// Which item of the ancestor's page it answers; empty if it is an addition.
    pub page_ref: String,
    /// What it does, in a few words.
    pub title: String,
    /// What it does, exactly.
    pub action: Action,
    /// What must be true before.
    pub preconditions: Vec<Check>,
    /// What must be true afterwards. If all of it is true already, the step is not carried out.
    pub postconditions: Vec<Check>,
    /// How to go back.
    pub undo: Undo,
    /// The steps that must be done before.
    pub depends_on: Vec<StepId>,
    /// Who carries it out.
    pub owner: Owner,
    /// How long it takes.
    pub estimate_seconds: Estimate,
    /// Whether the plan can no longer be backed out once this step has begun.
    pub past_point_of_no_return: bool,
    /// Why the step is here or differs from the page, with its source.
    pub why: Option<Why>,
}

/// How a step is undone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "way", rename_all = "kebab-case")]
pub enum Undo {
    /// By another action.
    By {
        /// That action.
        action: Action,
    },
    /// The step leaves nothing that would have to be undone.
    NotNeeded,
    /// There is no way back.
    Impossible {
        /// Why not.
        why: String,
    },
}

/// Who carries a step out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "who", rename_all = "kebab-case")]
pub enum Owner {
    /// The program.
    Machine,
    /// The program asks a person first and waits for the answer.
    Human {
        /// What the person does and confirms.
        instruction: String,
    },
}

/// Three estimates of one duration, in seconds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Estimate {
    /// If all goes well.
    pub low: u64,
    /// Most likely.
    pub likely: u64,
    /// If much goes badly.
    pub high: u64,
}

/// A reason with its source.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Why {
    /// The reason.
    pub reason: String,
    /// Where it is from: numbers of knowledge-base articles, or an item of the page.
    pub evidence: String,
}

/// Something to know before the plan starts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Warning {
    /// Short name, for example `room-unknown`.
    pub code: String,
    /// Where in the site file, for example `cluster.group.free`; empty if nowhere.
    pub place: String,
    /// What, and what follows.
    pub message: String,
}

/// A `plan.json` that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum PlanError {
    /// It was written by another version of the program.
    #[error(
        "plan: format {format}, this program reads {PLAN_FORMAT}; it would be misread; use the \
         program that made it, or make a new plan"
    )]
    Format {
        /// Its format.
        format: u64,
    },
    /// It is no plan.
    #[error("plan: {source}; nothing can be carried out from it; make a new plan")]
    Unreadable {
        /// Line, column and what is wrong.
        source: serde_json::Error,
    },
}

impl Plan {
    /// The plan as `plan.json`.
    pub fn to_json(&self) -> String {
        let text = serde_json::to_string_pretty(self);
        text.expect("text, lists and finite numbers always become JSON")
    }

    /// Reads `plan.json`.
    ///
    /// # Errors
    ///
    /// [`PlanError::Format`] before anything else is looked at, [`PlanError::Unreadable`] if the
    /// rest is not as described.
    pub fn from_json(text: &str) -> Result<Self, PlanError> {
        let value: serde_json::Value =
            serde_json::from_str(text).map_err(|source| PlanError::Unreadable { source })?;
        match value.get("format").and_then(serde_json::Value::as_u64) {
            Some(format) if format != u64::from(PLAN_FORMAT) => Err(PlanError::Format { format }),
            _ => serde_json::from_str(text).map_err(|source| PlanError::Unreadable { source }),
        }
    }

    /// The step with this name.
    pub fn step(&self, id: &StepId) -> Option<&Step> {
        self.steps.iter().find(|step| &step.id == id)
    }

    /// Index of the first step past the point of no return.
    pub fn point_of_no_return(&self) -> Option<usize> {
        self.steps.iter().position(|step| step.past_point_of_no_return)
    }
}

impl StepId {
    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Display for StepId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl From<&str> for StepId {
    fn from(id: &str) -> Self {
        Self(id.to_owned())
    }
}
