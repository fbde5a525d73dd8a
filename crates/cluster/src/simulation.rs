//! Policy, lease and coordination under faults, in one thread and from a seed.
//!
//! Three machines with clocks that start anywhere and drift run the real [`crate::Policy`] and the
//! real term of the lease against a model of the quorum folder and of a store on a shared disk.
//! Every reading, claim and write takes several steps, and a machine may be paused, cut off or
//! killed between any two of them. The faults end after a while; then there must be an owner.

mod child;
mod disk;
mod faults;
mod machine;
mod quorum;
#[cfg(test)]
mod tests;
mod world;

use std::sync::Arc;

use serde::Serialize;

use crate::configuration::{
    ClusterConfig, Configuration, ConfigurationError, GroupConfig, NodeConfig, ResourceConfig,
    ResourceKind, Target,
};
use crate::ids::{BadName, GroupName, NodeName, ResourceName};
use world::World;

/// The lease of the simulated cluster.
const LEASE_MS: u64 = 1_000;

/// The resources of the simulated group, each depending on the one before. The first two are
/// protected by lease and wait alone; the last one writes to the shared disk.
const RESOURCES: [&str; 3] = ["address", "directory", "store"];

/// What protects against two owners. Each can be taken out, to see that the simulation notices.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Layer {
    /// What runs is ended, and refuses work, when its own lease is over.
    Deadline,
    /// The store seals older epochs and reads its epoch again before it acknowledges.
    Seal,
    /// Nobody takes over before the lease and the margin have passed.
    Wait,
    /// One process at a time has the store open.
    Lock,
    /// Silence is counted anew after a pause in the readings, where a late heartbeat may write over
    /// a newer one.
    Anew,
}

/// What must never happen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Trouble {
    /// Two machines ran the group at once while their leases let them.
    TwoOwners,
    /// Two processes had the store open at once.
    TwoOpen,
    /// A write that was acknowledged is not in the final log.
    LostWrite,
    /// The faults were over for long and nobody served.
    NoOwner,
    /// A group was given up while something of it ran.
    EarlyRelease,
}

/// How a seed went.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SeedOutcome {
    /// The seed.
    pub seed: u64,
    /// Epochs given out.
    pub epochs: u64,
    /// Writes that the store acknowledged.
    pub acknowledged: u64,
    /// Whether hosts were frozen with their clocks, and locks lost: then only the epoch protects.
    pub clocks_stop: bool,
    /// What happened that must not, and what it looked like.
    pub trouble: Option<(Trouble, String)>,
}

/// Simulated clusters of one configuration.
#[derive(Debug, Clone)]
pub struct Simulation {
    configuration: Arc<Configuration>,
    without: Option<Layer>,
}

/// The simulated cluster could not be configured: a fault of this module.
#[derive(Debug, Clone, thiserror::Error)]
pub enum SimulationError {
    /// A name is refused.
    #[error(transparent)]
    Name(#[from] BadName),
    /// The configuration is refused.
    #[error(transparent)]
    Configuration(#[from] ConfigurationError),
}

impl Simulation {
    /// Clusters with every layer but `without`.
    ///
    /// # Errors
    ///
    /// None that a caller can bring about.
    pub fn new(without: Option<Layer>) -> Result<Self, SimulationError> {
        Ok(Self { configuration: Arc::new(configuration()?), without })
    }

    /// Runs one cluster. The same seed gives the same run everywhere.
    #[must_use]
    pub fn run(&self, seed: u64) -> SeedOutcome {
        World::new(seed, &self.configuration, self.without).run(seed)
    }
}

fn configuration() -> Result<Configuration, SimulationError> {
    let mut nodes = Vec::new();
    for name in ["a", "b", "c"] {
        nodes.push(NodeConfig::new(NodeName::new(name)?, "/state"));
    }
    let mut config = ClusterConfig::new("office", "mail-service", nodes);
    config.lease_ms = LEASE_MS;
    let mut configuration = Configuration::new(config)?;
    let mut group = GroupConfig::new(GroupName::new("mail")?);
    // What is judged is who may act, not how often something may fail.
    group.failover_threshold = 10_000;
    let mut before: Option<ResourceName> = None;
    for name in RESOURCES {
        let kind = ResourceKind::Folder { path: "/shared".into() };
        let mut resource = ResourceConfig::new(ResourceName::new(name)?, kind);
        resource.target = Target::Online;
        resource.restart_threshold = 10_000;
        resource.depends_on.extend(before.replace(resource.name.clone()));
        group.resources.push(resource);
    }
    configuration.add_group(group)?;
    Ok(configuration)
}
