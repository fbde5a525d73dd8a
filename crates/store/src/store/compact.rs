//! Giving back room.

use super::Store;
use crate::compact::{self, CompactBudget, CompactReport};
use crate::error::StoreError;

impl Store {
    /// Gives up what has been deleted for longer than the retention, and gives back the room of
    /// contents that no message needs, within `budget`. Reading and writing go on meanwhile; a file
    /// is removed when nobody holds a snapshot that may name it, at the latest by the next
    /// compaction after that.
    ///
    /// # Errors
    ///
    /// [`StoreError::DiskFull`] if there is no room for what has to be written before room is given
    /// back, [`StoreError::Io`], and those that all changes share. What was done stays done.
    pub fn compact(&self, budget: CompactBudget) -> Result<CompactReport, StoreError> {
        let shared = self.engine.shared()?;
        self.purge_expired(shared.clock.wall_us().div_euclid(1_000_000))?;
        compact::compact(&shared, budget)
    }
}
