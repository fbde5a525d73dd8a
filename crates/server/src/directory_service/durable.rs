//! A directory on a disk: a snapshot and a journal of the changes since.
#![doc = include_str!("../../../../docs/format/directory-store.md")] // The only description.

use std::io;
use std::sync::Arc;

use rehome_log::{
    Clock, Disk, FileName, Log, LogError, LogOptions, Lsn, OpenMode, Ownership, OwnershipError,
    SyncKind, Visit, crc32c,
};
use rehome_site::{Directory, DirectoryError};
use serde::{Deserialize, Serialize};

use super::op::{DirectoryOp, OpOutcome};
use crate::wire::chain;

/// Version of the snapshot and the journal.
const VERSION: u32 = 1;

/// A snapshot is made after so many changes.
const SNAPSHOT_CHANGES: u32 = 2000;

/// Bytes of a generation of the journal.
const GENERATION_BYTES: u32 = 16 << 20;

/// Why a directory cannot be opened or changed.
#[derive(Debug, thiserror::Error)]
pub enum DurableError {
    /// The change contradicts the directory. Nothing was changed.
    #[error("the directory refuses the change")]
    Refused {
        /// Why.
        #[source]
        source: DirectoryError,
    },
    /// There is no directory in the folder.
    #[error("there is no directory here: {file} is missing; create one or restore one")]
    None {
        /// The missing file.
        file: String,
    },
    /// There is a directory already.
    #[error("there is a directory here already: {file}; open it, or use an empty folder")]
    Exists {
        /// The file found.
        file: String,
    },
    /// Bytes that should be whole are not.
    #[error("{file} is damaged: {cause}; restore the directory, or copy it from a partner")]
    Damaged {
        /// The file.
        file: String,
        /// What is wrong with it.
        cause: String,
    },
    /// The files are of another version.
    #[error("the directory has format version {found}, this program knows {VERSION}; update it")]
    Version {
        /// The version found.
        found: u32,
    },
    /// Somebody else has the folder, or has taken it over.
    #[error("the directory's folder is not ours")]
    Ownership {
        /// Why.
        #[from]
        source: OwnershipError,
    },
    /// The journal failed. After that nothing is taken until the directory is opened again.
    #[error("the journal of the directory failed; open the directory again")]
    Journal {
        /// Why.
        #[from]
        source: LogError,
    },
    /// An earlier change failed half way: memory may be ahead of the disk.
    #[error("the directory stopped after {cause}; open it again")]
    Failed {
        /// The earlier failure.
        cause: String,
    },
    /// A file could not be read or written.
    #[error("{file}: cannot {doing}")]
    Io {
        /// The file.
        file: String,
        /// What was tried.
        doing: &'static str,
        /// Why not.
        #[source]
        source: io::Error,
    },
}

/// The snapshot file.
#[derive(Serialize, Deserialize)]
struct Snapshot {
    version: u32,
    identity: [u8; 16],
    /// The first LSN of the journal that is not in it.
    journal_from: Lsn,
    directory: Directory,
}

/// A record of the journal.
#[derive(Serialize, Deserialize)]
struct Entry {
    now_us: i64,
    op: DirectoryOp,
}

/// A directory whose changes are durable when they return.
pub struct DurableDirectory {
    directory: Directory,
    identity: [u8; 16],
    journal: Log,
    ownership: Ownership,
    disk: Arc<dyn Disk>,
    clock: Arc<dyn Clock>,
    changes: u32,
    /// What failed: since then memory may be ahead of the disk.
    failed: Option<String>,
}

impl DurableDirectory {
    /// Puts a directory into the disk's empty root folder.
    ///
    /// # Errors
    ///
    /// [`DurableError::Exists`] if there is one already, or the disk's failure.
    pub fn create(
        disk: Arc<dyn Disk>,
        clock: Arc<dyn Clock>,
        owner: &str,
        token: u64,
        directory: Directory,
    ) -> Result<Self, DurableError> {
        let ownership = Ownership::acquire(Arc::clone(&disk), owner, token)?;
        if read_file(disk.as_ref(), &snapshot_name())?.is_some() {
            return Err(DurableError::Exists { file: snapshot_name().to_string() });
        }
        let mut identity = [0; 16];
        identity[..8].copy_from_slice(&clock.wall_us().to_le_bytes());
        let server = crc32c(directory.server_name().as_str().as_bytes());
        identity[8..12].copy_from_slice(&server.to_le_bytes());
        identity[12..].copy_from_slice(&std::process::id().to_le_bytes());
        // The identity comes first: if this is cut off from here on, opening goes on.
        let snapshot = Snapshot { version: VERSION, identity, journal_from: Lsn::ZERO, directory };
        write_snapshot(disk.as_ref(), &snapshot)?;
        Self::begin(disk, clock, ownership, snapshot)
    }

