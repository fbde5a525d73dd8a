//! What a soak comes to.

use serde_json::{Value, json};

use super::{Measured, SoakArgs, number};
use crate::bench::chart::{Bar, Chart, Tone};
use crate::bench::figures::{Goal, median, shown};
use crate::bench::page::{Page, Table};

/// Lengths of messages for which the share of the catalog is computed.
const SIZES: [u64; 6] = [1 << 10, 2 << 10, 4 << 10, 8 << 10, 16 << 10, 24 << 10];
/// The most that checkpoints may write for each byte of mail.
const SHARE_MAX: f64 = 0.3;
const OPEN_S_MAX: f64 = 5.0;
/// Classes of calls, and how they are named.
const CLASSES: [(&str, &str); 3] = [
    ("alone", "beside neither"),
    ("base", "beside a base being written"),
    ("checkpoint", "beside a checkpoint"),
];

pub(super) fn page(args: &SoakArgs, measured: &Measured) -> Page {
    Page {
        name: "soak",
        title: "Millions of rows in one store",
        command: args.command(),
        intro: vec![format!(
            "{} messages of {} bytes, all different, into one store with 200 mailboxes, from {} \
             callers in batches of 100, and one more caller that delivers a message alone every \
             20 ms; options of a mail server (`Profile::Server`: cache 1 GiB, a checkpoint each \
             64 MiB of log or 250,000 operations). Then {} messages of {} bytes into the full \
             store.",
            sum(measured, "rows"),
            args.message_bytes,
            args.writers,
            args.real_rows,
            args.real_message_bytes
        )],
        tables: vec![
            windows(measured),
            shares(args, measured),
            hold_ups(measured),
            written(measured),
            openings(measured),
        ],
        method: METHOD.iter().map(|line| (*line).to_owned()).collect(),
        skipped: skipped(args, measured),
        goals: goals(args, measured),
        chart: chart(measured),
        details: details(measured),
    }
}

const METHOD: [&str; 6] = [
    "Everything is counted at the disk of the store, by file. The catalog's bytes are all writes \
     to its file, those of checkpoints and those between them that its cache has no room for.",
    "A checkpoint lasts from the first of the writes that its sync follows (no read of the catalog \
     and no 20 ms between them) to its last sync. Building its pages is not in it; no delivery \
     waits for that either, unless the catalog lags 16 MiB of log behind.",
    "A call counts as beside a checkpoint when the two overlap at all; else as beside a base when \
     it overlaps its writing; else as beside neither. `base s` are the seconds of a window in \
     which a base was being written.",
    "The store fills in a process of its own, which is killed (SIGKILL) at a random moment of the \
     next checkpoint interval while it goes on delivering; then another opens it. The second \
     opening follows a second kill, and everything has left the page cache before, if this process \
     may do that.",
    "What the catalog writes for a row does not depend on the length of the message: checkpoints \
     are due by operations (two a message with a new content) and by log, which does not hold \
     the messages. So the share for other lengths is computed from the bytes counted, and counted \
     once more at the end with messages as long as real ones.",
    "Resident memory is VmRSS at the end of a window; the peak is VmHWM.",
];

/// Windows for which there was no time.
fn skipped(args: &SoakArgs, measured: &Measured) -> Vec<String> {
    let filled = list(measured).len() as u64;
    let line = || {
        format!("{} of {} windows, after the minutes allowed", args.windows - filled, args.windows)
    };
    if filled < args.windows { vec![line()] } else { Vec::new() }
}

fn list(measured: &Measured) -> &[Value] {
    measured.filled["windows"].as_array().map_or(&[], Vec::as_slice)
}

/// The windows, and the one of real lengths, if there is one.
fn with_real(measured: &Measured) -> impl Iterator<Item = (String, &Value)> {
    let millions = |window: &Value| format!("{:.2} M", number(window, "messages") / 1e6);
    let real = &measured.filled["real"];
    let windows = list(measured).iter().map(move |window| (millions(window), window));
    windows.chain((!real.is_null()).then(|| ("of real length".to_owned(), real)))
}

