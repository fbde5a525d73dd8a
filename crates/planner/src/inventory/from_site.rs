//! An inventory from a site file and what was measured.

use std::collections::BTreeMap;

use rehome_site::{Role, RouteChoice as SiteChoice, Server, Site};

use super::{
    ClusterFacts, DataFacts, Inventory, MailboxFacts, PublicFolderFacts, Rates, ServerFacts, Share,
    Wishes,
};
use crate::route::RouteChoice;

/// What was measured, apart from what the site file says.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Measured {
    /// Messages and bytes of each mailbox, by name. One that is missing counts as empty.
    pub mailboxes: BTreeMap<String, Size>,
    /// Bytes if each message is kept once; the sum of the mailboxes if not known.
    pub unique_bytes: Option<u64>,
    /// Free bytes where the group's disk will be, if the site file does not say.
    pub target_free_bytes: Option<u64>,
    /// Speeds of this machine; slow guesses if not known.
    pub rates: Option<Rates>,
    /// Rows of a table of sizes that are no mailbox's.
    pub unmatched_rows: Vec<String>,
    /// What a directory export held, in a sentence.
    pub export: String,
}

/// Size of a mailbox.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Size {
    /// Number of messages.
    pub messages: u64,
    /// Their bytes.
    pub bytes: u64,
    /// What it shares with others, if that is known.
    pub share: Option<Share>,
    /// Bytes that come in on a day; 0 if not known.
    pub bytes_a_day: u64,
}

impl Inventory {
    /// Puts together what a site file says and what was measured.
    ///
    /// Mailboxes of other servers are kept, too: they may be delegates. System folders that the
    /// file does not list are taken to be where the holder of their role is, and only there.
    pub fn from_site(site: &Site, measured: &Measured) -> Self {
        let mailboxes: Vec<_> = site.mailboxes.iter().map(|at| mailbox(at, measured)).collect();
        let mut inventory = Self {
            organization: site.organization.to_string(),
            site: site.site.to_string(),
            old_server: site.old_server().name.to_string(),
            servers: site.servers.iter().map(server).collect(),
            cluster: cluster(site, measured),
            public_folders: folders(site),
            unique_bytes: 0,
            wishes: wishes(site),
            rates: measured.rates.clone().unwrap_or_default(),
            kind: site.kind,
            windows: site.windows.clone(),
            waves: site.waves.clone(),
            facts: site.facts.clone(),
            data: DataFacts {
                sized_mailboxes: measured.mailboxes.len() as u64,
                sharing_known: measured.unique_bytes.is_some()
                    || mailboxes.iter().any(|mailbox| mailbox.share.is_some()),
                change_rate_known: mailboxes.iter().any(|mailbox| mailbox.bytes_a_day > 0),
                unmatched_rows: measured.unmatched_rows.clone(),
                export: measured.export.clone(),
            },
            mailboxes,
        };
        inventory.unique_bytes =
            measured.unique_bytes.unwrap_or_else(|| kept_once_bytes(&inventory));
        inventory
    }
}

/// Bytes of the moving mailboxes if what a group shares is kept once for each group.
fn kept_once_bytes(inventory: &Inventory) -> u64 {
    let mut own = 0_u64;
    let mut shared: BTreeMap<&str, u64> = BTreeMap::new();
    for mailbox in inventory.moving() {
        let share = mailbox.share.as_ref().map_or(0, |share| share.bytes.min(mailbox.bytes));
        own += mailbox.bytes - share;
        if let Some(share) = &mailbox.share {
            // What a group shares is as large as what its member with the most of it has.
            let known = shared.entry(share.group.as_str()).or_default();
            *known = (*known).max(share.bytes);
        }
    }
    own + shared.values().sum::<u64>()
}

fn server(server: &Server) -> ServerFacts {
    ServerFacts {
        name: server.name.to_string(),
        site: String::new(),
        service_account: server.service_account.to_string(),
        version: server.version.to_string(),
        roles: server.roles.iter().map(ToString::to_string).collect(),
        free_bytes: server.free.map(rehome_site::ByteSize::bytes),
        log_free_bytes: server.log_free.map(rehome_site::ByteSize::bytes),
    }
}

