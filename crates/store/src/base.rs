//! The catalog's base: all its rows in one file, for the day on which the catalog is lost.
#![doc = include_str!("../../../docs/format/base.md")]

mod keeper;

use std::io;
use std::sync::Arc;

use rehome_log::{Disk, FileName, Lsn, OpenMode, SyncKind, crc32c};

pub(crate) use self::keeper::{Keeper, floor};

use crate::error::{StoreError, doing};
use crate::identity::{name, remove_if_there};
use crate::segment::OpenFile;
use crate::tree::{Commit, Scan, Table, Tree, TreeRead};

const MAGIC: [u8; 8] = *b"RHCATBAS";
const VERSION: u32 = 1;
const HEADER_SIZE: usize = 48;
const BLOCK_BYTES: usize = 1 << 20;
const LAST: u32 = 0x8000_0000;
/// Longest block that a reader takes.
const BLOCK_BYTES_MAX: u32 = 16 << 20;
const REMEDY: &str = "restore the store from a backup";

/// The folder of bases.
fn folder() -> FileName {
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
    let (unnamed, named) = (file_name(lsn, "new"), file_name(lsn, "cat"));
    let failed = || doing(format!("writing {named}"));
    disk.create_dir(&folder()).map_err(failed())?;
    remove_if_there(&**disk, &unnamed).map_err(failed())?;
    let file = disk.open(&unnamed, OpenMode::CreateNew).map_err(failed())?;
    let file = OpenFile::new(Arc::clone(disk), file);
    let mut writer = Writer { disk, file: &file, end: 0, block: Vec::new(), rows: 0 };
    let written = writer.header(store_id, lsn).and_then(|()| writer.rows(tree, stop));
    if !written? {
        remove_if_there(&**disk, &unnamed).map_err(failed())?;
        return Ok(None);
    }
    let len = writer.end;
    disk.sync(file.id, SyncKind::All).map_err(failed())?;
    disk.rename(&unnamed, &named).map_err(failed())?;
    disk.sync_dir(&folder()).map_err(failed())?;
    read(disk, store_id, lsn, &mut |_, _, _| Ok(()))?;
    for old in list(&**disk)?.into_iter().filter(|old| *old < lsn) {
        // An old base that stays takes room, nothing else; the next one tries again.
        drop(remove_if_there(&**disk, &file_name(old, "cat")));
    }
    Ok(Some(len))
}

struct Writer<'a> {
    disk: &'a Arc<dyn Disk>,
    file: &'a OpenFile,
    end: u64,
    block: Vec<u8>,
    rows: u64,
}

