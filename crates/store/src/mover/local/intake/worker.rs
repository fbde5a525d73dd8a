//! The thread that makes durable what a transfer wrote.

use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crate::IncomingMailbox;
use crate::content_run::ContentRun;
use crate::engine::{NewSegment, Received, Request, Shared};
use crate::error::{StoreError, filling};
use crate::lock::lock;
use crate::segment::{PrivateSegment, file_name, sync_names};

/// Steps that wait: one segment being synced, one behind it.
const WAITING_MAX: usize = 1;
/// So many bytes are sent again, at most, after a transfer that was cut off.
const BATCH_BYTES_MAX: u64 = 256 << 20;
/// So many contents and rows wait in memory to become durable, at most, but for the step under way.
const BATCH_ROWS_MAX: usize = 32_768;
/// Steps share a group up to so many bytes of log: deliveries wait behind it.
const GROUP_LOG_BYTES_MAX: u64 = 4 << 20;
/// So much time of a slow transfer is lost with it, at most, but for the step under way.
const BATCH_TIME_MAX: Duration = Duration::from_secs(1);

/// Something to be made durable as one group.
pub(super) enum Step {
    /// A segment that was written, and rows.
    Segment(PrivateSegment, Vec<IncomingMailbox>),
    /// Small runs, and rows.
    Batch(Vec<ContentRun>, Vec<IncomingMailbox>),
}

/// What the thread is told.
enum Message {
    Step(Box<Step>),
    Finish(SyncSender<()>),
}

/// The thread; it ends when this is dropped.
pub(super) struct Worker {
    send: Option<SyncSender<Message>>,
    /// The first failure; nothing is done after it.
    failed: Arc<Mutex<Option<StoreError>>>,
    thread: Option<JoinHandle<()>>,
}

impl Worker {
    pub(super) fn start(shared: Arc<Shared>) -> Worker {
        let (send, receive) = sync_channel(WAITING_MAX);
        let failed = Arc::new(Mutex::new(None));
        let failure = Arc::clone(&failed);
        let thread = std::thread::spawn(move || run(&shared, &receive, &failure));
        Worker { send: Some(send), failed, thread: Some(thread) }
    }

    /// Hands a step over; an earlier one's failure is told here.
    pub(super) fn pass(&mut self, step: Step) -> Result<(), StoreError> {
        self.tell(Message::Step(Box::new(step)))?;
        self.check()
    }

    /// Waits until everything is durable.
    pub(super) fn finish(&mut self) -> Result<(), StoreError> {
        let (done, wait) = sync_channel(1);
        self.tell(Message::Finish(done))?;
        wait.recv().map_err(|_| StoreError::Closed)?;
        self.check()
    }

    fn tell(&self, message: Message) -> Result<(), StoreError> {
        let Some(send) = &self.send else { return Err(StoreError::Closed) };
        send.send(message).map_err(|_| StoreError::Closed)
    }

    fn check(&self) -> Result<(), StoreError> {
        lock(&self.failed).take().map_or(Ok(()), Err)
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        self.send = None;
        if let Some(thread) = self.thread.take() {
            drop(thread.join());
        }
    }
}

fn run(shared: &Shared, messages: &Receiver<Message>, failed: &Mutex<Option<StoreError>>) {
    let mut batch = Batch::new(shared);
    let mut broken = false;
    for message in messages {
        let done = match message {
            Message::Step(_) if broken => Ok(()),
            Message::Step(step) => batch.take(*step),
            Message::Finish(done) => {
                let ended = if std::mem::take(&mut broken) { Ok(()) } else { batch.end() };
                if let Err(error) = ended {
                    *lock(failed) = Some(error);
                }
                // Whoever has stopped waiting does not need the answer.
                _ = done.send(());
                Ok(())
            }
        };
        if let Err(error) = done {
            broken = true;
            batch = Batch::new(shared);
            *lock(failed) = Some(error);
        }
    }
}

/// Steps that become durable together: the fewer syncs, the less the disk waits.
struct Batch<'a> {
    shared: &'a Shared,
    /// In order. Their segments are durable, but for their names.
    steps: Vec<Step>,
    bytes: u64,
    rows: usize,
    begun: Instant,
}

impl Batch<'_> {
    fn new(shared: &Shared) -> Batch<'_> {
        Batch { shared, steps: Vec::new(), bytes: 0, rows: 0, begun: Instant::now() }
    }

    /// Takes a step; ends the batch once it has much in it, or has been open for long.
    fn take(&mut self, step: Step) -> Result<(), StoreError> {
        if self.steps.is_empty() {
            self.begun = Instant::now();
        }
        self.bytes += step.bytes();
        self.rows += step.rows();
        if let Step::Segment(segment, _) = &step {
            segment.end().map_err(filling("ending", file_name(segment.id())))?;
        }
        self.steps.push(step);
        let full = self.bytes >= BATCH_BYTES_MAX
            || self.rows >= BATCH_ROWS_MAX
            || self.begun.elapsed() >= BATCH_TIME_MAX;
        if full { self.end() } else { Ok(()) }
    }

    /// Makes all of it durable, in order; nothing behind a step that fails.
    fn end(&mut self) -> Result<(), StoreError> {
        (self.bytes, self.rows) = (0, 0);
        let steps = std::mem::take(&mut self.steps);
        if steps.is_empty() {
            return Ok(());
        }
        let segment = steps.iter().find_map(|step| match step {
            Step::Segment(segment, _) => Some(segment.id()),
            Step::Batch(..) => None,
        });
        if let Some(id) = segment {
            sync_names(&*self.shared.disk).map_err(filling("naming", file_name(id)))?;
        }
        let log_bytes_max = self.shared.log.payload_bytes_max().min(GROUP_LOG_BYTES_MAX);
        let mut group = Received::default();
        for step in steps {
            let next = step.received();
            if group.log_bytes() + next.log_bytes() > log_bytes_max {
                self.commit(std::mem::take(&mut group))?;
            }
            group.extend(next);
        }
        self.commit(group)
    }

    fn commit(&self, group: Received) -> Result<(), StoreError> {
        self.shared.commit(Request::Receive(group)).map(|_| ())
    }
}

impl Step {
    /// Makes a step without a segment durable.
    pub(super) fn commit(self, shared: &Shared) -> Result<(), StoreError> {
        shared.commit(Request::Receive(self.received())).map(|_| ())
    }

    /// Bytes that are sent again if it does not become durable.
    fn bytes(&self) -> u64 {
        match self {
            Step::Segment(segment, _) => segment.len_bytes(),
            Step::Batch(runs, _) => runs.iter().map(|run| run.len() as u64).sum(),
        }
    }

    /// Contents and rows that it keeps in memory.
    fn rows(&self) -> usize {
        let (contents, mailboxes) = match self {
            Step::Segment(segment, mailboxes) => (segment.records().len(), mailboxes),
            Step::Batch(_, mailboxes) => (0, mailboxes),
        };
        contents + mailboxes.iter().map(|one| one.messages.len()).sum::<usize>()
    }

    /// What its group takes. A segment's file is kept from here on: the group may be in the log,
    /// whatever the answer is.
    fn received(self) -> Received {
        match self {
            Step::Batch(runs, mailboxes) => Received { segments: Vec::new(), runs, mailboxes },
            Step::Segment(mut segment, mailboxes) => {
                segment.keep();
                let (id, end) = (segment.id(), segment.len_bytes());
                let records = segment.records().to_vec();
                let segments = vec![NewSegment { id, end, records }];
                Received { segments, runs: Vec::new(), mailboxes }
            }
        }
    }
}
