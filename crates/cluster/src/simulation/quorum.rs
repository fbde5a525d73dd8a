//! The quorum folder, as a model: what was written may be seen late, and twice. Or etcd, where a
//! heartbeat that comes late is refused.

use rehome_log::SplitMix64;

use crate::coordinator::{Claim, ClaimOutcome, Heartbeat, Ownership, Release};

/// What the machines share.
#[derive(Debug, Default)]
pub(super) struct Quorum {
    /// By the machine's number.
    heartbeats: [Option<Heartbeat>; 3],
    /// The highest counter of each machine, if one that is lower is refused.
    ordered: Option<[u64; 3]>,
    /// Heartbeats on their way: when they arrive, whose, and what they say.
    on_the_way: Vec<(u64, usize, Heartbeat)>,
    claims: Vec<(Claim, Option<Release>)>,
}

impl Quorum {
    pub(super) fn new(ordered: bool) -> Self {
        Self { ordered: ordered.then_some([0; 3]), ..Self::default() }
    }

    /// What has arrived by now is seen, in the order of arrival.
    pub(super) fn step(&mut self, now_ms: u64) {
        if self.on_the_way.iter().all(|&(at_ms, ..)| at_ms > now_ms) {
            return;
        }
        self.on_the_way.sort_by_key(|&(at_ms, ..)| at_ms);
        let arrived = self.on_the_way.partition_point(|&(at_ms, ..)| at_ms <= now_ms);
        for (_, machine, heartbeat) in self.on_the_way.drain(..arrived) {
            if let Some(highest) = &mut self.ordered {
                if heartbeat.counter <= highest[machine] {
                    continue;
                }
                highest[machine] = heartbeat.counter;
            }
            self.heartbeats[machine] = Some(heartbeat);
        }
    }

    /// A heartbeat is sent, to arrive at `at_ms`.
    pub(super) fn beat(&mut self, at_ms: u64, machine: usize, heartbeat: Heartbeat) {
        self.on_the_way.push((at_ms, machine, heartbeat));
    }

    /// The power of a machine fails: what it had on the way is gone.
    pub(super) fn power_off(&mut self, machine: usize) {
        self.on_the_way.retain(|&(_, whose, _)| whose != machine);
    }

    /// Half of what is on its way is never done.
    pub(super) fn lose_half(&mut self, random: &mut SplitMix64) {
        self.on_the_way.retain(|_| random.below(2) == 0);
    }

    /// A machine's sign of life is gone until its next one.
    pub(super) fn take_back(&mut self, machine: usize) {
        self.heartbeats[machine] = None;
    }

    /// Goes up whenever an epoch is taken or given up.
    pub(super) fn changes(&self) -> usize {
        let released = self.claims.last().is_some_and(|(_, release)| release.is_some());
        self.claims.len() * 2 + usize::from(released)
    }

    pub(super) fn heartbeat(&self, machine: usize) -> Option<&Heartbeat> {
        self.heartbeats[machine].as_ref()
    }

    pub(super) fn ownership(&self) -> Option<Ownership> {
        let (claim, release) = self.claims.last()?.clone();
        Some(Ownership { claim, release })
    }

    pub(super) fn epochs(&self) -> u64 {
        self.claims.last().map_or(0, |(claim, _)| claim.epoch)
    }

    /// Exclusive creation: the same claim made twice has won if it had won.
    pub(super) fn claim(&mut self, claim: &Claim) -> ClaimOutcome {
        if claim.epoch <= self.epochs() {
            let same = self.claims.iter().any(|(known, _)| known == claim);
            return if same { ClaimOutcome::Won } else { ClaimOutcome::Lost };
        }
        debug_assert_eq!(claim.epoch, self.epochs() + 1, "an epoch was left out");
        self.claims.push((claim.clone(), None));
        ClaimOutcome::Won
    }

    pub(super) fn release(&mut self, epoch: u64, release: Release) {
        if let Some((_, released)) = self.claims.iter_mut().find(|(c, _)| c.epoch == epoch) {
            released.get_or_insert(release);
        }
    }
}
