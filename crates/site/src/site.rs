//! The site: what `site.toml` says, as a value.

mod calendar;
mod check;
mod facts;
mod inferred;
mod merge;
mod parse;
mod place;
mod quantity;
mod read;

use serde::{Deserialize, Serialize};

use crate::diagnostic::{Diagnostic, Place};
use crate::import::Roster;
use crate::names::{
    AccountName, ClusterName, FolderPath, GroupName, MailboxName, NodeName, OrganizationName,
    ServerName, SiteName,
};
use crate::role::Role;

pub use calendar::{CalendarError, Date, Days, Moment, TimeOfDay, UtcOffset, Window};
pub use facts::{FACTS, Fact, FactKind, FactSpec, Facts};
pub use inferred::FolderProblem;
pub use merge::Merged;
pub use place::Key;
pub use quantity::{ByteSize, SoftwareVersion};

use place::Places;

/// The schema that this crate reads and writes.
pub const SCHEMA: &str = "site/1";

/// A site: its servers, the cluster to be, mailboxes, public folders and wishes about the way.
///
/// The first server is the one that goes into the cluster. There is always at least one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Site {
    /// Organization that the site belongs to.
    pub organization: OrganizationName,
    /// Name of the site.
    pub site: SiteName,
    /// Who carries a plan out.
    pub kind: SiteKind,
    /// Time zone for people, such as `Europe/Berlin`; not interpreted here.
    pub timezone: Option<String>,
    /// Servers of today; the first one is to go into the cluster.
    pub servers: Vec<Server>,
    /// The cluster to be.
    pub cluster: Cluster,
    /// Mailboxes; a server for which none is listed has one for each folder of its `mail`.
    pub mailboxes: Vec<Mailbox>,
    /// Public folders.
    pub public_folders: Vec<PublicFolder>,
    /// Wishes about the way.
    pub route: RouteWishes,
    /// What the users' programs do.
    pub clients: Clients,
    /// Files that say more about the site.
    pub inventory: InventoryFiles,
    /// When work may be done; at any time if there is none.
    pub windows: Vec<Window>,
    /// How the move is parted into waves.
    pub waves: WaveWishes,
    /// Who may open which gate of a plan, and until when.
    #[serde(default)]
    pub gates: Vec<GateRule>,
    /// What else is known.
    pub facts: Facts,
    #[serde(skip)]
    places: Places,
}

/// Who carries a plan out.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SiteKind {
    /// Rehome's own parts, which the program drives.
    #[default]
    Rehome,
    /// People, with Exchange 5.5 and Cluster Server: the plan is a run-book.
    #[serde(rename = "exchange-5.5")]
    Exchange55,
}

impl SiteKind {
    /// Both, in the order in which they are explained.
    pub const ALL: [Self; 2] = [Self::Rehome, Self::Exchange55];

    /// The word in `site.toml`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Rehome => "rehome",
            Self::Exchange55 => "exchange-5.5",
        }
    }
}

/// Files that say more about the site, relative to `site.toml`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct InventoryFiles {
    /// A directory export: comma-separated or LDIF.
    pub directory: Option<String>,
    /// Sizes of the mailboxes: a table, or a store or folder of mail that is looked at.
    pub sizes: Option<String>,
    /// Code page of an export that is neither UTF-8 nor UTF-16.
    pub encoding: Option<String>,
    /// Whether a column that is not known is only warned of.
    pub unknown_column_warns: bool,
}

/// How the move is parted into waves.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WaveWishes {
    /// How many mailboxes move first, alone.
    pub pilot_mailboxes: u64,
    /// The most mailboxes in one wave, if there is such a limit.
    pub mailboxes_max: Option<u64>,
    /// A mailbox that acts for more than so many is no reason to keep them together.
    pub hub_delegates: u64,
    /// How much of a log disk stays free, in percent.
    pub log_reserve_percent: u64,
    /// How many days a wave can be taken back.
    pub reverse_days: u64,
    /// The most bytes a second that may be moved, if there is such a limit.
    pub bytes_per_second_max: Option<ByteSize>,
    /// Groups of mailboxes that move together.
    pub keep_together: Vec<Vec<MailboxName>>,
}

impl Default for WaveWishes {
    fn default() -> Self {
        Self {
            pilot_mailboxes: 0,
            mailboxes_max: None,
            hub_delegates: 25,
            log_reserve_percent: 20,
            reverse_days: 7,
            bytes_per_second_max: None,
            keep_together: Vec::new(),
        }
    }
}

