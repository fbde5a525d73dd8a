//! The admin's handle on a cluster: it works on what nodes share, not on nodes.

mod care;
mod checkpoints;
mod explain;
mod update;
mod view;

use std::fs;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rehome_log::{Clock, SystemClock};

use crate::configuration::{
    ClusterConfig, Configuration, ConfigurationError, GroupConfig, NodeConfig, ResourceConfig,
    Target,
};
use crate::coordinator::{Coordinator, CoordinatorError};
use crate::fence::FenceError;
use crate::ids::{GroupName, NodeName, ResourceName};
use crate::journal::LogEntry;
use crate::observe::Observer;
use crate::quorum::QuorumFolder;
use crate::resources::{AgentError, check_agent};
use crate::status::ClusterStatus;

pub use explain::Explanation;
pub use update::{SOFTWARE_KEY, UpdateReport};

/// How often a change is tried again when somebody else changes the configuration at once.
const EDIT_ATTEMPTS: usize = 50;

/// Why an order to the cluster was not carried out.
#[derive(Debug, thiserror::Error)]
pub enum ClusterError {
    /// What was asked does not fit the configuration.
    #[error(transparent)]
    Configuration(#[from] ConfigurationError),
    /// The quorum folder cannot be used.
    #[error(transparent)]
    Coordinator(#[from] CoordinatorError),
    /// A condition was not met in time.
    #[error("waited {waited_ms} ms for {what}; last seen: {last_seen}; the cluster log says why")]
    TimedOut {
        /// What was waited for.
        what: String,
        /// How long.
        waited_ms: u64,
        /// What the cluster looked like.
        last_seen: String,
    },
    /// Nobody owns the group, so there is no registry to capture a key from.
    #[error(
        "group {group:?} of resource {resource:?} has no living owner, so it is not known which \
         registry to capture {key:?} from; name a node, or start one"
    )]
    NoOwner {
        /// The group.
        group: GroupName,
        /// The resource.
        resource: ResourceName,
        /// The key.
        key: String,
    },
    /// A node cannot be updated before the group is online elsewhere.
    #[error(
        "node {node:?} cannot be updated: group {group:?} is not online on another node ({state}); \
         bring it online first, it is what the node is updated from"
    )]
    NotOnline {
        /// The node.
        node: NodeName,
        /// The group.
        group: GroupName,
        /// The states found.
        state: String,
    },
    /// A node that is to be taken out runs.
    #[error(
        "node {node:?} runs, and taken out of the configuration it could not be waited for any \
         more; drain it, stop its program and try again"
    )]
    StillAlive {
        /// The node.
        node: NodeName,
    },
    /// What a resource needs is not here.
    #[error(transparent)]
    Agent(#[from] AgentError),
    /// A node cannot be fenced like that.
    #[error(transparent)]
    Fence(#[from] FenceError),
    /// A node's folder cannot be used from here.
    #[error("node {node:?}: {place}: {source}; make the folder reachable from this machine")]
    NodeFolder {
        /// The node.
        node: NodeName,
        /// Where.
        place: std::path::PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
}

/// A cluster, as an administrator holds it.
pub struct Cluster {
    coordinator: Arc<dyn Coordinator>,
    clock: Arc<dyn Clock>,
    watch: Mutex<Watch>,
}

/// What this handle has seen of the nodes, and when it last looked.
#[derive(Default)]
struct Watch {
    observer: Observer,
    last_ms: u64,
}

impl Cluster {
    /// Makes a cluster in `dir`, and the state folders of its nodes.
    ///
    /// # Errors
    ///
    /// [`ClusterError::Configuration`] if `config` is not sound; [`ClusterError::Coordinator`] if
    /// a cluster is there already or the folder cannot be written.
    pub fn create(dir: &Path, config: ClusterConfig) -> Result<Self, ClusterError> {
        let first = Configuration::new(config)?;
        let quorum = QuorumFolder::create(dir, &first)?;
        for node in &first.nodes {
            make_state_dir(node)?;
        }
        Ok(Self::through(Arc::new(quorum)))
    }

    /// Opens the cluster in `dir`.
    ///
    /// # Errors
    ///
    /// [`CoordinatorError::Missing`] if there is none.
    pub fn open(dir: &Path) -> Result<Self, ClusterError> {
        Ok(Self::through(Arc::new(QuorumFolder::open(dir)?)))
    }

    /// The cluster whose nodes agree through `coordinator`.
    #[must_use]
    pub fn through(coordinator: Arc<dyn Coordinator>) -> Self {
        Self { coordinator, clock: Arc::new(SystemClock), watch: Mutex::default() }
    }

    /// What its nodes agree through.
    #[must_use]
    pub fn coordinator(&self) -> &Arc<dyn Coordinator> {
        &self.coordinator
    }

    /// Where what its nodes share is, a quorum folder for instance.
    #[must_use]
    pub fn dir(&self) -> &Path {
        self.coordinator.place()
    }

    /// The newest configuration.
    ///
    /// # Errors
    ///
    /// [`ClusterError::Coordinator`] if it cannot be read.
    pub fn configuration(&self) -> Result<Configuration, ClusterError> {
        let missing = || CoordinatorError::Missing { place: self.dir().to_owned() };
        Ok(self.coordinator.configuration(0)?.ok_or_else(missing)?)
    }

    /// Changes the configuration by compare-and-swap: `change` is tried on the newest revision
    /// until it is the next one.
    ///
    /// # Errors
    ///
    /// What `change` refuses, or [`ClusterError::Coordinator`].
    fn edit<T>(
        &self,
        mut change: impl FnMut(&mut Configuration) -> Result<T, ConfigurationError>,
    ) -> Result<T, ClusterError> {
        let mut conflict = None;
        for _ in 0..EDIT_ATTEMPTS {
            let mut next = self.configuration()?;
            let result = change(&mut next)?;
            next.revision += 1;
            match self.coordinator.put_configuration(&next) {
                Ok(()) => return Ok(result),
                Err(error @ CoordinatorError::Conflict { .. }) => conflict = Some(error),
                Err(error) => return Err(error.into()),
            }
        }
        Err(conflict.expect("the loop runs at least once").into())
    }

    /// Adds a node.
    ///
    /// # Errors
    ///
    /// [`ConfigurationError::Duplicate`], or [`ClusterError::Coordinator`].
    pub fn add_node(&self, node: NodeConfig) -> Result<(), ClusterError> {
        self.configuration()?.add_node(node.clone())?;
        make_state_dir(&node)?;
        self.edit(|next| next.add_node(node.clone()))
    }

    /// Pauses a node, so that it takes nothing new, or ends the pause.
    ///
    /// # Errors
    ///
    /// [`ConfigurationError::Unknown`], or [`ClusterError::Coordinator`].
    pub fn set_paused(&self, node: &NodeName, paused: bool) -> Result<(), ClusterError> {
        self.edit(|next| next.set_paused(node, paused, false))
    }

    /// Pauses a node and has it hand what it owns to nodes that can take it; what nobody can take
    /// stays. [`Cluster::set_paused`] with `false` ends it.
    ///
    /// # Errors
    ///
    /// [`ConfigurationError::Unknown`], or [`ClusterError::Coordinator`].
    pub fn drain(&self, node: &NodeName) -> Result<(), ClusterError> {
        self.edit(|next| next.set_paused(node, true, true))
    }

    /// Takes a node out of the cluster; it must not run.
    ///
    /// # Errors
    ///
    /// [`ClusterError::StillAlive`] while it runs, [`ConfigurationError::OnlyOwner`] if something
    /// could not run any more, [`ConfigurationError::Unknown`]. Nothing is changed then.
    pub fn evict(&self, node: &NodeName) -> Result<(), ClusterError> {
        if self.status()?.alive(node) {
            return Err(ClusterError::StillAlive { node: node.clone() });
        }
        self.edit(|next| next.evict_node(node))
    }

    /// Adds a group, with the resources in it.
    ///
    /// # Errors
    ///
    /// Any [`ConfigurationError`], a cycle for instance; [`ClusterError::Agent`] if what an agent
    /// needs is not here; or [`ClusterError::Coordinator`]. Nothing is configured then.
    pub fn add_group(&self, group: GroupConfig) -> Result<(), ClusterError> {
        group.resources.iter().try_for_each(check_agent)?;
        self.edit(|next| next.add_group(group.clone()))
    }

    /// Adds a resource to a group.
    ///
    /// # Errors
    ///
    /// As [`Cluster::add_group`].
    pub fn add_resource(
        &self,
        group: &GroupName,
        resource: ResourceConfig,
    ) -> Result<(), ClusterError> {
        check_agent(&resource)?;
        self.edit(|next| next.add_resource(group, resource.clone()))
    }

    /// Replaces the configuration of the resource of that name. A resource that is online keeps
    /// running as it is and takes the change when it comes online again.
    ///
    /// # Errors
    ///
    /// As [`Cluster::add_group`].
    pub fn replace_resource(&self, resource: ResourceConfig) -> Result<(), ClusterError> {
        check_agent(&resource)?;
        self.edit(|next| next.replace_resource(resource.clone()))
    }

    /// Removes a resource and its checkpoints; its owner takes it offline.
    ///
    /// # Errors
    ///
    /// [`ConfigurationError::StillNeeded`] if something depends on it.
    pub fn remove_resource(&self, name: &ResourceName) -> Result<(), ClusterError> {
        let removed = self.edit(|next| next.remove_resource(name))?;
        for checkpoint in &removed.checkpoints {
            self.coordinator.remove_checkpoint(name, &checkpoint.key)?;
        }
        Ok(())
    }

    /// Asks for a resource to be online, with what it depends on, or offline, with what depends
    /// on it. Asking again for the same gives a failed resource a new start.
    ///
    /// # Errors
    ///
    /// [`ConfigurationError::Unknown`], or [`ClusterError::Coordinator`].
    pub fn set_resource_target(
        &self,
        name: &ResourceName,
        target: Target,
    ) -> Result<(), ClusterError> {
        self.edit(|next| next.set_resource_target(name, target))
    }

    /// Asks for every resource of a group to be online or offline.
    ///
    /// # Errors
    ///
    /// [`ConfigurationError::Unknown`], or [`ClusterError::Coordinator`].
    pub fn set_group_target(&self, name: &GroupName, target: Target) -> Result<(), ClusterError> {
        self.edit(|next| next.set_group_target(name, target))
    }

    /// Asks the owner of a group to hand it to `to`. The request is good for the present owner
    /// only: if it dies first, the request is void.
    ///
    /// # Errors
    ///
    /// [`ConfigurationError::NotPossible`] if `to` is no possible owner of every resource.
    pub fn move_group(&self, name: &GroupName, to: &NodeName) -> Result<(), ClusterError> {
        let from_epoch = self.coordinator.ownership(name)?.map_or(0, |owned| owned.claim.epoch);
        self.edit(|next| next.request_move(name, to, from_epoch))
    }

    /// Says which nodes can run a resource; an empty list is every node.
    ///
    /// # Errors
    ///
    /// [`ConfigurationError::Unknown`], or [`ClusterError::Coordinator`].
    pub fn set_possible_owners(
        &self,
        name: &ResourceName,
        nodes: &[NodeName],
    ) -> Result<(), ClusterError> {
        self.edit(|next| next.set_possible_owners(name, nodes))
    }

    /// Waits until `met` holds of the cluster and returns what it looked like then.
    ///
    /// `what` is for the error message. The status is read every `poll_ms`.
    ///
    /// # Errors
    ///
    /// [`ClusterError::TimedOut`] after `wait_ms`.
    pub fn wait_until(
        &self,
        what: &str,
        wait_ms: u64,
        poll_ms: u64,
        mut met: impl FnMut(&ClusterStatus) -> bool,
    ) -> Result<ClusterStatus, ClusterError> {
        let start_ms = self.clock.monotonic_ms();
        loop {
            let status = self.status()?;
            if met(&status) {
                return Ok(status);
            }
            let waited_ms = self.clock.monotonic_ms().saturating_sub(start_ms);
            if waited_ms >= wait_ms {
                let last_seen = view::summary(&status);
                return Err(ClusterError::TimedOut { what: what.to_owned(), waited_ms, last_seen });
            }
            std::thread::sleep(Duration::from_millis(poll_ms.max(1)));
        }
    }

    /// What a node wrote to the cluster log, oldest first.
    ///
    /// # Errors
    ///
    /// [`ClusterError::Coordinator`] if the file cannot be read.
    pub fn log(&self, node: &NodeName) -> Result<Vec<LogEntry>, ClusterError> {
        Ok(self.coordinator.read_log(node)?)
    }
}

fn make_state_dir(node: &NodeConfig) -> Result<(), ClusterError> {
    let place = node.state_dir.join(crate::registry::REGISTRY_DIR);
    fs::create_dir_all(&place).map_err(|source| ClusterError::NodeFolder {
        node: node.name.clone(),
        place,
        source,
    })
}
