//! `bench memory`: how much memory each kind of work on a store of millions of messages takes, each
//! in a process of its own.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use serde_json::{Value, json};

use crate::bench::chart::{Bar, Chart, Tone};
use crate::bench::figures::{Goal, shown};
use crate::bench::page::{Page, Table};
use crate::bench::setting::{Common, Setting};
use crate::bench::work::Work;
use crate::bench::{child, disk};
use crate::commands::say;

/// How large the stores are.
#[derive(Debug, Args)]
pub(crate) struct MemoryArgs {
    /// Messages in each store.
    #[arg(long, default_value_t = 2_000_000)]
    messages: u64,
    /// Length of these.
    #[arg(long, default_value_t = 512)]
    message_bytes: usize,
    /// Messages that are delivered one by one.
    #[arg(long, default_value_t = 5000)]
    deliveries: u64,
    /// A short run that shows that the program works; its figures say nothing.
    #[arg(long)]
    quick: bool,
    #[command(flatten)]
    common: Common,
}

/// Numbers of mailboxes that the messages lie in.
const MAILBOXES: [usize; 2] = [200, 1];
const MEMORY_MIB_MAX: f64 = 512.0;
const OPEN_S_MAX: f64 = 5.0;

/// One kind of work that was done.
struct Done {
    mailboxes: usize,
    name: &'static str,
    figures: Value,
}

impl Done {
    fn number(&self, name: &str) -> f64 {
        self.figures[name].as_f64().unwrap_or(f64::NAN)
    }

    fn peak_mib(&self) -> f64 {
        self.number("peak_rss_bytes") / f64::from(1 << 20)
    }

    fn label(&self) -> String {
        let plural = if self.mailboxes == 1 { "mailbox" } else { "mailboxes" };
        format!("{}, {} {plural}", self.name, self.mailboxes)
    }
}

/// The name of the opening, whose time is a goal.
const OPENING: &str = "open after a kill";

pub(crate) fn run(args: &MemoryArgs) -> Result<(), String> {
    let mut setting = Setting::begin(&args.common)?;
    let (messages, deliveries) =
        if args.quick { (60_000, 500) } else { (args.messages, args.deliveries) };
    let each = messages * (args.message_bytes as u64 + 1000);
    disk::require_room(setting.scratch(), 4 * each + (1 << 30))?;
    let mut done = Vec::new();
    for mailboxes in MAILBOXES {
        setting.probe()?;
        let from = setting.scratch().join(format!("{mailboxes}-from"));
        let to = setting.scratch().join(format!("{mailboxes}-to"));
        let message_bytes = args.message_bytes;
        let pause =
            Duration::from_millis(setting.random.below(if args.quick { 500 } else { 5000 }));
        let mut note = |name, figures: Value| {
            let one = Done { mailboxes, name, figures };
            let (seconds, peak) = (one.number("seconds"), one.peak_mib());
            say(&format!("  {:<36} {seconds:8.2} s, {peak:6.0} MiB", one.label()));
            done.push(one);
        };
        let folder = from.clone();
        let fill = Work::Fill { folder, mailboxes, messages, message_bytes, goes_on: true };
        note("fill", child::figures_then_kill(&mut fill.command()?, pause)?);
        for (name, work) in steps(&from, &to, messages, deliveries, message_bytes) {
            note(name, child::figures(&mut work.command()?)?);
        }
    }
    setting.probe()?;
    setting.end();
    page(args, messages, deliveries, &done).publish(&setting)
}

