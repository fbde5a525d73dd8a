//! Taking a plan back, last step first.

use rehome_planner::{Step, StepState, Undo};

use super::{Executor, GO_ON, Notice, Observe, Turn, after};
use crate::error::ExecutorError;
use crate::journal::Record;
use crate::operations::{Flow, Operations};
use crate::outcome::{End, Run};

impl Executor {
    /// Undoes every step that was begun, last one first. What was found done already, and never
    /// begun, stays. After a crash the same call goes on.
    ///
    /// # Errors
    ///
    /// [`ExecutorError::NoWayBack`] if a step past the point of no return was begun,
    /// [`ExecutorError::Reversing`] if a call of [`Executor::reverse`] did not come to its end:
    /// nothing is undone then. [`ExecutorError::Journal`] if the journal cannot be written.
    pub fn back_out(
        &mut self,
        operations: &mut dyn Operations,
        observe: &mut Observe<'_>,
    ) -> Result<Run, ExecutorError> {
        if let Some(step) = self.past_return() {
            return Err(ExecutorError::NoWayBack { step });
        }
        if self.state.backed_out {
            return Ok(self.ended(End::BackedOut));
        }
        self.expect_no_reversal()?;
        if !self.state.backing_out {
            self.record(Record::BackOut)?;
        }
        for step in self.plan.steps.clone().iter().rev() {
            let facts = self.state.step(&step.id);
            if facts.attempts == 0 || facts.state == Some(StepState::Undone) {
                continue;
            }
            if let Turn::Break(end) = self.undo(step, operations, observe)? {
                return Ok(self.ended(end));
            }
        }
        self.record(Record::BackedOut)?;
        Ok(self.ended(End::BackedOut))
    }

    pub(super) fn undo(
        &mut self,
        step: &Step,
        operations: &mut dyn Operations,
        observe: &mut Observe<'_>,
    ) -> Result<Turn, ExecutorError> {
        let id = step.id.clone();
        match &step.undo {
            Undo::NotNeeded => {
                let notes = vec!["nothing to undo".to_owned()];
                self.record(Record::Undone { step: id, notes })?;
                return Ok(GO_ON);
            }
            Undo::Impossible { why } => {
                let remedy = "go on with the plan instead of backing out".to_owned();
                return Ok(Turn::Break(End::NeedsHuman { step: id, why: why.clone(), remedy }));
            }
            Undo::By { .. } => {}
        }
        let attempt = self.state.step(&id).undo_attempts + 1;
        self.record(Record::UndoBegin { step: id.clone(), attempt })?;
        let mut stop = observe(&Notice::Undoes { step }) == Flow::Stop;
        let undone = operations.undo(step, attempt, &mut |progress| {
            stop |= observe(&Notice::Progress { step, progress: &progress }) == Flow::Stop;
            if stop { Flow::Stop } else { Flow::Continue }
        });
        match undone {
            Ok(performed) => {
                self.record(Record::Undone { step: id, notes: performed.notes })?;
                Ok(after(step, if stop { Flow::Stop } else { Flow::Continue }))
            }
            Err(error) => Ok(self.stopped(step, &error)),
        }
    }
}
