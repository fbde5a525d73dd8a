//! Whether the parts of a site fit together.

use std::collections::{BTreeMap, BTreeSet};

use super::{Key, Site, SiteKind};
use crate::diagnostic::{Diagnostic, did_you_mean};
use crate::names::{MailboxName, ServerName};
use crate::role::Role;

/// Reports everything that contradicts itself.
pub(super) fn check(site: &Site) -> Vec<Diagnostic> {
    let mut found = Vec::new();
    machine_names(site, &mut found);
    mail_folders(site, &mut found);
    roles(site, &mut found);
    mailboxes(site, &mut found);
    addresses(site, &mut found);
    public_folders(site, &mut found);
    found
}

/// Servers, nodes, the cluster and the new server are all machines on one network.
fn machine_names(site: &Site, found: &mut Vec<Diagnostic>) {
    let servers = site.servers.iter().enumerate();
    let nodes = site.cluster.nodes.iter().enumerate();
    let names = servers
        .map(|(i, server)| ("server", server.name.as_str(), Key::server(i, "name")))
        .chain(nodes.map(|(i, node)| ("node", node.as_str(), Key::cluster("nodes").element(i))))
        .chain([
            ("cluster", site.cluster.name.as_str(), Key::cluster("name")),
            ("new server", site.cluster.group.server.as_str(), Key::group("server")),
        ]);
    let mut seen: BTreeMap<String, (&str, Key)> = BTreeMap::new();
    for (kind, name, key) in names {
        let Some((other, first)) = seen.get(&name.to_lowercase()) else {
            seen.insert(name.to_lowercase(), (kind, key));
            continue;
        };
        let diagnostic = if *other == kind {
            Diagnostic::error("E011", site.place(&key), format!("{kind} {name} is named twice"))
                .why("a second entry would hide the first one")
        } else {
            let message = format!("{other} and {kind} have the same name, {name}");
            Diagnostic::error("E012", site.place(&key), message)
                .why("two machines of one name cannot be on the network at the same time")
        };
        let fix = format!("give one of them another name, or remove it (`{key}`)");
        found.push(diagnostic.related(site.place(first), "the first one").fix(fix));
    }
    network_name(site, found);
}

/// The network name may be the old server's, and no other machine's.
fn network_name(site: &Site, found: &mut Vec<Diagnostic>) {
    let Some(name) = &site.cluster.group.network_name else { return };
    let nodes = site.cluster.nodes.iter().enumerate();
    let taken = nodes
        .map(|(i, node)| ("a node", node.as_str(), Key::cluster("nodes").element(i)))
        .chain([("the cluster", site.cluster.name.as_str(), Key::cluster("name"))])
        .find(|(_, other, _)| other.eq_ignore_ascii_case(name.as_str()));
    if let Some((kind, _, key)) = taken {
        let place = site.place(&Key::group("network_name"));
        let message = format!("the network name {name} is the name of {kind}");
        let fix = format!("write the old server's name, `network_name = \"{}\"`", old_name(site));
        found.push(
            Diagnostic::error("E012", place, message)
                .related(site.place(&key), "it is taken here")
                .why("two machines of one name cannot be on the network at the same time")
                .fix(fix),
        );
    }
}

/// The name of the server that goes into the cluster.
fn old_name(site: &Site) -> &ServerName {
    &site.old_server().name
}

/// A folder that is read for two servers would give each mailbox twice.
fn mail_folders(site: &Site, found: &mut Vec<Diagnostic>) {
    if site.kind == SiteKind::Exchange55 {
        return;
    }
    let mut seen: BTreeMap<&str, usize> = BTreeMap::new();
    for (index, server) in site.servers.iter().enumerate() {
        let folder = server.mail.trim_start_matches("./").trim_end_matches('/');
        if let Some(first) = seen.insert(folder, index) {
            let message = format!("the folder \"{folder}\" belongs to two servers");
            found.push(
                Diagnostic::error("E015", site.place(&Key::server(index, "mail")), message)
                    .related(site.place(&Key::server(first, "mail")), "the first one")
                    .why("every mailbox in it would be moved twice")
                    .fix("give each server a folder of its own"),
            );
        }
    }
}

