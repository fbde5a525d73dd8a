//! What the person, or the program behind a pipe, sees while work goes on.

use std::borrow::Cow;
use std::io::{IsTerminal as _, Write as _};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use indicatif::{HumanBytes, HumanDuration, ProgressBar, ProgressDrawTarget, ProgressStyle};
use rehome::{Event, Flow};
use serde::Serialize;

/// How often a progress line is written when there is no terminal.
const QUIET: Duration = Duration::from_secs(5);

/// Shows events as a bar on a terminal, as lines elsewhere, as JSON lines with `--json`.
pub(crate) struct View {
    json: bool,
    bar: ProgressBar,
    what: String,
    told: Option<Instant>,
    stop: Arc<AtomicBool>,
}

impl View {
    pub(crate) fn new(json: bool, stop: Arc<AtomicBool>) -> Self {
        let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr());
        View { json, bar, what: String::new(), told: None, stop }
    }

    /// Takes one event, and asks to stop once the person has.
    pub(crate) fn show(&mut self, event: &Event) -> Flow {
        if self.json {
            print_json(event);
        } else {
            match event {
                Event::Step { id, title, state } => self.step(id, title, state),
                Event::Progress { what, done, total, unit } => {
                    self.progress(what, *done, *total, unit);
                }
                Event::Archived {
                    until,
                    records,
                    content_bytes,
                    lag_seconds,
                    behind_bytes,
                    ..
                } => {
                    let (came, left) = (HumanBytes(*content_bytes), HumanBytes(*behind_bytes));
                    self.line(&format!(
                        "       log archived up to {until}: {records} records, {came} of mail, \
                         {lag_seconds} s behind; {left} to come"
                    ));
                }
                Event::Note { text } => self.line(&format!("       {text}")),
            }
        }
        if self.stop.load(Ordering::SeqCst) { Flow::Stop } else { Flow::Continue }
    }

    /// Says whether the person wants it to end, for work that waits.
    pub(crate) fn stop_flag(&self) -> Arc<AtomicBool> {
        Arc::clone(&self.stop)
    }

    /// Shows what happens for people even with `--json`: standard output carries something else.
    pub(crate) fn keep_off_stdout(&mut self) {
        self.json = false;
    }

    /// Ends the bar.
    pub(crate) fn end(&mut self) {
        self.clear();
    }

    /// Ends the bar and writes a line.
    pub(crate) fn line(&mut self, text: &str) {
        self.clear();
        say(text);
    }

    fn clear(&mut self) {
        self.bar.finish_and_clear();
        self.what.clear();
        self.told = None;
    }

    fn step(&mut self, id: &str, title: &str, state: &str) {
        match state {
            "begun" if std::io::stderr().is_terminal() => {
                self.begin(&format!("{id} {title}"), 0, "");
            }
            "begun" => {}
            "done" => self.line(&format!("  {id:<4} {title}")),
            other => self.line(&format!("  {id:<4} {title} ({other})")),
        }
    }

    fn begin(&mut self, what: &str, total: u64, unit: &str) {
        self.bar.finish_and_clear();
        what.clone_into(&mut self.what);
        let length = (total > 0).then_some(total);
        let bar = ProgressBar::with_draw_target(length, ProgressDrawTarget::hidden());
        bar.set_style(style(total > 0, unit));
        bar.set_message(what.to_owned());
        bar.set_draw_target(ProgressDrawTarget::stderr());
        self.bar = bar;
        self.bar.enable_steady_tick(Duration::from_millis(200));
    }

    fn progress(&mut self, what: &str, done: u64, total: u64, unit: &str) {
        if self.what != what {
            self.begin(what, total, unit);
            self.told = Some(Instant::now());
        }
        if total > 0 {
            // More may be found to do while it is done.
            self.bar.set_length(total);
        }
        self.bar.set_position(done);
        let due = self.told.is_none_or(|told| told.elapsed() >= QUIET);
        if due && !std::io::stderr().is_terminal() {
            self.told = Some(Instant::now());
            say(&progress_line(&self.bar, what, done, total, unit));
        }
    }
}

/// One line that says how far, how fast and until when.
fn progress_line(bar: &ProgressBar, what: &str, done: u64, total: u64, unit: &str) -> String {
    let amount = |value: u64| match unit {
        "bytes" => HumanBytes(value).to_string(),
        _ => format!("{value} {unit}"),
    };
    // A rate is shown to a person, so the loss of precision does not matter.
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
    let rate = amount(bar.per_sec() as u64);
    if total == 0 {
        return format!("       {what}: {}, {rate}/s", amount(done));
    }
    let left = HumanDuration(bar.eta());
    format!("       {what}: {} of {}, {rate}/s, {left} left", amount(done), amount(total))
}

/// How far, how fast and until when; without a total, how much and how fast.
fn style(has_total: bool, unit: &str) -> ProgressStyle {
    let template = match (has_total, unit) {
        (true, "bytes") => {
            "       {msg} [{bar:30}] {bytes}/{total_bytes} {bytes_per_sec} {eta} left"
        }
        (true, _) => "       {msg} [{bar:30}] {pos}/{len} {per_sec} {eta} left",
        (false, "bytes") => "       {spinner} {msg} {bytes} {bytes_per_sec}",
        (false, "") => "       {spinner} {msg}",
        (false, _) => "       {spinner} {msg} {pos} {per_sec}",
    };
    ProgressStyle::with_template(template).expect("a template of this file")
}

/// Writes a line for people, on standard error.
pub(crate) fn say(text: &str) {
    // Nobody is there to be told that nobody is there.
    let _told = writeln!(std::io::stderr().lock(), "{}", harmless(text));
}

/// Writes text for people, on standard output.
pub(crate) fn print(text: &str) {
    let _told = writeln!(std::io::stdout().lock(), "{}", harmless(text.trim_end()));
}

/// Text without what a terminal obeys: names in it may come from anybody.
fn harmless(text: &str) -> Cow<'_, str> {
    let obeyed = |c: char| {
        (c.is_control() && c != '\n')
            || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    };
    if !text.contains(obeyed) {
        return Cow::Borrowed(text);
    }
    let shown = |c: char| match obeyed(c) {
        true => c.escape_default().to_string(),
        false => c.to_string(),
    };
    Cow::Owned(text.chars().map(shown).collect())
}

/// Writes one line of JSON on standard output.
pub(crate) fn print_json<T: Serialize>(value: &T) {
    match serde_json::to_string(value) {
        Ok(text) => drop(writeln!(std::io::stdout().lock(), "{text}")),
        Err(error) => say(&format!("the answer cannot be written as JSON: {error}")),
    }
}

/// Writes one line of JSON on standard error.
pub(crate) fn say_json<T: Serialize>(value: &T) {
    match serde_json::to_string(value) {
        Ok(text) => say(&text),
        Err(error) => say(&format!("the answer cannot be written as JSON: {error}")),
    }
}

#[cfg(test)]
mod tests {
    use super::harmless;

    #[track_caller]
    fn check(text: &str, expected: &str) {
        assert_eq!(harmless(text), expected);
    }

    #[test]
    fn nothing_that_a_terminal_obeys_is_written() {
        check("Entwürfe 日本語\n  next line", "Entwürfe 日本語\n  next line");
        check("\u{1b}[31mred\u{7}", "\\u{1b}[31mred\\u{7}");
        check("a\rb\u{9b}c", "a\\rb\\u{9b}c");
        check("gpj.\u{202e}exe", "gpj.\\u{202e}exe");
    }
}
