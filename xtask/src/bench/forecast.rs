//! `bench forecast`: made-up sites of different shape are planned after this machine was measured,
//! and carried out; what was predicted beside what it took.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

use clap::Args;
use rehome::Calibration;
use rehome::parts::planner::{CarriedOut, Outcome, Plan, Route};
use rehome::sample::{SampleOptions, sample_shape, write_sample};
use serde_json::{Value, json};

use crate::bench::chart::{Bar, Chart, Tone};
use crate::bench::figures::{Goal, Spread, shown};
use crate::bench::page::{Page, Table};
use crate::bench::setting::{Common, Setting};
use crate::commands::{program, say};
use crate::torture::own_address;

/// How many.
#[derive(Debug, Args)]
pub(crate) struct ForecastArgs {
    /// Migrations that are judged.
    #[arg(long, default_value_t = 30)]
    migrations: usize,
    /// Sites that the machine is measured with before, each by both routes.
    #[arg(long, default_value_t = 16)]
    sites: usize,
    #[command(flatten)]
    common: Common,
}

/// The share of outcomes at or below the predicted P80 has to lie between these.
const SHARE_MIN: f64 = 0.70;
const SHARE_MAX: f64 = 0.90;
/// How many steps a migration beyond its P95 is explained with.
const STEPS_NAMED: usize = 3;

/// One migration: what was predicted and what it took, in seconds.
struct Done {
    shape: SampleOptions,
    route: Route,
    bytes: u64,
    p50: f64,
    p80: f64,
    p95: f64,
    actual: f64,
    /// The steps that differ most, in words.
    apart: Vec<String>,
}

impl Done {
    fn label(&self) -> String {
        let SampleOptions { mailboxes, messages, .. } = self.shape;
        format!("{}, {mailboxes} x {messages}", self.route.as_str())
    }
}

/// What the machine was found to be.
struct Measured {
    seed: u64,
    file: PathBuf,
    calibration: Calibration,
    seconds: f64,
}

pub(crate) fn run(args: &ForecastArgs) -> Result<(), String> {
    let program = program()?;
    let mut setting = Setting::begin(&args.common)?;
    setting.probe()?;
    let (calibrated, judged) = (setting.random.next_u64() >> 12, setting.random.next_u64() >> 12);
    say(&format!("seed of the calibration {calibrated}, seed of the judged sites {judged}"));
    let measured = measure(&program, &setting, args.sites, calibrated)?;
    say(&format!("measured with {} sites in {:.1} s", args.sites, measured.seconds));
    let mut done = Vec::new();
    for number in 0..args.migrations {
        let shape = sample_shape(judged, number, args.migrations);
        let route = [Route::MoveUsers, Route::DisasterRecovery][number % 2];
        let one = carry_out(&program, &setting, &measured, shape, route)?;
        say(&format!(
            "  {:<36} P50 {:6.2} P80 {:6.2} P95 {:6.2} actual {:6.2} s",
            one.label(),
            one.p50,
            one.p80,
            one.p95,
            one.actual
        ));
        done.push(one);
    }
    setting.probe()?;
    setting.end();
    page(args, &measured, judged, &done).publish(&setting)
}

/// Runs the program to its end.
fn rehome(program: &Path, args: &[&str]) -> Result<(), String> {
    let output = Command::new(program)
        .args(args)
        .stdin(Stdio::null())
        .output()
        .map_err(|error| format!("rehome does not start: {error}"))?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    Err(format!("rehome {} ended with {}: {said}", args.join(" "), output.status))
}

fn shown_path(path: &Path) -> String {
    path.display().to_string()
}

/// Writes a made-up site with an address of its own; returns it and its bytes of mail.
fn site(folder: &Path, shape: &SampleOptions) -> Result<u64, String> {
    let report = write_sample(folder, shape).map_err(|error| error.to_string())?;
    own_address(&folder.join("site.toml")).map_err(|error| error.to_string())?;
    Ok(report.bytes)
}

fn measure(program: &Path, setting: &Setting, sites: usize, seed: u64) -> Result<Measured, String> {
    let folder = setting.folder("calibration")?;
    let (site_folder, work) = (folder.join("site"), folder.join("work"));
    let small = SampleOptions { mailboxes: 1, messages: 1, ..SampleOptions::default() };
    site(&site_folder, &small)?;
    let (sites, seed_shown) = (sites.to_string(), seed.to_string());
    let started = Instant::now();
    let [site_folder, work_shown] = [&site_folder, &work].map(|path| shown_path(path));
    let args = [
        "calibrate",
        &site_folder,
        "--work",
        &work_shown,
        "--sites",
        &sites,
        "--seed",
        &seed_shown,
    ];
    rehome(program, &args)?;
    let file = work.join("calibration.json");
    let calibration = Calibration::read(&file).map_err(|error| error.to_string())?;
    Ok(Measured { seed, file, calibration, seconds: started.elapsed().as_secs_f64() })
}

