//! Judging conditions by the inventory alone, before anything runs.

use rehome_site::Role;

use crate::check::{Check, Condition};
use crate::inventory::{Inventory, ServerFacts};
use crate::route::Obstacle;

/// What the inventory says about a condition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Judgement {
    /// It holds.
    Met,
    /// It does not hold.
    Violated(Obstacle),
    /// The inventory cannot tell; the executor asks when the step is due.
    AtRunTime,
}

/// What is wrong, and where in the site file.
struct Fault {
    place: String,
    cause: String,
    consequence: &'static str,
}

/// Judges a check by the inventory.
pub fn judge(check: &Check, inventory: &Inventory) -> Judgement {
    let fault = match &check.condition {
        Condition::ServerKnown { server } => server_known(inventory, server),
        Condition::SameServiceAccount { server } => same_service_account(inventory, server),
        Condition::SameSite { from, .. } => same_site(inventory, from),
        Condition::SecondServer => second_server(inventory),
        Condition::TargetHasRoom { need_bytes } => target_has_room(inventory, *need_bytes),
        Condition::NetworkNameIsServerName { server } => network_name_is(inventory, server),
        Condition::NetworkNameIsFree { name } => network_name_is_free(inventory, name),
        Condition::NodesDistinct => nodes_distinct(inventory),
        Condition::OneServerGoes => one_server_goes(inventory),
        Condition::SameVersion { server, version } => version_reachable(inventory, server, version),
        Condition::SystemFolderReplicas { server } => system_folder_replicas(inventory, server),
        _ => return Judgement::AtRunTime,
    };
    match fault {
        None => Judgement::Met,
        Some(fault) => Judgement::Violated(Obstacle {
            code: check.code(),
            place: fault.place,
            cause: fault.cause,
            consequence: fault.consequence.to_owned(),
            remedy: check.remedy.clone(),
            evidence: check.evidence.clone(),
        }),
    }
}

/// Whether the server has the role, by itself or as the first server of its site.
pub(crate) fn holds(server: &ServerFacts, role: Role) -> bool {
    server.roles.iter().filter_map(|word| Role::from_word(word)).any(|own| own.implies(role))
}

/// Compares two versions number by number; text that is no number compares as text.
pub(crate) fn compare_versions(a: &str, b: &str) -> std::cmp::Ordering {
    fn parts(text: &str) -> Vec<(u64, &str)> {
        text.split(['.', '-', ' '])
            .map(|part| part.parse().map_or((0, part), |number| (number, "")))
            .collect()
    }
    let (mut a, mut b) = (parts(a), parts(b));
    let length = a.len().max(b.len());
    a.resize(length, (0, ""));
    b.resize(length, (0, ""));
    a.cmp(&b)
}

fn place_of_server(inventory: &Inventory, server: &str, key: &str) -> String {
    match inventory.servers.iter().position(|known| known.name == server) {
        Some(index) => format!("server[{index}].{key}"),
        None => "server".to_owned(),
    }
}

fn server_known(inventory: &Inventory, server: &str) -> Option<Fault> {
    if inventory.server(server).is_some() {
        return None;
    }
    Some(Fault {
        place: "server".to_owned(),
        cause: format!("the site has no server {server}"),
        consequence: "there is nothing to migrate",
    })
}

fn same_service_account(inventory: &Inventory, server: &str) -> Option<Fault> {
    let account = &inventory.server(server)?.service_account;
    let cluster = &inventory.cluster.service_account;
    if account.eq_ignore_ascii_case(cluster) {
        return None;
    }
    Some(Fault {
        place: "cluster.service_account".to_owned(),
        cause: format!("the cluster runs under {cluster}, server {server} under {account}"),
        consequence: "the server's services would not start in the cluster",
    })
}

fn same_site(inventory: &Inventory, server: &str) -> Option<Fault> {
    let own = |site: &str| if site.is_empty() { inventory.site.clone() } else { site.to_owned() };
    let from = own(&inventory.server(server)?.site);
    let to = own(&inventory.cluster.site);
    if from == to {
        return None;
    }
    Some(Fault {
        place: place_of_server(inventory, server, "name"),
        cause: format!("server {server} is in site {from}, the cluster in site {to}"),
        consequence: "mailboxes move only within one site",
    })
}

