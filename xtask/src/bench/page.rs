//! The results for people and programs: a table, a page, JSON, a chart.

use std::fs;
use std::path::Path;

use crate::bench::Cache;
use crate::bench::chart;
use crate::bench::contender::Contender;
use crate::bench::disk;
use crate::bench::figures::{Measured, Row, Spread};

/// What follows this line in the page is not written by the program, and is kept.
const BY_HAND: &str = "<!-- What follows is written by hand and kept when the page is renewed. -->";

/// Writes `bulk-move.md`, `bulk-move.json` and `bulk-move.svg`.
pub(crate) fn write(folder: &Path, measured: &Measured) -> Result<(), String> {
    let machine = machine(&measured.file_system);
    let path = folder.join("bulk-move.md");
    let old = fs::read_to_string(&path).unwrap_or_default();
    let kept = old.split_once(BY_HAND).map_or("\n", |(_, kept)| kept);
    let page = format!("{}\n{BY_HAND}{kept}", page(measured, &machine));
    let mut json = format!("{:#}", measured.json(&machine));
    json.push('\n');
    fs::create_dir_all(folder)
        .and_then(|()| fs::write(&path, page))
        .and_then(|()| fs::write(folder.join("bulk-move.json"), json))
        .and_then(|()| fs::write(folder.join("bulk-move.svg"), chart::svg(measured)))
        .map_err(|error| format!("{}: {error}", folder.display()))
}

/// Facts of this machine that decide the figures.
fn machine(file_system: &str) -> Vec<(String, String)> {
    let cpu = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let cpu = cpu.lines().find_map(|line| line.strip_prefix("model name")).unwrap_or_default();
    let memory = fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let memory = memory.lines().find_map(|line| line.strip_prefix("MemTotal:"));
    let memory_kib: u64 =
        memory.and_then(|line| line.split_whitespace().next()?.parse().ok()).unwrap_or_default();
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    [
        ("cpu", format!("{cores} x {}", cpu.trim_start_matches([' ', '\t', ':']))),
        ("memory", format!("{} MiB", memory_kib >> 10)),
        ("kernel", kernel.trim().to_owned()),
        ("file system", file_system.to_owned()),
    ]
    .map(|(name, value)| (name.to_owned(), value))
    .to_vec()
}

fn cells(row: &Row) -> [String; 8] {
    let Spread { median, min, max, .. } = row.seconds;
    [
        row.contender.name().to_owned(),
        row.cache.name().to_owned(),
        format!("{median:.3}"),
        format!("{min:.3}-{max:.3}"),
        format!("{:.2}", row.ratio),
        format!("{:.0}", row.messages_per_s),
        format!("{:.0}", row.mb_per_s),
        row.syncs.map_or_else(|| "-".to_owned(), |syncs| format!("{syncs:.0}")),
    ]
}

const HEADS: [&str; 8] =
    ["what", "source", "median s", "range s", "x cp", "messages/s", "unique MB/s", "syncs"];

/// The table for a terminal.
pub(crate) fn table(measured: &Measured) -> String {
    let mut lines = vec![HEADS.map(str::to_owned)];
    lines.extend(measured.rows().iter().map(cells));
    let mut text = String::new();
    for line in &lines {
        let mut shown = format!("{:<27}{:<7}", line[0], line[1]);
        for cell in &line[2..] {
            shown.push_str(&format!(" {cell:>13}"));
        }
        text.push_str(&format!("{}\n", shown.trim_end()));
    }
    for line in &measured.skipped {
        text.push_str(&format!("skipped: {line}\n"));
    }
    for goal in measured.goals() {
        let sign = if goal.at_least { ">=" } else { "<=" };
        let verdict = if goal.met() { "met" } else { "MISSED" };
        let (text_of, bound, reached) = (goal.text, goal.bound, goal.reached);
        text.push_str(&format!("goal {text_of} {sign} {bound:.2}: {reached:.2} {verdict}\n"));
    }
    text.push_str(&format!("{}\n", probes(measured)));
    text
}

fn probes(measured: &Measured) -> String {
    let Spread { median, min, max, count } = Spread::of(&measured.probes_ms);
    format!(
        "fdatasync of a 4 KiB append: median {median:.2} ms, {min:.2}-{max:.2} \
         (medians of 64, before each of {count} rounds); seed {}; cold = {}; load average {} \
         before, {} after",
        measured.seed, measured.eviction, measured.load[0], measured.load[1]
    )
}

