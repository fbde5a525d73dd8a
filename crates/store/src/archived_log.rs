//! The log as an archive takes it: every record as it was written, and the bodies that it put.

use std::collections::VecDeque;
use std::sync::{Arc, Weak};

use rehome_log::{Lsn, Pin, Record, Visit};
use serde::{Deserialize, Serialize};

use crate::catalog::View;
use crate::content_run::ContentRun;
use crate::engine::Engine;
use crate::error::StoreError;
use crate::model::{ContentId, Extent};
use crate::op::{Group, Op};
use crate::segment::Segments;

/// Bytes of bodies handed out at once, at most, but for a single larger one.
const RUN_BYTES: u32 = 1 << 20;

/// A record of a store's log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogRecord {
    /// Where it lay.
    pub lsn: Lsn,
    /// The record before it in the log, of any kind; [`Lsn::ZERO`] if none. By this a reader of an
    /// archive knows that no record is missing.
    pub prev_lsn: Lsn,
    /// Wall clock of the store when it was written, in microseconds since 1970.
    pub wall_us: i64,
    /// Its payload, byte for byte (`docs/format/store.md`, *Group*); empty for the mark that ends a
    /// generation.
    pub payload: Vec<u8>,
}

impl LogRecord {
    /// Whether it is only the mark that ends a generation.
    #[must_use]
    pub fn is_mark(&self) -> bool {
        self.payload.is_empty()
    }

    /// The contents that it puts, in order, each with its length in bytes. A replay needs their
    /// bodies before the record.
    ///
    /// # Errors
    ///
    /// [`StoreError::Damaged`] if the payload is no group.
    pub fn contents(&self) -> Result<Vec<(ContentId, u64)>, StoreError> {
        let put = |op: &Op| match op {
            Op::PutContent { content, size_bytes, .. } => Some((*content, *size_bytes)),
            _ => None,
        };
        Ok(self.group()?.ops.iter().filter_map(put).collect())
    }

    /// What it tells the catalog to do.
    pub(crate) fn group(&self) -> Result<Group, StoreError> {
        if self.is_mark() {
            return Ok(Group::default());
        }
        Group::of_record(self.lsn, &self.payload)
    }
}

/// Reads a part of a store's log. It is no handle of the store: when that is closed, reading ends
/// with [`StoreError::Closed`].
pub struct LogReader {
    engine: Weak<Engine>,
    segments: Arc<Segments>,
    /// The last record handed out or read over.
    last: Lsn,
    until: Lsn,
    pin: Pin,
    /// What was read and not handed out, and the catalog after all of it.
    records: VecDeque<LogRecord>,
    view: Option<View>,
}

impl std::fmt::Debug for LogReader {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut debug = f.debug_struct("LogReader");
        debug.field("last", &self.last).field("until", &self.until).finish_non_exhaustive()
    }
}

impl LogReader {
    pub(crate) fn begin(
        engine: &Arc<Engine>,
        after: Lsn,
        until: Lsn,
    ) -> Result<LogReader, StoreError> {
        let shared = engine.shared()?;
        let settled = shared.keeping.settled(shared.progress.acknowledged());
        if until > settled {
            return Err(StoreError::NotAcknowledged { lsn: until, acknowledged: settled });
        }
        let pin = shared.log.pin_for(after, "archiver");
        if !shared.log.reaches_back_to(after) {
            return Err(StoreError::NamesGap { since: after, first: shared.log.first() });
        }
        Ok(LogReader {
            engine: Arc::downgrade(engine),
            segments: Arc::clone(&shared.segments),
            last: after,
            until: until.max(after),
            pin,
            records: VecDeque::new(),
            view: None,
        })
    }

    /// The LSN up to which it reads: what [`Store::archived_until`](crate::Store::archived_until)
    /// may be told when all was read and is durable elsewhere.
    #[must_use]
    pub fn until(&self) -> Lsn {
        self.until
    }

