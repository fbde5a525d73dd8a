//! Generations prepared before they are needed: so that the log goes on without a pause, and so
//! that it can go on for a while when the disk has become full.

use std::collections::VecDeque;

use super::header::GenerationId;
use super::{Log, lock, next_number};
use crate::disk::{FileId, SyncKind};
use crate::error::LogError;

/// A generation without a header, filled with zeros to its full length, durable under its name.
#[derive(Clone, Copy, Debug)]
pub(super) struct Prepared {
    pub(super) id: GenerationId,
    pub(super) file: FileId,
    pub(super) filled: usize,
}

/// Generations prepared, and the numbers used for them.
#[derive(Debug)]
pub(super) struct Pool {
    /// By number.
    ready: VecDeque<Prepared>,
    /// The highest number that a file of this opening has.
    newest: u64,
}

impl Pool {
    /// Of a log whose newest generation is `newest`.
    pub(super) fn new(newest: u64) -> Pool {
        Pool { ready: VecDeque::new(), newest }
    }
}

impl Log {
    /// Prepares generations until `wanted` are ready, and returns how many are. The log can be used
    /// meanwhile; this is for a thread that nobody waits for.
    ///
    /// # Errors
    ///
    /// [`LogError::NoSpace`] and [`LogError::Io`]: the log goes on with what is ready.
    /// [`LogError::Poisoned`].
    pub fn prepare_ahead(&self, wanted: usize) -> Result<usize, LogError> {
        loop {
            self.check_poison()?;
            let ready = self.prepared();
            if ready >= wanted {
                return Ok(ready);
            }
            let id = self.next_id()?;
            let prepared = self.fill(id)?;
            let mut pool = lock(&self.pool);
            let at = pool.ready.partition_point(|other| other.id.number < id.number);
            pool.ready.insert(at, prepared);
        }
    }

    /// How many generations are prepared.
    #[must_use]
    pub fn prepared(&self) -> usize {
        lock(&self.pool).ready.len()
    }

    /// Bytes of the generations that are prepared.
    pub(super) fn prepared_bytes(&self) -> u64 {
        lock(&self.pool).ready.iter().map(|prepared| prepared.filled as u64).sum()
    }

    /// Part of the generation being written that is used, in percent.
    #[must_use]
    pub fn generation_used_percent(&self) -> u64 {
        let used = lock(&self.tail).place.offset as u64;
        used * 100 / u64::from(self.options.generation_bytes)
    }

    /// A number above all files of this opening.
    pub(super) fn next_id(&self) -> Result<GenerationId, LogError> {
        let mut pool = lock(&self.pool);
        pool.newest = next_number(pool.newest, &self.shape.dir)?;
        Ok(GenerationId { number: pool.newest, epoch: self.shape.epoch })
    }

    /// The generation prepared for the place after number `tail`, if there is one.
    pub(super) fn take_prepared(&self, tail: u64) -> Option<Prepared> {
        loop {
            let prepared = lock(&self.pool).ready.pop_front()?;
            if prepared.id.number > tail {
                return Some(prepared);
            }
            self.shape.discard(prepared.file, prepared.id);
        }
    }

    /// Gives back what was taken and not begun.
    pub(super) fn put_back(&self, prepared: Prepared) {
        lock(&self.pool).ready.push_front(prepared);
    }

    /// Removes what was prepared and not needed.
    pub(super) fn discard_prepared(&self) {
        let ready = std::mem::take(&mut lock(&self.pool).ready);
        for prepared in ready {
            self.shape.discard(prepared.file, prepared.id);
        }
    }

    /// Fills a whole generation in small steps, each synced, so that no sync of the log has much of
    /// it to wait for.
    fn fill(&self, id: GenerationId) -> Result<Prepared, LogError> {
        let file = self.shape.prepare(id, &self.options)?;
        let len = self.options.generation_bytes as usize;
        let disk = &*self.shape.disk;
        let mut filled = super::writer::first_fill(&self.options);
        while filled < len {
            filled = super::writer::filled(filled + 1, &self.options);
            let grown = disk.allocate_zeroed(file, filled as u64);
            let grown = grown.and_then(|()| disk.sync(file, SyncKind::Data));
            if let Err(error) = grown {
                self.shape.discard(file, id);
                return Err(self.shape.not_made(id, "fill it with zeros", error));
            }
        }
        Ok(Prepared { id, file, filled })
    }
}
