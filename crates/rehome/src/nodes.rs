//! Cluster nodes from outside: running one, looking at all, moving a group.

use std::fmt::Write as _;
use std::path::Path;

use rehome_cluster::{Cluster, ClusterStatus, Node, NodeOptions};

use crate::error::Error;
use crate::names;
use crate::session::Session;

/// A cluster's state as a document and as a table.
#[derive(Debug)]
pub struct ClusterReport {
    /// The document.
    pub document: ClusterStatus,
    /// The table.
    pub text: String,
}

/// What the cluster with this quorum folder looks like.
///
/// # Errors
///
/// [`Error::BadInput`] if there is no cluster.
pub fn status(quorum: &Path) -> Result<ClusterReport, Error> {
    let cluster = Cluster::open(quorum).map_err(Error::bad_input)?;
    let document = cluster.status().map_err(Error::bad_input)?;
    let text = table(&document);
    Ok(ClusterReport { document, text })
}

/// The table of a cluster's state.
fn table(status: &ClusterStatus) -> String {
    let mut text = format!("cluster {} (configuration {})\n", status.name, status.revision);
    for (name, node) in &status.nodes {
        let paused = if node.paused { ", paused" } else { "" };
        // Writing to a String does not fail.
        writeln!(text, "  node {name:<14} {:?}{paused}", node.liveness).expect("a String");
    }
    for (name, group) in &status.groups {
        let owner = group.owner.as_ref().map_or_else(|| "-".to_owned(), ToString::to_string);
        writeln!(text, "  group {name:<13} {:?} on {owner}, epoch {}", group.state, group.epoch)
            .expect("a String");
        for (resource, one) in &group.resources {
            let state = one.state.to_string();
            writeln!(text, "    {resource:<17} {state:<16} {}", one.reason).expect("a String");
        }
    }
    text
}

/// Asks the owner of a group to hand it to another node, and returns at once.
///
/// # Errors
///
/// [`Error::BadInput`] for an unknown group or node, or a node that cannot run it.
pub fn move_group(quorum: &Path, group: &str, node: &str) -> Result<String, Error> {
    let cluster = Cluster::open(quorum).map_err(Error::bad_input)?;
    let group_name = names::group(group).map_err(Error::bad_input)?;
    let node_name = names::node(node).map_err(Error::bad_input)?;
    cluster.move_group(&group_name, &node_name).map_err(Error::bad_input)?;
    Ok(format!("group {group} was asked to move to {node}; see rehome cluster status"))
}

/// Runs a node until it is told to stop.
///
/// # Errors
///
/// [`Error::BadInput`] if the node is not configured or runs already; [`Error::NeedsHuman`] if
/// something could not be stopped.
pub fn run(session: &Session, quorum: &Path, name: &str, while_stdin: bool) -> Result<(), Error> {
    let cluster = Cluster::open(quorum).map_err(Error::bad_input)?;
    let node = names::node(name).map_err(Error::bad_input)?;
    let configuration = cluster.configuration().map_err(Error::bad_input)?;
    let config = configuration.node(&node).ok_or_else(|| Error::BadInput {
        message: format!(
            "{}: node {name} is not one of this cluster; it has {}",
            quorum.display(),
            configuration.nodes.iter().map(|one| one.name.as_str()).collect::<Vec<_>>().join(", ")
        ),
    })?;
    Node::run(NodeOptions {
        quorum_dir: quorum.to_owned(),
        name: node,
        state_dir: config.state_dir.clone(),
        clock: session.clock.clone(),
        stop: session.stop_flag(),
        while_stdin,
        program: session.program.clone(),
        ready_out: Box::new(std::io::stdout()),
    })
    .map_err(Error::needs_human)
}