/// Who may say that a step of a plan may begin, and until when.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GateRule {
    /// Name of the step, or `all`.
    pub step: String,
    /// Who may; anybody if nobody is named.
    pub owners: Vec<String>,
    /// The last moment, in microseconds since 1970.
    pub until_us: Option<i64>,
}

impl GateRule {
    /// Whether it is about this step.
    #[must_use]
    pub fn is_for(&self, step: &str) -> bool {
        self.step.eq_ignore_ascii_case("all") || self.step.eq_ignore_ascii_case(step)
    }
}

/// A server of today.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Server {
    /// Name that clients know.
    pub name: ServerName,
    /// Folder with one Maildir++ tree for each mailbox, relative to `site.toml`.
    pub mail: String,
    /// Account that its services run under.
    pub service_account: AccountName,
    /// Level of its software.
    pub version: SoftwareVersion,
    /// Roles as written; [`Server::holds`] knows what they imply.
    pub roles: Vec<Role>,
    /// Free room for mail, if known.
    pub free: Option<ByteSize>,
    /// Free room for transaction logs, if it is not that of `free`.
    pub log_free: Option<ByteSize>,
}

/// The cluster to be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cluster {
    /// Name of the cluster.
    pub name: ClusterName,
    /// Its nodes, at least one.
    pub nodes: Vec<NodeName>,
    /// Account that the cluster and the services in it run under.
    pub service_account: AccountName,
    /// Level of the software on the nodes.
    pub version: SoftwareVersion,
    /// The group that is to carry the mail server.
    pub group: Group,
}

/// The cluster group that is to carry the mail server.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Group {
    /// Name of the group.
    pub name: GroupName,
    /// Network name in the disaster-recovery route, if written; see [`Site::network_name`].
    pub network_name: Option<ServerName>,
    /// Name of the new server in the move-users route.
    pub server: ServerName,
    /// Address of the group.
    pub address: std::net::IpAddr,
    /// Free room for mail on the group's disk, if known.
    pub free: Option<ByteSize>,
    /// Free room for transaction logs, if it is not that of `free`.
    pub log_free: Option<ByteSize>,
}

/// A mailbox.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mailbox {
    /// Directory name; unique in the site.
    pub name: MailboxName,
    /// Home server.
    pub server: ServerName,
    /// Folder below the server's `mail`.
    pub folder: String,
    /// Name for people.
    pub display_name: Option<String>,
    /// Account of its owner.
    pub account: Option<AccountName>,
    /// Other names that mail may be addressed to.
    pub aliases: Vec<MailboxName>,
    /// Mailboxes whose owners work with this one; they should move together.
    pub delegates: Vec<MailboxName>,
}

/// A public folder.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PublicFolder {
    /// Path.
    pub path: FolderPath,
    /// Home server, always among the replicas.
    pub server: ServerName,
    /// Servers that hold its contents, the home server first if nothing else was written.
    pub replicas: Vec<ServerName>,
    /// Which replica gets its contents from which, if that is known: receiver and giver.
    pub filled_from: Vec<(ServerName, ServerName)>,
}

/// Which way the administrator wants to go.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RouteChoice {
    /// The planner recommends.
    #[default]
    Auto,
    /// Both servers run and the mailboxes are moved.
    MoveUsers,
    /// The server is rebuilt under its name from a backup.
    DisasterRecovery,
}

impl RouteChoice {
    /// All of them, in the order in which they are explained.
    pub const ALL: [Self; 3] = [Self::Auto, Self::MoveUsers, Self::DisasterRecovery];

    /// The word in `site.toml`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::MoveUsers => "move-users",
            Self::DisasterRecovery => "disaster-recovery",
        }
    }
}

/// Wishes about the way.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RouteWishes {
    /// The route, if it is not left to the planner.
    pub choose: RouteChoice,
    /// Whether there is hardware to run the old server and the cluster at once.
    pub second_server: bool,
    /// Longest time the whole server may be away.
    pub max_outage_minutes: Option<u64>,
    /// Longest time one user may be locked out.
    pub max_user_interruption_seconds: Option<u64>,
    /// When all of it has to be done.
    pub deadline: Option<Moment>,
    /// Whether the mailboxes of all servers move, and all of these servers go.
    pub all_servers: bool,
}

impl Default for RouteWishes {
    fn default() -> Self {
        Self {
            choose: RouteChoice::Auto,
            second_server: true,
            max_outage_minutes: None,
            max_user_interruption_seconds: None,
            deadline: None,
            all_servers: false,
        }
    }
}

/// What the users' programs do.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Clients {
    /// Whether simulated clients log on after the move, as in a sample site.
    pub simulate: bool,
}

