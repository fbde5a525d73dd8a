//! `bench scale`: what a message costs in a bulk move of ten thousand and of a million, and how
//! many syncs a mailbox costs.

mod report;

use clap::Args;
use serde_json::Value;

use crate::bench::setting::{Common, Setting};
use crate::bench::work::Work;
use crate::bench::{child, disk};
use crate::commands::say;

/// How much is moved, and how often.
#[derive(Debug, Clone, Args)]
pub(crate) struct ScaleArgs {
    /// Numbers of messages.
    #[arg(long, value_delimiter = ',', default_value = "10000,30000,100000,300000,1000000")]
    messages: Vec<u64>,
    /// Mailboxes that these lie in.
    #[arg(long, default_value_t = 40)]
    mailboxes: usize,
    /// Numbers of mailboxes for the syncs.
    #[arg(long, value_delimiter = ',', default_value = "10,40,160")]
    vary_mailboxes: Vec<usize>,
    /// Messages that these hold together.
    #[arg(long, default_value_t = 30_000)]
    vary_messages: u64,
    /// Length of a message.
    #[arg(long, default_value_t = 1024)]
    message_bytes: usize,
    /// How often no more than 100,000 messages are moved.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..))]
    rounds: u32,
    /// How often more are moved.
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u32).range(1..))]
    large_rounds: u32,
    /// Rest before each move, in milliseconds.
    #[arg(long, default_value_t = 2000)]
    rest_ms: u64,
    /// A short run that shows that the program works; its figures say nothing.
    #[arg(long)]
    quick: bool,
    #[command(flatten)]
    common: Common,
}

/// More messages than these are moved `large_rounds` times.
const SMALL_MAX: u64 = 100_000;

impl ScaleArgs {
    fn sized(&self) -> ScaleArgs {
        let mut args = self.clone();
        if args.quick {
            (args.messages, args.vary_messages) = (vec![2000, 10_000, 120_000], 2000);
            (args.rounds, args.large_rounds, args.rest_ms) = (2, 1, 100);
        }
        args
    }

    fn command(&self) -> String {
        let list = |numbers: &[String]| numbers.join(",");
        let messages: Vec<_> = self.messages.iter().map(u64::to_string).collect();
        let mailboxes: Vec<_> = self.vary_mailboxes.iter().map(usize::to_string).collect();
        format!(
            "scale --messages {} --mailboxes {} --vary-mailboxes {} --vary-messages {} \
             --message-bytes {} --rounds {} --large-rounds {} --rest-ms {}",
            list(&messages),
            self.mailboxes,
            list(&mailboxes),
            self.vary_messages,
            self.message_bytes,
            self.rounds,
            self.large_rounds,
            self.rest_ms
        )
    }

    fn rounds_of(&self, load: Load) -> u32 {
        if load.messages <= SMALL_MAX { self.rounds } else { self.large_rounds }
    }

    /// Everything that is moved, each once.
    fn loads(&self) -> Vec<Load> {
        let mailboxes = self.mailboxes;
        let mut loads: Vec<Load> =
            self.messages.iter().map(|messages| Load { messages: *messages, mailboxes }).collect();
        for mailboxes in &self.vary_mailboxes {
            let load = Load { messages: self.vary_messages, mailboxes: *mailboxes };
            if !loads.contains(&load) {
                loads.push(load);
            }
        }
        loads
    }

    /// Bytes that sources and copies take.
    fn room(&self) -> u64 {
        let each = |load: Load| {
            let copies = u64::from(1 + self.rounds_of(load));
            copies * (load.messages * (self.message_bytes as u64 + 1000) + (200 << 20))
        };
        self.loads().into_iter().map(each).sum()
    }
}

/// What one job moves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Load {
    messages: u64,
    mailboxes: usize,
}

impl Load {
    fn folder(self) -> String {
        format!("{}-{}", self.messages, self.mailboxes)
    }
}

/// A move.
struct Run {
    round: u32,
    load: Load,
    /// What [`Work::Move`] told.
    figures: Value,
}

impl Run {
    fn number(&self, name: &str) -> f64 {
        self.figures[name].as_f64().unwrap_or(f64::NAN)
    }
}

pub(crate) fn run(args: &ScaleArgs) -> Result<(), String> {
    let args = args.sized();
    let mut setting = Setting::begin(&args.common)?;
    disk::require_room(setting.scratch(), args.room())?;
    let loads = args.loads();
    for load in &loads {
        say(&format!("filling {} mailboxes with {} messages", load.mailboxes, load.messages));
        let fill = Work::Fill {
            folder: setting.scratch().join(load.folder()),
            mailboxes: load.mailboxes,
            messages: load.messages,
            message_bytes: args.message_bytes,
            goes_on: false,
        };
        child::figures(&mut fill.command()?)?;
    }
    let mut runs = Vec::new();
    for round in 1..=args.rounds.max(args.large_rounds) {
        let probe_ms = setting.probe()?;
        say(&format!("round {round}: fdatasync {probe_ms:.2} ms"));
        let mut loads = loads.clone();
        loads.retain(|load| round <= args.rounds_of(*load));
        setting.shuffle(&mut loads);
        for load in loads {
            runs.push(one_move(&args, &setting, load, round)?);
        }
    }
    setting.probe()?;
    setting.end();
    report::page(&args, &runs).publish(&setting)
}

fn one_move(args: &ScaleArgs, setting: &Setting, load: Load, round: u32) -> Result<Run, String> {
    disk::sync_folder(setting.scratch())?;
    std::thread::sleep(std::time::Duration::from_millis(args.rest_ms));
    let work = Work::Move {
        folder: setting.scratch().join(load.folder()),
        to: setting.scratch().join(format!("{round}-{}", load.folder())),
    };
    let run = Run { round, load, figures: child::figures(&mut work.command()?)? };
    say(&format!(
        "  {:>8} messages, {:>3} mailboxes {:8.3} s {:6.0} syncs {:5.0} MiB",
        load.messages,
        load.mailboxes,
        run.number("seconds"),
        run.number("syncs"),
        run.number("peak_rss_bytes") / f64::from(1 << 20)
    ));
    Ok(run)
}
