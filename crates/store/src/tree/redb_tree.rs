//! The tree in a redb file, with keys of fixed width where they have one.

mod growth;

use std::iter::Peekable;
use std::ops::{Bound, Deref};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, OnceLock};

use redb::{
    Builder, CursorError, Database, Durability, ReadOnlyTable, ReadTransaction, ReadableDatabase,
    TableDefinition, WriteTransaction,
};
use rehome_log::{Disk, FileId};

use self::growth::{Growth, Seen};
use super::backend::DiskBackend;
use super::young::KEY_SIZE;
use super::{Change, Commit, Rows, Scan, Table, Tree, TreeRead, VisitRow};
use crate::background::Background;
use crate::error::{StoreError, doing};

type Row = &'static [u8];
type Fixed<const N: usize> = &'static [u8; N];

/// The tree.
pub(crate) struct RedbTree {
    database: Closing,
    /// The rows of [`Table::Hash`] that are not in their table yet.
    growth: Growth,
}

/// Young rows may take this part of the memory for the catalog.
const YOUNG_PART: usize = 4;

/// Pages of redb's file, in bytes.
const PAGE_SIZE: u64 = 4096;

/// Fills the last page of `file` up with zeros. redb takes a length that is no multiple of its
/// pages for damage; a power cut while the file grows may leave one, and what lies there is not
/// used yet.
fn even_out(disk: &dyn Disk, file: FileId) -> std::io::Result<()> {
    let len = disk.len(file)?;
    let even = len.next_multiple_of(PAGE_SIZE);
    if even == len { Ok(()) } else { disk.set_len(file, even) }
}

/// Names what failed. Damage is told apart: the catalog can be built anew.
fn at<E: Into<redb::Error>>(doing: &'static str) -> impl FnOnce(E) -> StoreError {
    move |error| match error.into() {
        error if is_damage(&error) => damaged(doing, &error),
        other => StoreError::Catalog { doing, source: Box::new(other) },
    }
}

/// Whether it is the bytes of the file that make redb say this to a program that opens each table
/// as what it is.
fn is_damage(error: &redb::Error) -> bool {
    use std::io::ErrorKind::{InvalidData, InvalidInput, UnexpectedEof};
    match error {
        // A page is to lie behind the end of the file, or where no file has a place.
        redb::Error::Io(source) => {
            matches!(source.kind(), InvalidData | InvalidInput | UnexpectedEof)
        }
        // The last one follows a panic that `guarded` met.
        redb::Error::Corrupted(_)
        | redb::Error::UpgradeRequired(_)
        | redb::Error::TableTypeMismatch { .. }
        | redb::Error::TypeDefinitionChanged { .. }
        | redb::Error::TableIsMultimap(_)
        | redb::Error::TableDoesNotExist(_)
        | redb::Error::LockPoisoned(_) => true,
        _ => false,
    }
}

fn damaged(doing: &str, cause: &dyn std::fmt::Display) -> StoreError {
    StoreError::damaged_catalog("mail.redb", format!("{doing} failed: {cause}"))
}

/// Calls redb. Of some damaged pages it makes a panic; here that is damage like any other.
fn guarded<T>(
    doing: &'static str,
    call: impl FnOnce() -> Result<T, StoreError>,
) -> Result<T, StoreError> {
    catch_unwind(AssertUnwindSafe(call))
        .unwrap_or_else(|_| Err(damaged(doing, &"a page is not what it should be")))
}

/// A database that is closed without a panic, whatever its pages are like. What is not written
/// then follows from the log, as after a kill.
struct Closing(Option<Database>);

impl Deref for Closing {
    type Target = Database;

    fn deref(&self) -> &Database {
        self.0.as_ref().expect("only dropping takes it")
    }
}

impl Drop for Closing {
    fn drop(&mut self) {
        let database = self.0.take();
        let close = guarded("closing its file", || {
            drop(database);
            Ok(())
        });
        drop(close);
    }
}

fn definition<K: redb::Key + 'static>(table: Table) -> TableDefinition<'static, K, Row> {
    TableDefinition::new(table.name())
}

/// The key as an array; the widths are those of [`Table::key_size`].
fn sized<const N: usize>(key: &[u8]) -> &[u8; N] {
    key.try_into().expect("keys are made with the width of their table")
}

/// Opens the table with the key type of its width, in whichever wrapper `$any` is.
macro_rules! open_table {
    ($any:ident, $transaction:expr, $table:expr) => {{
        let (transaction, table) = ($transaction, $table);
        match table.key_size() {
            Some(1) => transaction.open_table(definition::<Fixed<1>>(table)).map($any::K1),
            Some(4) => transaction.open_table(definition::<Fixed<4>>(table)).map($any::K4),
            Some(8) => transaction.open_table(definition::<Fixed<8>>(table)).map($any::K8),
            Some(12) => transaction.open_table(definition::<Fixed<12>>(table)).map($any::K12),
            Some(_) => transaction.open_table(definition::<Fixed<16>>(table)).map($any::K16),
            None => transaction.open_table(definition::<Row>(table)).map($any::Bytes),
        }
        .map_err(at("opening a table"))
    }};
}

