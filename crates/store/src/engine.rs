//! The running store: what its threads and its callers share.
//!
//! A write goes caller → [`queue`] → committer ([`commit`]: numbers it ([`plan`]), writes segment
//! and log, syncs both at once, acknowledges) → [`apply`] thread, which brings the catalog up to
//! date behind. A reader waits in [`progress`] until the catalog holds what was acknowledged.

mod ahead;
mod answer;
mod apply;
mod commit;
mod plan;
mod progress;
mod queue;
mod request;
mod sync;

pub(crate) use request::{Compaction, NewRow, NewSegment, Received, Reply, Request};

use std::sync::mpsc::sync_channel;
use std::sync::{Arc, Mutex, OnceLock};
use std::thread::JoinHandle;

use rehome_log::{Clock, Disk, Log, Lsn, Ownership};

use self::answer::{Latch, promise};
use self::apply::Work;
use self::plan::Planner;
use self::progress::Progress;
use self::queue::Queue;
use self::request::Pending;
use crate::base;
use crate::catalog::{MetaRow, View};
use crate::compact::Compactor;
use crate::error::StoreError;
use crate::keeping::{LogKeeping, LogPolicy};
use crate::lock::lock;
use crate::model::MailboxId;
use crate::options::OpenOptions;
use crate::packers::Packers;
use crate::segment::{SegmentNumbers, Segments, Shape};
use crate::subscribe::Feed;
use crate::tree::Tree;

/// Bytes of requests that may wait to be committed.
const WAITING_BYTES_MAX: u64 = 64 << 20;
/// Bytes of log that the catalog may lag behind.
const LAG_BYTES_MAX: u64 = 16 << 20;

/// What the threads and the callers share. The fields are dropped in this order: the tree is closed
/// before the lock is given up.
pub(crate) struct Shared {
    pub(crate) segments: Arc<Segments>,
    pub(crate) segment_numbers: Arc<SegmentNumbers>,
    pub(crate) compactor: Compactor,
    pub(crate) packers: Packers,
    pub(crate) feed: Arc<Feed>,
    pub(crate) tree: Box<dyn Tree>,
    pub(crate) log: Log,
    pub(crate) keeping: LogKeeping,
    pub(crate) progress: Progress,
    pub(crate) options: OpenOptions,
    /// What a person should know about this opening.
    pub(crate) notes: Vec<String>,
    pub(crate) shape: Shape,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) disk: Arc<dyn Disk>,
    requests: Queue<Pending>,
    /// What those wait for whose requests are taken next.
    latch: Mutex<Latch>,
    applies: Queue<Work>,
    /// The first failure after which nothing more is written.
    poison: OnceLock<StoreError>,
    pub(crate) ownership: Ownership,
}

/// What it takes to run a store.
pub(crate) struct Parts {
    pub(crate) disk: Arc<dyn Disk>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) options: OpenOptions,
    pub(crate) notes: Vec<String>,
    pub(crate) shape: Shape,
    pub(crate) tree: Box<dyn Tree>,
    pub(crate) log: Log,
    pub(crate) log_policy: LogPolicy,
    pub(crate) ownership: Ownership,
}

/// A running store and its threads.
pub(crate) struct Engine {
    shared: Mutex<Option<Arc<Shared>>>,
    threads: Mutex<Vec<JoinHandle<()>>>,
}

impl Shared {
    /// Nothing more is written from now on, because of `error`.
    fn fail(&self, error: &StoreError) -> StoreError {
        self.poison.get_or_init(|| error.latch()).latch()
    }

    fn check_poison(&self) -> Result<(), StoreError> {
        self.poison.get().map_or(Ok(()), |error| Err(error.latch()))
    }

    /// Has `request` committed; returns the answer and the group that holds it.
    pub(crate) fn commit(&self, request: Request) -> Result<(Reply, Lsn), StoreError> {
        self.check_poison()?;
        let max_bytes = self.log.payload_bytes_max();
        let size_bytes = request.log_bytes();
        if size_bytes > max_bytes {
            return Err(StoreError::TooLarge { size_bytes, max_bytes });
        }
        let (answer, answered) = promise();
        let weight = request.weight();
        let pending = Pending { request, answer };
        let latch = lock(&self.latch).waiter();
        self.requests.push(pending, weight).map_err(|_| self.stopped())?;
        latch.wait();
        answered.wait().unwrap_or_else(|| Err(self.stopped()))
    }

    /// A new latch for those who come from now on; returns the one before.
    fn next_latch(&self) -> Latch {
        std::mem::replace(&mut *lock(&self.latch), Latch::new())
    }

    /// Takes no more requests, and lets nobody wait for one that is not committed.
    fn abandon_requests(&self) {
        self.requests.abandon();
        drop(self.next_latch());
    }

    /// Why a thread does not answer any more.
    fn stopped(&self) -> StoreError {
        self.poison.get().map_or(StoreError::Closed, StoreError::latch)
    }

    /// The catalog with everything that was acknowledged before the call.
    pub(crate) fn view(&self) -> Result<View, StoreError> {
        self.progress.wait_all()?;
        self.view_now()
    }

