//! A site and a directory export put together.

use serde::Serialize;

use super::{Key, Mailbox, PublicFolder, Server, Site, SoftwareVersion, inferred::defaults};
use crate::diagnostic::Diagnostic;
use crate::import::{Map, Roster};
use crate::names::AccountName;

/// What came of putting them together.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Merged {
    /// Mailboxes that only the export had.
    pub mailboxes_added: usize,
    /// Mailboxes that both had.
    pub mailboxes_matched: usize,
    /// Mailboxes that only the site file had.
    pub mailboxes_listed: usize,
    /// Servers that only the export had.
    pub servers_added: usize,
    /// Public folders that only the export had.
    pub public_folders_added: usize,
}

impl Site {
    /// Takes over the servers, mailboxes and public folders of an export. What the site file says
    /// of a mailbox stays; the export adds what it leaves out.
    ///
    /// # Errors
    ///
    /// A mailbox whose home the two name differently.
    pub fn take_in(&mut self, roster: &Roster) -> Result<Merged, Vec<Diagnostic>> {
        let mut merged = Merged::default();
        for name in &roster.servers {
            if self.server(name).is_none() && self.cluster.group.server != *name {
                let server = found_server(self, name);
                self.servers.push(server);
                merged.servers_added += 1;
            }
        }
        let listed = self.mailboxes.len();
        let places: Map<String, usize> =
            self.mailboxes.iter().enumerate().map(|(at, one)| (one.name.folded(), at)).collect();
        let mut found = Vec::new();
        for one in &roster.mailboxes {
            let Some(at) = places.get(&one.name.folded()).copied() else {
                self.mailboxes.push(found_mailbox(one));
                continue;
            };
            merged.mailboxes_matched += 1;
            let own = &mut self.mailboxes[at];
            if own.server != one.home {
                let message = format!(
                    "the home of \"{}\" is {} here and {} in line {} of the export",
                    own.name, own.server, one.home, one.line
                );
                let place = self.place(&Key::mailbox(at, "server"));
                found.push(
                    Diagnostic::error("E010", place, message)
                        .why("its mail would be looked for on the wrong server")
                        .fix("correct `server`, or leave the mailbox out of the site file"),
                );
                continue;
            }
            complete(own, one);
        }
        merged.mailboxes_added = self.mailboxes.len() - listed;
        merged.mailboxes_listed = listed - merged.mailboxes_matched;
        merged.public_folders_added = self.add_folders(roster);
        if found.is_empty() { Ok(merged) } else { Err(found) }
    }

    /// Takes over public folders of which the site file says nothing.
    fn add_folders(&mut self, roster: &Roster) -> usize {
        let before = self.public_folders.len();
        for (path, home) in &roster.public_folders {
            let server = home.clone().unwrap_or_else(|| self.old_server().name.clone());
            let known = self.public_folders.iter().any(|folder| folder.path == *path);
            if !known && self.server(&server).is_some() {
                let replicas = vec![server.clone()];
                self.public_folders.push(PublicFolder {
                    path: path.clone(),
                    server,
                    replicas,
                    filled_from: Vec::new(),
                });
            }
        }
        self.public_folders.len() - before
    }
}

/// Fills what the site file leaves out.
fn complete(own: &mut Mailbox, one: &crate::import::RosterMailbox) {
    if own.display_name.is_none() {
        own.display_name.clone_from(&one.display_name);
    }
    if own.account.is_none() {
        own.account = one.account.as_deref().and_then(|text| AccountName::new(text).ok());
    }
    for delegate in &one.delegates {
        if !own.delegates.contains(delegate) {
            own.delegates.push(delegate.clone());
        }
    }
}

/// A server of which only the export knows.
fn found_server(site: &Site, name: &crate::names::ServerName) -> Server {
    let account = site.servers.first().map(|server| server.service_account.clone());
    Server {
        name: name.clone(),
        mail: String::new(),
        service_account: account.unwrap_or_else(defaults::account),
        version: site.servers.first().map_or(SoftwareVersion::CURRENT, |server| server.version),
        roles: Vec::new(),
        free: None,
        log_free: None,
    }
}

/// A mailbox of which only the export knows.
fn found_mailbox(one: &crate::import::RosterMailbox) -> Mailbox {
    Mailbox {
        name: one.name.clone(),
        server: one.home.clone(),
        folder: one.name.to_string(),
        display_name: one.display_name.clone(),
        account: one.account.as_deref().and_then(|text| AccountName::new(text).ok()),
        aliases: Vec::new(),
        delegates: one.delegates.clone(),
    }
}
