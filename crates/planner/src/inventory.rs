//! What the planner knows: facts about the site, and facts that were measured.

mod from_site;

use rehome_site::{Facts, SiteKind, WaveWishes, Window};
use serde::{Deserialize, Serialize};

use crate::costs::Costs;
use crate::route::RouteChoice;

pub use from_site::{Measured, Size};

/// Everything a plan is made from. Plain data; the planner looks at nothing else.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Inventory {
    /// Name of the organization.
    pub organization: String,
    /// Name of the site.
    pub site: String,
    /// The server that is to go into the cluster.
    pub old_server: String,
    /// All servers, the old one too, the clustered one not.
    pub servers: Vec<ServerFacts>,
    /// The cluster.
    pub cluster: ClusterFacts,
    /// The mailboxes of the site; those of the old server are the ones that move.
    pub mailboxes: Vec<MailboxFacts>,
    /// The public folders of the site.
    pub public_folders: Vec<PublicFolderFacts>,
    /// Bytes that the old server's mailboxes take if each message is kept once.
    pub unique_bytes: u64,
    /// What the site file says about the route.
    pub wishes: Wishes,
    /// How fast this machine was found to be.
    pub rates: Rates,
    /// Who carries the plan out.
    #[serde(default)]
    pub kind: SiteKind,
    /// When work may be done; at any time if there is none.
    #[serde(default)]
    pub windows: Vec<Window>,
    /// How the move is parted into waves.
    #[serde(default)]
    pub waves: WaveWishes,
    /// What an administrator has said about the site.
    #[serde(default)]
    pub facts: Facts,
    /// How good the numbers are that the plan rests on.
    #[serde(default)]
    pub data: DataFacts,
}

/// How good the numbers are that a plan rests on.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct DataFacts {
    /// Mailboxes whose size is known.
    pub sized_mailboxes: u64,
    /// Mailboxes of which it is known what they share with others, or that share is known overall.
    pub sharing_known: bool,
    /// Whether it is known how much mail comes in.
    pub change_rate_known: bool,
    /// Rows of the table of sizes that are no mailbox's: line and name.
    pub unmatched_rows: Vec<String>,
    /// What the directory export held, in a sentence; empty if there was none.
    pub export: String,
}

/// A server of the site.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct ServerFacts {
    /// Its name.
    pub name: String,
    /// The site it is in; empty means the inventory's own.
    pub site: String,
    /// The account its services run under.
    pub service_account: String,
    /// Its version.
    pub version: String,
    /// What it does for the site, for example `first-server`.
    pub roles: Vec<String>,
    /// Free bytes on its disk, if known.
    pub free_bytes: Option<u64>,
    /// Free bytes for transaction logs, if they have a disk of their own.
    #[serde(default)]
    pub log_free_bytes: Option<u64>,
}

/// The cluster as it shall be.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct ClusterFacts {
    /// Its name.
    pub name: String,
    /// Its nodes; the first is the primary node.
    pub nodes: Vec<String>,
    /// The site it stands in; empty means the inventory's own.
    pub site: String,
    /// The account of the cluster's own service.
    pub service_account: String,
    /// The version of the mail server installed on its nodes.
    pub version: String,
    /// Name of the group.
    pub group: String,
    /// The group's network name, if the site file gives one. Otherwise it is `server` on the
    /// move-users route and the old server's name on the disaster-recovery route.
    pub network_name: Option<String>,
    /// Name of the clustered server on the move-users route.
    pub server: String,
    /// Address of the group.
    pub address: String,
    /// Free bytes on the group's disk, if known.
    pub free_bytes: Option<u64>,
    /// Free bytes for transaction logs, if they have a disk of their own.
    #[serde(default)]
    pub log_free_bytes: Option<u64>,
}

/// A mailbox, measured.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct MailboxFacts {
    /// Its name.
    pub name: String,
    /// Its home server.
    pub server: String,
    /// Number of messages.
    pub messages: u64,
    /// Bytes of all its messages, shared ones too.
    pub bytes: u64,
    /// Mailboxes that may act for it; they are cut over next to it.
    pub delegates: Vec<String>,
    /// Those among which it shares contents.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub share: Option<Share>,
    /// Bytes of mail that come in on a day; 0 if that is not known.
    #[serde(default)]
    pub bytes_a_day: u64,
}

