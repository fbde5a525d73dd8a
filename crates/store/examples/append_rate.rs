//! Measures durable appends on a real disk: `cargo run --release -p rehome-store --example
//! append_rate -- [FOLDER] [MESSAGES] [GROUP]`. The folder is made and must not hold a store.
#![expect(clippy::print_stdout, reason = "it prints what it measured")]

use std::error::Error;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use rehome_log::SplitMix64;
use rehome_store::{
    Append, FolderName, MailboxName, MailboxState, NewFolder, OpenOptions, Store, Uid,
};

/// Mailboxes that share the messages.
const MAILBOXES: usize = 40;
/// Bytes of a message: from here to twice the average.
const BODY_MIN_BYTES: u64 = 1_000;
const BODY_AVERAGE_BYTES: u64 = 18_000;

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let folder = arguments.next().map_or_else(|| PathBuf::from("append-rate-store"), PathBuf::from);
    let messages: usize = arguments.next().map_or(Ok(20_000), |text| text.parse())?;
    let group: usize = arguments.next().map_or(Ok(100), |text| text.parse())?;
    let store = Store::create_at(&folder, OpenOptions::default())?;
    let mut places = Vec::new();
    for number in 0..MAILBOXES {
        let name = MailboxName::try_from(format!("user{number:03}").as_str())?;
        let mailbox = store.create_mailbox(&name, MailboxState::Active)?;
        let inbox = store.create_folder(mailbox, &FolderName::inbox(), NewFolder::default())?;
        places.push((mailbox, inbox.id));
    }
    let mut random = SplitMix64::new(1);
    let (mut bytes, mut spent, mut done) = (0, Duration::ZERO, 0);
    let mut latencies_ms = Vec::new();
    while done < messages {
        let batch: Vec<_> = (0..group)
            .map(|_| {
                let (mailbox, folder) = places[random.below(MAILBOXES as u64) as usize];
                (mailbox, folder, message(&mut random))
            })
            .collect();
        bytes += batch.iter().map(|(_, _, append)| append.body.len() as u64).sum::<u64>();
        let start = Instant::now();
        store.append_batch(batch)?;
        let took = start.elapsed();
        latencies_ms.push(took.as_secs_f64() * 1e3);
        spent += took;
        done += group;
    }
    latencies_ms.sort_by(f64::total_cmp);
    let at = |share: usize| latencies_ms[(latencies_ms.len() - 1) * share / 100];
    let seconds = spent.as_secs_f64();
    println!(
        "{done} messages in groups of {group}: {:.0} messages/s, {:.0} MB/s, group p50 {:.2} ms, \
         p99 {:.2} ms",
        done as f64 / seconds,
        bytes as f64 / 1e6 / seconds,
        at(50),
        at(99)
    );
    let start = Instant::now();
    store.close()?;
    println!("close with checkpoint: {:.0} ms", start.elapsed().as_secs_f64() * 1e3);
    let start = Instant::now();
    let store = Store::open_at(&folder, OpenOptions::default())?;
    println!("clean open: {:.1} ms", start.elapsed().as_secs_f64() * 1e3);
    let start = Instant::now();
    let (mut read, mut listed) = (0_u64, 0_u64);
    for (mailbox, folder) in &places {
        for message in store.messages(*mailbox, *folder, Uid(0), usize::MAX)? {
            listed += 1;
            read = read.max(message.size_bytes);
        }
    }
    println!("list: {:.0} rows/s", listed as f64 / start.elapsed().as_secs_f64());
    let start = Instant::now();
    let report = store.check(&mut |_| {})?;
    let seconds = start.elapsed().as_secs_f64();
    let clean = report.is_clean();
    println!("check: {:.0} MB/s, clean: {clean}", report.content_bytes as f64 / 1e6 / seconds);
    Ok(())
}

fn message(random: &mut SplitMix64) -> Append {
    let len = BODY_MIN_BYTES + random.below(2 * (BODY_AVERAGE_BYTES - BODY_MIN_BYTES));
    let mut body = format!("Subject: {:x}\r\n\r\n", random.next_u64()).into_bytes();
    while (body.len() as u64) < len {
        body.extend_from_slice(&random.next_u64().to_le_bytes());
    }
    Append { body, ..Append::default() }
}
