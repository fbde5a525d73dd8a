//! Every trap is set once, and the plan refuses, warns or has the steps that keep clear of it.

use std::collections::BTreeSet;

use rehome_site::{FACTS, Fact, FactKind};

use super::*;
use crate::checker::check_plan;
use crate::inventory::Inventory;
use crate::plan::Plan;
use crate::planning::plan;
use crate::route::RouteChoice;
use crate::testing::{inventory, options};

/// Sets a fact.
fn set(site: &mut Inventory, key: &str, fact: Fact) {
    site.facts.insert(key.to_owned(), fact);
}

/// Sets a trap.
fn spring(site: &mut Inventory, code: &str) {
    let list = |names: &[&str]| Fact::List(names.iter().map(|name| (*name).to_owned()).collect());
    let mut put = |key: &str, fact| set(site, key, fact);
    match code {
        "standard-edition" => put("nodes_edition", Fact::Text("standard".to_owned())),
        "nt-service-pack" => put("nodes_nt_service_pack", Fact::Number(3)),
        "server-before-cluster" => put("server_before_cluster", Fact::Flag(true)),
        "group-disk-type" => put("group_disk_type", Fact::Text("Volume Set".to_owned())),
        "group-disk-partition" => put("group_disk_partition", Fact::Number(2)),
        "address-not-static" => put("group_address_static", Fact::Flag(false)),
        "setup-leftovers" => put("nodes_with_leftovers", list(&["N1"])),
        "no-local-administrator" => put("nodes_without_local_admin", list(&["N2"])),
        "account-recreated" => put("account_recreated", Fact::Flag(true)),
        "backup-unread" => put("backup_read_back", Fact::Flag(false)),
        "repaired-since-backup" => put("repaired_since_backup", Fact::Flag(true)),
        "circular-logging" | "circular-logging-while-moving" => {
            put("circular_logging", Fact::Flag(true));
        }
        "store-limit" => put("store_limit_gib", Fact::Number(0)),
        "organization-name-differs" => {
            put("organization_in_database", Fact::Text("CONTOSO".to_owned()));
        }
        "site-name-differs" => put("site_in_database", Fact::Text("REDMOND".to_owned())),
        "replication-backlog" => put("replication_backlog", Fact::Number(7)),
        "administration-goes-on" => put("administration_frozen", Fact::Flag(false)),
        "key-management" => site.servers[0].roles.push("key-management".to_owned()),
        "component-unsupported" => put("components", list(&["internet-mail-service", "x25"])),
        "only-domain-controller" => put("only_domain_controller", Fact::Flag(true)),
        "quorum-disk-full" => put("quorum_free_mib", Fact::Number(49)),
        "single-network" => put("cluster_networks", Fact::Number(1)),
        "name-servers-differ" => put("wins_servers_differ", Fact::Flag(true)),
        other => spring_later(site, other),
    }
}

/// Sets a trap that lies later on the way.
fn spring_later(site: &mut Inventory, code: &str) {
    let list = |names: &[&str]| Fact::List(names.iter().map(|name| (*name).to_owned()).collect());
    let mut put = |key: &str, fact| set(site, key, fact);
    match code {
        "users-not-warned" => put("users_warned", Fact::Flag(false)),
        "mailbox-over-limit" => put("target_mailbox_limit_mib", Fact::Number(100)),
        "deleted-items" => put("deleted_item_days", Fact::Number(7)),
        "event-scripts" => put("mailboxes_with_scripts", list(&["anna"])),
        "folder-rules" => put("mailboxes_with_rules", list(&["boss"])),
        "virus-scanner" => put("antivirus_api", Fact::Flag(true)),
        "alternate-recipients" => put("mailboxes_with_alternates", list(&["boss"])),
        "renamed-folders" => put("mailboxes_renamed_folders", list(&["pa"])),
        "transfer-agent-cache" => put("mta_cache_seconds", Fact::Number(60)),
        "folders-of-one-site" => {
            put("administration_home_site_only", Fact::Flag(true));
            put("other_sites", Fact::Number(1));
        }
        "offline-copies" => put("outlook_offline_users", Fact::Number(3)),
        "server-object-deleted" => put("server_object_deleted", Fact::Flag(true)),
        "node-accounts" => put("node_accounts_renewed", Fact::Flag(false)),
        "offline-backup" => put("offline_backup", Fact::Flag(true)),
        "backup-logs-missing" => put("backup_logs_complete", Fact::Flag(false)),
        "start-deadline" => put("start_deadline_seconds", Fact::Number(1)),
        "backup-key" => put("backup_key_checkpointed", Fact::Flag(false)),
        "several-network-cards" => put("network_cards", Fact::Number(2)),
        // The others lie there always.
        _ => {}
    }
}

fn choice(route: Route) -> RouteChoice {
    match route {
        Route::MoveUsers => RouteChoice::MoveUsers,
        Route::DisasterRecovery => RouteChoice::DisasterRecovery,
    }
}

