//! What the moves and copies took, and what it comes to.

use serde_json::{Value, json};

use super::contender::{Contender, Run};
use super::stage::{Load, Stage};
use super::{Cache, MoveArgs};
use crate::bench::chart::{Bar, Chart, Tone};
use crate::bench::figures::{Goal, Spread, median};
use crate::bench::page::{Page, Table};

/// A measurement.
pub(crate) struct Measured {
    command: String,
    keeps_all: bool,
    skipped: Vec<String>,
    /// Syncs of peers, counted in extra runs.
    pub(crate) peer_syncs: Vec<(Contender, u64)>,
    pub(crate) runs: Vec<Run>,
}

impl Measured {
    pub(crate) fn new(stage: &Stage, args: &MoveArgs, keeps_all: bool) -> Measured {
        let corpus = if args.corpus.is_some() { " --corpus DIR" } else { "" };
        let command = format!("move{corpus} --rounds {} --rest-ms {}", args.rounds, args.rest_ms);
        let skipped = stage.skipped.clone();
        Measured { command, keeps_all, skipped, peer_syncs: Vec::new(), runs: Vec::new() }
    }

    /// Notes that a contender did not run.
    pub(crate) fn skip(&mut self, contender: Contender, cache: Cache) {
        let line = format!("{}, {}: cannot be run here", contender.name(), cache.name());
        if !self.skipped.contains(&line) {
            self.skipped.push(line);
        }
    }

    fn runs_of(&self, contender: Contender, cache: Cache) -> impl Iterator<Item = &Run> {
        self.runs.iter().filter(move |run| (run.contender, run.cache) == (contender, cache))
    }

    /// Seconds of the runs; none if it was not measured.
    fn seconds(&self, contender: Contender, cache: Cache) -> Vec<f64> {
        self.runs_of(contender, cache).map(|run| run.seconds).collect()
    }

    fn ratio(&self, one: Contender, other: Contender, cache: Cache) -> f64 {
        median(&self.seconds(one, cache)) / median(&self.seconds(other, cache))
    }

    /// Median of the syncs.
    fn syncs(&self, contender: Contender, cache: Cache) -> Option<f64> {
        let counted = self.runs_of(contender, cache).filter_map(|run| run.facts);
        let counted: Vec<f64> = counted.map(|facts| facts.syncs as f64).collect();
        let peer = self.peer_syncs.iter().find(|(peer, _)| *peer == contender);
        if counted.is_empty() {
            peer.map(|(_, syncs)| *syncs as f64)
        } else {
            Some(median(&counted))
        }
    }

    fn lines(stage: &Stage) -> Vec<(Contender, Cache)> {
        let line = |cache: Cache| {
            let some = stage.contenders().iter().filter(move |one| one.caches().contains(&cache));
            some.map(move |contender| (*contender, cache))
        };
        Cache::BOTH.into_iter().flat_map(line).collect()
    }

    pub(crate) fn page(&self, stage: &Stage) -> Page {
        Page {
            name: "bulk-move",
            title: "The bulk move beside copies of the same bytes",
            command: self.command.clone(),
            intro: vec![about(stage)],
            tables: vec![self.table(stage), self.phases(stage)],
            method: self.method(stage),
            skipped: self.skipped.clone(),
            goals: self.goals(),
            chart: self.chart(stage),
            details: self.details(stage),
        }
    }

    fn table(&self, stage: &Stage) -> Table {
        let row = |&(contender, cache): &(Contender, Cache)| -> Vec<String> {
            let Spread { median, min, max, .. } = Spread::of(&self.seconds(contender, cache));
            let load = stage.load_of(contender);
            let syncs = self.syncs(contender, cache);
            vec![
                contender.name().to_owned(),
                cache.name().to_owned(),
                format!("{median:.3}"),
                format!("{min:.3}-{max:.3}"),
                format!("{:.2}", self.ratio(contender, contender.floor(), cache)),
                format!("{:.0}", load.messages as f64 / median),
                format!("{:.0}", load.unique_bytes as f64 / 1e6 / median),
                syncs.map_or_else(|| "-".to_owned(), |syncs| format!("{syncs:.0}")),
            ]
        };
        let heads = vec![
            "what",
            "source",
            "median s",
            "range s",
            "x cp",
            "messages/s",
            "unique MB/s",
            "syncs",
        ];
        let rows = self.measured_lines(stage).iter().map(row).collect();
        Table { title: "", about: String::new(), heads, words: 2, rows }
    }

    fn measured_lines(&self, stage: &Stage) -> Vec<(Contender, Cache)> {
        let mut lines = Measured::lines(stage);
        lines.retain(|(contender, cache)| self.runs_of(*contender, *cache).next().is_some());
        lines
    }