/// Plans one site by the calibration, carries it out, and compares.
fn carry_out(
    program: &Path,
    setting: &Setting,
    measured: &Measured,
    shape: SampleOptions,
    route: Route,
) -> Result<Done, String> {
    let folder = setting.folder("judged")?;
    let (site_folder, work) = (folder.join("site"), folder.join("work"));
    let bytes = site(&site_folder, &shape)?;
    let [site_folder, work_shown, calibration] =
        [&site_folder, &work, &measured.file].map(|path| shown_path(path));
    let plan_file = work.join("plan.json");
    let plan_shown = shown_path(&plan_file);
    let plan = ["plan", &site_folder, "--work", &work_shown, "--route", route.as_str()];
    rehome(program, &[&plan[..], &["--calibration", &calibration, "--answered"]].concat())?;
    rehome(program, &["apply", &plan_shown, "--confirm", "all"])?;
    let (plan, outcome): (Plan, Outcome) = (read(&plan_file)?, read(&work.join("outcome.json"))?);
    std::fs::remove_dir_all(&folder).map_err(|error| error.to_string())?;
    let seconds = |us: i64| us as f64 / 1e6;
    let (from, to) = outcome.started_us.zip(outcome.ended_us).ok_or("nothing was recorded")?;
    let predicted = plan.forecast.ended_us;
    Ok(Done {
        bytes,
        p50: seconds(predicted.p50 - plan.made_us),
        p80: seconds(predicted.p80 - plan.made_us),
        p95: seconds(predicted.p95 - plan.made_us),
        actual: seconds(to - from),
        apart: apart(&plan, &outcome, &measured.calibration),
        shape,
        route,
    })
}

fn read<T: serde::de::DeserializeOwned>(path: &Path) -> Result<T, String> {
    let bytes = std::fs::read(path).map_err(|error| format!("{}: {error}", path.display()))?;
    serde_json::from_slice(&bytes).map_err(|error| format!("{}: {error}", path.display()))
}

/// The steps whose times differ most from what was expected, the largest difference first.
fn apart(plan: &Plan, outcome: &Outcome, calibration: &Calibration) -> Vec<String> {
    let Some(carried_out) = CarriedOut::of(plan, outcome) else {
        return vec!["a step needed a second attempt".to_owned()];
    };
    let mut steps = carried_out.beside(&calibration.costs);
    steps.sort_by(|(_, a, b), (_, c, d)| (c - d).abs().total_cmp(&(a - b).abs()));
    let named = steps.into_iter().take(STEPS_NAMED);
    named
        .map(|(name, expected, actual)| format!("{name} {actual:.2} s for {expected:.2} s"))
        .collect()
}

fn share(done: &[Done], bound: impl Fn(&Done) -> f64) -> f64 {
    done.iter().filter(|one| one.actual <= bound(one)).count() as f64 / done.len() as f64
}

fn page(args: &ForecastArgs, measured: &Measured, judged: u64, done: &[Done]) -> Page {
    let pace = measured.calibration.costs.pace;
    Page {
        name: "forecast",
        title: "What was predicted of migrations, and what they took",
        command: format!("forecast --migrations {} --sites {}", args.migrations, args.sites),
        intro: vec![format!(
            "First this machine was measured: `rehome calibrate` carried {} made-up sites out by \
             both routes in {:.0} s (seed {}). Whole migrations were {:+.1} % from what the others \
             said of them, and {:.1} % apart from one to the next beside the own spread of their \
             steps. Then {} other sites (seed {judged}) were planned by that calibration and \
             carried out: 3 to 40 mailboxes, 8 to 120 messages in each, half to eight times the \
             usual size, nothing to a half of the deliveries shared. A forecast is of the time \
             from the first to the last record of the journal, gates answered in advance.",
            args.sites,
            measured.seconds,
            measured.seed,
            (pace.bias.exp() - 1.0) * 100.0,
            (pace.spread.exp() - 1.0) * 100.0,
            done.len(),
        )],
        tables: vec![predictions(done), beyond(done)],
        method: vec![
            "Each site is planned and carried out once, by the program in processes of its own; \
             none of them was seen while measuring, and the calibration is not fitted again."
                .to_owned(),
        ],
        skipped: Vec::new(),
        goals: goals(done),
        chart: Chart {
            heading: "Seconds: the bar is what it took, the line goes from P50 to P95".to_owned(),
            bars: done.iter().map(bar).collect(),
            longest: f64::INFINITY,
        },
        details: details(measured, done),
    }
}