fn second_server(inventory: &Inventory) -> Option<Fault> {
    if inventory.wishes.second_server {
        return None;
    }
    Some(Fault {
        place: "route.second_server".to_owned(),
        cause: "there is no hardware to run the old server and the cluster at once".to_owned(),
        consequence: "there is nowhere to move the mailboxes to while they are in use",
    })
}

fn target_has_room(inventory: &Inventory, need_bytes: u64) -> Option<Fault> {
    let free = inventory.cluster.free_bytes?;
    if free >= need_bytes {
        return None;
    }
    Some(Fault {
        place: "cluster.group.free".to_owned(),
        cause: format!("the group's disk has {free} bytes free and {need_bytes} are needed"),
        consequence: "the store would stop for want of room in the middle of the move",
    })
}

fn network_name_is(inventory: &Inventory, server: &str) -> Option<Fault> {
    let name = inventory.cluster.network_name.as_deref().unwrap_or(server);
    if name.eq_ignore_ascii_case(server) {
        return None;
    }
    Some(Fault {
        place: "cluster.group.network_name".to_owned(),
        cause: format!("the group's network name is {name}, the old server's name is {server}"),
        consequence: "the restored directory would not know its own server",
    })
}

fn network_name_is_free(inventory: &Inventory, name: &str) -> Option<Fault> {
    let server = inventory.servers.iter().any(|known| known.name.eq_ignore_ascii_case(name));
    let node = inventory.cluster.nodes.iter().any(|node| node.eq_ignore_ascii_case(name));
    let cause = match (name.is_empty(), server, node) {
        (true, ..) => "the group's server has no name".to_owned(),
        (_, true, _) => format!("{name} is the name of a server of the site, too"),
        (_, _, true) => format!("{name} is the name of a node, too"),
        _ => return None,
    };
    let place = "cluster.group.server".to_owned();
    Some(Fault { place, cause, consequence: "two machines would answer to one name" })
}

fn one_server_goes(inventory: &Inventory) -> Option<Fault> {
    let leaving = inventory.leaving().len();
    (leaving > 1).then(|| Fault {
        place: "route.all_servers".to_owned(),
        cause: format!("{leaving} servers are to go and one can be rebuilt"),
        consequence: "the others would not come back",
    })
}

fn nodes_distinct(inventory: &Inventory) -> Option<Fault> {
    let nodes = &inventory.cluster.nodes;
    let place = "cluster.nodes".to_owned();
    if nodes.len() < 2 {
        let cause = format!("the cluster has {} of at least 2 nodes", nodes.len());
        return Some(Fault { place, cause, consequence: "there is nowhere to fail over to" });
    }
    for (index, node) in nodes.iter().enumerate() {
        let twice = nodes[..index].iter().any(|other| other.eq_ignore_ascii_case(node));
        let server = inventory.servers.iter().any(|known| known.name.eq_ignore_ascii_case(node));
        if twice || server {
            let also = if twice { "another node" } else { "a server of the site" };
            let cause = format!("{node} is the name of a node and of {also}");
            return Some(Fault { place, cause, consequence: "two machines would answer to it" });
        }
    }
    None
}

fn version_reachable(inventory: &Inventory, server: &str, version: &str) -> Option<Fault> {
    let own = &inventory.server(server)?.version;
    if compare_versions(own, version).is_le() {
        return None;
    }
    Some(Fault {
        place: "cluster.version".to_owned(),
        cause: format!("server {server} has version {own}, the nodes have {version}"),
        consequence: "databases of the newer version cannot be opened by the older one",
    })
}

fn system_folder_replicas(inventory: &Inventory, server: &str) -> Option<Fault> {
    let facts = inventory.server(server)?;
    let alone: Vec<_> = inventory
        .public_folders
        .iter()
        .enumerate()
        .filter(|(_, folder)| folder.system && !folder.replicas.iter().any(|at| at != server))
        .collect();
    let (first, folder) = *alone.first()?;
    if !Role::FIRST_SERVER.iter().any(|role| holds(facts, *role)) {
        return None;
    }
    Some(Fault {
        place: format!("public_folder[{first}].replicas"),
        cause: format!(
            "{} with a replica on {server} alone, {} among them",
            crate::format::plural(alone.len(), "system folder", "system folders"),
            folder.path
        ),
        consequence: "free and busy times and forms are away as long as the server is",
    })
}
