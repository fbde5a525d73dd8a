//! One simulated machine: a clock, a lease, processes, and the shell around the real policy.

use std::collections::VecDeque;
use std::sync::Arc;

use rehome_log::SplitMix64;

use super::child::{Around, Child};
use super::disk::ProcessId;
use super::faults::Fault;
use super::world::Shared;
use super::{Layer, RESOURCES};
use crate::configuration::Configuration;
use crate::coordinator::{Claim, ClaimOutcome, Heartbeat, Owner, Ownership, Release};
use crate::ids::ResourceName;
use crate::lease::Term;
use crate::policy::{Command, Event, Order, Policy, Report};
use crate::status::ResourceState;

/// How often a node reads what is shared.
const POLL_MS: u64 = 50;

/// One step of the shell; a pause may come between any two.
#[derive(Debug)]
enum Micro {
    StartReading(usize),
    Read { machine: usize, start_ms: u64 },
    FinishReading { machine: usize, start_ms: u64, heartbeat: Option<Heartbeat> },
    ReadOwnership,
    FinishOwnership(Option<Ownership>),
    Claim(Claim),
    FinishClaim { attempt: u64, outcome: ClaimOutcome },
    Release { epoch: u64, release: Release },
    Start { resource: usize, run: u64, epoch: u64, generation: u64 },
    Stop { resource: usize, run: u64 },
    Report { resource: usize, run: u64, report: Report, at_ms: u64 },
}

impl Micro {
    /// Whether it needs what is shared.
    fn shared(&self) -> bool {
        matches!(
            self,
            Self::Read { .. } | Self::ReadOwnership | Self::Claim(_) | Self::Release { .. }
        )
    }
}

/// The node's program while it runs.
struct Program {
    policy: Policy,
    term: Term,
    /// The end of the lease that the policy was last told.
    told_ms: u64,
    loss_told: bool,
    /// Goes up when the gate is shut: orders from before are void.
    generation: u64,
    work: VecDeque<Micro>,
    /// A heartbeat on its way: begun by the own clock, there by the world's.
    beating: Option<(u64, u64)>,
    next_beat_ms: u64,
    next_poll_ms: u64,
}

pub(super) struct Machine {
    number: usize,
    configuration: Arc<Configuration>,
    offset_ms: u64,
    /// Parts in ten thousand that its clock is fast.
    drift: u64,
    counter: u64,
    life: u64,
    program: Option<Program>,
    children: Vec<Child>,
    starts_ms: u64,
    node_paused_ms: u64,
    host_paused_ms: u64,
    stalled_ms: u64,
    cut_off_ms: u64,
    answers_lost_ms: u64,
    /// The last freeze, and how long the clock has stood still before.
    frozen_ms: (u64, u64),
    slept_ms: u64,
    early_release: bool,
}

impl Machine {
    pub(super) fn new(
        number: usize,
        configuration: Arc<Configuration>,
        random: &mut SplitMix64,
    ) -> Self {
        Self {
            number,
            configuration,
            offset_ms: random.below(1_000_000),
            drift: random.below(200),
            counter: 0,
            life: 0,
            program: None,
            children: Vec::new(),
            starts_ms: random.below(500),
            node_paused_ms: 0,
            host_paused_ms: 0,
            stalled_ms: 0,
            cut_off_ms: 0,
            answers_lost_ms: 0,
            frozen_ms: (0, 0),
            slept_ms: 0,
            early_release: false,
        }
    }

    /// This machine's clock.
    fn clock_ms(&self, world_ms: u64) -> u64 {
        let (from_ms, until_ms) = self.frozen_ms;
        let asleep_ms = world_ms.min(until_ms) - from_ms.min(world_ms);
        let ran_ms = world_ms - self.slept_ms - asleep_ms;
        self.offset_ms + ran_ms + ran_ms * self.drift / 10_000
    }