impl Server {
    /// Tells whether the server holds a role, by itself or as first server in the site.
    #[must_use]
    pub fn holds(&self, role: Role) -> bool {
        self.roles.iter().any(|own| own.implies(role))
    }
}

impl Site {
    /// Reads `site.toml`. `file` is only used in messages.
    ///
    /// Nothing is looked up outside the text: whether folders exist is for the caller to see.
    ///
    /// # Errors
    ///
    /// Everything that is wrong, in the order of the text. No site is returned then.
    pub fn parse(text: &str, file: &str) -> Result<Self, Vec<Diagnostic>> {
        parse::parse(text, file)
    }

    /// Makes the site of a bare folder of Maildirs: server `MAIL1`, everything else by default.
    ///
    /// `mail` is the folder, `mailboxes` are the names of its sub-folders. Simulated clients log on
    /// after the move, since no real ones are known.
    ///
    /// # Errors
    ///
    /// [`FolderProblem`] for each sub-folder whose name cannot be a mailbox name.
    pub fn implicit<S: AsRef<str>>(
        mail: &str,
        mailboxes: &[S],
    ) -> Result<Self, Vec<FolderProblem>> {
        inferred::implicit(mail, mailboxes)
    }

    /// Makes the site of a bare export: it is moved by people, and everything that the export does
    /// not say is by default. The mailboxes are not taken over yet: see [`Site::take_in`].
    ///
    /// `first` is the server that goes into the cluster: that with the most mailboxes if none is
    /// named.
    #[must_use]
    pub fn of_export(roster: &Roster, first: Option<&ServerName>) -> Self {
        inferred::of_export(roster, first)
    }

    /// The server that is to go into the cluster.
    #[must_use]
    pub fn old_server(&self) -> &Server {
        &self.servers[0]
    }

    /// Finds a server of today by name.
    #[must_use]
    pub fn server(&self, name: &ServerName) -> Option<&Server> {
        self.servers.iter().find(|server| server.name == *name)
    }

    /// Finds a listed mailbox by name.
    #[must_use]
    pub fn mailbox(&self, name: &MailboxName) -> Option<&Mailbox> {
        self.mailboxes.iter().find(|mailbox| mailbox.name == *name)
    }

    /// Mailboxes whose home is `server`, in the order of the file.
    pub fn mailboxes_of<'a>(&'a self, server: &'a ServerName) -> impl Iterator<Item = &'a Mailbox> {
        self.mailboxes.iter().filter(move |mailbox| mailbox.server == *server)
    }

    /// The network name in the disaster-recovery route: the one written, else the old server's.
    #[must_use]
    pub fn network_name(&self) -> &ServerName {
        self.cluster.group.network_name.as_ref().unwrap_or(&self.old_server().name)
    }

    /// Takes over the sub-folders found in the `mail` folder of `server`.
    ///
    /// If the site lists no mailbox of that server, each sub-folder becomes one, in the order of
    /// their names. If it lists some, nothing is added: [`Site::unlisted`] names the others.
    ///
    /// # Errors
    ///
    /// [`FolderProblem`] for each sub-folder that cannot become a mailbox. Nothing is added then.
    pub fn add_found_mailboxes<S: AsRef<str>>(
        &mut self,
        server: &ServerName,
        folders: &[S],
    ) -> Result<usize, Vec<FolderProblem>> {
        inferred::add_found(self, server, folders)
    }

    /// Names the sub-folders of the `mail` folder of `server` that are no listed mailbox's.
    ///
    /// Empty if the site lists no mailbox of that server: then each sub-folder is one.
    #[must_use]
    pub fn unlisted<'a>(&self, server: &ServerName, folders: &'a [String]) -> Vec<&'a str> {
        inferred::unlisted(self, server, folders)
    }

    /// Where a key stands in the file; where its table begins if it was left to its default.
    ///
    /// A site that was not parsed knows no places: the answer then is line 0 of no file.
    #[must_use]
    pub fn place(&self, key: &Key) -> Place {
        self.places.find(key)
    }

    /// One text for equal sites, whatever the order of mailboxes and public folders in the file.
    ///
    /// Compact JSON; the order of the servers counts, because the first one is moved.
    #[must_use]
    pub fn canonical_json(&self) -> String {
        let mut site = self.clone();
        site.mailboxes.sort_by(|a, b| a.name.cmp(&b.name));
        site.public_folders.sort_by(|a, b| a.path.cmp(&b.path));
        serde_json::to_string(&site).expect("strings, numbers and lists always become JSON")
    }
}
