//! Measures the latency of deliveries beside bare syncs: `cargo run --release -p rehome-store
//! --example latency -- [FOLDER] [SECONDS]`. The folder is made and must not hold a store.
//!
//! A lone writer is compared with two `fdatasync`s issued at once, which is the least a delivery
//! can cost; many writers with the rate of one `fdatasync` after the other.
#![expect(clippy::print_stdout, reason = "it prints what it measured")]

use std::error::Error;
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rehome_store::{
    Append, FolderId, FolderName, MailboxId, MailboxName, MailboxState, NewFolder, OpenOptions,
    Store, StoreError,
};

const BODY_BYTES: usize = 4_000;
const WRITERS: usize = 32;

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let folder = arguments.next().map_or_else(|| PathBuf::from("latency-store"), PathBuf::from);
    let seconds: u64 = arguments.next().map_or(Ok(4), |text| text.parse())?;
    let span = Duration::from_secs(seconds);
    std::fs::create_dir_all(&folder)?;
    let store = Store::create_at(&folder.join("store"), OpenOptions::default())?;
    let places = places(&store)?;
    for round in 1..=3 {
        println!("round {round}");
        let (one, two) = (bare(&folder, 1, span)?, bare(&folder, 2, span)?);
        let lone = deliver(&store, &places[..1], 1, span)?;
        println!("  one fdatasync: {}", line(&one));
        println!("  two at once:   {}", line(&two));
        println!("  lone writer:   {}; p50 {:.2} x two at once", line(&lone), lone.p50 / two.p50);
        let same = deliver(&store, &places[..1], WRITERS, span)?;
        let many = deliver(&store, &places, WRITERS, span)?;
        println!("  {WRITERS} writers, 1 mailbox:  {}; {:.1} x", line(&same), same.rate / one.rate);
        println!("  {WRITERS} writers, {} mailboxes: {}", places.len(), line(&many));
    }
    Ok(store.close()?)
}

struct Measured {
    rate: f64,
    p50: f64,
    p99: f64,
    max: f64,
}

fn line(measured: &Measured) -> String {
    let Measured { rate, p50, p99, max } = measured;
    format!("{rate:.0}/s, p50 {p50:.3} ms, p99 {p99:.2} ms, max {max:.1} ms")
}

fn measured(mut took_ms: Vec<f64>, elapsed: Duration) -> Measured {
    took_ms.sort_by(f64::total_cmp);
    let at = |share: usize| took_ms[(took_ms.len() - 1) * share / 100];
    let rate = took_ms.len() as f64 / elapsed.as_secs_f64();
    Measured { rate, p50: at(50), p99: at(99), max: at(100) }
}

fn places(store: &Store) -> Result<Vec<(MailboxId, FolderId)>, Box<dyn Error>> {
    let mut places = Vec::new();
    for number in 0..100 {
        let name = MailboxName::try_from(format!("user{number:03}").as_str())?;
        let mailbox = store.create_mailbox(&name, MailboxState::Active)?;
        let inbox = store.create_folder(mailbox, &FolderName::inbox(), NewFolder::default())?;
        places.push((mailbox, inbox.id));
    }
    Ok(places)
}

/// Repeats `work` on `threads` threads for `span`.
fn repeat<E: Send>(
    threads: usize,
    span: Duration,
    work: impl Fn(usize, u64) -> Result<(), E> + Sync,
) -> Result<Measured, E> {
    let start = Instant::now();
    let results: Vec<Result<Vec<f64>, E>> = std::thread::scope(|scope| {
        let running: Vec<_> = (0..threads)
            .map(|thread| {
                let work = &work;
                scope.spawn(move || {
                    let (mut took_ms, mut number) = (Vec::new(), 0);
                    while start.elapsed() < span {
                        let begun = Instant::now();
                        work(thread, number)?;
                        took_ms.push(begun.elapsed().as_secs_f64() * 1e3);
                        number += 1;
                    }
                    Ok(took_ms)
                })
            })
            .collect();
        running.into_iter().map(|thread| thread.join().expect("a worker panicked")).collect()
    });
    let elapsed = start.elapsed();
    let mut all = Vec::new();
    for result in results {
        all.extend(result?);
    }
    Ok(measured(all, elapsed))
}

/// Writes 4 KiB to each of `files` files and syncs them at once: appended to the first, which
/// grows as a segment does, and into zeros of the second, as in a log.
fn bare(folder: &Path, files: usize, span: Duration) -> std::io::Result<Measured> {
    let grows = File::create(folder.join("grows"))?;
    let zeros = File::create(folder.join("zeros"))?;
    zeros.write_all_at(&vec![0; 16 << 20], 0)?;
    zeros.sync_all()?;
    let (go, gone) = std::sync::mpsc::sync_channel::<u64>(1);
    let (done, is_done) = std::sync::mpsc::sync_channel(1);
    let is_done = std::sync::Mutex::new(is_done);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for number in gone {
                let wrote = grows.write_all_at(&[7; 4096], number * 4096);
                if done.send(wrote.and_then(|()| grows.sync_data())).is_err() {
                    break;
                }
            }
        });
        let result = repeat(1, span, |_, number| {
            if files == 2 {
                go.send(number).expect("the thread waits for it");
            }
            zeros.write_all_at(&[7; 4096], number % 4096 * 4096)?;
            zeros.sync_data()?;
            let other = is_done.lock().expect("nobody panics");
            if files == 2 { other.recv().expect("the thread answers") } else { Ok(()) }
        });
        drop(go);
        result
    })
}

fn deliver(
    store: &Store,
    places: &[(MailboxId, FolderId)],
    writers: usize,
    span: Duration,
) -> Result<Measured, StoreError> {
    // Bodies differ from those of earlier rounds, or they would be stored already.
    let run = store.lsn();
    repeat(writers, span, |thread, number| {
        let mut body = format!("Subject: {run} {writers} {thread} {number}\r\n\r\n").into_bytes();
        body.resize(BODY_BYTES, b'x');
        let place = places[(thread + number as usize) % places.len()];
        store.deliver(&[place], Append { body, ..Append::default() }).map(|_| ())
    })
}
