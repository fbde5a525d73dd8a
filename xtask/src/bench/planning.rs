//! `bench planning`: how long the program plans a site, and what it takes, from a thousand
//! mailboxes to a million.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use clap::Args;
use serde_json::{Value, json};

use crate::bench::chart::{Bar, Chart, Tone};
use crate::bench::figures::{Goal, Spread, shown};
use crate::bench::page::{Page, Table};
use crate::bench::setting::{Common, Setting};
use crate::commands::{program, say};

/// How often.
#[derive(Debug, Args)]
pub(crate) struct PlanningArgs {
    /// Runs for each size.
    #[arg(long, default_value_t = 3)]
    runs: usize,
    #[command(flatten)]
    common: Common,
}

/// Mailboxes and servers of the sites.
const SITES: [(usize, usize); 7] = [
    (1_000, 1),
    (3_000, 1),
    (10_000, 2),
    (30_000, 6),
    (100_000, 20),
    (300_000, 60),
    (1_000_000, 200),
];
/// What the largest site may take.
const SECONDS_MAX: f64 = 60.0;
/// What the largest site may take of memory.
const GIB_MAX: f64 = 4.0;
/// How often the memory of the running program is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(5);

/// The runs of one site.
struct Done {
    mailboxes: usize,
    servers: usize,
    waves: u64,
    steps: u64,
    runs: Vec<Run>,
}

/// What one run took.
#[derive(Clone, Copy)]
struct Run {
    seconds: f64,
    peak_mib: f64,
}

impl Done {
    fn seconds(&self) -> Spread {
        Spread::of(&self.runs.iter().map(|run| run.seconds).collect::<Vec<_>>())
    }

    fn peak_mib(&self) -> Spread {
        Spread::of(&self.runs.iter().map(|run| run.peak_mib).collect::<Vec<_>>())
    }

    fn label(&self) -> String {
        format!("{} mailboxes, {} servers", self.mailboxes, self.servers)
    }
}

pub(crate) fn run(args: &PlanningArgs) -> Result<(), String> {
    let program = program()?;
    let mut setting = Setting::begin(&args.common)?;
    let mut done = Vec::new();
    for (mailboxes, servers) in SITES {
        setting.probe()?;
        let site = setting.folder(&format!("site-{mailboxes}"))?.join("site");
        sample(&program, &site, (mailboxes, servers))?;
        let mut runs = Vec::new();
        for _ in 0..args.runs.max(1) {
            runs.push(plan(&program, &site)?);
        }
        let (waves, steps) = counted(&site)?;
        let one = Done { mailboxes, servers, waves, steps, runs };
        let (seconds, mib) = (one.seconds().median, one.peak_mib().median);
        say(&format!("  {:<36} {seconds:8.2} s, {mib:8.1} MiB", one.label()));
        done.push(one);
        std::fs::remove_dir_all(&site).map_err(|error| error.to_string())?;
    }
    setting.end();
    page(args, &done).publish(&setting)
}

/// Writes a made-up export with its sizes and its site file.
fn sample(program: &Path, site: &Path, (mailboxes, servers): (usize, usize)) -> Result<(), String> {
    let (mailboxes, servers) = (mailboxes.to_string(), servers.to_string());
    let status = Command::new(program)
        .arg("sample")
        .arg(site)
        .args(["--export", "csv", "--mailboxes", &mailboxes, "--servers", &servers])
        .stdout(Stdio::null())
        .status()
        .map_err(|error| format!("rehome does not start: {error}"))?;
    if status.success() { Ok(()) } else { Err(format!("rehome sample ended with {status}")) }
}

/// Plans a site in a process of its own.
fn plan(program: &Path, site: &Path) -> Result<Run, String> {
    let started = Instant::now();
    let mut child = Command::new(program)
        .arg("plan")
        .arg(site)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .map_err(|error| format!("rehome does not start: {error}"))?;
    let status_file = format!("/proc/{}/status", child.id());
    let mut peak_kib = 0_u64;
    let status = loop {
        if let Some(status) = child.try_wait().map_err(|error| error.to_string())? {
            break status;
        }
        let text = std::fs::read_to_string(&status_file).unwrap_or_default();
        let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let kib = line.and_then(|value| value.trim().strip_suffix("kB")?.trim().parse().ok());
        peak_kib = peak_kib.max(kib.unwrap_or(0));
        std::thread::sleep(LOOK_EVERY);
    };
    if !status.success() {
        return Err(format!("rehome plan ended with {status}"));
    }
    // Figures for people: the precision of f64 is plenty.
    #[allow(clippy::cast_precision_loss)]
    let peak_mib = peak_kib as f64 / 1024.0;
    Ok(Run { seconds: started.elapsed().as_secs_f64(), peak_mib })
}

