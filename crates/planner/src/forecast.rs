//! How long a plan takes, as a distribution: many runs through its steps with durations of chance.

mod luck;
mod remaining;

use std::collections::HashMap;

use rehome_site::SiteKind;
use serde::{Deserialize, Serialize};

use crate::action::{Action, Resource};
use crate::inventory::Inventory;
use crate::plan::{Step, StepId};
use crate::random::Random;
use crate::waves::{Schedule, openings_us};

use luck::Luck;
pub use remaining::{Remaining, remaining};

/// How often the steps are run through.
const RUNS: usize = 2000;
/// In how many of these runs the longest chain is looked for.
const CRITICAL_RUNS: usize = 200;
/// Decides everything that is left to chance.
const SEED: u64 = 1;
/// Columns of the histogram.
const BINS: usize = 24;
/// How many steps are named as those that matter most.
const DRIVERS: usize = 8;
/// The cluster's own limit for a service to start, which a recovery often exceeds (the page,
/// disaster recovery, note on step 19).
const START_DEADLINE_SECONDS: u64 = 600;

/// What is to be expected of a plan.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Forecast {
    /// How often the steps were run through.
    pub runs: usize,
    /// The seed: the same one gives the same forecast.
    pub seed: u64,
    /// Seconds until all mail is served by the new server.
    pub moved_seconds: Percentiles,
    /// Seconds until the last step is done, waiting for people included.
    pub elapsed_seconds: Percentiles,
    /// When all mail is served by the new server, in microseconds since 1970.
    pub moved_us: Percentiles,
    /// When the last step is done, in microseconds since 1970.
    #[serde(default)]
    pub ended_us: Percentiles,
    /// In which share of the runs the deadline is kept; none if there is no deadline.
    pub fits_deadline: Option<f64>,
    /// When all mail is served by the new server: begin of the column and number of runs.
    pub histogram: Vec<Bin>,
    /// For each step how much later it may be, and how often it was on the longest chain.
    pub slack: Vec<Slack>,
    /// The steps whose duration matters most, the first one most.
    pub drivers: Vec<Driver>,
    /// What the cluster has to allow the store to start in, in seconds (disaster recovery).
    pub start_deadline_seconds: Option<u64>,
    /// How good the numbers are.
    pub grade: Grade,
}

/// Three values below which a half, four fifths and nineteen twentieths of the runs are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Percentiles {
    /// Half of the runs.
    pub p50: i64,
    /// Four of five.
    pub p80: i64,
    /// Nineteen of twenty.
    pub p95: i64,
}

/// A column of the histogram.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Bin {
    /// Where it begins, in seconds from the first step on.
    pub from_seconds: i64,
    /// How many runs end in it.
    pub runs: usize,
}

/// How much later a step may be.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Slack {
    /// The step.
    pub step: StepId,
    /// By so many seconds, if all take as long as likely and independent steps ran side by side.
    pub seconds: u64,
    /// Share of the runs in which the step was on the longest chain.
    pub critical: f64,
}

/// A step whose duration matters.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Driver {
    /// The step.
    pub step: StepId,
    /// Its title.
    pub title: String,
    /// Seconds that it may be shorter than likely.
    pub shorter_seconds: u64,
    /// Seconds that it may be longer.
    pub longer_seconds: u64,
}

/// How good the numbers are that a forecast rests on.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Grade {
    /// `A` to `D`.
    pub letter: String,
    /// What is missing for a better one.
    pub reasons: Vec<String>,
}

/// Forecasts a plan.
pub(crate) fn forecast(
    inventory: &Inventory,
    steps: &[Step],
    schedule: &Schedule,
    now_us: i64,
) -> Forecast {
    let course = Course::of(inventory, steps, schedule, now_us);
    let luck = Luck::of(inventory, steps);
    let mut random = Random::new(SEED);
    let (mut moved, mut elapsed) = (Vec::with_capacity(RUNS), Vec::with_capacity(RUNS));
    let mut critical = vec![0_usize; steps.len()];
    let mut durations = vec![0.0; steps.len()];
    for run in 0..RUNS {
        luck.draw(&mut random, &mut durations);
        let (moved_us, end_us) = course.run(&durations);
        moved.push(moved_us - now_us);
        elapsed.push(end_us - now_us);
        if run < CRITICAL_RUNS {
            course.longest(&durations, &mut critical);
        }
    }
    moved.sort_unstable();
    elapsed.sort_unstable();
    let in_time = inventory.wishes.deadline_us.map(|deadline| {
        let kept = moved.iter().filter(|us| now_us + **us <= deadline).count();
        kept as f64 / RUNS as f64
    });
    Forecast {
        runs: RUNS,
        seed: SEED,
        moved_seconds: percentiles(&moved, seconds),
        elapsed_seconds: percentiles(&elapsed, seconds),
        moved_us: percentiles(&moved, |us| now_us + us),
        ended_us: percentiles(&elapsed, |us| now_us + us),
        fits_deadline: in_time,
        histogram: histogram(&moved),
        slack: course.slack(&critical),
        drivers: drivers(steps),
        start_deadline_seconds: start_deadline(steps),
        grade: grade(inventory),
    }
}

