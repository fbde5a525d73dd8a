//! Rules for any plan: names, order, point of no return, gates, conditions, proof at the end.

use std::collections::{BTreeMap, BTreeSet};

use super::Judge;
use crate::action::{Action, VerifyScope};
use crate::plan::{Owner, Step, Undo};

pub(super) fn check(judge: &mut Judge<'_>) {
    order(judge);
    no_return(judge);
    gates(judge);
    conditions(judge);
    critical_path(judge);
    proof(judge);
    backups(judge);
    installation(judge);
    mail(judge);
}

fn order(judge: &mut Judge<'_>) {
    let mut seen = BTreeSet::new();
    let known: BTreeSet<_> = judge.plan.steps.iter().map(|step| &step.id).collect();
    for step in &judge.plan.steps {
        for before in &step.depends_on {
            if !known.contains(before) {
                let text = format!("step {} depends on {before}, which is no step", step.id);
                judge.find("unknown-dependency", Some(&step.id), text);
            } else if !seen.contains(before) {
                let text = format!("step {} comes before {before}, which it depends on", step.id);
                judge.find("order", Some(&step.id), text);
            }
        }
        if !seen.insert(&step.id) {
            let text = format!("two steps are called {}", step.id);
            judge.find("duplicate-step", Some(&step.id), text);
        }
    }
}

/// What cannot be taken back, whatever the step itself says.
fn is_final(action: &Action) -> bool {
    matches!(
        action,
        Action::WipeComputer { .. }
            | Action::InstallNodes { .. }
            | Action::RemoveServer { .. }
            | Action::DeleteComputerAccount { .. }
            | Action::Restore { .. }
    )
}

fn no_return(judge: &mut Judge<'_>) {
    let mut past = false;
    for step in &judge.plan.steps {
        if past && !step.past_point_of_no_return {
            let text = format!("step {} claims a way back after the point of no return", step.id);
            judge.find("way-back-claimed", Some(&step.id), text);
        }
        past |= step.past_point_of_no_return;
        let lost = matches!(step.undo, Undo::Impossible { .. }) || is_final(&step.action);
        if lost && !step.past_point_of_no_return {
            let text = format!("step {} cannot be undone and is not marked so", step.id);
            judge.find("no-return-unmarked", Some(&step.id), text);
        }
        if is_final(&step.action) && !matches!(step.undo, Undo::Impossible { .. }) {
            let text = format!("step {} promises an undo that does not exist", step.id);
            judge.find("undo-promised", Some(&step.id), text);
        }
    }
    let first = judge.plan.steps.iter().find(|step| step.past_point_of_no_return);
    if let Some(step) = first.filter(|step| !is_final(&step.action)) {
        let text = format!("step {} can be undone, but is the point of no return", step.id);
        judge.find("no-return-early", Some(&step.id), text);
    }
}

fn gates(judge: &mut Judge<'_>) {
    for step in &judge.plan.steps {
        let grave =
            matches!(step.action, Action::WipeComputer { .. } | Action::RemoveServer { .. });
        if grave && !matches!(step.owner, Owner::Human { .. }) {
            let text = format!("step {} destroys something and asks nobody", step.id);
            judge.find("gate-missing", Some(&step.id), text);
        }
    }
}

/// Codes of the preconditions that an action must not be without.
fn demanded(action: &Action) -> &'static [&'static str] {
    match action {
        Action::CreateCluster { .. } => &["same-service-account"],
        Action::InstallServer { .. } => &["group-online"],
        Action::MoveMailboxes { .. } => {
            &["same-site", "target-has-room", "server-online", "directory-replicated"]
        }
        Action::StopServer { .. } => &["backup-checked"],
        Action::RemoveServer { .. } => &["works-without", "mailboxes-at", "mail-equal"],
        Action::WipeComputer { .. } => &["server-stopped", "backup-checked", "backup-is-latest"],
        Action::Restore { .. } => &["resource-offline", "backup-checked"],
        Action::UpdateNode { .. } => &["group-online", "group-owner"],
        Action::CheckBackup { .. } => &["backup-exists"],
        _ => &[],
    }
}

