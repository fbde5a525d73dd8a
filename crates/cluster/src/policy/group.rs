//! One group as one node sees it: whose it is, and what follows.

use super::fencing::{Fencing, Next};
use super::members::{Members, Place};
use super::{Command, Order, Report, View};
use crate::configuration::GroupConfig;
use crate::coordinator::{Claim, ClaimOutcome, Owner, Ownership, Release};
use crate::ids::{GroupName, NodeName, ResourceName};
use crate::status::{Liveness, OwnedGroup};

/// Where this node stands with a group.
#[derive(Debug, Clone, Default, PartialEq)]
enum Hold {
    /// It is not this node's.
    #[default]
    None,
    /// A claim is on its way.
    Claiming { claim: Claim },
    /// It is this node's.
    Holding { epoch: u64 },
    /// It is being given up: everything is going offline.
    Leaving { epoch: u64, leaving: Leaving },
    /// Everything is offline; the release is being written.
    Releasing { epoch: u64, release: Release },
}

#[derive(Debug, Clone, PartialEq)]
struct Leaving {
    to: Option<NodeName>,
    reason: String,
    /// Somebody has a later epoch: there is nothing to release.
    superseded: bool,
}

/// A release that could not be written is tried again after this time.
const RELEASE_AGAIN_MS: u64 = 100;

/// Something that happened, perhaps before this node's clock began.
#[derive(Debug, Clone, Copy)]
struct Past {
    known_ms: u64,
    age_ms: u64,
}

impl Past {
    fn age_ms(self, now_ms: u64) -> u64 {
        self.age_ms.saturating_add(now_ms.saturating_sub(self.known_ms))
    }

    /// When it will be `period_ms` old.
    fn ends_ms(self, period_ms: u64) -> u64 {
        self.known_ms.saturating_add(period_ms.saturating_sub(self.age_ms))
    }
}

#[derive(Debug, Default)]
pub(super) struct Group {
    ownership: Option<Ownership>,
    hold: Hold,
    /// A claim was lost, or its answer was: the ownership must be read before the next one.
    must_read: bool,
    /// Claims that this run of the program has made.
    attempts: u64,
    /// Claims up to this one are over, whatever the records say: the lease was lost since.
    void_attempt: u64,
    /// When the group was first seen free under the present epoch.
    free_since_ms: Option<u64>,
    failovers: Vec<Past>,
    /// Where in the configuration it is.
    at: Option<usize>,
    members: Members,
    /// When it is to be planned again though nothing happens; `u64::MAX` is never.
    pub(super) due_ms: u64,
    fencing: Fencing,
    /// The node to go back to, and since when it could take the group.
    better: Option<(NodeName, u64)>,
    /// When it may go back, if that is all that is waited for.
    failback_due_ms: Option<u64>,
    /// A release could not be written; until then it is not tried again.
    release_due_ms: u64,
    /// The epoch of a move request that could not be met and was said to be so.
    refused_move: Option<u64>,
}

impl Group {
    pub(super) fn configure(&mut self, now_ms: u64, at: usize, config: &GroupConfig) {
        self.at = Some(at);
        self.members.configure(now_ms, config);
    }

    /// The group is not configured any more: none of its resources is wanted.
    pub(super) fn forget(&mut self) {
        self.at = None;
        self.members.forget();
    }

    pub(super) fn is_configured(&self) -> bool {
        self.at.is_some()
    }

    /// Takes note of what was read; whether anything is different after it.
    pub(super) fn learn_ownership(
        &mut self,
        now_ms: u64,
        name: &GroupName,
        ownership: Option<Ownership>,
        out: &mut Vec<Command>,
    ) -> bool {
        let waited = std::mem::take(&mut self.must_read);
        if ownership == self.ownership {
            return waited;
        }
        let Some(read) = ownership else { return waited };
        if read.claim.epoch < self.epoch() {
            return waited;
        }
        self.take_note(now_ms, name, read, out);
        true
    }