/// Seconds, begun ones too.
fn seconds(us: i64) -> i64 {
    us.saturating_add(999_999).div_euclid(1_000_000)
}

fn percentiles(sorted: &[i64], unit: impl Fn(i64) -> i64) -> Percentiles {
    let at = |percent: usize| {
        let rank = (sorted.len() * percent).div_ceil(100).clamp(1, sorted.len());
        unit(sorted[rank - 1])
    };
    Percentiles { p50: at(50), p80: at(80), p95: at(95) }
}

fn histogram(sorted: &[i64]) -> Vec<Bin> {
    let (first, last) = (sorted[0] / 1_000_000, sorted[sorted.len() - 1] / 1_000_000);
    let width = ((last - first) / BINS as i64 + 1).max(1);
    let mut bins: Vec<Bin> =
        (0..BINS).map(|at| Bin { from_seconds: first + at as i64 * width, runs: 0 }).collect();
    for us in sorted {
        let at = usize::try_from((us / 1_000_000 - first) / width).unwrap_or(0);
        bins[at.min(BINS - 1)].runs += 1;
    }
    bins
}

/// The steps of a plan as a way through time.
struct Course<'a> {
    steps: &'a [Step],
    /// For each step the indexes of those that come before.
    before: Vec<Vec<usize>>,
    /// When a step may begin at the earliest, if it belongs to a wave.
    opens_us: Vec<Option<i64>>,
    openings_us: Vec<(i64, i64)>,
    /// The step after which all mail is served by the new server.
    served: usize,
    now_us: i64,
}

impl<'a> Course<'a> {
    fn of(inventory: &Inventory, steps: &'a [Step], schedule: &Schedule, now_us: i64) -> Self {
        let at: HashMap<&StepId, usize> =
            steps.iter().enumerate().map(|(at, step)| (&step.id, at)).collect();
        let mut opens_us = vec![None; steps.len()];
        for wave in &schedule.waves {
            for id in &wave.steps {
                if let Some(at) = at.get(id) {
                    opens_us[*at] = wave.opens_us;
                }
            }
        }
        let serves = |step: &Step| {
            matches!(step.action, Action::MoveMailboxes { .. }) || step.id.as_str() == "D20"
        };
        Self {
            steps,
            before: steps
                .iter()
                .map(|step| step.depends_on.iter().filter_map(|id| at.get(id).copied()).collect())
                .collect(),
            opens_us,
            openings_us: openings_us(inventory, now_us),
            served: steps.iter().rposition(serves).unwrap_or(steps.len().saturating_sub(1)),
            now_us,
        }
    }

    /// Goes through the steps one after the other, waves in their windows. Returns when all mail is
    /// served by the new server and when the last step is done.
    fn run(&self, durations: &[f64]) -> (i64, i64) {
        let mut us = self.now_us;
        let mut moved_us = us;
        let mut waiting_since = None;
        for (at, seconds) in durations.iter().enumerate() {
            let length = (seconds * 1e6) as i64;
            us = match (self.opens_us[at], &self.steps[at].action) {
                (Some(opens), _) => self.in_windows(us.max(opens), length),
                // The users of all servers log on at the same time.
                (None, Action::WaitLogons { .. }) => {
                    us.max(*waiting_since.get_or_insert(us) + length)
                }
                (None, _) => us + length,
            };
            if at == self.served {
                moved_us = us;
            }
        }
        (moved_us, us)
    }

    /// When work of a length is done that rests outside of the windows.
    fn in_windows(&self, mut us: i64, mut length: i64) -> i64 {
        let first = self.openings_us.partition_point(|(_, closes)| *closes <= us);
        for (opens, closes) in &self.openings_us[first..] {
            us = us.max(*opens);
            if us + length <= *closes {
                return us + length;
            }
            length -= closes - us;
            us = *closes;
        }
        us + length
    }