fn per_row(window: &Value, what: &str) -> f64 {
    number(window, what) / number(window, "rows")
}

/// Bytes written to the catalog for each byte of messages.
fn share(window: &Value) -> f64 {
    number(window, "written/catalog") / number(window, "ingested_bytes")
}

fn windows(measured: &Measured) -> Table {
    let row = |(name, window): (String, &Value)| {
        let catalog_row = number(window, "catalog_bytes") / number(window, "messages");
        vec![
            name,
            format!("{:.0}", number(window, "rows") / number(window, "seconds")),
            shown(per_row(window, "written/catalog")),
            shown(share(window)),
            shown(number(window, "checkpoint_ms/count")),
            shown(number(window, "checkpoint_ms/p50")),
            shown(number(window, "checkpoint_ms/max")),
            shown(number(window, "base_s")),
            shown(number(window, "log_bytes") / 1e6),
            shown(catalog_row),
            shown(number(window, "rss_bytes") / f64::from(1 << 20)),
        ]
    };
    Table {
        title: "",
        about: "After so many messages; each line is what was put in since the line before."
            .to_owned(),
        heads: vec![
            "messages",
            "rows/s",
            "catalog written, bytes a row",
            "/ ingested",
            "checkpoints",
            "p50 ms",
            "longest ms",
            "base s",
            "log MB",
            "catalog file, bytes a row",
            "resident MiB",
        ],
        words: 1,
        rows: with_real(measured).map(row).collect(),
    }
}

/// Sum of a figure over the windows.
fn sum(measured: &Measured, what: &str) -> f64 {
    list(measured).iter().map(|window| number(window, what)).sum()
}

/// Catalog bytes of a row: over the whole run, and in the last window.
fn catalog_rows(measured: &Measured) -> [f64; 2] {
    let all = sum(measured, "written/catalog") / sum(measured, "rows");
    [all, list(measured).last().map_or(f64::NAN, |last| per_row(last, "written/catalog"))]
}

fn shares(args: &SoakArgs, measured: &Measured) -> Table {
    let computed = |bytes: &u64| {
        let [all, last] = catalog_rows(measured).map(|row| row / *bytes as f64);
        vec![format!("{bytes} bytes"), "computed".to_owned(), shown(all), shown(last)]
    };
    let mut rows: Vec<_> = SIZES.iter().map(computed).collect();
    let real = &measured.filled["real"];
    if !real.is_null() {
        let bytes = format!("{} bytes", args.real_message_bytes);
        rows.push(vec![bytes, "counted".to_owned(), "-".to_owned(), shown(share(real))]);
    }
    Table {
        title: "Catalog bytes written for each byte of messages",
        about: String::new(),
        heads: vec!["messages of", "", "whole run", "at the end"],
        words: 2,
        rows,
    }
}

/// Calls of a class in each window that has some.
fn class(measured: &Measured, calls: &str, class: &str, rank: &str) -> Vec<f64> {
    let value = |window| number(window, &format!("{calls}/{class}/{rank}"));
    list(measured).iter().map(value).filter(|value| value.is_finite()).collect()
}

fn longest(measured: &Measured, calls: &str, of: &str) -> f64 {
    class(measured, calls, of, "max").into_iter().fold(f64::NAN, f64::max)
}

fn hold_ups(measured: &Measured) -> Table {
    let mut rows = Vec::new();
    for (calls, name) in [("lone_ms", "one message"), ("batch_ms", "a batch of 100")] {
        for (of, beside) in CLASSES {
            let count: f64 = class(measured, calls, of, "count").iter().sum();
            rows.push(vec![
                name.to_owned(),
                beside.to_owned(),
                format!("{count:.0}"),
                shown(median(&class(measured, calls, of, "p50"))),
                shown(median(&class(measured, calls, of, "p99"))),
                shown(longest(measured, calls, of)),
            ]);
        }
    }
    Table {
        title: "Deliveries, in milliseconds",
        about: "Medians of the windows' ranks, and the longest of all.".to_owned(),
        heads: vec!["delivery of", "", "calls", "p50", "p99", "longest"],
        words: 2,
        rows,
    }
}

