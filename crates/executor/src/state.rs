//! Where a plan stands, worked out from its journal.

use std::collections::{BTreeMap, BTreeSet};

use rehome_planner::{Outcome, Plan, StepId, StepOutcome, StepState};

use crate::journal::{Entry, Failure, Record};

/// What the journal says, step by step.
#[derive(Debug, Default)]
pub(crate) struct State {
    steps: BTreeMap<StepId, StepFacts>,
    figures: BTreeMap<String, f64>,
    started_us: Option<i64>,
    ended_us: Option<i64>,
    /// Steps that are being taken back while the plan stays.
    pub(crate) reversing: Vec<StepId>,
    pub(crate) backing_out: bool,
    pub(crate) backed_out: bool,
    pub(crate) finished: bool,
}

/// What the journal says about one step.
#[derive(Debug, Default, Clone)]
pub(crate) struct StepFacts {
    pub(crate) state: Option<StepState>,
    pub(crate) attempts: u32,
    pub(crate) undo_attempts: u32,
    /// Whether an attempt was made that has not been taken back.
    pub(crate) begun: bool,
    /// Whether it was done when something that it rests upon was taken back.
    pub(crate) stands: bool,
    /// Who may answer the step's question and until when, as it was asked last.
    pub(crate) asked: Option<(Vec<String>, Option<i64>)>,
    pub(crate) confirmed: bool,
    pub(crate) needs_human: bool,
    started_us: Option<i64>,
    ended_us: Option<i64>,
    notes: Vec<String>,
    warned: BTreeSet<String>,
}

impl StepFacts {
    pub(crate) fn is_done(&self) -> bool {
        matches!(self.state, Some(StepState::Done | StepState::DoneByEvidence))
    }

    /// What it rests upon was taken back: it has to be seen to again.
    fn is_due_again(&mut self) {
        self.stands |= self.is_done();
        (self.state, self.begun, self.confirmed, self.needs_human) = (None, false, false, false);
        (self.asked, self.ended_us) = (None, None);
        self.warned.clear();
    }

    pub(crate) fn has_warned(&self, code: &str) -> bool {
        self.warned.contains(code)
    }
}

impl State {
    pub(crate) fn step(&self, id: &StepId) -> StepFacts {
        self.steps.get(id).cloned().unwrap_or_default()
    }

    pub(crate) fn take_in(&mut self, entry: &Entry) {
        let at_us = entry.at_us;
        self.started_us.get_or_insert(at_us);
        self.ended_us = Some(at_us);
        match &entry.record {
            Record::Bound { .. } => {}
            Record::BackOut => self.backing_out = true,
            Record::BackedOut => self.backed_out = true,
            Record::Finished => self.finished = true,
            Record::Reverse { steps } => self.reversing.clone_from(steps),
            Record::Reversed { again, .. } => {
                self.reversing.clear();
                for step in again {
                    self.steps.entry(step.clone()).or_default().is_due_again();
                }
            }
            Record::Done { step, figures, .. } => {
                self.figures.extend(figures.clone());
                self.take_in_step(step.clone(), at_us, &entry.record);
            }
            Record::Begin { step, .. }
            | Record::Evidence { step, .. }
            | Record::Failed { step, .. }
            | Record::Warned { step, .. }
            | Record::Asked { step, .. }
            | Record::Refused { step, .. }
            | Record::Confirmed { step, .. }
            | Record::UndoBegin { step, .. }
            | Record::Undone { step, .. } => {
                self.take_in_step(step.clone(), at_us, &entry.record);
            }
        }
    }

    fn take_in_step(&mut self, step: StepId, at_us: i64, record: &Record) {
        let facts = self.steps.entry(step).or_default();
        match record {
            Record::Begin { attempt, .. } => {
                facts.attempts = *attempt;
                facts.started_us.get_or_insert(at_us);
                (facts.state, facts.needs_human) = (Some(StepState::Begun), false);
                (facts.begun, facts.stands) = (true, false);
            }
            Record::Done { notes, .. } => {
                (facts.state, facts.ended_us) = (Some(StepState::Done), Some(at_us));
                facts.notes.extend(notes.clone());
            }
            Record::Evidence { seen, .. } => {
                facts.started_us.get_or_insert(at_us);
                (facts.state, facts.ended_us) = (Some(StepState::DoneByEvidence), Some(at_us));
                facts.notes.extend(seen.clone());
            }
            Record::Failed { how, why, .. } => {
                facts.state = Some(StepState::Failed);
                facts.needs_human = *how == Failure::NeedsHuman;
                facts.confirmed &= !facts.needs_human;
                facts.notes.push(why.clone());
            }
            Record::Warned { code, why, .. } => {
                facts.warned.insert(code.clone());
                facts.notes.push(format!("warning {code}: {why}"));
            }
            Record::Asked { owners, until_us, .. } => {
                facts.asked = Some((owners.clone(), *until_us));
            }
            Record::Refused { by, why, .. } => {
                facts.notes.push(format!("the confirmation of {by} was refused: {why}"));
            }
            Record::Confirmed { by, said, .. } => {
                facts.confirmed = true;
                facts.notes.push(format!("confirmed by {by}: {said}"));
            }
            Record::UndoBegin { attempt, .. } => facts.undo_attempts = *attempt,
            Record::Undone { notes, .. } => {
                facts.is_due_again();
                (facts.state, facts.ended_us) = (Some(StepState::Undone), Some(at_us));
                facts.stands = false;
                facts.notes.extend(notes.clone());
            }
            Record::Bound { .. }
            | Record::BackOut
            | Record::BackedOut
            | Record::Reverse { .. }
            | Record::Reversed { .. }
            | Record::Finished => {}
        }
    }

    /// Everything that was recorded, in the order of the plan.
    pub(crate) fn outcome(&self, plan: &Plan, end: &str) -> Outcome {
        let steps = plan.steps.iter().map(|step| {
            let facts = self.step(&step.id);
            StepOutcome {
                id: step.id.clone(),
                state: facts.state.unwrap_or(StepState::Pending),
                started_us: facts.started_us,
                ended_us: facts.ended_us,
                attempts: facts.attempts,
                notes: facts.notes,
            }
        });
        Outcome {
            plan_id: plan.id.clone(),
            end: end.to_owned(),
            started_us: self.started_us,
            ended_us: self.ended_us,
            steps: steps.collect(),
            figures: self.figures.clone(),
        }
    }
}