    /// Something goes wrong until `until_ms`.
    pub(super) fn strike(&mut self, now: u64, fault: Fault, until_ms: u64, shared: &mut Shared) {
        match fault {
            Fault::NodeDies => {
                self.program = None;
                self.starts_ms = until_ms;
                for child in &mut self.children {
                    child.dies_ms = child.dies_ms.min(now + shared.random.below(300));
                }
            }
            Fault::PowerFails => {
                self.program = None;
                self.starts_ms = until_ms;
                self.end(|_| true, now, shared);
                shared.quorum.power_off(self.number);
            }
            Fault::NodePauses => self.node_paused_ms = self.node_paused_ms.max(until_ms),
            Fault::HostPauses => self.host_paused_ms = self.host_paused_ms.max(until_ms),
            Fault::HostFreezes if now >= self.frozen_ms.1 => {
                self.slept_ms += self.frozen_ms.1 - self.frozen_ms.0;
                self.frozen_ms = (now, until_ms);
            }
            Fault::HostFreezes => {}
            Fault::DiskStalls => self.stalled_ms = self.stalled_ms.max(until_ms),
            Fault::CutOff => self.cut_off_ms = self.cut_off_ms.max(until_ms),
            Fault::AnswersLost => self.answers_lost_ms = self.answers_lost_ms.max(until_ms),
            Fault::ResourceDies => self.lose_resource(now, shared),
            Fault::SignVanishes => shared.quorum.take_back(self.number),
            // Befalls what is shared, and all machines.
            Fault::LeaderChanges => {}
        }
    }

    /// Whoever is asked for what is shared does not answer any more: a heartbeat on its way may be
    /// there or not.
    pub(super) fn loses_answers(&mut self) {
        if let Some(program) = &mut self.program {
            program.beating = None;
        }
    }

    /// A watch says that something has changed.
    pub(super) fn is_told(&mut self) {
        if let Some(program) = &mut self.program {
            program.next_poll_ms = 0;
        }
    }

    fn lose_resource(&mut self, now_ms: u64, shared: &mut Shared) {
        let victim = shared.random.below(RESOURCES.len() as u64);
        let life = self.life;
        let victim = self.children.iter().find(|child| {
            child.life == life && child.resource as u64 == victim && child.dies_ms == u64::MAX
        });
        let Some((id, resource, run)) = victim.map(|child| (child.id, child.resource, child.run))
        else {
            return;
        };
        self.end(|child| child.id == id, now_ms, shared);
        let report = Report::Failed { why: "it died".to_owned(), gone: true };
        self.later(Micro::Report { resource, run, report, at_ms: 0 });
    }

    /// Ends processes; a machine that is cut off cannot tell the lock's server.
    fn end(&mut self, which: impl Fn(&Child) -> bool, now_ms: u64, shared: &mut Shared) {
        let free_ms = self.cut_off_ms.max(now_ms);
        self.children.retain(|child| {
            let ends = which(child);
            if ends {
                shared.disk.free_lock(child.id, free_ms);
            }
            !ends
        });
    }

    pub(super) fn gave_up_early(&self) -> bool {
        self.early_release
    }

    /// Whether what runs here answers: a process refuses once its lease is over, paused or not.
    pub(super) fn acts(&self, world_ms: u64, without: Option<Layer>) -> bool {
        let endless = without == Some(Layer::Deadline);
        let plain = |child: &Child| child.is_plain();
        let mut children = self.children.iter().filter(|child| plain(child)).peekable();
        if children.peek().is_none() {
            return false;
        }
        let clock_ms = self.clock_ms(world_ms);
        children.any(|child| endless || clock_ms < child.until_ms)
    }

    pub(super) fn open_stores(&self) -> usize {
        self.children.iter().filter(|child| child.is_open()).count()
    }

    pub(super) fn processes(&self) -> impl Iterator<Item = ProcessId> {
        self.children.iter().map(|child| child.id)
    }

    pub(super) fn all_online(&self, world_ms: u64) -> bool {
        let Some(program) = &self.program else { return false };
        let status = program.policy.status(0);
        let group = status.values().next();
        let online = group.is_some_and(|group| {
            group.resources.values().all(|resource| resource.state == ResourceState::Online)
        });
        online && self.acts(world_ms, None)
    }

    pub(super) fn describe(&self, world_ms: u64) -> String {
        let clock_ms = self.clock_ms(world_ms);
        let child = |child: &Child| {
            let left_ms = child.until_ms.saturating_sub(clock_ms);
            let of = if child.life == self.life { "" } else { " of an earlier run" };
            let open = if child.is_open() { ", open" } else { "" };
            format!("{}{of} for {left_ms} ms{open}", RESOURCES[child.resource])
        };
        let children: Vec<String> = self.children.iter().map(child).collect();
        let status = self.program.as_ref().map(|program| program.policy.status(0));
        let name = &self.configuration.nodes[self.number].name;
        format!("{name} run {} has {children:?}, {status:?}", self.life)
    }

