//! Every item of the page is there, by its number, with the right action, in the page's order.

use super::Judge;
use crate::route::Route;

/// Number of the item, and what is done for it.
type Item = (&'static str, &'static str);

const MOVE_USERS: &[Item] = &[
    ("P1", "create-cluster"),
    ("P2", "configure-group"),
    ("P3", "install-server"),
    ("P4", "update-node"),
    ("V1", "wait-directory-replication"),
    ("M1", "move-mailboxes"),
    ("M2", "move-public-folders"),
    ("M2r", "move-first-server-roles"),
    ("M3a", "wait-public-folder-replication"),
    ("M3b", "wait-directory-replication"),
    ("M3c", "wait-logons"),
    ("M3", "stop-server"),
    ("M4", "remove-server"),
    ("M4d", "delete-computer-account"),
];

const DISASTER_RECOVERY: &[Item] = &[
    ("D1", "log-on"),
    ("D2", "back-up"),
    ("D3", "upgrade-server"),
    ("D4", "back-up"),
    ("D5", "stop-server"),
    ("D6w", "wipe-computer"),
    ("D6", "install-nodes"),
    ("D7", "create-cluster"),
    ("D8", "configure-group"),
    ("D9", "install-server"),
    ("D10", "check-setup-result"),
    ("D11", "tune"),
    ("D12", "bring-online"),
    ("D13", "restore"),
    ("D13s", "restore"),
    ("D14", "bring-online"),
    ("D15", "inspect-checkpoints"),
    ("D16", "remove-checkpoint"),
    ("D17", "add-checkpoint"),
    ("D18", "confirm-checkpoints"),
    ("D19", "bring-online"),
    ("D20", "bring-group-online"),
    ("D21", "update-node"),
];

pub(super) fn check(judge: &mut Judge<'_>) {
    let items = match judge.plan.route {
        Route::MoveUsers => MOVE_USERS,
        Route::DisasterRecovery => DISASTER_RECOVERY,
    };
    let mut reached = 0;
    for (id, kind) in items {
        let steps = &judge.plan.steps;
        let Some(at) = steps.iter().position(|step| answers(step.id.as_str(), id)) else {
            judge.find("page-item-missing", None, format!("no step {id} ({kind})"));
            continue;
        };
        let step = &steps[at];
        if step.action.kind() != *kind {
            let text = format!("step {id} does {}, the page asks for {kind}", step.action.kind());
            judge.find("page-item-other", Some(&step.id), text);
        }
        if step.page_ref.is_empty() {
            let text = format!("step {id} does not say which item of the page it answers");
            judge.find("page-item-unnamed", Some(&step.id), text);
        }
        if at < reached {
            let text = format!("step {id} comes earlier than on the page");
            judge.find("page-order", Some(&step.id), text);
        }
        reached = reached.max(at);
    }
}

/// Whether a step is the item's; item M1 is done by one step or in waves.
fn answers(step: &str, item: &str) -> bool {
    step == item || (item == "M1" && step.starts_with("M1w"))
}
