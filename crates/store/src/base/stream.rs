//! The bytes of a base, in order: written to anything that takes bytes, read from anything that
//! gives them.

use std::io::{self, Read};
use std::sync::Arc;

use rehome_log::{Disk, FileName, Lsn, OpenMode, crc32c};

use crate::error::{StoreError, doing};
use crate::segment::OpenFile;
use crate::tree::Table;

const MAGIC: [u8; 8] = *b"RHCATBAS";
const VERSION: u32 = 1;
const HEADER_SIZE: usize = 48;
const BLOCK_BYTES: usize = 1 << 20;
const LAST: u32 = 0x8000_0000;
/// Longest block that a reader takes.
const BLOCK_BYTES_MAX: u32 = 16 << 20;
const REMEDY: &str = "restore the store from a backup";

/// Whose base it is, and of which moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Header {
    pub(crate) store_id: [u8; 16],
    /// The last group in it.
    pub(crate) lsn: Lsn,
}

/// What takes the bytes of a base.
type Put<'a> = dyn FnMut(&[u8]) -> Result<(), StoreError> + 'a;

/// Makes blocks of rows.
pub(crate) struct RowWriter<'a> {
    put: &'a mut Put<'a>,
    block: Vec<u8>,
    rows: u64,
}

impl<'a> RowWriter<'a> {
    /// Writes the header.
    pub(crate) fn begin(
        put: &'a mut Put<'a>,
        store_id: [u8; 16],
        lsn: Lsn,
    ) -> Result<RowWriter<'a>, StoreError> {
        let mut bytes = Vec::with_capacity(HEADER_SIZE);
        bytes.extend_from_slice(&MAGIC);
        bytes.extend_from_slice(&VERSION.to_le_bytes());
        bytes.extend_from_slice(&[0; 4]);
        bytes.extend_from_slice(&store_id);
        bytes.extend_from_slice(&lsn.to_u64().to_le_bytes());
        bytes.extend_from_slice(&crc32c(&bytes).to_le_bytes());
        bytes.resize(HEADER_SIZE, 0);
        put(&bytes)?;
        Ok(RowWriter { put, block: Vec::new(), rows: 0 })
    }

    /// Writes a row; true if a block was full.
    pub(crate) fn put(
        &mut self,
        table: Table,
        key: &[u8],
        value: &[u8],
    ) -> Result<bool, StoreError> {
        let key_len = u16::try_from(key.len()).expect("names are short");
        let value_len = u32::try_from(value.len()).expect("the log bounds rows");
        self.block.push(table as u8);
        self.block.extend_from_slice(&key_len.to_le_bytes());
        self.block.extend_from_slice(&value_len.to_le_bytes());
        self.block.extend_from_slice(key);
        self.block.extend_from_slice(value);
        self.rows += 1;
        let full = self.block.len() >= BLOCK_BYTES;
        if full {
            self.flush(0)?;
        }
        Ok(full)
    }

    /// Writes the block that ends a base.
    pub(crate) fn finish(mut self) -> Result<(), StoreError> {
        self.flush(0)?;
        self.block.extend_from_slice(&self.rows.to_le_bytes());
        self.flush(LAST)
    }

    fn flush(&mut self, flag: u32) -> Result<(), StoreError> {
        if self.block.is_empty() {
            return Ok(());
        }
        let len = u32::try_from(self.block.len()).expect("a block and a row fit 32 bits");
        let mut head = (len | flag).to_le_bytes().to_vec();
        head.extend_from_slice(&crc32c(&self.block).to_le_bytes());
        head.append(&mut self.block);
        (self.put)(&head)
    }
}

/// A base in a file.
pub(super) struct BaseFile {
    disk: Arc<dyn Disk>,
    file: OpenFile,
    at: u64,
    len: u64,
}

impl BaseFile {
    pub(super) fn open(disk: &Arc<dyn Disk>, name: &FileName) -> Result<BaseFile, StoreError> {
        let failed = || doing(format!("reading {name}"));
        let file = disk.open(name, OpenMode::Read).map_err(failed())?;
        let file = OpenFile::new(Arc::clone(disk), file);
        let len = disk.len(file.id).map_err(failed())?;
        Ok(BaseFile { disk: Arc::clone(disk), file, at: 0, len })
    }
}

impl Read for BaseFile {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let left = usize::try_from(self.len - self.at).unwrap_or(usize::MAX);
        let part = left.min(buf.len());
        self.disk.read_at(self.file.id, self.at, &mut buf[..part])?;
        self.at += part as u64;
        Ok(part)
    }
}

