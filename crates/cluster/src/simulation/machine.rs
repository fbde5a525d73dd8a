//! One simulated machine: a clock, a lease, resources, and the shell around the real policy.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use super::{Folder, Random, Weakened, group_name};
use crate::configuration::Configuration;
use crate::coordinator::{Claim, Heartbeat, Owner, Ownership, Release};
use crate::ids::{NodeName, ResourceName};
use crate::policy::{Command, Event, Order, Policy, Report};
use crate::status::ResourceState;

/// The lease of every machine, whatever its policy believes.
const LEASE_MS: u64 = 1_000;
const HEARTBEAT_MS: u64 = 160;
const POLL_MS: u64 = 50;

/// One step of the shell; a pause may come between any two.
enum Micro {
    StartReading(NodeName),
    Read { node: NodeName, start_ms: u64 },
    FinishReading { node: NodeName, start_ms: u64, heartbeat: Option<Heartbeat> },
    ReadOwnership,
    FinishOwnership(Option<Ownership>),
    Claim(Claim),
    FinishClaim { attempt: u64, outcome: crate::coordinator::ClaimOutcome },
    Release { epoch: u64, release: Release },
    Start { resource: ResourceName, run: u64, generation: u64 },
    Report { resource: ResourceName, run: u64, report: Report, at_ms: u64 },
}

pub(super) struct Machine {
    name: NodeName,
    configuration: Arc<Configuration>,
    weakened: Weakened,
    offset_ms: u64,
    /// Parts in ten thousand that its clock is fast.
    drift: u64,
    life: u64,
    policy: Option<Policy>,
    restart_ms: u64,
    paused_until_ms: u64,
    stalled_until_ms: u64,
    /// A heartbeat being written: when it was begun (own clock) and when it is visible (world).
    beating: Option<(u64, u64)>,
    /// A heartbeat that is visible, which the node has not noticed yet: when it was begun.
    beaten: Option<u64>,
    counter: u64,
    next_beat_ms: u64,
    next_poll_ms: u64,
    until_ms: u64,
    /// The lease that the policy was last told.
    renewed_ms: u64,
    lost: bool,
    lost_told: bool,
    generation: u64,
    running: BTreeMap<ResourceName, u64>,
    work: VecDeque<Micro>,
    failing: bool,
}

impl Machine {
    pub(super) fn new(
        name: NodeName,
        configuration: Arc<Configuration>,
        weakened: Weakened,
        random: &mut Random,
    ) -> Self {
        Self {
            name,
            configuration,
            weakened,
            offset_ms: random.below(1_000_000),
            drift: random.below(200),
            life: 0,
            policy: None,
            restart_ms: random.below(500),
            paused_until_ms: 0,
            stalled_until_ms: 0,
            beating: None,
            beaten: None,
            counter: 0,
            next_beat_ms: 0,
            next_poll_ms: 0,
            until_ms: 0,
            renewed_ms: 0,
            lost: false,
            lost_told: false,
            generation: 0,
            running: BTreeMap::new(),
            work: VecDeque::new(),
            failing: false,
        }
    }

    /// This machine's clock.
    fn clock_ms(&self, world_ms: u64) -> u64 {
        self.offset_ms + world_ms + world_ms * self.drift / 10_000
    }

    fn me(&self) -> Owner {
        Owner { node: self.name.clone(), incarnation: format!("{}", self.life) }
    }

    /// The node and its children die; it comes back later with nothing in mind.
    pub(super) fn crash(&mut self, until_ms: u64) {
        self.policy = None;
        self.running.clear();
        self.work.clear();
        self.beating = None;
        self.beaten = None;
        self.restart_ms = until_ms;
    }

    pub(super) fn pause(&mut self, until_ms: u64) {
        self.paused_until_ms = self.paused_until_ms.max(until_ms);
    }

    pub(super) fn stall_disk(&mut self, until_ms: u64) {
        self.stalled_until_ms = self.stalled_until_ms.max(until_ms);
    }

    pub(super) fn fail_resource(&mut self) {
        self.failing = true;
    }

    /// What runs here may write: a child refuses once its lease is over, paused or not.
    pub(super) fn acts(&self, world_ms: u64) -> bool {
        let leased = self.weakened.no_guard || self.clock_ms(world_ms) < self.until_ms;
        !self.running.is_empty() && leased
    }

