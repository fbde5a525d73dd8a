//! What the moves come to.

use serde_json::{Value, json};

use super::{Load, Run, SMALL_MAX, ScaleArgs};
use crate::bench::chart::{Bar, Chart, Tone};
use crate::bench::figures::{Goal, Spread, median, shown};
use crate::bench::page::{Page, Table};

/// A message of the largest job costs at most so many times what one of a small job costs.
const GROWTH_MAX: f64 = 1.25;
const SYNCS_MAX: f64 = 4.0;
const MEMORY_MIB_MAX: f64 = 512.0;

pub(super) fn page(args: &ScaleArgs, runs: &[Run]) -> Page {
    Page {
        name: "scale",
        title: "The bulk move from ten thousand to a million messages",
        command: args.command(),
        intro: vec![format!(
            "Messages of {} bytes, all different, in {} mailboxes, delivered to these in turn; all \
             of them moved by one job, warm.",
            args.message_bytes, args.mailboxes
        )],
        tables: vec![costs(args, runs), mailboxes(args, runs)],
        method: METHOD.iter().map(|line| (*line).to_owned()).collect(),
        skipped: Vec::new(),
        goals: goals(args, runs),
        chart: chart(args, runs),
        details: details(runs),
    }
}

const METHOD: [&str; 6] = [
    "Each move is a process of its own with both stores in it; the directory of homes is in \
     memory. The time is from the call of the library to its return, when contents and rows are \
     durable. All moves of a round are shuffled, each after a syncfs and a rest, each into a \
     folder of its own; nothing is deleted before the end.",
    "Warm: every file of the source was read just before.",
    "Memory is the peak (VmHWM) from the call on; it includes both catalogs' caches, 64 MiB each.",
    "Syncs are those of both stores' files and folders between call and return.",
    "The goal of growth compares with the cheapest of the jobs of up to 100,000 messages, so that \
     the fixed cost of a job and its cutovers does not make the large ones look good. Nothing in a \
     move may cost more than in proportion to its messages but the trees: from 10,000 to 1,000,000 \
     rows they are a level deeper, and no longer fit their cache. A quarter is left for that.",
    "The line through the syncs is the one of least squares over all runs of those loads.",
];

fn of(runs: &[Run], load: Load, name: &str) -> Vec<f64> {
    runs.iter().filter(|run| run.load == load).map(|run| run.number(name)).collect()
}

/// Microseconds a message, of each run.
fn costs_us(runs: &[Run], load: Load) -> Vec<f64> {
    of(runs, load, "seconds").iter().map(|s| s * 1e6 / load.messages as f64).collect()
}

fn loads(args: &ScaleArgs) -> Vec<Load> {
    let mailboxes = args.mailboxes;
    args.messages.iter().map(|messages| Load { messages: *messages, mailboxes }).collect()
}

fn costs(args: &ScaleArgs, runs: &[Run]) -> Table {
    let row = |load: &Load| {
        let seconds = Spread::of(&of(runs, *load, "seconds"));
        let syncs = median(&of(runs, *load, "syncs"));
        let phase = |name| format!("{:.3}", median(&of(runs, *load, name)));
        vec![
            load.messages.to_string(),
            seconds.count.to_string(),
            format!("{:.3}", seconds.median),
            format!("{:.3}-{:.3}", seconds.min, seconds.max),
            format!("{:.0}", load.messages as f64 / seconds.median),
            format!("{:.2}", median(&costs_us(runs, *load))),
            phase("compare_s"),
            phase("carry_s"),
            phase("cutover_s"),
            format!("{syncs:.0}"),
            shown(syncs / load.mailboxes as f64),
            shown(peak_mib(runs, *load)),
        ]
    };
    Table {
        title: "",
        about: String::new(),
        heads: vec![
            "messages",
            "runs",
            "median s",
            "range s",
            "messages/s",
            "us a message",
            "compare s",
            "carry s",
            "cut over s",
            "syncs",
            "a mailbox",
            "peak MiB",
        ],
        words: 0,
        rows: loads(args).iter().map(row).collect(),
    }
}

/// The largest of the runs' peaks.
fn peak_mib(runs: &[Run], load: Load) -> f64 {
    let peaks = of(runs, load, "peak_rss_bytes");
    peaks.into_iter().fold(f64::NAN, f64::max) / f64::from(1 << 20)
}

fn varied(args: &ScaleArgs) -> Vec<Load> {
    let messages = args.vary_messages;
    args.vary_mailboxes.iter().map(|mailboxes| Load { messages, mailboxes: *mailboxes }).collect()
}

