//! Rules of the disaster-recovery route.

use std::collections::BTreeSet;

use super::Judge;
use crate::action::{Action, RegistryKey, Resource};

pub(super) fn check(judge: &mut Judge<'_>) {
    the_object_stays(judge);
    name(judge);
    before_the_wipe(judge);
    before_the_installation(judge);
    restores(judge);
    tuning(judge);
    checkpoints(judge);
    steady_checkpoints(judge);
    catch_up(judge);
}

fn the_object_stays(judge: &mut Judge<'_>) {
    for at in judge.all(|action| matches!(action, Action::RemoveServer { .. })) {
        let id = judge.step(at).id.clone();
        judge.find("object-deleted", Some(&id), "the server would never replicate again");
    }
}

fn name(judge: &mut Judge<'_>) {
    let old = &judge.inventory.old_server;
    for step in &judge.plan.steps {
        let named = match &step.action {
            Action::ConfigureGroup { network_name, .. } => network_name,
            Action::InstallServer { server, .. } | Action::Restore { server, .. } => server,
            _ => continue,
        };
        if named != old {
            let text = format!("step {} names {named}, the old server is {old}", step.id);
            judge.find("other-name", Some(&step.id), text);
        }
    }
}

/// Nothing is given up before the last word of the old server is in a backup that was read back.
fn before_the_wipe(judge: &mut Judge<'_>) {
    let stop = judge.all(|action| matches!(action, Action::StopServer { .. }));
    for at in judge
        .all(|action| matches!(action, Action::WipeComputer { .. } | Action::InstallNodes { .. }))
    {
        let id = judge.step(at).id.clone();
        let Some(stopped) = stop.iter().copied().find(|stopped| *stopped < at) else {
            judge.find("wiped-running", Some(&id), format!("step {id}: the server still runs"));
            continue;
        };
        let steps = &judge.plan.steps[stopped..at];
        let last = steps.iter().rev().find_map(|step| match &step.action {
            Action::BackUp { label, .. } => Some(label),
            _ => None,
        });
        let checked = last.is_some_and(|label| {
            steps.iter().any(
                |step| matches!(&step.action, Action::CheckBackup { label: of } if of == label),
            )
        });
        if !checked {
            let text = format!("step {id}: no checked backup holds what came before the stop");
            judge.find("wiped-unsaved", Some(&id), text);
        }
    }
    for at in stop {
        judge.demand_before(at, "system-folders", "a look at the system folders", |action| {
            matches!(action, Action::CheckSystemFolders { .. })
        });
    }
    for at in judge.all(|action| matches!(action, Action::UpgradeServer { .. })) {
        judge.demand_before(at, "upgrade-without-backup", "a checked backup", |action| {
            matches!(action, Action::CheckBackup { .. })
        });
        judge.demand_after(at, "upgrade-without-backup", "a full backup", |action| {
            matches!(action, Action::BackUp { kind: crate::action::BackupKind::Full, .. })
        });
    }
}

fn before_the_installation(judge: &mut Judge<'_>) {
    for at in judge.all(|action| matches!(action, Action::InstallServer { .. })) {
        let id = judge.step(at).id.clone();
        let recover = matches!(
            judge.step(at).action,
            Action::InstallServer { mode: crate::action::InstallMode::Recover, .. }
        );
        if !recover {
            judge.find("installed-new", Some(&id), "a new server would join beside the old object");
        }
    }
    for at in judge.all(|action| matches!(action, Action::BringGroupOnline { .. })) {
        judge.demand_before(at, "two-of-one-name", "a stop of the old server", |action| {
            matches!(action, Action::StopServer { .. })
        });
    }
}

