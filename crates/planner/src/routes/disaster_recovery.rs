//! The disaster-recovery route: the same server, built again as a group of the cluster.

mod before;
mod rebuild;
mod restore;

use super::{Folders, folders_of, take_in};
use crate::draft::Draft;
use crate::inventory::Inventory;
use crate::plan::Step;

/// Names that nearly every step of the route needs.
struct Names {
    server: String,
    group: String,
    nodes: Vec<String>,
    primary: String,
    /// Other servers of the site.
    peers: Vec<String>,
    /// System folders with a replica on the server.
    system_folders: Vec<String>,
}

pub(super) fn steps(inventory: &Inventory) -> Vec<Step> {
    let nodes = inventory.cluster.nodes.clone();
    let names = Names {
        server: inventory.old_server.clone(),
        group: inventory.cluster.group.clone(),
        primary: nodes.first().cloned().unwrap_or_default(),
        nodes,
        peers: inventory
            .servers
            .iter()
            .map(|server| server.name.clone())
            .filter(|name| *name != inventory.old_server)
            .collect(),
        system_folders: folders_of(inventory, &inventory.old_server, Folders::System),
    };
    let mut draft = Draft::new(inventory);
    take_in(&mut draft, "S0", &names.server);
    before::add(&mut draft, &names);
    rebuild::add(&mut draft, &names);
    restore::add(&mut draft, &names);
    draft.in_order("D6w")
}