    fn take_note(
        &mut self,
        now_ms: u64,
        name: &GroupName,
        read: Ownership,
        out: &mut Vec<Command>,
    ) {
        let (epoch, known) = (read.claim.epoch, self.epoch());
        let ages = read.release.as_ref().map(|release| &release.failover_ages_ms);
        let ages = ages.unwrap_or(&read.claim.failover_ages_ms);
        self.failovers = ages.iter().map(|&age_ms| Past { known_ms: now_ms, age_ms }).collect();
        if epoch > known {
            self.free_since_ms = None;
        }
        match self.hold {
            // The reading may be from before the claim or after it; the claim's answer tells.
            Hold::None | Hold::Claiming { .. } => {}
            Hold::Holding { epoch: held } | Hold::Leaving { epoch: held, .. } if epoch > held => {
                let owner = &read.claim.owner.node;
                let reason = format!("{owner} took the group under epoch {epoch}");
                self.cut_off(now_ms, name, held, true, &reason, out);
            }
            Hold::Releasing { epoch: held, .. } if epoch > held => self.hold = Hold::None,
            _ => {}
        }
        self.ownership = Some(read);
    }

    pub(super) fn lease_lost(&mut self, now_ms: u64, name: &GroupName, out: &mut Vec<Command>) {
        self.void_attempt = self.attempts;
        match self.hold {
            Hold::None | Hold::Releasing { .. } => {}
            Hold::Claiming { .. } => self.hold = Hold::None,
            Hold::Holding { epoch } | Hold::Leaving { epoch, .. } => {
                let reason = "the lease could not be renewed, so nothing may run here";
                self.cut_off(now_ms, name, epoch, false, reason, out);
            }
        }
    }

    /// Ends everything by force and gives the epoch up.
    fn cut_off(
        &mut self,
        now_ms: u64,
        name: &GroupName,
        epoch: u64,
        superseded: bool,
        reason: &str,
        out: &mut Vec<Command>,
    ) {
        self.void_attempt = self.attempts;
        self.members.cut_off(now_ms, name, reason, out);
        let leaving = Leaving { to: None, reason: reason.to_owned(), superseded };
        self.hold = Hold::Leaving { epoch, leaving };
    }

    pub(super) fn claimed(&mut self, now_ms: u64, attempt: u64, outcome: Option<ClaimOutcome>) {
        match std::mem::take(&mut self.hold) {
            Hold::Claiming { claim } if claim.attempt == attempt => {
                if outcome == Some(ClaimOutcome::Won) {
                    let epoch = claim.epoch;
                    self.ownership = Some(Ownership { claim, release: None });
                    self.take_up(now_ms, epoch);
                }
                // Lost, or not known: the next reading of the ownership tells whose it is.
                self.must_read = outcome != Some(ClaimOutcome::Won);
            }
            other => self.hold = other,
        }
    }

    /// The group is this node's: its resources start with a clean record.
    fn take_up(&mut self, now_ms: u64, epoch: u64) {
        self.hold = Hold::Holding { epoch };
        self.members.renew(now_ms);
    }

    pub(super) fn released(&mut self, now_ms: u64, released: u64, done: bool) {
        match std::mem::take(&mut self.hold) {
            Hold::Releasing { epoch, release } if epoch == released => {
                if done {
                    if let Some(owned) = self.ownership.as_mut().filter(|o| o.claim.epoch == epoch)
                    {
                        owned.release.get_or_insert(release);
                    }
                } else {
                    self.release_due_ms = now_ms.saturating_add(RELEASE_AGAIN_MS);
                    let Release { reason, to, .. } = release;
                    let leaving = Leaving { to, reason, superseded: false };
                    self.hold = Hold::Leaving { epoch, leaving };
                }
            }
            other => self.hold = other,
        }
    }