    pub(super) fn step(&mut self, world_ms: u64, shared: &mut Shared) {
        if world_ms < self.host_paused_ms.max(self.frozen_ms.1) {
            return;
        }
        self.step_children(world_ms, shared);
        if world_ms < self.node_paused_ms {
            return;
        }
        if self.program.is_none() {
            if world_ms < self.starts_ms {
                return;
            }
            let ordered = shared.faults.ordered || shared.without == Some(Layer::Anew);
            self.boot(world_ms, ordered);
        }
        self.guard(world_ms, shared);
        self.finish_beat(world_ms);
        self.begin_beat(world_ms, shared);
        self.tell_lease(world_ms);
        let clock_ms = self.clock_ms(world_ms);
        let nodes = self.configuration.nodes.len();
        if let Some(program) = &mut self.program
            && program.work.is_empty()
            && clock_ms >= program.next_poll_ms
        {
            program.next_poll_ms = clock_ms + POLL_MS;
            program.work.extend((0..nodes).map(Micro::StartReading));
            program.work.push_back(Micro::ReadOwnership);
            self.feed(world_ms, Event::Tick);
        }
        // Mostly several steps in a row, sometimes a hole between two of them.
        for _ in 0..shared.random.below(8) {
            let Some(micro) = self.program.as_mut().and_then(|one| one.work.pop_front()) else {
                break;
            };
            if !self.work_on(world_ms, micro, shared) {
                break;
            }
        }
    }

    fn step_children(&mut self, world_ms: u64, shared: &mut Shared) {
        if self.children.iter().any(|child| child.dies_ms <= world_ms) {
            self.end(|child| child.dies_ms <= world_ms, world_ms, shared);
        }
        let clock_ms = self.clock_ms(world_ms);
        let reaches_ms = self.stalled_ms.max(self.cut_off_ms).max(world_ms);
        let mut said = Vec::new();
        for child in self.children.iter_mut().filter(|child| !child.is_plain()) {
            let mut around = Around {
                world_ms,
                clock_ms,
                reaches_ms,
                without: shared.without,
                disk: &mut shared.disk,
                random: &mut shared.random,
            };
            let (id, life, resource, run) = (child.id, child.life, child.resource, child.run);
            said.extend(child.step(&mut around).map(|report| (id, life, resource, run, report)));
        }
        for (id, life, resource, run, report) in said {
            if !matches!(report, Report::Online(_)) {
                self.end(|child| child.id == id, world_ms, shared);
            }
            if life == self.life {
                self.later(Micro::Report { resource, run, report, at_ms: 0 });
            }
        }
    }

    fn later(&mut self, micro: Micro) {
        if let Some(program) = &mut self.program {
            program.work.push_back(micro);
        }
    }

    fn owner(&self) -> Owner {
        let node = self.configuration.nodes[self.number].name.clone();
        Owner { node, incarnation: self.life.to_string() }
    }

    fn boot(&mut self, world_ms: u64, ordered: bool) {
        self.life += 1;
        self.program = Some(Program {
            policy: Policy::new(self.owner()).with_ordered_heartbeats(ordered),
            term: Term::default(),
            told_ms: 0,
            loss_told: false,
            generation: 0,
            work: VecDeque::new(),
            beating: None,
            next_beat_ms: 0,
            next_poll_ms: 0,
        });
        self.feed(world_ms, Event::Configured(self.configuration.clone()));
    }

    /// The thread that watches the lease.
    fn guard(&mut self, world_ms: u64, shared: &mut Shared) {
        let clock_ms = self.clock_ms(world_ms);
        let Some(program) = &mut self.program else { return };
        if shared.without == Some(Layer::Deadline) {
            return;
        }
        if program.term.ends(clock_ms, &self.configuration.timing) {
            program.generation += 1;
            let life = self.life;
            self.end(|child| child.life == life, world_ms, shared);
        }
    }

    /// The heartbeat is known to be durable. What runs is told.
    fn finish_beat(&mut self, world_ms: u64) {
        let Some(program) = &mut self.program else { return };
        let Some((start_ms, there_ms)) = program.beating else { return };
        if world_ms < there_ms {
            return;
        }
        program.beating = None;
        program.term.renewed(start_ms, &self.configuration.timing);
        let until_ms = program.term.end_ms(&self.configuration.timing);
        let life = self.life;
        let own = self.children.iter_mut().filter(|child| child.life == life);
        own.for_each(|child| child.until_ms = until_ms);
    }

