//! Users at work while their mail moves: one thread delivers, one logs on and reads.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{Read as _, Write as _};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use rehome_server::Recipient;
use rehome_store::{ContentId, FolderName, MailboxName};
use serde::{Deserialize, Serialize};

use crate::clients::Names;
use crate::error::Error;
use crate::session::Session;
use crate::summary::TrafficCounts;
use crate::work::Work;

/// Time between two deliveries.
const DELIVERY_EVERY: Duration = Duration::from_millis(10);
/// How long one try lasts before it is looked whether the traffic shall end.
const IMPATIENCE: Duration = Duration::from_millis(500);
/// Time between two reads.
const READ_EVERY: Duration = Duration::from_millis(10);

/// A delivery that was acknowledged: one line of the traffic file.
#[derive(Debug, Serialize, Deserialize)]
struct Delivered {
    mailbox: String,
    content: String,
}

/// Counters that both threads write.
#[derive(Debug, Default)]
struct Counters {
    delivered: AtomicU64,
    read: AtomicU64,
    failed: AtomicU64,
    longest_delivery_us: AtomicU64,
}

/// Deliveries and reads that go on until the value is ended or dropped.
pub(crate) struct Traffic {
    stop: Arc<AtomicBool>,
    counters: Arc<Counters>,
    threads: Vec<JoinHandle<()>>,
}

/// What each thread needs.
#[derive(Clone)]
struct Users {
    names: Names,
    server: String,
    mailboxes: Vec<String>,
    stop: Arc<AtomicBool>,
    counters: Arc<Counters>,
}

impl Traffic {
    /// Begins to deliver to and to read from these mailboxes, wherever they are.
    pub(crate) fn begin(
        session: &Session,
        work: &Work,
        names: Names,
        server: &str,
        mailboxes: Vec<String>,
    ) -> Result<Self, Error> {
        let (stop, counters) = (Arc::<AtomicBool>::default(), Arc::<Counters>::default());
        let users = Users {
            names,
            server: server.to_owned(),
            mailboxes,
            stop: Arc::clone(&stop),
            counters: Arc::clone(&counters),
        };
        let path = work.traffic();
        let file = open_for_more(&path)
            .map_err(|error| Error::needs_human(format!("{}: {error}", path.display())))?;
        let began = session.clock.wall_us();
        let (writer, reader) = (users.clone(), users);
        let threads = vec![
            std::thread::spawn(move || writer.deliver(file, began)),
            std::thread::spawn(move || reader.read()),
        ];
        Ok(Traffic { stop, counters, threads })
    }

    /// Ends the traffic and says what there was.
    pub(crate) fn end(mut self) -> TrafficCounts {
        self.finish();
        let count = |counter: &AtomicU64| counter.load(Ordering::SeqCst);
        // Milliseconds for people: the precision of f64 is plenty.
        #[allow(clippy::cast_precision_loss)]
        let longest = count(&self.counters.longest_delivery_us) as f64 / 1000.0;
        TrafficCounts {
            delivered: count(&self.counters.delivered),
            read: count(&self.counters.read),
            failed: count(&self.counters.failed),
            longest_delivery_ms: longest,
        }
    }

    fn finish(&mut self) {
        self.stop.store(true, Ordering::SeqCst);
        for thread in self.threads.drain(..) {
            // A thread that panicked has counted its failure by not delivering any more.
            if thread.join().is_err() {
                self.counters.failed.fetch_add(1, Ordering::SeqCst);
            }
        }
    }
}

impl Drop for Traffic {
    fn drop(&mut self) {
        self.finish();
    }
}

impl Users {
    fn working(&self) -> bool {
        !self.stop.load(Ordering::SeqCst)
    }

    /// Waits for a server to be there for the first time.
    fn wait_for_server(&self) {
        let there = || {
            let client = self.names.client(&self.server, &self.mailboxes[0], IMPATIENCE);
            client.is_ok_and(|mut client| client.logon().is_ok())
        };
        while self.working() && !there() {
            std::thread::park_timeout(Duration::from_millis(50));
        }
    }