    /// The next record; none behind the last.
    ///
    /// # Errors
    ///
    /// [`StoreError::Damaged`] with the place, [`StoreError::Io`], [`StoreError::Closed`].
    pub fn next_record(&mut self) -> Result<Option<LogRecord>, StoreError> {
        if self.records.is_empty() && self.last < self.until {
            self.fill()?;
        }
        Ok(self.records.pop_front())
    }

    /// Hands the bodies that `record`, the last one read, puts to `visit`, in order, as runs of
    /// body records. They are where the record put them or where a compaction has brought them
    /// since.
    ///
    /// # Errors
    ///
    /// [`StoreError::NoSuchContent`] if one was given up, which does not happen to what an archived
    /// log has and its archive lacks; [`StoreError::Damaged`], [`StoreError::Io`]; and what `visit`
    /// says.
    pub fn bodies(
        &self,
        record: &LogRecord,
        visit: &mut dyn FnMut(ContentRun) -> Result<(), StoreError>,
    ) -> Result<(), StoreError> {
        let Some(view) = &self.view else { return Ok(()) };
        let mut runs = Runs::new(&self.segments, visit);
        for (content, _) in record.contents()? {
            let found = view.find_content(&content)?;
            let (_, row) = found.ok_or(StoreError::NoSuchContent { content })?;
            runs.add(content, row.extent)?;
        }
        runs.flush()
    }

    /// Reads on, one generation at a time.
    fn fill(&mut self) -> Result<(), StoreError> {
        let shared = self.engine.upgrade().ok_or(StoreError::Closed)?.shared()?;
        let (after, mut generation) = (self.last, None);
        let (records, last) = (&mut self.records, &mut self.last);
        shared.log.read_chain(after, self.until, &mut |record: Record<'_>| {
            if *generation.get_or_insert(record.lsn.generation()) != record.lsn.generation() {
                return Visit::CutHere;
            }
            let Record { lsn, prev_lsn, wall_us, payload, .. } = record;
            records.push_back(LogRecord { lsn, prev_lsn, wall_us, payload: payload.to_vec() });
            *last = lsn;
            Visit::Accept
        })?;
        if self.records.is_empty() {
            self.last = self.until;
        }
        self.pin = shared.log.pin_for(self.last, "archiver");
        self.view = Some(shared.view()?);
        Ok(())
    }
}

/// Reads body records that lie behind each other at once.
pub(crate) struct Runs<'a> {
    segments: &'a Segments,
    visit: &'a mut dyn FnMut(ContentRun) -> Result<(), StoreError>,
    next: Option<Extent>,
    contents: Vec<ContentId>,
}

impl<'a> Runs<'a> {
    pub(crate) fn new(
        segments: &'a Segments,
        visit: &'a mut dyn FnMut(ContentRun) -> Result<(), StoreError>,
    ) -> Runs<'a> {
        Runs { segments, visit, next: None, contents: Vec::new() }
    }

    /// Adds the content at `extent`.
    pub(crate) fn add(&mut self, content: ContentId, extent: Extent) -> Result<(), StoreError> {
        if let Some(next) = &mut self.next
            && next.segment == extent.segment
            && next.offset + u64::from(next.len) == extent.offset
            && next.len.saturating_add(extent.len) <= RUN_BYTES
        {
            next.len += extent.len;
        } else {
            self.flush()?;
            self.next = Some(extent);
        }
        self.contents.push(content);
        Ok(())
    }

    /// Reads what was added and hands it out.
    pub(crate) fn flush(&mut self) -> Result<(), StoreError> {
        let Some(extent) = self.next.take() else { return Ok(()) };
        let run = self.segments.run(extent.segment, extent.offset, extent.len)?;
        let contents = std::mem::take(&mut self.contents);
        if !run.records().iter().map(|record| record.content).eq(contents) {
            return Err(StoreError::Damaged {
                place: format!("segment {} at byte {}", extent.segment, extent.offset),
                cause: "other contents are here".to_owned(),
                remedy: "check the store",
            });
        }
        (self.visit)(run)
    }
}