    /// When each step is done if independent ones run side by side, and the step before it.
    fn ends(&self, durations: &[f64]) -> (Vec<f64>, Vec<Option<usize>>) {
        let mut ends: Vec<f64> = Vec::with_capacity(self.steps.len());
        let mut from = Vec::with_capacity(self.steps.len());
        for (at, before) in self.before.iter().enumerate() {
            let last = before.iter().copied().filter(|other| *other < at);
            let last = last.max_by(|a, b| ends[*a].total_cmp(&ends[*b]));
            ends.push(durations[at] + last.map_or(0.0, |other| ends[other]));
            from.push(last);
        }
        (ends, from)
    }

    /// Counts the steps of the longest chain.
    fn longest(&self, durations: &[f64], critical: &mut [usize]) {
        let (ends, from) = self.ends(durations);
        let mut at = (0..ends.len()).max_by(|a, b| ends[*a].total_cmp(&ends[*b]));
        while let Some(step) = at {
            critical[step] += 1;
            at = from[step];
        }
    }

    fn slack(&self, critical: &[usize]) -> Vec<Slack> {
        let likely: Vec<f64> =
            self.steps.iter().map(|step| step.estimate_seconds.likely as f64).collect();
        let (ends, _) = self.ends(&likely);
        let total = ends.iter().copied().fold(0.0, f64::max);
        let mut latest = vec![total; self.steps.len()];
        for at in (0..self.steps.len()).rev() {
            let begin = latest[at] - likely[at];
            for other in &self.before[at] {
                latest[*other] = latest[*other].min(begin);
            }
        }
        let steps = self.steps.iter().enumerate();
        let slack = steps.map(|(at, step)| Slack {
            step: step.id.clone(),
            seconds: (latest[at] - ends[at]).max(0.0).round() as u64,
            critical: critical[at] as f64 / CRITICAL_RUNS as f64,
        });
        slack.collect()
    }
}

/// The steps whose duration is the least certain.
fn drivers(steps: &[Step]) -> Vec<Driver> {
    let mut drivers: Vec<Driver> = steps
        .iter()
        .map(|step| Driver {
            step: step.id.clone(),
            title: step.title.clone(),
            shorter_seconds: step.estimate_seconds.likely.saturating_sub(step.estimate_seconds.low),
            longer_seconds: step.estimate_seconds.high.saturating_sub(step.estimate_seconds.likely),
        })
        .collect();
    drivers.sort_by_key(|one| std::cmp::Reverse(one.shorter_seconds + one.longer_seconds));
    drivers.truncate(DRIVERS);
    drivers
}

/// How long the store may take to come online after a restore: twice the bad case, and never less
/// than the cluster allows by itself.
fn start_deadline(steps: &[Step]) -> Option<u64> {
    let online = steps.iter().find(|step| {
        step.id.as_str() == "D19"
            && matches!(step.action, Action::BringOnline { resource: Resource::Store, .. })
    })?;
    Some((online.estimate_seconds.high * 2).max(START_DEADLINE_SECONDS))
}

