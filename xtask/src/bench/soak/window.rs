//! Fills a store window by window, and tells what each window came to.

use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use clap::Args;
use rehome::parts::log::{RealDisk, SystemClock};
use rehome::parts::store::{OpenOptions, Profile, Store};
use serde_json::{Value, json};

use super::by_file::{ByFile, Span};
use super::ranks;
use crate::bench::stores::{Place, fill, make_places, message, told};
use crate::bench::{child, process};
use crate::commands::say;

/// Messages in a batch.
const BATCH: u64 = 100;
/// Mailboxes that they go to in turn.
const MAILBOXES: usize = 200;
/// Time between two messages that are delivered alone.
const LONE_EVERY: Duration = Duration::from_millis(20);
/// Numbers of the messages that are delivered alone begin here.
const LONE_NUMBERS: u64 = 1 << 50;

/// Fills a store and watches it; goes on until it is killed.
#[derive(Debug, Args)]
pub(crate) struct SoakWork {
    pub(super) folder: PathBuf,
    #[arg(long)]
    pub(super) rows: u64,
    #[arg(long)]
    pub(super) message_bytes: usize,
    #[arg(long)]
    pub(super) real_rows: u64,
    #[arg(long)]
    pub(super) real_message_bytes: usize,
    #[arg(long)]
    pub(super) writers: usize,
    #[arg(long)]
    pub(super) windows: u64,
    #[arg(long)]
    pub(super) minutes_max: u64,
}

/// What a window puts into the store.
struct Window {
    /// Numbers of its messages.
    from: u64,
    to: u64,
    message_bytes: usize,
    writers: usize,
}

/// Calls in a window: when each began and ended.
#[derive(Default)]
struct Calls {
    batches: Vec<Span>,
    lone: Vec<Span>,
}

/// A store being filled.
struct Soak {
    store: Store,
    disk: Arc<ByFile>,
    places: Vec<Place>,
    catalog: PathBuf,
    lone_number: AtomicU64,
}

impl SoakWork {
    /// This program again, asked for it.
    pub(super) fn command(&self) -> Result<Command, String> {
        let mut command = child::command("soak")?;
        command.arg(&self.folder);
        let SoakWork { rows, message_bytes, real_rows, real_message_bytes, .. } = self;
        command.args(["--rows", &rows.to_string()]);
        command.args(["--message-bytes", &message_bytes.to_string()]);
        command.args(["--real-rows", &real_rows.to_string()]);
        command.args(["--real-message-bytes", &real_message_bytes.to_string()]);
        command.args(["--writers", &self.writers.to_string()]);
        command.args(["--windows", &self.windows.to_string()]);
        command.args(["--minutes-max", &self.minutes_max.to_string()]);
        Ok(command)
    }

    pub(crate) fn run(&self) -> Result<(), String> {
        let disk = ByFile::new(RealDisk::new(&self.folder));
        let options = OpenOptions::profile(Profile::Server);
        let store = Store::create(disk.clone(), Arc::new(SystemClock), options).map_err(told)?;
        let places = make_places(&store, MAILBOXES)?;
        let catalog = self.folder.join("mail.redb");
        let lone_number = AtomicU64::new(LONE_NUMBERS);
        let soak = Soak { store, disk, places, catalog, lone_number };
        let begun = Instant::now();
        let mut windows = Vec::new();
        let time = Duration::from_secs(60 * self.minutes_max);
        for number in 0..self.windows {
            if begun.elapsed() > time {
                break;
            }
            let edge = |number: u64| self.rows * number / self.windows;
            let (from, to) = (edge(number), edge(number + 1));
            let (message_bytes, writers) = (self.message_bytes, self.writers);
            windows.push(soak.window(&Window { from, to, message_bytes, writers })?);
        }
        let seconds = begun.elapsed().as_secs_f64();
        let real = match self.real_rows {
            0 => Value::Null,
            rows => soak.window(&Window {
                from: self.rows,
                to: self.rows + rows,
                message_bytes: self.real_message_bytes,
                writers: self.writers,
            })?,
        };
        child::tell(&json!({ "seconds": seconds, "windows": windows, "real": real,
            "peak_rss_bytes": process::peak_rss_bytes() }));
        let next = self.rows + self.real_rows;
        fill(&soak.store, &soak.places, next..u64::MAX, self.message_bytes)
    }
}

