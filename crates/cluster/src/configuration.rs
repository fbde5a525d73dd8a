//! What is configured: nodes, groups, resources, and what is asked of them.
//!
//! A [`Configuration`] is a value with a revision. Changing it means writing the next revision,
//! and only one writer can; requests (bring online, move) are part of it.

mod care;
mod edit;
mod graph;

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

pub use edit::ConfigurationError;

use crate::ids::{CheckpointKey, GroupName, NodeName, ResourceName};

/// The version of the configuration document.
pub const CONFIGURATION_FORMAT: u32 = 1;

/// What a new cluster is made from.
#[derive(Debug, Clone)]
pub struct ClusterConfig {
    /// Name of the cluster.
    pub name: String,
    /// Account that the cluster and the services in it run under; compared by whoever plans.
    pub service_account: String,
    /// The nodes, in the order in which they are preferred.
    pub nodes: Vec<NodeConfig>,
    /// How long a node that cannot renew may go on, in milliseconds.
    pub lease_ms: u64,
    /// How often a node renews; `None` is a sixth of the lease.
    pub heartbeat_ms: Option<u64>,
    /// What an observer waits beyond the lease; `None` is a twentieth of the lease, at least
    /// 20 ms.
    pub margin_ms: Option<u64>,
}

impl ClusterConfig {
    /// A cluster of `nodes` with the default lease of 2 s.
    #[must_use]
    pub fn new(name: &str, service_account: &str, nodes: Vec<NodeConfig>) -> Self {
        Self {
            name: name.to_owned(),
            service_account: service_account.to_owned(),
            nodes,
            lease_ms: 2_000,
            heartbeat_ms: None,
            margin_ms: None,
        }
    }
}

/// The timing of leases, in milliseconds of each node's own clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Timing {
    /// How long after the start of its last successful heartbeat a node may own anything.
    pub lease_ms: u64,
    /// Time between two heartbeats.
    pub heartbeat_ms: u64,
    /// What an observer waits beyond the lease before it takes over.
    pub margin_ms: u64,
}

/// One node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeConfig {
    /// Its name.
    pub name: NodeName,
    /// Its own folder: `registry/`, `log/` and what its services keep on the node itself.
    pub state_dir: PathBuf,
    /// A paused node keeps what it has and takes nothing new.
    #[serde(default)]
    pub paused: bool,
    /// A drained node is paused and hands what it has to others that can take it.
    #[serde(default)]
    pub drained: bool,
    /// How its power is switched off before others take what it had.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fence: Option<FenceConfig>,
}

/// A fence agent, and what it is told; such as Debian's `fence-agents` has them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FenceConfig {
    /// The agent: a path, or the name of a program in `/usr/sbin`.
    pub agent: PathBuf,
    /// What it is told, one `name=value` for each; `action` is ours.
    #[serde(default)]
    pub parameters: BTreeMap<String, String>,
    /// How long it may take, in milliseconds; then it is ended and has failed.
    pub timeout_ms: u64,
}

impl NodeConfig {
    /// A node that is not paused.
    #[must_use]
    pub fn new(name: NodeName, state_dir: impl Into<PathBuf>) -> Self {
        let state_dir = state_dir.into();
        Self { name, state_dir, paused: false, drained: false, fence: None }
    }
}

/// What is wanted of a resource.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Target {
    /// It is to run, as soon as what it depends on runs.
    Online,
    /// It is to rest.
    Offline,
}

/// What happens when a resource fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RestartAction {
    /// It stays failed.
    Stay,
    /// It is restarted within its budget, then stays failed.
    Restart,
    /// It is restarted within its budget, then its group moves to another node.
    RestartAndMoveGroup,
}

