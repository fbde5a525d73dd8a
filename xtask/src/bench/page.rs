//! The results for people and programs: a page, JSON, a chart, and text for a terminal.

use std::fs;
use std::io::Write as _;
use std::path::Path;

use serde_json::{Value, json};

use crate::bench::chart::Chart;
use crate::bench::figures::{Goal, Spread, shown};
use crate::bench::setting::Setting;

/// What follows this line in the page is not written by the program, and is kept.
const BY_HAND: &str = "<!-- What follows is written by hand and kept when the page is renewed. -->";

/// A table.
pub(crate) struct Table {
    pub(crate) title: &'static str,
    /// What is said before it; may be empty.
    pub(crate) about: String,
    pub(crate) heads: Vec<&'static str>,
    /// So many columns from the left are words, the others figures.
    pub(crate) words: usize,
    pub(crate) rows: Vec<Vec<String>>,
}

/// What a measurement has to say.
pub(crate) struct Page {
    /// Stem of the files' names.
    pub(crate) name: &'static str,
    pub(crate) title: &'static str,
    /// How to run it again, behind `cargo xtask bench`.
    pub(crate) command: String,
    /// What was measured.
    pub(crate) intro: Vec<String>,
    pub(crate) tables: Vec<Table>,
    /// How it was measured, and what to beware of.
    pub(crate) method: Vec<String>,
    pub(crate) skipped: Vec<String>,
    pub(crate) goals: Vec<Goal>,
    pub(crate) chart: Chart,
    /// Every single figure.
    pub(crate) details: Value,
}

impl Page {
    /// Writes the page, its JSON and its chart, and shows the text.
    pub(crate) fn publish(&self, setting: &Setting) -> Result<(), String> {
        self.write(&setting.out(), setting)?;
        let mut stdout = std::io::stdout().lock();
        stdout.write_all(self.text(setting).as_bytes()).map_err(|error| error.to_string())
    }

    fn write(&self, folder: &Path, setting: &Setting) -> Result<(), String> {
        let file = |ending: &str| folder.join(format!("{}.{ending}", self.name));
        let old = fs::read_to_string(file("md")).unwrap_or_default();
        let kept = old.split_once(BY_HAND).map_or("\n", |(_, kept)| kept);
        let page = format!("{}\n{BY_HAND}{kept}", self.markdown(setting));
        fs::create_dir_all(folder)
            .and_then(|()| fs::write(file("md"), page))
            .and_then(|()| fs::write(file("json"), format!("{:#}\n", self.json(setting))))
            .and_then(|()| fs::write(file("svg"), self.chart.svg()))
            .map_err(|error| format!("{}: {error}", folder.display()))
    }

    fn json(&self, setting: &Setting) -> Value {
        let machine = setting.machine.iter().cloned();
        let mut json = json!({
            "date": setting.date,
            "machine": machine.collect::<std::collections::BTreeMap<_, _>>(),
            "command": self.again(setting),
            "seed": setting.seed,
            "load_average": setting.load(),
            "fdatasync_ms": setting.probes_ms,
            "skipped": self.skipped,
            "goals": self.goals.iter().map(Goal::json).collect::<Vec<_>>(),
        });
        json["details"] = self.details.clone();
        json
    }

    fn again(&self, setting: &Setting) -> String {
        format!("cargo xtask bench {} --seed {}", self.command, setting.seed)
    }

    fn markdown(&self, setting: &Setting) -> String {
        let facts: Vec<_> =
            setting.machine.iter().map(|(name, value)| format!("{name} {value}")).collect();
        let mut text = format!(
            "# {}\n\nMeasured on {} by `{}`, which wrote this page, [{name}.json]({name}.json) \
             (every figure) and the chart.\n\nMachine: {}.\n\n",
            self.title,
            setting.date,
            self.again(setting),
            facts.join("; "),
            name = self.name,
        );
        for paragraph in &self.intro {
            text.push_str(&format!("{paragraph}\n\n"));
        }
        text.push_str(&format!("![{}]({}.svg)\n", self.chart.heading, self.name));
        for table in &self.tables {
            text.push_str(&markdown_table(table));
        }
        text.push_str(&format!("\n{}.\n\n", conditions(setting)));
        for line in &self.method {
            text.push_str(&format!("- {line}\n"));
        }
        for line in &self.skipped {
            text.push_str(&format!("- Skipped: {line}.\n"));
        }
        text.push_str("\n## Goals\n\n| goal | bound | reached | |\n|---|--:|--:|---|\n");
        for goal in &self.goals {
            let sign = if goal.at_least { "at least" } else { "at most" };
            let (bound, reached) = (shown(goal.bound), shown(goal.reached));
            let verdict = match goal.verdict() {
                "met" => "met".to_owned(),
                verdict => format!("**{verdict}**"),
            };
            text.push_str(&format!("| {} | {sign} {bound} | {reached} | {verdict} |\n", goal.text));
        }
        text
    }

