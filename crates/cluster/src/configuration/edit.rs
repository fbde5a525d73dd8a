//! Changes to a configuration: each is a function from a value to a value, checked as a whole.

use std::collections::BTreeSet;

use super::{
    CONFIGURATION_FORMAT, CheckpointConfig, ClusterConfig, Configuration, GroupConfig, MoveRequest,
    NodeConfig, ResourceConfig, Target, Timing,
};
use crate::ids::{CheckpointKey, GroupName, NodeName, ResourceName};
use crate::template::{Template, TemplateError};

/// The shortest lease, in milliseconds: below it a busy machine would lose leases for nothing.
pub(crate) const LEASE_MS_MIN: u64 = 100;

/// Why a configuration is refused. Nothing is changed then.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ConfigurationError {
    /// The name is taken.
    #[error(
        "{what} {name:?} is configured already, and a name stands for one thing in the whole \
         cluster, so nothing was changed; choose another name or change that one"
    )]
    Duplicate {
        /// Node, group or resource.
        what: &'static str,
        /// The name.
        name: String,
    },
    /// The name is not configured.
    #[error("{what} {name:?} is not configured; known: {known}")]
    Unknown {
        /// Node, group, resource or checkpoint.
        what: &'static str,
        /// The name.
        name: String,
        /// What is configured instead.
        known: String,
    },
    /// A dependency is not in the group.
    #[error(
        "resource {resource:?} depends on {dependency:?}, which is not in group {group:?}; \
         dependencies stay within a group, so add it there first"
    )]
    UnknownDependency {
        /// The resource.
        resource: ResourceName,
        /// What it names.
        dependency: ResourceName,
        /// The group.
        group: GroupName,
    },
    /// Dependencies go in a circle.
    #[error(
        "dependencies of group {group:?} go in a circle through {resource:?}, so none of them \
         could ever come online and nothing was configured; remove one of them"
    )]
    Cycle {
        /// The group.
        group: GroupName,
        /// One resource on the circle.
        resource: ResourceName,
    },
    /// Something else depends on the resource.
    #[error(
        "resource {resource:?} cannot be removed: {dependent:?} depends on it; remove that \
             first"
    )]
    StillNeeded {
        /// The resource.
        resource: ResourceName,
        /// What depends on it.
        dependent: ResourceName,
    },
    /// Lease, heartbeat and margin do not fit together.
    #[error(
        "lease {lease_ms} ms, heartbeat {heartbeat_ms} ms, margin {margin_ms} ms: a node must be \
         able to miss two heartbeats and the margin must not be zero; use a lease of at least \
         100 ms and a heartbeat of at most a third of it"
    )]
    BadTiming {
        /// Lease.
        lease_ms: u64,
        /// Heartbeat.
        heartbeat_ms: u64,
        /// Margin.
        margin_ms: u64,
    },
    /// A part of a day cannot be understood.
    #[error("{text:?} is no part of a day; write it as 22:00-06:00, in UTC; nothing was changed")]
    BadWindow {
        /// The text.
        text: String,
    },
    /// A node cannot own the group.
    #[error(
        "node {node:?} is not a possible owner of every resource of group {group:?}; update the \
         node first"
    )]
    NotPossible {
        /// The node.
        node: NodeName,
        /// The group.
        group: GroupName,
    },
    /// The node is the only one that can run something.
    #[error(
        "node {node:?} cannot be taken out: it is the only possible owner of resource \
         {resource:?}, which nobody could run then; give the resource other owners, or remove it"
    )]
    OnlyOwner {
        /// The node.
        node: NodeName,
        /// The resource.
        resource: ResourceName,
    },
    /// A placeholder in an argument is not known.
    #[error("resource {resource:?}: {source}")]
    BadTemplate {
        /// The resource.
        resource: ResourceName,
        /// What is wrong.
        source: TemplateError,
    },
}

impl Configuration {
    /// Revision 1 of a new cluster.
    ///
    /// # Errors
    ///
    /// [`ConfigurationError::BadTiming`] or [`ConfigurationError::Duplicate`].
    pub fn new(config: ClusterConfig) -> Result<Self, ConfigurationError> {
        let lease_ms = config.lease_ms;
        let configuration = Self {
            format: CONFIGURATION_FORMAT,
            revision: 1,
            name: config.name,
            service_account: config.service_account,
            timing: Timing {
                lease_ms,
                heartbeat_ms: config.heartbeat_ms.unwrap_or((lease_ms / 6).max(1)),
                margin_ms: config.margin_ms.unwrap_or((lease_ms / 20).max(20)),
            },
            nodes: config.nodes,
            groups: Vec::new(),
            maintenance: false,
            last_serial: 0,
        };
        configuration.check()?;
        Ok(configuration)
    }

