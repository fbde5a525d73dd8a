//! The one small thing that nodes must agree through, whatever stands behind it.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::configuration::{Configuration, Timing};
use crate::ids::{CheckpointKey, GroupName, NodeName, ResourceName};
use crate::journal::LogEntry;
use crate::status::NodeStatus;

/// A sign of life. Only whether `counter` moved matters, never when it was written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Heartbeat {
    /// The node.
    pub node: NodeName,
    /// Which run of the node's program this is.
    pub incarnation: String,
    /// Goes up by one with each heartbeat.
    pub counter: u64,
    /// Its process, for people.
    pub pid: u32,
    /// The node has released everything and is going; it need not be waited for.
    pub leaving: bool,
}

/// A run of a node's program that owns a group.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Owner {
    /// The node.
    pub node: NodeName,
    /// Which run of its program.
    pub incarnation: String,
}

/// Who took a group and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Claim {
    /// The fencing token: one more than the epoch before.
    pub epoch: u64,
    /// Who claims.
    pub owner: Owner,
    /// Counts the claims of that run of the program, so that no two of them are equal.
    pub attempt: u64,
    /// Why, as a sentence.
    pub reason: String,
    /// Ages of the fail-overs that count against the budget, in ms when this was written.
    pub failover_ages_ms: Vec<u64>,
}

/// An owner's word that nothing of the group runs with it any more.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Release {
    /// Why, as a sentence.
    pub reason: String,
    /// Who is to have it next, if the owner knows.
    pub to: Option<NodeName>,
    /// Ages of the fail-overs that count against the budget, in ms when this was written.
    pub failover_ages_ms: Vec<u64>,
}

/// The last epoch of a group.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ownership {
    /// Who took it.
    pub claim: Claim,
    /// Set once it has been given up.
    pub release: Option<Release>,
}

/// What became of a claim.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ClaimOutcome {
    /// The group is the caller's under the epoch claimed.
    Won,
    /// Somebody else has that epoch or a later one.
    Lost,
}

/// Why the shared state could not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum CoordinatorError {
    /// Reading or writing failed; nothing is known about the result.
    #[error(
        "{place}: {source}; what the cluster knows is not reachable, so nothing new is started; \
         make it reachable, readable and writable from here"
    )]
    Unreachable {
        /// Where.
        place: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// What is given to prove who asks is not accepted, or the other side's is not.
    #[error("{place}: {cause}; nothing was read or written")]
    Refused {
        /// Where.
        place: PathBuf,
        /// What is wrong, and what mends it.
        cause: String,
    },
    /// What is there cannot be understood.
    #[error("{place} is damaged: {cause}; it is left as it is; restore or remove it by hand")]
    Damaged {
        /// Where.
        place: PathBuf,
        /// What is wrong.
        cause: String,
    },
    /// Somebody else wrote the next configuration first.
    #[error("revision {revision} of the configuration was written by somebody else; read it again")]
    Conflict {
        /// The revision that was to be written.
        revision: u64,
    },
    /// There is a cluster there already.
    #[error("{place} holds a cluster already; open it, or choose another folder")]
    Exists {
        /// Where.
        place: PathBuf,
    },
    /// There is no cluster there.
    #[error("{place} holds no cluster; create one there or name the folder of an existing one")]
    Missing {
        /// Where.
        place: PathBuf,
    },
    /// A newer owner has written; the caller's epoch is over.
    #[error(
        "epoch {epoch} of {what} is over, {newer} is there; nothing was written, and this node \
         must stop what it runs of it"
    )]
    Fenced {
        /// What was to be written.
        what: String,
        /// The caller's epoch.
        epoch: u64,
        /// The newer one.
        newer: u64,
    },
    /// Another process has taken this node's name.
    #[error(
        "another process runs as node {node:?} ({holder}); this one renews nothing any more and \
         stops what it runs; end one of the two"
    )]
    NameTaken {
        /// The name.
        node: NodeName,
        /// Which run of the program has it.
        holder: String,
    },
}

/// What is shared at one moment, as far as a node acts on it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Shared {
    /// The newest configuration, if it is newer than the one known.
    pub configuration: Option<Configuration>,
    /// The last heartbeat of each node that ever wrote one.
    pub heartbeats: BTreeMap<NodeName, Heartbeat>,
    /// The last epoch of each group that ever had one.
    pub ownerships: BTreeMap<GroupName, Ownership>,
}

/// What became of a process that wants to run as a node.
pub enum Entrance {
    /// It does, as long as this is held. Its first heartbeat is written.
    Entered(Box<dyn Send>),
    /// Another process does, which calls itself so.
    Taken(String),
}

/// Called when something that is shared may have changed.
pub type Wake = Arc<dyn Fn() + Send + Sync>;

/// Shared state with a compare-and-swap. Every method may block; none is called by the thread
/// that watches the lease.
///
/// A call that fails leaves its caller with nothing: a heartbeat that may have been written does
/// not renew, a claim that may have been won is not used before [`Coordinator::look`] shows it.
pub trait Coordinator: Send + Sync {
    /// Where it is, as people write it.
    fn place(&self) -> &Path;

    /// Everything that a node acts on, read after the call began: the configuration if it is newer
    /// than `known`, heartbeats and ownerships.
    ///
    /// # Errors
    ///
    /// [`CoordinatorError`] if it cannot be read: the caller then has seen nothing at all.
    fn look(&self, known: Option<&Configuration>) -> Result<Shared, CoordinatorError>;