/// Reads the header of a base; returns it with the whole base, the header before the rest.
pub(crate) fn peek(source: &mut dyn Read) -> Result<(Header, impl Read), StoreError> {
    let bytes = Reader { source, place: "the base", at: 0 }.take(HEADER_SIZE)?;
    let header = decode_header(&bytes).map_err(|cause| StoreError::Damaged {
        place: "the header of the base".to_owned(),
        cause: cause.to_owned(),
        remedy: "use another base",
    })?;
    Ok((header, io::Cursor::new(bytes).chain(source)))
}

/// What is called with each row: table, key, value.
pub(super) type VisitBase<'a> = dyn FnMut(Table, &[u8], &[u8]) -> Result<(), StoreError> + 'a;

/// Reads a base from `source`, which `place` names, checking everything; `admit` says whether it is
/// the one that is meant.
pub(crate) fn read_stream(
    source: &mut dyn Read,
    place: &str,
    admit: &mut dyn FnMut(&Header) -> bool,
    visit: &mut VisitBase<'_>,
) -> Result<(), StoreError> {
    let mut reader = Reader { source, place, at: 0 };
    let bytes = reader.take(HEADER_SIZE)?;
    let header = decode_header(&bytes).map_err(|cause| reader.damaged(0, cause))?;
    if !admit(&header) {
        return Err(reader.damaged(0, "it is the base of another store or moment"));
    }
    let mut rows = 0;
    loop {
        let at = reader.at;
        let head = reader.take(8)?;
        let size = word(&head, 0);
        let (size, last) = (size & !LAST, size & LAST != 0);
        if size > BLOCK_BYTES_MAX {
            return Err(reader.damaged(at, "a block claims to be longer than any is"));
        }
        let block = reader.take(size as usize)?;
        if crc32c(&block) != word(&head, 4) {
            return Err(reader.damaged(at, "the checksum of a block is wrong"));
        }
        if last {
            let whole = block == u64::to_le_bytes(rows) && reader.is_at_end()?;
            return if whole { Ok(()) } else { Err(reader.damaged(at, "rows are missing")) };
        }
        let found = visit_rows(&block, visit)?;
        rows += found.ok_or_else(|| reader.damaged(at, "a block does not hold whole rows"))?;
    }
}

struct Reader<'a> {
    source: &'a mut dyn Read,
    place: &'a str,
    at: u64,
}

impl Reader<'_> {
    fn take(&mut self, size: usize) -> Result<Vec<u8>, StoreError> {
        let mut bytes = vec![0; size];
        match self.source.read_exact(&mut bytes) {
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
                Err(self.damaged(self.at, "it ends before that"))
            }
            read => {
                read.map_err(doing(format!("reading {}", self.place)))?;
                self.at += size as u64;
                Ok(bytes)
            }
        }
    }

    fn is_at_end(&mut self) -> Result<bool, StoreError> {
        let read = self.source.read(&mut [0]);
        Ok(read.map_err(doing(format!("reading {}", self.place)))? == 0)
    }

    fn damaged(&self, at: u64, cause: &str) -> StoreError {
        StoreError::Damaged {
            place: format!("{} at byte {at}", self.place),
            cause: cause.to_owned(),
            remedy: REMEDY,
        }
    }
}

fn word(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(bytes[at..at + 4].try_into().expect("four bytes"))
}

fn decode_header(header: &[u8]) -> Result<Header, &'static str> {
    if header[..8] != MAGIC || crc32c(&header[..40]) != word(header, 40) {
        return Err("its header is not one of a base");
    }
    if word(header, 8) != VERSION {
        return Err("its header has a version that this program does not know");
    }
    let store_id = header[16..32].try_into().expect("sixteen bytes");
    let lsn = u64::from_le_bytes(header[32..40].try_into().expect("eight bytes"));
    Ok(Header { store_id, lsn: Lsn::from_u64(lsn) })
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_block_of_no_rows_is_the_one_that_the_format_page_shows() {
        let rows = 0_u64.to_le_bytes();
        let block = [&(8 | LAST).to_le_bytes()[..], &crc32c(&rows).to_le_bytes(), &rows].concat();
        let written: String = block.iter().map(|byte| format!("{byte:02x}")).collect();
        let page = include_str!("../../../../docs/format/base.md");
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
