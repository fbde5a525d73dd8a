//! What the cutovers come to.

use serde_json::{Value, json};

use super::{Cutover, LockArgs, Measured};
use crate::bench::chart::{Bar, Chart, Tone};
use crate::bench::figures::{Goal, Ranks, Spread};
use crate::bench::page::{Page, Table};

/// The lock at the 99th percentile, beyond the disk's own syncs.
const LOCK_MS_MAX: f64 = 50.0;
/// Syncs that the disk is granted on top, as slow as one in a hundred of its own.
const SYNCS: f64 = 2.0;
/// Lock of the largest mailboxes over that of the smallest.
const GROWTH_MAX: f64 = 1.5;

pub(super) fn page(args: &LockArgs, measured: &Measured) -> Page {
    Page {
        name: "lock",
        title: "The lock at cutover, while mail comes in",
        command: args.command(),
        intro: vec![format!(
            "One mailbox moves, alone in its job, from store to store and back; a writer delivers \
             {} messages of {} bytes a second into it, before, during and after. {} cutovers of \
             mailboxes of each size.",
            args.rate, args.message_bytes, args.cutovers
        )],
        tables: vec![locks(args, measured), writers(args, measured), syncs(measured)],
        method: METHOD.iter().map(|line| (*line).to_owned()).collect(),
        skipped: Vec::new(),
        goals: goals(args, measured),
        chart: chart(args, measured),
        details: details(measured),
    }
}

const METHOD: [&str; 5] = [
    "A lock lasts from the call that fences the mailbox at the source to the return of the one \
     that lets the target take writes; the move itself measures it. Two syncs of the stores lie \
     inside it, three if there was a delta.",
    "The sizes take turns, shuffled. There are several mailboxes of a size, so that a mailbox \
     grows little by what is delivered; the first move of each carries everything, the others what \
     has changed.",
    "The writer is a thread that delivers on schedule. A message is timed from when it was due to \
     when it was durable at whichever home took it; refused ones are tried again every 0.2 ms \
     where the directory says, and those that became due meanwhile follow at once.",
    "Syncs: after each cutover, for 50 ms, appends of 4 KiB with fdatasync, one after another, on \
     the same disk, by the same process, with no other work.",
    "At the end the messages of each mailbox at its home are counted: as many as it was filled \
     with and as were acknowledged.",
];

fn of(measured: &Measured, size: u64) -> impl Iterator<Item = &Cutover> {
    measured.cutovers.iter().filter(move |cutover| cutover.size == size)
}

fn locks_ms(measured: &Measured, size: u64) -> Vec<f64> {
    of(measured, size).map(|cutover| cutover.lock_ms).collect()
}

fn locks(args: &LockArgs, measured: &Measured) -> Table {
    let row = |size: &u64| {
        let lock = Ranks::of(&locks_ms(measured, *size));
        let first: Vec<f64> =
            of(measured, *size).filter(|one| one.first).map(|one| one.lock_ms).collect();
        let most = of(measured, *size).map(|one| one.messages).max().unwrap_or_default();
        let backed_out: u32 = of(measured, *size).map(|one| one.backed_out).sum();
        let rounds = of(measured, *size).map(|one| one.rounds).max().unwrap_or_default();
        vec![
            format!("{size}-{most}"),
            lock.count.to_string(),
            format!("{:.2}", lock.p50),
            format!("{:.2}", lock.p99),
            format!("{:.2}", lock.max),
            format!("{:.2}", Ranks::of(&first).p50),
            rounds.to_string(),
            backed_out.to_string(),
        ]
    };
    Table {
        title: "",
        about: "The lock in milliseconds.".to_owned(),
        heads: vec![
            "messages",
            "cutovers",
            "p50",
            "p99",
            "longest",
            "p50 of first moves",
            "rounds at most",
            "backed out",
        ],
        words: 0,
        rows: args.messages.iter().map(row).collect(),
    }
}

fn writers(args: &LockArgs, measured: &Measured) -> Table {
    let row = |size: &u64| {
        let all: Vec<f64> =
            of(measured, *size).flat_map(|one| one.deliveries_ms.iter().copied()).collect();
        let longest: Vec<f64> = of(measured, *size)
            .map(|one| one.deliveries_ms.iter().copied().fold(f64::NAN, f64::max))
            .collect();
        let (all, longest) = (Ranks::of(&all), Ranks::of(&longest));
        let refused: u64 = of(measured, *size).map(|one| one.refused).sum();
        vec![
            size.to_string(),
            all.count.to_string(),
            format!("{:.2}", all.p50),
            format!("{:.2}", all.p99),
            format!("{:.2}", longest.p50),
            format!("{:.2}", longest.p99),
            format!("{:.2}", longest.max),
            refused.to_string(),
        ]
    };
    Table {
        title: "What the writer saw",
        about: "Deliveries in milliseconds: of all of them, and of the longest during each move."
            .to_owned(),
        heads: vec![
            "messages",
            "deliveries",
            "p50",
            "p99",
            "longest, p50",
            "longest, p99",
            "longest of all",
            "refused calls",
        ],
        words: 0,
        rows: args.messages.iter().map(row).collect(),
    }
}