/// Some roles have one holder in a site.
fn roles(site: &Site, found: &mut Vec<Diagnostic>) {
    for role in Role::ALL.into_iter().filter(|role| !role.may_be_shared()) {
        let mut holders = site.servers.iter().enumerate().filter(|(_, one)| one.holds(role));
        let Some((first, _)) = holders.next() else { continue };
        for (index, server) in holders {
            let first_server = Role::FirstServerInSite;
            let both = [index, first].iter().all(|i| site.servers[*i].holds(first_server));
            if both && role != first_server {
                continue; // Said once, for `first-server-in-site` itself.
            }
            let place = site.place(&Key::server(index, "roles"));
            let message = format!("{} cannot hold {role}, too", server.name);
            let label = format!("{} holds it", site.servers[first].name);
            found.push(
                Diagnostic::error("E013", place, message)
                    .related(site.place(&Key::server(first, "roles")), label)
                    .why("one server of a site holds this role")
                    .fix(format!("take {role} from one of the two")),
            );
        }
    }
}

/// Names, homes, folders and delegates of mailboxes.
fn mailboxes(site: &Site, found: &mut Vec<Diagnostic>) {
    let listed = |server: &super::Server| site.mailboxes_of(&server.name).next().is_some();
    let all_listed = site.servers.iter().all(listed);
    let known: BTreeSet<&MailboxName> = site.mailboxes.iter().map(|one| &one.name).collect();
    let mut names: BTreeMap<String, usize> = BTreeMap::new();
    let mut folders: BTreeMap<(ServerName, &str), usize> = BTreeMap::new();
    for (index, mailbox) in site.mailboxes.iter().enumerate() {
        known_server(site, &mailbox.server, &Key::mailbox(index, "server"), found);
        if let Some(first) = names.insert(mailbox.name.folded(), index) {
            found.push(twin(site, first, index));
            continue;
        }
        if let Some(first) = folders.insert((mailbox.server.clone(), &mailbox.folder), index) {
            let message = format!("the folder \"{}\" belongs to two mailboxes", mailbox.folder);
            found.push(
                Diagnostic::error("E015", site.place(&Key::mailbox(index, "folder")), message)
                    .related(site.place(&Key::mailbox(first, "folder")), "the first one")
                    .why("its mail would arrive twice")
                    .fix("give each mailbox a folder of its own"),
            );
        }
        if all_listed {
            delegates(site, index, &known, found);
        }
    }
}

/// Two mailboxes of one name.
fn twin(site: &Site, first: usize, second: usize) -> Diagnostic {
    let name = |index: usize| &site.mailboxes[index].name;
    let message = if name(first) == name(second) {
        format!("mailbox \"{}\" is named twice", name(second))
    } else {
        format!("mailboxes \"{}\" and \"{}\" differ only in case", name(first), name(second))
    };
    Diagnostic::error("E009", site.place(&Key::mailbox(second, "name")), message)
        .label("and here")
        .related(site.place(&Key::mailbox(first, "name")), "it is named here")
        .why("mail for one of them would reach the other")
        .fix("rename one of them; `folder` keeps the name of its folder on disk")
}

/// Delegates have to be mailboxes. Where the folders name the mailboxes nobody knows yet.
fn delegates(
    site: &Site,
    index: usize,
    known: &BTreeSet<&MailboxName>,
    found: &mut Vec<Diagnostic>,
) {
    for (number, delegate) in site.mailboxes[index].delegates.iter().enumerate() {
        if known.contains(delegate) {
            continue;
        }
        let place = site.place(&Key::mailbox(index, "delegates").element(number));
        let names = site.mailboxes.iter().map(|mailbox| mailbox.name.as_str());
        let message = format!("there is no mailbox \"{delegate}\"");
        let fix = suggestion(delegate.as_str(), names, "list it as [[mailbox]] or remove it");
        let why = "delegates move together, so each has to be a mailbox of this site";
        found.push(Diagnostic::error("E017", place, message).why(why).fix(fix));
    }
}

/// "Did you mean", or what else helps.
fn suggestion<'a>(word: &str, known: impl Iterator<Item = &'a str>, otherwise: &str) -> String {
    match did_you_mean(word, known) {
        Some(near) => format!("did you mean \"{near}\"?"),
        None => otherwise.to_owned(),
    }
}