/// What is done to a store that was filled.
fn steps(
    from: &std::path::Path,
    to: &std::path::Path,
    messages: u64,
    deliveries: u64,
    message_bytes: usize,
) -> [(&'static str, Work); 6] {
    let folder: PathBuf = from.to_owned();
    [
        (OPENING, Work::Open { folder: folder.clone(), messages_min: messages }),
        (
            "deliver one by one",
            Work::Deliver {
                folder: folder.clone(),
                messages: deliveries,
                message_bytes,
                goes_on: false,
            },
        ),
        ("list everything", Work::List { folder: folder.clone() }),
        ("move everything", Work::Move { folder: folder.clone(), to: to.to_owned() }),
        ("check", Work::Check { folder }),
        ("check the copy", Work::Check { folder: to.to_owned() }),
    ]
}

fn page(args: &MemoryArgs, messages: u64, deliveries: u64, done: &[Done]) -> Page {
    let row = |one: &Done| {
        vec![
            one.name.to_owned(),
            one.mailboxes.to_string(),
            format!("{:.0}", one.number("messages")),
            format!("{:.3}", one.number("seconds")),
            shown(one.peak_mib()),
        ]
    };
    let bar = |one: &Done| Bar::of(one.label(), one.peak_mib(), Tone::Ours);
    let detail = |one: &Done| {
        let Done { mailboxes, name, figures } = one;
        json!({ "work": name, "mailboxes": mailboxes, "figures": figures })
    };
    Page {
        name: "memory",
        title: "Memory of work on a store of millions of messages",
        command: format!(
            "memory --messages {messages} --message-bytes {} --deliveries {deliveries}",
            args.message_bytes
        ),
        intro: vec![format!(
            "{messages} messages of {} bytes, all different, in 200 mailboxes, and as many in one; \
             {deliveries} deliveries. Default options: the catalog's cache is 64 MiB.",
            args.message_bytes
        )],
        tables: vec![Table {
            title: "",
            about: String::new(),
            heads: vec!["what", "mailboxes", "messages", "seconds", "peak MiB"],
            words: 1,
            rows: done.iter().map(row).collect(),
        }],
        method: METHOD.iter().map(|line| (*line).to_owned()).collect(),
        skipped: Vec::new(),
        goals: goals(done),
        chart: Chart {
            heading: "Peak memory in MiB".to_owned(),
            bars: done.iter().map(bar).collect(),
            longest: f64::INFINITY,
        },
        details: json!({ "done": done.iter().map(detail).collect::<Vec<_>>() }),
    }
}

const METHOD: [&str; 4] = [
    "Each work is a process of its own; its peak is VmHWM from its start on (for the move: from \
     the call on), opening the store included. The page cache is not in it.",
    "The filling process is killed (SIGKILL) at a random moment while it goes on delivering. The \
     seconds of an opening are those of the call, the files being in the page cache.",
    "Listing takes pages of 1,000 rows. The move is one job for all mailboxes, both stores in one \
     process; messages are counted afterwards. A check reads every content and every row.",
    "A loss, a damaged message or a fault in the catalog ends the program.",
];

fn goals(done: &[Done]) -> Vec<Goal> {
    let memory = |one: &Done| {
        Goal::at_most(format!("{}, peak MiB", one.label()), MEMORY_MIB_MAX, one.peak_mib())
    };
    let open = |one: &Done| {
        Goal::at_most(format!("{}, seconds", one.label()), OPEN_S_MAX, one.number("seconds"))
    };
    let openings = done.iter().filter(|one| one.name == OPENING).map(open);
    done.iter().map(memory).chain(openings).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(name: &'static str, mib: u64, seconds: f64, expected: &[Option<bool>]) {
        let figures = json!({ "seconds": seconds, "peak_rss_bytes": mib << 20 });
        let goals = goals(&[Done { mailboxes: 1, name, figures }]);
        assert_eq!(goals.iter().map(Goal::met).collect::<Vec<_>>(), expected);
    }

    #[test]
    fn every_work_has_a_bound_of_memory_and_an_opening_one_of_time() {
        check("check", 512, 60.0, &[Some(true)]);
        check("check", 513, 60.0, &[Some(false)]);
        check(OPENING, 100, 5.1, &[Some(true), Some(false)]);
    }
}
