//! The rows of [`Table::Hash`] on their way into their table: by transaction in a table of their
//! own, whole in memory, and once there are many, into theirs, a part with each transaction.

use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use redb::{ReadTransaction, ReadableTable, ReadableTableMetadata, WriteTransaction};
use rehome_log::crc32c;

use super::{Fixed, TableDefinition, WRITING, at, change_table, definition, guarded, sized};
use crate::error::StoreError;
use crate::tree::young::{KEY_SIZE, Row, Run, Young};
use crate::tree::{Commit, Rows, Table};

/// So many of these rows make it worth while to go through the table, whatever memory there is.
const ROWS_MAX: usize = 2_000_000;
/// A transaction puts this part of them into the table, at least.
const STEP_PART: usize = 128;
/// And so many times as many as are new.
const STEP_FACTOR: usize = 4;
/// New rows beside each row of the table that make runs of them.
const DENSE: u64 = 4;

/// Number of a transaction → its rows, behind a checksum.
const YOUNG: TableDefinition<'static, Fixed<8>, super::Row> = TableDefinition::new("young");

const CRC_SIZE: usize = 4;

/// Where they belong.
fn hashes() -> TableDefinition<'static, Fixed<KEY_SIZE>, super::Row> {
    definition(Table::Hash)
}

/// The state of the way.
#[derive(Default)]
pub(super) struct Growth {
    /// As of the last transaction, and of the one that is being committed.
    states: Mutex<States>,
    /// Taken by whoever writes, before `states`.
    fold: Mutex<Option<Fold>>,
    /// With more they go into the table.
    rows_max: usize,
}

#[derive(Clone, Default)]
struct States {
    now: Arc<Young>,
    coming: Option<Arc<Young>>,
}

impl States {
    fn last(&self) -> u64 {
        self.coming.as_ref().unwrap_or(&self.now).version
    }
}

/// How far a run is in the table.
#[derive(Clone)]
struct Fold {
    run: Arc<Run>,
    /// The first row that is not there.
    next: usize,
    /// It holds the rows of the transactions up to this one.
    until: u64,
}

/// What a transaction will have changed.
pub(super) struct Step {
    young: Arc<Young>,
    fold: Option<Fold>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn damaged(cause: &str) -> StoreError {
    StoreError::damaged_catalog("the catalog's table young", cause)
}

impl Growth {
    /// The rows that a file has on their way; they may take so many bytes of memory, before the
    /// rest of the way takes up to as many again.
    pub(super) fn load(
        transaction: &ReadTransaction,
        memory_bytes: usize,
    ) -> Result<Growth, StoreError> {
        let reading = "reading young rows";
        let table = transaction.open_table(YOUNG).map_err(at(reading))?;
        let mut version = 0;
        let mut values = Vec::new();
        for row in table.range::<&[u8; 8]>(..).map_err(at(reading))? {
            let (key, value) = row.map_err(at(reading))?;
            version = u64::from_be_bytes(*key.value());
            values.push(value);
        }
        let checked: Option<Vec<&[u8]>> =
            values.iter().map(|value| checked(value.value())).collect();
        let checked = checked.ok_or_else(|| damaged("a checksum is wrong"))?;
        let run = Run::unpack(checked.into_iter()).ok_or_else(|| damaged("a row is cut off"))?;
        let now = Arc::new(Young::begin(version, run));
        let states = Mutex::new(States { now, coming: None });
        let rows_max = (memory_bytes / size_of::<Row>()).min(ROWS_MAX);
        Ok(Growth { states, fold: Mutex::default(), rows_max })
    }

    /// Begins to read; what is seen are the young rows that belong to the same transaction.
    pub(super) fn see(
        &self,
        begin: impl Fn() -> Result<ReadTransaction, StoreError>,
    ) -> Result<(ReadTransaction, Seen), StoreError> {
        loop {
            let states = lock(&self.states).clone();
            let transaction = begin()?;
            // If nothing began meanwhile it is one of the two.
            if lock(&self.states).last() == states.last() {
                return Ok((transaction, Seen { states, young: OnceLock::new() }));
            }
        }
    }

    /// Writes the changes of `rows`, and a part of those that are on their way into the table.
    pub(super) fn grow(
        &self,
        transaction: &WriteTransaction,
        commit: Commit,
        rows: &Rows,
    ) -> Result<Step, StoreError> {
        let now = Arc::clone(&lock(&self.states).now);
        let fold = lock(&self.fold).clone();
        let fresh = Run::new(rows.of(Table::Hash)).ok_or_else(|| damaged("a row is too long"))?;
        if commit == Commit::Checkpoint {
            // Tables that were never opened for writing do not exist for readers.
            transaction.open_table(YOUNG).map_err(at(WRITING))?;
            transaction.open_table(hashes()).map_err(at(WRITING))?;
        }
        if fresh.rows().is_empty() && (fold.is_none() || commit == Commit::Checkpoint) {
            return Ok(Step { young: now, fold });
        }
        let part = (self.rows_max / STEP_PART).max(STEP_FACTOR * fresh.rows().len()).max(1);
        put(transaction, now.version + 1, &fresh)?;
        let mut young = Young::clone(&now);
        // Without the new ones: the rows of the last transaction tell readers which one they see.
        let fold = fold.or_else(|| self.begin_fold(&mut young));
        let mut young = young.with(fresh);
        let fold = match fold.map(|fold| advance(transaction, fold, part)).transpose()? {
            Some(fold) if fold.next == fold.run.rows().len() => {
                forget(transaction, fold.until)?;
                young.thaw();
                None
            }
            fold => fold,
        };
        Ok(Step { young: Arc::new(young), fold })
    }