    /// Delivers to one mailbox after the other, and writes down what was acknowledged.
    fn deliver(self, mut file: File, began: i64) {
        self.wait_for_server();
        let mut number = 0_u64;
        for mailbox in self.mailboxes.iter().cycle() {
            if !self.working() {
                return;
            }
            number += 1;
            let body = format!(
                "From: traffic@example.org\r\nTo: {mailbox}@example.org\r\nSubject: Delivery \
                 {number} of {began}\r\nMessage-ID: <{began}.{number}@example.org>\r\n\r\nSent \
                 while mail moves.\r\n"
            );
            let started = Instant::now();
            let token = format!("{}.M{}P{number}.traffic", began / 1_000_000, began % 1_000_000);
            if !self.deliver_one(mailbox, &token, body.as_bytes()) {
                self.counters.failed.fetch_add(1, Ordering::SeqCst);
                continue;
            }
            let content = ContentId::of(body.as_bytes()).to_string();
            let line = Delivered { mailbox: mailbox.clone(), content };
            let json = serde_json::to_string(&line).expect("two strings");
            if file.write_all(format!("{json}\n").as_bytes()).is_err() {
                self.counters.failed.fetch_add(1, Ordering::SeqCst);
            }
            let took = u64::try_from(started.elapsed().as_micros()).unwrap_or(u64::MAX);
            self.counters.longest_delivery_us.fetch_max(took, Ordering::SeqCst);
            self.counters.delivered.fetch_add(1, Ordering::SeqCst);
            std::thread::park_timeout(DELIVERY_EVERY);
        }
    }

    /// Delivers one message, however long that takes: as a mail server that queues does. False if
    /// it was refused for good, or the traffic ends before it is known to be stored.
    fn deliver_one(&self, mailbox: &str, token: &str, body: &[u8]) -> bool {
        let Ok(name) = MailboxName::try_from(mailbox) else { return false };
        let mut recipient = Recipient::new(name);
        recipient.token = Some(token.to_owned());
        while self.working() {
            let Ok(mut client) = self.names.client(&self.server, mailbox, IMPATIENCE) else {
                return false;
            };
            if client.deliver_to(recipient.clone(), body).is_ok() {
                return true;
            }
            // The earlier try may have been stored: the token is looked for from now on.
            recipient.again = true;
        }
        false
    }

    /// Logs on at one mailbox after the other and reads its newest message.
    fn read(self) {
        self.wait_for_server();
        for mailbox in self.mailboxes.iter().cycle() {
            if !self.working() {
                return;
            }
            // A server that is away is asked again; only wrong bytes are a failure.
            match self.read_one(mailbox) {
                Some(true) => self.counters.read.fetch_add(1, Ordering::SeqCst),
                Some(false) => self.counters.failed.fetch_add(1, Ordering::SeqCst),
                None => continue,
            };
            std::thread::park_timeout(READ_EVERY);
        }
    }

    /// Reads the newest message of a mailbox: whether its bytes were right; `None` if there was
    /// none or nobody answered.
    fn read_one(&self, mailbox: &str) -> Option<bool> {
        let mut client = self.names.client(&self.server, mailbox, IMPATIENCE).ok()?;
        client.logon().ok()?;
        let messages = client.messages(&FolderName::inbox()).ok()?;
        let newest = messages.last()?;
        let (message, bytes) = client.fetch(&FolderName::inbox(), newest.uid).ok()?;
        Some(ContentId::of(&bytes) == message.content)
    }
}

/// Opens the traffic file so that lines can be added. A last line that a kill cut short goes, or
/// the next one would be taken for its rest.
fn open_for_more(path: &Path) -> std::io::Result<File> {
    let mut file = File::options().read(true).append(true).create(true).open(path)?;
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes)?;
    let start = bytes.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
    if parse(&bytes[start..]).is_some() {
        file.write_all(b"\n")?;
    } else {
        file.set_len(start as u64)?;
    }
    Ok(file)
}

