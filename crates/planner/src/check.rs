//! What must be true before or after a step, and how the planner or the executor finds out.

mod catalog;

use serde::{Deserialize, Serialize};

use crate::action::{RegistryKey, Resource};

/// A condition: a code with arguments, how bad it is if it does not hold, why, and what to do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Check {
    /// What must be true.
    #[serde(flatten)]
    pub condition: Condition,
    /// Whether the plan stops if it is not true.
    pub severity: Severity,
    /// Where the demand comes from.
    pub evidence: String,
    /// What to do if it is not true.
    pub remedy: String,
}

/// What happens if a condition is not met.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Severity {
    /// Told, and the plan goes on.
    Warns,
    /// The plan stops until it is met.
    Blocks,
}

/// What must be true. The first group is judged from the inventory, the rest while the plan runs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "code", rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Condition {
    // ---- decidable from the inventory
    /// The site knows a server of this name.
    ServerKnown {
        /// The server.
        server: String,
    },
    /// Server and cluster run under the same account.
    SameServiceAccount {
        /// The server.
        server: String,
    },
    /// The two servers are in one site.
    SameSite {
        /// The one.
        from: String,
        /// The other.
        to: String,
    },
    /// The old server and the cluster can run side by side.
    SecondServer,
    /// The group's disk has this much room.
    TargetHasRoom {
        /// Bytes it takes at the peak.
        need_bytes: u64,
    },
    /// The group has the old server's name (disaster recovery).
    NetworkNameIsServerName {
        /// The old server.
        server: String,
    },
    /// No server of the site has the group's name (move users).
    NetworkNameIsFree {
        /// The group's network name.
        name: String,
    },
    /// The cluster has two nodes or more, and their names are distinct from servers' names.
    NodesDistinct,
    /// Server and cluster run the same version.
    SameVersion {
        /// The server.
        server: String,
        /// The version both must have.
        version: String,
    },
    /// One server goes, so that it can be rebuilt (disaster recovery).
    OneServerGoes,
    /// The old server's roles as the first server are held elsewhere too.
    SystemFolderReplicas {
        /// The old server.
        server: String,
    },

    // ---- found out while the plan runs
    /// The window in which a wave may run is open.
    WindowOpen {
        /// Name of the window.
        window: String,
        /// When it opens, in microseconds since 1970.
        opens_us: i64,
        /// When it closes.
        closes_us: i64,
    },
    /// The server answers and its store is open.
    ServerOnline {
        /// The server.
        server: String,
    },
    /// The server does not answer and its store is closed.
    ServerStopped {
        /// The server.
        server: String,
    },
    /// The server's store holds every mailbox that was listed, message by message.
    MailTakenIn {
        /// The server.
        server: String,
    },
    /// The account exists and may administer the site.
    AccountIsAdministrator {
        /// The account.
        account: String,
    },
    /// The nodes exist and hold nothing of an earlier installation.
    NodesClean {
        /// The nodes.
        nodes: Vec<String>,
    },
    /// The cluster has been formed and all these nodes are up.
    ClusterFormed {
        /// The nodes.
        nodes: Vec<String>,
    },
    /// The group exists with disk, address and this network name.
    GroupConfigured {
        /// The group.
        group: String,
        /// Its network name.
        network_name: String,
    },
    /// Every resource of the group is online.
    GroupOnline {
        /// The group.
        group: String,
    },
    /// The resource is online.
    ResourceOnline {
        /// The group.
        group: String,
        /// The resource.
        resource: Resource,
    },
    /// The resource is offline (or failed): nothing of it runs.
    ResourceOffline {
        /// The group.
        group: String,
        /// The resource.
        resource: Resource,
    },
    /// The server's resources exist in the group and its files on the node.
    ServerInstalled {
        /// The group.
        group: String,
        /// The server.
        server: String,
        /// The node.
        node: String,
    },
    /// The node is able to run the group.
    NodeUpdated {
        /// The group.
        group: String,
        /// The node.
        node: String,
    },
    /// This node owns the group.
    GroupOwner {
        /// The group.
        group: String,
        /// The node.
        node: String,
    },
    /// The directory has an object for the server.
    ServerInSite {
        /// The server.
        server: String,
    },
    /// The directory has no object for the server.
    ServerNotInSite {
        /// The server.
        server: String,
    },
    /// Each of the two has all directory changes of the other.
    DirectoryReplicated {
        /// The one.
        from: String,
        /// The other.
        to: String,
    },
    /// Peers expect no change number from the server above the one it has (KB Q201414).
    ChangeNumbersNotBehind {
        /// The restored server.
        server: String,
    },
    /// The mailboxes' home is `server`, active there, and no store elsewhere accepts writes.
    MailboxesAt {
        /// The home server.
        server: String,
        /// The mailboxes.
        mailboxes: Vec<String>,
    },
    /// The folders' home is `server`.
    PublicFoldersAt {
        /// The home server.
        server: String,
        /// The folders.
        folders: Vec<String>,
    },
    /// The server holds the roles.
    RolesAt {
        /// The server.
        server: String,
        /// The roles.
        roles: Vec<String>,
    },
    /// Every folder has a complete replica apart from `server`.
    PublicFoldersReplicated {
        /// The server that is to leave.
        server: String,
        /// The folders.
        folders: Vec<String>,
    },
    /// The user of each mailbox has logged on at `server` since its move.
    AllLoggedOn {
        /// The new home server.
        server: String,
        /// The mailboxes.
        mailboxes: Vec<String>,
    },
    /// The site works while `server` is stopped.
    WorksWithout {
        /// The stopped server.
        server: String,
    },
    /// The computer has no account in the domain.
    ComputerAccountAbsent {
        /// The computer.
        computer: String,
    },
    /// A backup with the label exists and is whole.
    BackupExists {
        /// The label.
        label: String,
    },
    /// The backup was read back and every byte was right.
    BackupChecked {
        /// The label.
        label: String,
    },
    /// Nothing was written to the server's store or directory after the backup.
    BackupIsLatest {
        /// The server.
        server: String,
        /// The label.
        label: String,
    },
    /// The server runs this version.
    VersionIs {
        /// The server.
        server: String,
        /// The version.
        version: String,
    },
    /// The computer has been given up by a person.
    ComputerReleased {
        /// The computer.
        computer: String,
    },
    /// Parameters of the resource were measured and set.
    Tuned {
        /// The group.
        group: String,
        /// The resource.
        resource: Resource,
    },
    /// The part was restored, or has been recovered since.
    Restored {
        /// The group.
        group: String,
        /// The labels.
        labels: Vec<String>,
        /// The part.
        part: Resource,
    },
    /// The marker that tells the service to recover from a restore is where it will be read:
    /// live, and in each checkpoint that will be written over it; or recovery has been finished.
    RestoreMarkerSafe {
        /// The group.
        group: String,
        /// The part.
        part: Resource,
    },
    /// Recovery of the restored part is finished and the marker is gone.
    RecoveryFinished {
        /// The group.
        group: String,
        /// The part.
        part: Resource,
    },
    /// The resource has this checkpoint.
    CheckpointPresent {
        /// The group.
        group: String,
        /// The resource.
        resource: Resource,
        /// The key.
        key: RegistryKey,
    },
    /// The resource does not have this checkpoint.
    CheckpointAbsent {
        /// The group.
        group: String,
        /// The resource.
        resource: Resource,
        /// The key.
        key: RegistryKey,
    },
    /// Every checkpoint of the group is the same as its live key on the owning node.
    CheckpointsMatch {
        /// The group.
        group: String,
    },
    /// The mail at the server is the same as what was taken in: nothing lost, altered or doubled.
    MailEqual {
        /// The server.
        server: String,
    },
}

impl Condition {
    /// Whether the inventory alone decides it, so that nobody looks again while the plan runs.
    ///
    /// Free room is judged by the inventory and looked at again: it changes.
    pub fn is_about_inventory(&self) -> bool {
        matches!(
            self,
            Self::ServerKnown { .. }
                | Self::SameServiceAccount { .. }
                | Self::SameSite { .. }
                | Self::SecondServer
                | Self::NetworkNameIsServerName { .. }
                | Self::NetworkNameIsFree { .. }
                | Self::NodesDistinct
                | Self::OneServerGoes
                | Self::SameVersion { .. }
                | Self::SystemFolderReplicas { .. }
        )
    }
}

impl Check {
    /// The code of the condition, for example `same-service-account`.
    pub fn code(&self) -> String {
        let value = serde_json::to_value(&self.condition).unwrap_or_default();
        value.get("code").and_then(|code| code.as_str()).unwrap_or("?").to_owned()
    }
}