/// What a resource is. Paths and texts may hold placeholders, see [`ResourceKind::Process`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum ResourceKind {
    /// A folder that one owner at a time may use; it stands for the shared disk.
    Folder {
        /// The folder; it is created when absent.
        path: PathBuf,
    },
    /// An address that clients use, claimed by listening on `address:port`.
    IpAddress {
        /// The address: loopback, or one that the host has.
        address: String,
        /// The port where the claim listens and says who it is.
        port: u16,
    },
    /// An IPv4 address that goes where the group goes: given to an interface and announced.
    FloatingAddress {
        /// The address with the length of its network, as in `192.0.2.7/24`.
        address: String,
        /// The interface; it has the same name on every node.
        device: String,
    },
    /// A server name in a registry folder.
    NetworkName {
        /// The name; upper and lower case are the same name.
        name: String,
        /// The folder that holds `<NAME>.json`.
        registry_dir: PathBuf,
    },
    /// A supervised child process.
    Process {
        /// The program; `None` is the one that the node was started with.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        program: Option<PathBuf>,
        /// Arguments. Placeholders: `{epoch}` `{node}` `{group}` `{resource}` `{address}`
        /// `{port}` `{name}` `{names}` `{folder}` `{registry}` `{state}` `{quorum}`
        /// `{lease_ms}`; `{{` and `}}` are literal braces.
        args: Vec<String>,
        /// Environment, with the same placeholders.
        #[serde(default)]
        env: BTreeMap<String, String>,
    },
    /// A program that is called for each action, with the action as its last argument: `start`,
    /// `stop`, `monitor`. It ends with 0 when that is done or so; `monitor` ends with 7 when
    /// nothing runs.
    Script {
        /// The program.
        program: PathBuf,
        /// Arguments before the action, with the placeholders of a process.
        #[serde(default)]
        args: Vec<String>,
        /// How long an action may take, in milliseconds; then it is ended.
        #[serde(default = "agent_timeout_ms")]
        timeout_ms: u64,
    },
    /// An OCF agent, as Debian's `resource-agents` has them.
    Ocf {
        /// The folder of its name below `resource.d`, such as `heartbeat`.
        provider: String,
        /// The agent, such as `IPaddr2`.
        agent: String,
        /// Its parameters, given as `OCF_RESKEY_<name>`, with the placeholders of a process.
        #[serde(default)]
        parameters: BTreeMap<String, String>,
        /// Where agents lie; usually `/usr/lib/ocf`.
        #[serde(default = "ocf_root")]
        root: PathBuf,
        /// How long an action may take, in milliseconds; then it is ended.
        #[serde(default = "agent_timeout_ms")]
        timeout_ms: u64,
    },
}

/// How long an action of an agent may take, unless configured: 20 s, as is usual for agents.
fn agent_timeout_ms() -> u64 {
    20_000
}

fn ocf_root() -> PathBuf {
    PathBuf::from("/usr/lib/ocf")
}

impl ResourceKind {
    /// A script with the usual timeout.
    #[must_use]
    pub fn script(program: impl Into<PathBuf>, args: &[&str]) -> Self {
        let args = args.iter().map(|&arg| arg.to_owned()).collect();
        Self::Script { program: program.into(), args, timeout_ms: agent_timeout_ms() }
    }

    /// An OCF agent in the usual place with the usual timeout.
    #[must_use]
    pub fn ocf(provider: &str, agent: &str, parameters: BTreeMap<String, String>) -> Self {
        Self::Ocf {
            provider: provider.to_owned(),
            agent: agent.to_owned(),
            parameters,
            root: ocf_root(),
            timeout_ms: agent_timeout_ms(),
        }
    }

    /// Texts that may hold placeholders.
    pub(crate) fn templates(&self) -> Vec<&str> {
        match self {
            Self::Process { args, env, .. } => {
                args.iter().chain(env.values()).map(String::as_str).collect()
            }
            Self::Script { args, .. } => args.iter().map(String::as_str).collect(),
            Self::Ocf { parameters, .. } => parameters.values().map(String::as_str).collect(),
            Self::Folder { .. }
            | Self::IpAddress { .. }
            | Self::FloatingAddress { .. }
            | Self::NetworkName { .. } => Vec::new(),
        }
    }
}

