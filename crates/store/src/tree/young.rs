//! Rows whose keys lie anywhere, until there are so many that they go into the tree at once.
//!
//! Put one by one, each of them would have a page of the tree copied. Here a transaction's rows
//! are one value of the file, and lie in memory in sorted runs; once there are many, they go into
//! the tree side by side, a part with each transaction.

use std::cmp::Ordering;
use std::sync::Arc;

use super::{Change, Scan, VisitRow};
use crate::error::StoreError;

/// Bytes of a key.
pub(super) const KEY_SIZE: usize = 16;
/// Bytes of a value, at most.
const VALUE_SIZE_MAX: usize = 15;
/// The length of a row that went.
const GONE: u8 = u8::MAX;
/// Rows that share an entry of a run's index, about.
const INDEXED_ROWS: usize = 8;

/// A row, or that it went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Row {
    key: [u8; KEY_SIZE],
    len: u8,
    value: [u8; VALUE_SIZE_MAX],
}

impl Row {
    /// None if key or value have not the length that they have here.
    fn new((key, value): Change<'_>) -> Option<Row> {
        let mut row = Row { key: key.try_into().ok()?, len: GONE, value: [0; VALUE_SIZE_MAX] };
        if let Some(value) = value {
            row.value.get_mut(..value.len())?.copy_from_slice(value);
            row.len = value.len() as u8;
        }
        Some(row)
    }

    /// Key, and what it will be in the tree; none if it goes.
    pub(super) fn change(&self) -> Change<'_> {
        (&self.key, self.value())
    }

    fn value(&self) -> Option<&[u8]> {
        (self.len != GONE).then(|| &self.value[..usize::from(self.len)])
    }

    /// Puts it behind others in the file.
    fn write(&self, bytes: &mut Vec<u8>) {
        bytes.extend_from_slice(&self.key);
        bytes.push(self.len);
        bytes.extend_from_slice(self.value().unwrap_or_default());
    }

    /// The first row in `bytes`, and what follows it.
    fn read(bytes: &[u8]) -> Option<(Row, &[u8])> {
        let (key, rest) = bytes.split_first_chunk::<KEY_SIZE>()?;
        let (len, rest) = rest.split_first()?;
        if *len == GONE {
            return Some((Row::new((key, None))?, rest));
        }
        let (value, rest) = rest.split_at_checked(usize::from(*len))?;
        Some((Row::new((key, Some(value)))?, rest))
    }
}

/// Rows in the order of their keys, each key once.
#[derive(Debug, Default)]
pub(super) struct Run {
    rows: Vec<Row>,
    /// Where the rows begin whose keys have the same first bits, for each value of these bits,
    /// and the end.
    starts: Vec<u32>,
    bits: u32,
}

impl Run {
    /// The run of `changes`, which are in order; none if one of them is no row of such a table.
    pub(super) fn new<'a>(changes: impl Iterator<Item = Change<'a>>) -> Option<Run> {
        changes.map(Row::new).collect::<Option<_>>().map(Run::index)
    }

    /// The run of all rows in `values`, which [`pack`](Self::pack) made, oldest first.
    pub(super) fn unpack<'a>(values: impl Iterator<Item = &'a [u8]>) -> Option<Run> {
        let mut rows = Vec::new();
        for mut rest in values {
            while !rest.is_empty() {
                let (row, behind) = Row::read(rest)?;
                rows.push(row);
                rest = behind;
            }
        }
        // The last of a key counts; the sort leaves equal keys in order.
        rows.reverse();
        rows.sort_by_key(|row| row.key);
        rows.dedup_by_key(|row| row.key);
        Some(Run::index(rows))
    }

    /// Its rows as one value of the file.
    pub(super) fn pack(&self, bytes: &mut Vec<u8>) {
        self.rows.iter().for_each(|row| row.write(bytes));
    }

    fn index(rows: Vec<Row>) -> Run {
        let buckets = (rows.len() / INDEXED_ROWS).next_power_of_two();
        let bits = buckets.trailing_zeros();
        let mut starts = Vec::with_capacity(buckets + 1);
        for (at, row) in rows.iter().enumerate() {
            while starts.len() <= bucket(&row.key, bits) {
                starts.push(at as u32);
            }
        }
        starts.resize(buckets + 1, rows.len() as u32);
        Run { rows, starts, bits }
    }

    pub(super) fn rows(&self) -> &[Row] {
        &self.rows
    }

    /// What the row with that key is, if it is here: none if it went.
    fn get(&self, key: &[u8; KEY_SIZE]) -> Option<Option<&[u8]>> {
        let bucket = bucket(key, self.bits);
        let (from, to) = (*self.starts.get(bucket)?, *self.starts.get(bucket + 1)?);
        let rows = &self.rows[from as usize..to as usize];
        let at = rows.binary_search_by(|row| row.key.cmp(key)).ok()?;
        Some(rows[at].value())
    }

    /// Both; of two rows with one key the newer one counts.
    fn merge(older: &Run, newer: &Run) -> Run {
        let mut rows = Vec::with_capacity(older.rows.len() + newer.rows.len());
        let (mut old, mut new) = (&older.rows[..], &newer.rows[..]);
        while let (Some((first_old, old_rest)), Some((first_new, new_rest))) =
            (old.split_first(), new.split_first())
        {
            let order = first_old.key.cmp(&first_new.key);
            rows.push(if order == Ordering::Less { *first_old } else { *first_new });
            old = if order == Ordering::Greater { old } else { old_rest };
            new = if order == Ordering::Less { new } else { new_rest };
        }
        rows.extend_from_slice(old);
        rows.extend_from_slice(new);
        Run::index(rows)
    }
}