fn syncs(measured: &Measured) -> Table {
    let syncs = Ranks::of(&measured.syncs_ms);
    let bound = |sync: f64| format!("{:.2}", LOCK_MS_MAX + SYNCS * sync);
    let row = vec![
        syncs.count.to_string(),
        format!("{:.2}", syncs.p50),
        format!("{:.2}", syncs.p99),
        format!("{:.2}", syncs.max),
        bound(syncs.p99),
        bound(syncs.p50),
    ];
    Table {
        title: "Syncs of the disk between the cutovers",
        about: "In milliseconds, with the bound of the lock that they give.".to_owned(),
        heads: vec!["syncs", "p50", "p99", "longest", "50 + 2 x p99", "50 + 2 x p50"],
        words: 0,
        rows: vec![row],
    }
}

fn goals(args: &LockArgs, measured: &Measured) -> Vec<Goal> {
    let sync = Ranks::of(&measured.syncs_ms);
    let lock = |size: &u64| Ranks::of(&locks_ms(measured, *size));
    let bound = LOCK_MS_MAX + SYNCS * sync.p99;
    let p99 = |size: &u64| {
        let text = format!("lock of a mailbox of {size} messages, p99, ms");
        Goal::at_most(text, bound, lock(size).p99)
    };
    let mut goals: Vec<Goal> = args.messages.iter().map(p99).collect();
    if let (Some(small), Some(large)) = (args.messages.iter().min(), args.messages.iter().max()) {
        let text = format!("lock of {large} messages / of {small}, p50");
        goals.push(Goal::at_most(text, GROWTH_MAX, lock(large).p50 / lock(small).p50));
    }
    goals.push(Goal::at_most("messages lost or doubled", 0.0, measured.wrong as f64));
    goals
}

fn chart(args: &LockArgs, measured: &Measured) -> Chart {
    let bar = |size: &u64| Bar {
        label: format!("lock, {size} messages"),
        spread: Spread::of(&locks_ms(measured, *size)),
        tone: Tone::Ours,
    };
    let mut bars: Vec<Bar> = args.messages.iter().map(bar).collect();
    let spread = Spread::of(&measured.syncs_ms);
    bars.push(Bar { label: "a sync of the disk".to_owned(), spread, tone: Tone::Other });
    Chart {
        heading: "Milliseconds, median and range; shorter is better".to_owned(),
        bars,
        longest: f64::INFINITY,
    }
}

fn details(measured: &Measured) -> Value {
    let cutover = |one: &Cutover| {
        json!({ "size": one.size, "messages": one.messages, "first": one.first,
            "lock_ms": one.lock_ms, "rounds": one.rounds, "backed_out": one.backed_out,
            "delivery_ms": Ranks::of(&one.deliveries_ms).json(), "refused": one.refused })
    };
    json!({
        "cutovers": measured.cutovers.iter().map(cutover).collect::<Vec<_>>(),
        "syncs_ms": Ranks::of(&measured.syncs_ms).json(),
        "acknowledged": measured.acknowledged,
        "lost_or_doubled": measured.wrong,
    })
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Parsed {
        #[command(flatten)]
        args: LockArgs,
    }

    /// Locks of the small and of the large mailbox, and which goals are met.
    #[track_caller]
    fn check(small_ms: f64, large_ms: f64, wrong: u64, expected: [bool; 4]) {
        let cutover = |(size, lock_ms)| Cutover {
            size,
            messages: size,
            first: true,
            lock_ms,
            rounds: 1,
            backed_out: 0,
            deliveries_ms: vec![1.0],
            refused: 0,
        };
        let cutovers = [(1000, small_ms), (50_000, large_ms)].map(cutover).into();
        let measured = Measured { cutovers, syncs_ms: vec![1.0], wrong, acknowledged: 2 };
        let goals = goals(&Parsed::parse_from(["lock"]).args, &measured);
        let met: Vec<_> = goals.iter().map(|goal| goal.met() == Some(true)).collect();
        assert_eq!(met, expected);
    }

    #[test]
    fn the_lock_is_granted_two_syncs_and_may_not_grow_with_the_mailbox() {
        check(52.0, 52.0, 0, [true, true, true, true]);
        check(52.1, 53.0, 0, [false, false, true, true]);
        check(1.0, 1.6, 0, [true, true, false, true]);
    }

    #[test]
    fn a_single_message_lost_misses_a_goal() {
        check(1.0, 1.0, 1, [true, true, true, false]);
    }
}
