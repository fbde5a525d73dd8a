//! The log: records appended, made durable together, and read back.
#![doc = include_str!("../../../docs/format/log.md")]

mod ahead;
mod archive;
mod chain;
#[cfg(any(test, feature = "fuzzing"))]
pub mod fuzzing;
mod header;
mod read;
mod record;
mod recover;
mod release;
mod salvage;
mod scan;
mod writer;

pub use archive::ClosedGeneration;
pub use read::{Record, Visit};
pub use recover::Recovered;
pub use release::Pin;
pub use salvage::Salvage;

use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use self::ahead::{Pool, Prepared};
use self::chain::Generation;
use self::header::{GenerationId, HEADER_SIZE, Seal};
use self::record::{RecordKind, record_size};
use self::release::Pins;
use self::scan::GENERATION_SIZE_MAX;
use self::writer::{Shape, Tail};
use crate::clock::Clock;
use crate::disk::{Disk, FileName, SyncKind};
use crate::error::LogError;
use crate::lsn::{GENERATION_MAX, Lsn};

/// Bytes that the record takes which ends a generation. They are always kept free.
const CLOSE_SIZE: usize = record_size(0);

/// How a log is written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogOptions {
    /// Bytes of a generation, at most and by default 16 MiB, at least 8192, a multiple of 8.
    pub generation_bytes: u32,
    /// A generation is filled with zeros in steps of so many bytes, by default 1 MiB, ahead of its
    /// records, so that most syncs change no metadata.
    pub fill_ahead_bytes: u32,
    /// Whether a record counts as acknowledged once [`Log::sync`] made it durable; yes by default.
    /// If not, [`Log::acknowledge`] says so. A caller that appends again while it still waits for
    /// something else than the log (bodies in other files) needs that.
    pub acknowledge_on_sync: bool,
    /// A log that is created begins with this generation, by default 1, unless files of higher
    /// numbers are there: for one that goes on after another, so that LSNs rise.
    pub first_generation: u64,
    /// A log that is created goes on behind this record of one that is not there any more, by
    /// default of none: it begins with a later generation, and who asks for records up to that one
    /// hears of a gap.
    pub after: Lsn,
}

impl Default for LogOptions {
    fn default() -> LogOptions {
        let (generation_bytes, fill_ahead_bytes) = (GENERATION_SIZE_MAX as u32, 1 << 20);
        LogOptions {
            generation_bytes,
            fill_ahead_bytes,
            acknowledge_on_sync: true,
            first_generation: 1,
            after: Lsn::ZERO,
        }
    }
}

impl LogOptions {
    fn check(&self) -> Result<(), LogError> {
        let size = self.generation_bytes as usize;
        let cause = if !(2 * HEADER_SIZE..=GENERATION_SIZE_MAX).contains(&size) {
            "a generation takes between 8192 bytes and 16 MiB"
        } else if !size.is_multiple_of(record::ALIGNMENT) {
            "the size of a generation must be a multiple of 8"
        } else if !(1..GENERATION_MAX).contains(&self.first_generation) {
            "the first generation has a number from 1 on"
        } else {
            return Ok(());
        };
        Err(LogError::Options { cause })
    }
}

/// A log in one folder, open for writing by one owner.
///
/// Threads may share it: while one waits in [`sync`](Log::sync), others append.
pub struct Log {
    shape: Shape,
    clock: Arc<dyn Clock>,
    options: LogOptions,
    /// Held by whoever syncs, so that an error of the disk, told only once, is seen by all.
    /// Taken before `tail`, never while holding it.
    gate: Mutex<()>,
    tail: Mutex<Tail>,
    /// Oldest first; the last one is the one being written. Taken last.
    chain: Mutex<Vec<Generation>>,
    durable: AtomicU64,
    acknowledged: AtomicU64,
    poison: OnceLock<String>,
    pins: Arc<Pins>,
    /// Held for moments only; taken with or without any of the others.
    pool: Mutex<Pool>,
}

impl std::fmt::Debug for Log {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut debug = f.debug_struct("Log");
        debug.field("dir", &self.shape.dir).field("epoch", &self.shape.epoch);
        debug.field("durable", &self.durable()).finish_non_exhaustive()
    }
}

