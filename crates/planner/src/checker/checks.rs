//! What each step asks and proves: a step that has lost one of its checks is found out.

use super::Judge;
use crate::check::Check;
use crate::plan::Step;
use crate::route::Route;

/// Name of a step, and the codes that have to be among its conditions.
type Demand = (&'static str, &'static [&'static str]);

const MOVE_USERS: &[Demand] = &[
    ("S0", &["server-known", "mail-taken-in", "server-online"]),
    ("P1", &["nodes-distinct", "second-server", "same-service-account", "cluster-formed"]),
    ("P2", &["cluster-formed", "network-name-is-free", "group-configured"]),
    ("P2a", &["group-online"]),
    ("P3", &["group-online", "group-owner", "server-installed"]),
    ("P3a", &["group-online"]),
    ("P4", &["group-online", "group-owner", "node-updated"]),
    ("V1", &["same-site", "server-in-site", "directory-replicated"]),
    ("B0", &["backup-exists"]),
    ("B0c", &["backup-exists", "backup-checked"]),
    (
        "M1",
        &[
            "same-site",
            "target-has-room",
            "server-online",
            "group-online",
            "directory-replicated",
            "mailboxes-at",
        ],
    ),
    ("M2", &["public-folders-at"]),
    ("M2r", &["roles-at"]),
    ("F1", &["node-updated", "group-owner", "group-online"]),
    ("V8", &["mail-equal"]),
    ("B1", &["backup-exists"]),
    ("B1c", &["backup-exists", "backup-checked"]),
    ("M3a", &["public-folders-replicated"]),
    ("M3b", &["directory-replicated"]),
    ("M3c", &["server-online", "all-logged-on"]),
    (
        "M3",
        &[
            "all-logged-on",
            "public-folders-replicated",
            "directory-replicated",
            "backup-checked",
            "server-stopped",
        ],
    ),
    ("M3t", &["server-stopped", "works-without"]),
    ("M4", &["works-without", "mail-equal", "mailboxes-at", "server-not-in-site"]),
    ("M4d", &["computer-account-absent"]),
    ("V9", &["mail-equal"]),
];

const DISASTER_RECOVERY: &[Demand] = &[
    ("S0", &["server-known", "mail-taken-in", "server-online"]),
    ("D1", &["server-online", "account-is-administrator"]),
    ("D2", &["backup-exists"]),
    ("D2c", &["backup-exists", "backup-checked"]),
    ("D3", &["backup-checked", "same-version", "version-is"]),
    ("D4", &["backup-exists"]),
    ("D4c", &["backup-exists", "backup-checked"]),
    ("D5s", &["system-folder-replicas", "public-folders-replicated"]),
    ("D5", &["backup-checked", "server-in-site", "server-stopped"]),
    ("D5a", &["backup-exists"]),
    ("D5ac", &["backup-exists", "backup-checked"]),
    ("D6w", &["server-stopped", "backup-checked", "backup-is-latest", "computer-released"]),
    ("D6", &["computer-released", "nodes-clean"]),
    ("D7", &["nodes-distinct", "same-service-account", "cluster-formed"]),
    ("D8", &["network-name-is-server-name", "cluster-formed", "group-configured"]),
    ("D8a", &["server-stopped", "group-online"]),
    (
        "D9",
        &[
            "group-online",
            "group-owner",
            "same-service-account",
            "same-version",
            "server-in-site",
            "server-installed",
        ],
    ),
    ("D10", &["server-installed"]),
    ("D11", &["tuned"]),
    ("D11a", &["checkpoints-match"]),
    ("D12", &["resource-online"]),
    ("D13a", &["resource-online", "resource-offline"]),
    ("D13", &["resource-offline", "backup-checked", "restored"]),
    ("D13s", &["resource-offline", "backup-checked", "restored"]),
    ("D14a", &["checkpoint-absent"]),
    ("D14b", &["restored", "checkpoint-present", "restore-marker-safe"]),
    ("D14", &["restore-marker-safe", "resource-online", "recovery-finished"]),
    ("D14c", &["checkpoint-absent"]),
    ("D14d", &["checkpoint-present"]),
    ("D14e", &["checkpoint-present"]),
    ("D14w", &["directory-replicated", "change-numbers-not-behind"]),
    ("D15", &["resource-offline"]),
    ("D16", &["checkpoint-absent"]),
    ("D17", &["restored", "checkpoint-present", "restore-marker-safe"]),
    ("D18", &["checkpoints-match", "restore-marker-safe"]),
    ("D19", &["restore-marker-safe", "resource-online", "recovery-finished"]),
    ("D19a", &["checkpoint-absent"]),
    ("D19b", &["checkpoint-present"]),
    ("D19c", &["checkpoint-present"]),
    ("D20", &["group-online"]),
    ("D21", &["group-online", "group-owner", "node-updated"]),
    ("F1", &["node-updated", "group-owner", "group-online"]),
    ("B1", &["backup-exists"]),
    ("B1c", &["backup-exists", "backup-checked"]),
    ("V9", &["mail-equal"]),
];

fn demands(route: Route) -> &'static [Demand] {
    match route {
        Route::MoveUsers => MOVE_USERS,
        Route::DisasterRecovery => DISASTER_RECOVERY,
    }
}

/// The codes that a step has to have; a step of a wave or of another server has those of its kind.
pub(super) fn demanded(route: Route, id: &str) -> &'static [&'static str] {
    let own = id.split('@').next().unwrap_or(id);
    let own = if own.starts_with("M1w") { "M1" } else { own };
    demands(route).iter().find(|(name, _)| *name == own).map_or(&[], |(_, codes)| codes)
}

