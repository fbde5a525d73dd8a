//! What an archiver needs: which generations are closed, every record as it is, what keeps the log.

use super::chain::Generation;
use super::header::HEADER_SIZE;
use super::read::{End, Range, Record, Visit, chain_gap, visit_generation};
use super::{Log, lock};
use crate::error::LogError;
use crate::lsn::Lsn;

/// A generation that takes no more records.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClosedGeneration {
    /// Its number.
    pub number: u64,
    /// Epoch of its writer.
    pub epoch: u64,
    /// Name of its file in the log's folder.
    pub name: String,
    /// The record before its first one, [`Lsn::ZERO`] if there was none.
    pub after: Lsn,
    /// Where its first record lies, if it has any.
    pub first: Lsn,
    /// Its last record, of any kind; `after` if it has none.
    pub last: Lsn,
    /// Bytes up to the end of its last record, with the header.
    pub len_bytes: u64,
    /// When it was begun, in microseconds since 1970.
    pub created_wall_us: i64,
}

impl Log {
    /// The generations that are closed, oldest first.
    #[must_use]
    pub fn closed_generations(&self) -> Vec<ClosedGeneration> {
        let chain = lock(&self.chain);
        let closed = chain.windows(2).map(|pair| {
            let (generation, header) = (&pair[0], &pair[0].header);
            ClosedGeneration {
                number: generation.number(),
                epoch: header.id.epoch,
                name: generation.name.base().to_owned(),
                after: header.prev_lsn,
                first: header.first_lsn(),
                last: pair[1].header.prev_lsn,
                len_bytes: generation.seal.map_or(0, |seal| u64::from(seal.len)),
                created_wall_us: header.created_wall_us,
            }
        });
        closed.collect()
    }

    /// Whether the generation being written has no record yet.
    #[must_use]
    pub fn generation_is_empty(&self) -> bool {
        lock(&self.tail).place.offset == HEADER_SIZE
    }

    /// Bytes of the generations that hold records above `lsn`, without what is filled in or
    /// prepared ahead.
    #[must_use]
    pub fn bytes_above(&self, lsn: Lsn) -> u64 {
        let (written, newest) = {
            let tail = lock(&self.tail);
            (tail.place.offset as u64, tail.place.prev_lsn)
        };
        let chain = lock(&self.chain);
        let closed = chain.windows(2).filter(|pair| pair[1].header.prev_lsn > lsn);
        let closed = closed.filter_map(|pair| pair[0].seal).map(|seal| u64::from(seal.len));
        let has_any = newest > lsn && written > HEADER_SIZE as u64;
        closed.sum::<u64>() + if has_any { written } else { 0 }
    }

    /// The pins that hold something: whose they are, and the lowest position of each kind.
    #[must_use]
    pub fn pinned(&self) -> Vec<(&'static str, Lsn)> {
        self.pins.lowest_of_each()
    }

    /// Whether all records above `after` are in the log.
    #[must_use]
    pub fn reaches_back_to(&self, after: Lsn) -> bool {
        reaches_back(&lock(&self.chain), after)
    }

    /// Reads every durable record above `after` up to `until`, marks that end generations included,
    /// while others append. Each record's `prev_lsn` is the LSN of the one shown before it; that of
    /// the first is not above `after`. Returns how many records were accepted.
    ///
    /// # Errors
    ///
    /// [`LogError::Gap`] if records above `after` were released, [`LogError::Damaged`],
    /// [`LogError::Stopped`], [`LogError::Io`].
    pub fn read_chain(
        &self,
        after: Lsn,
        until: Lsn,
        visit: &mut dyn FnMut(Record<'_>) -> Visit,
    ) -> Result<u64, LogError> {
        let _pin = self.pin(after);
        let durable = self.durable();
        let (chain, end_offset) = {
            let tail = lock(&self.tail);
            (lock(&self.chain).clone(), tail.place.offset)
        };
        if !reaches_back(&chain, after) {
            return Err(chain_gap(&chain, after));
        }
        let limit = until.min(durable);
        let range = Range { from: Lsn::ZERO, limit, acknowledged: durable, marks: true };
        let mut records = 0;
        let mut above = |record: Record<'_>| {
            if record.lsn <= after {
                return Visit::Accept;
            }
            let verdict = visit(record);
            records += u64::from(verdict == Visit::Accept);
            verdict
        };
        let mut bytes = Vec::new();
        for (index, generation) in chain.iter().enumerate() {
            let last = chain.get(index + 1).map(|next| next.header.prev_lsn);
            if last.is_some_and(|last| last <= after) {
                continue;
            }
            if generation.header.first_lsn() > limit {
                break;
            }
            generation.read(&*self.shape.disk, &mut bytes)?;
            let end = generation.seal.map_or(end_offset, |seal| seal.len as usize);
            match visit_generation(generation, &bytes, end, range, &mut above)? {
                End::Whole => {}
                End::Cut(_) | End::Limit => break,
            }
        }
        Ok(records)
    }
}

fn reaches_back(chain: &[Generation], after: Lsn) -> bool {
    chain
        .first()
        .is_some_and(|oldest| oldest.header.previous.is_none() || oldest.header.prev_lsn <= after)
}
