//! Reading records back, at recovery and while the log is open.

use super::chain::{self, Generation};
use super::header::HEADER_SIZE;
use super::record::{ALIGNMENT, Decoded, RecordKind};
use super::scan::{GENERATION_SIZE_MAX, Place, lsn_at};
use super::{Log, lock};
use crate::error::LogError;
use crate::lsn::Lsn;

/// A record as a visitor sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Record<'a> {
    /// Where it lies.
    pub lsn: Lsn,
    /// The record before it, of any kind and generation; [`Lsn::ZERO`] if none.
    pub prev_lsn: Lsn,
    /// Where the next one lies, unless that begins a generation. Reading from here on gives what
    /// follows, either way.
    pub end: Lsn,
    /// Wall clock of the writer, in microseconds since 1970.
    pub wall_us: i64,
    /// What was appended.
    pub payload: &'a [u8],
    /// Whether it is only the mark that ends a generation. [`Log::read_chain`] alone shows these.
    pub is_mark: bool,
    /// Whether the log says that it was acknowledged. If not, it may have been nevertheless: the
    /// newest acknowledgements are in no record.
    pub acknowledged: bool,
}

/// What a visitor makes of a record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Visit {
    /// It is good; the next one, please.
    Accept,
    /// What it depends on is missing: the log ends before it. At recovery the record and all later
    /// ones are cut off, which is legal only if it was not acknowledged. In [`Log::read_from`] the
    /// reading just ends.
    CutHere,
    /// The reading fails for this reason, and nothing is changed.
    Stop(String),
}

/// What visits records.
pub(crate) type Visitor<'a> = &'a mut dyn FnMut(Record<'_>) -> Visit;

/// Where a generation's reading ended early.
pub(crate) enum End {
    /// It did not: all of it was read.
    Whole,
    /// Before the record at this place, by the visitor's wish.
    Cut(Place),
    /// Before the record at this place, which is above the limit.
    Limit,
}

/// Which records of a generation are visited, and how.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Range {
    /// Records below are read and checked only.
    pub(crate) from: Lsn,
    /// Records above are not read.
    pub(crate) limit: Lsn,
    /// Records above were perhaps not acknowledged.
    pub(crate) acknowledged: Lsn,
    /// Whether marks that end generations are shown too.
    pub(crate) marks: bool,
}

/// Reads `generation` in `bytes` up to `end_offset`, where it is known to end, and shows `visit`
/// the records in `range`. Every record up to there must be whole.
pub(crate) fn visit_generation(
    generation: &Generation,
    bytes: &[u8],
    end_offset: usize,
    range: Range,
    visit: Visitor<'_>,
) -> Result<End, LogError> {
    let counted = bytes.get(..end_offset).ok_or_else(|| {
        let cause = format!("the file ends before the {end_offset} bytes that count");
        generation.damaged(bytes.len(), cause)
    })?;
    let mut cursor = generation.cursor(counted);
    while cursor.place().offset < end_offset {
        let place = cursor.place();
        let lsn = lsn_at(generation.number(), place.offset);
        if lsn > range.limit {
            return Ok(End::Limit);
        }
        let record = cursor.next_record();
        let record = record.map_err(|no| generation.damaged(place.offset, no.cause()))?;
        if !is_visited(generation, &record, range)? {
            continue;
        }
        match visit(shown(&record, cursor.place().offset, range.acknowledged)) {
            Visit::Accept => {}
            Visit::CutHere => return Ok(End::Cut(place)),
            Visit::Stop(reason) => return Err(LogError::Stopped { lsn, reason }),
        }
    }
    match generation.seal {
        Some(seal) if seal.closing_crc != cursor.place().running_crc => {
            let cause = "the next generation states another checksum over its records";
            Err(generation.damaged(HEADER_SIZE, cause))
        }
        _ => Ok(End::Whole),
    }
}

/// Whether the record is the caller's and not below `from`, which must not lie inside a record.
fn is_visited(generation: &Generation, record: &Decoded, range: Range) -> Result<bool, LogError> {
    let from = range.from;
    let lsn = record.fields.lsn;
    let inside = lsn.offset() as usize + record.size;
    if lsn < from && from.generation() == generation.number() && (from.offset() as usize) < inside {
        let cause = format!("no record begins there, but one lies across it from {lsn} on");
        return Err(LogError::Gap { from, cause });
    }
    let kind = range.marks || record.fields.kind == RecordKind::Data;
    Ok(kind && lsn >= from)
}

/// The record, whose file goes on at `end`.
pub(crate) fn shown<'a>(record: &Decoded<'a>, end: usize, acknowledged: Lsn) -> Record<'a> {
    let fields = &record.fields;
    Record {
        lsn: fields.lsn,
        prev_lsn: fields.prev_lsn,
        end: lsn_at(fields.lsn.generation(), end.min(GENERATION_SIZE_MAX - ALIGNMENT)),
        wall_us: fields.wall_us,
        payload: record.payload,
        is_mark: fields.kind == RecordKind::Close,
        acknowledged: fields.lsn <= acknowledged,
    }
}

impl Log {
    /// Reads the durable records from `from` on, while others append. [`Lsn::ZERO`] begins with the
    /// oldest record there is. Returns how many records were accepted.
    ///
    /// # Errors
    ///
    /// [`LogError::Gap`] if records from `from` on were released, [`LogError::Damaged`],
    /// [`LogError::Stopped`], [`LogError::Io`].
    pub fn read_from(
        &self,
        from: Lsn,
        visit: &mut dyn FnMut(Record<'_>) -> Visit,
    ) -> Result<u64, LogError> {
        let _pin = self.pin(from);
        let durable = self.durable();
        let (chain, end_offset) = {
            let tail = lock(&self.tail);
            (lock(&self.chain).clone(), tail.place.offset)
        };
        if from > Lsn::ZERO && !chain::covers(&chain, from) {
            return Err(chain_gap(&chain, from));
        }
        let range = Range { from, limit: durable, acknowledged: durable, marks: false };
        let mut records = 0;
        let mut counting = |record: Record<'_>| {
            let verdict = visit(record);
            records += u64::from(verdict == Visit::Accept);
            verdict
        };
        let mut bytes = Vec::new();
        for generation in chain.iter().filter(|g| g.number() >= from.generation()) {
            generation.read(&*self.shape.disk, &mut bytes)?;
            let end = generation.seal.map_or(end_offset, |seal| seal.len as usize);
            match visit_generation(generation, &bytes, end, range, &mut counting)? {
                End::Whole => {}
                End::Cut(_) | End::Limit => break,
            }
        }
        Ok(records)
    }

    /// The position that [`Log::read_from`] can begin at and at which the oldest record lies or
    /// will lie.
    #[must_use]
    pub fn first(&self) -> Lsn {
        lock(&self.chain).first().map_or(Lsn::ZERO, |oldest| oldest.header.first_lsn())
    }
}

/// What to say when `from` is not in `chain`.
pub(crate) fn chain_gap(chain: &[Generation], from: Lsn) -> LogError {
    let oldest = chain.first().map_or(Lsn::ZERO, |oldest| oldest.header.first_lsn());
    let newest = chain.last().map_or(Lsn::ZERO, |newest| newest.header.first_lsn());
    let cause = if from < oldest {
        format!("the oldest generation here begins at {oldest}")
    } else if from > newest {
        format!("the newest generation here begins at {newest}")
    } else {
        "that generation was cut off by a recovery and never counted".to_owned()
    };
    LogError::Gap { from, cause }
}
