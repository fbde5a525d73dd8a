//! One resource on the node that owns its group.

use serde_json::Value;

use super::{Command, Order, Report};
use crate::configuration::{ResourceConfig, RestartAction};
use crate::ids::{GroupName, ResourceName};
use crate::status::{ResourceState, ResourceStatus};

/// Added to the pause before a restart for each failure in a row after the first.
const RESTART_PAUSE_STEP_MS: u64 = 250;

/// What was online for so long has recovered from its failures.
const STEADY_MS: u64 = 1_000;

/// How long after it was refused what others hold a resource tries again.
const REFUSED_AGAIN_MS: u64 = 2_000;

/// How often an attempt to end something by force is repeated.
const TERMINATE_AGAIN_MS: u64 = 5_000;

/// What is waited beyond the grace before going offline counts as stuck.
const OFFLINE_EXTRA_MS: u64 = 30_000;

#[derive(Debug)]
pub(super) struct Resource {
    pub(super) state: ResourceState,
    since_ms: u64,
    reason: String,
    run: u64,
    /// Nothing of it is left: always so when offline, and when failed once it is cleaned up.
    pub(super) gone: bool,
    stuck: bool,
    /// It failed because somebody else has what it needs.
    refused: bool,
    heard_ms: u64,
    looks_due_ms: u64,
    alive_due_ms: u64,
    checking: bool,
    failures_ms: Vec<u64>,
    /// Failures in a row, without being online for [`STEADY_MS`] between two of them.
    row: usize,
    /// Set when the restart budget was used up.
    pub(super) given_up_ms: Option<u64>,
    request: u64,
    detail: Option<Value>,
    progress: Option<Value>,
}

/// What a resource looks at while it decides.
pub(super) struct Around<'a> {
    pub(super) now_ms: u64,
    pub(super) group: &'a GroupName,
    pub(super) name: &'a ResourceName,
    pub(super) config: &'a ResourceConfig,
    pub(super) epoch: u64,
    /// It is to be online, and so is everything that it depends on.
    pub(super) wanted: bool,
    /// Why it is not wanted.
    pub(super) unwanted_because: &'a str,
    /// The first thing it depends on that is not online.
    pub(super) missing: Option<&'a ResourceName>,
    /// Nothing that depends on it runs.
    pub(super) dependents_down: bool,
    pub(super) leased: bool,
}

impl Resource {
    pub(super) fn new(now_ms: u64, request: u64) -> Self {
        Self {
            state: ResourceState::Offline,
            since_ms: now_ms,
            reason: "it has not been brought online here yet".to_owned(),
            run: 0,
            gone: true,
            stuck: false,
            refused: false,
            heard_ms: now_ms,
            looks_due_ms: 0,
            alive_due_ms: 0,
            checking: false,
            failures_ms: Vec::new(),
            row: 0,
            given_up_ms: None,
            request,
            detail: None,
            progress: None,
        }
    }

    /// Whether nothing of it runs.
    pub(super) fn down(&self) -> bool {
        self.gone && matches!(self.state, ResourceState::Offline | ResourceState::Failed)
    }

    pub(super) fn is_stuck(&self) -> bool {
        self.stuck
    }

    /// The number of its last start.
    pub(super) fn run(&self) -> u64 {
        self.run
    }

    /// When there may be something to do for it though nothing happens; `u64::MAX` is never. What
    /// is due already waits for something else, which is an event.
    pub(super) fn due_ms(&self, now_ms: u64, config: &ResourceConfig) -> u64 {
        let due_ms = match self.state {
            ResourceState::Offline => u64::MAX,
            ResourceState::OnlinePending => {
                self.heard_ms.saturating_add(config.pending_timeout_ms).saturating_add(1)
            }
            ResourceState::Online if self.checking => u64::MAX,
            ResourceState::Online => self.looks_due_ms.min(self.alive_due_ms),
            ResourceState::OfflinePending => self.stop_due_ms(config).saturating_add(1),
            ResourceState::Failed => self.retry_due_ms(config),
        };
        if due_ms > now_ms { due_ms } else { u64::MAX }
    }

    /// Until when it is given time to go offline.
    fn stop_due_ms(&self, config: &ResourceConfig) -> u64 {
        let grace_ms = config.offline_grace_ms.saturating_add(OFFLINE_EXTRA_MS);
        self.heard_ms.saturating_add(grace_ms)
    }

