//! Cluster nodes from outside: running one, looking at all, telling them what to do.

mod admin;
mod kind;
mod place;
mod table;

use std::net::SocketAddr;
use std::path::Path;

use rehome_cluster::{ClusterStatus, Node, NodeError, NodeOptions};

pub use admin::{
    CheckpointOrder, Limits, NewCluster, NewResource, NodeOrder, Order, create, explain, join, log,
    order, watch,
};

use crate::error::Error;
use crate::names;
use crate::session::Session;
use crate::standing::{Announced, Announcements};

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
    let document = place::open(quorum)?.status().map_err(place::refused)?;
    let text = table::of(&document);
    Ok(ClusterReport { document, text })
}

/// Runs a node until it is told to stop. `announce` is where it says that it is ready, beside its
/// standard output.
///
/// # Errors
///
/// [`Error::BadInput`] if the node is not configured or runs already; [`Error::NeedsHuman`] if
/// something could not be stopped.
pub fn run(
    session: &Session,
    quorum: &Path,
    name: &str,
    while_stdin: bool,
    metrics: Option<SocketAddr>,
    announce: &Announcements,
) -> Result<(), Error> {
    let announced = Announced::new(announce, name);
    let cluster = place::open(quorum)?;
    let node = names::node(name).map_err(Error::bad_input)?;
    let configuration = cluster.configuration().map_err(place::refused)?;
    let config = configuration.node(&node).ok_or_else(|| Error::BadInput {
        message: format!(
            "{}: node {name} is not one of this cluster; it has {}",
            quorum.display(),
            configuration.nodes.iter().map(|one| one.name.as_str()).collect::<Vec<_>>().join(", ")
        ),
    })?;
    Node::run(NodeOptions {
        coordinator: cluster.coordinator().clone(),
        name: node,
        state_dir: config.state_dir.clone(),
        clock: session.clock.clone(),
        stop: session.stop_flag(),
        while_stdin,
        program: session.program.clone(),
        metrics,
        ready_out: Box::new(announced.through(std::io::stdout())),
    })
    .map_err(|error| match error {
        NodeError::Coordinator { source, .. } => place::refused(source.into()),
        other => Error::needs_human(other),
    })
}

/// Holds a floating address until standard input ends, says `quit`, or its lease is over: what a
/// node starts for a resource of that kind.
///
/// # Errors
///
/// [`Error::BadInput`] if the address is none; [`Error::NeedsHuman`] if the system refuses it.
pub fn hold_address(address: &str, device: &str) -> Result<(), Error> {
    let address = address.parse().map_err(Error::bad_input)?;
    let input = std::io::BufReader::new(std::io::stdin());
    rehome_cluster::hold_address(address, device, &mut std::io::stdout(), input)
        .map_err(Error::needs_human)
}
