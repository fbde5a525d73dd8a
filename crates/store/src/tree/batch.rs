//! The changes of one transaction, gathered and written in the order of their keys.

use std::collections::HashMap;

use super::{Table, TreeWrite};
use crate::error::StoreError;

/// What each row of a table will be; none if it goes.
type Changes = HashMap<Box<[u8]>, Option<Vec<u8>>>;

/// A transaction whose changes are kept back until [`Batch::finish`].
///
/// A row that changes often is written once, and rows that lie beside each other are written one
/// after the other: the tree copies each of its pages once.
pub(crate) struct Batch<'t> {
    tree: &'t mut dyn TreeWrite,
    /// By table.
    changes: [Changes; Table::ALL.len()],
}

impl<'t> Batch<'t> {
    pub(crate) fn new(tree: &'t mut dyn TreeWrite) -> Batch<'t> {
        Batch { tree, changes: std::array::from_fn(|_| HashMap::new()) }
    }

    /// Writes what was kept back.
    pub(crate) fn finish(self) -> Result<(), StoreError> {
        for (table, changes) in Table::ALL.into_iter().zip(self.changes) {
            let mut rows: Vec<_> = changes.into_iter().collect();
            rows.sort_unstable_by(|a, b| a.0.cmp(&b.0));
            for (key, value) in rows {
                match value {
                    Some(value) => self.tree.put(table, &key, &value)?,
                    None => self.tree.remove(table, &key)?,
                }
            }
        }
        Ok(())
    }

    fn set(&mut self, table: Table, key: &[u8], value: Option<Vec<u8>>) {
        self.changes[table as usize].insert(key.into(), value);
    }
}

impl TreeWrite for Batch<'_> {
    fn get(&mut self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        match self.changes[table as usize].get(key) {
            Some(value) => Ok(value.clone()),
            None => self.tree.get(table, key),
        }
    }

    fn put(&mut self, table: Table, key: &[u8], value: &[u8]) -> Result<(), StoreError> {
        self.set(table, key, Some(value.to_vec()));
        Ok(())
    }

    fn remove(&mut self, table: Table, key: &[u8]) -> Result<(), StoreError> {
        let changes = &mut self.changes[table as usize];
        // A key of this table names the group that puts it, and a group is applied in one
        // transaction: what was put in this one is not in the tree.
        if table == Table::Dead && changes.get(key).is_some_and(Option::is_some) {
            changes.remove(key);
            return Ok(());
        }
        self.set(table, key, None);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    /// A tree that remembers the calls.
    #[derive(Default)]
    struct Told {
        rows: BTreeMap<Vec<u8>, Vec<u8>>,
        calls: Vec<(Vec<u8>, bool)>,
    }

    impl TreeWrite for Told {
        fn get(&mut self, _: Table, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
            Ok(self.rows.get(key).cloned())
        }

        fn put(&mut self, _: Table, key: &[u8], value: &[u8]) -> Result<(), StoreError> {
            self.calls.push((key.to_vec(), true));
            self.rows.insert(key.to_vec(), value.to_vec());
            Ok(())
        }

        fn remove(&mut self, _: Table, key: &[u8]) -> Result<(), StoreError> {
            self.calls.push((key.to_vec(), false));
            self.rows.remove(key);
            Ok(())
        }
    }

    #[test]
    fn each_row_is_written_once_in_the_order_of_keys_and_seen_before() {
        let mut told = Told::default();
        told.rows.insert(b"b".to_vec(), b"old".to_vec());
        let mut batch = Batch::new(&mut told);
        batch.put(Table::Hash, b"c", b"1").unwrap();
        batch.put(Table::Hash, b"a", b"2").unwrap();
        batch.put(Table::Hash, b"c", b"3").unwrap();
        assert_eq!(batch.get(Table::Hash, b"b").unwrap().as_deref(), Some(&b"old"[..]));
        batch.remove(Table::Hash, b"b").unwrap();
        assert_eq!(batch.get(Table::Hash, b"b").unwrap(), None);
        assert_eq!(batch.get(Table::Hash, b"c").unwrap().as_deref(), Some(&b"3"[..]));
        batch.finish().unwrap();
        let calls = [(b"a".to_vec(), true), (b"b".to_vec(), false), (b"c".to_vec(), true)];
        assert_eq!(told.calls, calls);
        assert_eq!(told.rows.len(), 2);
    }
}
