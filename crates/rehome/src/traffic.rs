//! Users at work while their mail moves: one thread delivers, one logs on and reads.

use std::collections::BTreeMap;
use std::io::Write as _;
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
        let shown = path.display().to_string();
        let file = std::fs::OpenOptions::new().create(true).append(true).open(&path);
        let file = file.map_err(|error| Error::needs_human(format!("{shown}: {error}")))?;
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
    fn deliver(self, mut file: std::fs::File, began: i64) {
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
            if writeln!(file, "{json}").is_err() {
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

/// What clients were told is delivered, by mailbox. A last line that a kill cut short was not
/// written down, and so is not expected.
pub(crate) fn delivered_by(path: &Path) -> Result<BTreeMap<String, Vec<ContentId>>, Error> {
    let text = match std::fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => String::new(),
        Err(error) => return Err(Error::needs_human(format!("{}: {error}", path.display()))),
    };
    let mut delivered: BTreeMap<String, Vec<ContentId>> = BTreeMap::new();
    for line in text.lines() {
        let Ok(line) = serde_json::from_str::<Delivered>(line) else { continue };
        if let Some(content) = content_id(&line.content) {
            delivered.entry(line.mailbox).or_default().push(content);
        }
    }
    Ok(delivered)
}

/// A content's name from its 64 hexadecimal digits.
fn content_id(text: &str) -> Option<ContentId> {
    blake3::Hash::from_hex(text).ok().map(|hash| ContentId(*hash.as_bytes()))
}
