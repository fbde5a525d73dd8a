//! Log records as the archive keeps them: opaque bytes with their place, time and needs.

use rehome_log::Lsn;

use crate::bytes::{Fields, Malformed, put_len, put_u64};
use crate::ids::ContentId;

/// Bytes of the hash at the front of a LOG record's payload.
pub(crate) const LINK_SIZE: usize = 24;

/// A record of a store's log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogEntry {
    /// Its place in the log.
    pub lsn: Lsn,
    /// The place of the record before it.
    pub previous: Lsn,
    /// When it was written, microseconds since 1970.
    pub wall_us: i64,
    /// Contents without which it cannot be replayed.
    pub contents: Vec<ContentId>,
    /// The record; the archive gives the bytes no meaning.
    pub payload: Vec<u8>,
}

/// Appends `entry` to a LOG record's payload.
pub(crate) fn put_entry(to: &mut Vec<u8>, entry: &LogEntry) {
    put_u64(to, entry.lsn.to_u64());
    put_u64(to, entry.previous.to_u64());
    to.extend_from_slice(&entry.wall_us.to_le_bytes());
    put_len(to, entry.contents.len());
    for content in &entry.contents {
        to.extend_from_slice(&content.0);
    }
    put_len(to, entry.payload.len());
    to.extend_from_slice(&entry.payload);
}

/// Bytes that [`put_entry`] appends.
pub(crate) fn entry_size(entry: &LogEntry) -> usize {
    32 + entry.contents.len() * 32 + entry.payload.len()
}

/// The hash that links a LOG record to the one before it, and its entries. Each entry follows the
/// one before it.
pub(crate) fn decode_entries(
    payload: &[u8],
) -> Result<([u8; LINK_SIZE], Vec<LogEntry>), Malformed> {
    let mut fields = Fields(payload);
    let link = fields.array()?;
    let mut entries: Vec<LogEntry> = Vec::new();
    while !fields.is_empty() {
        let entry = take_entry(&mut fields)?;
        if entry.previous >= entry.lsn {
            return Err("a log record is said to follow a later one");
        }
        if entries.last().is_some_and(|last| last.lsn != entry.previous) {
            return Err("a log record does not follow the one before it");
        }
        entries.push(entry);
    }
    Ok((link, entries))
}

fn take_entry(fields: &mut Fields<'_>) -> Result<LogEntry, Malformed> {
    let (lsn, previous) = (Lsn::from_u64(fields.u64()?), Lsn::from_u64(fields.u64()?));
    let wall_us = i64::from_le_bytes(fields.array()?);
    let mut contents = Vec::new();
    for _ in 0..fields.u32()? {
        contents.push(ContentId(fields.array()?));
    }
    let len = fields.len()?;
    let payload = fields.bytes(len)?.to_vec();
    Ok(LogEntry { lsn, previous, wall_us, contents, payload })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(lsn: u64, previous: u64) -> LogEntry {
        LogEntry {
            lsn: Lsn::from_u64(lsn),
            previous: Lsn::from_u64(previous),
            wall_us: -4,
            contents: vec![ContentId([3; 32]); 2],
            payload: b"payload".to_vec(),
        }
    }

    fn encode(entries: &[LogEntry]) -> Vec<u8> {
        let mut payload = vec![7; LINK_SIZE];
        for entry in entries {
            let before = payload.len();
            put_entry(&mut payload, entry);
            assert_eq!(payload.len() - before, entry_size(entry));
        }
        payload
    }

    #[test]
    fn entries_come_back_as_they_were_and_a_cut_is_noticed() {
        let entries = [entry(5, 2), entry(9, 5)];
        let payload = encode(&entries);
        assert_eq!(decode_entries(&payload), Ok(([7; LINK_SIZE], entries.to_vec())));
        let whole = [LINK_SIZE, LINK_SIZE + entry_size(&entries[0])];
        for cut in (0..payload.len()).filter(|cut| !whole.contains(cut)) {
            decode_entries(&payload[..cut]).unwrap_err();
        }
    }

    #[test]
    fn entries_that_do_not_follow_each_other_are_refused() {
        decode_entries(&encode(&[entry(5, 2), entry(9, 6)])).unwrap_err();
        decode_entries(&encode(&[entry(5, 5)])).unwrap_err();
    }
}