fn mailboxes(args: &ScaleArgs, runs: &[Run]) -> Table {
    let (constant, slope) = line(args, runs);
    let row = |load: &Load| {
        let syncs = Spread::of(&of(runs, *load, "syncs"));
        vec![
            load.mailboxes.to_string(),
            format!("{:.0}", syncs.median),
            format!("{:.0}-{:.0}", syncs.min, syncs.max),
            format!("{:.0}", constant + slope * load.mailboxes as f64),
            format!("{:.3}", median(&of(runs, *load, "seconds"))),
            format!("{:.3}", median(&of(runs, *load, "cutover_s"))),
        ]
    };
    Table {
        title: "Syncs by mailboxes",
        about: format!(
            "{} messages each. The line: {} syncs and {} a mailbox.",
            args.vary_messages,
            shown(constant),
            shown(slope)
        ),
        heads: vec!["mailboxes", "syncs", "range", "the line", "median s", "cut over s"],
        words: 0,
        rows: varied(args).iter().map(row).collect(),
    }
}

/// Syncs of no mailbox, and of each more.
fn line(args: &ScaleArgs, runs: &[Run]) -> (f64, f64) {
    let varied = varied(args);
    let points = runs.iter().filter(|run| varied.contains(&run.load));
    let points: Vec<_> =
        points.map(|run| (run.load.mailboxes as f64, run.number("syncs"))).collect();
    least_squares(&points)
}

/// Constant and slope of the line of least squares; not numbers if no line is given.
fn least_squares(points: &[(f64, f64)]) -> (f64, f64) {
    let count = points.len() as f64;
    let mean_x = points.iter().map(|(x, _)| x).sum::<f64>() / count;
    let mean_y = points.iter().map(|(_, y)| y).sum::<f64>() / count;
    let both: f64 = points.iter().map(|(x, y)| (x - mean_x) * (y - mean_y)).sum();
    let square: f64 = points.iter().map(|(x, _)| (x - mean_x).powi(2)).sum();
    // Whole syncs are counted: what is beyond a thousandth of one comes from the arithmetic.
    let slope = (both / square * 1000.0).round() / 1000.0;
    (mean_y - slope * mean_x, slope)
}

/// Cost of a message in the largest job over the cheapest of the small ones.
fn growth(args: &ScaleArgs, runs: &[Run]) -> f64 {
    let loads = loads(args);
    let cost = |load: &Load| median(&costs_us(runs, *load));
    let small = loads.iter().filter(|load| load.messages <= SMALL_MAX);
    let cheapest = small.map(cost).fold(f64::NAN, f64::min);
    let largest = loads.iter().max_by_key(|load| load.messages);
    largest.map_or(f64::NAN, cost) / cheapest
}

fn goals(args: &ScaleArgs, runs: &[Run]) -> Vec<Goal> {
    let largest = args.messages.iter().max().copied().unwrap_or_default();
    let text = format!("a message of {largest} / of up to {SMALL_MAX}, the cheapest");
    let peaks = loads(args).into_iter().map(|load| peak_mib(runs, load));
    vec![
        Goal::at_most(text, GROWTH_MAX, growth(args, runs)),
        Goal::at_most("syncs for each mailbox more", SYNCS_MAX, line(args, runs).1),
        Goal::at_most("peak memory, MiB", MEMORY_MIB_MAX, peaks.fold(f64::NAN, f64::max)),
    ]
}

fn chart(args: &ScaleArgs, runs: &[Run]) -> Chart {
    let bar = |load: &Load| Bar {
        label: format!("{} messages", load.messages),
        spread: Spread::of(&costs_us(runs, *load)),
        tone: Tone::Ours,
    };
    Chart {
        heading: "Microseconds a message, median and range; shorter is better".to_owned(),
        bars: loads(args).iter().map(bar).collect(),
        longest: f64::INFINITY,
    }
}

fn details(runs: &[Run]) -> Value {
    let run = |run: &Run| {
        json!({ "round": run.round, "messages": run.load.messages,
            "mailboxes": run.load.mailboxes, "figures": run.figures })
    };
    json!({ "runs": runs.iter().map(run).collect::<Vec<_>>() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(points: &[(f64, f64)], expected: (f64, f64)) {
        let (constant, slope) = least_squares(points);
        let off = (constant - expected.0).abs() + (slope - expected.1).abs();
        assert!(off < 1e-9, "{constant} and {slope} in place of {expected:?}");
    }

    #[test]
    fn a_line_through_its_points_is_found_and_one_between_them_too() {
        check(&[(10.0, 60.0), (40.0, 180.0), (160.0, 660.0)], (20.0, 4.0));
        check(&[(0.0, 0.0), (0.0, 2.0), (1.0, 3.0)], (1.0, 2.0));
        assert!(least_squares(&[(1.0, 1.0)]).1.is_nan());
    }
}
