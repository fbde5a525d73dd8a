//! The cluster as it is seen from the quorum folder.

use std::collections::BTreeMap;
use std::sync::PoisonError;
use std::time::Duration;

use super::{Cluster, ClusterError};
use crate::configuration::{Configuration, GroupConfig};
use crate::ids::{NodeName, ResourceName};
use crate::observe::Observer;
use crate::status::{
    ClusterStatus, GroupState, GroupView, Liveness, NodeView, ResourceState, ResourceStatus,
};

impl Cluster {
    /// The cluster now. Whether a node is alive is judged by its counter, so a call on a new
    /// handle takes as long as a heartbeat, or as the lease when a node is dead.
    ///
    /// # Errors
    ///
    /// [`ClusterError::Coordinator`] if the quorum folder cannot be read.
    pub fn status(&self) -> Result<ClusterStatus, ClusterError> {
        let configuration = self.configuration()?;
        let nodes = self.node_views(&configuration)?;
        let mut groups = BTreeMap::new();
        for group in &configuration.groups {
            groups.insert(group.name.clone(), self.group_view(group, &nodes)?);
        }
        let Configuration { revision, maintenance, .. } = configuration;
        Ok(ClusterStatus { name: configuration.name, revision, maintenance, nodes, groups })
    }

    fn node_views(
        &self,
        configuration: &Configuration,
    ) -> Result<BTreeMap<NodeName, NodeView>, ClusterError> {
        let mut watch = self.watch.lock().unwrap_or_else(PoisonError::into_inner);
        let now_ms = self.clock.monotonic_ms();
        if now_ms.saturating_sub(watch.last_ms) > configuration.timing.lease_ms {
            // A counter that moved since a reading long ago may have stopped since: start afresh.
            watch.observer = Observer::default();
        }
        loop {
            let start_ms = self.clock.monotonic_ms();
            let shared = self.coordinator.look(Some(configuration))?;
            let end_ms = self.clock.monotonic_ms();
            for node in &configuration.nodes {
                let (heartbeat, timing) =
                    (shared.heartbeats.get(&node.name), &configuration.timing);
                watch.observer.observe(start_ms, end_ms, &node.name, heartbeat, timing);
            }
            watch.last_ms = end_ms;
            let views: Option<BTreeMap<NodeName, NodeView>> = configuration
                .nodes
                .iter()
                .map(|node| {
                    let liveness = watch.observer.liveness(&node.name, &configuration.timing)?;
                    let run = watch.observer.incarnation(&node.name);
                    let view = NodeView {
                        liveness,
                        paused: node.paused,
                        drained: node.drained,
                        incarnation: run.map(|(incarnation, _)| incarnation.to_owned()),
                        pid: run.map(|(_, pid)| pid),
                    };
                    Some((node.name.clone(), view))
                })
                .collect();
            if let Some(views) = views {
                return Ok(views);
            }
            let pause_ms = (configuration.timing.heartbeat_ms / 4).max(1);
            std::thread::sleep(Duration::from_millis(pause_ms));
        }
    }

    fn group_view(
        &self,
        group: &GroupConfig,
        nodes: &BTreeMap<NodeName, NodeView>,
    ) -> Result<GroupView, ClusterError> {
        let ownership = self.coordinator.ownership(&group.name)?;
        let epoch = ownership.as_ref().map_or(0, |ownership| ownership.claim.epoch);
        let reason = ownership.as_ref().map_or_else(
            || "nobody has owned it yet".to_owned(),
            |owned| match &owned.release {
                Some(release) => {
                    format!("{} gave it up: {}", owned.claim.owner.node, release.reason)
                }
                None => format!("{} took it: {}", owned.claim.owner.node, owned.claim.reason),
            },
        );
        let owner = ownership.filter(|ownership| ownership.release.is_none()).and_then(|owned| {
            let node = nodes.get(&owned.claim.owner.node)?;
            let same = node.incarnation.as_ref() == Some(&owned.claim.owner.incarnation);
            (same && node.liveness == Liveness::Alive).then_some(owned.claim.owner)
        });
        let published = match &owner {
            Some(owner) => self
                .coordinator
                .status(&owner.node)?
                .filter(|status| status.incarnation == owner.incarnation),
            None => None,
        };
        let published = published
            .and_then(|mut status| status.groups.remove(&group.name))
            .filter(|published| published.epoch == epoch);
        let mut resources = published.map(|published| published.resources).unwrap_or_default();
        resources.retain(|name, _| group.resource(name).is_some());
        for resource in &group.resources {
            resources.entry(resource.name.clone()).or_insert_with(|| resting(owner.is_some()));
        }
        let state = match &owner {
            Some(_) => GroupState::of(resources.values().map(|resource| resource.state)),
            None => GroupState::Unowned,
        };
        Ok(GroupView { owner: owner.map(|owner| owner.node), epoch, state, reason, resources })
    }
}

/// A resource that nobody has said anything about.
fn resting(owned: bool) -> ResourceStatus {
    let reason =
        if owned { "its owner has not taken it up yet" } else { "no living node owns its group" };
    ResourceStatus {
        state: ResourceState::Offline,
        for_ms: 0,
        reason: reason.to_owned(),
        detail: None,
        progress: None,
        restarts: 0,
    }
}

/// The cluster in one line, for error messages.
pub(super) fn summary(status: &ClusterStatus) -> String {
    let mut parts: Vec<String> = Vec::new();
    for (name, node) in &status.nodes {
        parts.push(format!("{name} {:?}", node.liveness));
    }
    for (name, group) in &status.groups {
        let owner = group.owner.as_ref().map_or("nobody", |owner| owner.as_str());
        parts.push(format!("group {name} on {owner} (epoch {})", group.epoch));
        let resource = |(name, resource): (&ResourceName, &ResourceStatus)| {
            format!("{name} {}: {}", resource.state, resource.reason)
        };
        parts.extend(group.resources.iter().map(resource));
    }
    parts.join("; ")
}
