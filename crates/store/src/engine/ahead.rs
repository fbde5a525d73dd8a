//! What is made ready before it is needed, by a thread that nobody waits for: the next generations
//! of the log and the next segment.

use std::sync::mpsc::{Receiver, SyncSender, TryRecvError, sync_channel};
use std::sync::{Arc, Weak};
use std::thread::JoinHandle;

use rehome_log::Lsn;

use super::Shared;
use crate::segment::{self, OpenSegment};

/// The log's next generations are prepared once the one being written is used so far.
const PREPARE_AT_PERCENT: u64 = 25;

/// What the thread is to do.
enum Job {
    Log,
    Segment { id: u32, after: Lsn, wall_us: i64 },
}

/// The thread; it ends when this is dropped.
pub(super) struct Ahead {
    jobs: Option<SyncSender<Job>>,
    made: Receiver<Option<OpenSegment>>,
    thread: Option<JoinHandle<()>>,
    asked: bool,
    ready: Option<OpenSegment>,
}

impl Ahead {
    pub(super) fn start(shared: &Arc<Shared>) -> Ahead {
        let (jobs, receive) = sync_channel(2);
        let (report, made) = sync_channel(1);
        let shared = Arc::downgrade(shared);
        let thread = super::spawn("store-ahead", move || work(&shared, &receive, &report));
        Ahead { jobs: Some(jobs), made, thread: Some(thread), asked: false, ready: None }
    }

    /// Number of the segment that is ready.
    pub(super) fn ready(&mut self) -> Option<u32> {
        if self.ready.is_none() {
            match self.made.try_recv() {
                Ok(made) => {
                    self.asked = false;
                    self.ready = made;
                }
                Err(TryRecvError::Empty | TryRecvError::Disconnected) => {}
            }
        }
        self.ready.as_ref().map(|segment| segment.id)
    }

    /// Takes segment `id`, if that is what is ready.
    pub(super) fn take(&mut self, shared: &Shared, id: u32) -> Option<OpenSegment> {
        let taken = self.ready.take_if(|segment| segment.id == id)?;
        shared.segment_numbers.begin(id);
        Some(taken)
    }

    /// Whether a segment should be made: none is ready, and none was asked for.
    pub(super) fn lacks_segment(&self) -> bool {
        self.ready.is_none() && !self.asked
    }

    /// Has the next segment made.
    pub(super) fn make_segment(&mut self, shared: &Shared) {
        let id = shared.segment_numbers.take_ahead();
        let (after, wall_us) = (shared.progress.acknowledged(), shared.clock.wall_us());
        self.asked = self.send(Job::Segment { id, after, wall_us });
        if !self.asked {
            shared.segment_numbers.begin(id);
        }
    }

    /// Has generations of the log prepared, if it is time.
    pub(super) fn prepare_log(&self, shared: &Shared) {
        let wanted = shared.options.log_generations_ahead;
        let late = shared.log.generation_used_percent() >= PREPARE_AT_PERCENT;
        if late && shared.log.prepared() < wanted {
            // While the thread has enough to do, there is a later group that asks again.
            self.send(Job::Log);
        }
    }

    fn send(&self, job: Job) -> bool {
        self.jobs.as_ref().is_some_and(|jobs| jobs.try_send(job).is_ok())
    }

    /// Removes the segment that nobody needed.
    pub(super) fn discard(&mut self, shared: &Shared) {
        self.ready();
        if let Some(segment) = self.ready.take() {
            // One that stays holds nothing and does no harm.
            _ = shared.disk.remove(&segment::file_name(segment.id));
            shared.segment_numbers.begin(segment.id);
        }
    }

    /// Ends the thread when it has done what it was asked for.
    pub(super) fn stop(&mut self, shared: &Shared) {
        self.jobs = None;
        self.ready();
        if let Some(thread) = self.thread.take() {
            drop(thread.join());
        }
        self.discard(shared);
    }
}

impl Drop for Ahead {
    fn drop(&mut self) {
        self.jobs = None;
        if let Some(thread) = self.thread.take() {
            drop(thread.join());
        }
    }
}

fn work(shared: &Weak<Shared>, jobs: &Receiver<Job>, report: &SyncSender<Option<OpenSegment>>) {
    for job in jobs {
        let Some(shared) = shared.upgrade() else { break };
        match job {
            Job::Log => {
                // A log that cannot be prepared for makes its generations when it needs them, and
                // says then what is wrong.
                let wanted = shared.options.log_generations_ahead;
                _ = shared.log.prepare_ahead(wanted);
            }
            Job::Segment { id, after, wall_us } => {
                let made = segment::create(&shared.disk, &shared.shape, id, after, wall_us);
                if made.is_err() {
                    // It is not used, whatever is left of it.
                    _ = shared.disk.remove(&segment::file_name(id));
                    shared.segment_numbers.begin(id);
                }
                if report.send(made.ok()).is_err() {
                    break;
                }
            }
        }
    }
}
