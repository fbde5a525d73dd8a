//! What a step does: the whole vocabulary of a plan, each word with its arguments.

use serde::{Deserialize, Serialize};

/// One thing that is done to the site. Every action may be asked for again after a crash, so
/// whoever carries it out makes a second call harmless.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "do", rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Action {
    /// Takes real mail in as the mailboxes of `server` and brings that server online, standalone.
    TakeIn {
        /// The server that is to be migrated.
        server: String,
    },
    /// Logs on to the site with an account that may administer it.
    LogOn {
        /// The account, as the site writes it.
        account: String,
    },
    /// Prepares empty nodes: nothing of an earlier installation is on them afterwards.
    InstallNodes {
        /// Names of the nodes.
        nodes: Vec<String>,
    },
    /// Forms the cluster on its nodes.
    CreateCluster {
        /// Name of the cluster.
        cluster: String,
        /// Names of the nodes; the first is the primary node.
        nodes: Vec<String>,
        /// Account of the cluster's own service.
        service_account: String,
    },
    /// Creates the group with its disk, address and network name.
    ConfigureGroup {
        /// Name of the group.
        group: String,
        /// Name under which clients reach the group.
        network_name: String,
        /// Address of the group.
        address: String,
    },
    /// Brings every resource of the group online that exists by now, in dependency order.
    BringGroupOnline {
        /// Name of the group.
        group: String,
    },
    /// Takes every resource of the group offline, in reverse dependency order.
    TakeGroupOffline {
        /// Name of the group.
        group: String,
    },
    /// Removes the group and its resources. Way back of [`Action::ConfigureGroup`].
    RemoveGroup {
        /// Name of the group.
        group: String,
    },
    /// Dissolves the cluster. Way back of [`Action::CreateCluster`].
    RemoveCluster {
        /// Name of the cluster.
        cluster: String,
    },
    /// Brings one resource online, with all it depends on.
    BringOnline {
        /// Name of the group.
        group: String,
        /// Which resource.
        resource: Resource,
    },
    /// Takes one resource offline, with all that depend on it.
    TakeOffline {
        /// Name of the group.
        group: String,
        /// Which resource.
        resource: Resource,
    },
    /// Installs the mail server into the group on its first node.
    InstallServer {
        /// Name of the group.
        group: String,
        /// Name of the server, the same as the group's network name.
        server: String,
        /// The node that owns the group.
        node: String,
        /// As a new server of the site, or as one that will be restored.
        mode: InstallMode,
        /// Account of the server's services.
        service_account: String,
    },
    /// Removes an installation made by [`Action::InstallServer`].
    UninstallServer {
        /// Name of the group.
        group: String,
        /// Name of the server.
        server: String,
    },
    /// Prepares another node of the cluster to run the group.
    UpdateNode {
        /// Name of the group.
        group: String,
        /// The node to prepare.
        node: String,
    },
    /// Waits until each of the two servers has all directory changes of the other.
    WaitDirectoryReplication {
        /// One server.
        from: String,
        /// The other one.
        to: String,
    },
    /// Moves mailboxes while they are in use.
    MoveMailboxes {
        /// The server they leave.
        from: String,
        /// The server they go to.
        to: String,
        /// Names of the mailboxes, in the order in which they are cut over.
        mailboxes: Vec<String>,
    },
    /// Gives public folders another home server and copies their content there.
    MovePublicFolders {
        /// The server they leave.
        from: String,
        /// The server they go to.
        to: String,
        /// Paths of the folders.
        folders: Vec<String>,
    },
    /// Hands over what only the first server of a site does.
    MoveFirstServerRoles {
        /// The server that has the roles.
        from: String,
        /// The server that gets them.
        to: String,
        /// The roles, as the site names them.
        roles: Vec<String>,
    },
    /// Waits until every replica of the folders that `server` gave up is complete elsewhere.
    WaitPublicFolderReplication {
        /// The server that is to leave.
        server: String,
        /// Paths of the folders.
        folders: Vec<String>,
    },
    /// Waits until the user of each mailbox has logged on once at `server`.
    WaitLogons {
        /// The new home server.
        server: String,
        /// Names of the mailboxes.
        mailboxes: Vec<String>,
    },
    /// Starts a standalone server. Way back of [`Action::StopServer`].
    StartServer {
        /// Name of the server.
        server: String,
    },
    /// Stops a standalone server and keeps it stopped.
    StopServer {
        /// Name of the server.
        server: String,
    },
    /// Tries the site without the old server: mail, folders and roles all work.
    TrialWithout {
        /// The server that is stopped.
        server: String,
    },
    /// Removes a server from the site: its object, and its data is released.
    RemoveServer {
        /// Name of the server.
        server: String,
        /// A server of the same site that stays.
        through: String,
    },
    /// Deletes the account of a computer from the domain.
    DeleteComputerAccount {
        /// Name of the computer.
        computer: String,
    },
    /// Backs up store and directory of a server.
    BackUp {
        /// Name of the server.
        server: String,
        /// Label of the backup; [`Action::CheckBackup`] and [`Action::Restore`] refer to it.
        label: String,
        /// All of it, or what came after an earlier backup.
        kind: BackupKind,
    },
    /// Reads a backup back and proves that all of it can be restored.
    CheckBackup {
        /// Label of the backup.
        label: String,
    },
    /// Upgrades a server's store and directory to a version.
    UpgradeServer {
        /// Name of the server.
        server: String,
        /// The version it has afterwards.
        to_version: String,
    },
    /// Gives a server's log up again as soon as its store does not need it, if a backup of the plan
    /// has had it kept.
    UseCircularLog {
        /// Name of the server.
        server: String,
    },
    /// Makes sure that the site's system folders have a replica apart from `server`.
    CheckSystemFolders {
        /// The server that goes away for a while.
        server: String,
    },
    /// Gives a computer up, so that it can become a node. Nothing on it can be used afterwards.
    WipeComputer {
        /// Name of the computer.
        computer: String,
    },
    /// Looks at what the installation left: files on the node, files on the disk, resources.
    CheckSetupResult {
        /// Name of the group.
        group: String,
        /// The node it was made on.
        node: String,
    },
    /// Measures the machine and sets a resource's parameters.
    Tune {
        /// Name of the group.
        group: String,
        /// Which resource.
        resource: Resource,
    },
    /// Takes the keys of every checkpoint of the group anew from what is live now.
    RefreshCheckpoints {
        /// Name of the group.
        group: String,
    },
    /// Restores a part of a backup into the group.
    Restore {
        /// Name of the group.
        group: String,
        /// Name of the server as it was backed up.
        server: String,
        /// Labels of the backups, full first, then what came after.
        labels: Vec<String>,
        /// The directory or the store.
        part: Resource,
    },
    /// Shows which checkpoints a resource has.
    InspectCheckpoints {
        /// Name of the group.
        group: String,
        /// Which resource.
        resource: Resource,
    },
    /// Removes a checkpoint from a resource.
    RemoveCheckpoint {
        /// Name of the group.
        group: String,
        /// Which resource.
        resource: Resource,
        /// The key.
        key: RegistryKey,
    },
    /// Adds a checkpoint to a resource; that captures the live key at once.
    AddCheckpoint {
        /// Name of the group.
        group: String,
        /// Which resource.
        resource: Resource,
        /// The key.
        key: RegistryKey,
    },
    /// Makes the changes to checkpoints durable and compares each with its live key.
    ConfirmCheckpoints {
        /// Name of the group.
        group: String,
    },
    /// Moves the group to another node, waits until it is online there.
    FailOver {
        /// Name of the group.
        group: String,
        /// The node it goes to.
        to: String,
    },
    /// Compares all mail with what was taken in.
    Verify {
        /// The server that holds the mail.
        server: String,
        /// How deep.
        scope: VerifyScope,
    },
}

