//! Which plans are made, and what stands in the way of others.

use super::*;
use crate::testing::{inventory, options, plan_by};

/// The codes and places of what stands in the way of a route after `change`.
#[track_caller]
fn check(asked: RouteChoice, change: impl Fn(&mut Inventory), expected: &[(&str, &str)]) {
    let mut inventory = inventory();
    change(&mut inventory);
    let found = match plan(&inventory, &options(asked)) {
        Ok(_) => Vec::new(),
        Err(infeasible) => infeasible
            .obstacles()
            .iter()
            .map(|at| (at.code.clone(), at.place.clone()))
            .collect::<Vec<_>>(),
    };
    let found: Vec<_> = found.iter().map(|(code, at)| (code.as_str(), at.as_str())).collect();
    assert_eq!(found, expected);
}

#[test]
fn different_service_accounts_stop_both_routes() {
    let change = |inventory: &mut Inventory| {
        inventory.cluster.service_account = "CONTOSO\\clussvc".to_owned();
    };
    let expected = [("same-service-account", "cluster.service_account")];
    check(RouteChoice::Auto, change, &expected);
    check(RouteChoice::MoveUsers, change, &expected);
    check(RouteChoice::DisasterRecovery, change, &expected);
}

#[test]
fn accounts_are_the_same_in_any_case() {
    let change = |inventory: &mut Inventory| {
        inventory.cluster.service_account = "contoso\\EXSVC".to_owned();
    };
    check(RouteChoice::Auto, change, &[]);
}

#[test]
fn users_move_only_with_two_machines_in_one_site() {
    let alone = |inventory: &mut Inventory| inventory.wishes.second_server = false;
    check(RouteChoice::MoveUsers, alone, &[("second-server", "route.second_server")]);
    check(RouteChoice::DisasterRecovery, alone, &[]);
    let apart = |inventory: &mut Inventory| inventory.cluster.site = "Berlin".to_owned();
    check(RouteChoice::MoveUsers, apart, &[("same-site", "server[0].name")]);
    check(RouteChoice::DisasterRecovery, apart, &[]);
}

#[test]
fn a_recovered_server_keeps_its_name_and_a_new_one_needs_its_own() {
    let other = |inventory: &mut Inventory| {
        inventory.cluster.network_name = Some("EXCL1".to_owned());
    };
    let expected = [("network-name-is-server-name", "cluster.group.network_name")];
    check(RouteChoice::DisasterRecovery, other, &expected);
    check(RouteChoice::MoveUsers, other, &[]);
    let taken = |inventory: &mut Inventory| inventory.cluster.server = "ex2".to_owned();
    check(RouteChoice::MoveUsers, taken, &[("network-name-is-free", "cluster.group.server")]);
    check(RouteChoice::DisasterRecovery, taken, &[]);
}

#[test]
fn a_small_disk_an_old_version_and_a_single_node_stop_both_routes() {
    let small = |inventory: &mut Inventory| inventory.cluster.free_bytes = Some(1 << 20);
    check(RouteChoice::Auto, small, &[("target-has-room", "cluster.group.free")]);
    let old = |inventory: &mut Inventory| inventory.cluster.version = "4.0".to_owned();
    check(RouteChoice::Auto, old, &[("same-version", "cluster.version")]);
    let single = |inventory: &mut Inventory| inventory.cluster.nodes.truncate(1);
    check(RouteChoice::Auto, single, &[("nodes-distinct", "cluster.nodes")]);
    let unknown = |inventory: &mut Inventory| inventory.old_server = "EX9".to_owned();
    check(RouteChoice::Auto, unknown, &[("server-known", "server")]);
}

#[test]
fn limits_on_time_stop_the_route_that_breaks_them() {
    let outage = |inventory: &mut Inventory| inventory.wishes.max_outage_minutes = Some(1);
    check(RouteChoice::DisasterRecovery, outage, &[("outage-limit", "route.max_outage_minutes")]);
    check(RouteChoice::MoveUsers, outage, &[]);
    let lock = |inventory: &mut Inventory| {
        inventory.wishes.max_user_interruption_seconds = Some(1);
    };
    let expected = [("interruption-limit", "route.max_user_interruption_seconds")];
    check(RouteChoice::MoveUsers, lock, &expected);
    check(RouteChoice::DisasterRecovery, lock, &[]);
}

