//! Asking the world whether conditions hold, and people whether a step may begin.

use rehome_planner::{Check, Judgement, Owner, Severity, Step, judge};

use super::{Executor, GO_ON, Notice, Observe, Turn};
use crate::error::ExecutorError;
use crate::journal::{Failure, Record};
use crate::operations::{CheckOutcome, OperationError, Operations};
use crate::outcome::End;

impl Executor {
    /// What was seen, if every postcondition that blocks holds and there is at least one.
    pub(super) fn already_done(
        &self,
        step: &Step,
        operations: &mut dyn Operations,
    ) -> Result<Option<Vec<String>>, OperationError> {
        let mut seen = Vec::new();
        for check in step.postconditions.iter().filter(|check| blocks(check)) {
            match self.ask(check, operations)? {
                CheckOutcome::Met { evidence } => seen.push(evidence),
                CheckOutcome::Open { .. } | CheckOutcome::Violated { .. } => return Ok(None),
            }
        }
        Ok((!seen.is_empty()).then_some(seen))
    }

    /// Before the first attempt every precondition has to hold. A later attempt finishes what was
    /// begun, which may have ended a precondition itself: then only harm stops it.
    pub(super) fn ask_preconditions(
        &mut self,
        step: &Step,
        operations: &mut dyn Operations,
        observe: &mut Observe<'_>,
    ) -> Result<Turn, ExecutorError> {
        let begun = self.state.step(&step.id).begun;
        for check in &step.preconditions {
            let (why, remedy) = match self.ask(check, operations) {
                Ok(CheckOutcome::Met { .. }) => continue,
                Ok(CheckOutcome::Open { .. }) if begun => continue,
                Ok(CheckOutcome::Open { why, remedy } | CheckOutcome::Violated { why, remedy }) => {
                    (why, remedy)
                }
                Err(error) => return Ok(self.stopped(step, &error)),
            };
            if !blocks(check) {
                self.warn(step, check, &why, observe)?;
                continue;
            }
            return Ok(Turn::Break(End::PreconditionOpen {
                step: step.id.clone(),
                check: Box::new(check.clone()),
                why,
                remedy,
            }));
        }
        Ok(GO_ON)
    }

    /// Asks the owner of a step, or whoever has to look after a failure, unless that was answered.
    /// Who is asked, and until when, is written down before the answer is looked at.
    pub(super) fn ask_person(
        &mut self,
        step: &Step,
        operations: &mut dyn Operations,
    ) -> Result<Turn, ExecutorError> {
        let facts = self.state.step(&step.id);
        let instruction = match (&step.owner, facts.needs_human) {
            (_, true) => format!("look at what stopped step {} and mend it", step.id),
            (Owner::Human { instruction }, false) => instruction.clone(),
            (Owner::Machine, false) => return Ok(GO_ON),
        };
        if facts.confirmed {
            return Ok(GO_ON);
        }
        let gate = match operations.gate(step) {
            Ok(gate) => gate,
            Err(error) => return Ok(self.stopped(step, &error)),
        };
        let id = step.id.clone();
        if facts.asked != Some((gate.owners.clone(), gate.until_us)) {
            let (owners, until_us) = (gate.owners.clone(), gate.until_us);
            self.record(Record::Asked { step: id.clone(), owners, until_us })?;
        }
        let Some(answer) = &gate.answer else {
            return Ok(Turn::Break(End::WaitingAtGate { step: id, instruction, how: gate.how }));
        };
        let (by, said) = (answer.by.clone(), answer.said.clone());
        let Some(refusal) = gate.refuses(&by, self.journal.now_us()) else {
            self.record(Record::Confirmed { step: id, by, said })?;
            return Ok(GO_ON);
        };
        self.record(Record::Refused { step: id.clone(), by: by.clone(), why: refusal })?;
        let (owners, until_us) = (gate.owners, gate.until_us);
        Ok(Turn::Break(End::ConfirmationRefused { step: id, by, refusal, owners, until_us }))
    }

    /// After an attempt: what is not true yet may become so, what is violated needs a person.
    pub(super) fn ask_postconditions(
        &mut self,
        step: &Step,
        operations: &mut dyn Operations,
        observe: &mut Observe<'_>,
    ) -> Result<Turn, ExecutorError> {
        for check in &step.postconditions {
            let (how, why, remedy) = match self.ask(check, operations) {
                Ok(CheckOutcome::Met { .. }) => continue,
                Ok(CheckOutcome::Open { why, remedy }) => (Failure::Failed, why, remedy),
                Ok(CheckOutcome::Violated { why, remedy }) => (Failure::NeedsHuman, why, remedy),
                Err(error) => return Ok(self.stopped(step, &error)),
            };
            if !blocks(check) {
                self.warn(step, check, &why, observe)?;
                continue;
            }
            let id = step.id.clone();
            let why = format!("{} does not hold after the step: {why}", check.code());
            self.record(Record::Failed { step: id.clone(), how, why: why.clone() })?;
            return Ok(Turn::Break(match how {
                Failure::NeedsHuman => End::NeedsHuman { step: id, why, remedy },
                _ => End::Interrupted { step: id, why: format!("{why}; {remedy}") },
            }));
        }
        Ok(GO_ON)
    }

    fn ask(
        &self,
        check: &Check,
        operations: &mut dyn Operations,
    ) -> Result<CheckOutcome, OperationError> {
        if !check.condition.is_about_inventory() {
            return operations.check(check);
        }
        Ok(match judge(check, &self.plan.inventory) {
            Judgement::Violated(obstacle) => {
                CheckOutcome::Violated { why: obstacle.cause, remedy: obstacle.remedy }
            }
            Judgement::Met | Judgement::AtRunTime => {
                CheckOutcome::Met { evidence: format!("{}: by the inventory", check.code()) }
            }
        })
    }

    fn warn(
        &mut self,
        step: &Step,
        check: &Check,
        why: &str,
        observe: &mut Observe<'_>,
    ) -> Result<(), ExecutorError> {
        let code = check.code();
        if self.state.step(&step.id).has_warned(&code) {
            return Ok(());
        }
        // The answer to a warning is not asked for: the step that follows asks anyway.
        let _ = observe(&Notice::Warned { step, code: &code, why });
        self.record(Record::Warned { step: step.id.clone(), code, why: why.to_owned() })
    }
}

fn blocks(check: &Check) -> bool {
    check.severity == Severity::Blocks
}