    fn retry_due_ms(&self, config: &ResourceConfig) -> u64 {
        if !self.gone {
            self.heard_ms.saturating_add(TERMINATE_AGAIN_MS).saturating_add(1)
        } else if self.refused {
            self.since_ms.saturating_add(REFUSED_AGAIN_MS)
        } else if let Some(since_ms) = self.given_up_ms {
            since_ms.saturating_add(config.retry_period_ms)
        } else {
            self.since_ms.saturating_add(restart_pause_ms(self.row))
        }
    }

    pub(super) fn reason(&self) -> &str {
        &self.reason
    }

    pub(super) fn request(&self) -> u64 {
        self.request
    }

    /// A new request for the resource clears its record of failures.
    pub(super) fn configure(&mut self, request: u64) {
        if request != self.request {
            self.request = request;
            self.failures_ms.clear();
            self.given_up_ms = None;
        }
    }

    fn enter(&mut self, now_ms: u64, state: ResourceState, reason: &str) {
        self.state = state;
        self.since_ms = now_ms;
        self.heard_ms = now_ms;
        reason.clone_into(&mut self.reason);
        self.progress = None;
        if state != ResourceState::Online {
            self.detail = None;
        }
    }

    pub(super) fn plan(&mut self, around: &Around<'_>, last_run: &mut u64, out: &mut Vec<Command>) {
        match self.state {
            ResourceState::Offline => self.plan_offline(around, last_run, out),
            ResourceState::OnlinePending => self.plan_pending(around, out),
            ResourceState::Online => self.plan_online(around, out),
            ResourceState::OfflinePending => self.plan_stopping(around, out),
            ResourceState::Failed => self.plan_failed(around, last_run, out),
        }
    }

    fn plan_offline(&mut self, around: &Around<'_>, last_run: &mut u64, out: &mut Vec<Command>) {
        if !around.wanted {
            around.unwanted_because.clone_into(&mut self.reason);
        } else if let Some(missing) = around.missing {
            self.reason = format!("it waits for {missing}, which it depends on");
        } else if around.leased {
            self.start(around, last_run, "it is wanted and all it depends on is online", out);
        }
    }

    fn start(
        &mut self,
        around: &Around<'_>,
        last_run: &mut u64,
        reason: &str,
        out: &mut Vec<Command>,
    ) {
        *last_run += 1;
        self.run = *last_run;
        self.gone = false;
        self.refused = false;
        self.checking = false;
        self.enter(around.now_ms, ResourceState::OnlinePending, reason);
        let order = Order::Online { run: self.run, epoch: around.epoch };
        out.push(around.command(order, reason.to_owned()));
    }

    fn stop(&mut self, around: &Around<'_>, reason: &str, out: &mut Vec<Command>) {
        self.enter(around.now_ms, ResourceState::OfflinePending, reason);
        out.push(around.command(Order::Offline { run: self.run }, reason.to_owned()));
    }

    /// Why it cannot stay as it is, if it cannot.
    fn must_go(around: &Around<'_>) -> Option<String> {
        if !around.wanted {
            Some(around.unwanted_because.to_owned())
        } else {
            around.missing.map(|missing| format!("{missing}, which it depends on, is not online"))
        }
    }

    fn plan_pending(&mut self, around: &Around<'_>, out: &mut Vec<Command>) {
        let silent_ms = around.now_ms.saturating_sub(self.heard_ms);
        if let Some(reason) = Self::must_go(around) {
            self.stop(around, &reason, out);
        } else if silent_ms > around.config.pending_timeout_ms {
            let why = format!("no sign of progress for {silent_ms} ms while coming online");
            self.fail(around.now_ms, around.group, around.name, &why, false, out);
        }
    }

    fn plan_online(&mut self, around: &Around<'_>, out: &mut Vec<Command>) {
        if let Some(reason) = Self::must_go(around) {
            if around.dependents_down {
                self.stop(around, &reason, out);
            }
            return;
        }
        if self.checking {
            return;
        }
        let thorough = around.now_ms >= self.alive_due_ms;
        if thorough || around.now_ms >= self.looks_due_ms {
            self.check(around.group, around.name, thorough, out);
        }
        self.looks_due_ms = self.looks_due_ms.min(around.now_ms + around.config.looks_alive_ms);
        self.alive_due_ms = self.alive_due_ms.min(around.now_ms + around.config.is_alive_ms);
    }

