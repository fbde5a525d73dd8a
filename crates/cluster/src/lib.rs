//! A failover cluster resource manager: nodes, groups, resources, checkpoints.
#![doc = include_str!("../README.md")]

mod admin;
mod configuration;
mod coordinator;
mod fence;
mod floating;
mod ids;
mod journal;
mod lease;
mod metrics;
mod names;
mod node;
mod observe;
mod policy;
#[cfg(test)]
mod program_file;
mod quorum;
mod registry;
mod resources;
mod simulation;
mod status;
mod template;

pub use admin::{Cluster, ClusterError, Explanation, SOFTWARE_KEY, UpdateReport};
pub use configuration::{
    CONFIGURATION_FORMAT, CheckpointConfig, ClusterConfig, Configuration, ConfigurationError,
    Failback, FenceConfig, GroupConfig, MoveRequest, NodeConfig, ResourceConfig, ResourceKind,
    RestartAction, Target, Timing, Window,
};
pub use coordinator::{
    Checkpoint, Claim, ClaimOutcome, Coordinator, CoordinatorError, Entrance, Heartbeat,
    KeyContent, Owner, Ownership, Release, Shared, Wake,
};
pub use fence::FenceError;
pub use floating::{FloatingAddress, FloatingError, hold_address};
pub use ids::{BadName, CheckpointKey, GroupName, NAME_BYTES_MAX, NodeName, ResourceName};
pub use journal::LogEntry;
pub use names::{NameClaim, NameError, NameRecord, is_server_name, register, resolve, unregister};
pub use node::{Node, NodeError, NodeOptions};
pub use observe::Observer;
pub use policy::{Command, Event, Order, Policy, Report};
pub use quorum::QuorumFolder;
pub use registry::REGISTRY_DIR;
pub use resources::AgentError;
pub use simulation::{Layer, SeedOutcome, Simulation, SimulationError, Trouble};
pub use status::{
    ClusterStatus, GroupState, GroupView, Liveness, NodeStatus, NodeView, OwnedGroup,
    ResourceState, ResourceStatus,
};
pub use template::TemplateError;
