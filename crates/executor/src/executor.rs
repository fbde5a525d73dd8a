//! Carrying a plan out, and taking it back.

mod asking;
mod going_back;
mod reversing;

use std::sync::Arc;

use rehome_log::{Clock, Disk, FileName};
use rehome_planner::{Outcome, Plan, Step, StepId};

use crate::error::ExecutorError;
use crate::journal::{Binding, Entry, Failure, Journal, Record};
use crate::operations::{Flow, OperationError, Operations, Progress};
use crate::outcome::{End, Run};
use crate::state::State;

/// A plan and its journal.
pub struct Executor {
    plan: Plan,
    journal: Journal,
    state: State,
}

/// What the caller is told while a plan is carried out. To answer [`Flow::Stop`] ends the call
/// with [`End::Interrupted`] at the next safe place.
#[derive(Debug, Clone, PartialEq)]
pub enum Notice<'a> {
    /// A step begins.
    Begins {
        /// The step.
        step: &'a Step,
        /// Which attempt, counted from 1.
        attempt: u32,
    },
    /// A step has got further.
    Progress {
        /// The step.
        step: &'a Step,
        /// How far.
        progress: &'a Progress,
    },
    /// A step is done.
    Done {
        /// The step.
        step: &'a Step,
        /// Whether it was found to be done already.
        by_evidence: bool,
        /// What it reported.
        notes: &'a [String],
    },
    /// A condition that only warns does not hold.
    Warned {
        /// The step.
        step: &'a Step,
        /// The condition's code.
        code: &'a str,
        /// What is missing.
        why: &'a str,
    },
    /// A step is being undone.
    Undoes {
        /// The step.
        step: &'a Step,
    },
}

/// Either the work goes on, or the call ends.
type Turn = std::ops::ControlFlow<End>;
const GO_ON: Turn = Turn::Continue(());

/// The caller's ear.
type Observe<'o> = dyn FnMut(&Notice<'_>) -> Flow + 'o;

