//! Simulated clusters, seed after seed: what `rehome cluster simulate` does.

use std::collections::BTreeMap;

use rehome_cluster::{Layer, SeedOutcome, Simulation, Trouble};
use serde::Serialize;

use crate::error::Error;
use crate::event::{Event, Flow, Observe};
use crate::session::Session;

/// After so many seeds the one who waits is told, and may stop it.
const TELL_EVERY: u64 = 50;

/// So many seeds with trouble are told in full.
const TOLD_MAX: usize = 10;

/// Which seeds are run, and with which protection.
#[derive(Debug, Clone, Copy)]
pub struct SimulateOptions {
    /// The first seed.
    pub first_seed: u64,
    /// How many.
    pub seeds: u64,
    /// What is taken out, to see that the simulation notices; it ends with the first seed that
    /// does.
    pub without: Option<Layer>,
}

/// What came of it.
#[derive(Debug, Clone, Serialize)]
pub struct SimulateReport {
    /// The first seed.
    pub first_seed: u64,
    /// Seeds that were run.
    pub seeds: u64,
    /// Where to go on.
    pub next_seed: u64,
    /// Whether all that were asked for were run, or what is taken out was noticed.
    pub done: bool,
    /// What was taken out.
    pub without: Option<Layer>,
    /// Seeds in which two machines ran the group at once.
    pub two_owners: u64,
    /// Seeds in which two processes had the store open at once.
    pub two_open: u64,
    /// Seeds in which an acknowledged write was missing from the final log.
    pub lost_writes: u64,
    /// Seeds in which nobody served long after the faults were over.
    pub no_owner: u64,
    /// Seeds in which a group was given up while something of it ran.
    pub early_releases: u64,
    /// Seeds in which clocks stood still and locks were lost.
    pub clocks_stopped: u64,
    /// Epochs given out in all.
    pub epochs: u64,
    /// Writes acknowledged in all.
    pub acknowledged: u64,
    /// How long it took.
    pub seconds: f64,
    /// The first seeds with trouble; each gives the same run again.
    pub troubles: Vec<SeedOutcome>,
}

/// Runs simulated clusters; stopped by `observe`, the report says where to go on.
///
/// # Errors
///
/// [`Error::NeedsHuman`] if the simulated cluster cannot be configured: a fault of the program.
pub fn simulate(
    session: &Session,
    options: &SimulateOptions,
    observe: Observe<'_>,
) -> Result<SimulateReport, Error> {
    let simulation = Simulation::new(options.without).map_err(Error::needs_human)?;
    let started_ms = session.clock.monotonic_ms();
    let mut counts: BTreeMap<Trouble, u64> = BTreeMap::new();
    let mut report = SimulateReport::of(options);
    for seed in (options.first_seed..).take(usize::try_from(options.seeds).unwrap_or(usize::MAX)) {
        let outcome = simulation.run(seed);
        report.count(&outcome);
        if let Some((trouble, _)) = &outcome.trouble {
            *counts.entry(*trouble).or_default() += 1;
            if report.troubles.len() < TOLD_MAX {
                report.troubles.push(outcome);
            }
            if options.without.is_some() {
                report.done = true;
                break;
            }
        }
        if report.seeds.is_multiple_of(TELL_EVERY) {
            let (done, total) = (report.seeds, options.seeds);
            let (what, unit) = ("simulated clusters".to_owned(), "seeds".to_owned());
            if observe(Event::Progress { what, done, total, unit }) == Flow::Stop {
                break;
            }
        }
    }
    report.done |= report.seeds == options.seeds;
    let took_ms = session.clock.monotonic_ms().saturating_sub(started_ms);
    report.seconds = std::time::Duration::from_millis(took_ms).as_secs_f64();
    report.fill_in(&counts);
    Ok(report)
}

impl SimulateReport {
    fn of(options: &SimulateOptions) -> Self {
        Self {
            first_seed: options.first_seed,
            seeds: 0,
            next_seed: options.first_seed,
            done: false,
            without: options.without,
            two_owners: 0,
            two_open: 0,
            lost_writes: 0,
            no_owner: 0,
            early_releases: 0,
            clocks_stopped: 0,
            epochs: 0,
            acknowledged: 0,
            seconds: 0.0,
            troubles: Vec::new(),
        }
    }

    fn count(&mut self, outcome: &SeedOutcome) {
        self.seeds += 1;
        self.next_seed = outcome.seed.saturating_add(1);
        self.epochs += outcome.epochs;
        self.acknowledged += outcome.acknowledged;
        self.clocks_stopped += u64::from(outcome.clocks_stop);
    }

    fn fill_in(&mut self, counts: &BTreeMap<Trouble, u64>) {
        let count = |trouble| counts.get(&trouble).copied().unwrap_or(0);
        self.two_owners = count(Trouble::TwoOwners);
        self.two_open = count(Trouble::TwoOpen);
        self.lost_writes = count(Trouble::LostWrite);
        self.no_owner = count(Trouble::NoOwner);
        self.early_releases = count(Trouble::EarlyRelease);
    }

    /// Whether what must never happen has happened.
    #[must_use]
    pub fn trouble(&self) -> bool {
        !self.troubles.is_empty()
    }

    /// The report for people.
    #[must_use]
    pub fn text(&self) -> String {
        let mut text = format!(
            "{} simulated clusters, seeds {} to {}, {:.1} s: {} epochs, {} acknowledged writes\n\
             two owners {}, store open twice {}, acknowledged writes lost {}, without an owner \
             after the faults {}, given up too early {} (seeds)\n",
            self.seeds,
            self.first_seed,
            self.next_seed.saturating_sub(1),
            self.seconds,
            self.epochs,
            self.acknowledged,
            self.two_owners,
            self.two_open,
            self.lost_writes,
            self.no_owner,
            self.early_releases,
        );
        for outcome in &self.troubles {
            if let Some((trouble, seen)) = &outcome.trouble {
                text.push_str(&format!("seed {}: {trouble:?}: {seen}\n", outcome.seed));
            }
        }
        if !self.done {
            text.push_str(&format!("go on with --first-seed {}\n", self.next_seed));
        }
        text
    }

    /// How the command ends: with what must not happen, or what must be noticed and was not.
    ///
    /// # Errors
    ///
    /// [`Error::Interrupted`] says where to go on; [`Error::Differences`] that a promise was
    /// broken, or that a layer taken out was not missed.
    pub fn verdict(&self) -> Result<(), Error> {
        match (self.without, self.trouble()) {
            (Some(_), true) => Ok(()),
            (None, true) => Err(Error::Differences {
                message: format!(
                    "a promise of the cluster was broken in {} of {} simulated clusters; run one \
                     again with rehome cluster simulate --seed {}",
                    [self.two_owners, self.two_open, self.lost_writes, self.no_owner]
                        .iter()
                        .sum::<u64>()
                        + self.early_releases,
                    self.seeds,
                    self.troubles[0].seed
                ),
            }),
            (_, false) if !self.done => Err(Error::Interrupted {
                message: format!(
                    "{} seeds were run and nothing was wrong; --first-seed {} goes on",
                    self.seeds, self.next_seed
                ),
            }),
            (Some(layer), false) => Err(Error::Differences {
                message: format!(
                    "{} simulated clusters without {layer:?} saw nothing wrong: they do not see \
                     what it is for; run more with --seeds",
                    self.seeds
                ),
            }),
            (None, false) => Ok(()),
        }
    }
}
