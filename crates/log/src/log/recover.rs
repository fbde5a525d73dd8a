//! Opening a log: what it holds, where it ends, and a new generation after that.

use std::sync::Arc;

use super::chain::{self, Found, Generation};
use super::header::Seal;
use super::read::{End, Range, Record, Visit, Visitor, chain_gap, visit_generation};
use super::scan::{Place, Tail, find_tail, lsn_at};
use super::writer::Shape;
use super::{Log, LogOptions};
use crate::clock::Clock;
use crate::disk::{Disk, FileName, OpenMode, SyncKind};
use crate::error::LogError;
use crate::lsn::Lsn;

/// What an opening found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Recovered {
    /// Records that were visited and accepted.
    pub records: u64,
    /// Where the log goes on. All that were recovered lie below.
    pub end_lsn: Lsn,
    /// The newest record, which may be the mark that ends a generation; [`Lsn::ZERO`] if none.
    pub last_lsn: Lsn,
    /// Bytes after the last record that were written and do not count.
    pub torn_bytes: u64,
    /// Generations that were read.
    pub generations: u64,
}

/// The newest generation, read.
struct Head {
    bytes: Vec<u8>,
    tail: Tail,
}

/// Where the log ends, and what was read on the way.
struct Replayed {
    /// Index in the chain of the generation that it ends in.
    index: usize,
    place: Place,
    records: u64,
    generations: u64,
    torn_bytes: u64,
}

/// A log as it was read.
pub(crate) struct Reading {
    found: Found,
    head: Head,
    replayed: Replayed,
}

/// Reads the log in folder `dir`, which must be whole; shows `visit` the records from `from` on.
pub(crate) fn read_all(
    disk: &dyn Disk,
    dir: &FileName,
    identity: [u8; 16],
    from: Lsn,
    visit: Visitor<'_>,
) -> Result<Reading, LogError> {
    let mut found = chain::find(disk, dir, identity)?;
    if found.chain.is_empty() {
        return Err(LogError::Absent { dir: dir.clone() });
    }
    check_covered(&mut found, from)?;
    let head = read_head(disk, &found.chain, from)?;
    let replayed = replay(disk, &found.chain, &head, from, visit)?;
    Ok(Reading { found, head, replayed })
}

