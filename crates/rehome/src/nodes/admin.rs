//! Orders to a cluster, and what its nodes wrote down.

use std::path::{Path, PathBuf};
use std::time::Duration;

use rehome_cluster::{
    CheckpointKey, Cluster, ClusterConfig, ConfigurationError, Explanation, Failback, FenceConfig,
    GroupConfig, LogEntry, NodeConfig, NodeName, ResourceConfig, ResourceName, Target, Window,
};

use super::{ClusterReport, kind, place, table};
use crate::error::Error;
use crate::names;
use crate::session::Session;

/// How often `watch` looks.
const WATCH_MS: u64 = 250;

/// A cluster to be made.
#[derive(Debug)]
pub struct NewCluster {
    /// Its name.
    pub name: String,
    /// Nodes with their folders.
    pub nodes: Vec<(String, PathBuf)>,
    /// How long a node that cannot renew may go on, in milliseconds; `None` is the usual.
    pub lease_ms: Option<u64>,
}

/// A resource to be added.
#[derive(Debug)]
pub struct NewResource {
    /// The group; made if there is none of that name.
    pub group: String,
    /// Its name.
    pub name: String,
    /// Its kind, as a word.
    pub kind: String,
    /// What is set of it.
    pub set: Vec<(String, String)>,
    /// What must be online first.
    pub depends_on: Vec<String>,
    /// Nodes that can run it; none is all.
    pub possible_owners: Vec<String>,
    /// Whether it is to be online.
    pub online: bool,
    /// Times and budgets that are not the usual ones.
    pub limits: Limits,
}

/// Times and budgets of a resource; `None` is the usual.
#[derive(Debug, Clone, Default)]
pub struct Limits {
    /// Restarts within the period.
    pub restarts: Option<u32>,
    /// The period of the restarts, in milliseconds.
    pub restart_period_ms: Option<u64>,
    /// How long it may be pending without a sign of progress, in milliseconds.
    pub pending_timeout_ms: Option<u64>,
    /// How long going offline may take before it is ended by force, in milliseconds.
    pub grace_ms: Option<u64>,
    /// Time between two cheap checks, in milliseconds.
    pub looks_alive_ms: Option<u64>,
    /// Time between two thorough checks, in milliseconds.
    pub is_alive_ms: Option<u64>,
}

impl Limits {
    fn apply(&self, config: &mut ResourceConfig) {
        let set = |field: &mut u64, value: Option<u64>| *field = value.unwrap_or(*field);
        config.restart_threshold = self.restarts.unwrap_or(config.restart_threshold);
        set(&mut config.restart_period_ms, self.restart_period_ms);
        set(&mut config.pending_timeout_ms, self.pending_timeout_ms);
        set(&mut config.offline_grace_ms, self.grace_ms);
        set(&mut config.looks_alive_ms, self.looks_alive_ms);
        set(&mut config.is_alive_ms, self.is_alive_ms);
    }
}

/// What is to become of a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NodeOrder {
    /// It takes nothing new.
    Pause,
    /// It takes part again.
    Resume,
    /// It hands over what it has and takes nothing new.
    Drain,
    /// It is taken out.
    Evict,
}

/// What is to become of a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CheckpointOrder {
    /// It travels with the resource from now on.
    Add,
    /// It does not travel any more.
    Remove,
}

