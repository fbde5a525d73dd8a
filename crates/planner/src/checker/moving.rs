//! Rules of the move-users route.

use std::collections::{BTreeMap, BTreeSet};

use super::{Judge, waves};
use crate::action::{Action, VerifyScope};

pub(super) fn check(judge: &mut Judge<'_>) {
    let going = going(judge);
    everything_moves(judge, &going);
    waves::check(judge);
    before_the_move(judge);
    before_the_stop(judge, &going);
    before_the_removal(judge);
    names(judge);
}

/// The mailboxes of each server that goes.
type Going<'p> = BTreeMap<&'p str, BTreeSet<&'p str>>;

fn going<'p>(judge: &Judge<'p>) -> Going<'p> {
    let inventory = judge.inventory;
    let mut going = Going::new();
    going.insert(&inventory.old_server, BTreeSet::new());
    if inventory.wishes.all_servers {
        going.extend(inventory.servers.iter().map(|one| (one.name.as_str(), BTreeSet::new())));
    }
    for mailbox in &inventory.mailboxes {
        if let Some(names) = going.get_mut(mailbox.server.as_str()) {
            names.insert(&mailbox.name);
        }
    }
    going
}

fn everything_moves(judge: &mut Judge<'_>, going: &Going<'_>) {
    let mut left: BTreeSet<&str> = going.values().flatten().copied().collect();
    let (mut folders, mut roles) = (BTreeSet::new(), BTreeSet::new());
    for step in &judge.plan.steps {
        match &step.action {
            Action::MoveMailboxes { from, mailboxes, .. } => {
                let own = going.get(from.as_str());
                for mailbox in mailboxes {
                    let known = own.is_some_and(|own| own.contains(mailbox.as_str()));
                    if !left.remove(mailbox.as_str()) || !known {
                        let text = format!("mailbox {mailbox} is moved twice or is not there");
                        judge.find("mailbox-twice", Some(&step.id), text);
                    }
                }
            }
            Action::MovePublicFolders { folders: moved, .. } => folders.extend(moved),
            Action::MoveFirstServerRoles { from, roles: moved, .. } => {
                roles.extend(moved.iter().map(|role| (from.as_str(), role.as_str())));
            }
            _ => {}
        }
    }
    if !left.is_empty() {
        let some: Vec<&str> = left.iter().take(5).copied().collect();
        let text = format!("{} mailboxes are never moved: {some:?}", left.len());
        judge.find("mailbox-left", None, text);
    }
    for folder in &judge.inventory.public_folders {
        let mut at = folder.replicas.iter().chain([&folder.server]);
        let here = at.any(|server| going.contains_key(server.as_str()));
        if here && !folder.system && !folders.contains(&folder.path) {
            judge.find("folder-left", None, format!("folder {} is never moved", folder.path));
        }
    }
    for server in judge.inventory.servers.iter().filter(|one| going.contains_key(&*one.name)) {
        let handed = roles.iter().filter(|(from, _)| *from == server.name).count();
        if handed < server.roles.len() {
            let (name, own) = (&server.name, server.roles.len());
            let text = format!("{own} roles of {name}, {handed} are handed over");
            judge.find("role-left", None, text);
        }
    }
}

fn before_the_move(judge: &mut Judge<'_>) {
    for at in judge.all(|action| matches!(action, Action::MoveMailboxes { .. })) {
        let Action::MoveMailboxes { from: old, .. } = &judge.step(at).action else { continue };
        judge.demand_before(
            at,
            "move-unreplicated",
            "complete replication",
            |action| matches!(action, Action::WaitDirectoryReplication { from, .. } if from == old),
        );
        judge.demand_before(
            at,
            "move-without-backup",
            "a backup of the old server",
            |action| matches!(action, Action::BackUp { server, .. } if server == old),
        );
        judge.demand_before(at, "move-without-backup", "a backup that was read back", |action| {
            matches!(action, Action::CheckBackup { .. })
        });
    }
}

fn before_the_stop(judge: &mut Judge<'_>, going: &Going<'_>) {
    let none = BTreeSet::new();
    for at in judge.all(|action| matches!(action, Action::StopServer { .. })) {
        let Action::StopServer { server } = &judge.step(at).action else { continue };
        let mailboxes = going.get(server.as_str()).unwrap_or(&none);
        let logged_on: BTreeSet<&str> = judge.plan.steps[..at]
            .iter()
            .filter_map(|step| match &step.action {
                Action::WaitLogons { mailboxes, .. } => Some(mailboxes),
                _ => None,
            })
            .filter(|of| of.first().is_none_or(|first| mailboxes.contains(first.as_str())))
            .flatten()
            .map(String::as_str)
            .collect();
        let waits = judge.plan.steps[..at]
            .iter()
            .any(|step| matches!(step.action, Action::WaitLogons { .. }));
        if !waits || !mailboxes.is_subset(&logged_on) {
            let id = judge.step(at).id.clone();
            let text = format!("step {id} comes without all users' logons before it");
            judge.find("stopped-before-logons", Some(&id), text);
        }
        let folders = "complete public folders";
        judge.demand_before(at, "stopped-before-folders", folders, |action| match action {
            Action::WaitPublicFolderReplication { server: of, .. } => of == server,
            _ => false,
        });
        replicated_since_the_move(judge, at, server);
    }
}

/// Between the last move from a server and its stop its directory is replicated again.
fn replicated_since_the_move(judge: &mut Judge<'_>, at: usize, server: &str) {
    let steps = &judge.plan.steps;
    let moved = steps.iter().rposition(
        |step| matches!(&step.action, Action::MoveMailboxes { from, .. } if from == server),
    );
    let since = moved.map_or(0, |moved| moved + 1);
    let waits = |action: &Action| match action {
        Action::WaitDirectoryReplication { from, .. } => from == server,
        _ => false,
    };
    let replicated = since < at && steps[since..at].iter().any(|step| waits(&step.action));
    if !replicated {
        let id = steps[at].id.clone();
        let text = format!("step {id} comes before replication of the move is complete");
        judge.find("stopped-before-replication", Some(&id), text);
    }
}

fn before_the_removal(judge: &mut Judge<'_>) {
    for at in judge.all(|action| matches!(action, Action::RemoveServer { .. })) {
        let Action::RemoveServer { server: gone, .. } = &judge.step(at).action else { continue };
        judge.demand_before(
            at,
            "removed-running",
            "a stop of the server",
            |action| matches!(action, Action::StopServer { server } if server == gone),
        );
        judge.demand_before(
            at,
            "removed-untried",
            "a trial without the server",
            |action| matches!(action, Action::TrialWithout { server } if server == gone),
        );
        judge.demand_before(at, "removed-unverified", "a comparison of all mail", |action| {
            matches!(action, Action::Verify { scope: VerifyScope::Content, .. })
        });
        let target = &judge.inventory.cluster.server;
        judge.demand_before(
            at,
            "removed-without-backup",
            "a backup of the new server",
            |action| matches!(action, Action::BackUp { server, .. } if server == target),
        );
        let account = "the deletion of its account";
        judge.demand_after(at, "account-left", account, |action| match action {
            Action::DeleteComputerAccount { computer } => computer == gone,
            _ => false,
        });
    }
}

fn names(judge: &mut Judge<'_>) {
    for step in &judge.plan.steps {
        let Action::ConfigureGroup { network_name, .. } = &step.action else { continue };
        if judge.inventory.servers.iter().any(|server| &server.name == network_name) {
            let text = format!("the group is called {network_name}, as is a running server");
            judge.find("name-taken", Some(&step.id), text);
        }
    }
}
