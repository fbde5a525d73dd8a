//! Fitting costs to migrations: least squares of logarithms without negative costs, and the spread
//! of what is left, judged by leaving each migration out once.

use std::collections::{BTreeMap, BTreeSet};

use super::{Amount, Amounts, Cost, Costs, Pace, key};
use crate::outcome::Outcome;
use crate::plan::Plan;

/// What a cost has: fixed, a mailbox, a message, a byte.
const TERMS: usize = 4;
/// The shortest time that is believed, in seconds: that of one record of the journal.
const SECONDS_MIN: f64 = 1e-5;
/// How often the logarithm is made straight at what was fitted before; three are enough.
const ROUNDS: usize = 12;
/// Of an equation's pivot at least this share is left, or the terms are taken to depend on each
/// other.
const PIVOT_SHARE_MIN: f64 = 1e-9;

/// A migration that was carried out: how long each step took, and how much it carried.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct CarriedOut {
    steps: Vec<(String, Amount, f64)>,
    largest: Amount,
    lock_seconds: Option<f64>,
}

impl CarriedOut {
    /// What a plan came to. A step's time is counted from the end of the one before, so that the
    /// questions asked before it are in it; none for a plan that is not done, or was interrupted.
    pub fn of(plan: &Plan, outcome: &Outcome) -> Option<Self> {
        let amounts = Amounts::of(&plan.inventory);
        let mut before_us = outcome.started_us?;
        let mut steps = Vec::with_capacity(plan.steps.len());
        for (step, done) in plan.steps.iter().zip(&outcome.steps) {
            let ended_us = done.ended_us.filter(|_| done.id == step.id && done.attempts <= 1)?;
            let seconds = (ended_us - before_us) as f64 / 1e6;
            steps.push((key(&step.id, &step.action), amounts.carried(&step.action), seconds));
            before_us = ended_us;
        }
        let lock_seconds = outcome.figures.get("lock_ms.p50").map(|ms| ms / 1e3);
        Some(Self { steps, largest: amounts.all(), lock_seconds })
    }

    /// Each step with the seconds that it costs and those that it took; without those that have no
    /// cost.
    pub fn beside(&self, costs: &Costs) -> Vec<(String, f64, f64)> {
        let step = |(name, amount, seconds): &(String, Amount, f64)| {
            let cost = costs.steps.get(name)?;
            Some((name.clone(), cost.seconds(amount), *seconds))
        };
        self.steps.iter().filter_map(step).collect()
    }

    /// From the first record to the end of the last step.
    pub fn seconds(&self) -> f64 {
        self.steps.iter().map(|(_, _, seconds)| seconds).sum()
    }
}

impl Costs {
    /// Fits costs to migrations. None if there are fewer than three: nothing could be said about
    /// the spread.
    ///
    /// Costs are least squares of the logarithms of actual by fitted time, none of them negative,
    /// so that a run that was held up once does not count for more than one that was fast. Each
    /// migration is then predicted by costs that were fitted to the others; the mean and the
    /// standard deviation of the logarithms of actual by predicted time are bias and spread of a
    /// whole migration. The steps' own spread is what is left when the pace of their migration is
    /// taken off. If that alone makes more than the spread of whole migrations, it is scaled down
    /// to it: a migration's steps make up for each other.
    pub fn fit(runs: &[CarriedOut]) -> Option<Self> {
        if runs.len() < 3 {
            return None;
        }
        let all: Vec<&CarriedOut> = runs.iter().collect();
        let mut steps = costs(&all);
        let judged = Judged::of(runs);
        let (bias, spread) = mean_and_deviation(&judged.pace);
        let own = judged.own_spread();
        for (name, cost) in &mut steps {
            cost.spread = own.get(name.as_str()).copied().unwrap_or(0.0);
        }
        // The variance of a whole run by what its steps do on their own.
        let by_steps: f64 =
            runs.iter().map(|run| own_variance(run, &steps)).sum::<f64>() / runs.len() as f64;
        let whole = spread * spread;
        let shrink = if by_steps > whole { (whole / by_steps).sqrt() } else { 1.0 };
        steps.values_mut().for_each(|cost| cost.spread *= shrink);
        let pace = Pace {
            bias,
            spread: (whole - by_steps).max(0.0).sqrt(),
            migrations: judged.pace.len(),
        };
        let largest = runs.iter().fold(Amount::default(), |most, run| most.max(run.largest));
        let locks: Vec<f64> = runs.iter().filter_map(|run| run.lock_seconds).collect();
        let lock_seconds = (!locks.is_empty()).then(|| mean_and_deviation(&locks).0);
        Some(Self { steps, pace, largest, lock_seconds })
    }
}