fn restores(judge: &mut Judge<'_>) {
    for at in judge.all(|action| matches!(action, Action::Restore { .. })) {
        let Action::Restore { labels, part, .. } = &judge.step(at).action else { continue };
        for label in labels {
            judge.demand_before(
                at,
                "restore-unchecked",
                "reading the backup back",
                |action| matches!(action, Action::CheckBackup { label: of } if of == label),
            );
        }
        let taken = judge.plan.steps.iter().filter_map(|step| match &step.action {
            Action::BackUp { label, server, .. } if server == &judge.inventory.old_server => {
                Some((step.past_point_of_no_return, label))
            }
            _ => None,
        });
        let last = taken.filter(|(past, _)| !past).map(|(_, label)| label).next_back();
        if last.is_some_and(|label| labels.last() != Some(label)) {
            let id = judge.step(at).id.clone();
            let text = format!("step {id} leaves out what the last backup holds");
            judge.find("restore-incomplete", Some(&id), text);
        }
        judge.demand_before(at, "restore-running", "the service offline", |action| {
            matches!(
                action,
                Action::TakeOffline { resource: Resource::Directory, .. }
                    | Action::TakeGroupOffline { .. }
            )
        });
        judge.demand_after(
            at,
            "restore-unused",
            "bringing the part online",
            |action| matches!(action, Action::BringOnline { resource, .. } if resource == part),
        );
    }
    for part in [Resource::Directory, Resource::Store] {
        let restored =
            judge.all(|action| matches!(action, Action::Restore { part: of, .. } if *of == part));
        if restored.len() != 1 {
            let text = format!("the {part} is restored {} times", restored.len());
            judge.find("restore-count", None, text);
        }
    }
}

/// Tuning is in the checkpoints before anything comes online again.
fn tuning(judge: &mut Judge<'_>) {
    for at in judge.all(|action| matches!(action, Action::Tune { .. })) {
        let next = judge.plan.steps[at + 1..].iter().find(|step| {
            matches!(
                step.action,
                Action::RefreshCheckpoints { .. }
                    | Action::BringOnline { .. }
                    | Action::BringGroupOnline { .. }
            )
        });
        let kept =
            next.is_some_and(|step| matches!(step.action, Action::RefreshCheckpoints { .. }));
        if !kept {
            let id = judge.step(at).id.clone();
            judge.find("tuning-lost", Some(&id), "the next online would undo the tuning");
        }
    }
}

/// Plays the checkpoints through: who holds the marker when a part comes online, what stays.
fn checkpoints(judge: &mut Judge<'_>) {
    let mut root = BTreeSet::from([Resource::Directory, Resource::Store]);
    let mut stale = BTreeSet::new();
    for step in &judge.plan.steps {
        match &step.action {
            Action::Restore { part, .. } => {
                stale.insert(*part);
            }
            Action::RemoveCheckpoint { resource, key: RegistryKey::Root, .. } => {
                root.remove(resource);
            }
            Action::AddCheckpoint { resource, key: RegistryKey::Root, .. }
                if root.insert(*resource) =>
            {
                stale.remove(resource);
            }
            Action::BringOnline { resource, .. } if stale.contains(resource) => {
                let text = format!("step {} would wipe the {resource}'s restore marker", step.id);
                judge.find("marker-wiped", Some(&step.id), text);
            }
            _ => {}
        }
    }
    for resource in root {
        let text = format!("the root checkpoint of the {resource} stays at the end");
        judge.find("root-checkpoint-stays", None, text);
    }
}

/// Settings reach the other node only if they are in a checkpoint that was taken online.
fn steady_checkpoints(judge: &mut Judge<'_>) {
    for resource in [Resource::Directory, Resource::Store] {
        for key in [RegistryKey::Parameters, RegistryKey::Diagnostics] {
            let first = judge.all(|action| match action {
                Action::BringOnline { resource: of, .. } => *of == resource,
                _ => false,
            });
            let Some(online) = first.first().copied() else { continue };
            judge.demand_after(
                online,
                "checkpoint-missing",
                "a checkpoint of settings",
                |action| {
                    matches!(
                        action,
                        Action::AddCheckpoint { resource: of, key: which, .. }
                            if *of == resource && *which == key
                    )
                },
            );
        }
    }
}

/// With other servers in the site, the restored directory catches up before anything is written.
fn catch_up(judge: &mut Judge<'_>) {
    if judge.inventory.servers.len() < 2 {
        return;
    }
    let directory = judge
        .all(|action| matches!(action, Action::BringOnline { resource: Resource::Directory, .. }));
    for at in directory {
        judge.demand_after(at, "not-caught-up", "complete replication", |action| {
            matches!(action, Action::WaitDirectoryReplication { .. })
        });
    }
}