/// An order to a cluster.
#[derive(Debug)]
pub enum Order {
    /// Hand a group to a node.
    Move {
        /// The group.
        group: String,
        /// The node.
        node: String,
    },
    /// Bring a resource or a group online, or take it offline.
    Target {
        /// The resource or group.
        name: String,
        /// Whether online.
        online: bool,
    },
    /// Something about a node.
    Node {
        /// The node.
        node: String,
        /// What.
        what: NodeOrder,
    },
    /// Add a resource.
    Add(NewResource),
    /// Start, stop and move nothing, or end that.
    Maintenance {
        /// Whether it ends.
        ends: bool,
    },
    /// Say which nodes a group prefers, and when it goes back to them.
    Failback {
        /// The group.
        group: String,
        /// The nodes, the best first.
        preferred: Vec<String>,
        /// Parts of the day in which it goes back, such as `22:00-06:00`; none is always.
        windows: Vec<String>,
        /// How long the node must have been there, in milliseconds; `None` never goes back.
        after_ms: Option<u64>,
    },
    /// Say how the power of a node is switched off.
    Fence {
        /// The node.
        node: String,
        /// The agent; `None` is none any more.
        agent: Option<PathBuf>,
        /// What it is told.
        set: Vec<(String, String)>,
        /// How long it may take, in milliseconds.
        timeout_ms: u64,
    },
    /// Something about a key of a resource.
    Checkpoint {
        /// The resource.
        resource: String,
        /// The key.
        key: String,
        /// What.
        what: CheckpointOrder,
        /// The node whose registry has the key, when nobody owns the group.
        from: Option<String>,
    },
}

/// Makes a cluster.
///
/// # Errors
///
/// [`Error::BadInput`] if a name or the timing is wrong, a node is named twice, or a cluster is
/// there already; nothing is made then.
pub fn create(quorum: &Path, new: &NewCluster) -> Result<String, Error> {
    let mut nodes = Vec::new();
    for (name, state_dir) in &new.nodes {
        nodes.push(NodeConfig::new(names::node(name).map_err(Error::bad_input)?, state_dir));
    }
    let account = std::env::var("USER").unwrap_or_else(|_| "root".to_owned());
    let mut config = ClusterConfig::new(&new.name, &account, nodes);
    config.lease_ms = new.lease_ms.unwrap_or(config.lease_ms);
    place::create(quorum, config)?;
    Ok(format!(
        "cluster {} was made in {} with {} nodes; start each with rehome cluster node",
        new.name,
        quorum.display(),
        new.nodes.len()
    ))
}

/// Adds a node.
///
/// # Errors
///
/// [`Error::BadInput`] if there is one of that name; nothing is changed then.
pub fn join(quorum: &Path, node: &str, state_dir: &Path) -> Result<String, Error> {
    let name = names::node(node).map_err(Error::bad_input)?;
    place::open(quorum)?.add_node(NodeConfig::new(name, state_dir)).map_err(place::refused)?;
    Ok(format!("node {node} is configured; start it with rehome cluster node"))
}

/// Carries an order out: what it asks for happens later, and `status` shows it.
///
/// # Errors
///
/// [`Error::BadInput`] says what is wrong; nothing is changed then.
pub fn order(quorum: &Path, order: &Order) -> Result<String, Error> {
    let cluster = place::open(quorum)?;
    match order {
        Order::Move { group, node } => {
            let name = names::group(group).map_err(Error::bad_input)?;
            let to = names::node(node).map_err(Error::bad_input)?;
            cluster.move_group(&name, &to).map_err(place::refused)?;
            Ok(format!("group {group} was asked to move to {node}; see rehome cluster status"))
        }
        Order::Target { name, online } => target(&cluster, name, *online),
        Order::Node { node, what } => order_node(&cluster, node, *what),
        Order::Add(new) => add_resource(&cluster, new),
        Order::Maintenance { ends } => {
            cluster.set_maintenance(!ends).map_err(place::refused)?;
            let text = if *ends { "looks after its groups again" } else { "is in maintenance" };
            Ok(format!("the cluster {text}"))
        }
        Order::Failback { group, preferred, windows, after_ms } => {
            failback(&cluster, group, preferred, windows, *after_ms)
        }
        Order::Fence { node, agent, set, timeout_ms } => {
            fence(&cluster, node, agent.as_deref(), set, *timeout_ms)
        }
        Order::Checkpoint { resource, key, what, from } => {
            checkpoint(&cluster, resource, key, *what, from.as_deref())
        }
    }
}

