//! The catalog's base: all its rows in one file, for the day on which the catalog is lost.
#![doc = include_str!("../../../docs/format/base.md")]

mod keeper;
mod make;
mod stream;

use std::io;
use std::sync::Arc;

use rehome_log::{Disk, FileName, Lsn};

pub(crate) use self::keeper::{Keeper, floor};
pub(crate) use self::make::Maker;
use self::stream::{BaseFile, VisitBase};
pub(crate) use self::stream::{Header, RowWriter, peek, read_stream};

use crate::error::{StoreError, doing};
use crate::identity::name;
use crate::tree::{Batch, Commit, Scan, Table, Tree, TreeRead};

/// The folder of bases.
pub(crate) fn folder() -> FileName {
    name("base")
}

fn file_name(lsn: Lsn, suffix: &str) -> FileName {
    folder().join(&format!("{:016x}.{suffix}", lsn.to_u64())).expect("a plain name")
}

/// The bases there are, newest first.
pub(crate) fn list(disk: &dyn Disk) -> Result<Vec<Lsn>, StoreError> {
    let names = match disk.list(&folder()) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
        listed => listed.map_err(doing("listing the bases of the catalog"))?,
    };
    let number = |name: &String| u64::from_str_radix(name.strip_suffix(".cat")?, 16).ok();
    let mut found: Vec<Lsn> = names.iter().filter_map(number).map(Lsn::from_u64).collect();
    found.sort_unstable_by(|one, other| other.cmp(one));
    Ok(found)
}

/// Writes all rows of `tree`, which holds the log up to `lsn`, reads them back and removes older
/// bases. Returns the file's length; none if `stop` said so.
pub(crate) fn write(
    disk: &Arc<dyn Disk>,
    tree: &dyn TreeRead,
    store_id: [u8; 16],
    lsn: Lsn,
    stop: &dyn Fn() -> bool,
) -> Result<Option<u64>, StoreError> {
    let maker = Maker::begin(disk, store_id, lsn)?;
    maker.fill(|rows| write_rows(rows, tree, stop))
}

/// Hands all rows of `tree`, which holds the log up to `lsn`, to `put` as the bytes of a base.
pub(crate) fn stream(
    tree: &dyn TreeRead,
    store_id: [u8; 16],
    lsn: Lsn,
    put: &mut dyn FnMut(&[u8]) -> Result<(), StoreError>,
) -> Result<(), StoreError> {
    let mut rows = RowWriter::begin(put, store_id, lsn)?;
    write_rows(&mut rows, tree, &|| false)?;
    rows.finish()
}

/// Writes all rows; false if it was stopped.
fn write_rows(
    rows: &mut RowWriter<'_>,
    tree: &dyn TreeRead,
    stop: &dyn Fn() -> bool,
) -> Result<bool, StoreError> {
    for table in Table::ALL {
        let (from, to) = bounds(table);
        let mut stopped = false;
        tree.scan(table, &from, &to, &mut |key, value| {
            if rows.put(table, key, value)? {
                stopped = stop();
            }
            Ok(if stopped { Scan::Stop } else { Scan::Next })
        })?;
        if stopped {
            return Ok(false);
        }
    }
    Ok(true)
}

/// First and last key that a table can have.
fn bounds(table: Table) -> (Vec<u8>, Vec<u8>) {
    match table.key_size() {
        Some(size) => (vec![0; size], vec![0xff; size]),
        None => (Vec::new(), vec![0xff; 2048]),
    }
}

/// Reads the base at `lsn`, checking everything.
fn read(
    disk: &Arc<dyn Disk>,
    store_id: [u8; 16],
    lsn: Lsn,
    visit: &mut VisitBase<'_>,
) -> Result<(), StoreError> {
    let name = file_name(lsn, "cat");
    let mut source = BaseFile::open(disk, &name)?;
    let expected = Header { store_id, lsn };
    read_stream(&mut source, name.as_str(), &mut |found| *found == expected, visit)
}

/// BLAKE3 over the bytes of the base at `lsn`.
pub(crate) fn hash(disk: &Arc<dyn Disk>, lsn: Lsn) -> Result<[u8; 32], StoreError> {
    let name = file_name(lsn, "cat");
    let mut source = BaseFile::open(disk, &name)?;
    let mut hasher = blake3::Hasher::new();
    io::copy(&mut source, &mut hasher).map_err(doing(format!("reading {name}")))?;
    Ok(*hasher.finalize().as_bytes())
}

/// Rows put into a tree in one transaction.
const LOAD_ROWS_MAX: usize = 100_000;

/// Puts all rows of the base at `lsn` into an empty tree, durably.
pub(crate) fn load(
    disk: &Arc<dyn Disk>,
    store_id: [u8; 16],
    lsn: Lsn,
    tree: &dyn Tree,
) -> Result<(), StoreError> {
    let mut batch = Batch::new(tree.read()?, None);
    let mut waiting = 0;
    read(disk, store_id, lsn, &mut |table, key, value| {
        batch.put(table, key, value);
        waiting += 1;
        if waiting < LOAD_ROWS_MAX {
            return Ok(());
        }
        waiting = 0;
        let full = std::mem::replace(&mut batch, Batch::new(tree.read()?, None));
        tree.write(Commit::Later, &full.finish())
    })?;
    tree.write(Commit::Checkpoint, &batch.finish())
}
