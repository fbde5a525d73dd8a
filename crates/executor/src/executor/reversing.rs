//! Taking some steps back while the plan stays: what rests upon them is due again.

use std::collections::HashSet;

use rehome_planner::{StepId, StepState};

use super::{Executor, Observe, Turn};
use crate::error::ExecutorError;
use crate::journal::Record;
use crate::operations::Operations;
use crate::outcome::{End, Run};

impl Executor {
    /// Undoes these steps, last one first, and leaves the plan as one that may go on: they are to
    /// be done again, and so is whatever rests upon them, as far as it does not hold all the same.
    /// After a crash the same call goes on; called once more it does nothing.
    ///
    /// # Errors
    ///
    /// As [`Executor::expect_reversible`]: nothing is changed then. [`ExecutorError::Journal`] if
    /// the journal cannot be written.
    pub fn reverse(
        &mut self,
        steps: &[StepId],
        operations: &mut dyn Operations,
        observe: &mut Observe<'_>,
    ) -> Result<Run, ExecutorError> {
        self.expect_reversible(steps)?;
        if self.state.reversing != steps {
            if steps.iter().all(|id| self.is_undone(id)) {
                return Ok(self.ended(End::Reversed));
            }
            self.record(Record::Reverse { steps: steps.to_vec() })?;
        }
        for step in self.plan.steps.clone().iter().rev() {
            if !steps.contains(&step.id) || self.is_undone(&step.id) {
                continue;
            }
            if let Turn::Break(end) = self.undo(step, operations, observe)? {
                return Ok(self.ended(end));
            }
        }
        let again = self.resting_upon(steps);
        self.record(Record::Reversed { steps: steps.to_vec(), again })?;
        Ok(self.ended(End::Reversed))
    }

    /// Refuses to do anything else while steps are being taken back.
    pub(super) fn expect_no_reversal(&self) -> Result<(), ExecutorError> {
        if self.state.reversing.is_empty() {
            return Ok(());
        }
        let steps: Vec<&str> = self.state.reversing.iter().map(StepId::as_str).collect();
        let (plan, steps) = (self.plan.id.clone(), steps.join(", "));
        Err(ExecutorError::Reversing { plan, steps })
    }

    /// Says whether these steps can be taken back now.
    ///
    /// # Errors
    ///
    /// [`ExecutorError::NoWayBack`] if a step past the point of no return was begun,
    /// [`ExecutorError::NotDone`] if one of the steps is not done, [`ExecutorError::BackedOut`] if
    /// the plan is being taken back as a whole, [`ExecutorError::Reversing`] if other steps are
    /// being taken back.
    pub fn expect_reversible(&self, steps: &[StepId]) -> Result<(), ExecutorError> {
        if self.state.reversing == steps {
            return Ok(());
        }
        if let Some(step) = self.past_return() {
            return Err(ExecutorError::NoWayBack { step });
        }
        if self.state.backing_out {
            return Err(ExecutorError::BackedOut { plan: self.plan.id.clone() });
        }
        self.expect_no_reversal()?;
        let open = |id: &&StepId| {
            let facts = self.state.step(id);
            !facts.is_done() && !facts.stands && !self.is_undone(id)
        };
        match steps.iter().find(open) {
            Some(step) => Err(ExecutorError::NotDone { step: step.clone() }),
            None => Ok(()),
        }
    }

    fn is_undone(&self, id: &StepId) -> bool {
        self.state.step(id).state == Some(StepState::Undone)
    }

    /// The steps that were begun and depend on one of these, directly or through others.
    fn resting_upon(&self, steps: &[StepId]) -> Vec<StepId> {
        let mut reached: HashSet<&StepId> = steps.iter().collect();
        let mut again = Vec::new();
        for step in &self.plan.steps {
            if !step.depends_on.iter().any(|id| reached.contains(id)) {
                continue;
            }
            reached.insert(&step.id);
            let is_one_of_them = steps.contains(&step.id);
            if !is_one_of_them && self.state.step(&step.id).state.is_some() {
                again.push(step.id.clone());
            }
        }
        again
    }
}
