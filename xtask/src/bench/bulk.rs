//! `bench move`: the bulk move beside copies of the same bytes, measured in one run.
//!
//! Every round runs every contender once with each state of the source that it is measured with, in
//! shuffled order and with rests. Every run writes into a folder of its own. No tree of files is
//! removed before the last run has ended, because creating files soon after a mass deletion is slow
//! on ext4.

mod contender;
mod measured;
mod stage;

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;

use crate::bench::disk;
use crate::bench::setting::{Common, Setting};
use crate::bench::stores::made_up_site;
use crate::commands::say;
use contender::{Contender, Run};
use measured::Measured;
use stage::Stage;

/// What is measured, and how often.
#[derive(Debug, Args)]
pub(crate) struct MoveArgs {
    /// A folder of Maildir++ trees; without it a made-up site is used.
    #[arg(long)]
    corpus: Option<PathBuf>,
    /// How often each contender runs with each state of the source.
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..))]
    rounds: u32,
    /// Rest before each run, in milliseconds.
    #[arg(long, default_value_t = 2000)]
    rest_ms: u64,
    /// Only contenders whose name holds this; may be given several times. Nothing is set up for the
    /// others.
    #[arg(long, value_name = "NAME")]
    only: Vec<String>,
    #[command(flatten)]
    common: Common,
}

impl MoveArgs {
    fn wants(&self, contender: Contender) -> bool {
        self.only.is_empty() || self.only.iter().any(|part| contender.name().contains(part))
    }
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
    const BOTH: [Cache; 2] = [Cache::Warm, Cache::Cold];

    fn name(self) -> &'static str {
        match self {
            Cache::Warm => "warm",
            Cache::Cold => "cold",
        }
    }
}

/// Results of fewer files than this may be removed between rounds.
const FEW_FILES: usize = 1000;

pub(crate) fn run(args: &MoveArgs) -> Result<(), String> {
    let mut setting = Setting::begin(&args.common)?;
    let corpus = match &args.corpus {
        Some(corpus) => corpus.clone(),
        None => made_up_site(setting.scratch())?,
    };
    say("setting up: the source stores, the peers' sources and the files of the same bytes");
    let stage = Stage::set_up(&corpus, setting.scratch(), &|contender| args.wants(contender))?;
    let keeps_all = disk::free_bytes(setting.scratch())
        .is_none_or(|free| free > stage.bytes_for(args.rounds, args.rounds));
    disk::require_room(setting.scratch(), stage.bytes_for(args.rounds, 1))?;
    let mut measured = Measured::new(&stage, args, keeps_all);
    count_syncs(&stage, &mut measured)?;
    for round in 1..=args.rounds {
        let probe_ms = setting.probe()?;
        say(&format!("round {round} of {}: fdatasync {probe_ms:.2} ms", args.rounds));
        one_round(args, &stage, &mut setting, &mut measured, round)?;
        if !keeps_all {
            remove_few_files(setting.scratch(), round)?;
            std::thread::sleep(Duration::from_millis(args.rest_ms * 3));
        }
    }
    setting.end();
    measured.page(&stage).publish(&setting)?;
    say("removing the copies");
    Ok(())
}

/// Runs all contenders once with each state of the source, in a new order.
fn one_round(
    args: &MoveArgs,
    stage: &Stage,
    setting: &mut Setting,
    measured: &mut Measured,
    round: u32,
) -> Result<(), String> {
    let states = |contender: &Contender| {
        let contender = *contender;
        contender.caches().iter().map(move |cache| (contender, *cache))
    };
    let mut all: Vec<(Contender, Cache)> = stage.contenders().iter().flat_map(states).collect();
    setting.shuffle(&mut all);
    let rest = Duration::from_millis(args.rest_ms);
    for (contender, cache) in all {
        match contender::run(stage, contender, cache, round, rest)? {
            Some(run) => {
                tell(&run);
                measured.runs.push(run);
            }
            None => measured.skip(contender, cache),
        }
    }
    Ok(())
}

fn tell(run: &Run) {
    let name = run.contender.name();
    say(&format!("  {:<44} {} {:8.3} s", name, run.cache.name(), run.seconds));
}

/// Counts the syncs of the peers in extra runs, which are not timed.
fn count_syncs(stage: &Stage, measured: &mut Measured) -> Result<(), String> {
    for contender in stage.contenders() {
        let to = stage.scratch().join(format!("syncs-{}", *contender as u32));
        if let Some(syncs) = contender::count_syncs(stage, *contender, &to)? {
            measured.peer_syncs.push((*contender, syncs));
        }
    }
    Ok(())
}

/// Removes a round's results of few files each, so that all rounds find room.
fn remove_few_files(scratch: &Path, round: u32) -> Result<(), String> {
    let failed = |error: std::io::Error| format!("{}: {error}", scratch.display());
    for entry in fs::read_dir(scratch).map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if name.starts_with(&format!("{round}-")) && disk::files_below(&path)?.len() < FEW_FILES {
            fs::remove_dir_all(&path).map_err(failed)?;
        }
    }
    disk::sync_folder(scratch)
}