#[test]
fn the_choice_flips_where_the_comparison_says() {
    let chosen = |change: &dyn Fn(&mut Inventory)| {
        let mut inventory = inventory();
        change(&mut inventory);
        plan(&inventory, &options(RouteChoice::Auto)).map(|plan| plan.route).ok()
    };
    assert_eq!(chosen(&|_| {}), Some(Route::MoveUsers));
    assert_eq!(chosen(&|at| at.wishes.second_server = false), Some(Route::DisasterRecovery));
    let need = crate::compare(&inventory(), 0).move_users.target_disk_bytes;
    assert_eq!(chosen(&|at| at.cluster.free_bytes = Some(need)), Some(Route::MoveUsers));
    assert_eq!(chosen(&|at| at.cluster.free_bytes = Some(need - 1)), None);
}

#[test]
fn mailboxes_that_work_together_are_cut_over_together_small_groups_first() {
    let plan = plan_by(RouteChoice::MoveUsers);
    let moved = plan.steps.iter().find_map(|step| match &step.action {
        crate::Action::MoveMailboxes { mailboxes, .. } => Some(mailboxes.clone()),
        _ => None,
    });
    assert_eq!(moved.expect("the plan moves mailboxes"), ["anna", "pa", "boss"]);
}

#[test]
fn a_plan_survives_json_and_is_the_same_for_the_same_inventory() {
    for route in [RouteChoice::MoveUsers, RouteChoice::DisasterRecovery] {
        let made = plan_by(route);
        assert_eq!(made, plan_by(route));
        let text = made.to_json();
        assert_eq!(Plan::from_json(&text).unwrap(), made);
        let later = text.replacen("\"format\": 1", "\"format\": 2", 1);
        assert!(matches!(Plan::from_json(&later), Err(crate::PlanError::Format { format: 2 })));
        let half = &text[..text.len() / 2];
        assert!(matches!(Plan::from_json(half), Err(crate::PlanError::Unreadable { .. })));
    }
}

#[test]
fn one_step_as_json() {
    let plan = plan_by(RouteChoice::DisasterRecovery);
    insta::assert_snapshot!(serde_json::to_string_pretty(&plan.step(&"D17".into())).unwrap());
}

#[test]
fn the_critical_path_is_a_chain_from_the_first_to_the_last_step() {
    for route in [RouteChoice::MoveUsers, RouteChoice::DisasterRecovery] {
        let plan = plan_by(route);
        assert_eq!(plan.critical_path.first(), Some(&plan.steps[0].id));
        assert_eq!(plan.critical_path.last(), Some(&plan.steps[plan.steps.len() - 1].id));
    }
}

#[test]
fn a_server_without_mailboxes_goes_all_the_same() {
    for mailboxes_max in [None, Some(1)] {
        let mut empty = inventory();
        empty.mailboxes.clear();
        (empty.unique_bytes, empty.waves.mailboxes_max) = (0, mailboxes_max);
        let plan = plan(&empty, &options(RouteChoice::MoveUsers)).expect("feasible");
        assert!(plan.step(&"M1".into()).is_some());
        assert_eq!(crate::check_plan(&plan, &empty), []);
    }
}

#[test]
fn of_several_servers_some_may_have_no_mailboxes() {
    let mut site = inventory();
    site.wishes.all_servers = true;
    for name in site.servers.iter().map(|server| server.name.clone()).collect::<Vec<_>>() {
        let mut one = site.clone();
        one.mailboxes.iter_mut().for_each(|mailbox| mailbox.server.clone_from(&name));
        for mailboxes_max in [None, Some(2)] {
            one.waves.mailboxes_max = mailboxes_max;
            let plan = plan(&one, &options(RouteChoice::MoveUsers)).expect("feasible");
            assert_eq!(crate::check_plan(&plan, &one), [], "all mailboxes on {name}");
        }
    }
}