/// One resource.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ResourceConfig {
    /// Its name, unique in the cluster.
    pub name: ResourceName,
    /// What it is.
    pub kind: ResourceKind,
    /// Resources of the same group that must be online first.
    #[serde(default)]
    pub depends_on: Vec<ResourceName>,
    /// Nodes that can run it; none given means every node.
    #[serde(default)]
    pub possible_owners: Vec<NodeName>,
    /// What is wanted of it.
    pub target: Target,
    /// Counts requests, so that asking again for the same target tries again.
    #[serde(default)]
    pub request: u64,
    /// What a failure leads to.
    pub restart_action: RestartAction,
    /// Restarts allowed within `restart_period_ms`.
    pub restart_threshold: u32,
    /// Period of the restart budget.
    pub restart_period_ms: u64,
    /// After this long in the failed state it is tried again.
    pub retry_period_ms: u64,
    /// How long it may be pending *without a sign of progress*.
    pub pending_timeout_ms: u64,
    /// How long going offline may take before it is ended by force.
    pub offline_grace_ms: u64,
    /// Time between two cheap checks.
    pub looks_alive_ms: u64,
    /// Time between two thorough checks.
    pub is_alive_ms: u64,
    /// Configuration keys that travel with it.
    #[serde(default)]
    pub checkpoints: Vec<CheckpointConfig>,
}

impl ResourceConfig {
    /// A resource that is offline, with the defaults of the ancestor: 3 restarts in 900 s, polls
    /// at 5 s and 60 s, 180 s of silence while pending (MSDN, resource common properties).
    #[must_use]
    pub fn new(name: ResourceName, kind: ResourceKind) -> Self {
        Self {
            name,
            kind,
            depends_on: Vec::new(),
            possible_owners: Vec::new(),
            target: Target::Offline,
            request: 0,
            restart_action: RestartAction::RestartAndMoveGroup,
            restart_threshold: 3,
            restart_period_ms: 900_000,
            retry_period_ms: 3_600_000,
            pending_timeout_ms: 180_000,
            offline_grace_ms: 5_000,
            looks_alive_ms: 5_000,
            is_alive_ms: 60_000,
            checkpoints: Vec::new(),
        }
    }

    /// The same resource, depending on `names`.
    #[must_use]
    pub fn depends_on(mut self, names: &[&ResourceName]) -> Self {
        self.depends_on = names.iter().map(|&name| name.clone()).collect();
        self
    }

    /// The same resource, wanted online or offline.
    #[must_use]
    pub fn target(mut self, target: Target) -> Self {
        self.target = target;
        self
    }

    /// The same resource, on these nodes only.
    #[must_use]
    pub fn possible_owners(mut self, nodes: &[&NodeName]) -> Self {
        self.possible_owners = nodes.iter().map(|&name| name.clone()).collect();
        self
    }
}

/// One key attached to a resource.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CheckpointConfig {
    /// The key.
    pub key: CheckpointKey,
    /// Which attachment this is: removing and adding the key again gives a higher number, and
    /// copies taken for an earlier attachment are never restored.
    pub serial: u64,
}

/// A request to move a group, good for one ownership only.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MoveRequest {
    /// Where it is to go.
    pub to: NodeName,
    /// The epoch that the group had when it was asked; any later owner makes the request void.
    pub from_epoch: u64,
}

/// When a group goes back to a node that it prefers to the one it is on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failback {
    /// When of the day; none is always.
    #[serde(default)]
    pub windows: Vec<Window>,
    /// How long the node must have been there without a gap, in milliseconds.
    pub after_ms: u64,
}

/// A part of each day, in minutes of UTC; over midnight if it ends before it begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Window {
    /// Its first minute, 0 to 1439.
    pub from_minute: u16,
    /// The minute at which it is over.
    pub to_minute: u16,
}

impl Window {
    /// Whether a minute of the day is in it.
    #[must_use]
    pub fn holds(self, minute: u16) -> bool {
        let Self { from_minute: from, to_minute: to } = self;
        match from <= to {
            true => (from..to).contains(&minute),
            false => minute >= from || minute < to,
        }
    }
}

impl std::str::FromStr for Window {
    type Err = ConfigurationError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let minute = |text: &str| {
            let (hour, minute) = text.split_once(':')?;
            let (hour, minute) = (hour.parse::<u16>().ok()?, minute.parse::<u16>().ok()?);
            (hour < 24 && minute < 60).then_some(hour * 60 + minute)
        };
        let parts = text.split_once('-');
        let parts = parts.and_then(|(from, to)| Some((minute(from)?, minute(to)?)));
        match parts {
            Some((from_minute, to_minute)) if from_minute != to_minute => {
                Ok(Self { from_minute, to_minute })
            }
            _ => Err(ConfigurationError::BadWindow { text: text.to_owned() }),
        }
    }
}

