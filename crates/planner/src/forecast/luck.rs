//! What is left to chance in one run through a plan: how long each step takes.

use crate::costs::Pace;
use crate::estimate::{self, Loads};
use crate::inventory::Inventory;
use crate::plan::{Estimate, Owner, Step};
use crate::random::Random;

/// In how many of a hundred cases a step is as lucky as the whole run, if its time was not
/// measured: speeds go together.
const TOGETHER_PERCENT: u64 = 60;
/// With more migrations than this, what they say about the spread is taken for certain.
const MIGRATIONS_MAX: usize = 100;

/// How long each step of a plan may take.
pub(super) struct Luck {
    steps: Vec<Chance>,
    pace: Option<Pace>,
}

/// How long one step may take.
enum Chance {
    /// By a triangle of three estimates.
    Guessed(Estimate),
    /// By what was measured, and what a person takes besides.
    Measured { seconds: f64, spread: f64, answer: Estimate },
}

impl Luck {
    pub(super) fn of(inventory: &Inventory, steps: &[Step]) -> Self {
        let Some(costs) = &inventory.rates.costs else {
            let guessed = steps.iter().map(|step| Chance::Guessed(step.estimate_seconds));
            return Self { steps: guessed.collect(), pace: None };
        };
        let loads = Loads::of(inventory);
        let chance = |step: &Step| {
            let time = estimate::measured(inventory, &loads, &step.id, &step.action);
            let Some(time) = time else { return Chance::Guessed(step.estimate_seconds) };
            let own = costs.of(&step.id, &step.action).map_or(0.0, |cost| cost.spread);
            let is_asked = matches!(step.owner, Owner::Human { .. });
            let answer = if is_asked { estimate::gate(inventory) } else { Estimate::default() };
            Chance::Measured { seconds: time.seconds, spread: own, answer }
        };
        Self { steps: steps.iter().map(chance).collect(), pace: Some(costs.pace) }
    }

    /// Draws a duration for each step, in seconds. What was guessed shares the luck of the run in
    /// some of the cases. What was measured has the run's pace and its own luck, both normal in
    /// their logarithms; that their spread was itself found from few migrations makes it wider.
    pub(super) fn draw(&self, random: &mut Random, durations: &mut [f64]) {
        let common = random.share();
        let (pace, wider) = self.pace.map_or((0.0, 1.0), |pace| drawn_pace(&pace, random));
        for (chance, duration) in self.steps.iter().zip(durations) {
            *duration = match chance {
                Chance::Guessed(estimate) => guessed(estimate, common, random),
                Chance::Measured { seconds, spread, answer } => {
                    let spread = spread * wider;
                    // The mean of such a distribution lies above its middle; costs are means.
                    let own = spread * random.normal() - spread * spread / 2.0;
                    seconds * (pace + own).exp() + guessed(answer, common, random)
                }
            };
        }
    }
}

fn guessed(estimate: &Estimate, common: f64, random: &mut Random) -> f64 {
    let own = random.share();
    let shares = random.next() % 100 < TOGETHER_PERCENT;
    triangle(estimate, if shares { common } else { own })
}

/// The logarithm of a run's pace, and how much wider all spreads are in it.
///
/// A mean and a spread from `n` migrations say of the next one: Student's distribution with `n - 1`
/// degrees of freedom, wider by the root of `1 + 1/n`. A value of it is a normal one divided by
/// the root of a mean of `n - 1` squared normal ones; that divisor is the run's, for the steps too.
fn drawn_pace(pace: &Pace, random: &mut Random) -> (f64, f64) {
    let freedom = pace.migrations.clamp(2, MIGRATIONS_MAX) - 1;
    let squares: f64 = (0..freedom).map(|_| random.normal().powi(2)).sum();
    let chance = (freedom as f64 / squares.max(f64::MIN_POSITIVE)).sqrt();
    let wider = chance * (1.0 + 1.0 / (freedom + 1) as f64).sqrt();
    (pace.spread * wider * random.normal(), wider)
}

/// The duration below which a share of the cases is, by a triangle of the three estimates.
pub(super) fn triangle(estimate: &Estimate, share: f64) -> f64 {
    let (low, mode, high) = (estimate.low as f64, estimate.likely as f64, estimate.high as f64);
    if high <= low {
        return mode;
    }
    let turn = (mode - low) / (high - low);
    if share < turn {
        low + (share * (high - low) * (mode - low)).sqrt()
    } else {
        high - ((1.0 - share) * (high - low) * (high - mode)).sqrt()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_triangle_has_its_percentiles() {
        let estimate = Estimate { low: 75, likely: 100, high: 200 };
        let at = |share: f64| triangle(&estimate, share).round() as u64;
        assert_eq!((at(0.0), at(0.2), at(0.8), at(1.0)), (75, 100, 150, 200));
        assert_eq!(triangle(&Estimate { low: 5, likely: 5, high: 5 }, 0.3), 5.0);
    }

    /// Of many runs of one step that takes a second, the shares below some durations.
    #[track_caller]
    fn check(own: f64, common: f64, migrations: usize, expected: &[(f64, f64)]) {
        let chance = Chance::Measured { seconds: 1.0, spread: own, answer: Estimate::default() };
        let pace = Pace { bias: 0.0, spread: common, migrations };
        let luck = Luck { steps: vec![chance], pace: Some(pace) };
        let (mut random, mut all) = (Random::new(1), Vec::new());
        for _ in 0..40_000 {
            let mut durations = [0.0];
            luck.draw(&mut random, &mut durations);
            all.push(durations[0]);
        }
        for (seconds, share) in expected {
            let below = all.iter().filter(|one| *one <= seconds).count() as f64 / all.len() as f64;
            assert!((below - share).abs() < 0.01, "{below} are below {seconds}");
        }
    }

    #[test]
    fn spreads_of_many_migrations_are_normal_and_those_of_few_are_students() {
        // One standard deviation of the normal distribution leaves out 15.9 of 100.
        check(0.0, 0.1, 1_000_000, &[(1.0, 0.5), (0.1_f64.exp(), 0.841)]);
        // Of Student's with two degrees of freedom, wider by the root of 4/3: t = 0.866, 0.761.
        check(0.0, 0.1, 3, &[(1.0, 0.5), (0.1_f64.exp(), 0.761)]);
        check(0.1, 0.0, 1_000_000, &[((0.1_f64 - 0.005).exp(), 0.841)]);
    }
}
