//! The two routes, and how they compare.

use serde::{Deserialize, Serialize};

use crate::plan::Estimate;

/// A way into the cluster.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Route {
    /// Both servers run; mailboxes are moved while they are in use.
    MoveUsers,
    /// The server is backed up and built again, under its old name, as a group of the cluster.
    DisasterRecovery,
}

/// Which route is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RouteChoice {
    /// The planner chooses.
    #[default]
    Auto,
    /// [`Route::MoveUsers`], or no plan.
    MoveUsers,
    /// [`Route::DisasterRecovery`], or no plan.
    DisasterRecovery,
}

/// Both routes beside each other.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Comparison {
    /// The route that the planner recommends; none if neither can be gone.
    pub recommended: Option<Route>,
    /// Why, one sentence each.
    pub reasons: Vec<String>,
    /// At which values the recommendation would flip, one sentence each.
    pub flips: Vec<String>,
    /// Move users.
    pub move_users: RouteFacts,
    /// Disaster recovery.
    pub disaster_recovery: RouteFacts,
}

/// What one route costs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RouteFacts {
    /// The route.
    pub route: Route,
    /// Why it cannot be gone; empty if it can.
    pub obstacles: Vec<Obstacle>,
    /// Number of steps.
    pub step_count: usize,
    /// Time from the first to the last step, in seconds.
    pub duration_seconds: Estimate,
    /// Time for which one user is kept out, in seconds.
    pub user_interruption_seconds: Estimate,
    /// Time for which the whole server is away, in seconds.
    pub outage_seconds: Estimate,
    /// Bytes on the group's disk at the peak.
    pub target_disk_bytes: u64,
    /// Bytes of backups.
    pub backup_bytes: u64,
    /// How far one can go back, and what that costs.
    pub way_back: String,
}

/// One reason why a route cannot be gone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Obstacle {
    /// Short name, for example `same-service-account`.
    pub code: String,
    /// Where in the site file, for example `cluster.service_account`.
    pub place: String,
    /// What is wrong.
    pub cause: String,
    /// What would happen.
    pub consequence: String,
    /// What to change.
    pub remedy: String,
    /// Where the demand comes from.
    pub evidence: String,
}

impl Route {
    /// The name of the route as the program writes it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::MoveUsers => "move-users",
            Self::DisasterRecovery => "disaster-recovery",
        }
    }
}

impl std::fmt::Display for Route {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Comparison {
    /// The facts about one route.
    pub fn facts(&self, route: Route) -> &RouteFacts {
        match route {
            Route::MoveUsers => &self.move_users,
            Route::DisasterRecovery => &self.disaster_recovery,
        }
    }
}