fn target(cluster: &Cluster, name: &str, online: bool) -> Result<String, Error> {
    let target = if online { Target::Online } else { Target::Offline };
    let configuration = cluster.configuration().map_err(place::refused)?;
    let group = names::group(name).ok().filter(|name| configuration.group(name).is_some());
    let done = match group {
        Some(group) => cluster.set_group_target(&group, target),
        None => cluster.set_resource_target(&resource(name)?, target),
    };
    done.map_err(place::refused)?;
    let state = if online { "online" } else { "offline" };
    Ok(format!("{name} is to be {state}; see rehome cluster status"))
}

fn resource(name: &str) -> Result<ResourceName, Error> {
    ResourceName::new(name).map_err(Error::bad_input)
}

fn order_node(cluster: &Cluster, node: &str, what: NodeOrder) -> Result<String, Error> {
    let name = names::node(node).map_err(Error::bad_input)?;
    let (done, text) = match what {
        NodeOrder::Pause => (cluster.set_paused(&name, true), "takes nothing new"),
        NodeOrder::Resume => (cluster.set_paused(&name, false), "takes part again"),
        NodeOrder::Drain => (cluster.drain(&name), "hands over what it has and takes nothing new"),
        NodeOrder::Evict => (cluster.evict(&name), "is not of this cluster any more"),
    };
    done.map_err(place::refused)?;
    Ok(format!("node {node} {text}"))
}

fn failback(
    cluster: &Cluster,
    group: &str,
    preferred: &[String],
    windows: &[String],
    after_ms: Option<u64>,
) -> Result<String, Error> {
    let name = names::group(group).map_err(Error::bad_input)?;
    let nodes: Result<Vec<_>, _> = preferred.iter().map(|node| names::node(node)).collect();
    let nodes = nodes.map_err(Error::bad_input)?;
    let windows: Result<Vec<Window>, _> = windows.iter().map(|text| text.parse()).collect();
    let windows = windows.map_err(Error::bad_input)?;
    let failback = after_ms.map(|after_ms| Failback { windows, after_ms });
    cluster.set_failback(&name, &nodes, failback.as_ref()).map_err(place::refused)?;
    Ok(match failback {
        Some(_) if preferred.is_empty() => {
            format!("group {group} prefers no node, so it stays where it is")
        }
        Some(_) => format!("group {group} goes back to {}", preferred.join(", ")),
        None => format!("group {group} stays where it is"),
    })
}

fn fence(
    cluster: &Cluster,
    node: &str,
    agent: Option<&Path>,
    set: &[(String, String)],
    timeout_ms: u64,
) -> Result<String, Error> {
    let name = names::node(node).map_err(Error::bad_input)?;
    let parameters = set.iter().cloned().collect();
    let fence = agent.map(|agent| FenceConfig { agent: agent.to_owned(), parameters, timeout_ms });
    cluster.set_fence(&name, fence).map_err(place::refused)?;
    Ok(match agent {
        Some(agent) => {
            format!("node {node} is fenced by {} before it is followed", agent.display())
        }
        None => format!("node {node} is not fenced"),
    })
}

fn add_resource(cluster: &Cluster, new: &NewResource) -> Result<String, Error> {
    let set = new.set.iter().cloned().collect();
    let mut config = ResourceConfig::new(resource(&new.name)?, kind::parse(&new.kind, set)?);
    config.target = if new.online { Target::Online } else { Target::Offline };
    new.limits.apply(&mut config);
    for name in &new.depends_on {
        config.depends_on.push(resource(name)?);
    }
    for name in &new.possible_owners {
        config.possible_owners.push(names::node(name).map_err(Error::bad_input)?);
    }
    let group = names::group(&new.group).map_err(Error::bad_input)?;
    let configuration = cluster.configuration().map_err(place::refused)?;
    let done = match configuration.group(&group) {
        Some(_) => cluster.add_resource(&group, config),
        None => {
            let mut group = GroupConfig::new(group);
            group.resources.push(config);
            cluster.add_group(group)
        }
    };
    done.map_err(place::refused)?;
    Ok(format!("resource {} is in group {}; see rehome cluster status", new.name, new.group))
}