/// Sets a trap on a route and sees what the plan does about it.
#[track_caller]
fn check(trap: &Trap, route: Route) {
    let mut site = inventory();
    spring(&mut site, trap.code);
    let made = plan(&site, &options(choice(route)));
    match (trap.answer, made) {
        (Answer::Refuses, Err(refused)) => {
            let codes: Vec<_> = refused.obstacles().iter().map(|at| at.code.clone()).collect();
            assert!(codes.iter().any(|code| code == trap.code), "{}: {codes:?}", trap.code);
        }
        (Answer::Refuses, Ok(_)) => panic!("{}: a plan was made by {route}", trap.code),
        (_, Err(refused)) => panic!("{}: {refused}", trap.code),
        (Answer::Warns, Ok(plan)) => {
            let codes: Vec<_> = plan.warnings.iter().map(|one| one.code.clone()).collect();
            assert!(codes.iter().any(|code| code == trap.code), "{}: {codes:?}", trap.code);
            assert_eq!(standing(&plan, trap.code), TrapStanding::Warned);
        }
        (Answer::WorksAround(steps), Ok(plan)) => {
            assert_eq!(standing(&plan, trap.code), TrapStanding::WorkedAround);
            keeps_clear(trap, &plan, &site, steps);
        }
    }
}

fn standing(plan: &Plan, code: &str) -> TrapStanding {
    let state = plan.traps.iter().find(|state| state.code == code);
    state.expect("every trap of the route is in the plan").state
}

/// The plan has steps that keep clear of the trap, and without any of them it is refused.
fn keeps_clear(trap: &Trap, plan: &Plan, site: &Inventory, steps: &[&str]) {
    let own: Vec<&&str> =
        steps.iter().filter(|id| plan.steps.iter().any(|step| step.id.as_str() == **id)).collect();
    assert!(!own.is_empty(), "{}: none of {steps:?} is in the plan", trap.code);
    for id in own {
        let mut without = plan.clone();
        without.steps.retain(|step| step.id.as_str() != *id);
        for step in &mut without.steps {
            step.depends_on.retain(|before| before.as_str() != *id);
        }
        without.critical_path.clear();
        assert!(!check_plan(&without, site).is_empty(), "{}: nobody misses {id}", trap.code);
    }
}

#[test]
fn every_trap_is_refused_warned_of_or_kept_clear_of() {
    let mut done = BTreeSet::new();
    for trap in traps() {
        for route in trap.routes {
            check(trap, *route);
        }
        done.insert(trap.code);
    }
    println!("{} traps", done.len());
    assert_eq!(done.len(), traps().count(), "two traps have one name");
    assert!(done.len() >= 40);
}

#[test]
fn a_site_that_has_set_no_trap_is_clear_of_all() {
    for route in [Route::MoveUsers, Route::DisasterRecovery] {
        let plan = plan(&inventory(), &options(choice(route))).expect("feasible");
        let set = plan.traps.iter().filter(|one| one.state == TrapStanding::Warned);
        assert_eq!(set.count(), 0);
    }
}

#[test]
fn what_nobody_has_said_is_listed_where_people_carry_the_plan_out() {
    let mut site = inventory();
    let unknown = |site: &Inventory| {
        let plan = plan(site, &options(RouteChoice::MoveUsers)).expect("feasible");
        plan.traps.iter().filter(|one| one.state == TrapStanding::Unknown).count()
    };
    assert_eq!(unknown(&site), 0);
    site.kind = SiteKind::Exchange55;
    let all = unknown(&site);
    assert!(all > 20, "{all}");
    set(&mut site, "users_warned", Fact::Flag(true));
    assert_eq!(unknown(&site), all - 1);
}

#[test]
fn every_trap_has_its_texts_and_every_fact_decides_one() {
    for trap in traps() {
        assert!(
            trap.evidence.contains("KB Q")
                || trap.evidence.contains("the page")
                || trap.evidence.contains("resource kit"),
            "{}",
            trap.code
        );
        assert!(!trap.consequence.is_empty() && !trap.remedy.is_empty(), "{}", trap.code);
    }
    // Facts that decide a trap together with another one.
    let beside = ["source_service_pack", "other_sites"];
    for fact in FACTS.iter().filter(|fact| !beside.contains(&fact.key)) {
        let decides = traps().any(|trap| trap.fact == Some(fact.key));
        assert!(decides, "facts.{} decides nothing", fact.key);
        assert!(matches!(
            fact.kind,
            FactKind::Flag | FactKind::Number | FactKind::Text | FactKind::List
        ));
    }
    for key in traps().filter_map(|trap| trap.fact) {
        assert!(FACTS.iter().any(|fact| fact.key == key), "facts.{key} cannot be stated");
    }
}

#[test]
fn the_guide_lists_every_trap_with_its_answer() {
    let page = include_str!("../../../../docs/guide/traps.md");
    let mut listed = BTreeSet::new();
    for trap in traps() {
        let answer = match trap.answer {
            Answer::Refuses => "refuses".to_owned(),
            Answer::Warns => "warns".to_owned(),
            Answer::WorksAround(steps) => steps.join(", "),
        };
        let fact = trap.fact.map_or_else(|| "–".to_owned(), |fact| format!("`{fact}`"));
        let routes: Vec<&str> = trap
            .routes
            .iter()
            .map(|one| if *one == Route::MoveUsers { "M" } else { "D" })
            .collect();
        let row = format!(
            "| `{}` | {} | {fact} | {answer} | {} |",
            trap.code,
            routes.join(", "),
            trap.evidence
        );
        assert!(page.contains(&row), "docs/guide/traps.md lacks\n{row}");
        listed.insert(row);
    }
    let rows = page.lines().filter(|line| line.starts_with("| `")).count();
    assert_eq!(rows, listed.len(), "the guide lists traps that are none");
}
