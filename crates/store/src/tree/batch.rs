//! The changes of one transaction, gathered and put in the order of their keys.

use std::ops::Range;
use std::sync::Arc;

use foldhash::fast::RandomState;
use indexmap::IndexMap;
use smallvec::SmallVec;

use super::{Change, Table, TreeRead};
use crate::error::StoreError;

/// A key; those of fixed width need no memory of their own.
type Key = SmallVec<[u8; 16]>;

/// Where the bytes of each row of a table lie; none if it goes.
type Changes = IndexMap<Key, Option<Range<usize>>, RandomState>;

/// What a transaction changes.
#[derive(Default)]
pub(crate) struct Rows {
    /// By table.
    changes: [Changes; Table::ALL.len()],
    /// Rows, one behind the other; those that changed again as well.
    bytes: Vec<u8>,
}

impl Rows {
    /// What the row will be, if it changes: none if it goes.
    fn get(&self, table: Table, key: &[u8]) -> Option<Option<&[u8]>> {
        let range = self.changes[table as usize].get(key)?;
        Some(range.clone().map(|range| &self.bytes[range]))
    }

    fn set(&mut self, table: Table, key: &[u8], value: Option<&[u8]>) {
        let range = value.map(|value| {
            let from = self.bytes.len();
            self.bytes.extend_from_slice(value);
            from..self.bytes.len()
        });
        self.changes[table as usize].insert(SmallVec::from_slice(key), range);
    }

    /// The changes of a table, in the order of their keys.
    pub(super) fn of(&self, table: Table) -> impl Iterator<Item = Change<'_>> {
        let row = |range: &Range<usize>| &self.bytes[range.clone()];
        let changes = &self.changes[table as usize];
        changes.iter().map(move |(key, value)| (&key[..], value.as_ref().map(row)))
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
    rows: Rows,
}

impl Batch {
    /// Changes of `tree` as it is once `under` is in it.
    pub(crate) fn new(tree: Box<dyn TreeRead>, under: Option<Arc<Rows>>) -> Batch {
        let mut rows = Rows::default();
        if let Some(under) = &under {
            // It will be about as large.
            for (changes, last) in rows.changes.iter_mut().zip(&under.changes) {
                changes.reserve(last.len());
            }
            rows.bytes.reserve(under.bytes.len());
        }
        Batch { tree, under, rows }
    }

    /// The changes, in order.
    pub(crate) fn finish(mut self) -> Rows {
        for changes in &mut self.rows.changes {
            changes.sort_unstable_keys();
        }
        self.rows
    }

    /// The row with that key, with the changes of this transaction.
    pub(crate) fn get(&self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        let under = || self.under.as_ref().and_then(|under| under.get(table, key));
        match self.rows.get(table, key).or_else(under) {
            Some(value) => Ok(value.map(<[u8]>::to_vec)),
            None => self.tree.get(table, key),
        }
    }

    /// Sets a row.
    pub(crate) fn put(&mut self, table: Table, key: &[u8], value: &[u8]) {
        self.rows.set(table, key, Some(value));
    }

    /// Removes a row, if it is there.
    pub(crate) fn remove(&mut self, table: Table, key: &[u8]) {
        let changes = &mut self.rows.changes[table as usize];
        // A key of this table names the group that puts it, and a group is applied in one
        // transaction: what was put in this one is not in the tree.
        if table == Table::Dead && changes.get(key).is_some_and(Option::is_some) {
            changes.swap_remove(key);
            return;
        }
        self.rows.set(table, key, None);
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
    fn check(batch: &Batch, expected: [Option<&str>; 3]) {
        let found = ["a", "b", "c"].map(|key| batch.get(Table::Hash, key.as_bytes()).unwrap());
        assert_eq!(found, expected.map(|row| row.map(|row| row.as_bytes().to_vec())));
    }

    #[test]
    fn a_batch_sees_its_own_changes_then_those_under_it_then_the_tree() {
        let mut under = batch(None);
        check(&under, [Some("old"), Some("old"), None]);
        under.put(Table::Hash, b"c", b"under");
        under.put(Table::Hash, b"b", b"under");
        under.remove(Table::Hash, b"a");
        check(&under, [None, Some("under"), Some("under")]);
        let mut over = batch(Some(Arc::new(under.finish())));
        check(&over, [None, Some("under"), Some("under")]);
        over.put(Table::Hash, b"b", b"over");
        over.remove(Table::Hash, b"c");
        check(&over, [None, Some("over"), None]);
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

    #[test]
    fn a_content_that_was_dead_for_a_moment_leaves_no_trace() {
        let mut batch = batch(None);
        batch.put(Table::Dead, b"a", b"");
        batch.remove(Table::Dead, b"a");
        assert_eq!(batch.finish().of(Table::Dead).count(), 0);
    }
}