fn conditions(judge: &mut Judge<'_>) {
    for step in &judge.plan.steps {
        for code in demanded(&step.action) {
            if !has_precondition(step, code) {
                let text = format!("step {} does not ask for {code}", step.id);
                judge.find("precondition-missing", Some(&step.id), text);
            }
        }
        let shows = matches!(step.action, Action::InspectCheckpoints { .. });
        if step.postconditions.is_empty() && !shows {
            let text = format!("nothing tells whether step {} is done", step.id);
            judge.find("postcondition-missing", Some(&step.id), text);
        }
    }
}

fn has_precondition(step: &Step, code: &str) -> bool {
    step.preconditions.iter().any(|check| check.code() == code)
}

fn critical_path(judge: &mut Judge<'_>) {
    let steps: BTreeMap<_, _> = judge.plan.steps.iter().map(|step| (&step.id, step)).collect();
    for pair in judge.plan.critical_path.windows(2) {
        let linked = steps.get(&pair[1]).is_some_and(|step| step.depends_on.contains(&pair[0]));
        if !linked {
            let text = format!("{} does not depend on {}", pair[1], pair[0]);
            judge.find("critical-path", Some(&pair[1]), text);
        }
    }
}

/// The end of either route: a fail-over, a backup that was read back, a comparison of all mail.
fn proof(judge: &mut Judge<'_>) {
    let Some(over) = judge.all(|action| matches!(action, Action::FailOver { .. })).pop() else {
        judge.find("fail-over-untried", None, "no step fails the group over");
        return;
    };
    if let Action::FailOver { to, .. } = &judge.step(over).action {
        judge.demand_before(
            over,
            "node-not-updated",
            "an update of the node",
            |action| matches!(action, Action::UpdateNode { node, .. } if node == to),
        );
    }
    judge.demand_after(over, "backup-missing", "a full backup", |action| {
        matches!(action, Action::BackUp { kind: crate::action::BackupKind::Full, .. })
    });
    judge.demand_after(over, "verify-missing", "a comparison of all mail", |action| {
        matches!(action, Action::Verify { scope: VerifyScope::Content, .. })
    });
    let last = judge.plan.steps.last();
    if !last.is_some_and(|step| matches!(step.action, Action::Verify { .. })) {
        judge.find("verify-missing", None, "the last step does not compare the mail");
    }
}

/// Every backup is read back, and builds on one that exists.
fn backups(judge: &mut Judge<'_>) {
    use crate::action::BackupKind;
    for at in judge.all(|action| matches!(action, Action::BackUp { .. })) {
        let Action::BackUp { label, kind, .. } = &judge.step(at).action else { continue };
        judge.demand_after(
            at,
            "backup-unchecked",
            "reading it back",
            |action| matches!(action, Action::CheckBackup { label: of } if of == label),
        );
        if let BackupKind::After(earlier) = kind {
            judge.demand_before(
                at,
                "backup-chain",
                "the backup it builds on",
                |action| matches!(action, Action::BackUp { label, .. } if label == earlier),
            );
        }
    }
}

/// The group is online before the installation, and again before another node is updated.
fn installation(judge: &mut Judge<'_>) {
    let online = |action: &Action| matches!(action, Action::BringGroupOnline { .. });
    let Some(installed) = judge.all(|at| matches!(at, Action::InstallServer { .. })).pop() else {
        return;
    };
    let made = judge.all(|action| matches!(action, Action::ConfigureGroup { .. }));
    let steps = &judge.plan.steps;
    let since = made.last().map_or(0, |made| made + 1).min(installed);
    if !steps[since..installed].iter().any(|step| online(&step.action)) {
        let text = "the server is installed into a group that is offline";
        judge.find("installed-offline", Some(&steps[installed].id), text);
    }
    for at in judge.all(|action| matches!(action, Action::UpdateNode { .. })) {
        if at > installed && !steps[installed..at].iter().any(|step| online(&step.action)) {
            let text = "the node is updated while the group is offline";
            judge.find("updated-offline", Some(&steps[at].id), text);
        }
    }
}

/// The mail is taken in before any of it is backed up or moved.
fn mail(judge: &mut Judge<'_>) {
    let taken = judge.all(|action| matches!(action, Action::TakeIn { .. }));
    let used =
        judge.all(|action| matches!(action, Action::BackUp { .. } | Action::MoveMailboxes { .. }));
    let late = match (taken.first(), used.first()) {
        (None, _) => true,
        (Some(taken), Some(used)) => used < taken,
        (Some(_), None) => false,
    };
    if late {
        judge.find("mail-not-there", None, "the mail is used before it is taken in");
    }
}