/// Locks `mutex`. A panic elsewhere does not make its content wrong: every change is complete
/// before anything that can panic.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Log {
    /// An epoch above every one that has written into folder `dir`; 0 if there is none.
    ///
    /// For owners whose epoch file was lost: it is the only record of its number but for the names
    /// of the generations.
    ///
    /// # Errors
    ///
    /// Whatever the disk says.
    pub fn next_epoch(disk: &dyn Disk, dir: &FileName) -> io::Result<u64> {
        let names = match disk.list(dir) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(0),
            listed => listed?,
        };
        let epochs = names.iter().filter_map(|name| GenerationId::parse(name)).map(|id| id.epoch);
        Ok(epochs.max().map_or(0, |epoch| epoch.saturating_add(1)))
    }

    /// Creates an empty log in folder `dir`, made if need be, for the store `identity`.
    ///
    /// # Errors
    ///
    /// [`LogError::Exists`] if there is one already, [`LogError::StaleEpoch`] if a file of `epoch`
    /// or a higher one is there, [`LogError::Options`], [`LogError::NoSpace`], [`LogError::Io`].
    pub fn create(
        disk: Arc<dyn Disk>,
        dir: FileName,
        identity: [u8; 16],
        epoch: u64,
        clock: Arc<dyn Clock>,
        options: LogOptions,
    ) -> Result<Log, LogError> {
        options.check()?;
        let on = |source| LogError::Io { name: dir.clone(), action: "make the folder", source };
        disk.create_dir(&dir).map_err(on)?;
        let found = chain::find(&*disk, &dir, identity)?;
        if let Some(newest) = found.chain.last() {
            return Err(LogError::Exists { name: newest.name.clone(), dir });
        }
        let shape = Shape { disk, dir, identity, epoch };
        shape.check_epoch(&found.all)?;
        let mut id = shape.next_id(&found.all)?;
        id.number = id.number.max(options.first_generation);
        let after = options.after;
        let previous = if after == Lsn::ZERO { None } else { Some(Seal::before(after, epoch)) };
        if let Some(Seal { id: before, .. }) = previous {
            id.number = id.number.max(next_number(before.number, &shape.dir)?);
        }
        let begun = shape.begin(id, previous, after, after, &*clock, &options)?;
        Ok(Log::assemble(shape, clock, options, Vec::new(), begun))
    }

    fn assemble(
        shape: Shape,
        clock: Arc<dyn Clock>,
        options: LogOptions,
        mut chain: Vec<Generation>,
        (tail, generation): (Tail, Generation),
    ) -> Log {
        let durable = tail.place.prev_lsn.to_u64();
        let pool = Mutex::new(Pool::new(tail.id.number));
        chain.push(generation);
        Log {
            shape,
            clock,
            options,
            gate: Mutex::default(),
            tail: Mutex::new(tail),
            chain: Mutex::new(chain),
            durable: AtomicU64::new(durable),
            acknowledged: AtomicU64::new(durable),
            poison: OnceLock::new(),
            pins: Arc::default(),
            pool,
        }
    }

    /// The largest payload that fits, in bytes.
    #[must_use]
    pub fn payload_bytes_max(&self) -> u64 {
        let room = self.options.generation_bytes as usize - HEADER_SIZE - CLOSE_SIZE;
        (room - record::RECORD_HEADER_SIZE) as u64
    }

    /// Writes a record with `payload` and returns its LSN. It is durable after the next
    /// [`sync`](Log::sync). If the generation is full this begins the next one first.
    ///
    /// # Errors
    ///
    /// [`LogError::TooLarge`] and [`LogError::NoSpace`]: nothing was appended, the log goes on.
    /// [`LogError::Poisoned`]: the disk failed, now or before.
    pub fn append(&self, payload: &[u8]) -> Result<Lsn, LogError> {
        let (size_bytes, limit_bytes) = (payload.len() as u64, self.payload_bytes_max());
        if size_bytes > limit_bytes {
            return Err(LogError::TooLarge { size_bytes, limit_bytes });
        }
        loop {
            let mut tail = lock(&self.tail);
            self.check_poison()?;
            let end = tail.place.offset + record_size(payload.len()) + CLOSE_SIZE;
            if end <= self.options.generation_bytes as usize {
                match self.grow(&mut tail, end) {
                    // A generation that has its room already can take what this one cannot.
                    Err(LogError::NoSpace { .. }) if self.prepared() > 0 => {}
                    grown => {
                        grown?;
                        return self.write(&mut tail, RecordKind::Data, payload);
                    }
                }
            }
            let full = tail.id;
            drop(tail);
            self.next_generation(Some(full))?;
        }
    }

    /// Makes everything durable that was appended before the call, and returns the LSN of the
    /// newest durable record. One sync serves all threads that wait for it.
    ///
    /// # Errors
    ///
    /// [`LogError::Poisoned`] if the disk failed, now or before. It is never asked twice.
    pub fn sync(&self) -> Result<Lsn, LogError> {
        let wanted = lock(&self.tail).place.prev_lsn;
        let gate = lock(&self.gate);
        self.check_poison()?;
        if self.durable() < wanted {
            let (file, newest) = {
                let tail = lock(&self.tail);
                (tail.file, tail.place.prev_lsn)
            };
            let synced = self.shape.disk.sync(file, SyncKind::Data);
            synced.map_err(|error| self.poison("a sync of the log failed", &error))?;
            self.durable.store(newest.to_u64(), Ordering::SeqCst);
        }
        drop(gate);
        let durable = self.durable();
        if self.options.acknowledge_on_sync {
            self.acknowledge(wanted);
        }
        Ok(durable)
    }

    /// States that all records up to `lsn` were acknowledged: a later reader that finds one of them
    /// damaged will not take it for a write that a power cut tore. What is not durable is left out.
    pub fn acknowledge(&self, lsn: Lsn) {
        let lsn = lsn.min(self.durable());
        self.acknowledged.fetch_max(lsn.to_u64(), Ordering::SeqCst);
    }

    /// Ends the generation and begins the next one, whose first LSN is returned. Everything
    /// appended before is durable then.
    ///
    /// # Errors
    ///
    /// [`LogError::NoSpace`]: nothing has changed. [`LogError::Poisoned`]: the disk failed, now or
    /// before.
    pub fn roll(&self) -> Result<Lsn, LogError> {
        self.next_generation(None)?;
        Ok(self.end())
    }

    /// Ends the log on purpose: makes everything durable and leaves a mark, by which the next
    /// opening knows that the last record was acknowledged too.
    ///
    /// # Errors
    ///
    /// As [`Log::sync`]. The log can be opened again in any case.
    pub fn close(self) -> Result<Lsn, LogError> {
        let durable = self.sync()?;
        {
            let mut tail = lock(&self.tail);
            let end = tail.place.offset + CLOSE_SIZE;
            self.grow(&mut tail, end)?;
            self.write(&mut tail, RecordKind::Close, &[])?;
        }
        self.sync()?;
        self.discard_prepared();
        Ok(durable)
    }

    /// Where the next record will lie, unless it begins a generation.
    #[must_use]
    pub fn end(&self) -> Lsn {
        let tail = lock(&self.tail);
        // A generation that its mark has filled to the last byte has no place for a next record;
        // only a log that failed on its way to the next generation stays there.
        let offset = tail.place.offset.min(GENERATION_SIZE_MAX - record::ALIGNMENT);
        scan::lsn_at(tail.id.number, offset)
    }

    /// The newest record that is durable; [`Lsn::ZERO`] if there is none.
    ///
    /// A record is durable if its LSN is not above this one. The record may be the mark that ends a
    /// generation.
    #[must_use]
    pub fn durable(&self) -> Lsn {
        Lsn::from_u64(self.durable.load(Ordering::SeqCst))
    }

    /// The fencing epoch that this log is written with.
    #[must_use]
    pub fn epoch(&self) -> u64 {
        self.shape.epoch
    }

    /// Bytes of the log on the disk: of the chain, with the zeros filled in ahead, and of the
    /// generations prepared.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        let filled = lock(&self.tail).filled as u64 + self.prepared_bytes();
        let chain = lock(&self.chain);
        filled + chain.iter().filter_map(|g| g.seal).map(|seal| u64::from(seal.len)).sum::<u64>()
    }
}

