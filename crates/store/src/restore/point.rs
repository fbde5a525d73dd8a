//! A store as it was at a moment: a base, and the archived log from there to that moment.

use std::collections::BTreeMap;
use std::io::Read;
use std::sync::Arc;

use rehome_log::{Clock, Disk, LogOptions, Lsn, Ownership};
use serde::{Deserialize, Serialize};

use super::encoded;
use super::kept::{self, Look, note_sealed};
use super::log::RestoredLog;
use super::placed::PlacedBodies;
use crate::archived_log::LogRecord;
use crate::base::{self, Header, Maker, RowWriter};
use crate::catalog::{ContentRow, MetaRow, SegmentRow, pack, unpack};
use crate::content_run::ContentRun;
use crate::error::StoreError;
use crate::flow::Flow;
use crate::model::ContentId;
use crate::op::{Group, Op};
use crate::open::{self, log_options};
use crate::options::{OpenOptions, RestoreMarker};
use crate::segment::Shape;
use crate::tree::Table;

/// The moment to be restored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum RestorePoint {
    /// After this record and all before it.
    Lsn(Lsn),
    /// Before the first record that was written later than this, in microseconds since 1970 by the
    /// clock of the store that wrote it. The order of records is that of their LSNs: a clock that
    /// was set back does not bring back what follows.
    WallUs(i64),
    /// After the last record replayed.
    End,
}

/// What became of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Replayed {
    /// It is in the store.
    Applied,
    /// The base has it already.
    InBase,
    /// It lies behind the moment; so do all that follow.
    Beyond,
}

/// What was restored.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RestoredTo {
    /// Opens the store.
    pub marker: RestoreMarker,
    /// The last record of the old log that is in it. The moment asked for may lie behind it: then
    /// there were no more records.
    pub until: Lsn,
}

/// Writes a store as another one was at a moment, from a base of that store and its archived log.
///
/// Rows, numbers, modseqs, and what can be had back are what they were; bodies lie elsewhere, and
/// the log is another one. The new store has an identity of its own (unless the options give it
/// one), a circular log, and LSNs above those of the old store that it was told of: it is another
/// history, and no file of the old log is ever read as its own.
///
/// The order of calls: [`put_run`](PointRestore::put_run) for what
/// [`Snapshot::every_body`](crate::Snapshot::every_body) gave, [`put_base`](PointRestore::put_base)
/// for what [`Snapshot::write_base`](crate::Snapshot::write_base) wrote; then for each record above
/// it, in order, its bodies and [`replay`](PointRestore::replay); then
/// [`finish`](PointRestore::finish). Memory grows by about 64 bytes for each content.
pub struct PointRestore {
    disk: Arc<dyn Disk>,
    clock: Arc<dyn Clock>,
    options: OpenOptions,
    shape: Shape,
    point: RestorePoint,
    above: Lsn,
    bodies: PlacedBodies,
    /// Bytes of the bodies that an earlier attempt has written.
    kept_bytes: u64,
    /// Once the base is there: the log, and the last record of the old one that was replayed.
    replay: Option<Replay>,
    _ownership: Ownership,
}

struct Replay {
    log: RestoredLog,
    base: Lsn,
    last: Lsn,
}

impl std::fmt::Debug for PointRestore {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PointRestore").field("point", &self.point).finish_non_exhaustive()
    }
}

impl PointRestore {
    /// Begins a store in the disk's empty root folder. `above` is the highest LSN of the old store
    /// that is known; all of the new store's lie above it.
    ///
    /// # Errors
    ///
    /// [`StoreError::StoreExists`], [`StoreError::Locked`], [`StoreError::Io`].
    pub fn create(
        disk: Arc<dyn Disk>,
        clock: Arc<dyn Clock>,
        options: OpenOptions,
        point: RestorePoint,
        above: Lsn,
    ) -> Result<PointRestore, StoreError> {
        let (ownership, shape) = open::begin(&disk, &*clock, &options)?;
        note_sealed(&*disk, 0)?;
        open::give_birth(&*disk)?;
        let restore = PointRestore::of(disk, clock, options, ownership, shape);
        Ok(PointRestore { point, above, ..restore })
    }

