//! Seeded crashes of stores on disks that fail, each followed by a comparison with a model.
//!
//! A run is a seed and a number of points. A point is one crash (and more of them while it is being
//! recovered from) of a store that works, is created, restored, or moves mailboxes to another one.

mod archive;
mod keeper;
mod model;
mod moves;
mod restore;
mod rig;
mod steps;
mod upgrade;
mod work;

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};

use rehome::parts::log::SplitMix64;
use serde_json::{Value, json};

use self::model::Difference;
pub use self::rig::Site;
use self::rig::Trouble;
pub use self::upgrade::{OLD_STORES, OldStore, digest, pack, unpack};

/// What a store is doing when its disk fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Scenario {
    /// Random work: delivery, flags, expunges, folders, checkpoints.
    Work,
    /// The same while its log is archived, and a restore from the archive.
    Archive,
    /// Being created.
    Creation,
    /// Being restored, and opened for the first time after that.
    Restore,
    /// Handing mailboxes over to another store, which fails too.
    Move,
    /// An old store, opened by the program of today for the first time.
    Upgrade,
}

impl Scenario {
    /// Its name on a command line.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Scenario::Work => "work",
            Scenario::Archive => "archive",
            Scenario::Creation => "creation",
            Scenario::Restore => "restore",
            Scenario::Move => "move",
            Scenario::Upgrade => "upgrade",
        }
    }

    /// The scenario of that name.
    #[must_use]
    pub fn named(name: &str) -> Option<Scenario> {
        SCENARIOS.iter().map(|(scenario, _)| *scenario).find(|found| found.name() == name)
    }
}

/// The scenarios and how many of 100 points each has.
const SCENARIOS: &[(Scenario, u64)] = &[
    (Scenario::Work, 45),
    (Scenario::Archive, 10),
    (Scenario::Move, 25),
    (Scenario::Restore, 10),
    (Scenario::Creation, 5),
    (Scenario::Upgrade, 5),
];

/// What to torture.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The same seed gives the same points.
    pub seed: u64,
    /// The first point.
    pub first: u64,
    /// How many.
    pub points: u64,
    /// Only this scenario.
    pub only: Option<Scenario>,
    /// A sync that the disk forgets: the torture must fail then.
    pub lie: Option<Site>,
    /// It ends after so many points that failed.
    pub failures_max: usize,
}

impl Default for Plan {
    fn default() -> Plan {
        Plan { seed: 1, first: 0, points: 10_000, only: None, lie: None, failures_max: 10 }
    }
}

/// Why a point failed.
#[derive(Clone, Debug)]
struct Failure {
    text: String,
    difference: Difference,
}

/// A point that failed.
#[derive(Clone, Debug)]
pub struct FailedPoint {
    /// Its number.
    pub point: u64,
    /// What it was about.
    pub scenario: Scenario,
    /// What is wrong.
    pub text: String,
}

/// What a run has seen.
#[derive(Clone, Debug, Default)]
pub struct Tally {
    /// Points done.
    pub points: u64,
    /// Crashes by what the disk did.
    pub crashes: BTreeMap<&'static str, u64>,
    /// Crashes of recoveries after them.
    pub recovery_crashes: u64,
    /// Points by scenario.
    pub scenarios: BTreeMap<&'static str, u64>,
    /// Acknowledged messages that were gone.
    pub lost: u64,
    /// Messages that were there more often.
    pub doubled: u64,
    /// Messages with other bytes or flags.
    pub altered: u64,
    /// Points that failed.
    pub failed: Vec<FailedPoint>,
}

impl Tally {
    fn crash(&mut self, trouble: Trouble) {
        *self.crashes.entry(trouble.name()).or_default() += 1;
    }

    /// The run as one JSON document.
    #[must_use]
    pub fn json(&self, plan: &Plan, seconds: f64) -> Value {
        let failed: Vec<Value> = self
            .failed
            .iter()
            .map(|failed| {
                json!({
                    "point": failed.point,
                    "scenario": failed.scenario.name(),
                    "what": failed.text,
                    "repeat": repeat(plan, failed),
                })
            })
            .collect();
        json!({
            "seed": plan.seed,
            "points": self.points,
            "crashes": self.crashes,
            "recovery_crashes": self.recovery_crashes,
            "scenarios": self.scenarios,
            "lost": self.lost,
            "doubled": self.doubled,
            "altered": self.altered,
            "failed": failed,
            "seconds": seconds,
        })
    }
}

/// The command that does exactly this point again.
#[must_use]
pub fn repeat(plan: &Plan, failed: &FailedPoint) -> String {
    let (seed, point, only) = (plan.seed, failed.point, failed.scenario.name());
    format!("cargo xtask torture store --seed {seed} --point {point} --only {only}")
}

/// Runs the points; `hear` is told of each that is done. Stops after `failures_max` that failed.
pub fn run(plan: &Plan, hear: &mut dyn FnMut(&Tally)) -> Tally {
    let mut tally = Tally::default();
    for number in plan.first..plan.first.saturating_add(plan.points) {
        let mut random = SplitMix64::new(SplitMix64::new(plan.seed ^ (number << 20)).next_u64());
        let drawn = scenario(&mut random);
        let scenario = plan.only.unwrap_or(drawn);
        let done =
            catch_unwind(AssertUnwindSafe(|| point(scenario, plan.lie, &mut random, &mut tally)));
        let done = done.unwrap_or_else(|panic| Err(Failure::new(panic_text(&*panic))));
        tally.points += 1;
        *tally.scenarios.entry(scenario.name()).or_default() += 1;
        if let Err(failure) = done {
            tally.lost += failure.difference.lost;
            tally.doubled += failure.difference.doubled;
            tally.altered += failure.difference.altered;
            tally.failed.push(FailedPoint { point: number, scenario, text: failure.text });
        }
        hear(&tally);
        if tally.failed.len() == plan.failures_max {
            break;
        }
    }
    tally
}

fn scenario(random: &mut SplitMix64) -> Scenario {
    let mut drawn = random.below(100);
    for (scenario, share) in SCENARIOS {
        match drawn.checked_sub(*share) {
            None => return *scenario,
            Some(rest) => drawn = rest,
        }
    }
    Scenario::Work
}

fn point(
    scenario: Scenario,
    lie: Option<Site>,
    random: &mut SplitMix64,
    tally: &mut Tally,
) -> Result<(), Failure> {
    match scenario {
        Scenario::Work => work::point(lie, random, tally),
        Scenario::Archive => archive::point(lie, random, tally),
        Scenario::Creation => work::creation(lie, random, tally),
        Scenario::Restore => restore::point(lie, random, tally),
        Scenario::Move => moves::point(lie, random, tally),
        Scenario::Upgrade => upgrade::point(lie, random, tally),
    }
}

fn panic_text(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    let text = text.or_else(|| panic.downcast_ref::<&str>().copied());
    format!("panic: {}", text.unwrap_or("without words"))
}