/// What clients were told is delivered, by mailbox. A last line that is not whole was not written
/// down, and so is not expected.
///
/// # Errors
///
/// [`Error::NeedsHuman`] for any other line that cannot be read: what it said would be missed.
pub(crate) fn delivered_by(path: &Path) -> Result<BTreeMap<String, Vec<ContentId>>, Error> {
    let bytes = match std::fs::read(path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Vec::new(),
        Err(error) => return Err(Error::needs_human(format!("{}: {error}", path.display()))),
    };
    let mut delivered: BTreeMap<String, Vec<ContentId>> = BTreeMap::new();
    for (index, line) in bytes.split_inclusive(|byte| *byte == b'\n').enumerate() {
        match parse(line) {
            Some((mailbox, content)) => delivered.entry(mailbox).or_default().push(content),
            None if line.ends_with(b"\n") => return Err(unreadable(path, index + 1)),
            None => {}
        }
    }
    Ok(delivered)
}

fn unreadable(path: &Path, line: usize) -> Error {
    Error::needs_human(format!(
        "{}:{line}: this line says what a client was told is delivered, and cannot be read; that \
         message would not be looked for; mend the line, or take it out to do without",
        path.display()
    ))
}

/// A line of the traffic file: the mailbox and the content.
fn parse(line: &[u8]) -> Option<(String, ContentId)> {
    let line: Delivered = serde_json::from_slice(line).ok()?;
    Some((line.mailbox, content_id(&line.content)?))
}

/// A content's name from its 64 hexadecimal digits.
fn content_id(text: &str) -> Option<ContentId> {
    blake3::Hash::from_hex(text).ok().map(|hash| ContentId(*hash.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::{content_id, delivered_by, open_for_more};
    use rehome_store::ContentId;
    use std::io::Write as _;

    fn line(mailbox: &str, body: &[u8]) -> String {
        format!("{{\"mailbox\":\"{mailbox}\",\"content\":\"{}\"}}\n", ContentId::of(body))
    }

    /// Reads a traffic file of these bytes; the number of deliveries to `alice` and to `bób`,
    /// first as it is, then after a run that went on with one more delivery to `bób`.
    #[track_caller]
    fn check(bytes: &[u8], now: (usize, usize), later: (usize, usize)) {
        let scratch = tempfile::tempdir().expect("a scratch folder");
        let path = scratch.path().join("traffic.jsonl");
        std::fs::write(&path, bytes).expect("writable");
        let count = || {
            let found = delivered_by(&path).expect("readable");
            let of = |name: &str| found.get(name).map_or(0, Vec::len);
            (of("alice"), of("bób"))
        };
        assert_eq!(count(), now);
        let mut file = open_for_more(&path).expect("writable");
        file.write_all(line("bób", b"later").as_bytes()).expect("writable");
        assert_eq!(count(), later);
    }

    #[test]
    fn a_line_that_was_cut_short_is_dropped_and_the_next_one_is_not() {
        let (alice, bob) = (line("alice", b"1"), line("bób", b"2"));
        check(b"", (0, 0), (0, 1));
        let whole = format!("{alice}{bob}");
        check(whole.as_bytes(), (1, 1), (1, 2));
        for cut in 0..bob.len() - 1 {
            let bytes = &whole.as_bytes()[..alice.len() + cut];
            check(bytes, (1, 0), (1, 1));
        }
        // Only the end of the line is missing: the delivery was written down.
        check(&whole.as_bytes()[..whole.len() - 1], (1, 1), (1, 2));
    }

    #[test]
    fn a_line_in_the_middle_that_cannot_be_read_is_an_error_with_its_place() {
        let scratch = tempfile::tempdir().expect("a scratch folder");
        let path = scratch.path().join("traffic.jsonl");
        let bad = line("alice", b"1").replace("content\":\"", "content\":\"x");
        std::fs::write(&path, format!("{}{bad}{}", line("alice", b"1"), line("alice", b"2")))
            .expect("writable");
        let error = delivered_by(&path).expect_err("a delivery would be missed").to_string();
        assert!(error.contains("traffic.jsonl:2:"), "{error}");
        assert!(delivered_by(&scratch.path().join("none")).expect("no traffic").is_empty());
    }

    #[test]
    fn a_content_is_named_by_64_digits() {
        let content = ContentId::of(b"body");
        assert_eq!(content_id(&content.to_string()), Some(content));
        for bad in ["", "00", &format!("{content}0"), &content.to_string().replace('a', "g")[1..]] {
            assert_eq!(content_id(bad), None, "{bad}");
        }
    }
}
