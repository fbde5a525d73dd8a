//! Forming the cluster, its group and the server in it; bringing resources online and offline.

use std::path::PathBuf;
use std::rc::Rc;

use rehome_cluster::{
    Cluster, ClusterConfig, ClusterStatus, GroupConfig, NodeConfig, NodeName, ResourceConfig,
    ResourceKind, ResourceState, Target,
};
use rehome_executor::{Flow, OperationError, Progress};
use rehome_planner::Resource;

use super::World;
use super::trouble::{Done, Seen, done, failed, from_error, interrupted, met};
use crate::names;

/// Time without any change after which waiting for the cluster is given up, in milliseconds.
const SILENCE_MAX_MS: u64 = 120_000;
/// Time between two looks, in milliseconds.
const LOOK_MS: u64 = 20;

/// How the executor is told how far a step is.
pub(super) type Tell<'a> = &'a mut dyn FnMut(Progress) -> Flow;

impl World<'_> {
    /// The cluster. The same handle every time: it has to have seen a node's heartbeat move before
    /// it can say that the node is alive.
    pub(super) fn cluster(&self) -> Result<Rc<Cluster>, OperationError> {
        if let Some(known) = self.cluster.get() {
            return Ok(Rc::clone(known));
        }
        let opened = Cluster::open(&self.work.quorum())
            .map_err(|error| failed("cluster", error, "run the step that forms the cluster"))?;
        Ok(Rc::clone(self.cluster.get_or_init(|| Rc::new(opened))))
    }

    /// What the cluster looks like now.
    pub(super) fn cluster_status(&self) -> Result<ClusterStatus, OperationError> {
        self.cluster()?.status().map_err(|error| failed("cluster", error, "see the quorum folder"))
    }

    pub(super) fn install_nodes(&mut self, nodes: &[String]) -> Done {
        for node in nodes {
            let folder = self.work.node(node);
            let made = std::fs::create_dir_all(&folder);
            made.map_err(|error| failed(&folder.display().to_string(), error, "make room"))?;
        }
        done([format!("{} are ready and hold nothing of an earlier installation", list(nodes))])
    }

    pub(super) fn create_cluster(&mut self, name: &str, nodes: &[String], account: &str) -> Done {
        if self.cluster().is_err() {
            let mut configs = Vec::new();
            for node in nodes {
                configs.push(NodeConfig::new(self.node_name(node)?, self.work.node(node)));
            }
            Cluster::create(&self.work.quorum(), ClusterConfig::new(name, account, configs))
                .map_err(|error| failed("cluster", error, "give it an empty quorum folder"))?;
        }
        self.memory.change(|facts| facts.nodes_run = true).map_err(from_error)?;
        self.ensure_nodes()?;
        let wanted: Vec<NodeName> =
            nodes.iter().map(|node| self.node_name(node)).collect::<Result<_, _>>()?;
        self.wait_for("every node to take part", &mut |_| Flow::Continue, |status| {
            wanted.iter().all(|node| status.alive(node))
        })?;
        done([format!("cluster {name}: {} take part as processes of their own", list(nodes))])
    }

    pub(super) fn remove_cluster(&mut self) -> Done {
        self.memory.change(|facts| facts.nodes_run = false).map_err(from_error)?;
        self.stop_nodes();
        done(["the nodes are stopped".to_owned()])
    }

    pub(super) fn configure_group(&mut self, group: &str, name: &str, address: &str) -> Done {
        let cluster = self.cluster()?;
        let group_name = self.group_name(group)?;
        let trouble = |error| failed("group", error, "see the cluster's configuration");
        let configuration = cluster.configuration().map_err(trouble)?;
        if configuration.group(&group_name).is_none() {
            cluster.add_group(GroupConfig::new(group_name.clone())).map_err(trouble)?;
        }
        let configuration = cluster.configuration().map_err(trouble)?;
        for resource in self.base_resources(name, address) {
            if configuration.resource(&resource.name).is_none() {
                cluster.add_resource(&group_name, resource).map_err(trouble)?;
            }
        }
        done([format!("group {group}: exclusive folder, address {address}, name {name}")])
    }

    /// Folder, address and name.
    fn base_resources(&self, name: &str, address: &str) -> [ResourceConfig; 3] {
        let disk = ResourceKind::Folder { path: self.work.shared() };
        let claim =
            ResourceKind::IpAddress { address: address.to_owned(), port: names::CLAIM_PORT };
        let network =
            ResourceKind::NetworkName { name: name.to_owned(), registry_dir: self.work.names() };
        let of = names::resource;
        [
            ResourceConfig::new(of(Resource::Disk), disk),
            ResourceConfig::new(of(Resource::Address), claim),
            ResourceConfig::new(of(Resource::NetworkName), network)
                .depends_on(&[&of(Resource::Address)]),
        ]
    }

    pub(super) fn remove_group(&mut self, group: &str) -> Done {
        self.group_target(group, Target::Offline, &mut |_| Flow::Continue)?;
        let cluster = self.cluster()?;
        for resource in [Resource::NetworkName, Resource::Address, Resource::Disk] {
            let removed = cluster.remove_resource(&names::resource(resource));
            removed.map_err(|error| failed("group", error, "remove the services first"))?;
        }
        done([format!("group {group} has no resources any more")])
    }

    pub(super) fn group_target(&mut self, group: &str, target: Target, tell: Tell<'_>) -> Done {
        let name = self.group_name(group)?;
        self.ensure_nodes()?;
        let asked = self.cluster()?.set_group_target(&name, target);
        asked.map_err(|error| failed("group", error, "see the cluster's configuration"))?;
        let (what, state) = match target {
            Target::Online => ("the group to be online", ResourceState::Online),
            Target::Offline => ("the group to be offline", ResourceState::Offline),
        };
        let status = self.wait_for(what, tell, |status| {
            let view = status.groups.get(&name);
            view.is_some_and(|view| view.resources.values().all(|one| one.state == state))
        })?;
        let owner = status.owner(&name).map_or_else(|| "nobody".to_owned(), ToString::to_string);
        done([format!("group {group} is {state}; owner {owner}")])
    }

    pub(super) fn resource_target(
        &mut self,
        resource: Resource,
        target: Target,
        tell: Tell<'_>,
    ) -> Done {
        let name = names::resource(resource);
        self.ensure_nodes()?;
        let asked = self.cluster()?.set_resource_target(&name, target);
        asked.map_err(|error| failed("resource", error, "see the cluster's configuration"))?;
        let state = match target {
            Target::Online => ResourceState::Online,
            Target::Offline => ResourceState::Offline,
        };
        self.wait_for(&format!("{resource} to be {state}"), tell, |status| {
            status.is(&name, state)
        })?;
        done([format!("{resource} is {state}")])
    }

    pub(super) fn fail_over(&mut self, group: &str, to: &str, tell: Tell<'_>) -> Done {
        let (name, node) = (self.group_name(group)?, self.node_name(to)?);
        self.ensure_nodes()?;
        let started = self.session.clock.monotonic_ms();
        if self.cluster_status()?.owner(&name) != Some(&node) {
            let moved = self.cluster()?.move_group(&name, &node);
            moved.map_err(|error| failed("group", error, "prepare the node first"))?;
        }
        self.wait_for(&format!("group {group} to be online on {to}"), tell, |status| {
            status.owner(&name) == Some(&node) && status.online(&name)
        })?;
        let took = self.session.clock.monotonic_ms() - started;
        done([format!("group {group} is online on {to} after {took} ms")])
    }

    /// Whether a node is the one that the group is made and installed on.
    pub(super) fn is_primary(&self, node: &str) -> bool {
        let nodes = &self.plan.inventory.cluster.nodes;
        nodes.first().is_some_and(|first| first.eq_ignore_ascii_case(node))
    }

    /// Moves the group to its first node, which a step needs.
    ///
    /// After a kill it wakes up on whichever node is the first to claim it, and no step of the
    /// plan would bring it back: before the plan itself fails it over it belongs on its first node.
    pub(super) fn bring_back_group(&mut self, group: &str, to: &str) -> Seen {
        let (name, node) = (self.group_name(group)?, self.node_name(to)?);
        let moved = self.cluster()?.move_group(&name, &node);
        moved.map_err(|error| failed("group", error, "move it to its first node by hand"))?;
        let what = format!("group {group} to be back on {to}");
        let back = |status: &ClusterStatus| status.owner(&name) == Some(&node);
        self.wait_for(&what, &mut |_| Flow::Continue, back)?;
        self.wait_until_settled()?;
        met(format!("{to} owns it again"))
    }

    pub(super) fn update_node(&mut self, group: &str, node: &str) -> Done {
        let (group_name, node_name) = (self.group_name(group)?, self.node_name(node)?);
        self.ensure_nodes()?;
        let updated = self.cluster()?.update_node(&group_name, &node_name);
        let report =
            updated.map_err(|error| failed(node, error, "bring the group online first"))?;
        done([format!("{node} can run group {group}; {} keys copied", report.keys.len())])
    }

    /// Waits until every resource that is wanted online has got there, or has failed: nodes that
    /// were just started bring back what an earlier run had online.
    pub(super) fn wait_until_settled(&self) -> Result<(), OperationError> {
        let configuration = self.cluster()?.configuration();
        let configuration =
            configuration.map_err(|error| failed("cluster", error, "see the quorum folder"))?;
        let wanted: Vec<_> = configuration
            .groups
            .iter()
            .flat_map(|group| &group.resources)
            .filter(|resource| resource.target == Target::Online)
            .map(|resource| resource.name.clone())
            .collect();
        let settled = |status: &ClusterStatus| {
            let there = |state| matches!(state, ResourceState::Online | ResourceState::Failed);
            wanted.iter().all(|name| status.resource(name).is_some_and(|one| there(one.state)))
        };
        let what = "the nodes to bring back what was online";
        self.wait_for(what, &mut |_| Flow::Continue, settled).map(drop)
    }

    /// Waits until `met` holds; gives up after a long silence, never after a total time: what
    /// reports progress is left to finish.
    pub(super) fn wait_for(
        &self,
        what: &str,
        tell: Tell<'_>,
        mut met: impl FnMut(&ClusterStatus) -> bool,
    ) -> Result<ClusterStatus, OperationError> {
        let cluster = self.cluster()?;
        let mut last = String::new();
        let mut since_ms = self.session.clock.monotonic_ms();
        loop {
            let status = cluster
                .status()
                .map_err(|error| failed("cluster", error, "see the quorum folder"))?;
            if met(&status) {
                return Ok(status);
            }
            let seen = pulse(&status);
            let now_ms = self.session.clock.monotonic_ms();
            if seen != last {
                let progress = Progress { what: seen.clone(), ..Progress::default() };
                (last, since_ms) = (seen, now_ms);
                if tell(progress) == Flow::Stop {
                    return Err(interrupted());
                }
            }
            if self.session.stopping() {
                return Err(interrupted());
            }
            if now_ms - since_ms > SILENCE_MAX_MS {
                let cause = format!("waited for {what}, and nothing changed: {last}");
                return Err(failed("cluster", cause, "the reasons are in the cluster's log"));
            }
            std::thread::park_timeout(std::time::Duration::from_millis(LOOK_MS));
        }
    }

    pub(super) fn shared(&self, part: Resource) -> PathBuf {
        self.work.shared().join(part.as_str())
    }
}

/// What changes while the cluster works: states, reasons and progress.
fn pulse(status: &ClusterStatus) -> String {
    let mut parts = Vec::new();
    for (name, group) in &status.groups {
        for (resource, one) in &group.resources {
            let busy = !matches!(one.state, ResourceState::Online | ResourceState::Offline);
            if busy {
                let progress = one.progress.as_ref().map(ToString::to_string).unwrap_or_default();
                parts.push(format!("{resource} {} {} {progress}", one.state, one.reason));
            }
        }
        if parts.is_empty() {
            parts.push(format!("group {name} {:?} {:?}", group.owner, group.state));
        }
    }
    parts.join("; ").trim_end().to_owned()
}

/// Names for people.
fn list(names: &[String]) -> String {
    names.join(" and ")
}
