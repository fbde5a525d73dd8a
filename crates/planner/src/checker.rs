//! Judges a plan that somebody made. Shares nothing with the planner but the words of a plan.

mod checks;
mod moving;
mod page;
mod recovery;
mod shape;
mod waves;

use crate::action::Action;
use crate::inventory::Inventory;
use crate::plan::{Plan, Step, StepId};
use crate::route::Route;

/// Something wrong with a plan. A plan with any of these is not to be carried out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// Short name of the rule, for example `restore-unchecked`.
    pub code: &'static str,
    /// The step, if one is to blame.
    pub step: Option<StepId>,
    /// What is wrong.
    pub message: String,
}

impl std::fmt::Display for Finding {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let step = self.step.as_ref().map_or_else(|| "plan".to_owned(), ToString::to_string);
        write!(f, "{step}: {} ({})", self.message, self.code)
    }
}

/// Judges a plan against the inventory it is for. An empty answer means that no rule is broken.
pub fn check_plan(plan: &Plan, inventory: &Inventory) -> Vec<Finding> {
    let mut judge = Judge { plan, inventory, findings: Vec::new() };
    shape::check(&mut judge);
    page::check(&mut judge);
    checks::check(&mut judge);
    match plan.route {
        Route::MoveUsers => moving::check(&mut judge),
        Route::DisasterRecovery => recovery::check(&mut judge),
    }
    judge.findings
}

/// The plan under judgement and what was found so far.
struct Judge<'p> {
    plan: &'p Plan,
    inventory: &'p Inventory,
    findings: Vec<Finding>,
}

impl<'p> Judge<'p> {
    fn find(&mut self, code: &'static str, step: Option<&StepId>, message: impl Into<String>) {
        self.findings.push(Finding { code, step: step.cloned(), message: message.into() });
    }

    /// Indexes of the steps whose action satisfies `wanted`, in the order of the plan.
    fn all(&self, wanted: impl Fn(&Action) -> bool) -> Vec<usize> {
        let steps = self.plan.steps.iter().enumerate();
        steps.filter(|(_, step)| wanted(&step.action)).map(|(at, _)| at).collect()
    }

    fn step(&self, at: usize) -> &'p Step {
        &self.plan.steps[at]
    }

    /// Demands that one step before `at` satisfies `wanted`.
    fn demand_before(
        &mut self,
        at: usize,
        code: &'static str,
        what: &str,
        wanted: impl Fn(&Action) -> bool,
    ) {
        if !self.plan.steps[..at].iter().any(|step| wanted(&step.action)) {
            let id = self.step(at).id.clone();
            self.find(code, Some(&id), format!("step {id} comes without {what} before it"));
        }
    }

    /// Demands that one step after `at` satisfies `wanted`.
    fn demand_after(
        &mut self,
        at: usize,
        code: &'static str,
        what: &str,
        wanted: impl Fn(&Action) -> bool,
    ) {
        if !self.plan.steps[at + 1..].iter().any(|step| wanted(&step.action)) {
            let id = self.step(at).id.clone();
            self.find(code, Some(&id), format!("step {id} comes without {what} after it"));
        }
    }
}

#[cfg(test)]
mod tests;
