//! The two routes, step by step.

mod disaster_recovery;
mod move_users;

use rehome_site::{Role, SiteKind};

use crate::action::{Action, BackupKind, VerifyScope};
use crate::check::Condition;
use crate::draft::Draft;
use crate::inventory::Inventory;
use crate::plan::Step;
use crate::route::Route;
use crate::waves::Packed;

/// Label of the backup that the mail comes back from, on the disaster-recovery route.
const FULL: &str = "for-cluster";
/// Label of what came after it, until the old server stood still.
const TAIL: &str = "for-cluster-tail";
/// Label of the last backup of either route.
const FINAL: &str = "final";

/// The steps of a route in the order in which they are carried out.
pub(crate) fn steps(inventory: &Inventory, route: Route, packed: &Packed) -> Vec<Step> {
    match route {
        Route::MoveUsers => move_users::steps(inventory, packed),
        Route::DisasterRecovery => disaster_recovery::steps(inventory),
    }
}

/// What must hold before a route is begun, as far as the inventory can tell.
pub(crate) fn demands(inventory: &Inventory, route: Route) -> Vec<Condition> {
    let server = inventory.old_server.clone();
    let mut demands = vec![
        Condition::ServerKnown { server: server.clone() },
        Condition::NodesDistinct,
        Condition::SameServiceAccount { server: server.clone() },
        Condition::SameVersion {
            server: server.clone(),
            version: inventory.cluster.version.clone(),
        },
        Condition::TargetHasRoom { need_bytes: crate::estimate::target_bytes(inventory) },
    ];
    match route {
        Route::MoveUsers => demands.extend([
            Condition::SecondServer,
            Condition::SameSite { from: server, to: inventory.cluster.server.clone() },
            Condition::NetworkNameIsFree { name: inventory.cluster.server.clone() },
        ]),
        Route::DisasterRecovery => demands
            .extend([Condition::NetworkNameIsServerName { server }, Condition::OneServerGoes]),
    }
    demands
}

/// Takes the mail of a server in; both routes begin with it.
fn take_in(draft: &mut Draft<'_>, id: &str, server: &str) {
    let server = server.to_owned();
    let title = match draft.inventory.kind {
        SiteKind::Rehome => format!("take the mail in as server {server}"),
        SiteKind::Exchange55 => format!("see that server {server} holds the mail that is listed"),
    };
    draft
        .step(id, "", &title, Action::TakeIn { server: server.clone() })
        .pre(Condition::ServerKnown { server: server.clone() })
        .post(Condition::MailTakenIn { server: server.clone() })
        .post(Condition::ServerOnline { server })
        .why(
            "the folders of mail are only read; everything after this step works on the copy",
            "every message is accounted for before anything moves",
        );
}

/// A backup and the reading back of it, as two steps `id` and `id` with `c` at its end, or before
/// the name of its server.
fn back_up(
    draft: &mut Draft<'_>,
    (id, page_ref): (&str, &str),
    server: &str,
    (label, kind): (&str, BackupKind),
    after: &[&str],
) {
    let (server, label) = (server.to_owned(), label.to_owned());
    let checked = match id.split_once('@') {
        Some((base, server)) => format!("{base}c@{server}"),
        None => format!("{id}c"),
    };
    let title = match &kind {
        BackupKind::Full => format!("back up store and directory of {server} as {label}"),
        BackupKind::After(earlier) => format!("back up what came after {earlier} as {label}"),
    };
    draft
        .step(id, page_ref, &title, Action::BackUp { server, label: label.clone(), kind })
        .after(after)
        .post(Condition::BackupExists { label: label.clone() });
    draft
        .step(
            &checked,
            "",
            &format!("read backup {label} back"),
            Action::CheckBackup { label: label.clone() },
        )
        .after(&[id])
        .pre(Condition::BackupExists { label: label.clone() })
        .post(Condition::BackupChecked { label })
        .why(
            "a damaged page is found only when it is read, so a backup counts once it was read",
            "KB Q185078, Q151789",
        );
}

/// Fails the group over to the second node.
fn fail_over(draft: &mut Draft<'_>, after: &[&str]) {
    let group = draft.inventory.cluster.group.clone();
    let to = draft.inventory.cluster.nodes.get(1).cloned().unwrap_or_default();
    draft
        .step(
            "F1",
            "",
            &format!("fail over to {to}"),
            Action::FailOver { group: group.clone(), to: to.clone() },
        )
        .after(after)
        .pre(Condition::NodeUpdated { group: group.clone(), node: to.clone() })
        .post(Condition::GroupOwner { group: group.clone(), node: to })
        .post(Condition::GroupOnline { group })
        .why("a cluster that was never failed over is not known to work", "KB Q238063");
}

/// Compares the mail at `server` with what was taken in.
fn verify(draft: &mut Draft<'_>, id: &str, server: &str, scope: VerifyScope, after: &[&str]) {
    let what = match scope {
        VerifyScope::Catalog => "every message's identifiers and flags",
        VerifyScope::Content => "every message, byte for byte",
    };
    let server = server.to_owned();
    draft
        .step(id, "", &format!("compare {what}"), Action::Verify { server: server.clone(), scope })
        .after(after)
        .post(Condition::MailEqual { server })
        .why(
            "nothing is released before its successor is verified",
            "the source of record is what was taken in",
        );
}

/// What a server does for its site, with the first server's roles spelled out.
fn roles_of(inventory: &Inventory, server: &str) -> Vec<String> {
    let Some(facts) = inventory.server(server) else { return Vec::new() };
    let mut roles: Vec<String> = Vec::new();
    for word in &facts.roles {
        match Role::from_word(word) {
            Some(Role::FirstServerInSite) => {
                roles.extend(Role::FIRST_SERVER.iter().map(|role| role.as_str().to_owned()));
            }
            _ => roles.push(word.clone()),
        }
    }
    roles.sort();
    roles.dedup();
    roles
}

/// Which folders of a server are meant.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Folders {
    /// Those that people use.
    Public,
    /// Those that the site needs; they go with the role they belong to.
    System,
}

/// Paths of the folders whose home is `server` or that have a replica there, sorted.
fn folders_of(inventory: &Inventory, server: &str, which: Folders) -> Vec<String> {
    let here = |folder: &&crate::inventory::PublicFolderFacts| {
        folder.server == server || folder.replicas.iter().any(|at| at == server)
    };
    let mut paths: Vec<String> = inventory
        .public_folders
        .iter()
        .filter(|folder| folder.system == (which == Folders::System))
        .filter(here)
        .map(|folder| folder.path.clone())
        .collect();
    paths.sort();
    paths
}
