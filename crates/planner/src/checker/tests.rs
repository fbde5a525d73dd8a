//! Faults seeded into good plans, and the rules that find them.

use super::*;
use crate::check::Severity;
use crate::plan::{Owner, Undo};
use crate::route::RouteChoice;
use crate::testing::{inventory, plan_by};

/// Breaks a plan of each route that has what `break_it` looks for, and wants the rule `code`.
#[track_caller]
fn check(route: RouteChoice, code: &str, break_it: impl Fn(&mut Plan)) {
    let mut plan = plan_by(route);
    break_it(&mut plan);
    let codes: Vec<_> = check_plan(&plan, &inventory()).iter().map(|f| f.code).collect();
    assert!(codes.contains(&code), "expected {code}, found {codes:?}");
}

fn at(plan: &Plan, id: &str) -> usize {
    plan.steps.iter().position(|step| step.id.as_str() == id).expect("the plan has the step")
}

fn drop_step(plan: &mut Plan, id: &str) {
    let gone = plan.steps.remove(at(plan, id)).id;
    plan.critical_path.clear();
    for step in &mut plan.steps {
        step.depends_on.retain(|before| *before != gone);
    }
}

const BOTH: [RouteChoice; 2] = [RouteChoice::MoveUsers, RouteChoice::DisasterRecovery];
use RouteChoice::{DisasterRecovery as D, MoveUsers as M};

#[test]
fn the_planners_own_plans_have_no_fault() {
    for route in BOTH {
        assert_eq!(check_plan(&plan_by(route), &inventory()), []);
    }
}

#[test]
fn a_plan_without_any_one_of_its_steps_is_found_out() {
    for route in BOTH {
        for index in 0..plan_by(route).steps.len() {
            let mut plan = plan_by(route);
            let id = plan.steps[index].id.clone();
            drop_step(&mut plan, id.as_str());
            let found = check_plan(&plan, &inventory());
            assert!(!found.is_empty(), "nobody misses step {id}");
        }
    }
}

#[test]
fn any_two_dependent_steps_in_the_wrong_order_are_found_out() {
    for route in BOTH {
        let plan = plan_by(route);
        for later in 0..plan.steps.len() {
            for before in &plan.steps[later].depends_on {
                let mut broken = plan.clone();
                broken.steps.swap(at(&plan, before.as_str()), later);
                assert!(!check_plan(&broken, &inventory()).is_empty(), "{before} and {later}");
            }
        }
    }
}

#[test]
fn a_missing_item_of_the_page_is_named() {
    check(M, "page-item-missing", |plan| drop_step(plan, "M2"));
    check(D, "page-item-missing", |plan| drop_step(plan, "D15"));
    check(D, "page-item-other", |plan| {
        let other = plan.steps[0].action.clone();
        let index = at(plan, "D18");
        plan.steps[index].action = other;
    });
    check(D, "page-item-unnamed", |plan| {
        let index = at(plan, "D10");
        plan.steps[index].page_ref.clear();
    });
}

#[test]
fn the_point_of_no_return_is_where_it_is() {
    check(M, "no-return-unmarked", |plan| {
        let index = at(plan, "M4");
        plan.steps[index].past_point_of_no_return = false;
    });
    check(D, "way-back-claimed", |plan| {
        let index = at(plan, "D17");
        plan.steps[index].past_point_of_no_return = false;
    });
    check(D, "no-return-early", |plan| {
        let index = at(plan, "D5");
        plan.steps[index..].iter_mut().for_each(|step| step.past_point_of_no_return = true);
    });
    check(M, "undo-promised", |plan| {
        let index = at(plan, "M4");
        plan.steps[index].undo = Undo::NotNeeded;
    });
}

#[test]
fn nothing_is_destroyed_without_asking_and_without_a_backup() {
    check(M, "gate-missing", |plan| {
        let index = at(plan, "M4");
        plan.steps[index].owner = Owner::Machine;
    });
    check(D, "wiped-unsaved", |plan| drop_step(plan, "D5ac"));
    check(D, "wiped-running", |plan| drop_step(plan, "D5"));
    check(M, "removed-unverified", |plan| drop_step(plan, "V8"));
    check(M, "removed-untried", |plan| drop_step(plan, "M3t"));
    check(M, "stopped-before-logons", |plan| drop_step(plan, "M3c"));
    check(M, "stopped-before-replication", |plan| drop_step(plan, "M3b"));
    check(D, "backup-unchecked", |plan| drop_step(plan, "D4c"));
    check(D, "restore-unchecked", |plan| drop_step(plan, "D4c"));
}

#[test]
fn a_mailbox_that_is_left_behind_is_found() {
    check(M, "mailbox-left", |plan| {
        let index = at(plan, "M1");
        if let Action::MoveMailboxes { mailboxes, .. } = &mut plan.steps[index].action {
            mailboxes.pop();
        }
    });
    check(M, "mailbox-twice", |plan| {
        let index = at(plan, "M1");
        if let Action::MoveMailboxes { mailboxes, .. } = &mut plan.steps[index].action {
            mailboxes.push("anna".to_owned());
        }
    });
}

#[test]
fn the_traps_of_the_restore_are_found() {
    check(D, "marker-wiped", |plan| drop_step(plan, "D14b"));
    check(D, "marker-wiped", |plan| drop_step(plan, "D16"));
    check(D, "root-checkpoint-stays", |plan| drop_step(plan, "D19a"));
    check(D, "root-checkpoint-stays", |plan| drop_step(plan, "D14c"));
    check(D, "tuning-lost", |plan| drop_step(plan, "D11a"));
    check(D, "restore-running", |plan| drop_step(plan, "D13a"));
    check(D, "installed-offline", |plan| drop_step(plan, "D8a"));
    check(D, "other-name", |plan| {
        let index = at(plan, "D8");
        if let Action::ConfigureGroup { network_name, .. } = &mut plan.steps[index].action {
            "EXCL1".clone_into(network_name);
        }
    });
    check(D, "object-deleted", |plan| {
        let index = at(plan, "D20");
        plan.steps[index].action =
            Action::RemoveServer { server: "EX1".to_owned(), through: "EX2".to_owned() };
    });
    check(D, "restore-incomplete", |plan| {
        let index = at(plan, "D13s");
        if let Action::Restore { labels, .. } = &mut plan.steps[index].action {
            labels.pop();
        }
    });
}

#[test]
fn a_step_without_its_conditions_is_found() {
    for route in BOTH {
        for index in 0..plan_by(route).steps.len() {
            let mut plan = plan_by(route);
            let shows = matches!(plan.steps[index].action, Action::InspectCheckpoints { .. });
            plan.steps[index].postconditions.clear();
            let codes: Vec<_> = check_plan(&plan, &inventory()).iter().map(|f| f.code).collect();
            assert_eq!(codes.contains(&"postcondition-missing"), !shows, "{index}");
        }
    }
    check(D, "precondition-missing", |plan| {
        let index = at(plan, "D6w");
        plan.steps[index].preconditions.clear();
    });
}

#[test]
fn every_condition_of_a_plan_has_evidence_and_a_remedy() {
    for route in BOTH {
        for step in plan_by(route).steps {
            for check in step.preconditions.iter().chain(&step.postconditions) {
                assert_ne!(check.evidence, "the plan", "{} {}", step.id, check.code());
                assert!(!check.remedy.is_empty());
                assert!(check.severity == Severity::Blocks || step.id.as_str() == "D5s");
            }
        }
    }
}
