//! Whether a node that is thought dead must have its power switched off before it is followed.

use crate::configuration::Configuration;
use crate::coordinator::Owner;

/// How long after a failed attempt the next one is made.
const AGAIN_MS: u64 = 5_000;

/// Where the fencing of a group's last owner stands.
#[derive(Debug, Default)]
pub(super) struct Fencing {
    state: State,
}

#[derive(Debug, Default)]
enum State {
    #[default]
    Idle,
    /// The agent is at work.
    Running { owner: Owner },
    /// It has said that the power is off.
    Done { owner: Owner },
    /// It has failed.
    Failed { owner: Owner, at_ms: u64 },
}

/// What is to be done next.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// The owner can be followed.
    Follow,
    /// Its power is to be switched off now.
    Fence,
    /// Not before then; `u64::MAX` is until the agent has answered.
    Wait { until_ms: u64 },
}

impl Fencing {
    /// What is to be done about an owner that gave no sign of life.
    pub(super) fn next(&self, now_ms: u64, owner: &Owner, configuration: &Configuration) -> Next {
        if configuration.node(&owner.node).is_none_or(|node| node.fence.is_none()) {
            return Next::Follow;
        }
        match &self.state {
            State::Done { owner: done } if done == owner => Next::Follow,
            State::Running { owner: running } if running == owner => {
                Next::Wait { until_ms: u64::MAX }
            }
            State::Failed { owner: failed, at_ms } if failed == owner => {
                match at_ms.saturating_add(AGAIN_MS) {
                    due_ms if now_ms < due_ms => Next::Wait { until_ms: due_ms },
                    _ => Next::Fence,
                }
            }
            _ => Next::Fence,
        }
    }

    pub(super) fn begin(&mut self, owner: Owner) {
        self.state = State::Running { owner };
    }

    pub(super) fn answered(&mut self, now_ms: u64, owner: Owner, done: bool) {
        self.state = match done {
            true => State::Done { owner },
            false => State::Failed { owner, at_ms: now_ms },
        };
    }
}