pub(super) fn check(judge: &mut Judge<'_>) {
    for step in &judge.plan.steps {
        for code in demanded(judge.plan.route, step.id.as_str()) {
            if !has(step, code) {
                let text = format!("step {} has lost its check {code}", step.id);
                judge.find("check-lost", Some(&step.id), text);
            }
        }
    }
}

fn has(step: &Step, code: &str) -> bool {
    let mut all = step.preconditions.iter().chain(&step.postconditions);
    all.any(|check: &Check| check.code() == code)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checker::check_plan;
    use crate::route::RouteChoice;
    use crate::testing::{inventory, plan_by};

    const ROUTES: [(Route, RouteChoice); 2] = [
        (Route::MoveUsers, RouteChoice::MoveUsers),
        (Route::DisasterRecovery, RouteChoice::DisasterRecovery),
    ];

    #[test]
    fn a_step_that_has_lost_any_one_of_its_checks_is_found_out() {
        let mut dropped = 0;
        for (route, choice) in ROUTES {
            let plan = plan_by(choice);
            for (at, step) in plan.steps.iter().enumerate() {
                assert!(!demanded(route, step.id.as_str()).is_empty(), "{} asks nothing", step.id);
                let checks = step.preconditions.iter().chain(&step.postconditions);
                for code in checks.map(Check::code) {
                    let mut without = plan.clone();
                    let step = &mut without.steps[at];
                    step.preconditions.retain(|check| check.code() != code);
                    step.postconditions.retain(|check| check.code() != code);
                    let found = check_plan(&without, &inventory());
                    assert!(!found.is_empty(), "nobody misses {code} of {}", plan.steps[at].id);
                    dropped += 1;
                }
            }
        }
        println!("{dropped} checks dropped, one at a time, each found out");
    }

    /// A row of the page: number, route, steps, codes and tests.
    struct Row<'p> {
        number: usize,
        route: Route,
        cells: [Vec<&'p str>; 3],
    }

    fn rows(page: &str) -> Vec<Row<'_>> {
        page.lines()
            .filter(|line| line.starts_with("| ") && line.as_bytes()[2].is_ascii_digit())
            .map(|line| {
                let cells: Vec<&str> = line.split('|').map(str::trim).collect();
                let split = |at: usize| -> Vec<&str> {
                    let cell = cells[at];
                    let all = cell.split(',').map(|name| name.trim().trim_matches('`'));
                    all.filter(|name| !name.is_empty() && *name != "–").collect()
                };
                let route =
                    if cells[2] == "D" { Route::DisasterRecovery } else { Route::MoveUsers };
                Row {
                    number: cells[1].parse().expect("rows begin with a number"),
                    route,
                    cells: [split(4), split(5), split(6)],
                }
            })
            .collect()
    }

    #[test]
    fn every_sentence_of_the_page_has_its_step_check_and_test() {
        let page = include_str!("../../../../docs/ancestor-sentences.md");
        let tests = [
            include_str!("tests.rs"),
            include_str!("checks.rs"),
            include_str!("../planning/tests.rs"),
            include_str!("../carrier.rs"),
            include_str!("../forecast.rs"),
            include_str!("../traps/tests.rs"),
            include_str!("../../../executor/src/executor/tests.rs"),
            include_str!("../../../../tests/it/routes.rs"),
        ]
        .concat();
        let rows = rows(page);
        for (at, row) in rows.iter().enumerate() {
            assert_eq!(row.number, at + 1, "sentences are numbered without gaps");
            let [steps, codes, names] = &row.cells;
            assert!(!names.is_empty(), "sentence {} has no test", row.number);
            for name in names {
                let known = tests.contains(&format!("fn {name}("));
                assert!(known, "sentence {}: no test is called {name}", row.number);
            }
            let asked: Vec<&str> =
                steps.iter().flat_map(|id| demanded(row.route, id)).copied().collect();
            for id in steps {
                let known = demands(row.route).iter().any(|(name, _)| name == id);
                assert!(known, "sentence {}: no step {id}", row.number);
            }
            for code in codes {
                assert!(asked.contains(code), "sentence {}: no step asks {code}", row.number);
            }
        }
        println!("{} sentences", rows.len());
        assert!(rows.len() >= 60, "{} sentences", rows.len());
    }
}