    /// Goes on with a restore into the disk's root folder that was cut short; begins one if there
    /// is none. Segments that are durable and whole stay: their bodies need not be put again. Base
    /// and records are to be put again, all of them. `progress` hears how many bytes were read
    /// back.
    ///
    /// # Errors
    ///
    /// [`StoreError::StoreExists`] if the store in the folder is written, or of another identity;
    /// [`StoreError::Stopped`] if `progress` says so; and as [`PointRestore::create`].
    pub fn resume(
        disk: Arc<dyn Disk>,
        clock: Arc<dyn Clock>,
        options: OpenOptions,
        point: RestorePoint,
        above: Lsn,
        progress: &mut dyn FnMut(u64) -> Flow,
    ) -> Result<PointRestore, StoreError> {
        let Some((ownership, shape, sealed)) = open::begin_again(&disk, &options)? else {
            return PointRestore::create(disk, clock, options, point, above);
        };
        // What the moment does not need lies in segments as what was given up does.
        let mut look = Look { wanted: &|_| true, progress };
        let kept = kept::look(&disk, shape.store_id, sealed, &mut look)?;
        let mut restore = PointRestore::of(disk, clock, options, ownership, shape);
        restore.kept_bytes = restore.bodies.keep(kept, sealed);
        Ok(PointRestore { point, above, ..restore })
    }

    fn of(
        disk: Arc<dyn Disk>,
        clock: Arc<dyn Clock>,
        options: OpenOptions,
        ownership: Ownership,
        shape: Shape,
    ) -> PointRestore {
        let bodies = PlacedBodies::new(&disk, &clock, shape, options.segment_bytes);
        PointRestore {
            disk,
            clock,
            options,
            shape,
            point: RestorePoint::End,
            above: Lsn::ZERO,
            bodies,
            kept_bytes: 0,
            replay: None,
            _ownership: ownership,
        }
    }

    /// Bytes of the bodies that an earlier attempt has written.
    #[must_use]
    pub fn kept_bytes(&self) -> u64 {
        self.kept_bytes
    }

    /// The contents whose bodies are there.
    pub fn contents(&self) -> impl Iterator<Item = &ContentId> {
        self.bodies.contents()
    }

    /// Whether the body is there.
    #[must_use]
    pub fn has(&self, content: &ContentId) -> bool {
        self.bodies.place(*content).is_ok()
    }

    /// Identity of the store that is being made.
    #[must_use]
    pub fn store_id(&self) -> [u8; 16] {
        self.shape.store_id
    }

    /// Makes the bodies durable that were put so far; a restore that is cut short later on keeps
    /// them.
    ///
    /// # Errors
    ///
    /// As [`PointRestore::put_run`].
    pub fn settle(&mut self) -> Result<(), StoreError> {
        self.bodies.seal()
    }

    /// Writes bodies. One that was written before is passed over.
    ///
    /// # Errors
    ///
    /// [`StoreError::DiskFull`], [`StoreError::Io`]. After an error there is no use in going on.
    pub fn put_run(&mut self, run: &ContentRun) -> Result<(), StoreError> {
        self.bodies.put(run.bytes())
    }

    /// Writes one body from its bytes.
    ///
    /// # Errors
    ///
    /// [`StoreError::TooLarge`], and as [`PointRestore::put_run`].
    pub fn put_body(&mut self, body: &[u8]) -> Result<(), StoreError> {
        self.bodies.put(&encoded(body, None, self.options.pack_over_bytes)?)
    }

