//! The log of a store that is being restored, and the statement that it is complete.

use std::sync::Arc;

use rehome_log::{Clock, Disk, Log, LogOptions, Lsn};

use crate::error::StoreError;
use crate::identity::{Restore, restore_name, write_json};
use crate::op::Group;
use crate::open::{LogDigest, log_folder};
use crate::options::RestoreMarker;
use crate::segment::Shape;

/// The log, and the digest that the marker states of it.
pub(super) struct RestoredLog {
    disk: Arc<dyn Disk>,
    shape: Shape,
    log: Log,
    digest: LogDigest,
}

impl RestoredLog {
    pub(super) fn create(
        disk: &Arc<dyn Disk>,
        clock: &Arc<dyn Clock>,
        shape: Shape,
        options: LogOptions,
    ) -> Result<RestoredLog, StoreError> {
        let (identity, epoch) = (shape.store_id, shape.epoch);
        let log = Log::create(
            Arc::clone(disk),
            log_folder(),
            identity,
            epoch,
            Arc::clone(clock),
            options,
        )?;
        Ok(RestoredLog { disk: Arc::clone(disk), shape, log, digest: LogDigest::default() })
    }

    /// The records follow a base, of this BLAKE3.
    pub(super) fn follow_base(&mut self, lsn: Lsn, hash: &[u8; 32]) {
        self.digest.add_base(lsn, hash);
    }

    /// The last record; [`Lsn::ZERO`] if there is none.
    pub(super) fn high(&self) -> Lsn {
        self.digest.high()
    }

    /// Writes a group; one without operations is none.
    pub(super) fn append(&mut self, group: &Group) -> Result<(), StoreError> {
        if group.ops.is_empty() {
            return Ok(());
        }
        let payload = group.encode();
        let lsn = self.log.append(&payload)?;
        self.digest.add(lsn, &payload);
        Ok(())
    }

    /// Makes it durable and states that the store is complete; the marker opens it.
    pub(super) fn finish(self) -> Result<RestoreMarker, StoreError> {
        let lsn = self.log.sync()?;
        self.log.acknowledge(lsn);
        self.log.close()?;
        let marker = self.digest.marker(self.shape.store_id);
        let written = Restore::Written { marker: marker.clone() };
        write_json(&*self.disk, &restore_name(), &written)?;
        Ok(marker)
    }
}