/// Variance of a run's time by its steps' own spread, as a share of that time squared.
fn own_variance(run: &CarriedOut, steps: &BTreeMap<String, Cost>) -> f64 {
    let fitted: Vec<(f64, f64)> = run
        .steps
        .iter()
        .filter_map(|(name, amount, _)| {
            let cost = steps.get(name)?;
            Some((cost.seconds(amount), cost.spread))
        })
        .collect();
    let total: f64 = fitted.iter().map(|(seconds, _)| seconds).sum();
    let weigh = |(seconds, spread): &(f64, f64)| {
        (seconds / total).powi(2) * ((spread * spread).exp() - 1.0)
    };
    if total > 0.0 { fitted.iter().map(weigh).sum() } else { 0.0 }
}

/// Migrations predicted by all others.
struct Judged {
    /// Logarithm of actual by predicted time, for each migration.
    pace: Vec<f64>,
    /// The same for each step, by name, without the pace of its migration.
    own: BTreeMap<String, Vec<f64>>,
}

impl Judged {
    fn of(runs: &[CarriedOut]) -> Self {
        let mut judged = Self { pace: Vec::new(), own: BTreeMap::new() };
        for (at, run) in runs.iter().enumerate() {
            let others: Vec<&CarriedOut> = runs
                .iter()
                .enumerate()
                .filter(|(other, _)| *other != at)
                .map(|(_, run)| run)
                .collect();
            judged.take_in(run, &costs(&others));
        }
        judged
    }

    fn take_in(&mut self, run: &CarriedOut, costs: &BTreeMap<String, Cost>) {
        let known: Vec<(&str, f64, f64)> = run
            .steps
            .iter()
            .filter_map(|(name, amount, seconds)| {
                let fitted = costs.get(name)?.seconds(amount).max(SECONDS_MIN);
                Some((name.as_str(), seconds.max(SECONDS_MIN), fitted))
            })
            .collect();
        let actual: f64 = known.iter().map(|(_, actual, _)| actual).sum();
        let fitted: f64 = known.iter().map(|(_, _, fitted)| fitted).sum();
        if known.is_empty() {
            return;
        }
        let pace = (actual / fitted).ln();
        self.pace.push(pace);
        for (name, actual, fitted) in known {
            self.own.entry(name.to_owned()).or_default().push((actual / fitted).ln() - pace);
        }
    }

    /// How far a step's time is from what is fitted, by name.
    fn own_spread(&self) -> BTreeMap<&str, f64> {
        let root_mean_square = |all: &[f64]| {
            (all.iter().map(|one| one * one).sum::<f64>() / all.len().max(1) as f64).sqrt()
        };
        self.own.iter().map(|(name, all)| (name.as_str(), root_mean_square(all))).collect()
    }
}

fn mean_and_deviation(values: &[f64]) -> (f64, f64) {
    let count = values.len().max(1) as f64;
    let mean = values.iter().sum::<f64>() / count;
    let squares: f64 = values.iter().map(|value| (value - mean).powi(2)).sum();
    (mean, (squares / (count - 1.0).max(1.0)).sqrt())
}

/// The costs of every step that one of the runs has.
fn costs(runs: &[&CarriedOut]) -> BTreeMap<String, Cost> {
    let steps = || runs.iter().flat_map(|run| &run.steps);
    let names: BTreeSet<&str> = steps().map(|(name, _, _)| name.as_str()).collect();
    let mut seen: BTreeMap<&str, Vec<(Amount, f64)>> = BTreeMap::new();
    for (name, amount, seconds) in steps() {
        seen.entry(name).or_default().push((*amount, seconds.max(SECONDS_MIN)));
    }
    names.into_iter().map(|name| (name.to_owned(), fitted(&seen[name]))).collect()
}

