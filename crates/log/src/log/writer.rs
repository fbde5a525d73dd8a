//! Generations coming into being, and the one being written.

use std::io;
use std::sync::Arc;

use super::chain::{self, Generation};
use super::header::{GenerationId, HEADER_SIZE, Header, Seal};
use super::record::{self, Fields, RecordKind};
use super::scan::{Place, lsn_at};
use super::{CLOSE_SIZE, LogOptions, next_number};
use crate::clock::Clock;
use crate::disk::{Disk, FileId, FileName, OpenMode, SyncKind};
use crate::error::LogError;
use crate::lsn::Lsn;
use crate::ownership::{self, Ownership};

/// What all generations of an opening have in common.
pub(crate) struct Shape {
    pub(crate) disk: Arc<dyn Disk>,
    pub(crate) dir: FileName,
    pub(crate) identity: [u8; 16],
    pub(crate) epoch: u64,
}

/// The generation being written.
pub(crate) struct Tail {
    pub(crate) id: GenerationId,
    pub(crate) file: FileId,
    pub(crate) place: Place,
    /// Bytes of the file, zeros after `place`.
    pub(crate) filled: usize,
    /// The record last written, kept for its memory.
    pub(crate) buffer: Vec<u8>,
    seed: u32,
}

/// Bytes to fill a generation to, so that `end` bytes and the mark that ends it have room.
pub(crate) fn filled(end: usize, options: &LogOptions) -> usize {
    let step = options.fill_ahead_bytes.max(HEADER_SIZE as u32) as usize;
    end.next_multiple_of(step).min(options.generation_bytes as usize)
}

/// Bytes that a generation is filled to when it is made.
pub(crate) fn first_fill(options: &LogOptions) -> usize {
    filled(HEADER_SIZE + CLOSE_SIZE, options)
}

impl Tail {
    pub(crate) fn new(file: FileId, header: &Header, seed: u32, filled: usize) -> Tail {
        Tail {
            id: header.id,
            file,
            place: Place::first(header.prev_lsn, seed),
            filled,
            buffer: Vec::new(),
            seed,
        }
    }

    /// Puts the next record into the buffer; returns its LSN and the place after it.
    pub(crate) fn encode(
        &mut self,
        kind: RecordKind,
        durable_lsn: Lsn,
        wall_us: i64,
        payload: &[u8],
    ) -> (Lsn, Place) {
        let lsn = lsn_at(self.id.number, self.place.offset);
        let fields = Fields { kind, lsn, prev_lsn: self.place.prev_lsn, durable_lsn, wall_us };
        let crc = record::encode(&mut self.buffer, self.seed, &fields, payload);
        (lsn, self.place.after(lsn, crc, self.buffer.len()))
    }

    /// The end of the generation if it ends here.
    pub(crate) fn seal(&self) -> Seal {
        let len = u32::try_from(self.place.offset).expect("a generation is at most 16 MiB");
        Seal { id: self.id, len, closing_crc: self.place.running_crc }
    }
}

impl Shape {
    /// Refuses an epoch that is not above all that were here before.
    pub(crate) fn check_epoch(&self, all: &[GenerationId]) -> Result<(), LogError> {
        match all.iter().max_by_key(|id| id.epoch) {
            Some(id) if id.epoch >= self.epoch => Err(LogError::StaleEpoch {
                mine: self.epoch,
                found: id.epoch,
                name: chain::path(&self.dir, *id),
            }),
            _ => Ok(()),
        }
    }

    /// A generation number that no file has yet.
    pub(crate) fn next_id(&self, all: &[GenerationId]) -> Result<GenerationId, LogError> {
        let newest = all.iter().map(|id| id.number).max().unwrap_or(0);
        let number = next_number(newest, &self.dir)?;
        Ok(GenerationId { number, epoch: self.epoch })
    }

    pub(crate) fn header(
        &self,
        id: GenerationId,
        previous: Option<Seal>,
        prev_lsn: Lsn,
        durable_lsn: Lsn,
        clock: &dyn Clock,
    ) -> Header {
        let (identity, created_wall_us) = (self.identity, clock.wall_us());
        Header { identity, id, created_wall_us, durable_lsn, prev_lsn, previous }
    }

    pub(crate) fn generation(&self, header: Header, seed: u32) -> Generation {
        let name = chain::path(&self.dir, header.id);
        Generation { header, seed, name, seal: None }
    }

