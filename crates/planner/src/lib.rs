//! What follows is the README; below are the modules and the whole public list.
#![doc = include_str!("../README.md")]

mod action;
mod carrier;
mod check;
mod checker;
mod compare;
mod costs;
mod diff;
mod draft;
mod estimate;
mod forecast;
mod format;
mod inventory;
mod judge;
mod outcome;
mod plan;
mod planning;
mod random;
mod report;
mod route;
mod routes;
#[cfg(test)]
mod testing;
mod traps;
mod waves;

pub use action::{Action, BackupKind, InstallMode, RegistryKey, Resource, VerifyScope};
pub use carrier::{Instruction, instruction};
pub use check::{Check, Condition, Severity};
pub use checker::{Finding, check_plan};
pub use compare::compare;
pub use costs::{Amount, CarriedOut, Cost, Costs, Pace};
pub use diff::diff;
pub use forecast::{Bin, Driver, Forecast, Grade, Percentiles, Remaining, Slack, remaining};
pub use inventory::{
    ClusterFacts, DataFacts, Inventory, MailboxFacts, Measured, PublicFolderFacts, Rates,
    ServerFacts, Share, Size, Wishes,
};
pub use judge::{Judgement, judge};
pub use outcome::{Outcome, StepOutcome, StepState};
pub use plan::{Estimate, Owner, PLAN_FORMAT, Plan, PlanError, Step, StepId, Undo, Warning, Why};
pub use planning::{Infeasible, PlanOptions, plan};
pub use report::{comparison_to_html, comparison_to_text, to_dot, to_html, to_text};
pub use route::{Comparison, Obstacle, Route, RouteChoice, RouteFacts};
pub use traps::{Answer, Trap, TrapStanding, TrapState, traps};
pub use waves::{Schedule, Split, Wave};
