//! The changes of one transaction, gathered and put in the order of their keys.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;

use foldhash::fast::RandomState;
use smallvec::SmallVec;

use super::{Change, Scan, Table, TreeRead};
use crate::error::StoreError;

/// A key; those of fixed width need no memory of their own.
type Key = SmallVec<[u8; 16]>;

/// Where a row lies, none if it goes.
type Place = Option<Range<usize>>;

/// What a transaction changes in a table, as it was changed.
#[derive(Default)]
struct Changes {
    rows: Vec<(Key, Place)>,
    /// The last change of each key, of the first `indexed` ones: most tables are never asked.
    last: HashMap<Key, usize, RandomState>,
    indexed: usize,
}

impl Changes {
    fn get(&mut self, key: &[u8]) -> Option<Place> {
        for (at, (key, _)) in self.rows.iter().enumerate().skip(self.indexed) {
            self.last.insert(key.clone(), at);
        }
        self.indexed = self.rows.len();
        self.last.get(key).map(|at| self.rows[*at].1.clone())
    }

    /// In the order of keys, each with its last change.
    fn finish(self) -> Vec<(Key, Place)> {
        let mut rows = self.rows;
        if !rows.is_sorted_by(|(key, _), (next, _)| key < next) {
            // Equal keys stay in order, and the first of them is kept.
            rows.reverse();
            rows.sort_by(|(key, _), (next, _)| key.cmp(next));
            rows.dedup_by(|(next, _), (key, _)| next == key);
        }
        rows
    }
}

/// What a transaction changes.
#[derive(Default)]
pub(crate) struct Rows {
    /// By table, in the order of keys.
    changes: [Vec<(Key, Place)>; Table::ALL.len()],
    /// Rows, one behind the other; those that changed again as well.
    bytes: Vec<u8>,
}

impl Rows {
    /// What the row will be, if it changes: none if it goes.
    fn get(&self, table: Table, key: &[u8]) -> Option<Option<&[u8]>> {
        let changes = &self.changes[table as usize];
        let at = changes.binary_search_by(|(there, _)| there[..].cmp(key)).ok()?;
        Some(changes[at].1.clone().map(|range| &self.bytes[range]))
    }

    /// The changes of a table, in the order of their keys.
    pub(super) fn of(&self, table: Table) -> impl Iterator<Item = Change<'_>> {
        let row = |range: &Range<usize>| &self.bytes[range.clone()];
        let changes = &self.changes[table as usize];
        changes.iter().map(move |(key, place)| (&key[..], place.as_ref().map(row)))
    }
}

/// A transaction that is being worked out.
///
/// A row that changes often is written once, and rows that lie beside each other are written one
/// after the other: the tree copies each of its pages once.
pub(crate) struct Batch {
    tree: Box<dyn TreeRead>,
    /// What is on its way into the tree.
    under: Option<Arc<Rows>>,
    changes: [Changes; Table::ALL.len()],
    bytes: Vec<u8>,
}

impl Batch {
    /// Changes of `tree` as it is once `under` is in it.
    pub(crate) fn new(tree: Box<dyn TreeRead>, under: Option<Arc<Rows>>) -> Batch {
        let mut changes: [Changes; Table::ALL.len()] = Default::default();
        let mut bytes = Vec::new();
        if let Some(under) = &under {
            // It will be about as large.
            for (changes, last) in changes.iter_mut().zip(&under.changes) {
                changes.rows.reserve(last.len());
            }
            bytes.reserve(under.bytes.len());
        }
        Batch { tree, under, changes, bytes }
    }

    /// The changes, in order.
    pub(crate) fn finish(self) -> Rows {
        Rows { changes: self.changes.map(Changes::finish), bytes: self.bytes }
    }