    /// Writes a body that was decompressed from `zstd_frame`, which is kept as it is, unless
    /// nothing is to be packed.
    ///
    /// # Errors
    ///
    /// As [`PointRestore::put_body`].
    pub fn put_packed_body(&mut self, body: &[u8], zstd_frame: &[u8]) -> Result<(), StoreError> {
        self.bodies.put(&encoded(body, Some(zstd_frame), self.options.pack_over_bytes)?)
    }

    /// Writes the rows of a base, whose bodies were all put. Returns its LSN.
    ///
    /// # Errors
    ///
    /// [`StoreError::BaseTooNew`] if it lies behind the moment; [`StoreError::NoSuchContent`] if a
    /// body is missing; [`StoreError::Damaged`] if the base is; and as [`PointRestore::put_run`].
    pub fn put_base(&mut self, base: &mut dyn Read) -> Result<Lsn, StoreError> {
        self.bodies.seal()?;
        let (header, mut whole) = base::peek(base)?;
        let lsn = header.lsn;
        let maker = Maker::begin(&self.disk, self.shape.store_id, lsn)?;
        let mut segments = self.bodies.take_rows();
        // A segment that an earlier attempt has written may hold bodies of the log too, which count
        // with the groups that put them.
        segments.values_mut().for_each(|segment| segment.records = 0);
        let (bodies, mut applied) = (&self.bodies, lsn);
        maker.fill(|rows| {
            applied = rewrite(&mut whole, rows, bodies, &mut segments)?;
            Ok(true)
        })?;
        // The base may be as of a mark that ended a generation after its last group.
        match self.point {
            RestorePoint::Lsn(wanted) if applied > wanted => {
                return Err(StoreError::BaseTooNew { base: applied, wanted });
            }
            _ => self.begin_log(lsn)?,
        }
        Ok(lsn)
    }

    /// Begins the log above all LSNs that are known.
    fn begin_log(&mut self, base: Lsn) -> Result<(), StoreError> {
        let options = LogOptions {
            // Every group of the old log fits into a generation of the greatest length.
            generation_bytes: LogOptions::default().generation_bytes,
            // Nobody waits for a sync: zeros ahead of the records save nothing.
            fill_ahead_bytes: 64 << 10,
            first_generation: base.max(self.above).generation() + 1,
            ..log_options(&self.options)
        };
        let mut log = RestoredLog::create(&self.disk, &self.clock, self.shape, options)?;
        log.follow_base(base, &base::hash(&self.disk, base)?);
        self.replay = Some(Replay { log, base, last: base });
        Ok(())
    }

    /// Whether `record` is to be replayed: it lies behind the base and not behind the moment. If
    /// not, its bodies are not needed.
    #[must_use]
    pub fn wants(&self, record: &LogRecord) -> bool {
        let verdict = self.replay.as_ref().map(|replay| replay.verdict(self.point, record));
        verdict == Some(Replayed::Applied)
    }

    /// Does what a record of the old log says, marks included, unless the base has it already or it
    /// lies behind the moment. All bodies that it puts were put before.
    ///
    /// # Errors
    ///
    /// [`StoreError::ReplayGap`] if a record before it is missing, or it is of another log;
    /// [`StoreError::NoSuchContent`] if a body is missing; [`StoreError::Damaged`]; and as
    /// [`PointRestore::put_run`].
    pub fn replay(&mut self, record: &LogRecord) -> Result<Replayed, StoreError> {
        let Some(replay) = &mut self.replay else { return Err(no_base()) };
        let verdict = replay.verdict(self.point, record);
        if verdict != Replayed::Applied {
            return Ok(verdict);
        }
        let follows = if replay.last == replay.base {
            record.prev_lsn <= replay.base
        } else {
            record.prev_lsn == replay.last
        };
        if !follows {
            let (last, found, before) = (replay.last, record.lsn, record.prev_lsn);
            return Err(StoreError::ReplayGap { last, found, before });
        }
        let group = translate(record.group()?, &mut self.bodies)?;
        replay.log.append(&group)?;
        replay.last = record.lsn;
        Ok(verdict)
    }

