//! `bench policy`: how long a node decides when another one is lost, and what it takes.

mod work;

use clap::Args;
use serde_json::{Value, json};

pub(crate) use work::PolicyWork;

use crate::bench::chart::{Bar, Chart, Tone};
use crate::bench::child;
use crate::bench::figures::{Goal, Spread, shown};
use crate::bench::page::{Page, Table};
use crate::bench::setting::{Common, Setting};
use crate::commands::say;

/// How often.
#[derive(Debug, Args)]
pub(crate) struct PolicyArgs {
    /// Processes for each size.
    #[arg(long, default_value_t = 5)]
    runs: usize,
    #[command(flatten)]
    common: Common,
}

/// Resources in the cluster.
const SIZES: [usize; 6] = [100, 1_000, 3_000, 10_000, 30_000, 100_000];

/// What must be decided within, by number of resources.
const BOUNDS_MS: [(usize, f64); 2] = [(1_000, 10.0), (10_000, 100.0)];

/// Memory for ten thousand resources.
const MEMORY_MIB_MAX: f64 = 50.0;

/// The runs of one size.
struct Done {
    resources: usize,
    all_lost: bool,
    runs: Vec<Value>,
}

impl Done {
    fn spread(&self, name: &str, scale: f64) -> Spread {
        let figure = |run: &Value| run[name].as_f64().unwrap_or(f64::NAN) / scale;
        Spread::of(&self.runs.iter().map(figure).collect::<Vec<_>>())
    }

    fn milliseconds(&self) -> Spread {
        self.spread("milliseconds", 1.0)
    }

    fn peak_mib(&self) -> Spread {
        self.spread("peak_rss_bytes", f64::from(1 << 20))
    }

    fn moved(&self) -> f64 {
        self.spread("moved", 1.0).median
    }

    fn label(&self) -> String {
        let lost = if self.all_lost { "all of them" } else { "a quarter" };
        format!("{} resources, {lost} lost", self.resources)
    }
}

pub(crate) fn run(args: &PolicyArgs) -> Result<(), String> {
    let mut setting = Setting::begin(&args.common)?;
    let mut done = Vec::new();
    for resources in SIZES {
        setting.probe()?;
        for all_lost in [false, true] {
            let work = PolicyWork { resources, all_lost };
            let mut runs = Vec::new();
            for _ in 0..args.runs {
                runs.push(child::figures(&mut work.command()?)?);
            }
            let one = Done { resources, all_lost, runs };
            let (ms, mib) = (one.milliseconds().median, one.peak_mib().median);
            say(&format!("  {:<36} {ms:9.3} ms, {mib:6.1} MiB", one.label()));
            done.push(one);
        }
    }
    setting.end();
    page(args, &done).publish(&setting)
}

fn page(args: &PolicyArgs, done: &[Done]) -> Page {
    let row = |one: &Done| {
        let Spread { median, min, max, .. } = one.milliseconds();
        vec![
            one.resources.to_string(),
            format!("{:.0}", one.moved()),
            shown(median),
            format!("{}-{}", shown(min), shown(max)),
            shown(median * 1e3 / one.moved()),
            shown(one.peak_mib().median),
        ]
    };
    let bar = |one: &Done| {
        let tone = if one.all_lost { Tone::OursDark } else { Tone::Ours };
        Bar { label: one.label(), spread: one.milliseconds(), tone }
    };
    let detail = |one: &Done| json!({ "what": one.label(), "runs": one.runs });
    Page {
        name: "policy",
        title: "A cluster's policy when a node is lost",
        command: format!("policy --runs {}", args.runs),
        intro: vec![
            "A cluster of four nodes; groups of four resources, each depending on the one before. \
             One node falls silent. Measured is what a surviving node decides, from the reading \
             that shows the silence to the order for the last resource: claims, their answers, \
             and every resource brought online after what it depends on."
                .to_owned(),
        ],
        tables: vec![Table {
            title: "",
            about: String::new(),
            heads: vec!["resources", "moved", "ms", "range", "us for each", "peak MiB"],
            words: 0,
            rows: done.iter().map(row).collect(),
        }],
        method: METHOD.iter().map(|line| (*line).to_owned()).collect(),
        skipped: Vec::new(),
        goals: goals(done),
        chart: Chart {
            heading: "Milliseconds to decide (less is better)".to_owned(),
            bars: done.iter().map(bar).collect(),
            longest: f64::INFINITY,
        },
        details: json!({ "done": done.iter().map(detail).collect::<Vec<_>>() }),
    }
}

const METHOD: [&str; 3] = [
    "Each run is a process of its own. The coordinator and the resources answer at once, in the \
     same thread: what is measured is the policy, with one step for each event, and nothing else.",
    "The peak is VmHWM while it decides; the configuration and the program itself are in it.",
    "Pacemaker's planner (`crm_simulate` 2.1.5, one of four nodes lost, groups of four, measured \
     on the same kind of machine) took 0.99 s for 1,000 resources and 29.3 s with 922 MB for \
     10,000; that is one plan of the whole cluster, where here each node decides for itself.",
];

fn goals(done: &[Done]) -> Vec<Goal> {
    let mut goals = Vec::new();
    for one in done.iter().filter(|one| one.all_lost) {
        let bound = BOUNDS_MS.iter().find(|(resources, _)| *resources == one.resources);
        if let Some((resources, bound_ms)) = bound {
            let reached = one.milliseconds().median;
            goals.push(Goal::at_most(format!("{}, ms", one.label()), *bound_ms, reached));
            if *resources == 10_000 {
                let text = format!("{}, peak MiB", one.label());
                goals.push(Goal::at_most(text, MEMORY_MIB_MAX, one.peak_mib().median));
            }
        }
    }
    goals
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(resources: usize, ms: f64, mib: u64, expected: &[Option<bool>]) {
        let runs = vec![json!({ "milliseconds": ms, "peak_rss_bytes": mib << 20, "moved": 1 })];
        let goals = goals(&[Done { resources, all_lost: true, runs }]);
        assert_eq!(goals.iter().map(Goal::met).collect::<Vec<_>>(), expected);
    }

    #[test]
    fn two_sizes_have_a_bound() {
        check(100, 1e6, 1_000, &[]);
        check(1_000, 10.1, 1_000, &[Some(false)]);
        check(10_000, 100.0, 50, &[Some(true), Some(true)]);
    }
}