    /// Checks everything that can be checked without a machine.
    ///
    /// # Errors
    ///
    /// The first [`ConfigurationError`] found.
    pub fn check(&self) -> Result<(), ConfigurationError> {
        let Timing { lease_ms, heartbeat_ms, margin_ms } = self.timing;
        let sound = lease_ms >= LEASE_MS_MIN
            && heartbeat_ms > 0
            && heartbeat_ms <= lease_ms / 3
            && margin_ms > 0;
        if !sound {
            return Err(ConfigurationError::BadTiming { lease_ms, heartbeat_ms, margin_ms });
        }
        unique("node", self.nodes.iter().map(|node| node.name.as_str()))?;
        unique("group", self.groups.iter().map(|group| group.name.as_str()))?;
        let resources = self.groups.iter().flat_map(|group| &group.resources);
        unique("resource", resources.map(|resource| resource.name.as_str()))?;
        for group in &self.groups {
            group.online_order()?;
            for node in &group.preferred_owners {
                self.known_node(node)?;
            }
            for resource in &group.resources {
                self.check_resource(resource)?;
            }
        }
        Ok(())
    }

    fn check_resource(&self, resource: &ResourceConfig) -> Result<(), ConfigurationError> {
        for node in &resource.possible_owners {
            self.known_node(node)?;
        }
        for text in resource.kind.templates() {
            Template::parse(text).map_err(|source| ConfigurationError::BadTemplate {
                resource: resource.name.clone(),
                source,
            })?;
        }
        Ok(())
    }

    pub(super) fn known_node(&self, name: &NodeName) -> Result<(), ConfigurationError> {
        if self.node(name).is_some() {
            return Ok(());
        }
        let known = self.nodes.iter().map(|node| node.name.as_str());
        Err(unknown("node", name.as_str(), known))
    }

    fn group_mut(&mut self, name: &GroupName) -> Result<&mut GroupConfig, ConfigurationError> {
        let known: Vec<String> = self.groups.iter().map(|g| g.name.to_string()).collect();
        let found = self.groups.iter_mut().find(|group| group.name == *name);
        found.ok_or_else(|| unknown("group", name.as_str(), known.iter().map(String::as_str)))
    }

    fn group_of(&mut self, name: &ResourceName) -> Result<&mut GroupConfig, ConfigurationError> {
        let all = self.groups.iter().flat_map(|group| &group.resources);
        let known: Vec<String> = all.map(|resource| resource.name.to_string()).collect();
        let found = self.groups.iter_mut().find(|group| group.resource(name).is_some());
        found.ok_or_else(|| unknown("resource", name.as_str(), known.iter().map(String::as_str)))
    }

    fn resource_mut(
        &mut self,
        name: &ResourceName,
    ) -> Result<&mut ResourceConfig, ConfigurationError> {
        let group = self.group_of(name)?;
        let found = group.resources.iter_mut().find(|resource| resource.name == *name);
        Ok(found.expect("group_of returned the group that has it"))
    }

    pub(crate) fn add_node(&mut self, node: NodeConfig) -> Result<(), ConfigurationError> {
        self.nodes.push(node);
        self.check()
    }

    /// Pauses a node, or drains it as well; neither ends both.
    pub(crate) fn set_paused(
        &mut self,
        name: &NodeName,
        paused: bool,
        drained: bool,
    ) -> Result<(), ConfigurationError> {
        self.known_node(name)?;
        for node in self.nodes.iter_mut().filter(|node| node.name == *name) {
            node.paused = paused || drained;
            node.drained = drained;
        }
        Ok(())
    }

    /// Takes a node out. What only it could run must be changed first.
    pub(crate) fn evict_node(&mut self, name: &NodeName) -> Result<(), ConfigurationError> {
        self.known_node(name)?;
        let all = self.groups.iter().flat_map(|group| &group.resources);
        if let Some(bound) = all.clone().find(|one| one.possible_owners == [name.clone()]) {
            return Err(ConfigurationError::OnlyOwner {
                node: name.clone(),
                resource: bound.name.clone(),
            });
        }
        self.nodes.retain(|node| node.name != *name);
        for group in &mut self.groups {
            group.preferred_owners.retain(|node| node != name);
            group.move_request.take_if(|asked| asked.to == *name);
            for resource in &mut group.resources {
                resource.possible_owners.retain(|node| node != name);
            }
        }
        self.check()
    }

    pub(crate) fn add_group(&mut self, group: GroupConfig) -> Result<(), ConfigurationError> {
        self.groups.push(group);
        self.check()
    }

