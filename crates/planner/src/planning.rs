//! From an inventory to a plan.

use std::collections::{BTreeMap, BTreeSet};

use crate::action::Action;
use crate::compare::compare_packed;
use crate::draft::critical_path;
use crate::forecast;
use crate::inventory::Inventory;
use crate::plan::{PLAN_FORMAT, Plan, StepId, Warning};
use crate::route::{Comparison, Obstacle, Route, RouteChoice};
use crate::routes;
use crate::traps;
use crate::waves::{self, Schedule};

/// What the caller decides about a plan.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct PlanOptions {
    /// The route; if it is [`RouteChoice::Auto`], the inventory's wish counts.
    pub route: RouteChoice,
    /// Now, in microseconds since 1970.
    pub now_us: i64,
    /// Hash of the inventory; the plan is bound to it.
    pub inventory_hash: String,
}

/// No route can be gone, or not the one asked for.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[error("no plan: {}", self.summary())]
pub struct Infeasible {
    /// The route that was asked for.
    pub asked: RouteChoice,
    /// Both routes with their obstacles.
    pub comparison: Box<Comparison>,
}

impl Infeasible {
    /// The obstacles in the way of what was asked for, each once.
    pub fn obstacles(&self) -> Vec<&Obstacle> {
        let routes = match self.asked {
            RouteChoice::MoveUsers => vec![Route::MoveUsers],
            RouteChoice::DisasterRecovery => vec![Route::DisasterRecovery],
            RouteChoice::Auto => vec![Route::MoveUsers, Route::DisasterRecovery],
        };
        let mut found: Vec<&Obstacle> = Vec::new();
        for obstacle in routes.iter().flat_map(|route| &self.comparison.facts(*route).obstacles) {
            if !found.contains(&obstacle) {
                found.push(obstacle);
            }
        }
        found
    }

    fn summary(&self) -> String {
        let causes: Vec<String> = self
            .obstacles()
            .iter()
            .map(|at| format!("{}: {}; {}; {}", at.place, at.cause, at.consequence, at.remedy))
            .collect();
        causes.join(" | ")
    }
}

/// Makes a plan. The same arguments give the same plan, byte for byte.
///
/// # Errors
///
/// [`Infeasible`] if the route asked for, or both routes, have an obstacle; it lists all of them.
pub fn plan(inventory: &Inventory, options: &PlanOptions) -> Result<Plan, Infeasible> {
    let asked = match options.route {
        RouteChoice::Auto => inventory.wishes.choose,
        route => route,
    };
    let mut packed = waves::pack(inventory, options.now_us);
    let comparison = compare_packed(inventory, &packed);
    let route = match asked {
        RouteChoice::Auto => comparison.recommended,
        RouteChoice::MoveUsers => Some(Route::MoveUsers),
        RouteChoice::DisasterRecovery => Some(Route::DisasterRecovery),
    };
    let feasible = |route: &Route| comparison.facts(*route).obstacles.is_empty();
    let Some(route) = route.filter(feasible) else {
        return Err(Infeasible { asked, comparison: Box::new(comparison) });
    };
    let steps = routes::steps(inventory, route, &packed);
    let mut schedule = std::mem::take(&mut packed.schedule);
    if route == Route::DisasterRecovery {
        schedule = Schedule::default();
    }
    name_steps(&mut schedule, &steps);
    Ok(Plan {
        format: PLAN_FORMAT,
        id: plan_id(route, options),
        route,
        made_us: options.now_us,
        inventory_hash: options.inventory_hash.clone(),
        inventory: inventory.clone(),
        critical_path: critical_path(&steps),
        warnings: warnings(inventory, route, &comparison),
        forecast: forecast::forecast(inventory, &steps, &schedule, options.now_us),
        traps: traps::states(inventory, route),
        comparison,
        steps,
        schedule,
    })
}

/// Tells each wave which steps are its own: those whose names begin with its mark.
fn name_steps(schedule: &mut Schedule, steps: &[crate::plan::Step]) {
    let mut by_wave: BTreeMap<&str, Vec<StepId>> = BTreeMap::new();
    for step in steps.iter().filter(|step| matches!(step.action, Action::MoveMailboxes { .. })) {
        let mark = step.id.as_str().split('@').next().unwrap_or_default();
        by_wave.entry(mark).or_default().push(step.id.clone());
    }
    for (number, wave) in schedule.waves.iter_mut().enumerate() {
        wave.steps = by_wave.remove(waves::mark(number).as_str()).unwrap_or_default();
    }
}

fn plan_id(route: Route, options: &PlanOptions) -> String {
    let hash: String = options.inventory_hash.chars().take(12).collect();
    format!("{route}-{hash}-{}", options.now_us)
}

fn warnings(inventory: &Inventory, route: Route, comparison: &Comparison) -> Vec<Warning> {
    let mut warnings = Vec::new();
    let mut warn = |code: &str, place: &str, message: String| {
        warnings.push(Warning { code: code.to_owned(), place: place.to_owned(), message });
    };
    if inventory.cluster.free_bytes.is_none() {
        let need = comparison.facts(route).target_disk_bytes;
        let message = format!(
            "free room on the group's disk is not known; {} are needed and will be checked when \
             the mail is about to go there",
            crate::format::bytes(need)
        );
        warn("room-unknown", "cluster.group.free", message);
    }
    if !inventory.rates.measured {
        let message = "speeds were not measured on this machine; durations are rough".to_owned();
        warn("rates-unmeasured", "", message);
    }
    for doubt in &inventory.rates.doubts {
        warn("rates-doubtful", "", doubt.clone());
    }
    if inventory.moving().next().is_none() {
        let message = format!("server {} has no mailboxes", inventory.old_server);
        warn("no-mailboxes", "mailbox", message);
    }
    let split = split_delegates(inventory);
    if route == Route::MoveUsers && !split.is_empty() {
        let (shown, more) = (split.len().min(5), split.len().saturating_sub(5));
        let more = if more > 0 { format!(" and {more} more") } else { String::new() };
        let message = format!(
            "delegates at other servers are not moved with the mailboxes they work for: {}{more}",
            split[..shown].join(", ")
        );
        warn("delegates-split", "mailbox", message);
    }
    for (code, place, message) in traps::warnings(inventory, route) {
        warn(&code, &place, message);
    }
    if route == Route::DisasterRecovery {
        let folder =
            crate::check::Condition::SystemFolderReplicas { server: inventory.old_server.clone() };
        if let crate::judge::Judgement::Violated(at) =
            crate::judge::judge(&folder.into(), inventory)
        {
            let message = format!("{}; {}; {}", at.cause, at.consequence, at.remedy);
            warn(&at.code, &at.place, message);
        }
    }
    warnings
}

/// Pairs of a mailbox that moves and a delegate that does not.
fn split_delegates(inventory: &Inventory) -> Vec<String> {
    let moves: BTreeSet<&str> = inventory.moving().map(|mailbox| mailbox.name.as_str()).collect();
    let mut pairs = Vec::new();
    for mailbox in inventory.moving() {
        for delegate in mailbox.delegates.iter().filter(|name| !moves.contains(name.as_str())) {
            pairs.push(format!("{delegate} for {}", mailbox.name));
        }
    }
    pairs
}

#[cfg(test)]
mod schema;
#[cfg(test)]
mod tests;