/// Least squares of logarithms, no term negative (Gauss and Newton): near to what is fitted
/// already, the logarithm of a time is straight.
fn fitted(seen: &[(Amount, f64)]) -> Cost {
    // Terms of like size, so that the equations are well-conditioned.
    let most = seen.iter().fold(Amount::default(), |most, (amount, _)| most.max(*amount));
    let sizes = [1.0, most.mailboxes.max(1.0), most.messages.max(1.0), most.bytes.max(1.0)];
    let terms: Vec<[f64; TERMS]> = seen
        .iter()
        .map(|(amount, _)| {
            let terms = [1.0, amount.mailboxes, amount.messages, amount.bytes];
            std::array::from_fn(|at| terms[at] / sizes[at])
        })
        .collect();
    // At first each time is taken to be fitted well.
    let mut near: Vec<f64> = seen.iter().map(|(_, seconds)| *seconds).collect();
    let mut values = [0.0; TERMS];
    for _ in 0..ROUNDS {
        let rows: Vec<[f64; TERMS + 1]> = terms
            .iter()
            .zip(seen)
            .zip(&near)
            .map(|((terms, (_, seconds)), near)| {
                let wanted = 1.0 + (seconds / near).ln();
                std::array::from_fn(|at| terms.get(at).map_or(wanted, |term| term / near))
            })
            .collect();
        let Some(next) = nearest(&rows) else { break };
        values = next;
        let again = terms.iter().map(|terms| product(terms, &values).max(SECONDS_MIN));
        near = again.collect();
    }
    let [fixed, mailbox, message, byte] = std::array::from_fn(|at| values[at] / sizes[at]);
    Cost {
        fixed_seconds: fixed,
        mailbox_seconds: mailbox,
        message_seconds: message,
        byte_seconds: byte,
        spread: 0.0,
        samples: seen.len(),
    }
}

/// Least squares of rows of terms and what they should come to, no term negative: the best of those
/// that some of the terms give, as the terms of the optimum are among them.
fn nearest(rows: &[[f64; TERMS + 1]]) -> Option<[f64; TERMS]> {
    let squares = |values: &[f64; TERMS]| -> f64 {
        rows.iter().map(|row| (row[TERMS] - product(row, values)).powi(2)).sum()
    };
    let choices = (1_u32..1 << TERMS).filter_map(|chosen| solved(rows, chosen));
    choices.min_by(|a, b| squares(a).total_cmp(&squares(b)))
}

fn product(row: &[f64], values: &[f64; TERMS]) -> f64 {
    row.iter().zip(values).map(|(one, other)| one * other).sum()
}

/// The least squares of some terms (a bit for each), by their normal equations; none if one is
/// negative, or they depend on each other.
fn solved(rows: &[[f64; TERMS + 1]], chosen: u32) -> Option<[f64; TERMS]> {
    let is_chosen = |at: usize| chosen >> at & 1 == 1;
    let mut equations = [[0.0; TERMS + 1]; TERMS];
    for (at, equation) in equations.iter_mut().enumerate() {
        if !is_chosen(at) {
            equation[at] = 1.0;
            continue;
        }
        for row in rows {
            for other in (0..TERMS).filter(|other| is_chosen(*other)) {
                equation[other] += row[at] * row[other];
            }
            equation[TERMS] += row[at] * row[TERMS];
        }
    }
    let at_first: [f64; TERMS] = std::array::from_fn(|at| equations[at][at]);
    for at in 0..TERMS {
        let scale = equations[at][at];
        if scale <= at_first[at] * PIVOT_SHARE_MIN {
            return None;
        }
        equations[at].iter_mut().for_each(|value| *value /= scale);
        let pivot = equations[at];
        for (_, equation) in equations.iter_mut().enumerate().filter(|(other, _)| *other != at) {
            let share = equation[at];
            equation.iter_mut().zip(pivot).for_each(|(value, own)| *value -= share * own);
        }
    }
    let values: [f64; TERMS] = std::array::from_fn(|at| equations[at][TERMS]);
    values.iter().all(|value| *value >= 0.0 && value.is_finite()).then_some(values)
}

#[cfg(test)]
mod tests;
