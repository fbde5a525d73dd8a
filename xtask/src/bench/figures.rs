//! What was measured, and what it comes to.

use serde_json::{Value, json};

use crate::bench::Cache;
use crate::bench::contender::{Contender, Run};
use crate::bench::disk;
use crate::bench::stage::{Load, Stage};

/// A measurement.
pub(crate) struct Measured {
    pub(crate) seed: u64,
    pub(crate) rounds: u32,
    pub(crate) all: Load,
    pub(crate) half: Load,
    pub(crate) message_bytes: u64,
    pub(crate) eviction: &'static str,
    pub(crate) contenders: Vec<Contender>,
    pub(crate) skipped: Vec<String>,
    /// Type of the file system that was measured.
    pub(crate) file_system: String,
    pub(crate) probes_ms: Vec<f64>,
    pub(crate) runs: Vec<Run>,
    /// Load averages before and after.
    pub(crate) load: [String; 2],
}

/// One line of the table.
pub(crate) struct Row {
    pub(crate) contender: Contender,
    pub(crate) cache: Cache,
    pub(crate) seconds: Spread,
    /// Median over the median of the copy of the same bytes.
    pub(crate) ratio: f64,
    pub(crate) messages_per_s: f64,
    pub(crate) mb_per_s: f64,
    /// Median of the syncs, for a move.
    pub(crate) syncs: Option<f64>,
}

/// The middle and the ends of some figures.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Spread {
    pub(crate) median: f64,
    pub(crate) min: f64,
    pub(crate) max: f64,
    pub(crate) count: usize,
}

impl Spread {
    pub(crate) fn of(values: &[f64]) -> Spread {
        let min = values.iter().copied().fold(f64::INFINITY, f64::min);
        let max = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        Spread { median: median(values), min, max, count: values.len() }
    }
}

/// The middle of some figures; the mean of the middle two if their number is even.
pub(crate) fn median(values: &[f64]) -> f64 {
    let mut values = values.to_vec();
    values.sort_by(f64::total_cmp);
    match values.len() {
        0 => 0.0,
        count if count % 2 == 1 => values[count / 2],
        count => f64::midpoint(values[count / 2 - 1], values[count / 2]),
    }
}

/// A goal, and what was reached.
pub(crate) struct Goal {
    pub(crate) text: &'static str,
    pub(crate) bound: f64,
    pub(crate) reached: f64,
    /// Whether more is better.
    pub(crate) at_least: bool,
}

impl Goal {
    pub(crate) fn met(&self) -> bool {
        if self.at_least { self.reached >= self.bound } else { self.reached <= self.bound }
    }
}

fn load_average() -> String {
    let text = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    text.split_whitespace().take(3).collect::<Vec<_>>().join(" ")
}

impl Measured {
    pub(crate) fn new(stage: &Stage, seed: u64, rounds: u32) -> Measured {
        let mut skipped = Vec::new();
        if !stage.contenders().contains(&Contender::Dovecot) {
            skipped.push("doveadm backup: Dovecot is not installed here".to_owned());
        }
        Measured {
            seed,
            rounds,
            all: stage.all.clone(),
            half: stage.half.clone(),
            message_bytes: stage.message_bytes,
            eviction: stage.eviction.name(),
            contenders: stage.contenders().to_vec(),
            skipped,
            file_system: disk::file_system(stage.scratch()),
            probes_ms: Vec::new(),
            runs: Vec::new(),
            load: [load_average(), String::new()],
        }
    }

    /// Notes that a contender did not run.
    pub(crate) fn skip(&mut self, contender: Contender, cache: Cache) {
        let line = format!("{}, {}: cannot be run here", contender.name(), cache.name());
        if !self.skipped.contains(&line) {
            self.skipped.push(line);
        }
    }

    pub(crate) fn end(&mut self) {
        self.load[1] = load_average();
    }

    fn runs_of(&self, contender: Contender, cache: Cache) -> impl Iterator<Item = &Run> {
        self.runs.iter().filter(move |run| (run.contender, run.cache) == (contender, cache))
    }

    fn median_of(&self, contender: Contender, cache: Cache) -> f64 {
        median(&self.runs_of(contender, cache).map(|run| run.seconds).collect::<Vec<_>>())
    }

    pub(crate) fn rows(&self) -> Vec<Row> {
        let lines = Cache::BOTH.into_iter();
        let lines = lines.flat_map(|cache| self.contenders.iter().map(move |one| (*one, cache)));
        lines.filter_map(|(contender, cache)| self.row(contender, cache)).collect()
    }

    fn row(&self, contender: Contender, cache: Cache) -> Option<Row> {
        let runs: Vec<&Run> = self.runs_of(contender, cache).collect();
        let seconds: Vec<f64> = runs.iter().map(|run| run.seconds).collect();
        if seconds.is_empty() {
            return None;
        }
        let syncs = runs.iter().filter_map(|run| run.facts).map(|facts| facts.syncs as f64);
        let syncs: Vec<f64> = syncs.collect();
        let half = contender.floor() == Contender::CopyHalf;
        let load = if half { &self.half } else { &self.all };
        let seconds = Spread::of(&seconds);
        Some(Row {
            contender,
            cache,
            seconds,
            ratio: seconds.median / self.median_of(contender.floor(), cache),
            messages_per_s: load.messages as f64 / seconds.median,
            mb_per_s: load.unique_bytes as f64 / 1e6 / seconds.median,
            syncs: (!syncs.is_empty()).then(|| median(&syncs)),
        })
    }