/// A resource of the group.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Resource {
    /// The shared disk or folder.
    Disk,
    /// The address of the group.
    Address,
    /// The name of the group on the network.
    NetworkName,
    /// The service that the others depend on.
    Attendant,
    /// The directory service.
    Directory,
    /// The mailbox store.
    Store,
}

/// What of a resource's registry a checkpoint covers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RegistryKey {
    /// Everything of the service, the restore marker too. Must not stay (KB Q290651).
    Root,
    /// The settings alone.
    Parameters,
    /// The levels of logging alone.
    Diagnostics,
}

/// How a server is installed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum InstallMode {
    /// A new server joins the site and gets an empty store.
    New,
    /// Programs and registry only: directory and store come from a backup.
    Recover,
}

/// How much a backup holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum BackupKind {
    /// All of it.
    Full,
    /// What came after the backup with this label.
    After(
        /// Label of the earlier backup.
        String,
    ),
}

/// What a verification reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum VerifyScope {
    /// Counts, identifiers and flags of every message.
    Catalog,
    /// The same, and the bytes of every message.
    Content,
}

impl Action {
    /// The kind of the action as `plan.json` writes it, for example `move-mailboxes`.
    pub fn kind(&self) -> String {
        let value = serde_json::to_value(self).unwrap_or_default();
        value.get("do").and_then(|kind| kind.as_str()).unwrap_or("?").to_owned()
    }
}

impl Action {
    /// Whether the action only looks, proves or waits. Such a step is carried out whatever is
    /// true already: that it was looked at is its result.
    pub fn only_looks(&self) -> bool {
        matches!(
            self,
            Self::LogOn { .. }
                | Self::WaitDirectoryReplication { .. }
                | Self::WaitPublicFolderReplication { .. }
                | Self::WaitLogons { .. }
                | Self::TrialWithout { .. }
                | Self::CheckBackup { .. }
                | Self::CheckSystemFolders { .. }
                | Self::CheckSetupResult { .. }
                | Self::InspectCheckpoints { .. }
                | Self::ConfirmCheckpoints { .. }
                | Self::Verify { .. }
        )
    }
}

impl Resource {
    /// The name of the resource, as `plan.json` writes it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Disk => "disk",
            Self::Address => "address",
            Self::NetworkName => "network-name",
            Self::Attendant => "attendant",
            Self::Directory => "directory",
            Self::Store => "store",
        }
    }
}

impl RegistryKey {
    /// The name of the key below its service, as `plan.json` writes it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Root => "root",
            Self::Parameters => "parameters",
            Self::Diagnostics => "diagnostics",
        }
    }
}

impl std::fmt::Display for Resource {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

impl std::fmt::Display for RegistryKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}