/// The value of the first `bits` bits of a key.
fn bucket(key: &[u8; KEY_SIZE], bits: u32) -> usize {
    let first = u32::from_be_bytes([key[0], key[1], key[2], key[3]]);
    first.checked_shr(u32::BITS - bits).unwrap_or(0) as usize
}

/// All such rows, as of one transaction.
#[derive(Clone, Debug, Default)]
pub(super) struct Young {
    /// The number of that transaction.
    pub(super) version: u64,
    /// Those that are on their way into the tree; the tree holds a part of them already.
    frozen: Option<Arc<Run>>,
    /// Oldest first; each is twice as long as the next, or longer.
    runs: Vec<Arc<Run>>,
}

impl Young {
    /// Those that a file holds.
    pub(super) fn begin(version: u64, run: Run) -> Young {
        Young { version, frozen: None, runs: vec![Arc::new(run)] }
    }

    /// What the row with that key is, if it is here: none if it went.
    pub(super) fn get(&self, key: &[u8; KEY_SIZE]) -> Option<Option<&[u8]>> {
        let newest_first = self.runs.iter().rev().chain(&self.frozen);
        newest_first.map(|run| run.get(key)).find(Option::is_some).flatten()
    }

    /// How many rows are here that no part of the tree holds.
    pub(super) fn len(&self) -> usize {
        self.runs.iter().map(|run| run.rows.len()).sum()
    }

    /// These with those of the next transaction.
    pub(super) fn with(&self, fresh: Run) -> Young {
        let mut next = Young { version: self.version + 1, ..self.clone() };
        if fresh.rows.is_empty() {
            return next;
        }
        let mut run = Arc::new(fresh);
        while let Some(older) = next.runs.pop_if(|older| older.rows.len() < 2 * run.rows.len()) {
            run = Arc::new(Run::merge(&older, &run));
        }
        next.runs.push(run);
        next
    }

    /// All in one run.
    pub(super) fn merged(&self) -> Arc<Run> {
        let oldest_first = self.frozen.iter().chain(&self.runs).cloned();
        oldest_first.reduce(|older, newer| Arc::new(Run::merge(&older, &newer))).unwrap_or_default()
    }

    /// Visits the rows from `from` to `to` together with those of the tree, which `scan_tree`
    /// visits; what is here counts.
    pub(super) fn scan(
        &self,
        from: &[u8],
        to: &[u8],
        scan_tree: impl FnOnce(&mut VisitRow<'_>) -> Result<(), StoreError>,
        visit: &mut VisitRow<'_>,
    ) -> Result<(), StoreError> {
        let run = self.merged();
        let first = run.rows.partition_point(|row| &row.key[..] < from);
        let mut rows = run.rows[first..].iter().take_while(|row| &row.key[..] <= to).peekable();
        let visit_young = |row: &Row, visit: &mut VisitRow<'_>| {
            row.value().map_or(Ok(Scan::Next), |value| visit(&row.key, value))
        };
        let mut stopped = false;
        scan_tree(&mut |key, value| {
            let mut scan = Scan::Next;
            while scan == Scan::Next
                && let Some(row) = rows.next_if(|row| &row.key[..] < key)
            {
                scan = visit_young(row, visit)?;
            }
            if scan == Scan::Next {
                scan = match rows.next_if(|row| row.key == key) {
                    Some(row) => visit_young(row, visit)?,
                    None => visit(key, value)?,
                };
            }
            stopped = scan == Scan::Stop;
            Ok(scan)
        })?;
        while !stopped && let Some(row) = rows.next() {
            stopped = visit_young(row, visit)? == Scan::Stop;
        }
        Ok(())
    }

