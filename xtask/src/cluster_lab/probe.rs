//! The probe: a process in the client's namespace that delivers all the time, to the floating
//! address and to each host by itself, and says what was acknowledged when and by whom.

use std::collections::BTreeMap;
use std::io::{BufRead as _, Write as _};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use clap::Args;
use rehome::parts::server::{Recipient, StoreClient};
use rehome::parts::store::{FolderName, MailboxName, Uid};
use serde_json::{Value, json};

use super::PATIENCE;
use super::evidence::now_us;

/// The longest that a delivery is waited for.
const TIMEOUT: Duration = Duration::from_millis(250);

/// The longest that a greeting is waited for: as exact as that is the moment in which somebody
/// serves again, for a host that is not there does not say so.
const GREETING: Duration = Duration::from_millis(40);

/// Rows of a mailbox that are read at once.
const PAGE: usize = 1_000;

#[derive(Debug, Args)]
pub(crate) struct ProbeArgs {
    /// A name that no other run has.
    #[arg(long)]
    run: String,
    /// Where deliveries go: the first is the address that clients use.
    #[arg(long)]
    to: Vec<String>,
}

/// Delivers until standard input ends; then looks for what was acknowledged.
pub(crate) fn run(args: &ProbeArgs) -> Result<(), String> {
    let over = Arc::new(AtomicBool::new(false));
    let acknowledged = Arc::new(Mutex::new(Vec::new()));
    let mut threads = Vec::new();
    for (number, address) in args.to.iter().enumerate() {
        let mailbox = format!("{}-{number}", args.run);
        let mailbox = MailboxName::try_from(mailbox.as_str()).map_err(|error| error.to_string())?;
        make_mailbox(&args.to[0], &mailbox)?;
        let (address, over, kept) = (address.clone(), over.clone(), acknowledged.clone());
        threads.push(thread::spawn(move || {
            let sender = Sender::new(number, &address, mailbox);
            sender.run(&over, &kept);
        }));
    }
    write_line(&json!({ "ready": true }).to_string());
    for _line in std::io::stdin().lock().lines().map_while(Result::ok) {}
    over.store(true, Ordering::Relaxed);
    for thread in threads {
        thread.join().map_err(|_| "a sender of the probe panicked")?;
    }
    let acknowledged = acknowledged.lock().map_err(|error| error.to_string())?;
    let found = look_for(&args.to[0], &acknowledged)?;
    write_line(&found.to_string());
    Ok(())
}

/// A delivery that was acknowledged.
struct Kept {
    mailbox: MailboxName,
    token: String,
    via: usize,
    epoch: u64,
    end_us: u64,
}

fn write_line(line: &str) {
    let mut out = std::io::stdout().lock();
    // Whoever started the probe is gone: its input ends, and so does the probe.
    let _gone = writeln!(out, "{line}").and_then(|()| out.flush());
}

fn patiently<T, E: std::fmt::Display>(
    mut attempt: impl FnMut() -> Result<T, E>,
) -> Result<T, String> {
    let started = Instant::now();
    loop {
        match attempt() {
            Ok(done) => return Ok(done),
            Err(error) if started.elapsed() > PATIENCE => return Err(error.to_string()),
            Err(_) => thread::sleep(Duration::from_millis(20)),
        }
    }
}

fn make_mailbox(address: &str, mailbox: &MailboxName) -> Result<(), String> {
    let mut client = StoreClient::new(address).with_timeout(TIMEOUT * 4);
    patiently(|| client.create_mailbox(mailbox)).map(drop)
}

/// One stream of deliveries.
struct Sender {
    number: usize,
    address: String,
    mailbox: MailboxName,
    client: StoreClient,
    /// The epoch of the store at the other end of the connection.
    epoch: Option<u64>,
    /// Whether the last attempt came to nothing.
    failed: bool,
}

impl Sender {
    fn new(number: usize, address: &str, mailbox: MailboxName) -> Self {
        let client = StoreClient::new(address);
        Self { number, address: address.to_owned(), mailbox, client, epoch: None, failed: false }
    }