    /// Passes a report on; false if it is about no start that this group made.
    pub(super) fn report(
        &mut self,
        now_ms: u64,
        name: &GroupName,
        resource: &ResourceName,
        run: u64,
        report: &Report,
        out: &mut Vec<Command>,
    ) -> bool {
        let Some(found) = self.members.find(resource).filter(|found| found.run() == run) else {
            return false;
        };
        found.report(now_ms, name, resource, report, out);
        true
    }

    pub(super) fn plan(
        &mut self,
        view: &View<'_>,
        name: &GroupName,
        last_run: &mut u64,
        out: &mut Vec<Command>,
    ) {
        let config = self.at.and_then(|at| view.configuration.groups.get(at));
        let said = out.len();
        self.due_ms = u64::MAX;
        let untouched = view.configuration.maintenance && !view.stopping;
        match &self.hold {
            Hold::None => self.plan_free(view, name, config, out),
            Hold::Holding { .. } if untouched => {}
            Hold::Claiming { .. } | Hold::Releasing { .. } => {}
            Hold::Holding { epoch } => {
                let epoch = *epoch;
                if let Some(leaving) = self.reason_to_leave(view, name, config, out) {
                    let what = Order::Note { what: "leaving" };
                    out.push(command(name, what, leaving.reason.clone()));
                    self.hold = Hold::Leaving { epoch, leaving };
                }
                self.plan_members(view, name, config, epoch, last_run, out);
            }
            Hold::Leaving { epoch, .. } => {
                let epoch = *epoch;
                self.plan_members(view, name, config, epoch, last_run, out);
                self.plan_release(view, name, out);
            }
        }
        if out.len() > said {
            // What was just decided may lead to more.
            self.due_ms = view.now_ms;
        }
    }

    fn plan_members(
        &mut self,
        view: &View<'_>,
        name: &GroupName,
        config: Option<&GroupConfig>,
        epoch: u64,
        last_run: &mut u64,
        out: &mut Vec<Command>,
    ) {
        let leaving_because = match &self.hold {
            Hold::Leaving { leaving, .. } => Some(leaving.reason.as_str()),
            _ => None,
        };
        let (now_ms, leased) = (view.now_ms, view.leased());
        let place = Place { now_ms, group: name, epoch, leased, leaving_because };
        self.due_ms = self.members.plan(&place, config, last_run, out);
        self.due_ms = self.due_ms.min(self.failback_due_ms.unwrap_or(u64::MAX));
        if let (Hold::Holding { .. }, Some(config)) = (&self.hold, config)
            && self.members.failed_for_good(config).is_some()
        {
            let period_ms = config.failover_period_ms;
            let ends = self.failovers.iter().map(|past| past.ends_ms(period_ms));
            let next_ms = ends.filter(|&end_ms| end_ms > now_ms).min();
            self.due_ms = self.due_ms.min(next_ms.unwrap_or(u64::MAX));
        }
    }

    /// Decides whether to take a group that is not this node's.
    fn plan_free(
        &mut self,
        view: &View<'_>,
        name: &GroupName,
        config: Option<&GroupConfig>,
        out: &mut Vec<Command>,
    ) {
        if self.must_read || self.plan_own_again(view, name, out) {
            return;
        }
        let (Some(config), false) = (config, view.stopping || view.configuration.maintenance)
        else {
            return;
        };
        let Some(reason) = self.why_free(view) else {
            self.free_since_ms = None;
            return;
        };
        let free_since_ms = *self.free_since_ms.get_or_insert(view.now_ms);
        let ranked = self.ranked(view, config);
        let Some(rank) = ranked.iter().position(|node| *node == view.me.node) else { return };
        let rank = u64::try_from(rank).unwrap_or(u64::MAX);
        let wait_ms = rank.saturating_mul(view.configuration.timing.lease_ms);
        let due_ms = free_since_ms.saturating_add(wait_ms);
        if !view.leased() || view.now_ms < due_ms {
            // Without the lease there is an event when it comes back.
            self.due_ms = if view.leased() { due_ms } else { u64::MAX };
            return;
        }
        if self.may_follow(view, name, &reason, out) {
            self.claim(view, name, config, reason, out);
        }
    }