/// Below the surface.
impl Log {
    fn check_poison(&self) -> Result<(), LogError> {
        match self.poison.get() {
            Some(cause) => Err(LogError::Poisoned { cause: cause.clone() }),
            None => Ok(()),
        }
    }

    /// Closes the log to writing for good. The first cause stays.
    fn poison(&self, what: &str, error: &io::Error) -> LogError {
        let cause = self.poison.get_or_init(|| format!("{what}: {error}")).clone();
        LogError::Poisoned { cause }
    }

    fn failed(&self, tail: &Tail, action: &'static str, error: io::Error) -> LogError {
        if error.kind() == io::ErrorKind::StorageFull {
            let name = chain::path(&self.shape.dir, tail.id);
            return LogError::NoSpace { name, action, source: error };
        }
        self.poison("a write to the log failed", &error)
    }

    /// Fills zeros in, so that the file is at least `end` bytes long.
    fn grow(&self, tail: &mut Tail, end: usize) -> Result<(), LogError> {
        if end <= tail.filled {
            return Ok(());
        }
        let filled = writer::filled(end, &self.options);
        let grown = self.shape.disk.allocate_zeroed(tail.file, filled as u64);
        grown.map_err(|error| self.failed(tail, "extend the log", error))?;
        tail.filled = filled;
        Ok(())
    }

