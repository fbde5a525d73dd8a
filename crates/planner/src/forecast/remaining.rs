//! What is left of a plan that is being carried out: the waves that are over say how long the
//! others take.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::luck::Luck;
use super::{Course, Percentiles, RUNS, SEED, percentiles, seconds};
use crate::action::Action;
use crate::estimate::{self, Loads};
use crate::outcome::{Outcome, StepOutcome, StepState};
use crate::plan::{Plan, Step, StepId};
use crate::random::Random;

/// The spread of a wave's time about its estimate, if it was not measured: that of the estimates'
/// triangle, whose standard deviation is 0.27 and whose mean is 1.25 of the likely time.
const GUESSED_SPREAD: f64 = 0.214;

/// What is left of a plan.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Remaining {
    /// Steps that are not done.
    pub steps: usize,
    /// Waves that are over and were counted in.
    pub waves: usize,
    /// What these took, for each second that was planned; 1 if there is none.
    pub pace: f64,
    /// Seconds from now until the last step is done.
    pub seconds: Percentiles,
    /// When the last step is done, in microseconds since 1970.
    pub ended_us: Percentiles,
}

/// What the waves that are over say of the others.
struct Lesson {
    waves: usize,
    /// Logarithm of actual by planned time of all of them.
    pace: f64,
    /// Standard deviation of one wave's logarithm about it.
    spread: f64,
}

/// Forecasts what is left of a plan at a moment. None if nothing is left.
///
/// Waves that are over count by their time: what all of them took by what was planned for all of
/// them is the pace of those to come. How sure that is follows from how many there were and how far
/// they were from each other.
pub fn remaining(plan: &Plan, outcome: &Outcome, now_us: i64) -> Option<Remaining> {
    let known: BTreeMap<&StepId, &StepOutcome> =
        outcome.steps.iter().map(|step| (&step.id, step)).collect();
    let is_done = |step: &&Step| {
        known
            .get(&step.id)
            .is_some_and(|one| matches!(one.state, StepState::Done | StepState::DoneByEvidence))
    };
    let left: Vec<Step> = plan.steps.iter().filter(|step| !is_done(step)).cloned().collect();
    if left.is_empty() {
        return None;
    }
    let lesson = Lesson::of(plan, &known);
    let luck = Luck::of(&plan.inventory, &left);
    let course = Course::of(&plan.inventory, &left, &plan.schedule, now_us);
    let loads = Loads::of(&plan.inventory);
    let wave = |step: &Step| is_wave(step).then(|| likely_seconds(plan, &loads, step));
    let waves: Vec<Option<f64>> = left.iter().map(wave).collect();
    let begun: Vec<f64> = left.iter().map(|step| begun_seconds(&known, step, now_us)).collect();
    let mut random = Random::new(SEED);
    let mut durations = vec![0.0; left.len()];
    let mut ended: Vec<i64> = Vec::with_capacity(RUNS);
    for _ in 0..RUNS {
        luck.draw(&mut random, &mut durations);
        let pace = lesson.pace + lesson.doubt() * random.normal();
        for ((duration, wave), begun) in durations.iter_mut().zip(&waves).zip(&begun) {
            if let Some(planned) = wave.filter(|_| lesson.waves > 0) {
                *duration = planned * (pace + lesson.spread * random.normal()).exp();
            }
            *duration = (*duration - begun).max(0.0);
        }
        ended.push(course.run(&durations).1 - now_us);
    }
    ended.sort_unstable();
    Some(Remaining {
        steps: left.len(),
        waves: lesson.waves,
        pace: lesson.pace.exp(),
        seconds: percentiles(&ended, seconds),
        ended_us: percentiles(&ended, |us| now_us + us),
    })
}

fn is_wave(step: &Step) -> bool {
    matches!(step.action, Action::MoveMailboxes { .. })
}

/// For how long a step that is not over has been going on.
fn begun_seconds(known: &BTreeMap<&StepId, &StepOutcome>, step: &Step, now_us: i64) -> f64 {
    let begun = known.get(&step.id).filter(|one| one.state == StepState::Begun);
    let since_us = begun.and_then(|one| one.started_us).unwrap_or(now_us);
    (now_us - since_us).max(0) as f64 / 1e6
}

/// What was planned for a step, as exactly as it is known.
fn likely_seconds(plan: &Plan, loads: &Loads<'_>, step: &Step) -> f64 {
    let time = estimate::measured(&plan.inventory, loads, &step.id, &step.action);
    time.map_or(step.estimate_seconds.likely as f64, |time| time.seconds)
}

