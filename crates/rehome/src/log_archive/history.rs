//! Whether a set has the log of this history of the store: a store that was put back from a copy of
//! its files has the same identity, and writes other records at places that were archived before.

use std::collections::VecDeque;
use std::sync::Arc;

use rehome_archive::{ArchiveError, LogEntry, LogSegment, SegmentHead, Set, Target};
use rehome_log::Lsn;
use rehome_server::LogStretch;
use rehome_store::{LogPolicy, LogRecord};

use super::LogSource;
use crate::error::Error;

/// The log that the set has up to `archived` is that of `source`. What the store itself has noted
/// as archived is; the records behind that are compared.
pub(super) fn expect_same(
    source: &mut dyn LogSource,
    target: &Arc<dyn Target>,
    archived: Lsn,
) -> Result<(), Error> {
    let last = source.roll()?;
    if archived > last {
        return Err(other_history(format!("the store's log ends at {last}, before that")));
    }
    let LogPolicy::Archived { archived_until, .. } = source.policy()? else {
        return Ok(());
    };
    if archived <= archived_until {
        return Ok(());
    }
    let set = Set::open(Arc::clone(target)).map_err(Error::chain)?;
    let mut own = Own::between(source, archived_until, archived)?;
    for info in set.logs().map_err(Error::chain)? {
        if info.last <= archived_until {
            continue;
        }
        match set.log(&info) {
            Ok(segment) => expect_entries(&segment, &mut own, archived_until)?,
            // Who archives for others cannot read what they can.
            Err(ArchiveError::Locked { .. }) => {
                let head = set.log_head(&info).map_err(Error::chain)?;
                expect_ends(&head, &mut own, archived_until)?;
            }
            Err(error) => return Err(Error::chain(error)),
        }
    }
    Ok(())
}

/// A record of the store, told by the hash of its payload.
#[derive(Clone, Copy)]
struct OwnRecord {
    lsn: Lsn,
    prev_lsn: Lsn,
    wall_us: i64,
    hash: [u8; 32],
}

/// The store's records that are compared.
struct Own(VecDeque<OwnRecord>);

impl Own {
    fn between(source: &mut dyn LogSource, after: Lsn, until: Lsn) -> Result<Own, Error> {
        let mut own = VecDeque::new();
        let stretch = LogStretch { after, until, bodies: false, bytes_max: u64::MAX };
        source.read(stretch, &mut |record, _| {
            let LogRecord { lsn, prev_lsn, wall_us, payload } = record;
            let hash = *blake3::hash(&payload).as_bytes();
            own.push_back(OwnRecord { lsn, prev_lsn, wall_us, hash });
            Ok(())
        })?;
        Ok(Own(own))
    }

    fn next(&mut self) -> Option<OwnRecord> {
        self.0.pop_front()
    }

    /// The first record at `lsn` or behind it.
    fn next_from(&mut self, lsn: Lsn) -> Option<OwnRecord> {
        std::iter::from_fn(|| self.next()).find(|record| record.lsn >= lsn)
    }
}

/// The records of a segment are those of the store.
fn expect_entries(segment: &LogSegment, own: &mut Own, archived_until: Lsn) -> Result<(), Error> {
    for entry in segment.entries(archived_until) {
        let entry = entry.map_err(Error::chain)?;
        if !own.next_from(entry.lsn).is_some_and(|record| is_same(&record, &entry)) {
            return Err(other_history(format!("record {} is another one", entry.lsn)));
        }
    }
    Ok(())
}

/// The store has as many records where a sealed segment has its own, and the first and the last of
/// them were written at the same places and times.
fn expect_ends(head: &SegmentHead, own: &mut Own, archived_until: Lsn) -> Result<(), Error> {
    let other = || other_history(format!("the records from {} to {}", head.after, head.last));
    let first = own.next_from(Lsn::from_u64(head.after.to_u64() + 1)).ok_or_else(other)?;
    let (mut last, mut count) = ((first.lsn, first.wall_us), 1);
    while last.0 < head.last {
        let record = own.next().ok_or_else(other)?;
        (last, count) = ((record.lsn, record.wall_us), count + 1);
    }
    // What the store has noted of the segment is not read again.
    let is_whole = head.after >= archived_until;
    let begins_alike = (first.prev_lsn, first.wall_us) == (head.after, head.first_wall_us);
    let ends_alike = last == (head.last, head.last_wall_us);
    match ends_alike && (!is_whole || begins_alike && count == head.entries) {
        true => Ok(()),
        false => Err(other()),
    }
}

fn is_same(record: &OwnRecord, entry: &LogEntry) -> bool {
    (record.lsn, record.prev_lsn, record.wall_us) == (entry.lsn, entry.previous, entry.wall_us)
        && record.hash == *blake3::hash(&entry.payload).as_bytes()
}

fn other_history(what: String) -> Error {
    Error::bad_input(format!(
        "the set has log of this store that the store does not have: {what}. The store was put \
         back to an earlier state by other means than a restore, and its log would repeat places \
         that the set has already; nothing was archived; keep this set for the former history, \
         and name another folder"
    ))
}