    fn run(mut self, over: &AtomicBool, acknowledged: &Mutex<Vec<Kept>>) {
        for number in 0_u64.. {
            if over.load(Ordering::Relaxed) {
                return;
            }
            let token = format!("{}-{number}", self.mailbox);
            let start_us = now_us();
            match self.deliver(&token) {
                Ok(epoch) => {
                    self.failed = false;
                    let (via, end_us) = (self.number, now_us());
                    if let Ok(mut kept) = acknowledged.lock() {
                        let mailbox = self.mailbox.clone();
                        kept.push(Kept { mailbox, token, via, epoch, end_us });
                    }
                    let said = json!({
                        "via": via, "epoch": epoch, "start_us": start_us, "end_us": end_us,
                    });
                    write_line(&said.to_string());
                }
                Err(why) => {
                    if !std::mem::replace(&mut self.failed, true) {
                        let via = self.number;
                        let said = json!({ "via": via, "failed_us": start_us, "why": why });
                        write_line(&said.to_string());
                    }
                    self.client.disconnect();
                    self.epoch = None;
                }
            }
            thread::sleep(Duration::from_millis(if self.number == 0 { 4 } else { 10 }));
        }
    }

    fn deliver(&mut self, token: &str) -> Result<u64, String> {
        let epoch = match self.epoch {
            Some(epoch) => epoch,
            None => {
                let mut client = StoreClient::new(&self.address).with_timeout(GREETING);
                let epoch = client.hello().map_err(|error| error.to_string())?.epoch;
                self.client = client.with_timeout(TIMEOUT);
                epoch
            }
        };
        self.epoch = Some(epoch);
        let mut recipient = Recipient::new(self.mailbox.clone());
        recipient.token = Some(token.to_owned());
        let body = format!("Subject: {token}\r\n\r\nA delivery of the lab.\r\n");
        let stored = self.client.deliver(&recipient, body.as_bytes());
        stored.map(|_| epoch).map_err(|error| error.to_string())
    }
}

/// Counts what was acknowledged and is not there, and what is there twice; of what is lost it says
/// where, under which epoch and when it was acknowledged.
fn look_for(address: &str, acknowledged: &[Kept]) -> Result<Value, String> {
    let mut client = StoreClient::new(address).with_timeout(TIMEOUT * 8);
    let mut held: BTreeMap<String, u64> = BTreeMap::new();
    let mut mailboxes: Vec<&MailboxName> = acknowledged.iter().map(|kept| &kept.mailbox).collect();
    mailboxes.dedup();
    mailboxes.sort();
    mailboxes.dedup();
    let inbox = FolderName::try_from("INBOX").map_err(|error| error.to_string())?;
    let asked = patiently(|| client.hello())?.epoch;
    for mailbox in mailboxes {
        let mut after = Uid::default();
        loop {
            let page = patiently(|| client.messages(mailbox, &inbox, after, PAGE))?;
            for message in &page.messages {
                after = message.uid;
                *held.entry(message.origin.clone().unwrap_or_default()).or_default() += 1;
            }
            if !page.more {
                break;
            }
        }
    }
    let lost: Vec<&Kept> =
        acknowledged.iter().filter(|kept| !held.contains_key(&kept.token)).collect();
    let doubled: u64 = held.values().map(|count| count.saturating_sub(1)).sum();
    Ok(json!({ "lost": lost.len(), "doubled": doubled, "lost_of": by_epoch(&lost, asked) }))
}

/// Deliveries of one host and epoch in a line, which says when they began and ended, and the epoch
/// of the store that was `asked` for them.
fn by_epoch(lost: &[&Kept], asked: u64) -> Vec<Value> {
    let mut of: BTreeMap<(usize, u64), Vec<&Kept>> = BTreeMap::new();
    for kept in lost {
        of.entry((kept.via, kept.epoch)).or_default().push(kept);
    }
    let line = |((via, epoch), mut all): ((usize, u64), Vec<&Kept>)| {
        all.sort_by_key(|kept| kept.end_us);
        let end = |kept: Option<&&Kept>| kept.map(|kept| json!([kept.token, kept.end_us]));
        let (first, last) = (end(all.first()), end(all.last()));
        json!({
            "via": via, "epoch": epoch, "count": all.len(), "first": first, "last": last,
            "asked_epoch": asked,
        })
    };
    of.into_iter().map(line).collect()
}