fn written(measured: &Measured) -> Table {
    let kinds = [
        ("segments", "contents"),
        ("log", "log"),
        ("zeros", "zeros of log files made ahead"),
        ("catalog", "catalog"),
        ("bases", "bases of the catalog"),
        ("other", "other"),
    ];
    let row = |(kind, name): &(&str, &str)| {
        let bytes = sum(measured, &format!("written/{kind}"));
        let row = bytes / sum(measured, "rows");
        vec![(*name).to_owned(), shown(bytes / 1e6), shown(row)]
    };
    Table {
        title: "Written",
        about: "In the whole run, without the messages of real length.".to_owned(),
        heads: vec!["what", "MB", "bytes a row"],
        words: 1,
        rows: kinds.iter().map(row).collect(),
    }
}

fn openings(measured: &Measured) -> Table {
    let row = |opening: &super::Opening| {
        let figures = &opening.figures;
        let files = if opening.warm { "in the page cache" } else { "cold" };
        vec![
            files.to_owned(),
            shown(number(figures, "messages")),
            shown(number(figures, "log_bytes") / 1e6),
            shown(number(figures, "replayed_bytes") / 1e6),
            format!("{:.3}", number(figures, "seconds")),
            shown(number(figures, "peak_rss_bytes") / f64::from(1 << 20)),
        ]
    };
    Table {
        title: "Opening after a kill",
        about: String::new(),
        heads: vec!["files", "messages", "log MB", "replayed MB", "seconds", "peak MiB"],
        words: 1,
        rows: measured.openings.iter().map(row).collect(),
    }
}

fn goals(args: &SoakArgs, measured: &Measured) -> Vec<Goal> {
    let bytes = args.real_message_bytes;
    let real = share(&measured.filled["real"]);
    let text = format!("catalog written / messages of {bytes} bytes ingested, full store");
    let mut goals = vec![Goal::at_most(text, SHARE_MAX, real)];
    for opening in &measured.openings {
        let files = if opening.warm { "warm" } else { "cold" };
        let text = format!("opening after a kill, {files}, seconds");
        goals.push(Goal::at_most(text, OPEN_S_MAX, number(&opening.figures, "seconds")));
    }
    let beside = median(&class(measured, "lone_ms", "checkpoint", "p99"));
    let alone = median(&class(measured, "lone_ms", "alone", "p99"));
    let text = "p99 of one message, beside a checkpoint / beside neither";
    goals.push(Goal::at_most(text, 2.0, beside / alone));
    goals
}

fn chart(measured: &Measured) -> Chart {
    let bar = |(name, window): (String, &Value)| {
        Bar::of(name, number(window, "rss_bytes") / f64::from(1 << 20), Tone::Ours)
    };
    Chart {
        heading: "Resident memory in MiB after so many messages".to_owned(),
        bars: with_real(measured).map(bar).collect(),
        longest: f64::INFINITY,
    }
}

fn details(measured: &Measured) -> Value {
    let opening =
        |opening: &super::Opening| json!({ "warm": opening.warm, "figures": opening.figures });
    let openings: Vec<_> = measured.openings.iter().map(opening).collect();
    json!({ "filled": measured.filled, "openings": openings })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn measured(catalog: &[f64]) -> Measured {
        let window = |catalog: &f64| json!({ "rows": 10, "written": { "catalog": catalog } });
        let windows: Vec<_> = catalog.iter().map(window).collect();
        let real = json!({ "ingested_bytes": 1000, "written": { "catalog": 250 } });
        Measured { filled: json!({ "windows": windows, "real": real }), openings: Vec::new() }
    }

    #[track_caller]
    fn check(catalog: &[f64], expected: [f64; 2]) {
        assert_eq!(catalog_rows(&measured(catalog)), expected);
    }

    #[test]
    fn the_catalog_s_bytes_of_a_row_are_told_for_the_run_and_for_its_end() {
        check(&[100.0, 300.0], [20.0, 30.0]);
    }

    #[test]
    fn the_share_is_of_the_bytes_of_messages() {
        assert_eq!(share(&measured(&[]).filled["real"]), 0.25);
    }
}