    fn begin_fold(&self, young: &mut Young) -> Option<Fold> {
        let until = young.version;
        let many = young.len() > self.rows_max;
        many.then(|| Fold { run: young.freeze(), next: 0, until })
    }

    /// Commits what was grown.
    pub(super) fn commit(
        &self,
        step: Step,
        commit: impl FnOnce() -> Result<(), StoreError>,
    ) -> Result<(), StoreError> {
        let mut fold = lock(&self.fold);
        lock(&self.states).coming = Some(Arc::clone(&step.young));
        let committed = commit();
        let mut states = lock(&self.states);
        states.coming = None;
        if committed.is_ok() {
            states.now = step.young;
            *fold = step.fold;
        }
        committed
    }
}

/// Puts the rows of a transaction into the table of young ones.
fn put(transaction: &WriteTransaction, version: u64, run: &Run) -> Result<(), StoreError> {
    let mut value = vec![0; CRC_SIZE];
    run.pack(&mut value);
    let crc = crc32c(&value[CRC_SIZE..]);
    value[..CRC_SIZE].copy_from_slice(&crc.to_le_bytes());
    let mut table = transaction.open_table(YOUNG).map_err(at(WRITING))?;
    table.insert(&version.to_be_bytes(), &value[..]).map_err(at(WRITING))?;
    Ok(())
}

/// What [`put`] wrote, if it is whole.
fn checked(value: &[u8]) -> Option<&[u8]> {
    let (crc, rows) = value.split_first_chunk::<CRC_SIZE>()?;
    (crc32c(rows) == u32::from_le_bytes(*crc)).then_some(rows)
}

/// Puts the next `part` rows where they belong.
fn advance(transaction: &WriteTransaction, fold: Fold, part: usize) -> Result<Fold, StoreError> {
    let rows = fold.run.rows();
    let next = rows.len().min(fold.next + part);
    let table = transaction.open_table(hashes()).map_err(at(WRITING))?;
    let dense = rows.len() as u64 / DENSE > table.len().map_err(at(WRITING))?;
    let changes = rows[fold.next..next].iter().map(Row::change).peekable();
    change_table(table, dense, changes, sized::<KEY_SIZE>)?;
    Ok(Fold { next, ..fold })
}

/// Removes the young rows of transactions up to `until`: they are where they belong.
fn forget(transaction: &WriteTransaction, until: u64) -> Result<(), StoreError> {
    let mut table = transaction.open_table(YOUNG).map_err(at(WRITING))?;
    table.retain_in::<&[u8; 8], _>(..=&until.to_be_bytes(), |_, _| false).map_err(at(WRITING))
}

/// What a reader sees of the young rows.
pub(super) struct Seen {
    states: States,
    young: OnceLock<Arc<Young>>,
}

impl Seen {
    /// The young rows that belong to `transaction`.
    pub(super) fn young(&self, transaction: &ReadTransaction) -> Result<&Young, StoreError> {
        if let Some(young) = self.young.get() {
            return Ok(young);
        }
        let found = match &self.states.coming {
            None => &self.states.now,
            Some(coming) if version(transaction)? == coming.version => coming,
            Some(_) => &self.states.now,
        };
        Ok(self.young.get_or_init(|| Arc::clone(found)))
    }
}

/// The last transaction with young rows.
fn version(transaction: &ReadTransaction) -> Result<u64, StoreError> {
    let reading = "reading young rows";
    guarded(reading, || {
        let table = transaction.open_table(YOUNG).map_err(at(reading))?;
        let last = table.last().map_err(at(reading))?;
        Ok(last.map_or(0, |(key, _)| u64::from_be_bytes(*key.value())))
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use redb::ReadableDatabase;
    use rehome_log::{Disk, FileName, OpenMode, SimDisk, SplitMix64};

    use super::*;
    use crate::tree::{Batch, RedbTree, Scan, Tree, TreeRead};

    type Model = BTreeMap<Vec<u8>, Vec<u8>>;

    fn open(disk: &Arc<SimDisk>, rows_max: usize) -> RedbTree {
        let disk = Arc::clone(disk) as Arc<dyn Disk>;
        let name = FileName::new("tree").unwrap();
        let opened = disk.open(&name, OpenMode::ReadWrite);
        let file = opened.or_else(|_| disk.open(&name, OpenMode::CreateNew)).unwrap();
        RedbTree::open(disk, file, rows_max * size_of::<Row>() * super::super::YOUNG_PART).unwrap()
    }

    #[track_caller]
    fn check(seen: &dyn TreeRead, model: &Model, context: &str) {
        let mut found = Model::new();
        let mut visit = |key: &[u8], value: &[u8]| {
            assert!(found.insert(key.to_vec(), value.to_vec()).is_none(), "{context}: twice");
            Ok(Scan::Next)
        };
        seen.scan(Table::Hash, &[0; KEY_SIZE], &[0xff; KEY_SIZE], &mut visit).unwrap();
        assert_eq!(found, *model, "{context}");
        for (key, value) in model {
            let got = seen.get(Table::Hash, key).unwrap();
            assert_eq!(got.as_ref(), Some(value), "{context}: {key:02x?}");
        }
        assert_eq!(seen.get(Table::Hash, &[0x77; KEY_SIZE]).unwrap(), None, "{context}");
    }

    /// Sets and removes rows at random.
    fn change(batch: &mut Batch, model: &mut Model, random: &mut SplitMix64) {
        for _ in 0..random.below(30) {
            let key = blake3::hash(&random.below(300).to_le_bytes()).as_bytes()[..16].to_vec();
            if random.below(4) == 0 {
                batch.remove(Table::Hash, &key);
                model.remove(&key);
            } else {
                let value = random.next_u64().to_le_bytes()[..7].to_vec();
                batch.put(Table::Hash, &key, &value);
                model.insert(key, value);
            }
        }
    }

    #[test]
    fn readers_see_one_transaction_wherever_its_rows_lie() {
        for seed in 0..20 {
            let mut random = SplitMix64::new(seed);
            let disk = Arc::new(SimDisk::new());
            let rows_max = [1, 40, 100_000][seed as usize % 3];
            let mut tree = open(&disk, rows_max);
            let mut model = Model::new();
            let mut kept: Vec<(Box<dyn TreeRead>, Model)> = Vec::new();
            for step in 0..60 {
                let context = format!("seed {seed}, step {step}");
                let mut batch = Batch::new(tree.read().unwrap(), None);
                change(&mut batch, &mut model, &mut random);
                let last = step % 20 == 19;
                let commit = if last { Commit::Checkpoint } else { Commit::Later };
                tree.write(commit, &batch.finish()).unwrap();
                kept.push((tree.read().unwrap(), model.clone()));
                if random.below(3) == 0 {
                    let at = random.below(kept.len() as u64) as usize;
                    check(&*kept[at].0, &kept[at].1, &context);
                }
                if last {
                    kept.clear();
                    drop(tree);
                    tree = open(&disk, rows_max);
                    check(&*tree.read().unwrap(), &model, &context);
                }
            }
            let table = tree.database.begin_read().unwrap().open_table(hashes()).unwrap();
            assert_eq!(table.len().unwrap() > 0, rows_max < 100_000, "seed {seed}");
        }
    }

    #[test]
    fn who_begins_between_a_commit_and_its_note_sees_what_was_committed() {
        let disk = Arc::new(SimDisk::new());
        let tree = open(&disk, 1);
        let (kept, gone) = ([1; KEY_SIZE], [2; KEY_SIZE]);
        let mut before = Batch::new(tree.read().unwrap(), None);
        before.put(Table::Hash, &gone, b"old");
        tree.write(Commit::Checkpoint, &before.finish()).unwrap();
        let mut batch = Batch::new(tree.read().unwrap(), None);
        batch.put(Table::Hash, &kept, b"new");
        batch.remove(Table::Hash, &gone);
        let transaction = tree.database.begin_write().unwrap();
        let step = tree.growth.grow(&transaction, Commit::Later, &batch.finish()).unwrap();
        let mut seen = None;
        let commit = || {
            transaction.commit().map_err(at(WRITING))?;
            seen = Some(tree.read()?);
            Ok(())
        };
        tree.growth.commit(step, commit).unwrap();
        let model = Model::from([(kept.to_vec(), b"new".to_vec())]);
        check(&*seen.unwrap(), &model, "while it is noted");
        check(&*tree.read().unwrap(), &model, "after it");
    }

    #[test]
    fn a_row_of_young_ones_that_is_damaged_is_told() {
        let disk = Arc::new(SimDisk::new());
        let tree = open(&disk, 100);
        let mut batch = Batch::new(tree.read().unwrap(), None);
        batch.put(Table::Hash, &[7; KEY_SIZE], b"value");
        tree.write(Commit::Checkpoint, &batch.finish()).unwrap();
        let transaction = tree.database.begin_write().unwrap();
        let mut table = transaction.open_table(YOUNG).unwrap();
        table.insert(&1_u64.to_be_bytes(), &b"no checksum"[..]).unwrap();
        drop(table);
        transaction.commit().unwrap();
        let transaction = tree.database.begin_read().unwrap();
        let error = Growth::load(&transaction, 1).err().unwrap();
        assert!(error.to_string().contains("young"), "{error}");
    }
}