fn bar(one: &Done) -> Bar {
    let spread = Spread { median: one.actual, min: one.p50, max: one.p95, count: 1 };
    let tone = if one.actual > one.p80 { Tone::OursDark } else { Tone::Ours };
    Bar { label: one.label(), spread, tone }
}

fn predictions(done: &[Done]) -> Table {
    let verdict = |one: &Done| match one.actual {
        actual if actual <= one.p50 => "P50",
        actual if actual <= one.p80 => "P80",
        actual if actual <= one.p95 => "P95",
        _ => "beyond",
    };
    let row = |one: &Done| {
        vec![
            one.route.as_str().to_owned(),
            verdict(one).to_owned(),
            one.shape.mailboxes.to_string(),
            (one.shape.mailboxes * one.shape.messages).to_string(),
            shown(one.bytes as f64 / f64::from(1 << 20)),
            one.shape.shared_percent.to_string(),
            shown(one.p50),
            shown(one.p80),
            shown(one.p95),
            shown(one.actual),
            shown(one.actual / one.p50),
        ]
    };
    let heads = [
        "route",
        "within",
        "mailboxes",
        "messages",
        "MiB",
        "% shared",
        "P50 s",
        "P80 s",
        "P95 s",
        "actual s",
        "actual / P50",
    ];
    Table {
        title: "",
        about: String::new(),
        heads: heads.to_vec(),
        words: 2,
        rows: done.iter().map(row).collect(),
    }
}

/// What became of those that took longer than their P95.
fn beyond(done: &[Done]) -> Table {
    let late = done.iter().filter(|one| one.actual > one.p95);
    Table {
        title: "Beyond P95",
        about: "One in twenty is expected to be. The steps that were furthest from their cost:"
            .to_owned(),
        heads: vec!["migration", "steps"],
        words: 2,
        rows: late.map(|one| vec![one.label(), one.apart.join("; ")]).collect(),
    }
}

fn goals(done: &[Done]) -> Vec<Goal> {
    let within = share(done, |one| one.p80);
    vec![
        Goal::at_least("share at or below P80", SHARE_MIN, within),
        Goal::at_most("share at or below P80", SHARE_MAX, within),
    ]
}

fn details(measured: &Measured, done: &[Done]) -> Value {
    let one = |one: &Done| {
        json!({
            "route": one.route.as_str(),
            "mailboxes": one.shape.mailboxes,
            "messages_each": one.shape.messages,
            "bytes": one.bytes,
            "shared_percent": one.shape.shared_percent,
            "size_percent": one.shape.size_percent,
            "seed": one.shape.seed,
            "p50_seconds": one.p50,
            "p80_seconds": one.p80,
            "p95_seconds": one.p95,
            "actual_seconds": one.actual,
            "apart": one.apart,
        })
    };
    json!({
        "calibration": measured.calibration,
        "shares": {
            "p50": share(done, |one| one.p50),
            "p80": share(done, |one| one.p80),
            "p95": share(done, |one| one.p95),
        },
        "done": done.iter().map(one).collect::<Vec<_>>(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn done(actual: f64) -> Done {
        Done {
            shape: SampleOptions::default(),
            route: Route::MoveUsers,
            bytes: 1,
            p50: 1.0,
            p80: 2.0,
            p95: 3.0,
            actual,
            apart: Vec::new(),
        }
    }

    #[track_caller]
    fn check(actual: &[f64], expected: [bool; 2]) {
        let all: Vec<Done> = actual.iter().map(|actual| done(*actual)).collect();
        let met: Vec<Option<bool>> = goals(&all).iter().map(Goal::met).collect();
        assert_eq!(met, expected.map(Some));
    }

    #[test]
    fn a_forecast_that_is_always_kept_is_as_wrong_as_one_that_is_kept_too_seldom() {
        check(&[1.0, 2.0, 1.5, 2.0, 2.1], [true, true]);
        check(&[1.0, 2.0, 1.5, 2.0, 2.0], [true, false]);
        check(&[1.0, 2.0, 1.5, 2.1, 2.1], [false, true]);
    }

    #[test]
    fn what_is_beyond_is_explained() {
        assert_eq!(beyond(&[done(3.0)]).rows.len(), 0);
        assert_eq!(beyond(&[done(3.1)]).rows.len(), 1);
    }
}