    /// Has the power of the last owner switched off first, if that is configured and it has not
    /// given the group up by itself.
    fn may_follow(
        &mut self,
        view: &View<'_>,
        name: &GroupName,
        reason: &str,
        out: &mut Vec<Command>,
    ) -> bool {
        let silent = self.ownership.as_ref().filter(|owned| owned.release.is_none());
        let Some(owner) = silent.map(|owned| owned.claim.owner.clone()) else { return true };
        match self.fencing.next(view.now_ms, &owner, view.configuration) {
            Next::Follow => return true,
            Next::Wait { until_ms } => self.due_ms = until_ms,
            Next::Fence => {
                self.fencing.begin(owner.clone());
                let reason = format!("before it is followed: {reason}");
                out.push(command(name, Order::Fence { owner }, reason));
            }
        }
        false
    }

    /// The agent has answered.
    pub(super) fn fenced(
        &mut self,
        now_ms: u64,
        name: &GroupName,
        owner: Owner,
        result: Result<(), String>,
        out: &mut Vec<Command>,
    ) {
        let (what, reason) = match &result {
            Ok(()) => ("fenced", format!("the power of {} is off", owner.node)),
            Err(why) => {
                let node = &owner.node;
                let why = format!("{node} could not be fenced, so it is not followed: {why}");
                ("fencing failed", why)
            }
        };
        self.fencing.answered(now_ms, owner, result.is_ok());
        out.push(command(name, Order::Note { what }, reason));
    }

    /// Takes up or releases an epoch that the records give to this very run of the program.
    fn plan_own_again(
        &mut self,
        view: &View<'_>,
        name: &GroupName,
        out: &mut Vec<Command>,
    ) -> bool {
        let Some(ownership) = &self.ownership else { return false };
        if ownership.claim.owner != *view.me || ownership.release.is_some() {
            return false;
        }
        let epoch = ownership.claim.epoch;
        if ownership.claim.attempt > self.void_attempt {
            self.take_up(view.now_ms, epoch);
            self.due_ms = view.now_ms;
        } else {
            let reason = "the lease was lost under this epoch and nothing runs here".to_owned();
            let release = self.release_record(view.now_ms, &reason, None);
            self.hold = Hold::Releasing { epoch, release: release.clone() };
            out.push(command(name, Order::Release { epoch, release }, reason));
        }
        true
    }

    fn why_free(&self, view: &View<'_>) -> Option<String> {
        let Some(ownership) = &self.ownership else {
            return Some("nobody has owned it yet".to_owned());
        };
        let owner = &ownership.claim.owner;
        if let Some(release) = &ownership.release {
            return Some(format!("{} gave it up: {}", owner.node, release.reason));
        }
        let timing = &view.configuration.timing;
        if view.observer.may_act(owner, timing) {
            return None;
        }
        Some(format!(
            "its owner {} gave no sign of life for more than {} ms",
            owner.node,
            timing.lease_ms + timing.margin_ms
        ))
    }

    /// The nodes that may take the group now, best first.
    fn ranked(&self, view: &View<'_>, config: &GroupConfig) -> Vec<NodeName> {
        let first_time = self.ownership.is_none();
        let there = |node: &NodeName| {
            let paused = view.configuration.node(node).is_none_or(|node| node.paused);
            let timing = &view.configuration.timing;
            let alive = match view.observer.liveness(node, timing) {
                Some(Liveness::Alive) | None => true,
                Some(Liveness::NeverSeen) => first_time,
                Some(Liveness::Dead) => false,
            };
            !paused && (*node == view.me.node || alive)
        };
        let mut ranked = view.configuration.candidates(config);
        ranked.retain(there);
        let wanted = self.ownership.as_ref().and_then(|owned| owned.release.as_ref()?.to.as_ref());
        let asked = config.move_request.as_ref().filter(|asked| asked.from_epoch == self.epoch());
        let first = asked.map(|asked| &asked.to).or(wanted);
        // A stable sort: the one that is asked for comes first, the others keep their order.
        ranked.sort_by_key(|node| Some(node) != first);
        ranked
    }

