//! What the steps come to.

use serde_json::{Value, json};

use super::contender::Contender;
use super::stage::Stage;
use super::step::{Run, Step};
use super::work::number;
use super::{ArchiveArgs, Measured};
use crate::bench::chart::{Bar, Chart, Tone};
use crate::bench::figures::{Goal, Spread, median, shown};
use crate::bench::page::{Page, Table};

const FULL_TIMES_MIN: f64 = 3.0;
const SECOND_TIMES_MIN: f64 = 10.0;
const VERIFY_TIMES_MIN: f64 = 10.0;
const SIZE_TIMES_MAX: f64 = 1.0;
const ONE_MAILBOX_TIMES_MAX: f64 = 1.25;
const MEMORY_MIB_MAX: f64 = 128.0;

impl Measured {
    fn of(&self, contender: Contender, step: Step) -> impl Iterator<Item = &Run> {
        self.runs.iter().filter(move |run| run.contender == contender && run.step == step)
    }

    fn seconds(&self, contender: Contender, step: Step) -> Vec<f64> {
        self.of(contender, step).map(|run| run.seconds).collect()
    }

    fn stored(&self, contender: Contender, step: Step) -> f64 {
        let stored: Vec<f64> =
            self.of(contender, step).map(|run| run.stored_bytes as f64).collect();
        median(&stored)
    }

    /// The largest process of a contender.
    fn peak_mib(&self, contender: Contender) -> f64 {
        let own = self.runs.iter().filter(|run| run.contender == contender);
        own.map(|run| run.peak_bytes).fold(f64::NAN, f64::max) / f64::from(1 << 20)
    }

    /// The best of restic and borg.
    fn best(&self, figure: impl Fn(Contender) -> f64) -> f64 {
        let rivals = Contender::ALL.into_iter().filter(|one| one.is_rival());
        rivals.map(figure).fold(f64::NAN, f64::min)
    }

    fn there(&self) -> Vec<Contender> {
        let there = |one: &Contender| self.of(*one, Step::Full).next().is_some();
        Contender::ALL.into_iter().filter(there).collect()
    }
}

pub(super) fn page(
    args: &ArchiveArgs,
    stage: &Stage,
    measured: &Measured,
    restores_onto: &str,
) -> Page {
    let mut method: Vec<String> = METHOD.iter().map(|line| (*line).to_owned()).collect();
    method.push(format!("Taken out of the page cache by: {}.", stage.eviction.name()));
    method.push(format!("Restores went onto {restores_onto}."));
    method.push(one_mailbox(measured));
    Page {
        name: "archive",
        title: "Backup beside restic, borg and tar",
        command: format!(
            "archive --corpus DIR --rounds {} --rest-ms {}",
            args.rounds, args.rest_ms
        ),
        intro: vec![
            format!(
                "{} messages in Maildirs, {:.0} MB; second backup after {} new ones, {:.1} MB. \
                 Each contender does everything {} times.",
                stage.messages,
                stage.message_bytes as f64 / 1e6,
                stage.new_messages,
                stage.new_bytes as f64 / 1e6,
                args.rounds
            ),
            "The peers back up the Maildirs, which is what they would be given. Ours backs up a \
             store that the same Maildirs were imported into: it reads contents that are there \
             once, in the order of the disk, and asks the store what has changed. Ours stores \
             parity besides, unless it is told not to; sizes are compared without it."
                .to_owned(),
        ],
        tables: vec![seconds(measured), sizes(measured)],
        method,
        skipped: measured.skipped.clone(),
        goals: goals(measured),
        chart: chart(measured),
        details: details(measured),
    }
}

const METHOD: [&str; 6] = [
    "Every step is a process (tar: a pipe), timed from its start to its end; contenders are \
     shuffled in each round; each step begins after a syncfs and a rest. The sources were read \
     just before, so they are in the page cache.",
    "Ours reads every volume back from the disk and compares its hashes before a backup counts, \
     and syncs files and folders; that is in its time. Nobody else reads back.",
    "restic encrypts always; borg was asked not to; ours did not. restic 0.14 compresses as it \
     does by itself.",
    "Verify: `restic check --read-data`, `borg check --verify-data`, `zstd -t`, \
     `rehome archive check`. What is stored was read just before; cold, it was taken out of the \
     page cache.",
    "A whole restore of ours makes a store, which is what a server needs; as Maildirs it makes a \
     store first and exports it. After a restore the messages were counted and removed again, \
     before the sync and the rest.",
    "Memory is the largest process of all steps (ru_maxrss).",
];