    /// The phases of the moves.
    fn phases(&self, stage: &Stage) -> Table {
        let mut lines = self.measured_lines(stage);
        lines.retain(|(contender, _)| contender.is_move());
        let row = |&(contender, cache): &(Contender, Cache)| {
            let facts: Vec<_> =
                self.runs_of(contender, cache).filter_map(|run| run.facts).collect();
            let of = |seconds: fn(&super::contender::Phases) -> f64| {
                let all: Vec<f64> = facts.iter().map(|facts| seconds(&facts.phases)).collect();
                format!("{:.3}", median(&all))
            };
            vec![
                contender.name().to_owned(),
                cache.name().to_owned(),
                of(|phases| phases.compare_s),
                of(|phases| phases.carry_s),
                of(|phases| phases.cutover_s),
            ]
        };
        Table {
            title: "Phases of the move",
            about: "Median seconds; the phases' medians need not add up.".to_owned(),
            heads: vec!["what", "source", "compare", "carry", "cut over"],
            words: 2,
            rows: lines.iter().map(row).collect(),
        }
    }

    fn goals(&self) -> Vec<Goal> {
        use Contender::{
            CopyTree, Dovecot, MoveAll, MoveAllBeside, MoveGathered, MoveHalf, MoveOneByOne,
        };
        let floor = |text: &str, bound, one: Contender, cache: Cache| {
            let text = format!("{text} / cp of the same bytes, {}", cache.name());
            Goal::at_most(text, bound, self.ratio(one, one.floor(), cache))
        };
        let mut goals = vec![
            floor("all mailboxes", 0.85, MoveAll, Cache::Cold),
            floor("all mailboxes", 1.0, MoveAll, Cache::Warm),
        ];
        for cache in [Cache::Cold, Cache::Warm] {
            goals.push(floor("half of them", 1.1, MoveHalf, cache));
            goals.push(floor("half, gathered", 1.1, MoveGathered, cache));
            goals.push(floor("half, one after another", 1.6, MoveOneByOne, cache));
            let tree = self.ratio(CopyTree, MoveAll, cache);
            let text = format!("cp -a of the Maildirs / all mailboxes, {}", cache.name());
            goals.push(Goal::at_least(text, 5.0, tree));
        }
        let warm = |one, other| self.ratio(one, other, Cache::Warm);
        let text = "doveadm backup / all mailboxes, warm";
        goals.push(Goal::at_least(text, 30.0, warm(Dovecot, MoveAll)));
        let text = "beside a process that syncs / without, warm";
        goals.push(Goal::at_most(text, 1.5, warm(MoveAllBeside, MoveAll)));
        goals
    }

    /// A bar longer than four times the longest move ends in an arrow.
    fn chart(&self, stage: &Stage) -> Chart {
        let bar = |&(contender, cache): &(Contender, Cache)| Bar {
            label: format!("{}, {}", contender.name(), cache.name()),
            spread: Spread::of(&self.seconds(contender, cache)),
            tone: match (contender.is_move(), cache) {
                (true, Cache::Warm) => Tone::Ours,
                (true, Cache::Cold) => Tone::OursDark,
                (false, Cache::Warm) => Tone::Other,
                (false, Cache::Cold) => Tone::OtherDark,
            },
        };
        let moves = self.runs.iter().filter(|run| run.contender.is_move());
        Chart {
            heading: "Seconds, median and range; shorter is better".to_owned(),
            bars: self.measured_lines(stage).iter().map(bar).collect(),
            longest: moves.map(|run| run.seconds).fold(0.0, f64::max) * 4.0,
        }
    }

    fn method(&self, stage: &Stage) -> Vec<String> {
        let mut method: Vec<String> = METHOD.iter().map(|line| (*line).to_owned()).collect();
        method.push(format!(
            "Cold: {}; a source's catalog keeps its own cache of 64 MiB in \
                             both cases.",
            stage.eviction.name()
        ));
        method.push(match self.keeps_all {
            true => "Nothing is deleted before the last run has ended.".to_owned(),
            false => "The disk has no room to keep everything: results of fewer than 1,000 files \
                      are removed between rounds, followed by a syncfs and a rest; trees of many \
                      files stay until the end."
                .to_owned(),
        });
        method
    }

    fn details(&self, stage: &Stage) -> Value {
        let load = |load: &Load| {
            json!({ "mailboxes": load.mailboxes.len(), "messages": load.messages,
                "contents": load.contents, "unique_bytes": load.unique_bytes })
        };
        let row = |&(contender, cache): &(Contender, Cache)| {
            json!({ "contender": contender.name(), "source": cache.name(),
                "seconds": Spread::of(&self.seconds(contender, cache)).json(),
                "ratio_to_cp": self.ratio(contender, contender.floor(), cache),
                "syncs": self.syncs(contender, cache) })
        };
        let run = |run: &Run| {
            let facts = run.facts.map(|facts| {
                json!({ "syncs": facts.syncs, "compare_s": facts.phases.compare_s,
                    "carry_s": facts.phases.carry_s, "cutover_s": facts.phases.cutover_s })
            });
            json!({ "round": run.round, "contender": run.contender.name(),
                "source": run.cache.name(), "seconds": run.seconds, "move": facts })
        };
        json!({
            "all": load(&stage.all), "half": load(&stage.half),
            "message_bytes": stage.message_bytes, "cold": stage.eviction.name(),
            "rows": self.measured_lines(stage).iter().map(row).collect::<Vec<_>>(),
            "runs": self.runs.iter().map(run).collect::<Vec<_>>(),
        })
    }
}