    fn claim(
        &mut self,
        view: &View<'_>,
        name: &GroupName,
        config: &GroupConfig,
        reason: String,
        out: &mut Vec<Command>,
    ) {
        let taken_from_dead = self.ownership.as_ref().is_some_and(|owned| owned.release.is_none());
        if taken_from_dead {
            self.failovers.push(Past { known_ms: view.now_ms, age_ms: 0 });
        }
        self.failovers.retain(|past| past.age_ms(view.now_ms) < config.failover_period_ms);
        let epoch = self.epoch() + 1;
        self.attempts += 1;
        let claim = Claim {
            epoch,
            attempt: self.attempts,
            owner: view.me.clone(),
            reason: reason.clone(),
            failover_ages_ms: ages(&self.failovers, view.now_ms),
        };
        self.hold = Hold::Claiming { claim: claim.clone() };
        self.free_since_ms = None;
        out.push(command(name, Order::Claim(claim), reason));
    }

    fn reason_to_leave(
        &mut self,
        view: &View<'_>,
        name: &GroupName,
        config: Option<&GroupConfig>,
        out: &mut Vec<Command>,
    ) -> Option<Leaving> {
        let leaving =
            |to: Option<NodeName>, reason: String| Some(Leaving { to, reason, superseded: false });
        let Some(config) = config else {
            return leaving(None, "the group is not configured any more".to_owned());
        };
        if view.stopping {
            return leaving(self.other(view, config), "the node is stopping".to_owned());
        }
        if !view.configuration.may_own(&view.me.node, config)
            && let Some(other) = self.other(view, config)
        {
            return leaving(Some(other), "this node is no possible owner any more".to_owned());
        }
        if view.configuration.node(&view.me.node).is_some_and(|me| me.drained)
            && let Some(other) = self.other(view, config)
        {
            return leaving(Some(other), "this node is being drained".to_owned());
        }
        let asked = config.move_request.clone().filter(|asked| asked.from_epoch == self.epoch());
        if let Some(asked) = asked.filter(|asked| asked.to != view.me.node) {
            if self.fit(view, config).contains(&asked.to) {
                return leaving(Some(asked.to), "a move was asked for".to_owned());
            }
            if self.refused_move != Some(asked.from_epoch) {
                self.refused_move = Some(asked.from_epoch);
                let reason = format!("{} is not alive, or paused: it stays here", asked.to);
                out.push(command(name, Order::Note { what: "move refused" }, reason));
            }
        }
        if let Some(back) = self.failback(view, config) {
            return Some(back);
        }
        let (failed, why) = self.members.failed_for_good(config)?;
        let (failed, why) = (failed.clone(), why.to_owned());
        let other = self.other(view, config)?;
        if !self.failover_allowed(view.now_ms, config) {
            return None;
        }
        self.failovers.push(Past { known_ms: view.now_ms, age_ms: 0 });
        leaving(Some(other), format!("{failed} failed: {why}"))
    }

    /// Whether it is time to go back to a node that is preferred to this one.
    fn failback(&mut self, view: &View<'_>, config: &GroupConfig) -> Option<Leaving> {
        self.failback_due_ms = None;
        let failback = config.failback.as_ref()?;
        let fit = self.fit(view, config);
        let mut preferred = config.preferred_owners.iter();
        let better = preferred.by_ref().take_while(|node| **node != view.me.node);
        let better = better.into_iter().find(|node| fit.contains(node));
        let Some(better) = better else {
            self.better = None;
            return None;
        };
        let known = self.better.take().filter(|(node, _)| node == better);
        let since_ms = known.map_or(view.now_ms, |(_, since_ms)| since_ms);
        self.better = Some((better.clone(), since_ms));
        let due_ms = since_ms.saturating_add(failback.after_ms);
        if view.now_ms < due_ms {
            self.failback_due_ms = Some(due_ms);
            return None;
        }
        let open = |minute: u16| failback.windows.iter().any(|window| window.holds(minute));
        if !failback.windows.is_empty() && !view.minute.is_some_and(open) {
            return None;
        }
        let seconds = failback.after_ms / 1_000;
        let reason = format!("{better} is preferred and has been there for {seconds} s or more");
        Some(Leaving { to: Some(better.clone()), reason, superseded: false })
    }