    fn check(
        &mut self,
        group: &GroupName,
        name: &ResourceName,
        thorough: bool,
        out: &mut Vec<Command>,
    ) {
        self.checking = true;
        self.looks_due_ms = u64::MAX;
        if thorough {
            self.alive_due_ms = u64::MAX;
        }
        let reason = if thorough { "thorough check is due" } else { "quick check is due" };
        let order = Order::Check { run: self.run, thorough };
        out.push(command(group, name, order, reason.to_owned()));
    }

    fn plan_stopping(&mut self, around: &Around<'_>, out: &mut Vec<Command>) {
        if around.now_ms > self.stop_due_ms(around.config) {
            let waited_ms = around.now_ms.saturating_sub(self.heard_ms);
            let why = format!("it did not go offline within {waited_ms} ms");
            self.fail(around.now_ms, around.group, around.name, &why, false, out);
            self.stuck = true;
        }
    }

    fn plan_failed(&mut self, around: &Around<'_>, last_run: &mut u64, out: &mut Vec<Command>) {
        let now_ms = around.now_ms;
        if !self.gone {
            if now_ms.saturating_sub(self.heard_ms) > TERMINATE_AGAIN_MS {
                self.heard_ms = now_ms;
                let reason = "it is still there and must be ended".to_owned();
                out.push(around.command(Order::Terminate { run: self.run }, reason));
            }
            return;
        }
        if !around.wanted {
            self.failures_ms.clear();
            self.given_up_ms = None;
            self.enter(now_ms, ResourceState::Offline, around.unwanted_because);
            return;
        }
        if !around.dependents_down || around.missing.is_some() || !around.leased {
            return;
        }
        let config = around.config;
        if self.refused && config.restart_action != RestartAction::Stay {
            if now_ms >= self.since_ms.saturating_add(REFUSED_AGAIN_MS) {
                let reason = format!("to see whether it is free now: {}", self.reason);
                self.start(around, last_run, &reason, out);
            }
            return;
        }
        self.failures_ms.retain(|&at_ms| now_ms.saturating_sub(at_ms) < config.restart_period_ms);
        if let Some(since_ms) = self.given_up_ms {
            if now_ms.saturating_sub(since_ms) >= config.retry_period_ms {
                self.given_up_ms = None;
                self.failures_ms.clear();
                self.start(around, last_run, "the retry period after its failures is over", out);
            }
            return;
        }
        let failures = self.failures_ms.len();
        let allowed = usize::try_from(config.restart_threshold).unwrap_or(usize::MAX);
        if config.restart_action == RestartAction::Stay || failures > allowed {
            self.give_up(around, failures, out);
            return;
        }
        if now_ms >= self.since_ms.saturating_add(restart_pause_ms(self.row)) {
            let reason = format!("restart {failures} of {allowed} after: {}", self.reason);
            self.start(around, last_run, &reason, out);
        }
    }

    fn give_up(&mut self, around: &Around<'_>, failures: usize, out: &mut Vec<Command>) {
        self.given_up_ms = Some(around.now_ms);
        let seconds = around.config.restart_period_ms / 1_000;
        let rule = match around.config.restart_action {
            RestartAction::Stay => "it is not to be restarted".to_owned(),
            _ => format!("{failures} failures within {seconds} s, more than its budget"),
        };
        self.reason = format!("{}; {rule}", self.reason);
        out.push(around.command(Order::Note { what: "given up" }, self.reason.clone()));
    }

    /// Enters the failed state and has what is left ended by force.
    pub(super) fn fail(
        &mut self,
        now_ms: u64,
        group: &GroupName,
        name: &ResourceName,
        why: &str,
        gone: bool,
        out: &mut Vec<Command>,
    ) {
        self.failures_ms.push(now_ms);
        let online_ms = now_ms.saturating_sub(self.since_ms);
        let steady = self.state == ResourceState::Online && online_ms >= STEADY_MS;
        self.row = if steady { 1 } else { self.row + 1 };
        self.gone = gone;
        self.enter(now_ms, ResourceState::Failed, why);
        out.push(command(group, name, Order::Note { what: "failed" }, why.to_owned()));
        if !gone {
            let reason = format!("what is left of it must go: {why}");
            out.push(command(group, name, Order::Terminate { run: self.run }, reason));
        }
    }