    /// Makes the file of a generation, zero-filled, durable and under its name, without a header.
    pub(crate) fn prepare(
        &self,
        id: GenerationId,
        options: &LogOptions,
    ) -> Result<FileId, LogError> {
        let name = chain::path(&self.dir, id);
        let opened = self.disk.open(&name, OpenMode::CreateNew);
        let file = opened.map_err(|error| self.not_made(id, "create it", error))?;
        let len = first_fill(options) as u64;
        let made = self.disk.allocate_zeroed(file, len);
        // Some file systems say only at a sync that there is no room. That must come up here.
        let made = made.and_then(|()| self.disk.sync(file, SyncKind::All));
        match made.and_then(|()| self.disk.sync_dir(&self.dir)) {
            Ok(()) => Ok(file),
            Err(error) => {
                self.discard(file, id);
                Err(self.not_made(id, "fill it with zeros", error))
            }
        }
    }

    /// Why generation `id` was not made.
    pub(crate) fn not_made(
        &self,
        id: GenerationId,
        action: &'static str,
        source: io::Error,
    ) -> LogError {
        let name = chain::path(&self.dir, id);
        match source.kind() {
            io::ErrorKind::StorageFull => LogError::NoSpace { name, action, source },
            _ => LogError::Io { name, action, source },
        }
    }

    /// Writes the header of a prepared generation, durably; returns its checksum.
    pub(crate) fn finish(&self, file: FileId, header: &Header) -> io::Result<u32> {
        let (bytes, seed) = header.encode();
        self.disk.write_at(file, 0, &bytes)?;
        self.disk.sync(file, SyncKind::Data)?;
        Ok(seed)
    }

    /// Closes and removes a generation that did not come into being. If that fails too, the file
    /// stays without a header and does not count.
    pub(crate) fn discard(&self, file: FileId, id: GenerationId) {
        self.disk.close(file);
        _ = self.disk.remove(&chain::path(&self.dir, id));
    }

    /// Makes the first generation of this opening, while nobody else has come: see
    /// [`Shape::alone`].
    fn prepare_alone(&self, id: GenerationId, options: &LogOptions) -> Result<FileId, LogError> {
        let file = match self.prepare(id, options) {
            Err(LogError::Io { name, source, .. })
                if source.kind() == io::ErrorKind::AlreadyExists =>
            {
                return Err(LogError::StaleEpoch { mine: self.epoch, found: id.epoch, name });
            }
            prepared => prepared?,
        };
        match self.alone(id) {
            Ok(()) => Ok(file),
            Err(error) => {
                self.discard(file, id);
                Err(error)
            }
        }
    }

    /// Looks again, once the file `id` has its name and while it does not count yet. Two owners may
    /// have read the same newest epoch. If they took the same next one, whoever makes its file
    /// later finds that of the other. If not, the lower one may have written the epoch file last:
    /// then it has seen this file, or the epoch file says so here.
    fn alone(&self, id: GenerationId) -> Result<(), LogError> {
        let mut others = chain::list(&*self.disk, &self.dir)?;
        others.retain(|other| *other != id);
        self.check_epoch(&others)?;
        let name = ownership::epoch_name();
        match Ownership::peek(&*self.disk) {
            Ok(Some(found)) if found != self.epoch => {
                Err(LogError::StaleEpoch { mine: self.epoch, found, name })
            }
            Ok(_) => Ok(()),
            Err(error) => {
                let source = io::Error::other(error);
                Err(LogError::Io { name, action: "read it again", source })
            }
        }
    }

    /// Begins to write the log, with the first generation of this opening.
    pub(crate) fn begin(
        &self,
        id: GenerationId,
        previous: Option<Seal>,
        prev_lsn: Lsn,
        durable_lsn: Lsn,
        clock: &dyn Clock,
        options: &LogOptions,
    ) -> Result<(Tail, Generation), LogError> {
        let file = self.prepare_alone(id, options)?;
        let header = self.header(id, previous, prev_lsn, durable_lsn, clock);
        match self.finish(file, &header) {
            Ok(seed) => {
                let tail = Tail::new(file, &header, seed, first_fill(options));
                Ok((tail, self.generation(header, seed)))
            }
            Err(source) => {
                self.disk.close(file);
                let name = chain::path(&self.dir, id);
                Err(LogError::Io { name, action: "write its header", source })
            }
        }
    }
}
