//! What is done to a store in a process of its own: each prints its figures as one line of JSON.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use clap::Subcommand;
use rehome::parts::log::{RealDisk, SystemClock};
use rehome::parts::store::{MailboxName, OpenOptions, ProgressFn, RecoveryProgress, Store, Uid};
use serde_json::{Value, json};

use crate::bench::stores::{
    Counted, Homes, Place, fill, make_places, move_mailboxes, new_store, places_of, take_back, told,
};
use crate::bench::{child, disk, process};

/// A step of work on a store in a folder.
#[derive(Debug, Subcommand)]
pub(crate) enum Work {
    /// Makes a store and fills it.
    Fill {
        folder: PathBuf,
        #[arg(long)]
        mailboxes: usize,
        #[arg(long)]
        messages: u64,
        #[arg(long)]
        message_bytes: usize,
        /// Goes on delivering after the figures, until it is killed.
        #[arg(long)]
        goes_on: bool,
    },
    /// Opens and closes it.
    Open {
        folder: PathBuf,
        /// Fewer messages than these are an error.
        #[arg(long)]
        messages_min: u64,
    },
    /// Delivers messages one by one, each to one mailbox.
    Deliver {
        folder: PathBuf,
        #[arg(long)]
        messages: u64,
        #[arg(long)]
        message_bytes: usize,
        /// Goes on delivering after the figures, until it is killed.
        #[arg(long)]
        goes_on: bool,
    },
    /// Lists every message of every mailbox, page by page.
    List { folder: PathBuf },
    /// Moves all mailboxes to a new store in another folder.
    Move { folder: PathBuf, to: PathBuf },
    /// Reads every content and every row and compares.
    Check { folder: PathBuf },
}

/// Rows that are listed with one call.
const PAGE_ROWS: usize = 1000;
/// Numbers of messages that no fill has used begin here.
const NEW_NUMBERS: u64 = 1 << 40;
/// Folder of a store's log.
pub(crate) const LOG_FOLDER: &str = "log";

impl Work {
    /// This program again, asked for it.
    pub(crate) fn command(&self) -> Result<Command, String> {
        let mut command = child::command("work")?;
        match self {
            Work::Fill { folder, mailboxes, messages, message_bytes, goes_on } => {
                command.arg("fill").arg(folder);
                command.args(["--mailboxes", &mailboxes.to_string()]);
                command.args(["--messages", &messages.to_string()]);
                command.args(["--message-bytes", &message_bytes.to_string()]);
                command.args(goes_on.then_some("--goes-on"));
            }
            Work::Open { folder, messages_min } => {
                command.arg("open").arg(folder);
                command.args(["--messages-min", &messages_min.to_string()]);
            }
            Work::Deliver { folder, messages, message_bytes, goes_on } => {
                command.arg("deliver").arg(folder);
                command.args(["--messages", &messages.to_string()]);
                command.args(["--message-bytes", &message_bytes.to_string()]);
                command.args(goes_on.then_some("--goes-on"));
            }
            Work::List { folder } => _ = command.arg("list").arg(folder),
            Work::Move { folder, to } => _ = command.arg("move").arg(folder).arg(to),
            Work::Check { folder } => _ = command.arg("check").arg(folder),
        }
        Ok(command)
    }

    /// Does it in this process.
    pub(crate) fn run(&self) -> Result<(), String> {
        match self {
            Work::Fill { folder, mailboxes, messages, message_bytes, goes_on } => {
                let (store, _) = new_store(folder)?;
                let places = make_places(&store, *mailboxes)?;
                let begun = Instant::now();
                fill(&store, &places, 0..*messages, *message_bytes)?;
                told_figures(begun, *messages, json!({}));
                go_on_if(*goes_on, &store, &places, *messages, *message_bytes)?;
                store.close().map_err(told)
            }
            Work::Open { folder, messages_min } => open(folder, *messages_min),
            Work::Deliver { folder, messages, message_bytes, goes_on } => {
                let (store, _) = open_store(folder)?;
                let places = places_of(&store)?;
                let first = NEW_NUMBERS + store.statistics().map_err(told)?.messages;
                let begun = Instant::now();
                for number in first..first + messages {
                    fill(&store, &places, number..number + 1, *message_bytes)?;
                }
                told_figures(begun, *messages, json!({}));
                go_on_if(*goes_on, &store, &places, first + messages, *message_bytes)?;
                store.close().map_err(told)
            }
            Work::List { folder } => list(folder),
            Work::Move { folder, to } => move_all(folder, to),
            Work::Check { folder } => check(folder),
        }
    }
}