/// One group, the unit of fail-over: all its resources are on one node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GroupConfig {
    /// Its name.
    pub name: GroupName,
    /// Nodes in order of preference; nodes not named come after, in the cluster's order.
    #[serde(default)]
    pub preferred_owners: Vec<NodeName>,
    /// Fail-overs allowed within `failover_period_ms`.
    pub failover_threshold: u32,
    /// Period of the fail-over budget.
    pub failover_period_ms: u64,
    /// When it goes back to a node that it prefers; without it, never.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failback: Option<Failback>,
    /// A move that was asked for.
    #[serde(default)]
    pub move_request: Option<MoveRequest>,
    /// Its resources, in the order they were added.
    #[serde(default)]
    pub resources: Vec<ResourceConfig>,
}

impl GroupConfig {
    /// An empty group with the ancestor's budget of 10 fail-overs in 6 hours (KB 197047).
    #[must_use]
    pub fn new(name: GroupName) -> Self {
        Self {
            name,
            preferred_owners: Vec::new(),
            failover_threshold: 10,
            failover_period_ms: 6 * 3_600_000,
            failback: None,
            move_request: None,
            resources: Vec::new(),
        }
    }

    /// The resource of that name.
    #[must_use]
    pub fn resource(&self, name: &ResourceName) -> Option<&ResourceConfig> {
        self.resources.iter().find(|resource| resource.name == *name)
    }
}

/// Everything configured, at one revision.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Configuration {
    /// Version of this document, [`CONFIGURATION_FORMAT`].
    pub format: u32,
    /// Number of this revision; the first is 1.
    pub revision: u64,
    /// Name of the cluster.
    pub name: String,
    /// Account that everything runs under.
    pub service_account: String,
    /// Lease, heartbeat and margin.
    pub timing: Timing,
    /// The nodes, in the order in which they are preferred.
    pub nodes: Vec<NodeConfig>,
    /// The groups.
    pub groups: Vec<GroupConfig>,
    /// Nothing is started, stopped or moved while this is set, except what a lost lease ends and
    /// what goes with a node that is stopped.
    #[serde(default)]
    pub maintenance: bool,
    /// The last serial given to a checkpoint.
    #[serde(default)]
    pub last_serial: u64,
}

impl Configuration {
    /// The node of that name.
    #[must_use]
    pub fn node(&self, name: &NodeName) -> Option<&NodeConfig> {
        self.nodes.iter().find(|node| node.name == *name)
    }

    /// The group of that name.
    #[must_use]
    pub fn group(&self, name: &GroupName) -> Option<&GroupConfig> {
        self.groups.iter().find(|group| group.name == *name)
    }

    /// The resource of that name, with its group.
    #[must_use]
    pub fn resource(&self, name: &ResourceName) -> Option<(&GroupConfig, &ResourceConfig)> {
        self.groups.iter().find_map(|group| Some((group, group.resource(name)?)))
    }

    /// Whether `node` may own `group`: it is a possible owner of every resource in it.
    #[must_use]
    pub fn may_own(&self, node: &NodeName, group: &GroupConfig) -> bool {
        let possible = |resource: &ResourceConfig| {
            resource.possible_owners.is_empty() || resource.possible_owners.contains(node)
        };
        self.node(node).is_some() && group.resources.iter().all(possible)
    }

    /// The nodes that may own `group`, the preferred ones first.
    #[must_use]
    pub fn candidates(&self, group: &GroupConfig) -> Vec<NodeName> {
        let rest = self.nodes.iter().map(|node| &node.name);
        let mut ranked: Vec<NodeName> = Vec::new();
        for name in group.preferred_owners.iter().chain(rest) {
            if !ranked.contains(name) && self.may_own(name, group) {
                ranked.push(name.clone());
            }
        }
        ranked
    }
}
