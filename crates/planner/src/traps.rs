//! Traps: what has gone wrong on this way before, and what a plan does about each.
#![doc = include_str!("../../../docs/guide/traps.md")]

mod table;

use rehome_site::{Fact, SiteKind};
use serde::{Deserialize, Serialize};

use crate::inventory::Inventory;
use crate::route::{Obstacle, Route};

pub use table::traps;

/// Something that has gone wrong on this way before.
#[derive(Debug, Clone, Copy)]
pub struct Trap {
    /// Short name, for example `circular-logging`.
    pub code: &'static str,
    /// The routes that it lies on.
    pub routes: &'static [Route],
    /// The fact of the site file that decides it; none if the inventory or the plan itself does.
    pub fact: Option<&'static str>,
    /// What the plan does if it is set.
    pub answer: Answer,
    /// What would happen.
    pub consequence: &'static str,
    /// What to do.
    pub remedy: &'static str,
    /// Where it is known from.
    pub evidence: &'static str,
    /// Whether it is set: what is wrong, or nothing.
    pub(crate) cause: fn(&Inventory) -> Option<String>,
}

/// What a plan does about a trap.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    /// There is no plan by this route while it is set.
    Refuses,
    /// The plan is made and says so.
    Warns,
    /// The plan has steps that keep clear of it, whether it is set or not.
    WorksAround(
        /// Their names.
        &'static [&'static str],
    ),
}

/// Where a trap stands for a plan.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TrapState {
    /// The trap.
    pub code: String,
    /// Where it stands.
    pub state: TrapStanding,
    /// What is wrong, what the plan does, or what to look at.
    pub text: String,
    /// What to do.
    pub remedy: String,
    /// Where it is known from.
    pub evidence: String,
}

/// Where a trap stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TrapStanding {
    /// It is set, and the plan is made all the same.
    Warned,
    /// Nobody has said whether it is set: to be looked at by hand.
    Unknown,
    /// Steps of the plan keep clear of it.
    WorkedAround,
    /// It is not set.
    Clear,
}

impl Trap {
    /// Whether it lies on a route.
    pub fn lies_on(&self, route: Route) -> bool {
        self.routes.contains(&route)
    }

    /// The place of its fact in the site file.
    fn place(&self) -> String {
        self.fact.map_or_else(|| "facts".to_owned(), |fact| format!("facts.{fact}"))
    }

    /// Where it stands, given that the plan was not refused.
    fn state(&self, inventory: &Inventory) -> TrapState {
        let cause = (self.cause)(inventory);
        let unknown = self.fact.is_some_and(|fact| !inventory.facts.contains_key(fact));
        let (state, text) = match (self.answer, cause) {
            (Answer::WorksAround(steps), _) => {
                (TrapStanding::WorkedAround, format!("steps {}", steps.join(", ")))
            }
            (_, Some(cause)) => (TrapStanding::Warned, cause),
            (_, None) if unknown => {
                let fact = self.fact.unwrap_or_default();
                (TrapStanding::Unknown, format!("not known: look, and set facts.{fact}"))
            }
            (_, None) => (TrapStanding::Clear, "not set".to_owned()),
        };
        TrapState {
            code: self.code.to_owned(),
            state,
            text: format!("{text}; else {}", self.consequence),
            remedy: self.remedy.to_owned(),
            evidence: self.evidence.to_owned(),
        }
    }
}

/// The traps that stand in the way of a route.
pub(crate) fn obstacles(inventory: &Inventory, route: Route) -> Vec<Obstacle> {
    let refusing = traps().filter(|trap| trap.answer == Answer::Refuses);
    refusing
        .filter(|trap| trap.lies_on(route))
        .filter_map(|trap| {
            Some(Obstacle {
                code: trap.code.to_owned(),
                place: trap.place(),
                cause: (trap.cause)(inventory)?,
                consequence: trap.consequence.to_owned(),
                remedy: trap.remedy.to_owned(),
                evidence: trap.evidence.to_owned(),
            })
        })
        .collect()
}

/// The traps that only deserve a word: code, place in the site file and sentence.
pub(crate) fn warnings(inventory: &Inventory, route: Route) -> Vec<(String, String, String)> {
    let warning = traps().filter(|trap| trap.answer == Answer::Warns);
    warning
        .filter(|trap| trap.lies_on(route))
        .filter_map(|trap| {
            let cause = (trap.cause)(inventory)?;
            let text =
                format!("{cause}; {}; {} [{}]", trap.consequence, trap.remedy, trap.evidence);
            Some((trap.code.to_owned(), trap.place(), text))
        })
        .collect()
}

/// Where every trap of a route stands, those to look at first. What is not known is listed only
/// where people carry the plan out: our own parts have no such thing.
pub(crate) fn states(inventory: &Inventory, route: Route) -> Vec<TrapState> {
    let people = inventory.kind == SiteKind::Exchange55;
    let mut states: Vec<TrapState> = traps()
        .filter(|trap| trap.lies_on(route))
        .map(|trap| trap.state(inventory))
        .filter(|one| people || one.state != TrapStanding::Unknown)
        .collect();
    states.sort_by_key(|one| one.state);
    states
}

/// What is known of a flag.
fn flag(inventory: &Inventory, key: &str) -> Option<bool> {
    match inventory.facts.get(key) {
        Some(Fact::Flag(value)) => Some(*value),
        _ => None,
    }
}

/// What is known of a number.
fn number(inventory: &Inventory, key: &str) -> Option<u64> {
    match inventory.facts.get(key) {
        Some(Fact::Number(value)) => Some(*value),
        _ => None,
    }
}

/// What is known of a text.
fn text<'a>(inventory: &'a Inventory, key: &str) -> Option<&'a str> {
    match inventory.facts.get(key) {
        Some(Fact::Text(value)) => Some(value),
        _ => None,
    }
}

/// What is known of a list; nothing if it is empty.
fn list(inventory: &Inventory, key: &str) -> Option<String> {
    match inventory.facts.get(key) {
        Some(Fact::List(values)) if !values.is_empty() => Some(values.join(", ")),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