    /// Ends it by force because this node may not act any more. No fault of the resource.
    pub(super) fn cut_off(
        &mut self,
        now_ms: u64,
        group: &GroupName,
        name: &ResourceName,
        why: &str,
        out: &mut Vec<Command>,
    ) {
        if self.down() {
            return;
        }
        self.gone = false;
        self.enter(now_ms, ResourceState::Failed, why);
        out.push(command(group, name, Order::Terminate { run: self.run }, why.to_owned()));
    }

    /// Takes it offline because it is not configured any more.
    pub(super) fn remove(
        &mut self,
        now_ms: u64,
        group: &GroupName,
        name: &ResourceName,
        out: &mut Vec<Command>,
    ) {
        if matches!(self.state, ResourceState::OnlinePending | ResourceState::Online) {
            let reason = "it is not configured any more";
            self.enter(now_ms, ResourceState::OfflinePending, reason);
            out.push(command(group, name, Order::Offline { run: self.run }, reason.to_owned()));
        }
    }

    pub(super) fn report(
        &mut self,
        now_ms: u64,
        group: &GroupName,
        name: &ResourceName,
        report: &Report,
        out: &mut Vec<Command>,
    ) {
        let running = matches!(self.state, ResourceState::OnlinePending | ResourceState::Online);
        match report {
            Report::Online(detail) if self.state == ResourceState::OnlinePending => {
                self.enter(now_ms, ResourceState::Online, "it said that it is online");
                self.detail.clone_from(detail);
                // Both are set to "due from now" by the next plan.
                (self.looks_due_ms, self.alive_due_ms) = (u64::MAX, u64::MAX);
                let note = Order::Note { what: "is online" };
                out.push(command(group, name, note, self.reason.clone()));
            }
            Report::Progress(progress) => {
                self.heard_ms = now_ms;
                self.progress = Some(progress.clone());
            }
            Report::Failed { why, gone } if running => {
                self.fail(now_ms, group, name, why, *gone, out);
            }
            Report::Refused(why) if running => {
                self.gone = true;
                self.refused = true;
                self.enter(now_ms, ResourceState::Failed, why);
                out.push(command(group, name, Order::Note { what: "refused" }, why.clone()));
            }
            Report::Offline if running => {
                self.fail(now_ms, group, name, "it went offline by itself", true, out);
            }
            Report::Offline | Report::Refused(_) | Report::Failed { gone: true, .. } => {
                self.went(now_ms, group, name, out);
            }
            Report::Stuck(why) if !self.gone => {
                self.stuck = true;
                self.enter(now_ms, ResourceState::Failed, why);
                out.push(command(group, name, Order::Note { what: "stuck" }, why.clone()));
            }
            Report::Checked { thorough, result } if self.state == ResourceState::Online => {
                self.checking = false;
                match result {
                    Ok(()) => {}
                    Err(why) if *thorough => self.fail(now_ms, group, name, why, false, out),
                    Err(_) => self.check(group, name, true, out),
                }
            }
            _ => {}
        }
    }

    /// Nothing of it is left.
    fn went(
        &mut self,
        now_ms: u64,
        group: &GroupName,
        name: &ResourceName,
        out: &mut Vec<Command>,
    ) {
        self.gone = true;
        self.stuck = false;
        if self.state == ResourceState::OfflinePending {
            let reason = self.reason.clone();
            self.enter(now_ms, ResourceState::Offline, &reason);
            out.push(command(group, name, Order::Note { what: "is offline" }, reason));
        }
    }

    pub(super) fn status(&self, now_ms: u64) -> ResourceStatus {
        ResourceStatus {
            state: self.state,
            for_ms: now_ms.saturating_sub(self.since_ms),
            reason: self.reason.clone(),
            detail: self.detail.clone(),
            progress: self.progress.clone(),
            restarts: u32::try_from(self.failures_ms.len()).unwrap_or(u32::MAX),
        }
    }
}

impl Around<'_> {
    fn command(&self, order: Order, reason: String) -> Command {
        command(self.group, self.name, order, reason)
    }
}

/// How long after its last failure a resource is restarted: at once if it ran before, later each
/// time that it fails again without having run.
fn restart_pause_ms(failures: usize) -> u64 {
    let steps = u64::try_from(failures.saturating_sub(1)).unwrap_or(u64::MAX);
    steps.saturating_mul(RESTART_PAUSE_STEP_MS)
}

fn command(group: &GroupName, name: &ResourceName, order: Order, reason: String) -> Command {
    Command { group: group.clone(), resource: Some(name.clone()), order, reason }
}
