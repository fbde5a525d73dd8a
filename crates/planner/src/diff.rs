//! What differs between two plans, in sentences.

use std::collections::BTreeMap;

use crate::format::{bytes, duration};
use crate::plan::{Plan, Step, StepId};

/// How many names a sentence has.
const NAMED_MAX: usize = 8;

/// Says what `new` does otherwise than `old`; nothing if they come to the same.
pub fn diff(old: &Plan, new: &Plan) -> Vec<String> {
    let mut found = Vec::new();
    if old.route != new.route {
        found.push(format!("route: {} then, {} now", old.route, new.route));
    }
    facts(old, new, &mut found);
    waves(old, new, &mut found);
    steps(old, new, &mut found);
    let codes = |plan: &Plan| -> Vec<String> {
        plan.warnings.iter().map(|warning| warning.code.clone()).collect()
    };
    listed("warning", &codes(old), &codes(new), &mut found);
    found
}

/// Numbers that people ask for first.
fn facts(old: &Plan, new: &Plan, found: &mut Vec<String>) {
    let mut changed = |what: &str, was: String, is: String| {
        if was != is {
            found.push(format!("{what}: {was} then, {is} now"));
        }
    };
    let (a, b) = (old.comparison.facts(old.route), new.comparison.facts(new.route));
    let count = |plan: &Plan| plan.inventory.moving().count().to_string();
    changed("mailboxes", count(old), count(new));
    changed("mail", bytes(old.inventory.logical_bytes()), bytes(new.inventory.logical_bytes()));
    let user = |facts: &crate::RouteFacts| duration(facts.user_interruption_seconds.likely);
    changed("a user is kept out", user(a), user(b));
    let away = |facts: &crate::RouteFacts| duration(facts.outage_seconds.likely);
    changed("the whole server is away", away(a), away(b));
    changed("room on the disk", bytes(a.target_disk_bytes), bytes(b.target_disk_bytes));
    let p80 = |plan: &Plan| duration(u64::try_from(plan.forecast.moved_seconds.p80).unwrap_or(0));
    changed("all mail moved in four of five cases", p80(old), p80(new));
    let grade = |plan: &Plan| plan.forecast.grade.letter.clone();
    changed("grade of the numbers", grade(old), grade(new));
    let turn = |plan: &Plan| {
        let at = plan.point_of_no_return().map(|at| plan.steps[at].id.to_string());
        at.unwrap_or_else(|| "none".to_owned())
    };
    changed("point of no return", turn(old), turn(new));
}

fn waves(old: &Plan, new: &Plan, found: &mut Vec<String>) {
    let (a, b) = (&old.schedule.waves, &new.schedule.waves);
    if a.len() != b.len() {
        found.push(format!("waves: {} then, {} now", a.len(), b.len()));
    }
    for (was, is) in a.iter().zip(b) {
        if was.mailboxes != is.mailboxes || was.opens_us != is.opens_us {
            found.push(format!(
                "{}: {} mailboxes then, {} now{}",
                is.name,
                was.mailboxes,
                is.mailboxes,
                if was.opens_us == is.opens_us { "" } else { ", in another window" }
            ));
        }
    }
}

fn steps(old: &Plan, new: &Plan, found: &mut Vec<String>) {
    let ids = |plan: &Plan| -> Vec<String> {
        plan.steps.iter().map(|step| step.id.to_string()).collect()
    };
    listed("step", &ids(old), &ids(new), found);
    let of: BTreeMap<&StepId, &Step> = old.steps.iter().map(|step| (&step.id, step)).collect();
    let other = |step: &&Step| of.get(&step.id).is_some_and(|was| was.action != step.action);
    let changed: Vec<String> =
        new.steps.iter().filter(other).map(|step| step.id.to_string()).collect();
    if !changed.is_empty() {
        found.push(format!("does something else: {}", some(&changed)));
    }
}

/// What came and what went.
fn listed(what: &str, old: &[String], new: &[String], found: &mut Vec<String>) {
    let without = |these: &[String], those: &[String]| -> Vec<String> {
        let known: std::collections::BTreeSet<&String> = those.iter().collect();
        these.iter().filter(|one| !known.contains(one)).cloned().collect()
    };
    for (word, names) in [("new", without(new, old)), ("gone", without(old, new))] {
        if !names.is_empty() {
            found.push(format!("{word} {what}s: {}", some(&names)));
        }
    }
}

/// The first names, and how many more there are.
fn some(names: &[String]) -> String {
    let shown = names.iter().take(NAMED_MAX).cloned().collect::<Vec<_>>().join(", ");
    match names.len().saturating_sub(NAMED_MAX) {
        0 => shown,
        more => format!("{shown} and {more} more"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::planning::plan;
    use crate::route::RouteChoice;
    use crate::testing::{inventory, options, plan_by};

    #[track_caller]
    fn check(change: impl Fn(&mut crate::Inventory), expected: &[&str]) {
        let mut site = inventory();
        change(&mut site);
        let new = plan(&site, &options(RouteChoice::Auto)).expect("feasible");
        let found = diff(&plan_by(RouteChoice::Auto), &new);
        for words in expected {
            assert!(found.iter().any(|one| one.contains(words)), "no {words:?} in {found:#?}");
        }
        assert_eq!(found.is_empty(), expected.is_empty(), "{found:#?}");
    }

    #[test]
    fn what_differs_between_two_plans_is_said() {
        check(|_| (), &[]);
        check(
            |site| site.wishes.second_server = false,
            &["route: move-users then, disaster-recovery now", "new steps: D1", "gone steps: P1"],
        );
        check(
            |site| site.waves.mailboxes_max = Some(2),
            &["waves: 0 then, 2 now", "new steps: M1w0, M1w1", "gone steps: M1"],
        );
        check(|site| site.mailboxes[0].bytes *= 40, &["mail: 1000.0 MiB then, 4.4 GiB now"]);
        check(|site| site.cluster.free_bytes = None, &["new warnings: room-unknown"]);
    }
}