    /// The row with that key, with the changes of this transaction.
    pub(crate) fn get(&mut self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        if let Some(place) = self.changes[table as usize].get(key) {
            return Ok(place.map(|range| self.bytes[range].to_vec()));
        }
        match self.under.as_ref().and_then(|under| under.get(table, key)) {
            Some(value) => Ok(value.map(<[u8]>::to_vec)),
            None => self.tree.get(table, key),
        }
    }

    /// Whether there may have been a row with a key from `from` to `to` before this transaction.
    pub(crate) fn had_any(&self, table: Table, from: &[u8], to: &[u8]) -> Result<bool, StoreError> {
        let under = self.under.as_ref().and_then(|under| {
            let changes = &under.changes[table as usize];
            changes.get(changes.partition_point(|(key, _)| &key[..] < from))
        });
        if under.is_some_and(|(key, _)| &key[..] <= to) {
            return Ok(true);
        }
        let mut found = false;
        self.tree.scan(table, from, to, &mut |_, _| {
            found = true;
            Ok(Scan::Stop)
        })?;
        Ok(found)
    }

    /// Sets a row.
    pub(crate) fn put(&mut self, table: Table, key: &[u8], value: &[u8]) {
        let from = self.bytes.len();
        self.bytes.extend_from_slice(value);
        self.set(table, key, Some(from..self.bytes.len()));
    }

    /// Removes a row, if it is there.
    pub(crate) fn remove(&mut self, table: Table, key: &[u8]) {
        self.set(table, key, None);
    }

    fn set(&mut self, table: Table, key: &[u8], place: Place) {
        self.changes[table as usize].rows.push((SmallVec::from_slice(key), place));
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::super::VisitRow;
    use super::*;

    /// A tree of one table.
    struct Told(BTreeMap<Vec<u8>, Vec<u8>>);

    impl TreeRead for Told {
        fn get(&self, _: Table, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
            Ok(self.0.get(key).cloned())
        }

        fn scan(
            &self,
            _: Table,
            _: &[u8],
            _: &[u8],
            _: &mut VisitRow<'_>,
        ) -> Result<(), StoreError> {
            Ok(())
        }
    }

    fn batch(under: Option<Arc<Rows>>) -> Batch {
        let rows = [(b"a".to_vec(), b"old".to_vec()), (b"b".to_vec(), b"old".to_vec())];
        Batch::new(Box::new(Told(rows.into())), under)
    }

    #[track_caller]
    fn check(batch: &mut Batch, expected: [Option<&str>; 3]) {
        let found = ["a", "b", "c"].map(|key| batch.get(Table::Hash, key.as_bytes()).unwrap());
        assert_eq!(found, expected.map(|row| row.map(|row| row.as_bytes().to_vec())));
    }

    #[test]
    fn a_batch_sees_its_own_changes_then_those_under_it_then_the_tree() {
        let mut under = batch(None);
        check(&mut under, [Some("old"), Some("old"), None]);
        under.put(Table::Hash, b"c", b"under");
        under.put(Table::Hash, b"b", b"under");
        under.remove(Table::Hash, b"a");
        check(&mut under, [None, Some("under"), Some("under")]);
        let mut over = batch(Some(Arc::new(under.finish())));
        check(&mut over, [None, Some("under"), Some("under")]);
        over.put(Table::Hash, b"b", b"over");
        over.remove(Table::Hash, b"c");
        check(&mut over, [None, Some("over"), None]);
    }

    #[test]
    fn each_row_is_there_once_in_the_order_of_keys() {
        let mut batch = batch(None);
        batch.put(Table::Hash, b"c", b"1");
        batch.put(Table::Hash, b"a", b"2");
        batch.put(Table::Hash, b"c", b"3");
        batch.remove(Table::Hash, b"b");
        let rows = batch.finish();
        let changes: Vec<Change<'_>> = rows.of(Table::Hash).collect();
        assert_eq!(changes, [(&b"a"[..], Some(&b"2"[..])), (b"b", None), (b"c", Some(b"3"))]);
        assert_eq!(rows.of(Table::Dead).count(), 0);
    }
}
