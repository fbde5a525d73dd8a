//! What a receiving store does with frames: large runs go into private segments past the page
//! cache, small ones into the store's own segment; rows follow the contents that they need.
//!
//! Writing and making durable go on side by side: the caller writes segment after segment, a
//! thread syncs each, attaches it and applies the rows behind it, in order.

mod worker;

use std::sync::Arc;

use self::worker::{Step, Worker};
use crate::content_run::ContentRun;
use crate::engine::Shared;
use crate::error::{StoreError, filling};
use crate::segment::{PrivateSegment, file_name};
use crate::transfer::batch_size_bytes;
use crate::{IncomingMailbox, Store};

/// Contents of a transfer below this go into the store's own segment, in bytes.
pub(super) const SMALL_BYTES_MAX: u64 = 4 << 20;
/// Records in a private segment, at most: its group has to fit into a generation of the log.
const RECORDS_MAX: usize = 32_768;
/// Rows in a group are no more than this, in bytes, for the same reason.
const ROWS_BYTES_MAX: usize = 4 << 20;
/// Rows that wait for their segment to end, at most, in bytes.
const ROWS_WAITING_BYTES_MAX: usize = 32 << 20;

/// What has come and is not handed over yet.
pub(super) struct Intake {
    store: Store,
    small_bytes_max: u64,
    small: Vec<ContentRun>,
    small_bytes: u64,
    segment: Option<PrivateSegment>,
    rows: Vec<IncomingMailbox>,
    rows_bytes: usize,
    worker: Option<Worker>,
}

impl Intake {
    pub(super) fn new(store: Store, small_bytes_max: u64) -> Intake {
        Intake {
            store,
            small_bytes_max,
            small: Vec::new(),
            small_bytes: 0,
            segment: None,
            rows: Vec::new(),
            rows_bytes: 0,
            worker: None,
        }
    }

    /// Takes a run of contents.
    pub(super) fn content(&mut self, run: ContentRun) -> Result<(), StoreError> {
        if run.is_empty() {
            return Ok(());
        }
        if self.segment.is_some() {
            return self.write(run);
        }
        self.small_bytes += run.len() as u64;
        self.small.push(run);
        if self.small_bytes < self.small_bytes_max {
            return Ok(());
        }
        self.small_bytes = 0;
        std::mem::take(&mut self.small).into_iter().try_for_each(|run| self.write(run))
    }

    /// Takes rows; the contents that they need came before.
    pub(super) fn rows(&mut self, rows: IncomingMailbox) -> Result<(), StoreError> {
        self.rows_bytes += batch_size_bytes(&rows);
        self.rows.push(rows);
        let waiting_max =
            if self.segment.is_some() { ROWS_WAITING_BYTES_MAX } else { ROWS_BYTES_MAX };
        if self.rows_bytes < waiting_max { Ok(()) } else { self.hand_over() }
    }

    /// Makes everything durable that has come.
    pub(super) fn flush(&mut self) -> Result<(), StoreError> {
        self.hand_over()?;
        self.worker.as_mut().map_or(Ok(()), Worker::finish)
    }

    /// Forgets what is not handed over, and waits for what is.
    pub(super) fn discard(&mut self) {
        self.small.clear();
        self.small_bytes = 0;
        self.segment = None;
        self.rows.clear();
        self.rows_bytes = 0;
        if let Some(mut worker) = self.worker.take() {
            // Whoever discards does so after an error, or before anything was sent.
            drop(worker.finish());
        }
    }

    /// Writes a run into the private segment, which is ended once it is full.
    fn write(&mut self, mut run: ContentRun) -> Result<(), StoreError> {
        let shared = self.store.shared()?;
        let segment = match &mut self.segment {
            Some(segment) => segment,
            none => none.insert(begin(&shared)?),
        };
        let name = file_name(segment.id());
        segment.append(&mut run).map_err(filling("writing", name))?;
        let full = segment.len_bytes() >= shared.options.segment_bytes
            || segment.records().len() >= RECORDS_MAX;
        if full { self.hand_over() } else { Ok(()) }
    }

    /// Hands everything over that has come.
    fn hand_over(&mut self) -> Result<(), StoreError> {
        let rows = std::mem::take(&mut self.rows);
        self.rows_bytes = 0;
        let mut groups = groups(rows).into_iter();
        let first = groups.next().unwrap_or_default();
        if let Some(segment) = self.segment.take() {
            self.pass(Step::Segment(segment, first))?;
        } else {
            let runs = std::mem::take(&mut self.small);
            self.small_bytes = 0;
            if !runs.is_empty() || !first.is_empty() {
                self.pass(Step::Batch(runs, first))?;
            }
        }
        groups.try_for_each(|rows| self.pass(Step::Batch(Vec::new(), rows)))
    }

    /// Passes a step to the thread, or takes it here if it is a small one and there is no thread.
    fn pass(&mut self, step: Step) -> Result<(), StoreError> {
        let shared = self.store.shared()?;
        match (&mut self.worker, &step) {
            (None, Step::Batch(..)) => step.commit(&shared),
            (worker, _) => worker.get_or_insert_with(|| Worker::start(shared)).pass(step),
        }
    }
}

impl Drop for Intake {
    fn drop(&mut self) {
        self.discard();
    }
}

fn begin(shared: &Arc<Shared>) -> Result<PrivateSegment, StoreError> {
    let (after, wall_us) = (shared.progress.acknowledged(), shared.clock.wall_us());
    let numbers = &shared.segment_numbers;
    PrivateSegment::create(&shared.disk, numbers, shared.shape, after, wall_us)
        .map_err(filling("making", file_name(numbers.last())))
}

/// Splits rows, in their order, into groups that fit into the log.
fn groups(rows: Vec<IncomingMailbox>) -> Vec<Vec<IncomingMailbox>> {
    let mut groups: Vec<Vec<IncomingMailbox>> = Vec::new();
    let mut bytes = 0;
    for batch in rows {
        let more = batch_size_bytes(&batch);
        match groups.last_mut() {
            Some(group) if bytes + more <= ROWS_BYTES_MAX => group.push(batch),
            _ => {
                groups.push(vec![batch]);
                bytes = 0;
            }
        }
        bytes += more;
    }
    groups
}