    fn write(&self, tail: &mut Tail, kind: RecordKind, payload: &[u8]) -> Result<Lsn, LogError> {
        let durable_lsn = Lsn::from_u64(self.acknowledged.load(Ordering::SeqCst));
        let (lsn, next) = tail.encode(kind, durable_lsn, self.clock.wall_us(), payload);
        let offset = tail.place.offset as u64;
        let written = self.shape.disk.write_at(tail.file, offset, &tail.buffer);
        written.map_err(|error| self.failed(tail, "write a record", error))?;
        tail.place = next;
        Ok(lsn)
    }

    /// Begins the next generation, unless another thread did so since the caller saw `full`.
    ///
    /// The new file is made first, for want of room must not end the old generation. Then the old
    /// one is ended and durable before the new header says so.
    fn next_generation(&self, full: Option<GenerationId>) -> Result<(), LogError> {
        let _gate = lock(&self.gate);
        let mut tail = lock(&self.tail);
        self.check_poison()?;
        if full.is_some_and(|full| full != tail.id) {
            return Ok(());
        }
        let prepared = match self.take_prepared(tail.id.number) {
            Some(prepared) => prepared,
            None => self.prepare()?,
        };
        let Prepared { id, file, filled } = prepared;
        let ended = self.end_generation(&mut tail).and_then(|seal| {
            let acknowledged = Lsn::from_u64(self.acknowledged.load(Ordering::SeqCst));
            let header =
                self.shape.header(id, Some(seal), tail.place.prev_lsn, acknowledged, &*self.clock);
            let finished = self.shape.finish(file, &header);
            let begun =
                finished.map_err(|error| self.poison("a generation could not begin", &error))?;
            Ok((seal, begun, header))
        });
        let (seal, seed, header) = match ended {
            Ok(ended) => ended,
            Err(error @ LogError::NoSpace { .. }) => {
                self.put_back(prepared);
                return Err(error);
            }
            Err(error) => {
                self.shape.disk.close(file);
                return Err(error);
            }
        };
        self.shape.disk.close(tail.file);
        *tail = Tail::new(file, &header, seed, filled);
        let mut chain = lock(&self.chain);
        chain.last_mut().expect("the one being written").seal = Some(seal);
        chain.push(self.shape.generation(header, seed));
        Ok(())
    }

    /// Makes a generation now, for want of one made ahead.
    fn prepare(&self) -> Result<Prepared, LogError> {
        let id = self.next_id()?;
        let file = self.shape.prepare(id, &self.options).map_err(|error| match error {
            LogError::Io { source, .. } => self.poison("a generation could not begin", &source),
            other => other,
        })?;
        Ok(Prepared { id, file, filled: writer::first_fill(&self.options) })
    }

    /// Writes the mark that ends a generation and makes all of it durable.
    fn end_generation(&self, tail: &mut Tail) -> Result<Seal, LogError> {
        let end = tail.place.offset + CLOSE_SIZE;
        self.grow(tail, end)?;
        self.write(tail, RecordKind::Close, &[])?;
        let synced = self.shape.disk.sync(tail.file, SyncKind::Data);
        synced.map_err(|error| self.poison("a sync of the log failed", &error))?;
        self.durable.store(tail.place.prev_lsn.to_u64(), Ordering::SeqCst);
        Ok(tail.seal())
    }
}

impl Drop for Log {
    fn drop(&mut self) {
        self.discard_prepared();
        self.shape.disk.close(lock(&self.tail).file);
    }
}

/// The number after `number`.
fn next_number(number: u64, dir: &FileName) -> Result<u64, LogError> {
    if number < GENERATION_MAX {
        return Ok(number + 1);
    }
    let cause = "the highest generation number there is has been used".to_owned();
    Err(LogError::Damaged { generation: number, offset: 0, name: dir.clone(), cause })
}
