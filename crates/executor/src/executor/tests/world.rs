//! A world of memory: effects are counted, conditions hold once their step took effect.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use rehome_log::{Fault, SimDisk};
use rehome_planner::{
    Action, Check, ClusterFacts, Condition, Inventory, MailboxFacts, Plan, PlanOptions,
    PublicFolderFacts, RouteChoice, ServerFacts, Step, StepId, plan,
};

use crate::executor::Notice;
use crate::operations::{
    CheckOutcome, Flow, Gate, GateAnswer, OperationError, Operations, Performed, Progress,
};

/// When the power goes.
#[derive(Clone, Copy, Debug)]
pub(super) struct PowerCut {
    /// At this call, counted from 0.
    pub(super) call: u32,
    /// After the call's effect, or before.
    pub(super) after_effect: bool,
}

pub(super) struct World {
    /// How often each step took effect; undoing takes one off.
    pub(super) effects: BTreeMap<StepId, i32>,
    pub(super) performed: Vec<StepId>,
    pub(super) undone: Vec<StepId>,
    pub(super) gates_open: bool,
    /// Who may answer at gates, and until when.
    pub(super) terms: Gate,
    pub(super) answers: BTreeMap<String, CheckOutcome>,
    pub(super) fail_after_effect: Option<StepId>,
    pub(super) power_cut: Option<(PowerCut, Arc<SimDisk>)>,
    pub(super) calls: u32,
    holds: BTreeSet<String>,
    produced: BTreeSet<String>,
}

fn key(condition: &Condition) -> String {
    serde_json::to_string(condition).expect("a condition is text")
}

impl World {
    pub(super) fn new(plan: &Plan) -> Self {
        let all = plan.steps.iter().flat_map(|step| &step.postconditions);
        Self {
            effects: BTreeMap::new(),
            performed: Vec::new(),
            undone: Vec::new(),
            gates_open: true,
            terms: Gate::default(),
            answers: BTreeMap::new(),
            fail_after_effect: None,
            power_cut: None,
            calls: 0,
            holds: BTreeSet::new(),
            produced: all.map(|check| key(&check.condition)).collect(),
        }
    }

    /// Gives all checks of one code this answer.
    pub(super) fn say(&mut self, code: &str, outcome: CheckOutcome) {
        self.answers.insert(code.to_owned(), outcome);
    }

    pub(super) fn hold(&mut self, checks: &[Check]) {
        self.holds.extend(checks.iter().map(|check| key(&check.condition)));
    }

    /// Everything that changes the world happened exactly once, or was found to hold.
    #[track_caller]
    pub(super) fn assert_each_effect_once(&self, plan: &Plan) {
        for step in plan.steps.iter().filter(|step| !step.action.only_looks()) {
            let times = self.effects.get(&step.id).copied().unwrap_or(0);
            let given =
                step.postconditions.iter().all(|at| self.holds.contains(&key(&at.condition)));
            assert!(times == 1 || (times == 0 && given), "{} took effect {times} times", step.id);
        }
    }

    /// Counts a call; cuts the power if it is time.
    fn call(&mut self, after_effect: bool) -> Result<(), OperationError> {
        if let Some((cut, disk)) = &self.power_cut
            && (cut.call, cut.after_effect) == (self.calls, after_effect)
        {
            disk.fail_after(0, Fault::PowerCut);
            return Err(OperationError::Interrupted { why: "killed".to_owned() });
        }
        self.calls += u32::from(after_effect);
        Ok(())
    }

    fn take_effect(&mut self, step: &Step) {
        let already = step.postconditions.iter().all(|at| self.holds.contains(&key(&at.condition)));
        if already && self.effects.contains_key(&step.id) {
            return;
        }
        *self.effects.entry(step.id.clone()).or_default() += 1;
        if let Action::InstallServer { group, .. } = &step.action {
            // New resources are offline: a precondition of the step no longer holds.
            self.holds.remove(&key(&Condition::GroupOnline { group: group.clone() }));
        }
        self.hold(&step.postconditions);
    }
}