    pub(super) fn all_online(&self, world_ms: u64) -> bool {
        let Some(policy) = &self.policy else { return false };
        let status = policy.status(0);
        let group = status.get(&group_name());
        let online = group.is_some_and(|group| {
            group.resources.values().all(|resource| resource.state == ResourceState::Online)
        });
        online && self.acts(world_ms)
    }

    pub(super) fn describe(&self) -> String {
        let running: BTreeSet<&str> = self.running.keys().map(ResourceName::as_str).collect();
        let status = self.policy.as_ref().map(|policy| policy.status(0));
        let work = self.work.len();
        format!("{} life {} runs {running:?}, {work} to do: {status:?}", self.name, self.life)
    }

    pub(super) fn step(&mut self, world_ms: u64, folder: &mut Folder, random: &mut Random) {
        if self.policy.is_none() {
            if world_ms < self.restart_ms {
                return;
            }
            self.boot(world_ms);
        }
        self.finish_beat(world_ms, folder);
        if world_ms < self.paused_until_ms {
            return;
        }
        self.guard(world_ms);
        if let Some(start_ms) = self.beaten.take() {
            self.until_ms = self.until_ms.max(start_ms + LEASE_MS * 3 / 4);
        }
        self.begin_beat(world_ms, random);
        self.tell_lease(world_ms);
        if std::mem::take(&mut self.failing)
            && let Some((resource, run)) = self.running.pop_first()
        {
            let report = Report::Failed { why: "it died".to_owned(), gone: true };
            self.feed(world_ms, Event::Resource { resource, run, report });
        }
        let now_ms = self.clock_ms(world_ms);
        if self.work.is_empty() && now_ms >= self.next_poll_ms {
            self.next_poll_ms = now_ms + POLL_MS;
            let nodes = self.configuration.nodes.iter().map(|node| node.name.clone());
            self.work.extend(nodes.map(Micro::StartReading));
            self.work.push_back(Micro::ReadOwnership);
            self.feed(world_ms, Event::Tick);
        }
        // Mostly several steps in a row, sometimes a hole between two of them.
        for _ in 0..random.below(8) {
            let Some(micro) = self.work.pop_front() else { break };
            self.work_on(world_ms, micro, folder, random);
        }
    }

    fn boot(&mut self, world_ms: u64) {
        self.life += 1;
        self.counter = 0;
        (self.until_ms, self.renewed_ms) = (0, 0);
        (self.lost, self.lost_told) = (false, false);
        self.next_beat_ms = 0;
        self.policy = Some(Policy::new(self.me()));
        self.feed(world_ms, Event::Configured(self.configuration.clone()));
    }

    fn begin_beat(&mut self, world_ms: u64, random: &mut Random) {
        let now_ms = self.clock_ms(world_ms);
        if self.beating.is_none() && self.beaten.is_none() && now_ms >= self.next_beat_ms {
            self.next_beat_ms = now_ms + HEARTBEAT_MS;
            let visible_ms = (world_ms + random.below(40)).max(self.stalled_until_ms);
            self.beating = Some((now_ms, visible_ms));
        }
    }

    /// The write of a heartbeat goes on in the system while the node is paused.
    fn finish_beat(&mut self, world_ms: u64, folder: &mut Folder) {
        let Some((start_ms, visible_ms)) = self.beating else { return };
        if world_ms < visible_ms {
            return;
        }
        self.beating = None;
        self.counter += 1;
        let heartbeat = Heartbeat {
            node: self.name.clone(),
            incarnation: format!("{}", self.life),
            counter: self.counter,
            pid: 1,
            leaving: false,
        };
        folder.heartbeats.insert(self.name.clone(), heartbeat);
        self.beaten = Some(start_ms);
    }

    /// The thread that watches the lease.
    fn guard(&mut self, world_ms: u64) {
        let over = self.until_ms > 0 && self.clock_ms(world_ms) >= self.until_ms;
        if over && !self.lost && !self.weakened.no_guard {
            self.lost = true;
            self.generation += 1;
            self.running.clear();
        }
    }