    /// The catalog with everything about `mailbox` that was acknowledged before the call.
    pub(crate) fn view_of(&self, mailbox: MailboxId) -> Result<View, StoreError> {
        self.progress.wait_mailbox(mailbox)?;
        self.view_now()
    }

    /// The catalog as it is.
    pub(crate) fn view_now(&self) -> Result<View, StoreError> {
        let pin = self.compactor.pin();
        Ok(View::new(self.tree.read()?).pinned(pin))
    }

    /// Makes the catalog durable with everything acknowledged before the call.
    pub(crate) fn checkpoint(&self) -> Result<Lsn, StoreError> {
        // A caller may have its answer before the catalog's thread has the group.
        self.progress.wait_all()?;
        let _waiter = self.progress.hurry();
        let (answer, answered) = sync_channel(1);
        self.applies.push(Work::Checkpoint(answer), 0).map_err(|_| self.stopped())?;
        answered.recv().map_err(|_| self.stopped())?
    }
}

impl Engine {
    /// Starts the threads on a catalog that holds all of the log; `meta` are its counters.
    pub(crate) fn start(parts: Parts, meta: &MetaRow, next_segment: u32) -> Engine {
        let Parts { disk, clock, options, notes, shape, tree, log, log_policy, ownership } = parts;
        let settled = log.closed_generations().last().map_or(Lsn::ZERO, |closed| closed.last);
        // If bases cannot be listed, the log is kept.
        let base = base::floor(&*disk, options.catalog_base_bytes).unwrap_or(Lsn::ZERO);
        let (keeping_disk, store_id, until) = (Arc::clone(&disk), shape.store_id, meta.applied);
        let keeping = LogKeeping::new(keeping_disk, store_id, log_policy, until, base, settled);
        let segment_numbers = Arc::new(SegmentNumbers::from(next_segment));
        let planner = Planner::new(meta, Arc::clone(&segment_numbers), options.segment_bytes);
        let shared = Arc::new(Shared {
            segments: Arc::new(Segments::new(Arc::clone(&disk), shape.store_id)),
            segment_numbers,
            compactor: Compactor::new(next_segment, meta.applied),
            packers: Packers::default(),
            feed: Arc::new(Feed::new(meta.applied)),
            tree,
            log,
            keeping,
            progress: Progress::new(meta.applied),
            options,
            notes,
            shape,
            clock,
            disk,
            requests: Queue::new(WAITING_BYTES_MAX),
            latch: Mutex::new(Latch::new()),
            applies: Queue::new(LAG_BYTES_MAX),
            poison: OnceLock::new(),
            ownership,
        });
        let (committing, applying) = (Arc::clone(&shared), Arc::clone(&shared));
        let threads = vec![
            spawn("store-commit", move || commit::run(&committing, planner)),
            spawn("store-apply", move || apply::run(&applying)),
        ];
        Engine { shared: Mutex::new(Some(shared)), threads: Mutex::new(threads) }
    }

    /// What the callers use, unless the store is closed.
    pub(crate) fn shared(&self) -> Result<Arc<Shared>, StoreError> {
        lock(&self.shared).as_ref().map(Arc::clone).ok_or(StoreError::Closed)
    }

    /// Makes a checkpoint and stops; what waits is committed first.
    pub(crate) fn close(&self) -> Result<(), StoreError> {
        let Some(shared) = lock(&self.shared).take() else { return Ok(()) };
        shared.requests.close();
        let feed = Arc::clone(&shared.feed);
        let mut threads = std::mem::take(&mut *lock(&self.threads)).into_iter();
        join(threads.next());
        feed.close();
        let checkpoint = shared.checkpoint();
        shared.applies.close();
        join(threads.next());
        let poison = shared.check_poison();
        if let Ok(shared) = Arc::try_unwrap(shared) {
            let Shared { log, tree, ownership, .. } = shared;
            if poison.is_ok() {
                log.close()?;
            }
            drop(tree);
            drop(ownership);
        }
        poison?;
        checkpoint.map(|_| ())
    }

    /// Stops without a checkpoint; what waits is committed first.
    fn stop(&self) {
        let Some(shared) = lock(&self.shared).take() else { return };
        shared.requests.close();
        let feed = Arc::clone(&shared.feed);
        let mut threads = std::mem::take(&mut *lock(&self.threads)).into_iter();
        join(threads.next());
        feed.close();
        shared.applies.close();
        shared.progress.look();
        join(threads.next());
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        self.stop();
    }
}

/// Starts a thread of that name.
fn spawn(name: &str, work: impl FnOnce() + Send + 'static) -> JoinHandle<()> {
    let thread = std::thread::Builder::new().name(name.to_owned());
    thread.spawn(work).expect("the computer gives a store its threads")
}

/// Waits for the end of a thread; a panic of it has been reported where it happened.
fn join(thread: Option<JoinHandle<()>>) {
    if let Some(thread) = thread {
        drop(thread.join());
    }
}
