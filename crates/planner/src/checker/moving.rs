//! Rules of the move-users route.

use std::collections::BTreeSet;

use super::Judge;
use crate::action::{Action, VerifyScope};

pub(super) fn check(judge: &mut Judge<'_>) {
    everything_moves(judge);
    before_the_move(judge);
    before_the_stop(judge);
    before_the_removal(judge);
    names(judge);
}

fn old_mailboxes<'p>(judge: &Judge<'p>) -> BTreeSet<&'p str> {
    let old = &judge.inventory.old_server;
    let boxes = judge.inventory.mailboxes.iter().filter(|mailbox| &mailbox.server == old);
    boxes.map(|mailbox| mailbox.name.as_str()).collect()
}

fn everything_moves(judge: &mut Judge<'_>) {
    let mut left = old_mailboxes(judge);
    let (mut folders, mut roles) = (BTreeSet::new(), BTreeSet::new());
    for step in &judge.plan.steps {
        match &step.action {
            Action::MoveMailboxes { mailboxes, .. } => {
                for mailbox in mailboxes.iter().filter(|name| !left.remove(name.as_str())) {
                    let text = format!("mailbox {mailbox} is moved twice or is not there");
                    judge.find("mailbox-twice", Some(&step.id), text);
                }
            }
            Action::MovePublicFolders { folders: moved, .. } => folders.extend(moved),
            Action::MoveFirstServerRoles { roles: moved, .. } => roles.extend(moved),
            _ => {}
        }
    }
    if !left.is_empty() {
        let text = format!("{} mailboxes are never moved: {left:?}", left.len());
        judge.find("mailbox-left", None, text);
    }
    let old = &judge.inventory.old_server;
    for folder in &judge.inventory.public_folders {
        let here = &folder.server == old || folder.replicas.contains(old);
        if here && !folder.system && !folders.contains(&folder.path) {
            judge.find("folder-left", None, format!("folder {} is never moved", folder.path));
        }
    }
    let own = judge.inventory.servers.iter().find(|server| &server.name == old);
    let own = own.map_or(0, |server| server.roles.len());
    if roles.len() < own {
        let text = format!("{own} roles of {old}, {} are handed over", roles.len());
        judge.find("role-left", None, text);
    }
}

fn before_the_move(judge: &mut Judge<'_>) {
    for at in judge.all(|action| matches!(action, Action::MoveMailboxes { .. })) {
        judge.demand_before(at, "move-unreplicated", "complete replication", |action| {
            matches!(action, Action::WaitDirectoryReplication { .. })
        });
        let old = &judge.inventory.old_server;
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

fn before_the_stop(judge: &mut Judge<'_>) {
    let mailboxes = old_mailboxes(judge);
    for at in judge.all(|action| matches!(action, Action::StopServer { .. })) {
        judge.demand_before(
            at,
            "stopped-before-logons",
            "all users' logons",
            |action| match action {
                Action::WaitLogons { mailboxes: of, .. } => {
                    mailboxes.iter().all(|name| of.iter().any(|have| have == name))
                }
                _ => false,
            },
        );
        judge.demand_before(at, "stopped-before-folders", "complete public folders", |action| {
            matches!(action, Action::WaitPublicFolderReplication { .. })
        });
        let moved = judge
            .all(|action| matches!(action, Action::MoveMailboxes { .. }))
            .into_iter()
            .next_back();
        let steps = &judge.plan.steps;
        let since = moved.map_or(0, |moved| moved + 1);
        let replicated = since < at
            && steps[since..at]
                .iter()
                .any(|step| matches!(step.action, Action::WaitDirectoryReplication { .. }));
        if !replicated {
            let id = steps[at].id.clone();
            let text = format!("step {id} comes before replication of the move is complete");
            judge.find("stopped-before-replication", Some(&id), text);
        }
    }
}

fn before_the_removal(judge: &mut Judge<'_>) {
    for at in judge.all(|action| matches!(action, Action::RemoveServer { .. })) {
        judge.demand_before(at, "removed-running", "a stop of the server", |action| {
            matches!(action, Action::StopServer { .. })
        });
        judge.demand_before(at, "removed-untried", "a trial without the server", |action| {
            matches!(action, Action::TrialWithout { .. })
        });
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
        judge.demand_after(at, "account-left", "the deletion of its account", |action| {
            matches!(action, Action::DeleteComputerAccount { .. })
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
