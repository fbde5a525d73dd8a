//! What goes wrong, and when: each seed has a selection of its own.

use rehome_log::SplitMix64;

/// One fault of one machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fault {
    /// The node's program dies; what it ran notices a little later. It comes back.
    NodeDies,
    /// The power fails; everything is gone at once. It comes back.
    PowerFails,
    /// The node's program stands still; what it runs goes on.
    NodePauses,
    /// Everything stands still; the clock goes on.
    HostPauses,
    /// Everything stands still, and so does the clock: nobody on it notices.
    HostFreezes,
    /// What is written arrives late.
    DiskStalls,
    /// What is shared cannot be reached: some calls hang, others fail.
    CutOff,
    /// Answers get lost: what was asked is done, and the asker does not know.
    AnswersLost,
    /// A resource dies.
    ResourceDies,
    /// What is shared has no leader: nobody reaches it, and what was on its way is done or not.
    LeaderChanges,
    /// The sign of life of a machine that lives is taken back, as a lease revoked too early is.
    SignVanishes,
}

const TIMED: [Fault; 10] = [
    Fault::NodeDies,
    Fault::PowerFails,
    Fault::NodePauses,
    Fault::HostPauses,
    Fault::DiskStalls,
    Fault::CutOff,
    Fault::AnswersLost,
    Fault::ResourceDies,
    Fault::LeaderChanges,
    Fault::SignVanishes,
];

/// The faults of a seed.
#[derive(Debug)]
pub(super) struct Faults {
    kinds: Vec<Fault>,
    /// One fault in so many steps.
    rarity: u64,
    /// Heartbeats arrive twice, one in so many.
    pub(super) twice: u64,
    /// Hosts freeze, clocks and all.
    pub(super) clocks_stop: bool,
    /// A heartbeat that another one followed does not come back, as in etcd.
    pub(super) ordered: bool,
    /// One change in so many is told to a machine that watches: streams die without a word.
    pub(super) told: u64,
}

impl Faults {
    pub(super) fn new(random: &mut SplitMix64) -> Self {
        let clocks_stop = random.below(4) == 0;
        let mut kinds: Vec<Fault> = TIMED.into_iter().filter(|_| random.below(3) > 0).collect();
        if clocks_stop {
            kinds.push(Fault::HostFreezes);
        }
        if kinds.is_empty() {
            kinds.push(Fault::PowerFails);
        }
        let rarity = 30 + random.below(120);
        let (twice, told) = (10 + random.below(60), 1 + random.below(4));
        let ordered = random.below(2) == 0;
        Self { kinds, rarity, twice, clocks_stop, ordered, told }
    }

    /// The fault of this step: the machine, what, and for how long.
    pub(super) fn next(&self, random: &mut SplitMix64) -> Option<(usize, Fault, u64)> {
        if random.below(self.rarity) > 0 {
            return None;
        }
        let machine = usize::try_from(random.below(3)).unwrap_or(0);
        let at = usize::try_from(random.below(self.kinds.len() as u64)).unwrap_or(0);
        // Mostly short, sometimes longer than lease and wait.
        let length_ms = match random.below(3) {
            0 => random.below(300),
            1 => random.below(1_500),
            _ => random.below(3_500),
        };
        Some((machine, self.kinds[at], length_ms))
    }
}