fn checkpoint(
    cluster: &Cluster,
    name: &str,
    key: &str,
    what: CheckpointOrder,
    from: Option<&str>,
) -> Result<String, Error> {
    let resource = resource(name)?;
    let key = CheckpointKey::new(key).map_err(Error::bad_input)?;
    let from = from.map(names::node).transpose().map_err(Error::bad_input)?;
    match what {
        CheckpointOrder::Add => {
            let kept = cluster.add_checkpoint(&resource, &key, from.as_ref());
            let kept = kept.map_err(place::refused)?;
            Ok(format!("key {key} travels with {name}; it was captured on {}", kept.node))
        }
        CheckpointOrder::Remove => {
            cluster.remove_checkpoint(&resource, &key).map_err(place::refused)?;
            Ok(format!("key {key} does not travel with {name} any more"))
        }
    }
}

/// Why things are as they are, as a document and as text.
///
/// # Errors
///
/// [`Error::BadInput`] if nothing has that name.
pub fn explain(quorum: &Path, name: Option<&str>) -> Result<(Vec<Explanation>, String), Error> {
    let found = place::open(quorum)?.explain(name).map_err(place::refused)?;
    let mut text = String::new();
    for one in &found {
        text.push_str(&format!("{}\n", one.about));
        for sentence in &one.because {
            text.push_str(&format!("  {sentence}\n"));
        }
        for entry in &one.log {
            text.push_str(&format!("    {}", line(entry)));
        }
    }
    Ok((found, text))
}

/// The newest entries of the cluster log, of one node or all, as a document and as text.
///
/// # Errors
///
/// [`Error::BadInput`] if the log cannot be read or there is no such node.
pub fn log(
    quorum: &Path,
    node: Option<&str>,
    last: usize,
) -> Result<(Vec<LogEntry>, String), Error> {
    let cluster = place::open(quorum)?;
    let mut entries = match node {
        Some(node) => {
            let name = known_node(&cluster, node)?;
            cluster.log(&name).map_err(place::refused)?
        }
        None => cluster.whole_log().map_err(place::refused)?,
    };
    entries.drain(..entries.len().saturating_sub(last));
    let text = entries.iter().map(line).collect();
    Ok((entries, text))
}

fn known_node(cluster: &Cluster, node: &str) -> Result<NodeName, Error> {
    let name = names::node(node).map_err(Error::bad_input)?;
    let configuration = cluster.configuration().map_err(place::refused)?;
    if configuration.node(&name).is_some() {
        return Ok(name);
    }
    let known: Vec<&str> = configuration.nodes.iter().map(|one| one.name.as_str()).collect();
    let (what, name, known) = ("node", node.to_owned(), known.join(", "));
    Err(Error::bad_input(ConfigurationError::Unknown { what, name, known }))
}

fn line(entry: &LogEntry) -> String {
    let time = chrono::DateTime::from_timestamp_micros(entry.wall_us).unwrap_or_default();
    let about = match (&entry.group, &entry.resource) {
        (_, Some(resource)) => format!(" {resource}"),
        (Some(group), None) => format!(" group {group}"),
        (None, None) => String::new(),
    };
    let LogEntry { node, action, reason, .. } = entry;
    format!("{} {node}{about}: {action}: {reason}\n", time.format("%F %T%.3f"))
}

/// Shows the state each time that it changes, until the session is stopped.
///
/// # Errors
///
/// [`Error::BadInput`] if there is no cluster.
pub fn watch(
    session: &Session,
    quorum: &Path,
    mut show: impl FnMut(&ClusterReport),
) -> Result<(), Error> {
    let cluster = place::open(quorum)?;
    let mut shown = None;
    while !session.stopping() {
        let document = cluster.status().map_err(place::refused)?;
        let mut timeless = document.clone();
        let groups = timeless.groups.values_mut();
        groups.flat_map(|group| group.resources.values_mut()).for_each(|one| one.for_ms = 0);
        if shown.as_ref() != Some(&timeless) {
            let text = table::of(&document);
            show(&ClusterReport { document, text });
            shown = Some(timeless);
        }
        std::thread::park_timeout(Duration::from_millis(WATCH_MS));
    }
    Ok(())
}
