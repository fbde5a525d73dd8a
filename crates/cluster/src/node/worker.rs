//! One thread for each resource that this node is responsible for.
//!
//! It does what the policy orders and may wait while it does; the node's loop and its heartbeats
//! never do. Orders and the words of the resource itself come through one channel, in order.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use rehome_log::Clock;
use serde_json::json;

use super::keys::Keys;
use crate::configuration::ResourceConfig;
use crate::policy::Report;
use crate::resources::{Context, Reporter, Resource, ResourceError, Started, make};

/// How often keys are compared with their copies while the resource is online.
const KEYS_POLL_MS: u64 = 100;

/// How often something that somebody else holds is tried again.
const HELD_RETRY_MS: u64 = 40;

/// What a worker is told.
pub(super) enum Task {
    /// The configuration of the resource, or of its keys, is now this.
    Configure(Box<ResourceConfig>),
    /// Restore the keys and come online. What others hold is waited for until `held_wait_ms`.
    Online { run: u64, context: Box<Context>, held_wait_ms: u64 },
    /// Go offline in order.
    Offline { run: u64 },
    /// End by force.
    Terminate { run: u64 },
    /// Look whether it is alive.
    Check { run: u64, thorough: bool },
    /// The resource itself has something to say.
    Said { run: u64, report: Report },
    /// Nothing more will come.
    Retire,
}

/// Where a worker's reports go: the run and the report.
pub(super) type Outlet = Arc<dyn Fn(u64, Report) + Send + Sync>;
/// Where a worker's remarks go: a word and a sentence for the cluster log.
pub(super) type Remarks = Arc<dyn Fn(&str, &str) + Send + Sync>;

/// The handle of the node's loop on a worker.
pub(super) struct Worker {
    tasks: Sender<Task>,
    thread: Option<JoinHandle<()>>,
}

impl Worker {
    pub(super) fn start(
        keys: Keys,
        clock: Arc<dyn Clock>,
        outlet: Outlet,
        remarks: Remarks,
    ) -> std::io::Result<Self> {
        let (tasks, received) = channel();
        let own = tasks.clone();
        let thread = thread::Builder::new().name("resource".to_owned()).spawn(move || {
            let state = State::Idle;
            Work { keys, clock, outlet, remarks, own, config: None, state }.run(&received);
        })?;
        Ok(Self { tasks, thread: Some(thread) })
    }

    pub(super) fn tell(&self, task: Task) {
        // A worker that is gone has been told to retire; its reports are not missed.
        drop(self.tasks.send(task));
    }

    /// Lets the worker end on its own; what it runs is ended with it.
    pub(super) fn retire(mut self) -> Option<JoinHandle<()>> {
        self.tell(Task::Retire);
        self.thread.take()
    }
}

enum State {
    /// Nothing runs.
    Idle,
    /// Somebody else holds what it needs.
    Held { run: u64, context: Box<Context>, until_ms: u64 },
    /// It was started and has not said that it is online.
    Pending { run: u64, resource: Box<dyn Resource> },
    /// It is online.
    Online { run: u64, resource: Box<dyn Resource> },
}

struct Work {
    keys: Keys,
    clock: Arc<dyn Clock>,
    outlet: Outlet,
    remarks: Remarks,
    own: Sender<Task>,
    config: Option<ResourceConfig>,
    state: State,
}

impl Work {
    fn run(mut self, tasks: &Receiver<Task>) {
        loop {
            let wait_ms = match &self.state {
                State::Held { .. } => HELD_RETRY_MS,
                State::Online { .. } if !self.keys.is_empty() => KEYS_POLL_MS,
                _ => 60_000,
            };
            match tasks.recv_timeout(Duration::from_millis(wait_ms)) {
                Ok(Task::Retire) | Err(RecvTimeoutError::Disconnected) => break,
                Ok(task) => self.take(task),
                Err(RecvTimeoutError::Timeout) => self.time_passed(),
            }
        }
        if let State::Pending { mut resource, .. } | State::Online { mut resource, .. } = self.state
        {
            drop(resource.terminate());
        }
    }

    fn take(&mut self, task: Task) {
        match task {
            Task::Configure(config) => {
                if let Err(error) = self.keys.configure(&config.checkpoints) {
                    (self.remarks)("checkpoint failed", &error);
                }
                self.config = Some(*config);
            }
            Task::Online { run, context, held_wait_ms } => {
                let until_ms = self.clock.monotonic_ms().saturating_add(held_wait_ms);
                self.online(run, context, until_ms);
            }
            Task::Offline { run } => self.offline(run),
            Task::Terminate { run } => self.terminate(run),
            Task::Check { run, thorough } => self.check(run, thorough),
            Task::Said { run, report } => self.said(run, report),
            Task::Retire => {}
        }
    }

