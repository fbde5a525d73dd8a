//! What the deliveries come to.

use serde_json::json;

use super::cell::{Cell, Kind};
use super::single::Single;
use super::{DeliverArgs, MESSAGE_BYTES, Measured};
use crate::bench::chart::{Bar, Chart, Tone};
use crate::bench::figures::{Goal, Ranks, Spread, median, shown};
use crate::bench::page::{Page, Table};

pub(super) fn page(args: &DeliverArgs, measured: &Measured) -> Page {
    let corpus = if args.corpus.is_some() { " --corpus DIR" } else { "" };
    Page {
        name: "deliver",
        title: "Delivery, reading and recovery",
        command: format!(
            "deliver{corpus} --rounds {} --cell-ms {} --rest-ms {} --recovery-messages {}",
            args.rounds, args.cell_ms, args.rest_ms, args.recovery_messages
        ),
        intro: vec![format!(
            "Messages of {MESSAGE_BYTES} bytes, each delivered by a call that returns when it is \
             durable; the median of {} rounds.",
            args.rounds
        )],
        tables: vec![cells(measured), singles(measured)],
        method: METHOD.iter().map(|line| (*line).to_owned()).collect(),
        skipped: measured.skipped.clone(),
        goals: goals(measured),
        chart: chart(measured),
        details: details(measured),
    }
}

const METHOD: [&str; 9] = [
    "A cell begins with an empty store, database or user, after a syncfs and a rest; all cells of \
     a round are shuffled; nothing is deleted before the end.",
    "The page cache is filled before, with a file of holes, so that pages are had back from it as \
     on a server that has run for a day. Free memory of a virtual machine may have to be had from \
     its host first, which takes longer than a write and is not what is compared here.",
    "Writers are threads of this process on the same cores as the store. Their own work between \
     two deliveries (making a message) is in the rates and not in the times.",
    "Two fdatasyncs at once: 4 KiB are written to each of two files; the time is from the first \
     call to the second return, from two standing threads; into files that grow, and into zeros \
     that are there. The goal is judged by the files that grow.",
    "SQLite: one connection in this process behind a lock, one transaction a message. It has no \
     group commit, so writers wait for each other.",
    "LMTP: one thread a connection, envelope pipelined, from MAIL to the reply after the data; \
     Dovecot's mdbox with its default mail_fsync. The clients share the cores with the server.",
    "Batches: groups of 100 messages of the corpus into 20 mailboxes in turn; bodies are in memory \
     before. Reads: at random, every message had been read once; a read returns row and checked \
     body. Listing: whole folders.",
    "Recovery: small messages, the log kept without any checkpoint, the store dropped and opened \
     again; the rate is the length of the log over the time of the whole opening, the checkpoint \
     at its end included.",
    "Hold-up: one writer; checkpoints one after another with 100 ms between; a delivery counts as \
     beside a checkpoint when the two overlap at all.",
];

/// What a cell came to in each round.
fn of(measured: &Measured, cell: Cell, value: fn(f64, &Ranks) -> f64) -> Vec<f64> {
    let some = measured.taken.iter().filter(|taken| taken.cell == cell);
    some.map(|taken| value(taken.per_second, &taken.times)).collect()
}

fn rate(measured: &Measured, cell: Cell) -> f64 {
    median(&of(measured, cell, |rate, _| rate))
}

fn p50(measured: &Measured, cell: Cell) -> f64 {
    median(&of(measured, cell, |_, times| times.p50))
}

/// The cells, each once, in the order of the table.
fn order(measured: &Measured) -> Vec<Cell> {
    let mut cells: Vec<Cell> = Vec::new();
    for taken in &measured.taken {
        if !cells.contains(&taken.cell) {
            cells.push(taken.cell);
        }
    }
    cells.sort_by_key(|cell| (cell.kind as u8, cell.mailboxes, cell.writers));
    cells
}

fn cells(measured: &Measured) -> Table {
    let row = |cell: &Cell| {
        let rates = Spread::of(&of(measured, *cell, |rate, _| rate));
        vec![
            cell.name(),
            shown(rates.median),
            format!("{}-{}", shown(rates.min), shown(rates.max)),
            format!("{:.3}", p50(measured, *cell)),
            format!("{:.3}", median(&of(measured, *cell, |_, times| times.p99))),
            format!("{:.1}", Spread::of(&of(measured, *cell, |_, times| times.max)).max),
        ]
    };
    Table {
        title: "",
        about: String::new(),
        heads: vec!["what", "per second", "range", "p50 ms", "p99 ms", "longest ms"],
        words: 1,
        rows: order(measured).iter().map(row).collect(),
    }
}

