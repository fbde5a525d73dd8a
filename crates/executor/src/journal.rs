//! The journal: what has been done, durable before and after every step.
#![doc = include_str!("../../../docs/format/journal.md")]

mod line;
mod record;

use std::io;
use std::sync::Arc;

use rehome_log::{Clock, Disk, FileId, FileName, OpenMode, SyncKind};

use crate::error::ExecutorError;

pub(crate) use record::{Failure, Record};

/// Version of the journal that this crate writes and reads.
pub const JOURNAL_FORMAT: u32 = 2;

/// A journal that is open and locked.
pub(crate) struct Journal {
    disk: Arc<dyn Disk>,
    clock: Arc<dyn Clock>,
    name: FileName,
    file: FileId,
    lock: FileId,
    end: u64,
    count: u64,
    /// Set by the first write that failed: nothing is written after it.
    broken: bool,
}

/// A record with the moment at which it was written.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Entry {
    pub(crate) at_us: i64,
    pub(crate) record: Record,
}

/// What a journal file is bound to.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Binding {
    pub(crate) plan: String,
    pub(crate) inventory_hash: String,
    pub(crate) steps_crc32c: u32,
}

impl Journal {
    /// Opens the journal, or creates it, and returns what it says. A torn last line is cut off.
    pub(crate) fn open(
        disk: Arc<dyn Disk>,
        name: FileName,
        clock: Arc<dyn Clock>,
        binding: &Binding,
    ) -> Result<(Self, Vec<Entry>), ExecutorError> {
        let lock = lock(disk.as_ref(), &name)?;
        let opened = Self::open_locked(disk.clone(), name, clock, lock, binding);
        if opened.is_err() {
            disk.close(lock);
        }
        opened
    }

    fn open_locked(
        disk: Arc<dyn Disk>,
        name: FileName,
        clock: Arc<dyn Clock>,
        lock: FileId,
        binding: &Binding,
    ) -> Result<(Self, Vec<Entry>), ExecutorError> {
        let failed = |source| ExecutorError::Journal { file: name.to_string(), source };
        let file = open_or_create(disk.as_ref(), &name).map_err(failed)?;
        let mut journal = Self { disk, clock, name, file, lock, end: 0, count: 0, broken: false };
        let entries = journal.read(binding)?;
        if entries.is_empty() {
            journal.append(&Record::Bound {
                format: JOURNAL_FORMAT,
                plan: binding.plan.clone(),
                inventory_hash: binding.inventory_hash.clone(),
                steps_crc32c: binding.steps_crc32c,
            })?;
        }
        Ok((journal, entries))
    }

    /// The moment of a record that is appended now, in microseconds since 1970.
    pub(crate) fn now_us(&self) -> i64 {
        self.clock.wall_us()
    }

    /// Appends a record; it is durable when the call returns. Returns when it was written.
    pub(crate) fn append(&mut self, record: &Record) -> Result<i64, ExecutorError> {
        let at_us = self.clock.wall_us();
        let bytes = line::encode(self.count + 1, at_us, record);
        if self.broken {
            return Err(self.failed(io::Error::other("an earlier write failed")));
        }
        let written = self
            .disk
            .write_at(self.file, self.end, &bytes)
            .and_then(|()| self.disk.sync(self.file, SyncKind::All));
        if let Err(source) = written {
            self.broken = true;
            return Err(self.failed(source));
        }
        self.end += bytes.len() as u64;
        self.count += 1;
        Ok(at_us)
    }

    fn read(&mut self, binding: &Binding) -> Result<Vec<Entry>, ExecutorError> {
        let length = self.disk.len(self.file).map_err(|source| self.failed(source))?;
        let mut bytes = vec![0; usize::try_from(length).unwrap_or(usize::MAX)];
        self.disk.read_at(self.file, 0, &mut bytes).map_err(|source| self.failed(source))?;
        let (entries, end) = line::decode(&bytes, self.name.as_str())?;
        if let Some(first) = entries.first() {
            self.check_binding(&first.record, binding)?;
        }
        if end < length {
            let cut = self
                .disk
                .set_len(self.file, end)
                .and_then(|()| self.disk.sync(self.file, SyncKind::All));
            cut.map_err(|source| self.failed(source))?;
        }
        self.end = end;
        self.count = entries.len() as u64;
        Ok(entries)
    }

    fn check_binding(&self, first: &Record, binding: &Binding) -> Result<(), ExecutorError> {
        let Record::Bound { format, plan, inventory_hash, steps_crc32c } = first else {
            return Err(ExecutorError::Damaged {
                file: self.name.to_string(),
                line: 1,
                offset: 0,
                cause: "the first line does not name a plan".to_owned(),
            });
        };
        if *format > JOURNAL_FORMAT {
            return Err(ExecutorError::Newer { file: self.name.to_string(), format: *format });
        }
        let bound = Binding {
            plan: plan.clone(),
            inventory_hash: inventory_hash.clone(),
            steps_crc32c: *steps_crc32c,
        };
        if bound == *binding {
            return Ok(());
        }
        let name = |of: &Binding| format!("{} ({:08x})", of.plan, of.steps_crc32c);
        Err(ExecutorError::OtherPlan {
            file: self.name.to_string(),
            journal: name(&bound),
            plan: name(binding),
        })
    }

    fn failed(&self, source: io::Error) -> ExecutorError {
        ExecutorError::Journal { file: self.name.to_string(), source }
    }
}

impl Drop for Journal {
    fn drop(&mut self) {
        self.disk.close(self.file);
        self.disk.close(self.lock);
    }
}

fn lock(disk: &dyn Disk, name: &FileName) -> Result<FileId, ExecutorError> {
    let failed = |source| ExecutorError::Journal { file: name.to_string(), source };
    let lock = FileName::new(&format!("{name}.lock"))
        .map_err(|cause| failed(io::Error::new(io::ErrorKind::InvalidInput, cause)))?;
    if !name.parent().as_str().is_empty() {
        disk.create_dir(&name.parent()).map_err(failed)?;
    }
    disk.lock(&lock).map_err(|source| match source.kind() {
        io::ErrorKind::WouldBlock => ExecutorError::InUse { file: name.to_string() },
        _ => failed(source),
    })
}

/// Opens the file; makes it, and its name durable, if there is none.
fn open_or_create(disk: &dyn Disk, name: &FileName) -> io::Result<FileId> {
    let file = match disk.open(name, OpenMode::ReadWrite) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            disk.open(name, OpenMode::CreateNew)?
        }
        other => other?,
    };
    // A crash between creation and this call leaves a name that is not durable: repeat it.
    disk.sync_dir(&name.parent())?;
    Ok(file)
}

#[cfg(test)]
mod tests;
