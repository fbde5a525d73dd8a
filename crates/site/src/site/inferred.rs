//! What a site takes from the folders that are there.

use std::collections::BTreeMap;

use super::{
    Clients, Cluster, Facts, Group, InventoryFiles, Mailbox, RouteWishes, Server, Site, SiteKind,
    SoftwareVersion, WaveWishes, place::Places,
};
use crate::import::Roster;
use crate::names::{
    AccountName, ClusterName, GroupName, MailboxName, NAME_SIZE_MAX, NameError, NodeName,
    OrganizationName, ServerName, SiteName,
};

/// Why a sub-folder of a `mail` folder cannot become a mailbox.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FolderProblem {
    /// Its name is no mailbox name.
    #[error(
        "folder \"{folder}\" cannot become a mailbox: {source}; list it in site.toml under \
             another name"
    )]
    Name {
        /// The sub-folder.
        folder: String,
        /// What is wrong with the name.
        source: NameError,
    },
    /// Another folder gives the same name, perhaps in other case or on another server.
    #[error(
        "folder \"{folder}\" cannot become a mailbox: \"{other}\" would be the same mailbox; \
             list them in site.toml under different names"
    )]
    Twin {
        /// The sub-folder.
        folder: String,
        /// The mailbox that is there already.
        other: MailboxName,
    },
}

/// Values that a key has when the site leaves it out.
pub(super) mod defaults {
    use super::{AccountName, ClusterName, GroupName, NodeName, ServerName};

    /// Reads a name that is written down in this file.
    fn known<T, E: std::fmt::Debug>(result: Result<T, E>) -> T {
        result.expect("the defaults are valid names")
    }

    /// `SITE\svc-mail`: one account for everything.
    pub(in super::super) fn account() -> AccountName {
        known(AccountName::new("svc-mail"))
    }

    /// Name of the cluster.
    pub(in super::super) fn cluster() -> ClusterName {
        known(ClusterName::new("CLUSTER"))
    }

    /// Two nodes.
    pub(in super::super) fn nodes() -> Vec<NodeName> {
        ["N1", "N2"].map(|name| known(NodeName::new(name))).into()
    }

    /// Name of the group.
    pub(in super::super) fn group() -> GroupName {
        known(GroupName::new("mail"))
    }

    /// Address of the group: of this machine, so that a trial reaches nobody else.
    pub(in super::super) fn address() -> std::net::IpAddr {
        std::net::Ipv4Addr::new(127, 0, 0, 41).into()
    }

    /// `EX1` becomes `EXCL1`: `CL` before the number at the end. A name that has no room left for
    /// it makes way at its front.
    pub(in super::super) fn new_server(old: &ServerName) -> ServerName {
        let old = old.as_str();
        let stem = old.trim_end_matches(|c: char| c.is_ascii_digit());
        let number = &old[stem.len()..];
        let room = super::NAME_SIZE_MAX - 2 - number.len().min(super::NAME_SIZE_MAX - 2);
        let stem = &stem[..stem.len().min(room)];
        let number = &number[number.len().saturating_sub(super::NAME_SIZE_MAX - 2)..];
        known(ServerName::new(&format!("{stem}CL{number}")))
    }
}

/// See [`Site::implicit`].
pub(super) fn implicit<S: AsRef<str>>(
    mail: &str,
    mailboxes: &[S],
) -> Result<Site, Vec<FolderProblem>> {
    let name = ServerName::new("MAIL1").expect("a valid name");
    let mut site = by_default(&name, mail, SiteKind::Rehome);
    add_found(&mut site, &name, mailboxes)?;
    Ok(site)
}

/// See [`Site::of_export`].
pub(super) fn of_export(roster: &Roster, first: Option<&ServerName>) -> Site {
    let largest = || {
        let mut count: BTreeMap<&ServerName, usize> = BTreeMap::new();
        for mailbox in &roster.mailboxes {
            *count.entry(&mailbox.home).or_default() += 1;
        }
        let most = count.into_iter().max_by_key(|(name, many)| (*many, std::cmp::Reverse(*name)));
        most.map(|(name, _)| name.clone())
    };
    let name = first.cloned().or_else(largest);
    let name = name.unwrap_or_else(|| ServerName::new("MAIL1").expect("a valid name"));
    let mut site = by_default(&name, "-", SiteKind::Exchange55);
    site.clients.simulate = false;
    site
}

/// A site of one server, everything else by default.
fn by_default(name: &ServerName, mail: &str, kind: SiteKind) -> Site {
    Site {
        kind,
        organization: OrganizationName::new("Organization").expect("a valid name"),
        site: SiteName::new("Site").expect("a valid name"),
        timezone: None,
        cluster: Cluster {
            name: defaults::cluster(),
            nodes: defaults::nodes(),
            service_account: defaults::account(),
            version: SoftwareVersion::CURRENT,
            group: Group {
                name: defaults::group(),
                network_name: None,
                server: defaults::new_server(name),
                address: defaults::address(),
                free: None,
                log_free: None,
            },
        },
        servers: vec![Server {
            name: name.clone(),
            mail: mail.to_owned(),
            service_account: defaults::account(),
            version: SoftwareVersion::CURRENT,
            roles: vec![crate::Role::FirstServerInSite],
            free: None,
            log_free: None,
        }],
        mailboxes: Vec::new(),
        public_folders: Vec::new(),
        route: RouteWishes::default(),
        clients: Clients { simulate: true },
        inventory: InventoryFiles::default(),
        windows: Vec::new(),
        waves: WaveWishes::default(),
        gates: Vec::new(),
        facts: Facts::new(),
        places: Places::default(),
    }
}

/// See [`Site::add_found_mailboxes`].
pub(super) fn add_found<S: AsRef<str>>(
    site: &mut Site,
    server: &ServerName,
    folders: &[S],
) -> Result<usize, Vec<FolderProblem>> {
    if site.mailboxes_of(server).next().is_some() {
        return Ok(0);
    }
    let mut names: Vec<&str> = folders.iter().map(AsRef::as_ref).collect();
    names.sort_unstable();
    let mut known: BTreeMap<String, MailboxName> =
        site.mailboxes.iter().map(|old| (old.name.folded(), old.name.clone())).collect();
    let mut found = Vec::new();
    let mut problems = Vec::new();
    for folder in names {
        let folder = folder.to_owned();
        match MailboxName::new(&folder) {
            Err(source) => problems.push(FolderProblem::Name { folder, source }),
            Ok(name) => match known.insert(name.folded(), name.clone()) {
                Some(other) => problems.push(FolderProblem::Twin { folder, other }),
                None => found.push(plain_mailbox(name, server, folder)),
            },
        }
    }
    if !problems.is_empty() {
        return Err(problems);
    }
    let count = found.len();
    site.mailboxes.append(&mut found);
    Ok(count)
}

/// A mailbox of which nothing but name and folder is known.
fn plain_mailbox(name: MailboxName, server: &ServerName, folder: String) -> Mailbox {
    Mailbox {
        name,
        server: server.clone(),
        folder,
        display_name: None,
        account: None,
        aliases: Vec::new(),
        delegates: Vec::new(),
    }
}

/// See [`Site::unlisted`].
pub(super) fn unlisted<'a>(
    site: &Site,
    server: &ServerName,
    folders: &'a [String],
) -> Vec<&'a str> {
    let listed: Vec<&str> = site.mailboxes_of(server).map(|one| one.folder.as_str()).collect();
    if listed.is_empty() {
        return Vec::new();
    }
    folders.iter().map(String::as_str).filter(|folder| !listed.contains(folder)).collect()
}
