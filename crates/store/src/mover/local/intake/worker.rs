//! The thread that makes durable what a transfer wrote.

use std::io;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

use crate::IncomingMailbox;
use crate::content_run::ContentRun;
use crate::engine::{NewSegment, Request, Shared};
use crate::error::StoreError;
use crate::lock::lock;
use crate::segment::{PrivateSegment, file_name};

/// Steps that wait: one segment being synced, one behind it.
const WAITING_MAX: usize = 1;

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
    let mut broken = false;
    for message in messages {
        match message {
            Message::Step(step) if !broken => {
                if let Err(error) = step.take(shared) {
                    broken = true;
                    *lock(failed) = Some(error);
                }
            }
            Message::Step(_) => {}
            Message::Finish(done) => {
                broken = false;
                // Whoever has stopped waiting does not need the answer.
                _ = done.send(());
            }
        }
    }
}

impl Step {
    /// Makes the step durable.
    pub(super) fn take(self, shared: &Shared) -> Result<(), StoreError> {
        let request = match self {
            Step::Batch(runs, mailboxes) => Request::Receive { runs, mailboxes },
            Step::Segment(segment, mailboxes) => return attach(shared, segment, mailboxes),
        };
        shared.commit(request).map(|_| ())
    }
}

/// Makes a segment durable, then the group that names it.
fn attach(
    shared: &Shared,
    mut segment: PrivateSegment,
    mailboxes: Vec<IncomingMailbox>,
) -> Result<(), StoreError> {
    let (id, end) = (segment.id(), segment.len_bytes());
    segment.finish().map_err(|error| failed("ending", id, error))?;
    let records = segment.records().to_vec();
    // From here on the group may be in the log, whatever the answer is.
    segment.keep();
    let segment_of_group = NewSegment { id, end, records };
    shared.commit(Request::Attach { segment: segment_of_group, mailboxes }).map(|_| ())
}

/// What went wrong with a private segment. Nothing in the store depends on it yet.
pub(super) fn failed(doing: &str, id: u32, source: io::Error) -> StoreError {
    let name = file_name(id);
    if source.kind() == io::ErrorKind::StorageFull {
        return StoreError::DiskFull { place: name.to_string() };
    }
    StoreError::Io { doing: format!("{doing} {name}"), source }
}