impl Log {
    /// Opens the log in folder `dir` of the store `identity` and shows `visit` the records from
    /// `from` on, oldest first; [`Lsn::ZERO`] stands for the first record ever written.
    ///
    /// A torn tail is cut off. The generation found last is sealed where its records end: what
    /// anybody writes there later is never read. A new generation of `epoch` begins. When this
    /// returns, all that was visited is durable, also what no sync had reached before.
    ///
    /// # Errors
    ///
    /// - [`LogError::Damaged`]: a record that was acknowledged, or that later ones build on, is not
    ///   there as it was written. [`LogError::Gap`]: `from` is not in the log.
    /// - [`LogError::StaleEpoch`]: `epoch` is not above all that were here before, or another owner
    ///   has come to it too.
    /// - [`LogError::Stopped`]: the visitor said so.
    /// - [`LogError::Absent`], [`LogError::Foreign`], [`LogError::Version`], [`LogError::Options`],
    ///   [`LogError::NoSpace`], [`LogError::Io`].
    ///
    /// No record that counts was changed then, and the log can be opened again, with a new epoch.
    #[expect(clippy::too_many_arguments, reason = "each is a thing of its own, named at the call")]
    pub fn open(
        disk: Arc<dyn Disk>,
        dir: FileName,
        identity: [u8; 16],
        epoch: u64,
        clock: Arc<dyn Clock>,
        options: LogOptions,
        from: Lsn,
        visit: &mut dyn FnMut(Record<'_>) -> Visit,
    ) -> Result<(Log, Recovered), LogError> {
        options.check()?;
        let shape = Shape { disk, dir, identity, epoch };
        shape.check_epoch(&chain::list(&*shape.disk, &shape.dir)?)?;
        let Reading { found, head, replayed } =
            read_all(&*shape.disk, &shape.dir, identity, from, visit)?;
        make_durable(&*shape.disk, &found.chain, &head, &replayed)?;
        let mut chain = found.chain;
        chain.truncate(replayed.index + 1);
        let seal = seal_last(&mut chain, replayed.place);
        let id = shape.next_id(&found.all)?;
        let last_lsn = replayed.place.prev_lsn;
        let begun = shape.begin(id, Some(seal), last_lsn, last_lsn, &*clock, &options)?;
        let log = Log::assemble(shape, clock, options, chain, begun);
        let Replayed { records, generations, torn_bytes, .. } = replayed;
        let end_lsn = log.end();
        Ok((log, Recovered { records, end_lsn, last_lsn, torn_bytes, generations }))
    }
}

fn check_covered(found: &mut Found, from: Lsn) -> Result<(), LogError> {
    if chain::covers(&found.chain, from) {
        return Ok(());
    }
    let beyond = found.chain.first().is_some_and(|oldest| from > oldest.header.first_lsn());
    match found.end_cause.take() {
        Some(cause) if !beyond => Err(cause),
        _ => Err(chain_gap(&found.chain, from)),
    }
}

/// Reads the newest generation and finds its end, which must lie above all that was acknowledged
/// and not below `from`.
fn read_head(disk: &dyn Disk, chain: &[Generation], from: Lsn) -> Result<Head, LogError> {
    let newest = chain.last().expect("the caller looked");
    let mut bytes = Vec::new();
    newest.read(disk, &mut bytes)?;
    let tail = find_tail(newest.cursor(&bytes), newest.header.durable_lsn);
    let end_offset = tail.end.offset;
    if tail.acknowledged > tail.end.prev_lsn {
        let cause = format!("{}, and {} was acknowledged", tail.cause.cause(), tail.acknowledged);
        return Err(newest.damaged(end_offset, cause));
    }
    if from.generation() == newest.number() && from.offset() as usize > end_offset {
        let end = lsn_at(newest.number(), end_offset);
        let cause = format!("the records end at {end}, so that some that existed are lost");
        return Err(LogError::Gap { from, cause });
    }
    Ok(Head { bytes, tail })
}

/// Shows all records from `from` on to `visit`, generation by generation, and finds the end.
fn replay(
    disk: &dyn Disk,
    chain: &[Generation],
    head: &Head,
    from: Lsn,
    visit: Visitor<'_>,
) -> Result<Replayed, LogError> {
    let newest = chain.len() - 1;
    let acknowledged = head.tail.acknowledged;
    let range = Range { from, limit: Lsn::from_u64(u64::MAX), acknowledged, marks: false };
    let torn_bytes = head.tail.torn_size as u64;
    let mut replayed =
        Replayed { index: newest, place: head.tail.end, records: 0, generations: 0, torn_bytes };
    let mut bytes = Vec::new();
    for (index, generation) in chain.iter().enumerate() {
        if generation.number() < from.generation() {
            continue;
        }
        replayed.generations += 1;
        let (bytes, end) = match generation.seal {
            None => (&head.bytes, head.tail.end.offset),
            Some(seal) => {
                generation.read(disk, &mut bytes)?;
                (&bytes, seal.len as usize)
            }
        };
        let mut counting = |record: Record<'_>| {
            let verdict = visit(record);
            replayed.records += u64::from(verdict == Visit::Accept);
            verdict
        };
        if let End::Cut(place) = visit_generation(generation, bytes, end, range, &mut counting)? {
            check_cut(generation, place, acknowledged)?;
            let later = chain[index + 1..].iter().map(|g| g.seal.map_or(0, |seal| seal.len));
            let later_bytes = later.map(u64::from).sum::<u64>();
            replayed.torn_bytes += (end - place.offset) as u64 + later_bytes;
            return Ok(Replayed { index, place, ..replayed });
        }
    }
    Ok(replayed)
}

fn check_cut(generation: &Generation, place: Place, acknowledged: Lsn) -> Result<(), LogError> {
    if lsn_at(generation.number(), place.offset) > acknowledged {
        return Ok(());
    }
    let cause = "what the record there depends on is missing, and it was acknowledged";
    Err(generation.damaged(place.offset, cause))
}

/// Writes the end of the newest generation again and syncs it.
///
/// Its bytes were read, but nothing says that they are durable. They may lie in the page cache
/// alone, and after a sync that failed in the writer they may even count as clean there, so that a
/// mere sync would do nothing. What is known to be acknowledged is left alone. Earlier generations
/// were durable before the one after them began.
fn make_durable(
    disk: &dyn Disk,
    chain: &[Generation],
    head: &Head,
    replayed: &Replayed,
) -> Result<(), LogError> {
    let newest = chain.last().expect("the caller looked");
    let uncertain = head.tail.uncertain_offset..replayed.place.offset;
    if replayed.index + 1 < chain.len() || uncertain.is_empty() {
        return Ok(());
    }
    let on = |source| LogError::Io { name: newest.name.clone(), action: "secure its end", source };
    let file = disk.open(&newest.name, OpenMode::ReadWrite).map_err(on)?;
    let offset = uncertain.start as u64;
    let secured = disk.write_at(file, offset, &head.bytes[uncertain]);
    let secured = secured.and_then(|()| disk.sync(file, SyncKind::All));
    disk.close(file);
    secured.map_err(on)
}

/// States in memory where the last generation of `chain` ends; the next header states it on disk.
fn seal_last(chain: &mut [Generation], place: Place) -> Seal {
    let last = chain.last_mut().expect("the log ends in a generation");
    let len = u32::try_from(place.offset).expect("a generation is at most 16 MiB");
    let seal = Seal { id: last.header.id, len, closing_crc: place.running_crc };
    last.seal = Some(seal);
    seal
}