impl Lesson {
    fn of(plan: &Plan, known: &BTreeMap<&StepId, &StepOutcome>) -> Self {
        let loads = Loads::of(&plan.inventory);
        let of = |step: &Step| {
            let one = known.get(&step.id)?;
            let whole = one.state == StepState::Done && one.attempts == 1 && is_wave(step);
            let (from, to) = one.started_us.zip(one.ended_us).filter(|_| whole)?;
            Some(((to - from).max(1) as f64 / 1e6, likely_seconds(plan, &loads, step).max(1e-6)))
        };
        let over: Vec<(f64, f64)> = plan.steps.iter().filter_map(of).collect();
        let sum = |of: fn(&(f64, f64)) -> f64| over.iter().map(of).sum::<f64>();
        if over.is_empty() {
            return Self { waves: 0, pace: 0.0, spread: 0.0 };
        }
        let pace = (sum(|one| one.0) / sum(|one| one.1)).ln();
        let count = over.len() as f64;
        // The spread that was expected counts like one wave more.
        let measured = plan.inventory.rates.costs.as_ref().and_then(|costs| costs.steps.get("M1"));
        let expected = measured.map_or(GUESSED_SPREAD, |cost| cost.spread);
        let squares: f64 =
            over.iter().map(|(actual, planned)| ((actual / planned).ln() - pace).powi(2)).sum();
        let variance = (expected * expected + squares) / count;
        Self { waves: over.len(), pace, spread: variance.sqrt() }
    }

    /// Standard deviation of the pace itself: that of a mean of so many waves.
    fn doubt(&self) -> f64 {
        self.spread / (self.waves.max(1) as f64).sqrt()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::planning::plan;
    use crate::route::RouteChoice;
    use crate::testing::{inventory, options};

    fn done(step: &Step, from_us: i64, to_us: i64) -> StepOutcome {
        StepOutcome {
            id: step.id.clone(),
            state: StepState::Done,
            started_us: Some(from_us),
            ended_us: Some(to_us),
            attempts: 1,
            notes: Vec::new(),
        }
    }

    /// A plan of one wave for each of 40 mailboxes, of which `over` took so many times what was
    /// planned.
    fn after(over: usize, times: f64) -> (Plan, Remaining) {
        let mut site = inventory();
        let one = site.mailboxes[1].clone();
        site.mailboxes = (0..40)
            .map(|at| crate::MailboxFacts {
                name: format!("box{at}"),
                delegates: Vec::new(),
                ..one.clone()
            })
            .collect();
        site.unique_bytes = site.logical_bytes();
        site.waves.mailboxes_max = Some(1);
        let plan = plan(&site, &options(RouteChoice::MoveUsers)).expect("feasible");
        let now_us = plan.made_us;
        let mut us = now_us;
        let mut outcome = Outcome::default();
        outcome.steps.extend(
            plan.steps.iter().take_while(|step| !is_wave(step)).map(|step| done(step, us, us)),
        );
        for step in plan.steps.iter().filter(|step| is_wave(step)).take(over) {
            let length = (step.estimate_seconds.likely as f64 * times * 1e6) as i64;
            outcome.steps.push(done(step, us, us + length));
            us += length;
        }
        let left = remaining(&plan, &outcome, us).expect("there is more");
        (plan, left)
    }

    #[test]
    fn waves_that_took_twice_as_long_double_what_the_others_take() {
        let (_, as_planned) = after(10, 1.0);
        let (_, slow) = after(10, 2.0);
        assert_eq!((as_planned.waves, slow.waves), (10, 10));
        assert!((as_planned.pace - 1.0).abs() < 0.01, "{as_planned:?}");
        assert!((slow.pace - 2.0).abs() < 0.02, "{slow:?}");
        assert!(slow.seconds.p50 > as_planned.seconds.p50 * 3 / 2, "{as_planned:?} {slow:?}");
        let width = |one: &Remaining| one.seconds.p95 - one.seconds.p50;
        assert!(width(&after(2, 1.0).1) > width(&as_planned), "few waves say less");
    }

    #[test]
    fn before_the_first_wave_the_plan_itself_is_what_is_known() {
        let (plan, left) = after(0, 1.0);
        assert_eq!((left.waves, left.pace), (0, 1.0));
        assert!(left.seconds.p80 <= plan.forecast.elapsed_seconds.p80);
        assert!(left.seconds.p50 > plan.forecast.elapsed_seconds.p50 / 2);
    }

    #[test]
    fn of_a_plan_that_is_done_nothing_is_left() {
        let (plan, _) = after(0, 1.0);
        let steps = plan.steps.iter().map(|step| done(step, 1, 2)).collect();
        assert_eq!(remaining(&plan, &Outcome { steps, ..Outcome::default() }, 3), None);
    }
}