/// An alias must lead to one mailbox.
fn addresses(site: &Site, found: &mut Vec<Diagnostic>) {
    let mut owners: BTreeMap<String, (usize, Key)> = BTreeMap::new();
    for (index, mailbox) in site.mailboxes.iter().enumerate() {
        owners.entry(mailbox.name.folded()).or_insert((index, Key::mailbox(index, "name")));
    }
    for (index, mailbox) in site.mailboxes.iter().enumerate() {
        for (number, alias) in mailbox.aliases.iter().enumerate() {
            let key = Key::mailbox(index, "aliases").element(number);
            let folded = alias.as_str().to_lowercase();
            let Some((owner, first)) = owners.get(&folded) else {
                owners.insert(folded, (index, key));
                continue;
            };
            if *owner == index {
                continue;
            }
            let other: &MailboxName = &site.mailboxes[*owner].name;
            let message = format!("\"{alias}\" leads to mailbox \"{other}\" already");
            found.push(
                Diagnostic::error("E017", site.place(&key), message)
                    .related(site.place(first), "it is taken here")
                    .why("mail addressed to it could go to either")
                    .fix("keep the alias at one of the two mailboxes"),
            );
        }
    }
}

/// Names, homes and replicas of public folders.
fn public_folders(site: &Site, found: &mut Vec<Diagnostic>) {
    let mut seen: BTreeMap<&str, usize> = BTreeMap::new();
    for (index, folder) in site.public_folders.iter().enumerate() {
        known_server(site, &folder.server, &Key::public_folder(index, "server"), found);
        for (number, replica) in folder.replicas.iter().enumerate() {
            let key = Key::public_folder(index, "replicas").element(number);
            known_server(site, replica, &key, found);
        }
        if let Some(first) = seen.insert(folder.path.as_str(), index) {
            let message = format!("public folder \"{}\" is named twice", folder.path);
            found.push(
                Diagnostic::error("E018", site.place(&Key::public_folder(index, "path")), message)
                    .related(site.place(&Key::public_folder(first, "path")), "the first one")
                    .why("a second entry would hide the first one")
                    .fix("keep one of the two"),
            );
        }
        circles(site, index, found);
        if !folder.replicas.contains(&folder.server) {
            let message =
                format!("{} is home of \"{}\" without a replica", folder.server, folder.path);
            let place = site.place(&Key::public_folder(index, "replicas"));
            found.push(
                Diagnostic::error("E016", place, message)
                    .why(
                        "only a server that holds a folder's contents can be its home (KB Q185043)",
                    )
                    .fix(format!("add \"{}\" to `replicas`", folder.server)),
            );
        }
    }
}

/// Replicas that fill each other in a circle never get any contents.
fn circles(site: &Site, index: usize, found: &mut Vec<Diagnostic>) {
    let folder = &site.public_folders[index];
    for (number, (receiver, _)) in folder.filled_from.iter().enumerate() {
        let key = Key::public_folder(index, "filled_from").element(number);
        let mut way = vec![receiver];
        while let Some(giver) = giver_of(folder, way[way.len() - 1]) {
            if giver == receiver {
                // Each circle is told once, at the first of its servers.
                if way.iter().all(|server| *server >= receiver) {
                    found.push(circle(site, &key, index, &way));
                }
                break;
            }
            if way.contains(&giver) {
                break;
            }
            way.push(giver);
        }
    }
}

/// Tells of a circle.
fn circle(site: &Site, key: &Key, index: usize, way: &[&ServerName]) -> Diagnostic {
    let folder = &site.public_folders[index];
    let names: Vec<&str> = way.iter().chain(&way[..1]).map(|server| server.as_str()).collect();
    let (path, chain) = (&folder.path, names.join(" from "));
    let message = format!("replicas of \"{path}\" fill each other in a circle: {chain}");
    Diagnostic::error("E023", site.place(key), message)
        .why("none of them would ever be complete, and the plan would wait for it")
        .fix(format!("let one of them fill from {}, the folder's home", folder.server))
}

/// From which server a replica gets its contents.
fn giver_of<'a>(folder: &'a super::PublicFolder, receiver: &ServerName) -> Option<&'a ServerName> {
    let filling = folder.filled_from.iter().find(|(to, _)| to == receiver);
    filling.map(|(_, giver)| giver)
}

/// Something has its home on a server that has to be in the file.
fn known_server(site: &Site, name: &ServerName, key: &Key, found: &mut Vec<Diagnostic>) {
    if site.server(name).is_some() {
        return;
    }
    let names = || site.servers.iter().map(|server| server.name.as_str());
    let all = names().collect::<Vec<_>>().join(", ");
    let fix = if site.cluster.group.server == *name {
        format!("write where it is today ({all}); the plan takes it to {name}")
    } else {
        suggestion(name.as_str(), names(), &format!("write one of {all}, or add a [[server]]"))
    };
    let message = format!("there is no server {name}");
    let why = "its mail would be looked for on a server that nobody knows";
    found.push(Diagnostic::error("E010", site.place(key), message).why(why).fix(fix));
}