impl Writer<'_> {
    fn header(&mut self, store_id: [u8; 16], lsn: Lsn) -> Result<(), StoreError> {
        let mut bytes = Vec::with_capacity(HEADER_SIZE);
        bytes.extend_from_slice(&MAGIC);
        bytes.extend_from_slice(&VERSION.to_le_bytes());
        bytes.extend_from_slice(&[0; 4]);
        bytes.extend_from_slice(&store_id);
        bytes.extend_from_slice(&lsn.to_u64().to_le_bytes());
        bytes.extend_from_slice(&crc32c(&bytes).to_le_bytes());
        bytes.resize(HEADER_SIZE, 0);
        self.put(&bytes)
    }

    /// Writes all rows; false if it was stopped.
    fn rows(&mut self, tree: &dyn TreeRead, stop: &dyn Fn() -> bool) -> Result<bool, StoreError> {
        for (number, table) in (0_u8..).zip(Table::ALL) {
            let (from, to) = bounds(table);
            let mut stopped = false;
            tree.scan(table, &from, &to, &mut |key, value| {
                self.row(number, key, value);
                if self.block.len() >= BLOCK_BYTES {
                    self.flush(0)?;
                    stopped = stop();
                }
                Ok(if stopped { Scan::Stop } else { Scan::Next })
            })?;
            if stopped {
                return Ok(false);
            }
        }
        self.flush(0)?;
        self.block.extend_from_slice(&self.rows.to_le_bytes());
        self.flush(LAST)?;
        Ok(true)
    }

    fn row(&mut self, table: u8, key: &[u8], value: &[u8]) {
        let key_len = u16::try_from(key.len()).expect("names are short");
        let value_len = u32::try_from(value.len()).expect("the log bounds rows");
        self.block.push(table);
        self.block.extend_from_slice(&key_len.to_le_bytes());
        self.block.extend_from_slice(&value_len.to_le_bytes());
        self.block.extend_from_slice(key);
        self.block.extend_from_slice(value);
        self.rows += 1;
    }

    fn flush(&mut self, flag: u32) -> Result<(), StoreError> {
        if self.block.is_empty() {
            return Ok(());
        }
        let len = u32::try_from(self.block.len()).expect("a block and a row fit 32 bits");
        let mut head = (len | flag).to_le_bytes().to_vec();
        head.extend_from_slice(&crc32c(&self.block).to_le_bytes());
        head.append(&mut self.block);
        self.put(&head)
    }

    fn put(&mut self, bytes: &[u8]) -> Result<(), StoreError> {
        let failed = doing("writing a base of the catalog");
        self.disk.write_at(self.file.id, self.end, bytes).map_err(failed)?;
        self.end += bytes.len() as u64;
        Ok(())
    }
}

/// First and last key that a table can have.
fn bounds(table: Table) -> (Vec<u8>, Vec<u8>) {
    match table.key_size() {
        Some(size) => (vec![0; size], vec![0xff; size]),
        None => (Vec::new(), vec![0xff; 2048]),
    }
}

/// What is called with each row: table, key, value.
type VisitBase<'a> = dyn FnMut(Table, &[u8], &[u8]) -> Result<(), StoreError> + 'a;

/// Reads the base at `lsn`, checking everything.
fn read(
    disk: &Arc<dyn Disk>,
    store_id: [u8; 16],
    lsn: Lsn,
    visit: &mut VisitBase<'_>,
) -> Result<(), StoreError> {
    let name = file_name(lsn, "cat");
    let failed = || doing(format!("reading {name}"));
    let damaged = |at: u64, cause: &str| StoreError::Damaged {
        place: format!("{name} at byte {at}"),
        cause: cause.to_owned(),
        remedy: REMEDY,
    };
    let file = disk.open(&name, OpenMode::Read).map_err(failed())?;
    let file = OpenFile::new(Arc::clone(disk), file);
    let len = disk.len(file.id).map_err(failed())?;
    let take = |at: u64, size: usize| -> Result<Vec<u8>, StoreError> {
        if at + size as u64 > len {
            return Err(damaged(at, "the file ends before that"));
        }
        let mut bytes = vec![0; size];
        disk.read_at(file.id, at, &mut bytes).map_err(failed())?;
        Ok(bytes)
    };
    let header = take(0, HEADER_SIZE)?;
    check_header(&header, store_id, lsn).map_err(|cause| damaged(0, cause))?;
    let (mut at, mut rows) = (HEADER_SIZE as u64, 0);
    loop {
        let head = take(at, 8)?;
        let size = word(&head, 0);
        let (size, last) = (size & !LAST, size & LAST != 0);
        if size > BLOCK_BYTES_MAX {
            return Err(damaged(at, "a block claims to be longer than any is"));
        }
        let block = take(at + 8, size as usize)?;
        if crc32c(&block) != word(&head, 4) {
            return Err(damaged(at, "the checksum of a block is wrong"));
        }
        if last {
            let whole = block == u64::to_le_bytes(rows) && at + 8 + u64::from(size) == len;
            return if whole { Ok(()) } else { Err(damaged(at, "rows are missing")) };
        }
        let found = visit_rows(&block, visit)?;
        rows += found.ok_or_else(|| damaged(at, "a block does not hold whole rows"))?;
        at += 8 + u64::from(size);
    }
}