    fn begin_beat(&mut self, world_ms: u64, shared: &mut Shared) {
        let now_ms = self.clock_ms(world_ms);
        let heartbeat_ms = self.configuration.timing.heartbeat_ms;
        let Some(program) = &mut self.program else { return };
        if program.beating.is_some() || now_ms < program.next_beat_ms {
            return;
        }
        program.next_beat_ms = now_ms + heartbeat_ms;
        let reaches_ms = self.stalled_ms.max(self.cut_off_ms).max(shared.leaderless_ms);
        let reaches_ms = reaches_ms.max(world_ms);
        let there_ms = reaches_ms + shared.random.below(40);
        program.beating = Some((now_ms, there_ms));
        self.counter += 1;
        let Owner { node, incarnation } = self.owner();
        let counter = self.counter;
        let heartbeat = Heartbeat { node, incarnation, counter, pid: 1, leaving: false };
        if shared.random.below(shared.faults.twice) == 0 {
            let again_ms = there_ms + shared.random.below(2_000);
            shared.quorum.beat(again_ms, self.number, heartbeat.clone());
        }
        shared.quorum.beat(there_ms, self.number, heartbeat);
    }

    fn tell_lease(&mut self, world_ms: u64) {
        let clock_ms = self.clock_ms(world_ms);
        let Some(program) = &mut self.program else { return };
        let until_ms = program.term.end_ms(&self.configuration.timing);
        if program.term.lost() {
            let tell = !std::mem::replace(&mut program.loss_told, true);
            if clock_ms < until_ms {
                program.term.acknowledge();
                program.loss_told = false;
            }
            if tell {
                program.told_ms = 0;
                self.feed(world_ms, Event::LeaseLost);
            }
        }
        let Some(program) = &mut self.program else { return };
        if !program.term.lost() && program.told_ms != until_ms {
            program.told_ms = until_ms;
            self.feed(world_ms, Event::Renewed { until_ms });
        }
    }

    /// Does one thing; false if it must wait.
    fn work_on(&mut self, world_ms: u64, micro: Micro, shared: &mut Shared) -> bool {
        if micro.shared() && world_ms < self.cut_off_ms.max(shared.leaderless_ms) {
            if shared.random.below(20) > 0 {
                self.next(micro);
                return false;
            }
            self.fail(world_ms, micro);
            return true;
        }
        let often = world_ms < self.answers_lost_ms;
        let lost = shared.random.below(if often { 2 } else { 20 }) == 0;
        match micro {
            Micro::StartReading(machine) => {
                let start_ms = self.clock_ms(world_ms);
                self.next(Micro::Read { machine, start_ms });
            }
            Micro::Read { .. } | Micro::ReadOwnership if lost => {}
            Micro::Read { machine, start_ms } => {
                let heartbeat = shared.quorum.heartbeat(machine).cloned();
                self.next(Micro::FinishReading { machine, start_ms, heartbeat });
            }
            Micro::ReadOwnership => {
                self.next(Micro::FinishOwnership(shared.quorum.ownership()));
            }
            Micro::Claim(claim) => {
                let (attempt, outcome) = (claim.attempt, shared.quorum.claim(&claim));
                self.next(Micro::FinishClaim { attempt, outcome });
            }
            Micro::Start { resource, run, epoch, generation } => {
                self.start(world_ms, (resource, run, epoch, generation), shared);
            }
            Micro::Stop { resource, run } => {
                let life = self.life;
                let whose = |child: &Child| child.life == life && child.resource == resource;
                self.end(whose, world_ms, shared);
                self.later(Micro::Report { resource, run, report: Report::Offline, at_ms: 0 });
            }
            Micro::Report { at_ms, .. } if self.clock_ms(world_ms) < at_ms => self.later(micro),
            other => self.hear(world_ms, other, lost, shared),
        }
        true
    }