/// The figures that are measured once a round: name, unit, values.
fn singles_of(measured: &Measured) -> Vec<(&'static str, &'static str, Vec<f64>)> {
    let all = |value: fn(&Single) -> f64| measured.singles.iter().map(value).collect();
    vec![
        ("batches of 100, one caller", "messages/s", all(|one| one.batches_per_s[0])),
        ("batches of 100, two callers", "messages/s", all(|one| one.batches_per_s[1])),
        ("batches of 100, one caller", "MB/s", all(|one| one.batch_mb_per_s)),
        ("read of a message, warm, p50", "us", all(|one| one.read_us.p50)),
        ("read of a message, warm, p99", "us", all(|one| one.read_us.p99)),
        ("listing", "rows/s", all(|one| one.rows_per_s)),
        ("recovery", "MB of log/s", all(|one| one.recovery.mb_per_s())),
        ("recovery, log", "MB", all(|one| one.recovery.log_bytes as f64 / 1e6)),
        ("recovery", "s", all(|one| one.recovery.seconds)),
        ("one writer without checkpoints, p99", "ms", all(|one| one.holdup.without.p99)),
        ("one writer without checkpoints, longest", "ms", all(|one| one.holdup.without.max)),
        ("one writer beside a checkpoint, p50", "ms", all(|one| one.holdup.beside.p50)),
        ("one writer beside a checkpoint, longest", "ms", all(|one| one.holdup.beside.max)),
        ("checkpoints", "", all(|one| one.holdup.checkpoints as f64)),
    ]
}

fn singles(measured: &Measured) -> Table {
    let row = |(name, unit, values): &(&str, &str, Vec<f64>)| {
        let Spread { median, min, max, .. } = Spread::of(values);
        let range = format!("{}-{}", shown(min), shown(max));
        vec![(*name).to_owned(), (*unit).to_owned(), shown(median), range]
    };
    Table {
        title: "Batches, reads, recovery, checkpoints",
        about: String::new(),
        heads: vec!["what", "unit", "median", "range"],
        words: 2,
        rows: singles_of(measured).iter().map(row).collect(),
    }
}

fn goals(measured: &Measured) -> Vec<Goal> {
    let cell = |kind, writers, mailboxes| Cell { kind, writers, mailboxes };
    let single =
        |value: fn(&Single) -> f64| median(&measured.singles.iter().map(value).collect::<Vec<_>>());
    let syncs = rate(measured, cell(Kind::Sync, 1, 0));
    let pair = p50(measured, cell(Kind::TwoSyncs, 1, 0));
    let store = |writers, mailboxes| cell(Kind::Store, writers, mailboxes);
    let many = rate(measured, store(32, 1)).min(rate(measured, store(32, 100)));
    let one_to_many =
        |writers: &usize| rate(measured, store(*writers, 1)) / rate(measured, store(*writers, 100));
    let one_to_many = median(&Cell::WRITERS.iter().map(one_to_many).collect::<Vec<_>>());
    let over_lmtp = rate(measured, store(32, 100)) / rate(measured, cell(Kind::Lmtp, 32, 100));
    let alone = p50(measured, store(1, 1)) / pair;
    vec![
        Goal::at_most("one writer's p50 / two fdatasyncs at once", 1.5, alone),
        Goal::at_least("32 writers / fdatasyncs a second, 1 or 100 mailboxes", 8.0, many / syncs),
        Goal::at_least("one mailbox / 100, rates, median (5 % for noise)", 0.95, one_to_many),
        Goal::at_least("32 writers / Dovecot over LMTP, 100 mailboxes", 1.0, over_lmtp),
        Goal::at_least(
            "batches of 100, messages/s, one caller",
            16_000.0,
            single(|one| one.batches_per_s[0]),
        ),
        Goal::at_least("recovery, MB of log/s", 100.0, single(|one| one.recovery.mb_per_s())),
        Goal::at_most("read of a message, p50, us", 20.0, single(|one| one.read_us.p50)),
        Goal::at_least("listing, rows/s", 1_000_000.0, single(|one| one.rows_per_s)),
    ]
}

fn chart(measured: &Measured) -> Chart {
    let delivers = |cell: &Cell| !matches!(cell.kind, Kind::TwoSyncs | Kind::TwoSyncsInPlace);
    let bar = |cell: Cell| Bar {
        label: cell.name().replace(", WAL, synchronous=FULL", "").replace(" over LMTP, mdbox", ""),
        spread: Spread::of(&of(measured, cell, |rate, _| rate)),
        tone: if cell.kind == Kind::Store { Tone::Ours } else { Tone::Other },
    };
    Chart {
        heading: "Durable messages a second, median and range; longer is better".to_owned(),
        bars: order(measured).into_iter().filter(delivers).map(bar).collect(),
        longest: f64::INFINITY,
    }
}

fn details(measured: &Measured) -> serde_json::Value {
    let cell = |taken: &super::cell::Taken| {
        json!({ "what": taken.cell.name(), "writers": taken.cell.writers,
            "mailboxes": taken.cell.mailboxes, "per_second": taken.per_second,
            "ms": taken.times.json() })
    };
    let single = |(what, unit, rounds): (&str, &str, Vec<f64>)| {
        json!({
            "what": what, "unit": unit, "rounds": rounds,
        })
    };
    json!({
        "cells": measured.taken.iter().map(cell).collect::<Vec<_>>(),
        "singles": singles_of(measured).into_iter().map(single).collect::<Vec<_>>(),
    })
}