    /// Sends all on their way into the tree.
    pub(super) fn freeze(&mut self) -> Arc<Run> {
        let run = self.merged();
        self.runs.clear();
        self.frozen = Some(Arc::clone(&run));
        run
    }

    /// The tree holds all that were on their way.
    pub(super) fn thaw(&mut self) {
        self.frozen = None;
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use rehome_log::SplitMix64;

    use super::*;

    type Model = BTreeMap<[u8; KEY_SIZE], Option<Vec<u8>>>;

    /// A few keys far apart and a few side by side, so that both kinds of place are met.
    fn key(random: &mut SplitMix64) -> [u8; KEY_SIZE] {
        let mut key = [0; KEY_SIZE];
        if random.next_u64().is_multiple_of(2) {
            key[..8].copy_from_slice(&(random.next_u64() << 54).to_be_bytes());
        }
        key[15] = (random.next_u64() % 4) as u8;
        key
    }

    #[track_caller]
    fn check(young: &Young, model: &Model, context: &str) {
        for (key, value) in model {
            assert_eq!(young.get(key), Some(value.as_deref()), "{context}: {key:02x?}");
        }
        assert_eq!(young.get(&[0x55; KEY_SIZE]), None, "{context}");
        let merged = young.merged();
        let rows = merged.rows().iter().map(Row::change);
        let expected = model.iter().map(|(key, value)| (&key[..], value.as_deref()));
        assert!(rows.eq(expected), "{context}: {merged:?}");
    }

    #[test]
    fn rows_are_as_in_a_map_whatever_runs_they_lie_in() {
        for seed in 0..50 {
            let context = format!("seed {seed}");
            let mut random = SplitMix64::new(seed);
            let (mut young, mut model) = (Young::default(), Model::new());
            for step in 0..40 {
                let mut fresh = Model::new();
                for _ in 0..random.next_u64() % 20 {
                    let value = random.next_u64();
                    let value =
                        (!value.is_multiple_of(5)).then(|| value.to_le_bytes()[..5].to_vec());
                    fresh.insert(key(&mut random), value);
                }
                let run = Run::new(fresh.iter().map(|(key, value)| (&key[..], value.as_deref())));
                young = young.with(run.unwrap());
                model.extend(fresh);
                if step == 25 {
                    young.freeze();
                    assert_eq!(young.len(), 0, "{context}");
                }
                check(&young, &model, &context);
            }
            assert_eq!(young.version, 40);
        }
    }

    #[test]
    fn what_was_packed_comes_back_and_the_last_of_a_key_counts() {
        let (a, b) = ([1; KEY_SIZE], [2; KEY_SIZE]);
        let first: [Change<'_>; 2] = [(&a, Some(b"old")), (&b, Some(b"stays"))];
        let second: [Change<'_>; 1] = [(&a, None)];
        let packed = [&first[..], &second[..]].map(|changes| {
            let mut bytes = Vec::new();
            Run::new(changes.iter().copied()).unwrap().pack(&mut bytes);
            bytes
        });
        let run = Run::unpack(packed.iter().map(Vec::as_slice)).unwrap();
        let expected: [Change<'_>; 2] = [(&a, None), (&b, Some(b"stays"))];
        assert!(run.rows().iter().map(Row::change).eq(expected));
        for len in 1..packed[0].len() {
            let cut = Run::unpack([&packed[0][..len]].into_iter());
            assert_eq!(cut.is_some(), len == KEY_SIZE + 1 + 3, "{len}");
        }
        assert!(Run::unpack([&[9; 16 + 1 + 9][..]].into_iter()).is_some());
        assert!(
            Run::unpack([&[16; 16 + 1 + 16][..]].into_iter()).is_none(),
            "its value is too long"
        );
        assert!(Run::new([(&a[..], Some(&[0; 16][..]))].into_iter()).is_none());
    }
}