impl Soak {
    /// Does what a window asks for, and returns what it came to.
    fn window(&self, window: &Window) -> Result<Value, String> {
        let before = self.disk.written();
        let begun = Instant::now();
        let calls = self.write(window)?;
        let ended = Instant::now();
        let (checkpoints, bases) = self.disk.take_spans();
        let statistics = self.store.statistics().map_err(told)?;
        let catalog_bytes = std::fs::metadata(&self.catalog).map_err(told)?.len();
        let written = self.disk.written().since(&before);
        let rows = window.to - window.from + calls.lone.len() as u64;
        let seconds = (ended - begun).as_secs_f64();
        say(&format!(
            "  {:>9} messages, {:6.0}/s, catalog {:5.0} bytes a row written, {} checkpoints, {} \
             MiB resident",
            statistics.messages,
            rows as f64 / seconds,
            written.catalog as f64 / rows as f64,
            checkpoints.len(),
            process::rss_bytes().unwrap_or_default() >> 20
        ));
        let in_window = |base: &Span| base.1.saturating_duration_since(base.0.max(begun));
        let base_s: f64 = bases.iter().map(|base| in_window(base).as_secs_f64()).sum();
        Ok(json!({
            "rows": rows,
            "ingested_bytes": rows * window.message_bytes as u64,
            "seconds": seconds,
            "written": written.json(),
            "checkpoint_ms": ranks(&checkpoints.iter().map(milliseconds).collect::<Vec<_>>()),
            "base_s": base_s,
            "batch_ms": held_up(&calls.batches, &checkpoints, &bases),
            "lone_ms": held_up(&calls.lone, &checkpoints, &bases),
            "messages": statistics.messages,
            "log_bytes": statistics.log_bytes,
            "catalog_bytes": catalog_bytes,
            "rss_bytes": process::rss_bytes(),
        }))
    }

    /// Writes a window's messages; a further caller delivers one alone now and then.
    fn write(&self, window: &Window) -> Result<Calls, String> {
        let (next, over) = (AtomicU64::new(window.from), AtomicBool::new(false));
        std::thread::scope(|scope| {
            let lone = scope.spawn(|| self.deliver_alone(window.message_bytes, &over));
            let write = || self.write_batches(window, &next);
            let writers: Vec<_> = (0..window.writers.max(1)).map(|_| scope.spawn(write)).collect();
            let written = writers.into_iter().map(|one| one.join().expect("errors are returned"));
            let written: Result<Vec<_>, String> = written.collect();
            over.store(true, Ordering::Relaxed);
            let lone = lone.join().expect("errors are returned")?;
            Ok(Calls { batches: written?.concat(), lone })
        })
    }

    fn write_batches(&self, window: &Window, next: &AtomicU64) -> Result<Vec<Span>, String> {
        let mut calls = Vec::new();
        loop {
            let from = next.fetch_add(BATCH, Ordering::Relaxed);
            if from >= window.to {
                return Ok(calls);
            }
            let numbers = from..window.to.min(from + BATCH);
            let append = |number: u64| {
                let (mailbox, folder) = self.place(number);
                (mailbox, folder, message(number, window.message_bytes))
            };
            let batch: Vec<_> = numbers.map(append).collect();
            let called = Instant::now();
            self.store.append_batch(batch).map_err(told)?;
            calls.push((called, Instant::now()));
        }
    }

    fn deliver_alone(&self, message_bytes: usize, over: &AtomicBool) -> Result<Vec<Span>, String> {
        let mut calls = Vec::new();
        while !over.load(Ordering::Relaxed) {
            std::thread::sleep(LONE_EVERY);
            let number = self.lone_number.fetch_add(1, Ordering::Relaxed);
            let append = message(number, message_bytes);
            let called = Instant::now();
            self.store.deliver(&[self.place(number)], append).map_err(told)?;
            calls.push((called, Instant::now()));
        }
        Ok(calls)
    }

    fn place(&self, number: u64) -> Place {
        self.places[usize::try_from(number % self.places.len() as u64).expect("an index")]
    }
}

fn milliseconds(span: &Span) -> f64 {
    (span.1 - span.0).as_secs_f64() * 1000.0
}

/// Times of calls beside a checkpoint, beside a base being written and no checkpoint, and beside
/// neither.
fn held_up(calls: &[Span], checkpoints: &[Span], bases: &[Span]) -> Value {
    let overlaps =
        |call: &Span, others: &[Span]| others.iter().any(|it| call.0 < it.1 && it.0 < call.1);
    let (mut checkpoint, mut base, mut alone) = (Vec::new(), Vec::new(), Vec::new());
    for call in calls {
        let class = if overlaps(call, checkpoints) {
            &mut checkpoint
        } else if overlaps(call, bases) {
            &mut base
        } else {
            &mut alone
        };
        class.push(milliseconds(call));
    }
    json!({ "checkpoint": ranks(&checkpoint), "base": ranks(&base), "alone": ranks(&alone) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(call: (u64, u64), class: &str) {
        let zero = Instant::now();
        let span = |(from, to): (u64, u64)| {
            (zero + Duration::from_millis(from), zero + Duration::from_millis(to))
        };
        let told = held_up(&[span(call)], &[span((10, 20))], &[span((15, 40))]);
        let counts = ["checkpoint", "base", "alone"].map(|name| told[name]["count"] == 1);
        let expected = ["checkpoint", "base", "alone"].map(|name| name == class);
        assert_eq!(counts, expected, "{told}");
    }

    #[test]
    fn a_call_belongs_to_the_checkpoint_that_it_overlaps_before_anything_else() {
        check((5, 11), "checkpoint");
        check((19, 50), "checkpoint");
        check((20, 25), "base");
        check((5, 10), "alone");
        check((40, 45), "alone");
    }
}