impl Executor {
    /// Opens the journal `name` of a plan, or begins one.
    ///
    /// `inventory_hash` is the hash of the inventory as it is now.
    ///
    /// # Errors
    ///
    /// [`ExecutorError`] if the plan is stale, or the journal is another plan's, damaged, in use
    /// or cannot be read.
    pub fn open(
        plan: Plan,
        inventory_hash: &str,
        disk: Arc<dyn Disk>,
        name: FileName,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, ExecutorError> {
        if plan.inventory_hash != inventory_hash {
            return Err(ExecutorError::Stale {
                plan: plan.id,
                planned: plan.inventory_hash,
                now: inventory_hash.to_owned(),
            });
        }
        let steps = serde_json::to_vec(&plan.steps).expect("steps hold nothing but text");
        let binding = Binding {
            plan: plan.id.clone(),
            inventory_hash: plan.inventory_hash.clone(),
            steps_crc32c: crc32c::crc32c(&steps),
        };
        let (journal, entries) = Journal::open(disk, name, clock, &binding)?;
        let mut state = State::default();
        entries.iter().for_each(|entry| state.take_in(entry));
        Ok(Self { plan, journal, state })
    }

    /// The plan.
    pub fn plan(&self) -> &Plan {
        &self.plan
    }

    /// What has been recorded so far.
    pub fn outcome(&self) -> Outcome {
        let end = match &self.state {
            state if state.backed_out => "backed-out",
            state if state.finished => "done",
            _ => "unfinished",
        };
        self.state.outcome(&self.plan, end)
    }

    /// The first step that is not done; none if all are.
    pub fn next_step(&self) -> Option<&Step> {
        self.plan.steps.iter().find(|step| !self.state.step(&step.id).is_done())
    }

    /// Carries out what is left of the plan. After a crash, or any end but [`End::Done`], the same
    /// call goes on.
    ///
    /// # Errors
    ///
    /// [`ExecutorError::Journal`] if the journal cannot be written: nothing is done without it.
    /// [`ExecutorError::BackedOut`] if [`Executor::back_out`] was called before;
    /// [`ExecutorError::Reversing`] if a call of [`Executor::reverse`] did not come to its end.
    pub fn run(
        &mut self,
        operations: &mut dyn Operations,
        observe: &mut Observe<'_>,
    ) -> Result<Run, ExecutorError> {
        if self.state.backing_out {
            return Err(ExecutorError::BackedOut { plan: self.plan.id.clone() });
        }
        self.expect_no_reversal()?;
        for step in self.plan.steps.clone() {
            if self.state.step(&step.id).is_done() {
                continue;
            }
            if let Turn::Break(end) = self.carry_out(&step, operations, observe)? {
                return Ok(self.ended(end));
            }
        }
        if !self.state.finished {
            self.record(Record::Finished)?;
        }
        Ok(self.ended(End::Done))
    }

    fn carry_out(
        &mut self,
        step: &Step,
        operations: &mut dyn Operations,
        observe: &mut Observe<'_>,
    ) -> Result<Turn, ExecutorError> {
        if !step.action.only_looks() {
            match self.already_done(step, operations) {
                Ok(None) => {}
                Ok(Some(seen)) => return self.done_by_evidence(step, seen, observe),
                Err(error) => return Ok(self.stopped(step, &error)),
            }
        }
        if let Turn::Break(end) = self.ask_preconditions(step, operations, observe)? {
            return Ok(Turn::Break(end));
        }
        if let Turn::Break(end) = self.ask_person(step, operations)? {
            return Ok(Turn::Break(end));
        }
        self.attempt(step, operations, observe)
    }

    fn done_by_evidence(
        &mut self,
        step: &Step,
        seen: Vec<String>,
        observe: &mut Observe<'_>,
    ) -> Result<Turn, ExecutorError> {
        let record = Record::Evidence { step: step.id.clone(), seen: seen.clone() };
        self.record(record)?;
        Ok(after(step, observe(&Notice::Done { step, by_evidence: true, notes: &seen })))
    }

    fn attempt(
        &mut self,
        step: &Step,
        operations: &mut dyn Operations,
        observe: &mut Observe<'_>,
    ) -> Result<Turn, ExecutorError> {
        let attempt = self.state.step(&step.id).attempts + 1;
        self.record(Record::Begin { step: step.id.clone(), attempt })?;
        let mut stop = observe(&Notice::Begins { step, attempt }) == Flow::Stop;
        let performed = operations.perform(step, attempt, &mut |progress| {
            stop |= observe(&Notice::Progress { step, progress: &progress }) == Flow::Stop;
            if stop { Flow::Stop } else { Flow::Continue }
        });
        let performed = match performed {
            Ok(performed) => performed,
            Err(error) => return self.failed(step, &error),
        };
        if let Turn::Break(end) = self.ask_postconditions(step, operations, observe)? {
            return Ok(Turn::Break(end));
        }
        let notes = performed.notes;
        self.record(Record::Done {
            step: step.id.clone(),
            notes: notes.clone(),
            figures: performed.figures,
        })?;
        let flow = observe(&Notice::Done { step, by_evidence: false, notes: &notes });
        Ok(after(step, if stop { Flow::Stop } else { flow }))
    }

    /// Records that an attempt failed, and ends the call.
    fn failed(&mut self, step: &Step, error: &OperationError) -> Result<Turn, ExecutorError> {
        let how = match error {
            OperationError::Interrupted { .. } => Failure::Interrupted,
            OperationError::Failed { .. } => Failure::Failed,
            OperationError::NeedsHuman { .. } => Failure::NeedsHuman,
        };
        self.record(Record::Failed { step: step.id.clone(), how, why: error.to_string() })?;
        Ok(self.stopped(step, error))
    }

    /// The end that follows from an error; nothing is recorded.
    fn stopped(&self, step: &Step, error: &OperationError) -> Turn {
        let id = step.id.clone();
        Turn::Break(match error {
            OperationError::NeedsHuman { remedy, .. } => {
                End::NeedsHuman { step: id, why: error.to_string(), remedy: remedy.clone() }
            }
            _ => End::Interrupted { step: id, why: error.to_string() },
        })
    }

    fn record(&mut self, record: Record) -> Result<(), ExecutorError> {
        let at_us = self.journal.append(&record)?;
        self.state.take_in(&Entry { at_us, record });
        Ok(())
    }

    fn ended(&self, end: End) -> Run {
        let outcome = self.state.outcome(&self.plan, end.as_str());
        Run { end, outcome }
    }

    /// The first step past the point of no return that was begun.
    fn past_return(&self) -> Option<StepId> {
        self.plan
            .steps
            .iter()
            .filter(|step| step.past_point_of_no_return)
            .find(|step| self.state.step(&step.id).state.is_some())
            .map(|step| step.id.clone())
    }
}

/// What follows from the caller's answer when a step is over.
fn after(step: &Step, flow: Flow) -> Turn {
    match flow {
        Flow::Continue => GO_ON,
        Flow::Stop => Turn::Break(End::Interrupted {
            step: step.id.clone(),
            why: "asked to stop; the step is done".to_owned(),
        }),
    }
}

#[cfg(test)]
mod tests;
