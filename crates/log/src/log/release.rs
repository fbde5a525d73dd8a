//! Giving up what nobody needs any more.

use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Mutex};

use super::chain;
use super::header::GenerationId;
use super::{Log, lock};
use crate::error::LogError;
use crate::lsn::Lsn;

/// How many need the log from which position on, and whose they are.
#[derive(Debug, Default)]
pub(crate) struct Pins(Mutex<BTreeMap<(Lsn, &'static str), u64>>);

impl Pins {
    /// The lowest position that is needed.
    fn lowest(&self) -> Option<Lsn> {
        lock(&self.0).keys().next().map(|(lsn, _)| *lsn)
    }

    /// The lowest position of each kind.
    pub(crate) fn lowest_of_each(&self) -> Vec<(&'static str, Lsn)> {
        let mut lowest = BTreeMap::new();
        for (lsn, owner) in lock(&self.0).keys() {
            lowest.entry(*owner).or_insert(*lsn);
        }
        lowest.into_iter().collect()
    }
}

/// Keeps the log from a position on until it is dropped.
#[derive(Debug)]
pub struct Pin {
    pins: Arc<Pins>,
    lsn: Lsn,
    owner: &'static str,
}

impl Pin {
    /// The position.
    #[must_use]
    pub fn lsn(&self) -> Lsn {
        self.lsn
    }
}

impl Drop for Pin {
    fn drop(&mut self) {
        let mut pins = lock(&self.pins.0);
        if let Some(count) = pins.get_mut(&(self.lsn, self.owner)) {
            *count -= 1;
            if *count == 0 {
                pins.remove(&(self.lsn, self.owner));
            }
        }
    }
}

impl Log {
    /// Keeps the records from `lsn` on until the pin is dropped. It lasts no longer than this
    /// opening of the log, and does not bring back what was released before.
    #[must_use]
    pub fn pin(&self, lsn: Lsn) -> Pin {
        self.pin_for(lsn, "reader")
    }

    /// The same; [`Log::pinned`] tells whose it is.
    #[must_use]
    pub fn pin_for(&self, lsn: Lsn, owner: &'static str) -> Pin {
        *lock(&self.pins.0).entry((lsn, owner)).or_insert(0) += 1;
        Pin { pins: Arc::clone(&self.pins), lsn, owner }
    }

    /// Removes the generations whose records all lie below `lsn` and below every pin, and returns
    /// how many files that were. The generation being written stays.
    ///
    /// Files that earlier owners left beside the chain go with the generations of their time.
    ///
    /// # Errors
    ///
    /// [`LogError::Io`]; what was removed until then stays removed, the rest is whole.
    /// [`LogError::Poisoned`]: a log that failed keeps what it has.
    pub fn release_below(&self, lsn: Lsn) -> Result<u64, LogError> {
        self.check_poison()?;
        let mut chain = lock(&self.chain);
        // Pins are looked at with the chain locked: a reader pins first and then takes the chain.
        let lowest_pin = self.pins.lowest();
        let limit = lowest_pin.map_or(lsn, |pin| pin.min(lsn));
        let count = chain.windows(2).take_while(|pair| pair[1].header.prev_lsn < limit).count();
        if count == 0 {
            return Ok(0);
        }
        let oldest_kept = chain[count].number();
        let all = chain::list(&*self.shape.disk, &self.shape.dir)?;
        let mut released: Vec<GenerationId> =
            all.into_iter().filter(|id| id.number < oldest_kept).collect();
        // Oldest first: whenever this stops, what is left is a chain without a hole.
        released.sort_unstable();
        for id in &released {
            self.remove(*id)?;
        }
        chain.drain(..count);
        let on = |source| self.folder_error("make the removal durable", source);
        self.shape.disk.sync_dir(&self.shape.dir).map_err(on)?;
        Ok(released.len() as u64)
    }

    fn remove(&self, id: GenerationId) -> Result<(), LogError> {
        let name = chain::path(&self.shape.dir, id);
        match self.shape.disk.remove(&name) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            Err(source) => Err(LogError::Io { name, action: "remove it", source }),
            Ok(()) => Ok(()),
        }
    }

    fn folder_error(&self, action: &'static str, source: io::Error) -> LogError {
        LogError::Io { name: self.shape.dir.clone(), action, source }
    }
}