/// Does the same with a table of any key width: `$key` turns bytes into its key.
macro_rules! with_table {
    ($any:ident, $opened:expr, |$open:ident, $key:ident| $body:expr) => {
        match $opened {
            $any::K1($open) => {
                let $key = sized::<1>;
                $body
            }
            $any::K4($open) => {
                let $key = sized::<4>;
                $body
            }
            $any::K8($open) => {
                let $key = sized::<8>;
                $body
            }
            $any::K12($open) => {
                let $key = sized::<12>;
                $body
            }
            $any::K16($open) => {
                let $key = sized::<16>;
                $body
            }
            $any::Bytes($open) => {
                let $key = std::convert::identity::<&[u8]>;
                $body
            }
        }
    };
}

enum AnyRead {
    K1(ReadOnlyTable<Fixed<1>, Row>),
    K4(ReadOnlyTable<Fixed<4>, Row>),
    K8(ReadOnlyTable<Fixed<8>, Row>),
    K12(ReadOnlyTable<Fixed<12>, Row>),
    K16(ReadOnlyTable<Fixed<16>, Row>),
    Bytes(ReadOnlyTable<Row, Row>),
}

enum AnyWrite<'t> {
    K1(redb::Table<'t, Fixed<1>, Row>),
    K4(redb::Table<'t, Fixed<4>, Row>),
    K8(redb::Table<'t, Fixed<8>, Row>),
    K12(redb::Table<'t, Fixed<12>, Row>),
    K16(redb::Table<'t, Fixed<16>, Row>),
    Bytes(redb::Table<'t, Row, Row>),
}

impl RedbTree {
    /// Opens the tree in `file`, and makes it if the file is empty. Takes the file over.
    pub(crate) fn open(
        disk: Arc<dyn Disk>,
        file: FileId,
        cache_bytes: usize,
    ) -> Result<RedbTree, StoreError> {
        even_out(&*disk, file).map_err(doing("evening out the catalog's file"))?;
        let young_bytes = cache_bytes / YOUNG_PART;
        let mut builder = Builder::new();
        builder.set_cache_size(cache_bytes - young_bytes);
        let backend = DiskBackend::new(disk, file);
        guarded("opening its file", || {
            let database = builder.create_with_backend(backend).map_err(at("opening its file"))?;
            let database = Closing(Some(database));
            let mut tree = RedbTree { database, growth: Growth::default() };
            tree.write(Commit::Checkpoint, &Rows::default())?;
            let transaction = tree.database.begin_read().map_err(at("reading young rows"))?;
            tree.growth = Growth::load(&transaction, young_bytes)?;
            Ok(tree)
        })
    }

    fn begin(&self, commit: Commit) -> Result<WriteTransaction, StoreError> {
        let mut transaction = self.database.begin_write().map_err(at("beginning to write"))?;
        match commit {
            Commit::Checkpoint => transaction.set_quick_repair(true),
            Commit::Later => {
                transaction.set_durability(Durability::None).map_err(|error| StoreError::Io {
                    doing: "choosing how the catalog commits".to_owned(),
                    source: std::io::Error::other(error),
                })?;
            }
        }
        Ok(transaction)
    }

    fn write_all(&self, commit: Commit, rows: &Rows) -> Result<(), StoreError> {
        let transaction = self.begin(commit)?;
        let written = Table::ALL.into_iter().try_for_each(|table| {
            let mut changes = rows.of(table).peekable();
            // A table that was never opened for writing does not exist for readers.
            if commit == Commit::Later && changes.peek().is_none() || table == Table::Hash {
                return Ok(());
            }
            with_table!(AnyWrite, open_table!(AnyWrite, &transaction, table)?, |open, sized| {
                change_table(open, true, changes, sized)
            })
        });
        match written.and_then(|()| self.growth.grow(&transaction, commit, rows)) {
            Ok(step) => self.growth.commit(step, || transaction.commit().map_err(at("committing"))),
            Err(error) => {
                let taken_back = transaction.abort().map_err(at("taking a transaction back"));
                match error {
                    // Nothing more is to be had of this file; the cause is what matters.
                    StoreError::Damaged { .. } => Err(error),
                    _ => taken_back.and(Err(error)),
                }
            }
        }
    }
}

impl Tree for RedbTree {
    fn read(&self) -> Result<Box<dyn TreeRead>, StoreError> {
        let doing = "beginning to read";
        let begin = || guarded(doing, || self.database.begin_read().map_err(at(doing)));
        let (transaction, seen) = self.growth.see(begin)?;
        Ok(Box::new(RedbRead { transaction, tables: Default::default(), seen }))
    }

    fn write(&self, commit: Commit, rows: &Rows) -> Result<(), StoreError> {
        guarded(WRITING, || self.write_all(commit, rows))
    }
}

struct RedbRead {
    transaction: ReadTransaction,
    tables: [OnceLock<AnyRead>; Table::ALL.len()],
    seen: Seen,
}

impl RedbRead {
    fn table(&self, table: Table) -> Result<&AnyRead, StoreError> {
        let slot = &self.tables[table as usize];
        if let Some(opened) = slot.get() {
            return Ok(opened);
        }
        let open = || open_table!(AnyRead, &self.transaction, table);
        let opened = guarded("opening a table", open)?;
        Ok(slot.get_or_init(|| opened))
    }
}

impl TreeRead for RedbRead {
    fn get(&self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        if table == Table::Hash
            && let Some(young) = self.seen.young(&self.transaction)?.get(sized::<KEY_SIZE>(key))
        {
            return Ok(young.map(<[u8]>::to_vec));
        }
        with_table!(AnyRead, self.table(table)?, |open, sized| {
            guarded("reading a row", || {
                let row = open.get(sized(key)).map_err(at("reading a row"))?;
                Ok(row.map(|row| row.value().to_vec()))
            })
        })
    }

    fn scan(
        &self,
        table: Table,
        from: &[u8],
        to: &[u8],
        visit: &mut VisitRow<'_>,
    ) -> Result<(), StoreError> {
        let scan = |visit: &mut VisitRow<'_>| {
            with_table!(AnyRead, self.table(table)?, |open, sized| {
                scan_table(open, sized(from), sized(to), visit)
            })
        };
        match table {
            Table::Hash => self.seen.young(&self.transaction)?.scan(from, to, scan, visit),
            _ => scan(visit),
        }
    }
}

fn scan_table<'k, K: redb::Key + 'static>(
    table: &ReadOnlyTable<K, Row>,
    from: K::SelfType<'k>,
    to: K::SelfType<'k>,
    visit: &mut VisitRow<'_>,
) -> Result<(), StoreError> {
    let doing = "reading rows";
    let range = || table.range::<K::SelfType<'k>>(from..=to).map_err(at(doing));
    let mut rows = guarded(doing, range)?;
    while let Some((key, value)) = guarded(doing, || rows.next().transpose().map_err(at(doing)))? {
        let (key, value) = guarded(doing, || Ok((key.value(), value.value())))?;
        if visit(K::as_bytes(&key).as_ref(), value)? == Scan::Stop {
            break;
        }
    }
    Ok(())
}

/// What a failure of a change was met at.
const WRITING: &str = "writing rows";

/// Makes changes in the order of their keys. Where new rows often lie beside each other, `in_runs`,
/// such rows are put between their neighbours all at once.
fn change_table<'r, K: redb::Key + 'static>(
    mut table: redb::Table<'_, K, Row>,
    in_runs: bool,
    mut changes: Peekable<impl Iterator<Item = Change<'r>>>,
    sized: impl Fn(&'r [u8]) -> K::SelfType<'r>,
) -> Result<(), StoreError> {
    let mut background = Background::of_this_thread();
    while let Some((key, value)) = changes.next() {
        background.step();
        let Some(value) = value else {
            table.remove(sized(key)).map_err(at(WRITING))?;
            continue;
        };
        let old = table.insert(sized(key), value).map_err(at(WRITING))?.is_some();
        if !old && in_runs {
            insert_run(&mut table, key, &mut changes, &sized)?;
        }
    }
    Ok(())
}

/// Inserts the rows that lie between `before`, which is there, and the row behind it.
fn insert_run<'r, K: redb::Key + 'static>(
    table: &mut redb::Table<'_, K, Row>,
    before: &'r [u8],
    changes: &mut Peekable<impl Iterator<Item = Change<'r>>>,
    sized: &impl Fn(&'r [u8]) -> K::SelfType<'r>,
) -> Result<(), StoreError> {
    let cursor = table.upper_bound_mut(Bound::Included(sized(before)));
    let mut cursor = cursor.map_err(at(WRITING))?;
    let mut background = Background::of_this_thread();
    while let Some((key, Some(value))) = changes.peek() {
        background.step();
        match cursor.insert_before(sized(key), *value) {
            Ok(()) => drop(changes.next()),
            Err(CursorError::Storage(error)) => return Err(at(WRITING)(error)),
            // It lies elsewhere.
            Err(_) => break,
        }
    }
    cursor.close().map_err(at(WRITING))
}