    /// Whether a heartbeat that another one followed never comes back, and a reading shows all that
    /// was written before it began. A heartbeat that is found a second time has then stood still
    /// in between, whether anything was read meanwhile or not.
    fn orders_heartbeats(&self) -> bool {
        false
    }

    /// Calls `wake` soon after ownerships or the configuration change, as long as what is returned
    /// is held. It saves time and nothing rests on it: a change that is not told is seen at the
    /// next look. `None` if this cannot be had.
    fn watch(&self, wake: Wake) -> Option<Box<dyn Send>> {
        drop(wake);
        None
    }

    /// Makes sure that one process runs as the node, and writes its first heartbeat.
    ///
    /// # Errors
    ///
    /// [`CoordinatorError`] if that cannot be found out.
    fn enter(&self, first: &Heartbeat, timing: &Timing) -> Result<Entrance, CoordinatorError>;

    /// Appends to a node's part of the cluster log. Losing a line never stops anything.
    fn write_log(&self, entry: &LogEntry);

    /// A node's part of the cluster log, oldest first.
    ///
    /// # Errors
    ///
    /// [`CoordinatorError`] if it cannot be read.
    fn read_log(&self, node: &NodeName) -> Result<Vec<LogEntry>, CoordinatorError>;

    /// The newest configuration with a revision above `after`.
    ///
    /// # Errors
    ///
    /// [`CoordinatorError`] if it cannot be read.
    fn configuration(&self, after: u64) -> Result<Option<Configuration>, CoordinatorError>;

    /// Writes `next` if its revision does not exist yet.
    ///
    /// # Errors
    ///
    /// [`CoordinatorError::Conflict`] if it does; the caller reads and tries again.
    fn put_configuration(&self, next: &Configuration) -> Result<(), CoordinatorError>;

    /// Makes a heartbeat durable.
    ///
    /// # Errors
    ///
    /// [`CoordinatorError`], whatever the cause; the lease then runs on from the last one that
    /// succeeded, and ends by its own clock.
    fn beat(&self, heartbeat: &Heartbeat) -> Result<(), CoordinatorError>;

    /// The last heartbeat of a node; `None` if it never wrote one.
    ///
    /// # Errors
    ///
    /// [`CoordinatorError`] if it cannot be read: the caller then has seen nothing at all.
    fn heartbeat(&self, node: &NodeName) -> Result<Option<Heartbeat>, CoordinatorError>;

    /// The last epoch of a group; `None` before the first.
    ///
    /// # Errors
    ///
    /// [`CoordinatorError`] if it cannot be read.
    fn ownership(&self, group: &GroupName) -> Result<Option<Ownership>, CoordinatorError>;

    /// Takes the epoch in `claim`, if nobody has it: the compare-and-swap everything rests on.
    ///
    /// # Errors
    ///
    /// [`CoordinatorError`]: the claim may have been won or not; [`Coordinator::ownership`] tells.
    fn claim(&self, group: &GroupName, claim: &Claim) -> Result<ClaimOutcome, CoordinatorError>;

    /// Says that nothing of the group runs any more under `epoch`.
    ///
    /// # Errors
    ///
    /// [`CoordinatorError`]; the group then stays owned until the lease is over.
    fn release(
        &self,
        group: &GroupName,
        epoch: u64,
        release: &Release,
    ) -> Result<(), CoordinatorError>;

    /// Publishes what the node does, for observers; not durable.
    ///
    /// # Errors
    ///
    /// [`CoordinatorError`] if it cannot be written.
    fn publish(&self, status: &NodeStatus) -> Result<(), CoordinatorError>;

    /// What a node last published.
    ///
    /// # Errors
    ///
    /// [`CoordinatorError`] if it cannot be read.
    fn status(&self, node: &NodeName) -> Result<Option<NodeStatus>, CoordinatorError>;

    /// Keeps a copy of a key, durable when this returns.
    ///
    /// # Errors
    ///
    /// [`CoordinatorError::Fenced`] if a copy of a later epoch is there.
    fn put_checkpoint(&self, checkpoint: &Checkpoint) -> Result<(), CoordinatorError>;

    /// The copy of a key with the highest epoch, of that attachment only.
    ///
    /// # Errors
    ///
    /// [`CoordinatorError::Damaged`] if its checksum is wrong.
    fn checkpoint(
        &self,
        resource: &ResourceName,
        key: &CheckpointKey,
        serial: u64,
    ) -> Result<Option<Checkpoint>, CoordinatorError>;

    /// Deletes every copy of a key.
    ///
    /// # Errors
    ///
    /// [`CoordinatorError`] if they cannot be deleted.
    fn remove_checkpoint(
        &self,
        resource: &ResourceName,
        key: &CheckpointKey,
    ) -> Result<(), CoordinatorError>;
}

/// A copy of a key, taken on one node to be restored on another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checkpoint {
    /// The resource it belongs to.
    pub resource: ResourceName,
    /// The key.
    pub key: CheckpointKey,
    /// The attachment it was taken for.
    pub serial: u64,
    /// The epoch of the owner that took it.
    pub epoch: u64,
    /// Goes up with each copy.
    pub version: u64,
    /// The node it was taken on.
    pub node: NodeName,
    /// What the key held.
    pub content: KeyContent,
}

/// What a key holds: nothing, a file, or a folder of files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KeyContent {
    /// The key does not exist.
    Absent,
    /// The bytes of the file.
    File(Vec<u8>),
    /// The files below the folder, by relative path with `/`, in order.
    Folder(BTreeMap<String, Vec<u8>>),
}