    /// The text for a terminal.
    fn text(&self, setting: &Setting) -> String {
        let mut text = String::new();
        for table in &self.tables {
            text.push_str(&text_table(table));
        }
        for line in &self.skipped {
            text.push_str(&format!("skipped: {line}\n"));
        }
        for goal in &self.goals {
            let sign = if goal.at_least { ">=" } else { "<=" };
            let (bound, reached, verdict) =
                (shown(goal.bound), shown(goal.reached), goal.verdict());
            let verdict = if verdict == "missed" { "MISSED" } else { verdict };
            text.push_str(&format!("goal {} {sign} {bound}: {reached} {verdict}\n", goal.text));
        }
        text.push_str(&format!("{}\n", conditions(setting)));
        text
    }
}

/// The state of the machine while it was measured.
fn conditions(setting: &Setting) -> String {
    let Spread { median, min, max, count } = Spread::of(&setting.probes_ms);
    let [before, after] = setting.load();
    format!(
        "fdatasync of a 4 KiB append: median {median:.2} ms, {min:.2}-{max:.2} (medians of 64, \
         measured {count} times between the runs); seed {}; load average {before} before, {after} \
         after",
        setting.seed
    )
}

fn markdown_table(table: &Table) -> String {
    let line = |cells: &[String]| format!("| {} |\n", cells.join(" | "));
    let mut text = String::from("\n");
    if !table.title.is_empty() {
        text.push_str(&format!("## {}\n\n", table.title));
    }
    if !table.about.is_empty() {
        text.push_str(&format!("{}\n\n", table.about));
    }
    text.push_str(&line(&table.heads.iter().map(|head| (*head).to_owned()).collect::<Vec<_>>()));
    let rule = |column| if column < table.words { "---" } else { "--:" };
    let rules: Vec<_> = (0..table.heads.len()).map(rule).collect();
    text.push_str(&format!("|{}|\n", rules.join("|")));
    for row in &table.rows {
        text.push_str(&line(row));
    }
    text
}

fn text_table(table: &Table) -> String {
    let heads: Vec<String> = table.heads.iter().map(|head| (*head).to_owned()).collect();
    let lines: Vec<&Vec<String>> = std::iter::once(&heads).chain(&table.rows).collect();
    let width = |column: usize| {
        lines.iter().map(|line| line[column].chars().count()).max().unwrap_or_default()
    };
    let widths: Vec<usize> = (0..heads.len()).map(width).collect();
    let mut text = String::from("\n");
    if !table.title.is_empty() {
        text.push_str(&format!("{}\n", table.title));
    }
    for line in lines {
        let mut shown = String::new();
        for (column, (cell, width)) in line.iter().zip(&widths).enumerate() {
            match column < table.words {
                true => shown.push_str(&format!("{cell:<width$}  ")),
                false => shown.push_str(&format!("{cell:>width$}  ")),
            }
        }
        text.push_str(&format!("{}\n", shown.trim_end()));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::chart::{Bar, Tone};

    fn page() -> Page {
        Page {
            name: "sample",
            title: "A page",
            command: "sample --rounds 1".to_owned(),
            intro: vec!["About.".to_owned()],
            tables: vec![Table {
                title: "",
                about: String::new(),
                heads: vec!["what", "s"],
                words: 1,
                rows: vec![vec!["move".to_owned(), "1.00".to_owned()]],
            }],
            method: Vec::new(),
            skipped: vec!["a peer".to_owned()],
            goals: vec![Goal::at_most("move / cp", 0.85, 1.0)],
            chart: Chart {
                heading: "Seconds".to_owned(),
                bars: vec![Bar::of("move", 1.0, Tone::Ours)],
                longest: f64::INFINITY,
            },
            details: json!({ "runs": [1.0] }),
        }
    }

    #[track_caller]
    fn check(text: &str, expected: &str) {
        assert!(text.lines().any(|line| line == expected), "{expected:?} is not in\n{text}");
    }

    #[test]
    fn a_missed_goal_is_called_missed() {
        let setting = Setting::sample(1);
        check(&page().text(&setting), "goal move / cp <= 0.85: 1.00 MISSED");
        check(&page().markdown(&setting), "| move / cp | at most 0.85 | 1.00 | **missed** |");
    }

    #[test]
    fn a_page_says_what_was_skipped() {
        check(&page().text(&Setting::sample(1)), "skipped: a peer");
        check(&page().markdown(&Setting::sample(1)), "- Skipped: a peer.");
    }

    #[test]
    fn what_was_written_by_hand_stays() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("sample.md");
        page().write(folder.path(), &Setting::sample(1)).unwrap();
        let written = fs::read_to_string(&path).unwrap();
        fs::write(&path, format!("{written}\nby hand\n")).unwrap();
        page().write(folder.path(), &Setting::sample(2)).unwrap();
        let renewed = fs::read_to_string(&path).unwrap();
        assert!(renewed.ends_with("\nby hand\n"));
        assert_eq!(renewed.matches(BY_HAND).count(), 1);
        assert!(renewed.contains("--seed 2`"));
    }
}