/// What a mailbox shares with others.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Share {
    /// Name of the group that shares.
    pub group: String,
    /// How many of the mailbox's bytes are also another member's.
    pub bytes: u64,
}

/// A public folder.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct PublicFolderFacts {
    /// Its path.
    pub path: String,
    /// Its home server.
    pub server: String,
    /// Servers with a replica.
    pub replicas: Vec<String>,
    /// Whether it is one of the site's system folders.
    pub system: bool,
}

/// What the site file says about the route.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Wishes {
    /// Which route, or the planner's choice.
    pub choose: RouteChoice,
    /// Whether old server and cluster can run at the same time.
    pub second_server: bool,
    /// Longest time for which the whole server may be away.
    pub max_outage_minutes: Option<u64>,
    /// Longest time for which one user may be kept out.
    pub max_user_interruption_seconds: Option<u64>,
    /// Whether clients are played by the program, so that their logons need no waiting.
    pub simulate_clients: bool,
    /// When all of it has to be done, in microseconds since 1970.
    #[serde(default)]
    pub deadline_us: Option<i64>,
    /// Whether the mailboxes of all servers move, and all of these servers go.
    #[serde(default)]
    pub all_servers: bool,
}

/// Measured speeds. [`Rates::default`] is a slow machine.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Rates {
    /// Bytes a second of a move, a backup or a restore.
    pub bytes_per_second: f64,
    /// Messages a second of a move, a backup or a restore.
    pub messages_per_second: f64,
    /// Messages a second when real mail is taken in.
    pub import_messages_per_second: f64,
    /// Seconds for which one mailbox is locked when it is cut over.
    pub lock_seconds: f64,
    /// Seconds until a resource is online.
    pub online_seconds: f64,
    /// Seconds until a person has answered a gate; 0 if all gates are answered in advance.
    pub gate_seconds: f64,
    /// Whether the speeds were measured on this machine.
    pub measured: bool,
    /// What each step was found to cost on this machine.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub costs: Option<Costs>,
    /// What makes the speeds doubtful, one sentence each.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub doubts: Vec<String>,
}

impl Default for Wishes {
    fn default() -> Self {
        Self {
            choose: RouteChoice::Auto,
            second_server: true,
            max_outage_minutes: None,
            max_user_interruption_seconds: None,
            simulate_clients: false,
            deadline_us: None,
            all_servers: false,
        }
    }
}

impl Default for Rates {
    fn default() -> Self {
        Self {
            bytes_per_second: 50e6,
            messages_per_second: 5000.0,
            import_messages_per_second: 1500.0,
            lock_seconds: 0.5,
            online_seconds: 2.0,
            gate_seconds: 300.0,
            measured: false,
            costs: None,
            doubts: Vec::new(),
        }
    }
}

impl Inventory {
    /// The facts about a server.
    pub fn server(&self, name: &str) -> Option<&ServerFacts> {
        self.servers.iter().find(|server| server.name == name)
    }

    /// The mailboxes that move: those of the server that is to go into the cluster, or all.
    pub fn moving(&self) -> impl Iterator<Item = &MailboxFacts> {
        let all = self.wishes.all_servers;
        self.mailboxes.iter().filter(move |mailbox| all || mailbox.server == self.old_server)
    }

    /// The servers that go, the one that is named first.
    pub fn leaving(&self) -> Vec<&str> {
        let others = self.servers.iter().map(|server| server.name.as_str());
        let others = others.filter(|name| self.wishes.all_servers && *name != self.old_server);
        std::iter::once(self.old_server.as_str()).chain(others).collect()
    }

    /// Bytes of these mailboxes, counting shared messages once for each mailbox.
    pub fn logical_bytes(&self) -> u64 {
        self.moving().map(|mailbox| mailbox.bytes).sum()
    }

    /// Messages of these mailboxes.
    pub fn messages(&self) -> u64 {
        self.moving().map(|mailbox| mailbox.messages).sum()
    }
}
