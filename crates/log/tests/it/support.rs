//! What the tests share: opening a log and collecting its records; disks that misbehave.

use std::io;
use std::sync::Arc;

use rehome_log::{
    Disk, FileId, FileName, Log, LogError, LogOptions, Lsn, ManualClock, OpenMode, Record,
    Recovered, SimDisk, SyncKind, Visit,
};

pub(crate) const IDENTITY: [u8; 16] = *b"a store's name!!";

/// A record as read.
pub(crate) type Read = (Lsn, Vec<u8>);

pub(crate) fn name(text: &str) -> FileName {
    FileName::new(text).unwrap()
}

pub(crate) fn dir() -> FileName {
    name("log")
}

pub(crate) fn clock() -> Arc<ManualClock> {
    Arc::new(ManualClock::new(1_000_000))
}

/// Generations of 8 KiB, so that a few records fill one.
pub(crate) fn small() -> LogOptions {
    LogOptions { generation_bytes: 8192, fill_ahead_bytes: 4096, ..LogOptions::default() }
}

pub(crate) fn create(disk: &Arc<SimDisk>) -> Log {
    create_on(Arc::clone(disk) as Arc<dyn Disk>, 1).unwrap()
}

pub(crate) fn create_on(disk: Arc<dyn Disk>, epoch: u64) -> Result<Log, LogError> {
    Log::create(disk, dir(), IDENTITY, epoch, clock(), small())
}

/// Opens the log and gives back all its records.
pub(crate) fn open_on(
    disk: Arc<dyn Disk>,
    epoch: u64,
) -> Result<(Log, Recovered, Vec<Read>), LogError> {
    let mut records = Vec::new();
    let mut visit = |record: Record<'_>| {
        records.push((record.lsn, record.payload.to_vec()));
        Visit::Accept
    };
    let (log, recovered) =
        Log::open(disk, dir(), IDENTITY, epoch, clock(), small(), Lsn::ZERO, &mut visit)?;
    Ok((log, recovered, records))
}

pub(crate) fn open(
    disk: &Arc<SimDisk>,
    epoch: u64,
) -> Result<(Log, Recovered, Vec<Read>), LogError> {
    open_on(Arc::clone(disk) as Arc<dyn Disk>, epoch)
}

pub(crate) fn read_all(log: &Log) -> Vec<Read> {
    let mut records = Vec::new();
    let mut visit = |record: Record<'_>| {
        records.push((record.lsn, record.payload.to_vec()));
        Visit::Accept
    };
    log.read_from(Lsn::ZERO, &mut visit).unwrap();
    records
}

/// The files of the log, by name.
pub(crate) fn files(disk: &SimDisk) -> Vec<FileName> {
    disk.list(&dir()).unwrap().iter().map(|base| dir().join(base).unwrap()).collect()
}

/// A copy of `disk` in which `change` was done to the file `name`.
pub(crate) fn changed(
    disk: &SimDisk,
    name: &FileName,
    change: impl FnOnce(&mut Vec<u8>),
) -> Arc<SimDisk> {
    let copy = disk.restart();
    let mut bytes = copy.contents(name).unwrap();
    change(&mut bytes);
    copy.set_contents(name, bytes);
    Arc::new(copy)
}

/// What a [`Liar`] says it did and did not do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Lie {
    None,
    Files,
    Folders,
}

/// A disk that passes all calls on but some syncs, which it only says it did.
pub(crate) struct Liar {
    pub(crate) disk: Arc<SimDisk>,
    pub(crate) lie: Lie,
}

impl Disk for Liar {
    fn open(&self, name: &FileName, mode: OpenMode) -> io::Result<FileId> {
        self.disk.open(name, mode)
    }
    fn close(&self, file: FileId) {
        self.disk.close(file);
    }
    fn len(&self, file: FileId) -> io::Result<u64> {
        self.disk.len(file)
    }
    fn read_at(&self, file: FileId, offset: u64, buf: &mut [u8]) -> io::Result<()> {
        self.disk.read_at(file, offset, buf)
    }
    fn write_at(&self, file: FileId, offset: u64, buf: &[u8]) -> io::Result<()> {
        self.disk.write_at(file, offset, buf)
    }
    fn sync(&self, file: FileId, what: SyncKind) -> io::Result<()> {
        if self.lie == Lie::Files { Ok(()) } else { self.disk.sync(file, what) }
    }
    fn write_behind(&self, file: FileId, offset: u64, len: u64) {
        self.disk.write_behind(file, offset, len);
    }
    fn allocate_zeroed(&self, file: FileId, len: u64) -> io::Result<()> {
        self.disk.allocate_zeroed(file, len)
    }
    fn set_len(&self, file: FileId, len: u64) -> io::Result<()> {
        self.disk.set_len(file, len)
    }
    fn rename(&self, from: &FileName, to: &FileName) -> io::Result<()> {
        self.disk.rename(from, to)
    }
    fn remove(&self, name: &FileName) -> io::Result<()> {
        self.disk.remove(name)
    }
    fn list(&self, dir: &FileName) -> io::Result<Vec<String>> {
        self.disk.list(dir)
    }
    fn create_dir(&self, dir: &FileName) -> io::Result<()> {
        self.disk.create_dir(dir)
    }
    fn sync_dir(&self, dir: &FileName) -> io::Result<()> {
        if self.lie == Lie::Folders { Ok(()) } else { self.disk.sync_dir(dir) }
    }
    fn lock(&self, name: &FileName) -> io::Result<FileId> {
        self.disk.lock(name)
    }
}