    fn time_passed(&mut self) {
        match std::mem::replace(&mut self.state, State::Idle) {
            State::Held { run, context, until_ms } => self.start(run, context, until_ms),
            other => {
                self.state = other;
                if matches!(self.state, State::Online { .. }) {
                    self.capture("it changed while the resource is online");
                }
            }
        }
    }

    fn report(&self, run: u64, report: Report) {
        (self.outlet)(run, report);
    }

    fn failed(&self, run: u64, why: String) {
        self.report(run, Report::Failed { why, gone: true });
    }

    fn online(&mut self, run: u64, context: Box<Context>, until_ms: u64) {
        match self.keys.restore() {
            Ok(0) => {}
            Ok(count) => {
                (self.remarks)("restored", &format!("{count} keys, before it comes online"));
            }
            Err(error) => return self.failed(run, error),
        }
        self.start(run, context, until_ms);
    }

    fn start(&mut self, run: u64, context: Box<Context>, until_ms: u64) {
        let Some(config) = &self.config else {
            return self.failed(run, "it is not configured".to_owned());
        };
        let mut resource = make(&config.kind);
        let own = self.own.clone();
        let reporter: Reporter = Arc::new(move |report| {
            drop(own.send(Task::Said { run, report }));
        });
        match resource.online(&context, &reporter) {
            Ok(Started::Pending) => self.state = State::Pending { run, resource },
            Ok(Started::Online(detail)) => {
                self.state = State::Pending { run, resource };
                self.said(run, Report::Online(detail));
            }
            Err(error @ ResourceError::Held { .. }) => {
                if self.clock.monotonic_ms() >= until_ms {
                    return self.report(run, Report::Refused(error.to_string()));
                }
                self.report(run, Report::Progress(json!({ "waits": error.to_string() })));
                self.state = State::Held { run, context, until_ms };
            }
            Err(error) => {
                // A start that failed half way is taken back.
                match resource.terminate() {
                    Ok(()) => self.failed(run, error.to_string()),
                    Err(left) => {
                        self.state = State::Pending { run, resource };
                        let why = format!("{error}; {left}");
                        self.report(run, Report::Failed { why, gone: false });
                    }
                }
            }
        }
    }

    fn said(&mut self, run: u64, report: Report) {
        match (std::mem::replace(&mut self.state, State::Idle), report) {
            (State::Pending { run: mine, resource }, Report::Online(detail)) if mine == run => {
                self.state = State::Online { run, resource };
                // What it did to its keys on the way, a marker it has dealt with for instance.
                self.capture("the resource came online");
                self.report(run, Report::Online(detail));
            }
            (
                State::Pending { run: mine, mut resource },
                report @ Report::Failed { gone: true, .. },
            ) if mine == run => {
                drop(resource.terminate());
                self.report(run, report);
            }
            (
                State::Online { run: mine, mut resource },
                report @ Report::Failed { gone: true, .. },
            ) if mine == run => {
                drop(resource.terminate());
                self.capture("the resource ended while it was online");
                self.report(run, report);
            }
            (state, report) => {
                self.state = state;
                self.report(run, report);
            }
        }
    }

    fn offline(&mut self, run: u64) {
        let grace_ms = self.config.as_ref().map_or(0, |config| config.offline_grace_ms);
        self.end(run, |resource| resource.offline(grace_ms), true);
    }

    fn terminate(&mut self, run: u64) {
        self.end(run, |resource| resource.terminate(), false);
    }

    fn end(
        &mut self,
        run: u64,
        how: impl FnOnce(&mut dyn Resource) -> Result<(), ResourceError>,
        in_order: bool,
    ) {
        let was_online = matches!(self.state, State::Online { .. });
        let mut resource = match std::mem::replace(&mut self.state, State::Idle) {
            State::Pending { resource, .. } | State::Online { resource, .. } => resource,
            State::Idle | State::Held { .. } => return self.report(run, Report::Offline),
        };
        match how(resource.as_mut()) {
            Ok(()) => {
                if was_online && in_order {
                    self.capture("the resource went offline");
                }
                self.report(run, Report::Offline);
            }
            Err(error) => {
                // Kept, so that it can be tried again.
                self.state = State::Pending { run, resource };
                self.report(run, Report::Stuck(error.to_string()));
            }
        }
    }

    fn check(&mut self, run: u64, thorough: bool) {
        let (State::Pending { resource, .. } | State::Online { resource, .. }) = &mut self.state
        else {
            return;
        };
        let found = if thorough { resource.is_alive() } else { resource.looks_alive() };
        let result = found.map_err(|error| error.to_string());
        self.report(run, Report::Checked { thorough, result });
    }

    fn capture(&mut self, when: &str) {
        match self.keys.capture() {
            Ok(keys) => {
                for key in keys {
                    (self.remarks)("captured", &format!("key {key}: {when}"));
                }
            }
            Err(error) => (self.remarks)("checkpoint failed", &error),
        }
    }
}
