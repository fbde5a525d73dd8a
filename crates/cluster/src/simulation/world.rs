//! Three machines, what they share, and the judge.

use std::sync::Arc;

use rehome_log::SplitMix64;

use super::disk::Disk;
use super::faults::{Fault, Faults};
use super::machine::Machine;
use super::quorum::Quorum;
use super::{Layer, SeedOutcome, Trouble};
use crate::configuration::Configuration;

/// Length of a step of the world.
const STEP_MS: u64 = 5;

/// How long things go wrong.
const FAULTS_MS: u64 = 14_000;

/// When everything that was under way has ended: the longest fault is shorter.
const SETTLED_MS: u64 = 4_000;

/// How long the cluster has to serve again.
const SERVES_AGAIN_MS: u64 = 20_000;

/// How long a file server keeps the lock of a host that it hears nothing of.
const LOCK_MS: u64 = 1_500;

/// What the machines have in common.
pub(super) struct Shared {
    pub(super) random: SplitMix64,
    pub(super) quorum: Quorum,
    pub(super) disk: Disk,
    pub(super) faults: Faults,
    pub(super) without: Option<Layer>,
    pub(super) last_process: u64,
    /// Until when what is shared has no leader.
    pub(super) leaderless_ms: u64,
}

pub(super) struct World {
    shared: Shared,
    machines: Vec<Machine>,
    now_ms: u64,
    /// The last change that machines which watch were told of.
    told: usize,
}

impl World {
    pub(super) fn new(seed: u64, config: &Arc<Configuration>, without: Option<Layer>) -> Self {
        let mut random = SplitMix64::new(seed);
        let faults = Faults::new(&mut random);
        let machines =
            (0..3).map(|number| Machine::new(number, config.clone(), &mut random)).collect();
        let (quorum, disk) = (Quorum::new(faults.ordered), Disk::new(without));
        let (last_process, leaderless_ms) = (0, 0);
        let shared = Shared { random, quorum, disk, faults, without, last_process, leaderless_ms };
        Self { shared, machines, now_ms: 0, told: 0 }
    }

    /// Lets things go wrong, then waits until somebody serves.
    pub(super) fn run(mut self, seed: u64) -> SeedOutcome {
        let mut trouble = None;
        while trouble.is_none() && self.now_ms < FAULTS_MS {
            self.now_ms += STEP_MS;
            if let Some((machine, fault, length_ms)) =
                self.shared.faults.next(&mut self.shared.random)
            {
                self.strike(machine, fault, length_ms);
            }
            self.step();
            trouble = self.judge();
        }
        let quiet_ms = self.now_ms;
        let mut acknowledged = None;
        while trouble.is_none() {
            self.now_ms += STEP_MS;
            self.step();
            trouble = self.judge();
            let settled = self.now_ms > quiet_ms + SETTLED_MS;
            if settled && self.machines.iter().any(|machine| machine.all_online(self.now_ms)) {
                let before = *acknowledged.get_or_insert(self.shared.disk.acknowledged());
                if self.shared.disk.acknowledged() > before {
                    break;
                }
            }
            if self.now_ms > quiet_ms + SERVES_AGAIN_MS {
                trouble = Some((Trouble::NoOwner, self.describe()));
            }
        }
        let lost = self.shared.disk.lost();
        if trouble.is_none() && !lost.is_empty() {
            trouble = Some((Trouble::LostWrite, format!("{lost:?}; {}", self.describe())));
        }
        SeedOutcome {
            seed,
            epochs: self.shared.quorum.epochs(),
            acknowledged: self.shared.disk.acknowledged(),
            clocks_stop: self.shared.faults.clocks_stop,
            trouble,
        }
    }

    fn strike(&mut self, machine: usize, fault: Fault, length_ms: u64) {
        if fault == Fault::LeaderChanges {
            let Shared { quorum, random, leaderless_ms, .. } = &mut self.shared;
            *leaderless_ms = (*leaderless_ms).max(self.now_ms + length_ms);
            quorum.lose_half(random);
            self.machines.iter_mut().for_each(Machine::loses_answers);
        }
        let machine = &mut self.machines[machine];
        let until_ms = self.now_ms + length_ms;
        machine.strike(self.now_ms, fault, until_ms, &mut self.shared);
        if fault == Fault::HostFreezes {
            // The server hears nothing and gives the lock to whoever asks next.
            let free_ms = self.now_ms + LOCK_MS;
            if free_ms < until_ms {
                machine.processes().for_each(|id| self.shared.disk.free_lock(id, free_ms));
            }
        }
    }

    fn step(&mut self) {
        self.shared.quorum.step(self.now_ms);
        self.shared.disk.step(self.now_ms);
        if self.told != self.shared.quorum.changes() {
            self.told = self.shared.quorum.changes();
            let Shared { faults, random, .. } = &mut self.shared;
            let mut told = |_: &&mut Machine| random.below(faults.told) == 0;
            self.machines.iter_mut().filter(|one| told(one)).for_each(Machine::is_told);
        }
        for machine in &mut self.machines {
            machine.step(self.now_ms, &mut self.shared);
        }
    }

    fn judge(&mut self) -> Option<(Trouble, String)> {
        if self.machines.iter().any(Machine::gave_up_early) {
            return Some((Trouble::EarlyRelease, self.describe()));
        }
        if self.shared.faults.clocks_stop {
            return None;
        }
        let without = self.shared.without;
        let acting = self.machines.iter().filter(|machine| machine.acts(self.now_ms, without));
        if acting.count() > 1 {
            return Some((Trouble::TwoOwners, self.describe()));
        }
        if self.machines.iter().map(Machine::open_stores).sum::<usize>() > 1 {
            return Some((Trouble::TwoOpen, self.describe()));
        }
        None
    }

    fn describe(&self) -> String {
        let machines = self.machines.iter().map(|machine| machine.describe(self.now_ms));
        let machines: Vec<String> = machines.collect();
        let ownership = self.shared.quorum.ownership();
        format!("at {} ms: {}; {ownership:?}", self.now_ms, machines.join("; "))
    }
}