impl Operations for World {
    fn check(&mut self, check: &Check) -> Result<CheckOutcome, OperationError> {
        self.call(false)?;
        let key = key(&check.condition);
        let outcome = match self.answers.get(&check.code()) {
            Some(outcome) => outcome.clone(),
            None if self.holds.contains(&key) || !self.produced.contains(&key) => {
                CheckOutcome::Met { evidence: check.code() }
            }
            None => CheckOutcome::Open { why: "not yet".to_owned(), remedy: "wait".to_owned() },
        };
        self.call(true)?;
        Ok(outcome)
    }

    fn perform(
        &mut self,
        step: &Step,
        attempt: u32,
        progress: &mut dyn FnMut(Progress) -> Flow,
    ) -> Result<Performed, OperationError> {
        self.call(false)?;
        self.performed.push(step.id.clone());
        if progress(Progress::default()) == Flow::Stop {
            return Err(OperationError::Interrupted { why: "asked to".to_owned() });
        }
        self.take_effect(step);
        self.call(true)?;
        if self.fail_after_effect.take_if(|id| *id == step.id).is_some() {
            return Err(OperationError::Failed {
                place: step.id.to_string(),
                cause: "it broke".to_owned(),
                consequence: "it is half done".to_owned(),
                remedy: "try again".to_owned(),
            });
        }
        Ok(Performed { notes: vec![format!("attempt {attempt}")], ..Performed::default() })
    }

    fn undo(
        &mut self,
        step: &Step,
        _attempt: u32,
        progress: &mut dyn FnMut(Progress) -> Flow,
    ) -> Result<Performed, OperationError> {
        self.call(false)?;
        if progress(Progress::default()) == Flow::Stop {
            return Err(OperationError::Interrupted { why: "asked to".to_owned() });
        }
        if self.effects.get(&step.id) == Some(&1) {
            self.effects.insert(step.id.clone(), 0);
            self.undone.push(step.id.clone());
            for check in &step.postconditions {
                self.holds.remove(&key(&check.condition));
            }
        }
        self.call(true)?;
        Ok(Performed::default())
    }

    fn gate(&mut self, _step: &Step) -> Result<Gate, OperationError> {
        self.call(false)?;
        self.call(true)?;
        let answer = GateAnswer { by: "op".to_owned(), said: "yes".to_owned() };
        let answer = self.gates_open.then_some(answer);
        Ok(Gate { answer, how: "answer".to_owned(), ..self.terms.clone() })
    }
}

/// Hears everything and lets it go on.
pub(super) fn quiet(_: &Notice<'_>) -> Flow {
    Flow::Continue
}

/// The plan of a route for a small site.
pub(super) fn plan_by(route: RouteChoice) -> Plan {
    let server = |name: &str| ServerFacts {
        name: name.to_owned(),
        service_account: "C\\svc".to_owned(),
        version: "5.5".to_owned(),
        ..ServerFacts::default()
    };
    let inventory = Inventory {
        site: "S".to_owned(),
        old_server: "EX1".to_owned(),
        servers: vec![server("EX1"), server("EX2")],
        cluster: ClusterFacts {
            name: "CL".to_owned(),
            nodes: vec!["N1".to_owned(), "N2".to_owned()],
            service_account: "C\\svc".to_owned(),
            version: "5.5".to_owned(),
            group: "mail".to_owned(),
            server: "EXCL1".to_owned(),
            ..ClusterFacts::default()
        },
        mailboxes: vec![MailboxFacts {
            name: "anna".to_owned(),
            server: "EX1".to_owned(),
            ..MailboxFacts::default()
        }],
        public_folders: vec![PublicFolderFacts {
            path: "P".to_owned(),
            server: "EX1".to_owned(),
            replicas: vec!["EX1".to_owned()],
            system: false,
        }],
        ..Inventory::default()
    };
    let options = PlanOptions { route, now_us: 0, inventory_hash: "h".to_owned() };
    plan(&inventory, &options).expect("the site is feasible by both routes")
}