fn about(stage: &Stage) -> String {
    let (all, half) = (&stage.all, &stage.half);
    format!(
        "Mail: {} mailboxes, {} messages of {:.1} MB; {} contents of {:.1} MB when each is counted \
         once, and {:.1} MB as the store packs them. Half of them: {} mailboxes, {} messages, \
         {:.1} MB of contents.",
        all.mailboxes.len(),
        all.messages,
        stage.message_bytes as f64 / 1e6,
        all.contents,
        all.unique_bytes as f64 / 1e6,
        stage.stored_bytes as f64 / 1e6,
        half.mailboxes.len(),
        half.messages,
        half.unique_bytes as f64 / 1e6,
    )
}

const METHOD: [&str; 10] = [
    "`x cp` is the median over the median of `cp` and fsync of one file with the same bytes, same \
     state of the source: the contents' own bytes, each content once.",
    "A store packs contents as they come in, and a move carries them as they are: fewer bytes than \
     `cp` copies. The line of the move with nothing packed is from a store that was told not to; \
     it carries the bytes that `cp` does.",
    "The time of a move is from the call of the library to its return; contents and rows are \
     durable then. Both stores are in this process, the directory of homes is in memory. Syncs of \
     a move are those of both stores' files and folders in that time.",
    "All and half are moved from a store that was filled by an import, one mailbox after another. \
     Gathered, and one after another (a job for each mailbox), are moved from a store with the \
     same mail delivered to all mailboxes in turn, so that each is scattered over all of it.",
    "SQLite: bodies once each and rows in tables, 4 KiB pages, write-ahead log, synchronous=FULL, \
     one transaction for each mailbox; without the checkpoint of closing. It is a process of its \
     own, as the other peers are.",
    "doveadm backup: one process for each mailbox, one after the other, default mail_fsync and \
     mdbox sizes; it does not store a shared content once, so it carries more bytes. No syncfs at \
     its end.",
    "Syncs of SQLite and doveadm are counted by strace in an extra run each; SQLite and doveadm \
     have their messages counted after each run, and a difference ends the program, as it does \
     for a move.",
    "Warm: every file of the source was read just before. All runs of a round are shuffled, each \
     after a syncfs and a rest, each into a folder of its own.",
    "dd reads and dd writes: one process reads the file of the same bytes, another writes as many \
     zeros, both directly in pieces of 4 MiB; the time is that of the later one. A disk on which \
     reads and writes share what it can do shows it here.",
    "The process that syncs writes 4 KiB and calls fdatasync, again and again, on the same disk.",
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::bulk::contender::MoveFacts;

    fn measured(runs: &[(Contender, f64)]) -> Measured {
        let run = |(contender, seconds): &(Contender, f64)| Run {
            round: 1,
            contender: *contender,
            cache: Cache::Cold,
            seconds: *seconds,
            facts: contender.is_move().then(MoveFacts::default),
        };
        Measured {
            command: String::new(),
            keeps_all: true,
            skipped: Vec::new(),
            peer_syncs: vec![(Contender::CopyTree, 1)],
            runs: runs.iter().map(run).collect(),
        }
    }

    #[track_caller]
    fn check(runs: &[(Contender, f64)], one: Contender, expected: f64) {
        let ratio = measured(runs).ratio(one, one.floor(), Cache::Cold);
        assert!((ratio - expected).abs() < 1e-9, "{ratio} in place of {expected}");
    }

    #[test]
    fn a_contender_is_compared_with_the_copy_of_its_own_bytes() {
        use Contender::{CopyAll, CopyHalf, MoveAll, MoveGathered};
        let runs = [(MoveAll, 1.0), (MoveGathered, 1.0), (CopyAll, 2.0), (CopyHalf, 4.0)];
        check(&runs, MoveAll, 0.5);
        check(&runs, MoveGathered, 0.25);
    }

    #[test]
    fn what_did_not_run_has_no_ratio() {
        let measured = measured(&[(Contender::MoveAll, 1.0)]);
        assert!(measured.ratio(Contender::Dovecot, Contender::MoveAll, Cache::Cold).is_nan());
        assert_eq!(measured.syncs(Contender::CopyTree, Cache::Cold), Some(1.0));
        assert_eq!(measured.syncs(Contender::MoveAll, Cache::Cold), Some(0.0));
    }
}