    /// Begins the journal of a directory that has none yet.
    fn begin(
        disk: Arc<dyn Disk>,
        clock: Arc<dyn Clock>,
        ownership: Ownership,
        snapshot: Snapshot,
    ) -> Result<Self, DurableError> {
        let Snapshot { identity, directory, .. } = snapshot;
        let journal = Log::create(
            Arc::clone(&disk),
            journal_name(),
            identity,
            ownership.epoch(),
            Arc::clone(&clock),
            options(),
        )?;
        let (changes, failed) = (0, None);
        let mut made =
            Self { directory, identity, journal, ownership, disk, clock, changes, failed };
        made.checkpoint()?;
        Ok(made)
    }

    /// Opens the directory in the disk's root folder: reads the snapshot and repeats the journal.
    ///
    /// # Errors
    ///
    /// [`DurableError::None`] if there is none; [`DurableError::Damaged`] if it cannot be believed.
    pub fn open(
        disk: Arc<dyn Disk>,
        clock: Arc<dyn Clock>,
        owner: &str,
        token: u64,
    ) -> Result<Self, DurableError> {
        let file = snapshot_name().to_string();
        if read_file(disk.as_ref(), &snapshot_name())?.is_none() {
            return Err(DurableError::None { file });
        }
        let ownership = Ownership::acquire(Arc::clone(&disk), owner, token)?;
        let bytes = read_file(disk.as_ref(), &snapshot_name())?;
        let snapshot = decode(&bytes.unwrap_or_default())?;
        let mut directory = snapshot.directory.clone();
        let mut changes = 0;
        let mut repeat = |payload: &[u8]| -> Result<(), String> {
            let entry: Entry = serde_json::from_slice(payload).map_err(|e| e.to_string())?;
            entry.op.carry_out(&mut directory, entry.now_us).map_err(|e| e.to_string())?;
            changes += 1;
            Ok(())
        };
        let opened = Log::open(
            Arc::clone(&disk),
            journal_name(),
            snapshot.identity,
            ownership.epoch(),
            Arc::clone(&clock),
            options(),
            snapshot.journal_from,
            &mut |record| match repeat(record.payload) {
                Ok(()) => Visit::Accept,
                Err(cause) => Visit::Stop(cause),
            },
        );
        let journal = match opened {
            // Its creation was cut off before the first change.
            Err(LogError::Absent { .. }) if snapshot.journal_from == Lsn::ZERO => {
                return Self::begin(disk, clock, ownership, snapshot);
            }
            opened => opened?.0,
        };
        let identity = snapshot.identity;
        Ok(Self { directory, identity, journal, ownership, disk, clock, changes, failed: None })
    }

    /// The directory as it is now.
    #[must_use]
    pub fn directory(&self) -> &Directory {
        &self.directory
    }

    /// The fencing epoch of this opening.
    #[must_use]
    pub fn epoch(&self) -> u64 {
        self.ownership.epoch()
    }

    /// Carries a change out; it is durable when this returns.
    ///
    /// # Errors
    ///
    /// [`DurableError::Refused`] if the directory refused it: nothing was changed. Any other error
    /// leaves it unknown whether the change is on the disk; nothing is taken any more.
    pub fn change(&mut self, op: DirectoryOp) -> Result<OpOutcome, DurableError> {
        self.check()?;
        let entry = Entry { now_us: self.clock.wall_us(), op };
        let outcome = entry.op.carry_out(&mut self.directory, entry.now_us);
        let outcome = outcome.map_err(|source| DurableError::Refused { source })?;
        if outcome.changed {
            let kept = self.keep(&entry);
            self.failed = kept.as_ref().err().map(|error| chain(error));
            kept?;
        }
        Ok(outcome)
    }

    /// Tells whether memory and disk agree.
    ///
    /// # Errors
    ///
    /// [`DurableError::Failed`] after a change whose fate is unknown.
    pub fn check(&self) -> Result<(), DurableError> {
        match &self.failed {
            None => Ok(()),
            Some(cause) => Err(DurableError::Failed { cause: cause.clone() }),
        }
    }

    /// Makes a change durable that has been carried out in memory.
    fn keep(&mut self, entry: &Entry) -> Result<(), DurableError> {
        let bytes = serde_json::to_vec(entry).map_err(|error| unencodable(&error))?;
        // A first exchange with a partner can be larger than a record: then all of it is written.
        if bytes.len() as u64 > self.journal.payload_bytes_max() {
            return self.checkpoint();
        }
        self.journal.append(&bytes)?;
        self.journal.sync()?;
        self.ownership.verify()?;
        self.changes += 1;
        if self.changes >= SNAPSHOT_CHANGES { self.checkpoint() } else { Ok(()) }
    }

