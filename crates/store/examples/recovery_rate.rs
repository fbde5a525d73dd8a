//! Measures recovery: `cargo run --release -p rehome-store --example recovery_rate -- [FOLDER]
//! [MEGABYTES]`. The folder is made and must not hold a store.
//!
//! A second process writes a log of so many megabytes without a checkpoint and is killed; this one
//! opens the store, which replays all of it.
#![expect(clippy::print_stdout, reason = "it prints what it measured")]

use std::error::Error;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use rehome_log::SplitMix64;
use rehome_store::{
    Append, FolderName, MailboxName, MailboxState, NewFolder, OpenOptions, Store, StoreError,
};

const MAILBOXES: usize = 1_000;
const GROUP: usize = 1_000;

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let folder = arguments.next().map_or_else(|| PathBuf::from("recovery-store"), PathBuf::from);
    let megabytes: u64 = arguments.next().map_or(Ok(200), |text| text.parse())?;
    if arguments.next().as_deref() == Some("build") {
        let _store = build(&folder, megabytes << 20)?;
        // Before anything is closed.
        std::process::abort();
    }
    let built = Command::new(std::env::current_exe()?)
        .args([folder.as_os_str(), megabytes.to_string().as_ref(), "build".as_ref()])
        .status()?;
    println!("builder ended: {built}");
    let start = Instant::now();
    let log_bytes = read_log(&folder.join("log"))?;
    let seconds = start.elapsed().as_secs_f64();
    println!("plain read of the log: {:.0} MB/s", log_bytes as f64 / 1e6 / seconds);
    let start = Instant::now();
    let store = Store::open_at(&folder, OpenOptions::default())?;
    let seconds = start.elapsed().as_secs_f64();
    let statistics = store.statistics()?;
    println!(
        "recovery: {:.0} MB of log in {seconds:.2} s, {:.0} MB/s, {} messages, {:.0}/s",
        log_bytes as f64 / 1e6,
        log_bytes as f64 / 1e6 / seconds,
        statistics.messages,
        statistics.messages as f64 / seconds
    );
    Ok(store.close()?)
}

fn build(folder: &Path, log_bytes: u64) -> Result<Store, StoreError> {
    let never = OpenOptions {
        checkpoint_rows: u64::MAX,
        checkpoint_bytes: u64::MAX,
        ..OpenOptions::default()
    };
    let store = Store::create_at(folder, never)?;
    let mut places = Vec::new();
    for number in 0..MAILBOXES {
        let name = MailboxName::try_from(format!("user{number:04}").as_str()).expect("a good name");
        let mailbox = store.create_mailbox(&name, MailboxState::Active)?;
        let inbox = store.create_folder(mailbox, &FolderName::inbox(), NewFolder::default())?;
        places.push((mailbox, inbox.id));
    }
    let mut random = SplitMix64::new(1);
    // The generations prepared ahead are not log yet.
    while store.statistics()?.log_bytes < log_bytes + (48 << 20) {
        for _ in 0..40 {
            let batch = (0..GROUP).map(|_| {
                let (mailbox, folder) = places[random.below(MAILBOXES as u64) as usize];
                let body = format!("Subject: {:x}\r\n\r\n", random.next_u64()).into_bytes();
                (mailbox, folder, Append { body, ..Append::default() })
            });
            store.append_batch(batch.collect())?;
        }
    }
    Ok(store)
}

/// Reads the log's files and counts the bytes up to the last that is not zero.
fn read_log(folder: &Path) -> std::io::Result<u64> {
    let mut bytes = 0;
    for entry in std::fs::read_dir(folder)? {
        let content = std::fs::read(entry?.path())?;
        bytes += content.iter().rposition(|byte| *byte != 0).map_or(0, |last| last as u64 + 1);
    }
    Ok(bytes)
}