    /// Makes everything durable and states that it is complete. The marker opens the store.
    ///
    /// # Errors
    ///
    /// [`StoreError::Damaged`] if no base was put; and as [`PointRestore::put_run`].
    pub fn finish(mut self) -> Result<RestoredTo, StoreError> {
        self.bodies.seal()?;
        let Some(mut replay) = self.replay.take() else { return Err(no_base()) };
        let ops = self.bodies.take_seals().collect();
        replay.log.append(&Group { ranges: Vec::new(), ops })?;
        let (marker, until) = (replay.log.finish()?, replay.last);
        Ok(RestoredTo { marker, until })
    }
}

impl Replay {
    fn verdict(&self, point: RestorePoint, record: &LogRecord) -> Replayed {
        let beyond = match point {
            RestorePoint::Lsn(until) => record.lsn > until,
            RestorePoint::WallUs(until) => record.wall_us > until && !record.is_mark(),
            RestorePoint::End => false,
        };
        if record.lsn <= self.base {
            return Replayed::InBase;
        }
        if beyond { Replayed::Beyond } else { Replayed::Applied }
    }
}

fn no_base() -> StoreError {
    StoreError::Damaged {
        place: "a restore to a moment".to_owned(),
        cause: "it has no base".to_owned(),
        remedy: "put the base before the log",
    }
}

/// The group with the places that its bodies have here. What it says about places in the old
/// store's segments means nothing here.
fn translate(group: Group, bodies: &mut PlacedBodies) -> Result<Group, StoreError> {
    let mut ops: Vec<Op> = bodies.take_seals().collect();
    for op in group.ops {
        match op {
            Op::PutContent { number, content, size_bytes, .. } => {
                let extent = bodies.place(content)?;
                ops.push(Op::PutContent { number, content, extent, size_bytes });
            }
            Op::MoveContent { .. } | Op::SealSegment { .. } | Op::DropSegment { .. } => {}
            other => ops.push(other),
        }
    }
    Ok(Group { ranges: Vec::new(), ops })
}

/// Copies the rows of a base with the places that its bodies have here; returns the last group in
/// it.
fn rewrite(
    source: &mut dyn Read,
    rows: &mut RowWriter<'_>,
    bodies: &PlacedBodies,
    segments: &mut BTreeMap<u32, SegmentRow>,
) -> Result<Lsn, StoreError> {
    let (mut told, mut applied) = (false, Lsn::ZERO);
    let mut admit = |_: &Header| true;
    base::read_stream(source, "the base", &mut admit, &mut |table, key, value| {
        if table as u8 >= Table::Segment as u8 && !told {
            told = true;
            put_segments(rows, segments)?;
        }
        match table {
            Table::Segment => Ok(()),
            Table::Meta => {
                applied = unpack::<MetaRow>(table, key, value)?.applied;
                rows.put(table, key, value).map(drop)
            }
            Table::Content => {
                let mut row: ContentRow = unpack(table, key, value)?;
                row.extent = bodies.place(row.content)?;
                if let Some(segment) = segments.get_mut(&row.extent.segment) {
                    let is_live = row.dead_since.is_none();
                    segment.records += 1;
                    segment.live_bytes += if is_live { u64::from(row.extent.len) } else { 0 };
                }
                rows.put(table, key, &pack(&row)).map(drop)
            }
            _ => rows.put(table, key, value).map(drop),
        }
    })?;
    if !told {
        put_segments(rows, segments)?;
    }
    Ok(applied)
}

fn put_segments(
    rows: &mut RowWriter<'_>,
    segments: &BTreeMap<u32, SegmentRow>,
) -> Result<(), StoreError> {
    for (id, row) in segments {
        rows.put(Table::Segment, &id.to_be_bytes(), &pack(row))?;
    }
    Ok(())
}