fn word(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(bytes[at..at + 4].try_into().expect("four bytes"))
}

fn check_header(header: &[u8], store_id: [u8; 16], lsn: Lsn) -> Result<(), &'static str> {
    if header[..8] != MAGIC || crc32c(&header[..40]) != word(header, 40) {
        return Err("its header is not one of a base");
    }
    if word(header, 8) != VERSION {
        return Err("its header has a version that this program does not know");
    }
    if header[16..32] != store_id || header[32..40] != lsn.to_u64().to_le_bytes() {
        return Err("it is the base of another store or moment");
    }
    Ok(())
}

/// Visits the rows of a block; returns how many, or nothing if they are not whole.
fn visit_rows(block: &[u8], visit: &mut VisitBase<'_>) -> Result<Option<u64>, StoreError> {
    let (mut rest, mut rows) = (block, 0);
    while !rest.is_empty() {
        let Some((head, after)) = rest.split_at_checked(7) else { return Ok(None) };
        let key_len = usize::from(u16::from_le_bytes([head[1], head[2]]));
        let value_len = word(head, 3) as usize;
        let Some(table) = Table::ALL.get(usize::from(head[0])) else { return Ok(None) };
        let fits = table.key_size().is_none_or(|size| size == key_len);
        let Some((key, after)) = after.split_at_checked(key_len) else { return Ok(None) };
        let Some((value, after)) = after.split_at_checked(value_len) else { return Ok(None) };
        if !fits {
            return Ok(None);
        }
        visit(*table, key, value)?;
        rest = after;
        rows += 1;
    }
    Ok(Some(rows))
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
    let mut waiting: Vec<(Table, Vec<u8>, Vec<u8>)> = Vec::new();
    let flush = |waiting: &mut Vec<(Table, Vec<u8>, Vec<u8>)>| {
        let rows = std::mem::take(waiting);
        tree.write(Commit::Later, &mut |tree| {
            rows.iter().try_for_each(|(table, key, value)| tree.put(*table, key, value))
        })
    };
    read(disk, store_id, lsn, &mut |table, key, value| {
        waiting.push((table, key.to_vec(), value.to_vec()));
        if waiting.len() < LOAD_ROWS_MAX { Ok(()) } else { flush(&mut waiting) }
    })?;
    flush(&mut waiting)?;
    tree.write(Commit::Checkpoint, &mut |_| Ok(()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_block_of_no_rows_is_the_one_that_the_format_page_shows() {
        let rows = 0_u64.to_le_bytes();
        let block = [&(8 | LAST).to_le_bytes()[..], &crc32c(&rows).to_le_bytes(), &rows].concat();
        let written: String = block.iter().map(|byte| format!("{byte:02x}")).collect();
        let page = include_str!("../../../docs/format/base.md");
        let example = page.split("```text").nth(1).unwrap().split("```").next().unwrap();
        let digits: String = example.split_whitespace().collect();
        assert_eq!(digits, written);
    }

    /// Each block is a list of rows; the visit sees so many, or the block is not whole.
    #[track_caller]
    fn check(block: &[u8], expected: Option<u64>) {
        assert_eq!(visit_rows(block, &mut |_, _, _| Ok(())).unwrap(), expected);
    }

    #[test]
    fn rows_are_whole_or_none() {
        let row = [&[1, 4, 0, 2, 0, 0, 0][..], &[0, 0, 0, 9], b"ab"].concat();
        check(&[], Some(0));
        check(&row, Some(1));
        check(&[&row[..], &row[..]].concat(), Some(2));
        for cut in 1..row.len() {
            check(&row[..cut], None);
        }
        let mut other = row.clone();
        other[0] = 12;
        check(&other, None);
        other[0] = 3;
        check(&other, None);
        let claims = [1, 4, 0, 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 9];
        check(&claims, None);
    }
}
