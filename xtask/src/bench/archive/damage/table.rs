//! The page about damage.

use serde_json::{Value, json};

use super::{Case, Tally};
use crate::bench::archive::contender::Contender;
use crate::bench::archive::damage::harm::Harm;
use crate::bench::archive::stage::Stage;
use crate::bench::chart::{Bar, Chart, Tone};
use crate::bench::figures::Goal;
use crate::bench::page::{Page, Table};

const CUT_SHARE_MIN: f64 = 88.0;

pub(super) fn page(stage: &Stage, command: String, skipped: Vec<String>, cases: &[Case]) -> Page {
    let bar = |case: &Case| {
        let tone = if case.contender.is_ours() { Tone::Ours } else { Tone::Other };
        let label = format!("{}: {}", case.harm.name(), case.contender.name());
        Bar::of(label, case.repaired.right as f64, tone)
    };
    let mut bars: Vec<(&Case, Bar)> = cases.iter().map(|case| (case, bar(case))).collect();
    bars.sort_by_key(|(case, _)| Harm::ALL.iter().position(|harm| *harm == case.harm));
    Page {
        name: "archive-damage",
        title: "What is left of a damaged backup",
        command,
        intro: vec![format!(
            "{} messages in Maildirs, {:.0} MB, one full backup each; the same damage to a copy of \
             each. See [archive.md](archive.md) for what a backup costs.",
            stage.messages,
            stage.message_bytes as f64 / 1e6
        )],
        tables: vec![table(cases)],
        method: METHOD.iter().map(|line| (*line).to_owned()).collect(),
        skipped,
        goals: goals(stage, cases),
        chart: Chart {
            heading: "Messages that come back right, after repair".to_owned(),
            bars: bars.into_iter().map(|(_, bar)| bar).collect(),
            longest: f64::INFINITY,
        },
        details: json!({ "cases": cases.iter().map(detail).collect::<Vec<_>>() }),
    }
}

const METHOD: [&str; 6] = [
    "Flipped: a bit in the middle of the largest file of data. Cut: the last tenth of all bytes of \
     the repository, in the order in which its files were written. Deleted: the middle one of the \
     files of data (ours: volume, restic: pack, borg: segment), in that order; what names the \
     backup (MANIFEST, the snapshot, the last segment).",
    "The check is `rehome archive check`, `restic check --read-data`, `borg check --verify-data`, \
     `zstd -t`: an error is an exit code that says so; with a manifest deleted ours says it by \
     listing the backup as incomplete.",
    "A message is right if its bytes are a message of that mailbox, each as often as it was there; \
     wrong is every other file that was written; the rest is missing.",
    "As it is: the tool's restore. Repaired: after `restic rebuild-index`, after `borg check \
     --repair`; ours by `rehome archive salvage`, which needs no repair; tar has none.",
    "Nobody was waited for longer than two minutes for each of these.",
    "Named: our check lists at least as many messages by mailbox and UID as do not come back.",
];

fn of(tally: Tally) -> String {
    format!("{} / {} / {}", tally.right, tally.wrong, tally.missing)
}

fn said(reported: Option<bool>) -> &'static str {
    match reported {
        Some(true) => "error",
        Some(false) => "**no error**",
        None => "does not end",
    }
}

fn table(cases: &[Case]) -> Table {
    let row = |case: &Case| {
        vec![
            case.contender.name().to_owned(),
            case.harm.name().to_owned(),
            said(case.reported).to_owned(),
            of(case.as_it_is),
            of(case.repaired),
            case.what.clone(),
        ]
    };
    Table {
        title: "",
        about: "Messages right / wrong / missing.".to_owned(),
        heads: vec!["contender", "damage", "its check says", "as it is", "repaired", "what"],
        words: 3,
        rows: cases.iter().map(row).collect(),
    }
}

fn goals(stage: &Stage, cases: &[Case]) -> Vec<Goal> {
    let ours = || cases.iter().filter(|case| case.contender.is_ours());
    let of = |contender: Contender, harm: Harm| {
        cases.iter().find(|case| case.contender == contender && case.harm == harm)
    };
    let count = |wanted: &dyn Fn(&Case) -> bool| ours().filter(|case| wanted(case)).count() as f64;
    let share = |case: Option<&Case>| {
        case.map_or(f64::NAN, |case| 100.0 * case.repaired.right as f64 / stage.messages as f64)
    };
    let cut = [Contender::Ours, Contender::OursBare].map(|one| share(of(one, Harm::Cut)));
    let flipped = of(Contender::Ours, Harm::Flip).map(|case| case.as_it_is.missing as f64);
    vec![
        Goal::at_most(
            "damage of ours that its check does not report",
            0.0,
            count(&|case| case.reported != Some(true)),
        ),
        Goal::at_most(
            "damage of ours whose lost messages are not named",
            0.0,
            count(&|case| case.named != Some(true)),
        ),
        Goal::at_most(
            "wrong messages that ours ever restores",
            0.0,
            ours().map(|case| (case.as_it_is.wrong + case.repaired.wrong) as f64).sum(),
        ),
        Goal::at_least(
            "last 10 % cut: per cent of all messages back, with or without parity",
            CUT_SHARE_MIN,
            cut.into_iter().fold(f64::NAN, f64::min),
        ),
        Goal::at_most(
            "one bit flipped, with parity: messages missing",
            0.0,
            flipped.unwrap_or(f64::NAN),
        ),
    ]
}

fn detail(case: &Case) -> Value {
    let tally = |tally: Tally| {
        let Tally { right, wrong, missing } = tally;
        json!({ "right": right, "wrong": wrong, "missing": missing })
    };
    json!({ "contender": case.contender.name(), "damage": case.harm.name(), "what": case.what,
        "check_reports": case.reported, "names_the_lost": case.named,
        "as_it_is": tally(case.as_it_is), "repaired": tally(case.repaired) })
}