    pub(crate) fn add_resource(
        &mut self,
        group: &GroupName,
        resource: ResourceConfig,
    ) -> Result<(), ConfigurationError> {
        self.group_mut(group)?.resources.push(resource);
        self.check()
    }

    pub(crate) fn replace_resource(
        &mut self,
        resource: ResourceConfig,
    ) -> Result<(), ConfigurationError> {
        let old = self.resource_mut(&resource.name)?;
        let request = old.request + 1;
        *old = ResourceConfig { request, ..resource };
        self.check()
    }

    pub(crate) fn remove_resource(
        &mut self,
        name: &ResourceName,
    ) -> Result<ResourceConfig, ConfigurationError> {
        let group = self.group_of(name)?;
        let dependent = group.resources.iter().find(|other| other.depends_on.contains(name));
        if let Some(dependent) = dependent {
            return Err(ConfigurationError::StillNeeded {
                resource: name.clone(),
                dependent: dependent.name.clone(),
            });
        }
        let position = group.resources.iter().position(|resource| resource.name == *name);
        Ok(group.resources.remove(position.expect("group_of returned the group that has it")))
    }

    pub(crate) fn set_resource_target(
        &mut self,
        name: &ResourceName,
        target: Target,
    ) -> Result<(), ConfigurationError> {
        let group = self.group_of(name)?;
        let touched: BTreeSet<ResourceName> = match target {
            Target::Online => group.with_dependencies(name)?,
            Target::Offline => group.with_dependents(name)?,
        }
        .into_iter()
        .collect();
        for resource in &mut group.resources {
            if touched.contains(&resource.name) {
                resource.target = target;
                resource.request += 1;
            }
        }
        Ok(())
    }

    pub(crate) fn set_group_target(
        &mut self,
        name: &GroupName,
        target: Target,
    ) -> Result<(), ConfigurationError> {
        for resource in &mut self.group_mut(name)?.resources {
            resource.target = target;
            resource.request += 1;
        }
        Ok(())
    }

    pub(crate) fn request_move(
        &mut self,
        name: &GroupName,
        to: &NodeName,
        from_epoch: u64,
    ) -> Result<(), ConfigurationError> {
        self.known_node(to)?;
        self.group_mut(name)?;
        let possible = self.group(name).is_some_and(|group| self.may_own(to, group));
        if !possible {
            return Err(ConfigurationError::NotPossible { node: to.clone(), group: name.clone() });
        }
        self.group_mut(name)?.move_request = Some(MoveRequest { to: to.clone(), from_epoch });
        Ok(())
    }

    pub(crate) fn set_possible_owners(
        &mut self,
        name: &ResourceName,
        nodes: &[NodeName],
    ) -> Result<(), ConfigurationError> {
        self.resource_mut(name)?.possible_owners = nodes.to_vec();
        self.check()
    }

    /// Attaches a key and returns its serial; a key attached already is refused.
    pub(crate) fn add_checkpoint(
        &mut self,
        name: &ResourceName,
        key: &CheckpointKey,
    ) -> Result<u64, ConfigurationError> {
        let serial = self.last_serial + 1;
        let resource = self.resource_mut(name)?;
        if resource.checkpoints.iter().any(|checkpoint| checkpoint.key == *key) {
            let name = key.to_string();
            return Err(ConfigurationError::Duplicate { what: "checkpoint", name });
        }
        resource.checkpoints.push(CheckpointConfig { key: key.clone(), serial });
        self.last_serial = serial;
        Ok(serial)
    }

    pub(crate) fn remove_checkpoint(
        &mut self,
        name: &ResourceName,
        key: &CheckpointKey,
    ) -> Result<(), ConfigurationError> {
        let checkpoints = &mut self.resource_mut(name)?.checkpoints;
        let Some(position) = checkpoints.iter().position(|entry| entry.key == *key) else {
            let known = checkpoints.iter().map(|entry| entry.key.as_str());
            return Err(unknown("checkpoint", key.as_str(), known));
        };
        checkpoints.remove(position);
        Ok(())
    }
}

fn unknown<'a>(
    what: &'static str,
    name: &str,
    known: impl Iterator<Item = &'a str>,
) -> ConfigurationError {
    let known: Vec<&str> = known.collect();
    let known = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
    ConfigurationError::Unknown { what, name: name.to_owned(), known }
}

fn unique<'a>(
    what: &'static str,
    names: impl Iterator<Item = &'a str>,
) -> Result<(), ConfigurationError> {
    let mut seen = BTreeSet::new();
    for name in names {
        if !seen.insert(name.to_ascii_lowercase()) {
            return Err(ConfigurationError::Duplicate { what, name: name.to_owned() });
        }
    }
    Ok(())
}