    /// Writes a snapshot and releases the journal before it.
    ///
    /// # Errors
    ///
    /// The disk's failure; the snapshot before it stays.
    pub fn checkpoint(&mut self) -> Result<(), DurableError> {
        self.check()?;
        self.ownership.verify()?;
        let journal_from = self.journal.roll()?;
        let snapshot = Snapshot {
            version: VERSION,
            identity: self.identity,
            journal_from,
            directory: self.directory.clone(),
        };
        write_snapshot(self.disk.as_ref(), &snapshot)?;
        self.journal.release_below(journal_from)?;
        self.changes = 0;
        Ok(())
    }
}

fn options() -> LogOptions {
    LogOptions {
        generation_bytes: GENERATION_BYTES,
        fill_ahead_bytes: 64 << 10,
        ..LogOptions::default()
    }
}

pub(super) fn snapshot_name() -> FileName {
    FileName::new("directory.json").expect("the name is a constant")
}

fn journal_name() -> FileName {
    FileName::new("journal").expect("the name is a constant")
}

/// Every part of a directory has a JSON form, so this is not to be seen.
fn unencodable(error: &serde_json::Error) -> DurableError {
    DurableError::Damaged { file: "memory".to_owned(), cause: error.to_string() }
}

fn write_snapshot(disk: &dyn Disk, snapshot: &Snapshot) -> Result<(), DurableError> {
    let json = serde_json::to_vec(snapshot).map_err(|error| unencodable(&error))?;
    let mut bytes = format!("{:08x}\n", crc32c(&json)).into_bytes();
    bytes.extend_from_slice(&json);
    replace_file(disk, &snapshot_name(), &bytes)
}

fn decode(bytes: &[u8]) -> Result<Snapshot, DurableError> {
    let damaged = |cause: String| DurableError::Damaged { file: "directory.json".into(), cause };
    let head = bytes.get(..9).ok_or_else(|| damaged("it is too short".to_owned()))?;
    let stored = std::str::from_utf8(&head[..8]).ok();
    let stored = stored.and_then(|hex| u32::from_str_radix(hex, 16).ok());
    let (json, computed) = (&bytes[9..], crc32c(&bytes[9..]));
    if stored != Some(computed) || head[8] != b'\n' {
        return Err(damaged(format!("its checksum is not {computed:08x}")));
    }
    let version = serde_json::from_slice::<serde_json::Value>(json)
        .map_err(|error| damaged(error.to_string()))?["version"]
        .as_u64();
    match version {
        Some(1) => serde_json::from_slice(json).map_err(|error| damaged(error.to_string())),
        other => {
            let found = other.and_then(|found| u32::try_from(found).ok()).unwrap_or_default();
            Err(DurableError::Version { found })
        }
    }
}

fn failed(file: &FileName, doing: &'static str) -> impl Fn(io::Error) -> DurableError {
    let file = file.to_string();
    move |source| DurableError::Io { file: file.clone(), doing, source }
}

/// Reads a whole file; `None` if it is not there.
fn read_file(disk: &dyn Disk, name: &FileName) -> Result<Option<Vec<u8>>, DurableError> {
    let id = match disk.open(name, OpenMode::Read) {
        Ok(id) => id,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(failed(name, "open it")(error)),
    };
    let read = disk.len(id).and_then(|len| {
        let mut bytes = vec![0; usize::try_from(len).map_err(io::Error::other)?];
        disk.read_at(id, 0, &mut bytes).map(|()| bytes)
    });
    disk.close(id);
    read.map(Some).map_err(failed(name, "read it"))
}

/// Puts a file in place of another one, durably, whole or not at all.
fn replace_file(disk: &dyn Disk, name: &FileName, bytes: &[u8]) -> Result<(), DurableError> {
    let fresh = FileName::new(&format!("{name}.new")).expect("the name is a constant");
    match disk.remove(&fresh) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            return Err(failed(&fresh, "remove what an earlier try left")(error));
        }
        _ => {}
    }
    let id = disk.open(&fresh, OpenMode::CreateNew).map_err(failed(&fresh, "create it"))?;
    let written = disk.write_at(id, 0, bytes).and_then(|()| disk.sync(id, SyncKind::All));
    disk.close(id);
    written.map_err(failed(&fresh, "write it"))?;
    disk.rename(&fresh, name).map_err(failed(name, "put it in place"))?;
    disk.sync_dir(&name.parent()).map_err(failed(name, "make its name durable"))
}