/// Judges the numbers: sizes, speeds, sharing, change rate.
fn grade(inventory: &Inventory) -> Grade {
    let moving = inventory.moving().count() as u64;
    let sized = match inventory.kind {
        SiteKind::Rehome => moving,
        SiteKind::Exchange55 => inventory.data.sized_mailboxes.min(moving),
    };
    let mut reasons = Vec::new();
    if sized < moving {
        reasons.push(format!("the size of {} of {moving} mailboxes is not known", moving - sized));
    }
    if !inventory.rates.measured {
        reasons.push("speeds were not measured on this machine".to_owned());
    }
    reasons.extend(inventory.rates.doubts.iter().cloned());
    if !inventory.data.sharing_known {
        reasons.push("nobody has said what mailboxes share".to_owned());
    }
    if !inventory.data.change_rate_known {
        reasons.push("nobody has said how much mail comes in on a day".to_owned());
    }
    let letter = match reasons.len() {
        _ if sized * 10 < moving * 9 => "D",
        0 => "A",
        1 if inventory.rates.measured => "B",
        _ => "C",
    };
    Grade { letter: letter.to_owned(), reasons }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::Plan;
    use crate::planning::plan;
    use crate::route::RouteChoice;
    use crate::testing::{inventory, options, plan_by};

    fn check(plan: &Plan) {
        let Forecast { moved_seconds, elapsed_seconds, .. } = &plan.forecast;
        for three in [moved_seconds, elapsed_seconds] {
            assert!(three.p50 <= three.p80 && three.p80 <= three.p95, "{three:?}");
        }
        let low: u64 = plan.steps.iter().map(|step| step.estimate_seconds.low).sum();
        let high: u64 = plan.steps.iter().map(|step| step.estimate_seconds.high).sum();
        let all = i64::try_from(low).unwrap()..=i64::try_from(high).unwrap();
        assert!(all.contains(&elapsed_seconds.p50) && all.contains(&elapsed_seconds.p95));
        assert_eq!(plan.forecast.histogram.iter().map(|bin| bin.runs).sum::<usize>(), RUNS);
    }

    #[test]
    fn a_forecast_is_between_the_best_and_the_worst_case_and_repeats() {
        for route in [RouteChoice::MoveUsers, RouteChoice::DisasterRecovery] {
            let plan = plan_by(route);
            check(&plan);
            assert_eq!(plan_by(route).forecast, plan.forecast);
        }
    }

    #[test]
    fn what_was_measured_decides_and_is_not_rounded() {
        for route in [RouteChoice::MoveUsers, RouteChoice::DisasterRecovery] {
            let mut site = inventory();
            let guessed = plan_by(route);
            let cost = |step: &Step| {
                let cost = crate::Cost { fixed_seconds: 0.1, ..crate::Cost::default() };
                (crate::costs::key(&step.id, &step.action), cost)
            };
            site.rates.costs = Some(crate::Costs {
                steps: guessed.steps.iter().map(cost).collect(),
                ..crate::Costs::default()
            });
            site.rates.gate_seconds = 0.0;
            let options = options(route);
            let plan = plan(&site, &options).expect("feasible");
            let expected_us = plan.steps.len() as i64 * 100_000;
            let three = plan.forecast.ended_us;
            for ended_us in [three.p50, three.p80, three.p95] {
                let off_us = ended_us - options.now_us - expected_us;
                assert!(off_us.abs() < 1000, "{off_us} us off");
            }
            let facts = plan.comparison.facts(plan.route);
            assert_eq!(facts.duration_seconds.likely, (expected_us as u64).div_ceil(1_000_000));
            assert!(plan.steps.iter().all(|step| step.estimate_seconds.likely == 1));
        }
    }

    #[test]
    fn what_is_on_the_critical_path_has_no_slack() {
        let plan = plan_by(RouteChoice::DisasterRecovery);
        for id in &plan.critical_path {
            let slack = plan.forecast.slack.iter().find(|one| one.step == *id).unwrap();
            assert_eq!(slack.seconds, 0, "{id}");
        }
        assert!(plan.forecast.slack.iter().any(|one| one.critical == 1.0));
    }

    #[test]
    fn a_later_deadline_is_kept_more_often() {
        let share = |seconds: i64| {
            let mut site = inventory();
            let options = options(RouteChoice::DisasterRecovery);
            site.wishes.deadline_us = Some(options.now_us + seconds * 1_000_000);
            plan(&site, &options).expect("feasible").forecast.fits_deadline.unwrap()
        };
        assert_eq!((share(0), share(1 << 30)), (0.0, 1.0));
        let middle = plan_by(RouteChoice::DisasterRecovery).forecast.moved_seconds;
        assert!(share(middle.p50) < share(middle.p95));
        assert!((0.75..=0.85).contains(&share(middle.p80 + 1)), "{}", share(middle.p80 + 1));
    }

    #[test]
    fn the_store_may_take_longer_to_start_than_the_cluster_allows_by_itself() {
        let mut site = inventory();
        site.mailboxes[0].messages = 500_000_000;
        site.cluster.free_bytes = None;
        let big = plan(&site, &options(RouteChoice::DisasterRecovery)).expect("feasible");
        assert!(big.forecast.start_deadline_seconds > Some(START_DEADLINE_SECONDS));
        let small = plan_by(RouteChoice::DisasterRecovery).forecast.start_deadline_seconds;
        assert_eq!(small, Some(START_DEADLINE_SECONDS));
        assert_eq!(plan_by(RouteChoice::MoveUsers).forecast.start_deadline_seconds, None);
    }

    #[test]
    fn numbers_that_nobody_has_measured_are_graded_lower() {
        let grade_of = |change: &dyn Fn(&mut Inventory)| {
            let mut site = inventory();
            (site.data.sharing_known, site.data.change_rate_known) = (true, true);
            change(&mut site);
            grade(&site).letter
        };
        assert_eq!(grade_of(&|_| ()), "A");
        assert_eq!(grade_of(&|site| site.data.change_rate_known = false), "B");
        assert_eq!(grade_of(&|site| site.rates.measured = false), "C");
        assert_eq!(grade_of(&|site| site.rates.doubts.push("long ago".to_owned())), "B");
        assert_eq!(grade_of(&|site| site.kind = SiteKind::Exchange55), "D");
    }
}