/// Opens the store in a folder, with the default options.
fn open_store(folder: &Path) -> Result<Counted, String> {
    let disk = Arc::new(RealDisk::new(folder));
    let store = Store::open(disk.clone(), Arc::new(SystemClock), OpenOptions::default());
    Ok((store.map_err(told)?, disk))
}

/// Prints figures: seconds, messages, memory, and others.
fn told_figures(begun: Instant, messages: u64, others: Value) {
    let mut figures = json!({
        "seconds": begun.elapsed().as_secs_f64(),
        "messages": messages,
        "peak_rss_bytes": process::peak_rss_bytes(),
    });
    for (name, value) in others.as_object().into_iter().flatten() {
        figures[name] = value.clone();
    }
    child::tell(&figures);
}

/// Delivers batches without an end, if that is wanted.
fn go_on_if(
    goes_on: bool,
    store: &Store,
    places: &[Place],
    first: u64,
    message_bytes: usize,
) -> Result<(), String> {
    if goes_on { fill(store, places, first..u64::MAX, message_bytes) } else { Ok(()) }
}

fn open(folder: &Path, messages_min: u64) -> Result<(), String> {
    let log_bytes = disk::bytes_below(&folder.join(LOG_FOLDER))?;
    let replayed_bytes = Arc::new(AtomicU64::new(0));
    let heard = Arc::clone(&replayed_bytes);
    let progress: ProgressFn = Arc::new(move |progress: RecoveryProgress| {
        heard.fetch_max(progress.done_bytes, Ordering::Relaxed);
    });
    let options = OpenOptions { progress: Some(progress), ..OpenOptions::default() };
    let begun = Instant::now();
    let store = Store::open_at(folder, options).map_err(told)?;
    let open_s = begun.elapsed().as_secs_f64();
    let peak_rss_bytes = process::peak_rss_bytes();
    let messages = store.statistics().map_err(told)?.messages;
    if messages < messages_min {
        return Err(format!("{messages} messages are there, {messages_min} were acknowledged"));
    }
    let others = json!({ "seconds": open_s, "log_bytes": log_bytes,
        "replayed_bytes": replayed_bytes.load(Ordering::Relaxed),
        "peak_rss_bytes": peak_rss_bytes });
    told_figures(begun, messages, others);
    store.close().map_err(told)
}

fn list(folder: &Path) -> Result<(), String> {
    let (store, _) = open_store(folder)?;
    let (begun, mut rows) = (Instant::now(), 0);
    for (mailbox, folder) in places_of(&store)? {
        let mut after = Uid(0);
        loop {
            let page = store.messages(mailbox, folder, after, PAGE_ROWS).map_err(told)?;
            rows += page.len() as u64;
            match page.last() {
                Some(last) => after = last.uid,
                None => break,
            }
        }
    }
    told_figures(begun, rows, json!({}));
    store.close().map_err(told)
}

/// Moves everything from a warm source, which takes it back afterwards for the next move.
fn move_all(folder: &Path, to: &Path) -> Result<(), String> {
    let (source, source_disk) = open_store(folder)?;
    let (target, target_disk) = new_store(to)?;
    let names = source.mailboxes().map_err(told)?.into_iter().map(|info| info.name);
    let names: Vec<MailboxName> = names.collect();
    let messages = source.statistics().map_err(told)?.messages;
    disk::warm(folder)?;
    let syncs = || source_disk.counters().syncs + target_disk.counters().syncs;
    let before = syncs();
    process::forget_peak();
    let begun = Instant::now();
    let moved = move_mailboxes((&source, "A"), (&target, "B"), &mut Homes::default(), &names)?;
    let others = json!({
        "seconds": moved.took.as_secs_f64(),
        "syncs": syncs() - before,
        "compare_s": moved.offered.as_secs_f64(),
        "carry_s": moved.fenced.saturating_sub(moved.offered).as_secs_f64(),
        "cutover_s": moved.took.saturating_sub(moved.fenced).as_secs_f64(),
        "peak_rss_bytes": process::peak_rss_bytes(),
    });
    let arrived = target.statistics().map_err(told)?.messages;
    if arrived != messages {
        return Err(format!("the move lost something: {arrived} of {messages} are there"));
    }
    told_figures(begun, messages, others);
    take_back(&source, &names)?;
    target.close().map_err(told)?;
    source.close().map_err(told)
}

fn check(folder: &Path) -> Result<(), String> {
    let (store, _) = open_store(folder)?;
    let begun = Instant::now();
    let report = store.check(&mut |_| {}).map_err(told)?;
    if !report.is_clean() {
        let (damaged, faults) = (report.damaged.len(), report.faults.len());
        return Err(format!("the check found {damaged} damaged messages and {faults} faults"));
    }
    told_figures(begun, report.messages, json!({}));
    store.close().map_err(told)
}
