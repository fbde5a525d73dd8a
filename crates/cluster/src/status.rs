//! What observers see: the state of nodes, groups and resources, with reasons.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::ids::{GroupName, NodeName, ResourceName};

/// The state of a resource.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ResourceState {
    /// It rests.
    Offline,
    /// It is on its way to online.
    OnlinePending,
    /// It runs.
    Online,
    /// It is on its way to offline.
    OfflinePending,
    /// It failed; the reason says how and what happens next.
    Failed,
}

impl std::fmt::Display for ResourceState {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Offline => "offline",
            Self::OnlinePending => "online-pending",
            Self::Online => "online",
            Self::OfflinePending => "offline-pending",
            Self::Failed => "failed",
        })
    }
}

/// One resource as its owner last published it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ResourceStatus {
    /// Its state.
    pub state: ResourceState,
    /// How long it has been in that state, in milliseconds, when the status was published.
    pub for_ms: u64,
    /// Why it is in that state, as a sentence.
    pub reason: String,
    /// What a resource that came online said about itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<serde_json::Value>,
    /// The last progress report of a pending resource.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub progress: Option<serde_json::Value>,
    /// Restarts counted against the budget.
    pub restarts: u32,
}

/// One group as its owner last published it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct OwnedGroup {
    /// The epoch under which it is owned: the fencing token.
    pub epoch: u64,
    /// Its resources.
    pub resources: BTreeMap<ResourceName, ResourceStatus>,
    /// Fail-overs counted against the budget.
    pub failovers: u32,
}

/// What a node publishes about itself.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct NodeStatus {
    /// The node.
    pub node: NodeName,
    /// Which run of the node's program this is.
    pub incarnation: String,
    /// Its process.
    pub pid: u32,
    /// The configuration revision that it works by.
    pub revision: u64,
    /// The groups that it owns.
    pub groups: BTreeMap<GroupName, OwnedGroup>,
}

/// Whether a node is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Liveness {
    /// Its counter moves.
    Alive,
    /// Its counter stood still for the lease and the margin, or it said good-bye.
    Dead,
    /// It never wrote a heartbeat.
    NeverSeen,
}

/// One node in a [`ClusterStatus`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct NodeView {
    /// Whether it is there.
    pub liveness: Liveness,
    /// Whether it takes nothing new.
    pub paused: bool,
    /// Whether it hands what it has to others.
    #[serde(default)]
    pub drained: bool,
    /// Which run of its program wrote the last heartbeat.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub incarnation: Option<String>,
    /// Its process.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pid: Option<u32>,
}

/// The state of a group as a whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum GroupState {
    /// Every resource is online.
    Online,
    /// Every resource is offline.
    Offline,
    /// Some are online, some offline, none failed or on the way.
    PartialOnline,
    /// At least one is on its way.
    Pending,
    /// At least one has failed.
    Failed,
    /// Nobody owns it.
    Unowned,
}

/// One group in a [`ClusterStatus`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct GroupView {
    /// The node that owns it, if that node is alive and has not given it up.
    pub owner: Option<NodeName>,
    /// The last epoch given out; 0 before the first owner.
    pub epoch: u64,
    /// The state of the group as a whole.
    pub state: GroupState,
    /// Who took it last, or gave it up, and why.
    #[serde(default)]
    pub reason: String,
    /// Its resources; a group without an owner shows them offline.
    pub resources: BTreeMap<ResourceName, ResourceStatus>,
}

/// The cluster at one moment.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ClusterStatus {
    /// Name of the cluster.
    pub name: String,
    /// Revision of the configuration.
    pub revision: u64,
    /// Nothing is started, stopped or moved for now.
    #[serde(default)]
    pub maintenance: bool,
    /// The nodes.
    pub nodes: BTreeMap<NodeName, NodeView>,
    /// The groups.
    pub groups: BTreeMap<GroupName, GroupView>,
}

impl ClusterStatus {
    /// The state of a resource, if it is configured.
    #[must_use]
    pub fn resource(&self, name: &ResourceName) -> Option<&ResourceStatus> {
        self.groups.values().find_map(|group| group.resources.get(name))
    }

    /// Whether a resource is in `state`.
    #[must_use]
    pub fn is(&self, name: &ResourceName, state: ResourceState) -> bool {
        self.resource(name).is_some_and(|resource| resource.state == state)
    }

    /// The owner of a group.
    #[must_use]
    pub fn owner(&self, group: &GroupName) -> Option<&NodeName> {
        self.groups.get(group)?.owner.as_ref()
    }

    /// Whether every resource of the group is online.
    #[must_use]
    pub fn online(&self, group: &GroupName) -> bool {
        self.groups.get(group).is_some_and(|group| group.state == GroupState::Online)
    }

    /// Whether the node's counter moves.
    #[must_use]
    pub fn alive(&self, node: &NodeName) -> bool {
        self.nodes.get(node).is_some_and(|node| node.liveness == Liveness::Alive)
    }
}

impl GroupState {
    /// The state of a group whose resources are in `states`.
    #[must_use]
    pub fn of(states: impl IntoIterator<Item = ResourceState>) -> Self {
        let states: Vec<ResourceState> = states.into_iter().collect();
        let any = |state| states.contains(&state);
        if any(ResourceState::Failed) {
            Self::Failed
        } else if any(ResourceState::OnlinePending) || any(ResourceState::OfflinePending) {
            Self::Pending
        } else if !any(ResourceState::Online) {
            Self::Offline
        } else if any(ResourceState::Offline) {
            Self::PartialOnline
        } else {
            Self::Online
        }
    }
}