/// Waves and steps of the plan that was written.
fn counted(site: &Path) -> Result<(u64, u64), String> {
    let file = site.join("rehome-work").join("plan.txt");
    let text = std::fs::read_to_string(&file).map_err(|error| error.to_string())?;
    let waves = text.lines().filter(|line| line.starts_with("wave ") && line.contains("until"));
    let steps = text.lines().skip_while(|line| !line.starts_with("step "));
    let steps = steps.skip(1).filter(|line| line.starts_with(|c: char| c.is_ascii_uppercase()));
    Ok((waves.count() as u64, steps.count() as u64))
}

fn page(args: &PlanningArgs, done: &[Done]) -> Page {
    let row = |one: &Done| {
        let Spread { median, min, max, .. } = one.seconds();
        vec![
            one.mailboxes.to_string(),
            one.servers.to_string(),
            one.waves.to_string(),
            one.steps.to_string(),
            shown(median),
            format!("{}-{}", shown(min), shown(max)),
            // A figure for people: the precision of f64 is plenty.
            #[allow(clippy::cast_precision_loss)]
            shown(median * 1e6 / one.mailboxes as f64),
            shown(one.peak_mib().median),
        ]
    };
    let bar = |one: &Done| Bar { label: one.label(), spread: one.seconds(), tone: Tone::OursDark };
    let runs = |one: &Done| -> Vec<Value> {
        let run = |run: &Run| json!({ "seconds": run.seconds, "peak_mib": run.peak_mib });
        one.runs.iter().map(run).collect()
    };
    let detail = |one: &Done| json!({ "what": one.label(), "runs": runs(one) });
    Page {
        name: "planning",
        title: "Planning a site, from a thousand mailboxes to a million",
        command: format!("planning --runs {}", args.runs),
        intro: vec![
            "A made-up export of Exchange 5.5 with its table of sizes, departments of forty that \
             share a fifth of their mail, delegates and a hub, windows on nights and weekends. \
             Measured is `rehome plan` from its start to its end: reading both files, both routes, \
             waves, 2,000 runs of the forecast, the checker, and all four files written."
                .to_owned(),
        ],
        tables: vec![Table {
            title: "",
            about: String::new(),
            heads: vec![
                "mailboxes",
                "servers",
                "waves",
                "steps",
                "s",
                "range",
                "us a mailbox",
                "peak MiB",
            ],
            words: 0,
            rows: done.iter().map(row).collect(),
        }],
        method: vec![
            "Each run is a process of its own; the peak is the largest VmHWM seen, looked at every \
             5 ms."
                .to_owned(),
        ],
        skipped: Vec::new(),
        goals: goals(done),
        chart: Chart {
            heading: "Seconds to plan (less is better)".to_owned(),
            bars: done.iter().map(bar).collect(),
            longest: f64::INFINITY,
        },
        details: json!({ "done": done.iter().map(detail).collect::<Vec<_>>() }),
    }
}

fn goals(done: &[Done]) -> Vec<Goal> {
    let Some(one) = done.iter().find(|one| one.mailboxes == 1_000_000) else { return Vec::new() };
    vec![
        Goal::at_most(format!("{}, s", one.label()), SECONDS_MAX, one.seconds().median),
        Goal::at_most(
            format!("{}, peak GiB", one.label()),
            GIB_MAX,
            one.peak_mib().median / 1024.0,
        ),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(mailboxes: usize, seconds: f64, peak_mib: f64, expected: &[Option<bool>]) {
        let runs = vec![Run { seconds, peak_mib }];
        let done = [Done { mailboxes, servers: 1, waves: 1, steps: 1, runs }];
        assert_eq!(goals(&done).iter().map(Goal::met).collect::<Vec<_>>(), expected);
    }

    #[test]
    fn the_largest_site_has_a_bound_for_time_and_memory() {
        check(1_000, 1e6, 1e6, &[]);
        check(1_000_000, 59.0, 4097.0, &[Some(true), Some(false)]);
    }
}
