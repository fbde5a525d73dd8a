//! Plans the way of a mail server into a cluster and explains the choice.

mod action;
mod check;
mod compare;
mod draft;
mod estimate;
mod format;
mod inventory;
mod judge;
mod outcome;
mod plan;
mod planning;
mod route;
mod routes;

pub use action::{Action, BackupKind, InstallMode, RegistryKey, Resource, VerifyScope};
pub use check::{Check, Condition, Severity};
pub use compare::compare;
pub use inventory::{
    ClusterFacts, Inventory, MailboxFacts, Measured, PublicFolderFacts, Rates, ServerFacts, Size,
    Wishes,
};
pub use judge::{Judgement, judge};
pub use outcome::{Outcome, StepOutcome, StepState};
pub use plan::{Estimate, Owner, PLAN_FORMAT, Plan, Step, StepId, Undo, Warning, Why};
pub use planning::{Infeasible, PlanOptions, plan};
pub use route::{Comparison, Obstacle, Route, RouteChoice, RouteFacts};
