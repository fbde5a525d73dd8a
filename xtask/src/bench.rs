//! `bench move`: the bulk move beside copies of the same bytes, measured in one run.
//!
//! Every round runs every contender once with a warm and once with a cold source, in shuffled
//! order and with rests. Every run writes into a folder of its own; nothing is removed before the
//! last one has ended, because creating files soon after a mass deletion is slow on ext4.

mod chart;
mod contender;
mod disk;
mod figures;
mod page;
mod stage;

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use clap::Args;
use rehome::parts::log::{Clock as _, SplitMix64, SystemClock};
use rehome::sample::SampleOptions;

use crate::commands::{root, say};
use contender::{Contender, Run};
use figures::Measured;
use stage::Stage;

/// What is measured, and how often.
#[derive(Debug, Args)]
pub(crate) struct MoveArgs {
    /// A folder of Maildir++ trees; without it a made-up site is used.
    #[arg(long)]
    corpus: Option<PathBuf>,
    /// How often each contender runs with a warm and with a cold source.
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..))]
    rounds: u32,
    /// The same seed gives the same order; without it the clock gives one.
    #[arg(long)]
    seed: Option<u64>,
    /// Rest before each run, in milliseconds.
    #[arg(long, default_value_t = 2000)]
    rest_ms: u64,
    /// Where stores and copies are written: the disk that is measured.
    #[arg(long)]
    scratch: Option<PathBuf>,
    /// Where the results are written.
    #[arg(long)]
    out: Option<PathBuf>,
}

/// The state of the source before a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Cache {
    /// Read once just before.
    Warm,
    /// Not in the page cache.
    Cold,
}

impl Cache {
    pub(crate) const BOTH: [Cache; 2] = [Cache::Warm, Cache::Cold];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Cache::Warm => "warm",
            Cache::Cold => "cold",
        }
    }
}

/// Measures, prints the table and writes the results.
pub(crate) fn run(args: &MoveArgs) -> Result<(), String> {
    if cfg!(debug_assertions) {
        return again_for_release();
    }
    let scratch = match &args.scratch {
        Some(folder) => tempfile::tempdir_in(folder),
        None => tempfile::tempdir(),
    };
    let scratch = scratch.map_err(|error| format!("no scratch folder: {error}"))?;
    let corpus = match &args.corpus {
        Some(corpus) => corpus.clone(),
        None => sample(scratch.path())?,
    };
    say("setting up: the source store and the files of the same bytes");
    let stage = Stage::set_up(&corpus, scratch.path())?;
    disk::require_room(scratch.path(), stage.bytes_for(args.rounds))?;
    let measured = measure(args, &stage)?;
    let out = args.out.clone().unwrap_or_else(|| root().join("docs").join("benchmarks"));
    page::write(&out, &measured)?;
    let text = page::table(&measured);
    std::io::stdout().write_all(text.as_bytes()).map_err(|error| error.to_string())?;
    say("removing the copies");
    Ok(())
}

/// Runs this command again as a release build: an unoptimised mover says nothing.
fn again_for_release() -> Result<(), String> {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.args(["run", "--release", "--quiet", "--package", "xtask", "--"]);
    command.args(std::env::args_os().skip(1));
    let status = command.status().map_err(|error| format!("cargo does not start: {error}"))?;
    if status.success() { Ok(()) } else { Err("the release build of this command failed".into()) }
}

/// Writes the made-up site that is moved when no other is given.
fn sample(scratch: &Path) -> Result<PathBuf, String> {
    let options = SampleOptions { mailboxes: 20, messages: 500, seed: 1 };
    let report = rehome::write_sample(&scratch.join("site"), &options);
    let report = report.map_err(|error| error.to_string())?;
    let site = report.site_file.parent().expect("the site file lies in a folder");
    let mail = site.join("mail");
    Ok(if mail.is_dir() { mail } else { site.to_owned() })
}

fn measure(args: &MoveArgs, stage: &Stage) -> Result<Measured, String> {
    let seed = args.seed.unwrap_or_else(|| SystemClock.wall_us().unsigned_abs());
    say(&format!("seed {seed}, {} rounds", args.rounds));
    let mut random = SplitMix64::new(seed);
    let mut measured = Measured::new(stage, seed, args.rounds);
    for round in 1..=args.rounds {
        let probe_ms = disk::probe_ms(stage.scratch())?;
        measured.probes_ms.push(probe_ms);
        say(&format!("round {round} of {}: fdatasync {probe_ms:.2} ms", args.rounds));
        for (contender, cache) in shuffled(stage, &mut random) {
            let rest = Duration::from_millis(args.rest_ms);
            match contender::run(stage, contender, cache, round, rest)? {
                Some(run) => {
                    tell(&run);
                    measured.runs.push(run);
                }
                None => measured.skip(contender, cache),
            }
        }
    }
    measured.end();
    Ok(measured)
}

fn tell(run: &Run) {
    let name = run.contender.name();
    say(&format!("  {:<28} {} {:8.3} s", name, run.cache.name(), run.seconds));
}

/// All contenders with both states of the source, in a new order (Fisher and Yates).
fn shuffled(stage: &Stage, random: &mut SplitMix64) -> Vec<(Contender, Cache)> {
    let both = |contender: &Contender| Cache::BOTH.map(|cache| (*contender, cache));
    let mut all: Vec<_> = stage.contenders().iter().flat_map(both).collect();
    for last in (1..all.len()).rev() {
        let other = usize::try_from(random.below(last as u64 + 1)).expect("an index");
        all.swap(last, other);
    }
    all
}