fn cluster(site: &Site, measured: &Measured) -> ClusterFacts {
    let cluster = &site.cluster;
    let group = &cluster.group;
    ClusterFacts {
        name: cluster.name.to_string(),
        nodes: cluster.nodes.iter().map(ToString::to_string).collect(),
        site: String::new(),
        service_account: cluster.service_account.to_string(),
        version: cluster.version.to_string(),
        group: group.name.to_string(),
        network_name: group.network_name.as_ref().map(ToString::to_string),
        server: group.server.to_string(),
        address: group.address.to_string(),
        free_bytes: group.free.map(rehome_site::ByteSize::bytes).or(measured.target_free_bytes),
        log_free_bytes: group.log_free.map(rehome_site::ByteSize::bytes),
    }
}

fn mailbox(mailbox: &rehome_site::Mailbox, measured: &Measured) -> MailboxFacts {
    let name = mailbox.name.to_string();
    let size = measured.mailboxes.get(&name).cloned().unwrap_or_default();
    MailboxFacts {
        server: mailbox.server.to_string(),
        messages: size.messages,
        bytes: size.bytes,
        delegates: mailbox.delegates.iter().map(ToString::to_string).collect(),
        share: size.share,
        bytes_a_day: size.bytes_a_day,
        name,
    }
}

fn folders(site: &Site) -> Vec<PublicFolderFacts> {
    let system: Vec<&str> =
        Role::ALL.iter().flat_map(|role| role.system_folders()).copied().collect();
    let mut folders: Vec<PublicFolderFacts> = site
        .public_folders
        .iter()
        .map(|folder| PublicFolderFacts {
            path: folder.path.to_string(),
            server: folder.server.to_string(),
            replicas: folder.replicas.iter().map(ToString::to_string).collect(),
            system: system.contains(&folder.path.as_str()),
        })
        .collect();
    for server in &site.servers {
        for role in Role::ALL.into_iter().filter(|role| server.holds(*role)) {
            for path in role.system_folders() {
                if !folders.iter().any(|folder| folder.path == *path) {
                    folders.push(PublicFolderFacts {
                        path: (*path).to_owned(),
                        server: server.name.to_string(),
                        replicas: vec![server.name.to_string()],
                        system: true,
                    });
                }
            }
        }
    }
    folders
}

fn wishes(site: &Site) -> Wishes {
    Wishes {
        choose: match site.route.choose {
            SiteChoice::Auto => RouteChoice::Auto,
            SiteChoice::MoveUsers => RouteChoice::MoveUsers,
            SiteChoice::DisasterRecovery => RouteChoice::DisasterRecovery,
        },
        second_server: site.route.second_server,
        max_outage_minutes: site.route.max_outage_minutes,
        max_user_interruption_seconds: site.route.max_user_interruption_seconds,
        simulate_clients: site.clients.simulate,
        deadline_us: site.route.deadline.map(rehome_site::Moment::us),
        all_servers: site.route.all_servers,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{PlanOptions, Route, check_plan, plan};

    #[test]
    fn a_folder_of_mailboxes_is_enough_for_a_plan_by_either_route() {
        let site = Site::implicit("mail", &["anna", "bob"]).expect("the names are good");
        let size = Size { messages: 10, bytes: 5000, ..Size::default() };
        let measured = Measured {
            mailboxes: BTreeMap::from([("anna".to_owned(), size)]),
            ..Measured::default()
        };
        let inventory = Inventory::from_site(&site, &measured);
        assert_eq!((inventory.messages(), inventory.unique_bytes), (10, 5000));
        assert!(inventory.public_folders.iter().all(|folder| folder.system));
        for route in [RouteChoice::MoveUsers, RouteChoice::DisasterRecovery] {
            let options = PlanOptions { route, ..PlanOptions::default() };
            let plan = plan(&inventory, &options).expect("the site is feasible");
            assert_eq!(check_plan(&plan, &inventory), []);
        }
        let chosen = plan(&inventory, &PlanOptions::default()).map(|plan| plan.route);
        assert_eq!(chosen.ok(), Some(Route::MoveUsers));
    }
}