    /// The policy is told what came of something; an answer may be lost.
    fn hear(&mut self, world_ms: u64, micro: Micro, lost: bool, shared: &mut Shared) {
        let group = self.configuration.groups[0].name.clone();
        let event = match micro {
            Micro::FinishReading { machine, mut start_ms, heartbeat } => {
                let timing = &self.configuration.timing;
                if shared.without == Some(Layer::Wait) {
                    // Whoever stands still is thought to have done so for long.
                    start_ms += timing.lease_ms + timing.margin_ms;
                }
                let node = self.configuration.nodes[machine].name.clone();
                Event::Heartbeat { node, start_ms, heartbeat }
            }
            Micro::FinishOwnership(ownership) => Event::Ownership { group, ownership },
            Micro::FinishClaim { attempt, outcome } => {
                self.tell_lease(world_ms);
                Event::Claimed { group, attempt, outcome: (!lost).then_some(outcome) }
            }
            Micro::Release { epoch, release } => {
                shared.quorum.release(epoch, release);
                Event::Released { group, epoch, done: !lost }
            }
            Micro::Report { resource, run, report, .. } => {
                let resource = self.configuration.groups[0].resources[resource].name.clone();
                Event::Resource { resource, run, report }
            }
            _ => return,
        };
        self.feed(world_ms, event);
    }

    fn next(&mut self, micro: Micro) {
        if let Some(program) = &mut self.program {
            program.work.push_front(micro);
        }
    }

    /// What is shared did not answer.
    fn fail(&mut self, world_ms: u64, micro: Micro) {
        let group = self.configuration.groups[0].name.clone();
        match micro {
            Micro::Claim(Claim { attempt, .. }) => {
                self.feed(world_ms, Event::Claimed { group, attempt, outcome: None });
            }
            Micro::Release { epoch, .. } => {
                self.feed(world_ms, Event::Released { group, epoch, done: false });
            }
            _ => {
                // The rest of this look at what is shared is left out.
                let Some(program) = &mut self.program else { return };
                program
                    .work
                    .retain(|one| !matches!(one, Micro::StartReading(_) | Micro::ReadOwnership));
            }
        }
    }

    /// The gate: nothing starts while the lease is lost, or for an order from before its loss.
    fn start(&mut self, now: u64, order: (usize, u64, u64, u64), shared: &mut Shared) {
        let (resource, run, epoch, generation) = order;
        let clock_ms = self.clock_ms(now);
        let Some(program) = &mut self.program else { return };
        let until_ms = program.term.end_ms(&self.configuration.timing);
        let endless = shared.without == Some(Layer::Deadline);
        let leased = endless || (!program.term.lost() && clock_ms < until_ms);
        if !leased || generation != program.generation {
            let report = Report::Failed { why: "the lease was lost".to_owned(), gone: true };
            return self.later(Micro::Report { resource, run, report, at_ms: 0 });
        }
        shared.last_process += 1;
        let child = Child::plain(shared.last_process, self.life, resource, run, until_ms);
        if resource + 1 == RESOURCES.len() {
            self.children.push(child.with_store(epoch, clock_ms));
        } else {
            self.children.push(child);
            let at_ms = clock_ms + shared.random.below(100);
            let report = Report::Online(None);
            self.later(Micro::Report { resource, run, report, at_ms });
        }
    }

    fn feed(&mut self, world_ms: u64, event: Event) {
        let now_ms = self.clock_ms(world_ms);
        let Some(program) = &mut self.program else { return };
        for Command { resource, order, .. } in program.policy.step(now_ms, event) {
            let resources = &self.configuration.groups[0].resources;
            let number = |name: ResourceName| resources.iter().position(|one| one.name == name);
            let micro = match (order, resource.and_then(number)) {
                (Order::Claim(claim), _) => Micro::Claim(claim),
                (Order::Release { epoch, release }, _) => {
                    let life = self.life;
                    self.early_release |= self.children.iter().any(|child| child.life == life);
                    Micro::Release { epoch, release }
                }
                (Order::Online { run, epoch }, Some(resource)) => {
                    Micro::Start { resource, run, epoch, generation: program.generation }
                }
                (Order::Offline { run } | Order::Terminate { run }, Some(resource)) => {
                    Micro::Stop { resource, run }
                }
                (Order::Check { run, thorough }, Some(resource)) => {
                    let report = Report::Checked { thorough, result: Ok(()) };
                    Micro::Report { resource, run, report, at_ms: now_ms }
                }
                _ => continue,
            };
            program.work.push_back(micro);
        }
    }
}