    fn tell_lease(&mut self, world_ms: u64) {
        if self.lost {
            if !self.lost_told {
                self.lost_told = true;
                self.renewed_ms = 0;
                self.feed(world_ms, Event::LeaseLost);
            }
            if self.clock_ms(world_ms) >= self.until_ms {
                return;
            }
            (self.lost, self.lost_told) = (false, false);
        }
        if self.renewed_ms != self.until_ms {
            self.renewed_ms = self.until_ms;
            self.feed(world_ms, Event::Renewed { until_ms: self.until_ms });
        }
    }

    fn work_on(&mut self, world_ms: u64, micro: Micro, folder: &mut Folder, random: &mut Random) {
        match micro {
            Micro::StartReading(node) => {
                let start_ms = self.clock_ms(world_ms);
                self.work.push_front(Micro::Read { node, start_ms });
            }
            Micro::Read { node, start_ms } => {
                let heartbeat = folder.heartbeats.get(&node).cloned();
                self.work.push_front(Micro::FinishReading { node, start_ms, heartbeat });
            }
            Micro::FinishReading { node, start_ms, heartbeat } => {
                self.feed(world_ms, Event::Heartbeat { node, start_ms, heartbeat });
            }
            Micro::ReadOwnership => {
                self.work.push_front(Micro::FinishOwnership(folder.ownership()));
            }
            Micro::FinishOwnership(ownership) => {
                self.feed(world_ms, Event::Ownership { group: group_name(), ownership });
            }
            Micro::Claim(claim) => {
                let (attempt, outcome) = (claim.attempt, folder.claim(&claim));
                self.work.push_front(Micro::FinishClaim { attempt, outcome });
            }
            Micro::FinishClaim { attempt, outcome } => {
                self.tell_lease(world_ms);
                // An answer that got lost: the policy must find out by reading.
                let outcome = (!random.one_in(10)).then_some(outcome);
                self.feed(world_ms, Event::Claimed { group: group_name(), attempt, outcome });
            }
            Micro::Release { epoch, release } => {
                let done = !random.one_in(10);
                if done {
                    folder.release(epoch, release);
                }
                self.feed(world_ms, Event::Released { group: group_name(), epoch, done });
            }
            Micro::Start { resource, run, generation } => {
                self.start(world_ms, resource, run, generation, random);
            }
            Micro::Report { resource, run, report, at_ms } => {
                if self.clock_ms(world_ms) < at_ms {
                    self.work.push_back(Micro::Report { resource, run, report, at_ms });
                } else {
                    self.feed(world_ms, Event::Resource { resource, run, report });
                }
            }
        }
    }

    /// The gate: nothing starts while the lease is lost, or for an order from before its loss.
    fn start(
        &mut self,
        world_ms: u64,
        resource: ResourceName,
        run: u64,
        generation: u64,
        random: &mut Random,
    ) {
        let leased =
            self.weakened.no_guard || (!self.lost && self.clock_ms(world_ms) < self.until_ms);
        let report = if leased && generation == self.generation {
            self.running.insert(resource.clone(), run);
            Report::Online(None)
        } else {
            Report::Failed { why: "the lease was lost".to_owned(), gone: true }
        };
        let at_ms = self.clock_ms(world_ms) + random.below(100);
        self.work.push_back(Micro::Report { resource, run, report, at_ms });
    }

    fn feed(&mut self, world_ms: u64, event: Event) {
        let now_ms = self.clock_ms(world_ms);
        let Some(policy) = &mut self.policy else { return };
        let commands = policy.step(now_ms, event);
        for Command { resource, order, .. } in commands {
            let micro = match (order, resource) {
                (Order::Claim(claim), _) => Micro::Claim(claim),
                (Order::Release { epoch, release }, _) => {
                    assert!(self.running.is_empty(), "{} gave up what it runs", self.name);
                    Micro::Release { epoch, release }
                }
                (Order::Online { run, .. }, Some(resource)) => {
                    Micro::Start { resource, run, generation: self.generation }
                }
                (Order::Offline { run } | Order::Terminate { run }, Some(resource)) => {
                    self.running.remove(&resource);
                    Micro::Report { resource, run, report: Report::Offline, at_ms: now_ms }
                }
                (Order::Check { run, thorough }, Some(resource)) => {
                    let report = Report::Checked { thorough, result: Ok(()) };
                    Micro::Report { resource, run, report, at_ms: now_ms }
                }
                _ => continue,
            };
            self.work.push_back(micro);
        }
    }
}