fn page(measured: &Measured, machine: &[(String, String)]) -> String {
    let facts: Vec<_> = machine.iter().map(|(name, value)| format!("{name} {value}")).collect();
    let (all, half) = (&measured.all, &measured.half);
    let mut text = format!(
        "# The bulk move beside copies of the same bytes\n\n\
         Measured on {} by `cargo xtask bench move --corpus DIR --rounds {} --seed {}`, which \
         wrote this page, [bulk-move.json](bulk-move.json) (every run) and the chart.\n\n\
         Machine: {}.\n\n\
         Mail: {} mailboxes, {} messages of {:.1} MB; {} contents of {:.1} MB when each is \
         counted once. Half of them: {} mailboxes, {} messages, {:.1} MB of contents.\n\n\
         ![median seconds](bulk-move.svg)\n\n",
        disk::ask("date", &["-u", "+%F"]),
        measured.rounds,
        measured.seed,
        facts.join("; "),
        all.mailboxes.len(),
        all.messages,
        measured.message_bytes as f64 / 1e6,
        all.contents,
        all.unique_bytes as f64 / 1e6,
        half.mailboxes.len(),
        half.messages,
        half.unique_bytes as f64 / 1e6,
    );
    text.push_str(&markdown_row(&HEADS.map(str::to_owned)));
    text.push_str("|---|---|--:|--:|--:|--:|--:|--:|\n");
    for row in measured.rows() {
        text.push_str(&markdown_row(&cells(&row)));
    }
    text.push_str(&format!("\n{}.\n\n", probes(measured)));
    text.push_str(METHOD);
    for line in &measured.skipped {
        text.push_str(&format!("- Skipped: {line}.\n"));
    }
    text.push_str("\n## Goals\n\n| goal | bound | reached | |\n|---|--:|--:|---|\n");
    for goal in measured.goals() {
        let sign = if goal.at_least { "at least" } else { "at most" };
        let verdict = if goal.met() { "met" } else { "**missed**" };
        let (name, bound, reached) = (goal.text, goal.bound, goal.reached);
        text.push_str(&format!("| {name} | {sign} {bound:.2} | {reached:.2} | {verdict} |\n"));
    }
    text.push_str(&phases(measured));
    text
}

const METHOD: &str = "\
- `x cp` is the median over the median of `cp` and fsync of one file with the same bytes, same \
state of the source.
- The time of a move is from the call of the library to its return; contents and rows are \
durable then. Both stores are in this process, the directory of homes is in memory. Syncs are \
those of both stores' files and folders in that time.
- Warm: every file of the source was read just before. Cold: see above; the source's catalog \
keeps its own cache of 64 MiB in both cases.
- All runs of a round are shuffled, each after a syncfs and a rest, each into a folder of its \
own; nothing is deleted before the last one has ended.
- After each move the mailboxes are counted at the target; a difference ends the program.
";

/// The phases of the moves, as a table.
fn phases(measured: &Measured) -> String {
    let mut text = "\n## Phases of the move\n\nMedian seconds; the phases' medians need not add \
                    up.\n\n| what | source | compare | carry | cut over |\n|---|---|--:|--:|--:|\n"
        .to_owned();
    for contender in [Contender::MoveAll, Contender::MoveHalf] {
        for cache in Cache::BOTH {
            let [compare, carry, cutover] = measured.phases(contender, cache);
            let (name, cache) = (contender.name(), cache.name());
            text.push_str(&format!(
                "| {name} | {cache} | {compare:.3} | {carry:.3} | {cutover:.3} |\n"
            ));
        }
    }
    text
}

fn markdown_row(cells: &[String]) -> String {
    format!("| {} |\n", cells.join(" | "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::contender::Run;
    use crate::bench::stage::Load;

    fn measured(seconds: &[(Contender, f64)]) -> Measured {
        let run = |(contender, seconds): &(Contender, f64)| Run {
            round: 1,
            contender: *contender,
            cache: Cache::Cold,
            seconds: *seconds,
            facts: None,
        };
        let load = Load { messages: 10, contents: 5, unique_bytes: 2_000_000, ..Load::default() };
        Measured {
            seed: 1,
            rounds: 1,
            all: load.clone(),
            half: load,
            message_bytes: 4_000_000,
            eviction: "none",
            contenders: Contender::ALWAYS.to_vec(),
            skipped: Vec::new(),
            file_system: "ext4".to_owned(),
            probes_ms: vec![1.0],
            runs: seconds.iter().map(run).collect(),
            load: ["0".to_owned(), "0".to_owned()],
        }
    }

    #[track_caller]
    fn check(seconds: &[(Contender, f64)], expected: &str) {
        let text = table(&measured(seconds));
        let found = text
            .lines()
            .any(|line| line.split_whitespace().collect::<Vec<_>>().join(" ") == expected);
        assert!(found, "{expected:?} is not in\n{text}");
    }

    #[test]
    fn a_row_has_its_ratio_to_the_copy_and_its_rates() {
        let seconds = [(Contender::MoveAll, 1.0), (Contender::CopyAll, 2.0)];
        check(&seconds, "bulk move, all mailboxes cold 1.000 1.000-1.000 0.50 10 2 -");
    }

    #[test]
    fn a_missed_goal_is_called_missed() {
        let seconds = [(Contender::MoveAll, 2.0), (Contender::CopyAll, 2.0)];
        check(&seconds, "goal all mailboxes / cp, cold <= 0.85: 1.00 MISSED");
    }

    #[test]
    fn what_was_written_by_hand_stays() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("bulk-move.md");
        let measured = measured(&[(Contender::MoveAll, 1.0), (Contender::CopyAll, 2.0)]);
        write(folder.path(), &measured).unwrap();
        let page = fs::read_to_string(&path).unwrap();
        fs::write(&path, format!("{page}\nby hand\n")).unwrap();
        write(folder.path(), &measured).unwrap();
        let renewed = fs::read_to_string(&path).unwrap();
        assert!(renewed.ends_with("\nby hand\n"));
        assert_eq!(renewed.matches(BY_HAND).count(), 1);
    }
}
