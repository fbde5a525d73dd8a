//! `bench soak`: millions of rows into one store: what checkpoints write, whom they hold up, what
//! grows, and how long an opening takes after a kill.

mod by_file;
mod report;
mod window;

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use serde_json::{Value, json};

use crate::bench::disk::{self, Eviction};
use crate::bench::setting::{Common, Setting};
use crate::bench::work::Work;
use crate::bench::{child, figures};
use crate::commands::say;
pub(crate) use window::SoakWork;

/// How much is put into the store.
#[derive(Debug, Clone, Args)]
pub(crate) struct SoakArgs {
    /// Messages of `--message-bytes`.
    #[arg(long, default_value_t = 20_000_000)]
    rows: u64,
    /// Length of these.
    #[arg(long, default_value_t = 1024)]
    message_bytes: usize,
    /// Messages as long as those of real mail, put into the full store behind the others.
    #[arg(long, default_value_t = 200_000)]
    real_rows: u64,
    /// Length of these: the mean of real mail.
    #[arg(long, default_value_t = 24 << 10)]
    real_message_bytes: usize,
    /// Callers that append batches of 100.
    #[arg(long, default_value_t = 2)]
    writers: usize,
    /// Windows that the figures are given for.
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u64).range(1..))]
    windows: u64,
    /// No window begins after so many minutes.
    #[arg(long, default_value_t = 60)]
    minutes_max: u64,
    /// A short run that shows that the program works; its figures say nothing.
    #[arg(long)]
    quick: bool,
    #[command(flatten)]
    common: Common,
}

impl SoakArgs {
    fn sized(&self) -> SoakArgs {
        let mut args = self.clone();
        if args.quick {
            (args.rows, args.real_rows, args.windows) = (300_000, 20_000, 4);
        }
        args
    }

    fn command(&self) -> String {
        format!(
            "soak --rows {} --message-bytes {} --real-rows {} --real-message-bytes {} --writers \
             {} --windows {} --minutes-max {}",
            self.rows,
            self.message_bytes,
            self.real_rows,
            self.real_message_bytes,
            self.writers,
            self.windows,
            self.minutes_max
        )
    }

    fn work(&self, folder: PathBuf) -> SoakWork {
        SoakWork {
            folder,
            rows: self.rows,
            message_bytes: self.message_bytes,
            real_rows: self.real_rows,
            real_message_bytes: self.real_message_bytes,
            writers: self.writers,
            windows: self.windows,
            minutes_max: self.minutes_max,
        }
    }

    /// Bytes that may be written: bodies, and for each row a catalog, two bases and a log.
    fn room(&self) -> u64 {
        let rows = self.rows * (self.message_bytes as u64 + 1000);
        rows + self.real_rows * (self.real_message_bytes as u64 + 1000) + (2 << 30)
    }
}

/// An opening after a kill.
struct Opening {
    /// Whether the files were in the page cache.
    warm: bool,
    figures: Value,
}

/// Everything that was measured.
struct Measured {
    /// What [`SoakWork`] told.
    filled: Value,
    openings: Vec<Opening>,
}

pub(crate) fn run(args: &SoakArgs) -> Result<(), String> {
    let args = args.sized();
    let mut setting = Setting::begin(&args.common)?;
    disk::require_room(setting.scratch(), args.room())?;
    let probe_ms = setting.probe()?;
    say(&format!("fdatasync {probe_ms:.2} ms; filling"));
    let folder = setting.scratch().join("store");
    // A kill finds the log anywhere between two checkpoints.
    let checkpoint_ms = if args.quick { 1000 } else { 6000 };
    let mut pause = || Duration::from_millis(setting.random.below(checkpoint_ms));
    let (first_pause, second_pause) = (pause(), pause());
    let mut fill = args.work(folder.clone()).command()?;
    let filled = child::figures_then_kill(&mut fill, first_pause)?;
    setting.probe()?;
    let windows = filled["windows"].as_array().into_iter().flatten();
    let rows = |window: &Value| window["rows"].as_u64().unwrap_or_default();
    let acknowledged = windows.map(rows).sum::<u64>() + rows(&filled["real"]);
    let open = Work::Open { folder: folder.clone(), messages_min: acknowledged };
    let mut openings = vec![Opening { warm: true, figures: child::figures(&mut open.command()?)? }];
    say(&format!("opened after a kill in {:.3} s", number(&openings[0].figures, "seconds")));
    let deliver =
        Work::Deliver { folder, messages: 1000, message_bytes: args.message_bytes, goes_on: true };
    child::figures_then_kill(&mut deliver.command()?, second_pause)?;
    let eviction = Eviction::possible();
    if disk::sync_folder(setting.scratch()).is_ok() && disk::evict(setting.scratch(), eviction)? {
        openings.push(Opening { warm: false, figures: child::figures(&mut open.command()?)? });
    }
    setting.probe()?;
    setting.end();
    report::page(&args, &Measured { filled, openings }).publish(&setting)
}

/// A figure among others; not a number if it is not there.
fn number(figures: &Value, name: &str) -> f64 {
    figures.pointer(&format!("/{name}")).and_then(Value::as_f64).unwrap_or(f64::NAN)
}

/// Ranks of times in milliseconds as JSON.
fn ranks(times: &[f64]) -> Value {
    if times.is_empty() { json!({ "count": 0 }) } else { figures::Ranks::of(times).json() }
}
