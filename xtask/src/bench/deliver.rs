//! `bench deliver`: durable deliveries, reads and recovery beside the disk's own syncs and peers.
//!
//! Every round measures every cell once, in shuffled order: the store, the peers and the disk's
//! syncs, so that all have seen the same disk.

mod cell;
mod lmtp;
mod report;
mod single;

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;

use crate::bench::disk;
use crate::bench::dovecot::Dovecot;
use crate::bench::figures::shown;
use crate::bench::setting::{Common, Setting};
use crate::commands::say;
use cell::{Cell, Peers, Taken};

/// What is measured, and for how long.
#[derive(Debug, Args)]
pub(crate) struct DeliverArgs {
    /// A folder of Maildir++ trees for the batches; without it a made-up site is used.
    #[arg(long)]
    corpus: Option<PathBuf>,
    /// How often each cell is measured.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..))]
    rounds: u32,
    /// How long each cell is measured, in milliseconds.
    #[arg(long, default_value_t = 4000)]
    cell_ms: u64,
    /// Rest before each cell, in milliseconds.
    #[arg(long, default_value_t = 500)]
    rest_ms: u64,
    /// Messages for recovery.
    #[arg(long, default_value_t = 300_000)]
    recovery_messages: u64,
    #[command(flatten)]
    common: Common,
}

impl DeliverArgs {
    fn cell_time(&self) -> Duration {
        Duration::from_millis(self.cell_ms)
    }
}

/// Length of a message that is delivered.
const MESSAGE_BYTES: usize = 4 << 10;

/// Everything that was measured.
struct Measured {
    taken: Vec<Taken>,
    singles: Vec<single::Single>,
    skipped: Vec<String>,
}

pub(crate) fn run(args: &DeliverArgs) -> Result<(), String> {
    let mut setting = Setting::begin(&args.common)?;
    disk::require_room(setting.scratch(), room(args))?;
    let mut measured = Measured { taken: Vec::new(), singles: Vec::new(), skipped: Vec::new() };
    let dovecot = match Dovecot::missing() {
        None => Some(Dovecot::start(&setting.folder("dovecot")?)?),
        Some(why) => {
            measured.skipped.push(format!("LMTP: {why}"));
            None
        }
    };
    if cfg!(not(feature = "peers")) {
        measured.skipped.push("SQLite: built without it".to_owned());
    }
    let peers = Peers { dovecot: dovecot.as_ref() };
    let bodies = single::bodies(args, &setting)?;
    say("the page cache is filled");
    disk::fill_page_cache(setting.scratch())?;
    for round in 1..=args.rounds {
        let probe_ms = setting.probe()?;
        say(&format!("round {round} of {}: fdatasync {probe_ms:.2} ms", args.rounds));
        let mut cells = Cell::all(&peers);
        setting.shuffle(&mut cells);
        for cell in cells {
            let folder = setting.folder(&format!("{round}-{}", cell.folder()))?;
            disk::sync_folder(&folder)?;
            std::thread::sleep(Duration::from_millis(args.rest_ms));
            let taken = cell.run(&peers, &folder, args.cell_time())?;
            say(&format!("  {:<56} {:>8}/s", cell.name(), shown(taken.per_second)));
            measured.taken.push(taken);
        }
        measured.singles.push(single::run(args, &setting, round, &bodies)?);
    }
    drop(dovecot);
    setting.end();
    report::page(args, &measured).publish(&setting)
}

/// Bytes that may be written: a cell's time at a rate that no disk here reaches, and the rest.
fn room(args: &DeliverArgs) -> u64 {
    let cells = u64::from(args.rounds) * Cell::COUNT_MAX * args.cell_ms / 1000;
    cells * (100 << 20) + u64::from(args.rounds) * (args.recovery_messages * 600 + (2 << 30))
}
