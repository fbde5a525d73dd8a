//! What a running migration can be told, and what it says of itself.
#![doc = include_str!("../../../docs/format/control.md")]

mod client;
mod socket;

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rehome_executor::Notice;
use rehome_planner::{Action, Plan};
use rehome_store::LiveBounds;
use serde::{Deserialize, Serialize};

use crate::event::Event;

pub use client::{ControlClient, Retune};
pub(crate) use socket::Listening;

/// How long a rest lasts before it is looked whether somebody asked to stop.
const REST: Duration = Duration::from_millis(200);

/// What a running migration does, as it answers over its socket.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Running {
    /// The plan.
    pub plan: String,
    /// The route.
    pub route: String,
    /// The process.
    pub pid: u32,
    /// `working`; `pausing` until it rests, which it does only while no mailbox is locked;
    /// `resting`; `stopping`.
    pub state: String,
    /// Why it rests or is about to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
    /// The step that it is at.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub step: Option<StepNow>,
    /// How far that step is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub progress: Option<ProgressNow>,
    /// Steps that are done.
    pub done: usize,
    /// All steps.
    pub steps: usize,
    /// Contents move no faster than this, in bytes a second.
    pub bytes_per_second_max: Option<u64>,
    /// Threads that read what lies scattered; without a number the source's setting.
    pub lanes: Option<u8>,
}

/// A step that is being carried out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StepNow {
    /// Its name.
    pub id: String,
    /// What it does.
    pub title: String,
}

/// How far a step is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProgressNow {
    /// What is being done.
    pub what: String,
    /// Done so far, in `unit`.
    pub done: u64,
    /// All there is, in `unit`; 0 if unknown.
    pub total: u64,
    /// `bytes`, `messages`, `mailboxes`.
    pub unit: String,
}

/// The wishes of people, and what the work says of itself; shared by both.
pub(crate) struct Control {
    pub(crate) bounds: LiveBounds,
    stop: Arc<AtomicBool>,
    seen: Mutex<Seen>,
    changed: Condvar,
}

#[derive(Default)]
struct Seen {
    /// Why the work is to rest, if somebody said so.
    pause: Option<String>,
    /// Why it rests now.
    resting: Option<String>,
    now: Running,
}

impl Control {
    /// For a session; `stop` is its wish to stop.
    pub(crate) fn new(stop: Arc<AtomicBool>) -> Self {
        let (bounds, seen, changed) = Default::default();
        Self { bounds, stop, seen, changed }
    }

    fn seen(&self) -> MutexGuard<'_, Seen> {
        // What is in it is right after every line: a panic of another thread does not spoil it.
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn stopping(&self) -> bool {
        self.stop.load(Ordering::SeqCst)
    }

    /// The work on a plan begins.
    pub(crate) fn begin(&self, plan: &Plan, done: usize) {
        self.seen().now = Running {
            plan: plan.id.clone(),
            route: plan.route.as_str().to_owned(),
            pid: std::process::id(),
            done,
            steps: plan.steps.len(),
            ..Running::default()
        };
    }

    /// Takes in what the executor says, and rests if somebody wants that and the step allows it.
    /// `tell` hears that it rests, and may ask to stop. False if the work shall stop.
    pub(crate) fn note(&self, notice: &Notice<'_>, tell: &mut dyn FnMut(Event) -> bool) -> bool {
        let mut seen = self.seen();
        match notice {
            Notice::Begins { step, .. } | Notice::Undoes { step } => {
                let (id, title) = (step.id.to_string(), step.title.clone());
                (seen.now.step, seen.now.progress) = (Some(StepNow { id, title }), None);
            }
            Notice::Progress { progress, .. } if !progress.unit.is_empty() => {
                let (what, unit) = (progress.what.clone(), progress.unit.clone());
                let (done, total) = (progress.done, progress.total);
                seen.now.progress = Some(ProgressNow { what, done, total, unit });
            }
            Notice::Done { .. } => seen.now.done += 1,
            Notice::Progress { .. } | Notice::Warned { .. } => {}
        }
        drop(seen);
        if locks_mailboxes(notice) { !self.stopping() } else { self.rest(tell) }
    }

    /// Waits as long as somebody wants the work to rest; false if it shall stop.
    fn rest(&self, tell: &mut dyn FnMut(Event) -> bool) -> bool {
        if let Some(why) = self.wish() {
            self.is_resting(Some(&why));
            let go_on = tell(Event::Note { text: format!("resting: {why}") });
            while go_on && self.wish().is_some() && !self.stopping() {
                self.wait(REST);
            }
            self.is_resting(None);
            return go_on && !self.stopping();
        }
        self.is_resting(None);
        !self.stopping()
    }

    /// Why the work is to rest, if somebody said so.
    pub(crate) fn wish(&self) -> Option<String> {
        self.seen().pause.clone()
    }

    /// Says why the work rests, or that it does not.
    pub(crate) fn is_resting(&self, why: Option<&str>) {
        self.seen().resting = why.map(ToOwned::to_owned);
        self.changed.notify_all();
    }

    /// Waits until somebody says something, at most so long.
    pub(crate) fn wait(&self, most: Duration) {
        // Whoever waits asks again: a wake-up without a reason does no harm.
        drop(self.changed.wait_timeout(self.seen(), most));
    }

    /// Lets the work rest at the next safe place.
    fn pause(&self, why: &str) {
        self.seen().pause = Some(why.to_owned());
        self.changed.notify_all();
    }

    fn resume(&self) {
        let mut seen = self.seen();
        (seen.pause, seen.resting) = (None, None);
        drop(seen);
        self.changed.notify_all();
    }

    fn stop(&self) {
        self.stop.store(true, Ordering::SeqCst);
        self.changed.notify_all();
    }

    /// What the work does now.
    fn running(&self) -> Running {
        let seen = self.seen();
        let state = match (self.stopping(), &seen.resting, &seen.pause) {
            (true, ..) => "stopping",
            (false, Some(_), _) => "resting",
            (false, None, Some(_)) => "pausing",
            (false, None, None) => "working",
        };
        Running {
            state: state.to_owned(),
            why: seen.resting.clone().or_else(|| seen.pause.clone()),
            bytes_per_second_max: self.bounds.bytes_per_second_max(),
            lanes: self.bounds.lanes(),
            ..seen.now.clone()
        }
    }
}

/// Whether a mailbox may be locked at this moment. A move rests by itself, between two batches.
fn locks_mailboxes(notice: &Notice<'_>) -> bool {
    let Notice::Progress { step, .. } = notice else { return false };
    matches!(step.action, Action::MoveMailboxes { .. } | Action::MovePublicFolders { .. })
}

#[cfg(test)]
mod tests;