    /// The goals of a bulk move that this measurement can judge.
    pub(crate) fn goals(&self) -> Vec<Goal> {
        let over = |one: Contender, other: Contender, cache| {
            self.median_of(one, cache) / self.median_of(other, cache)
        };
        let floor = |text, bound, one: Contender, cache| Goal {
            text,
            bound,
            reached: over(one, one.floor(), cache),
            at_least: false,
        };
        let tree = |text, cache| {
            let reached = over(Contender::CopyTree, Contender::MoveAll, cache);
            Goal { text, bound: 5.0, reached, at_least: true }
        };
        let mut goals = vec![
            floor("all mailboxes / cp, cold", 0.85, Contender::MoveAll, Cache::Cold),
            floor("all mailboxes / cp, warm", 1.0, Contender::MoveAll, Cache::Warm),
            floor("half of them / cp, cold", 1.1, Contender::MoveHalf, Cache::Cold),
            floor("half of them / cp, warm", 1.1, Contender::MoveHalf, Cache::Warm),
            tree("cp -a of the Maildirs / all mailboxes, cold", Cache::Cold),
            tree("cp -a of the Maildirs / all mailboxes, warm", Cache::Warm),
        ];
        goals.retain(|goal| goal.reached.is_finite());
        goals
    }

    /// Median seconds of a move's phases: compare, carry, cut over.
    pub(crate) fn phases(&self, contender: Contender, cache: Cache) -> [f64; 3] {
        let phases = || self.runs_of(contender, cache).filter_map(|run| run.facts);
        [
            median(&phases().map(|facts| facts.phases.compare_s).collect::<Vec<_>>()),
            median(&phases().map(|facts| facts.phases.carry_s).collect::<Vec<_>>()),
            median(&phases().map(|facts| facts.phases.cutover_s).collect::<Vec<_>>()),
        ]
    }

    pub(crate) fn json(&self, machine: &[(String, String)]) -> Value {
        let load = |load: &Load| {
            json!({ "mailboxes": load.mailboxes.len(), "messages": load.messages,
                "contents": load.contents, "unique_bytes": load.unique_bytes })
        };
        let row = |row: &Row| {
            json!({ "contender": row.contender.name(), "source": row.cache.name(),
                "runs": row.seconds.count, "median_s": row.seconds.median,
                "min_s": row.seconds.min, "max_s": row.seconds.max, "ratio_to_cp": row.ratio,
                "messages_per_s": row.messages_per_s, "unique_mb_per_s": row.mb_per_s,
                "syncs": row.syncs })
        };
        let run = |run: &Run| {
            let facts = run.facts.map(|facts| {
                json!({ "syncs": facts.syncs, "compare_s": facts.phases.compare_s,
                    "carry_s": facts.phases.carry_s, "cutover_s": facts.phases.cutover_s })
            });
            json!({ "round": run.round, "contender": run.contender.name(),
                "source": run.cache.name(), "seconds": run.seconds, "move": facts })
        };
        let goal = |goal: &Goal| {
            let kind = if goal.at_least { "at least" } else { "at most" };
            json!({ "goal": goal.text, "kind": kind, "bound": goal.bound,
                "reached": goal.reached, "met": goal.met() })
        };
        json!({
            "date": disk::ask("date", &["-u", "+%F"]),
            "machine": machine.iter().cloned().collect::<std::collections::BTreeMap<_, _>>(),
            "seed": self.seed, "rounds": self.rounds, "cold": self.eviction,
            "load_average": self.load, "fdatasync_ms": self.probes_ms,
            "all": load(&self.all), "half": load(&self.half),
            "message_bytes": self.message_bytes, "skipped": self.skipped,
            "rows": self.rows().iter().map(row).collect::<Vec<_>>(),
            "goals": self.goals().iter().map(goal).collect::<Vec<_>>(),
            "runs": self.runs.iter().map(run).collect::<Vec<_>>(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(values: &[f64], expected: f64) {
        assert_eq!(median(values), expected);
    }

    #[test]
    fn the_median_is_the_middle_whatever_the_order() {
        check(&[3.0, 1.0, 9.0], 3.0);
        check(&[4.0, 1.0, 2.0, 9.0], 3.0);
        check(&[], 0.0);
    }

    #[test]
    fn a_goal_at_its_bound_is_met() {
        let goal = |at_least, reached| Goal { text: "", bound: 1.0, reached, at_least }.met();
        assert_eq!([goal(false, 1.0), goal(false, 1.01)], [true, false]);
        assert_eq!([goal(true, 1.0), goal(true, 0.99)], [true, false]);
    }
}