    /// The nodes other than this one that could take the group at once, best first.
    fn fit(&self, view: &View<'_>, config: &GroupConfig) -> Vec<NodeName> {
        let timing = &view.configuration.timing;
        let mut nodes = view.configuration.candidates(config);
        nodes.retain(|node| {
            let paused = view.configuration.node(node).is_none_or(|node| node.paused);
            let alive = view.observer.liveness(node, timing) == Some(Liveness::Alive);
            *node != view.me.node && alive && !paused
        });
        nodes
    }

    fn other(&self, view: &View<'_>, config: &GroupConfig) -> Option<NodeName> {
        self.fit(view, config).into_iter().next()
    }

    fn failover_allowed(&mut self, now_ms: u64, config: &GroupConfig) -> bool {
        self.failovers.retain(|past| past.age_ms(now_ms) < config.failover_period_ms);
        let allowed = usize::try_from(config.failover_threshold).unwrap_or(usize::MAX);
        self.failovers.len() < allowed
    }

    fn plan_release(&mut self, view: &View<'_>, name: &GroupName, out: &mut Vec<Command>) {
        let Hold::Leaving { epoch, leaving } = &self.hold else { return };
        if !self.members.down() {
            return;
        }
        let (epoch, leaving) = (*epoch, leaving.clone());
        if leaving.superseded {
            self.hold = Hold::None;
            return;
        }
        if view.now_ms < self.release_due_ms {
            self.due_ms = self.due_ms.min(self.release_due_ms);
            return;
        }
        self.void_attempt = self.attempts;
        let release = self.release_record(view.now_ms, &leaving.reason, leaving.to);
        self.hold = Hold::Releasing { epoch, release: release.clone() };
        out.push(command(name, Order::Release { epoch, release }, leaving.reason));
    }

    fn release_record(&self, now_ms: u64, reason: &str, to: Option<NodeName>) -> Release {
        let failover_ages_ms = ages(&self.failovers, now_ms);
        Release { reason: reason.to_owned(), to, failover_ages_ms }
    }

    /// The last epoch known.
    pub(super) fn epoch(&self) -> u64 {
        self.ownership.as_ref().map_or(0, |ownership| ownership.claim.epoch)
    }

    pub(super) fn held_epoch(&self) -> Option<u64> {
        match &self.hold {
            Hold::Holding { epoch } | Hold::Leaving { epoch, .. } => Some(*epoch),
            _ => None,
        }
    }

    pub(super) fn idle(&self) -> bool {
        self.hold == Hold::None && self.down()
    }

    pub(super) fn down(&self) -> bool {
        self.members.down()
    }

    pub(super) fn stuck(&self) -> Vec<ResourceName> {
        let stuck = self.members.iter().filter(|(_, resource)| resource.is_stuck());
        stuck.map(|(name, _)| name.clone()).collect()
    }

    pub(super) fn status(&self, now_ms: u64) -> Option<OwnedGroup> {
        let epoch = self.held_epoch()?;
        let resources = self.members.iter();
        let resources = resources.map(|(name, state)| (name.clone(), state.status(now_ms)));
        let failovers = u32::try_from(self.failovers.len()).unwrap_or(u32::MAX);
        Some(OwnedGroup { epoch, resources: resources.collect(), failovers })
    }
}

fn ages(pasts: &[Past], now_ms: u64) -> Vec<u64> {
    pasts.iter().map(|past| past.age_ms(now_ms)).collect()
}

fn command(group: &GroupName, order: Order, reason: String) -> Command {
    Command { group: group.clone(), resource: None, order, reason }
}