fn one_mailbox(measured: &Measured) -> String {
    let mb = |name| number(&measured.read, name) / 1e6;
    format!(
        "Reading mailbox {} ({:.1} MB of messages) out of the backup of all read {:.2} MB, index \
         and outline included; a backup of this mailbox alone is {:.2} MB. Counted once, in an \
         extra process.",
        measured.read["mailbox"].as_str().unwrap_or("?"),
        mb("raw_bytes"),
        mb("read_bytes"),
        mb("stored_alone_bytes")
    )
}

fn seconds(measured: &Measured) -> Table {
    let there = measured.there();
    let row = |step: &Step| {
        let cell = |one: &Contender| {
            let seconds = measured.seconds(*one, *step);
            let Spread { median, min, max, count } = Spread::of(&seconds);
            if count == 0 { "-".to_owned() } else { format!("{median:.2} ({min:.2}-{max:.2})") }
        };
        let mut row = vec![step.name().to_owned()];
        row.extend(there.iter().map(cell));
        row
    };
    let mut heads = vec!["seconds, median (range)"];
    heads.extend(there.iter().map(|one| one.name()));
    Table {
        title: "",
        about: String::new(),
        heads,
        words: 1,
        rows: Step::ALL.iter().map(row).collect(),
    }
}

fn sizes(measured: &Measured) -> Table {
    let row = |one: &Contender| {
        let full = measured.stored(*one, Step::Full);
        let grown = measured.stored(*one, Step::Second) - full;
        let cpu: Vec<f64> = measured.of(*one, Step::Full).map(|run| run.cpu_s).collect();
        vec![
            one.name().to_owned(),
            format!("{:.1}", full / 1e6),
            format!("{:.2}", grown / 1e6),
            format!("{:.2}", median(&cpu)),
            shown(measured.peak_mib(*one)),
        ]
    };
    Table {
        title: "Bytes, processor time, memory",
        about: String::new(),
        heads: vec!["contender", "full MB", "second MB more", "CPU s of the full", "peak MiB"],
        words: 1,
        rows: measured.there().iter().map(row).collect(),
    }
}

fn goals(measured: &Measured) -> Vec<Goal> {
    let time = |one: Contender, step| median(&measured.seconds(one, step));
    let times = |step| measured.best(|one| time(one, step)) / time(Contender::Ours, step);
    let smallest = measured.best(|one| measured.stored(one, Step::Full));
    let verify = time(Contender::Restic, Step::Verify) / time(Contender::Ours, Step::Verify);
    let size = |one| measured.stored(one, Step::Full) / smallest;
    let read = number(&measured.read, "read_bytes") / number(&measured.read, "stored_alone_bytes");
    let ours = [Contender::Ours, Contender::OursBare].map(|one| measured.peak_mib(one));
    vec![
        Goal::at_least(
            "full backup: the faster of restic and borg / rehome",
            FULL_TIMES_MIN,
            times(Step::Full),
        ),
        Goal::at_most(
            "size without parity / the smallest of restic and borg",
            SIZE_TIMES_MAX,
            size(Contender::OursBare),
        ),
        Goal::at_least(
            "second backup: the faster of restic and borg / rehome",
            SECOND_TIMES_MIN,
            times(Step::Second),
        ),
        Goal::at_most(
            "one mailbox: bytes read / bytes of a backup of it alone",
            ONE_MAILBOX_TIMES_MAX,
            read,
        ),
        Goal::at_least("verify: restic check --read-data / rehome", VERIFY_TIMES_MIN, verify),
        Goal::at_most(
            "peak memory of any step of ours, MiB",
            MEMORY_MIB_MAX,
            ours.into_iter().fold(f64::NAN, f64::max),
        ),
    ]
}

fn chart(measured: &Measured) -> Chart {
    let mut bars = Vec::new();
    for step in [Step::Full, Step::Second, Step::Verify] {
        for one in measured.there() {
            let seconds = measured.seconds(one, step);
            let tone = match (one.is_ours(), step) {
                (true, Step::Full) => Tone::Ours,
                (true, _) => Tone::OursDark,
                (false, Step::Full) => Tone::Other,
                (false, _) => Tone::OtherDark,
            };
            if !seconds.is_empty() {
                let label = format!("{}: {}", step.name(), one.name());
                bars.push(Bar { label, spread: Spread::of(&seconds), tone });
            }
        }
    }
    let heading = "Seconds, median and range; shorter is better".to_owned();
    Chart { heading, bars, longest: f64::INFINITY }
}

fn details(measured: &Measured) -> Value {
    let run = |run: &Run| {
        json!({ "round": run.round, "contender": run.contender.name(), "step": run.step.name(),
            "seconds": run.seconds, "cpu_s": run.cpu_s, "peak_bytes": run.peak_bytes,
            "stored_bytes": run.stored_bytes })
    };
    json!({ "runs": measured.runs.iter().map(run).collect::<Vec<_>>(),
        "one_mailbox": measured.read })
}
