//! The first opening of a restored store: its catalog is built from its log.

use rehome_log::{FileName, Log, Lsn, Record, Visit};

use super::recover::{Recovery, Replay};
use crate::base;
use crate::catalog::{View, Writer};
use crate::error::{StoreError, doing};
use crate::identity::{Restore, hex, remove_if_there, restore_name};
use crate::options::{OpenOptions, RestoreMarker};

/// The marker, if the restore was finished and the opener has the right one.
pub(super) fn admit(restore: &Restore, options: &OpenOptions) -> Result<RestoreMarker, StoreError> {
    let cause = match (restore, &options.restore_marker) {
        (Restore::Writing { .. }, _) => {
            "it was not finished; give the restore's own command again, or empty the folder and \
             restore again"
                .to_owned()
        }
        (Restore::Written { .. }, None) => {
            "its catalog is not built yet; open it with the restore's marker".to_owned()
        }
        (Restore::Written { marker }, Some(given)) if marker == given => {
            return Ok(marker.clone());
        }
        (Restore::Written { marker }, Some(given)) => format!(
            "the marker given is for records {} to {} of store {}, and this is {} to {} of {}; \
             open it with the marker of its own restore",
            given.low, given.high, given.store_id, marker.low, marker.high, marker.store_id
        ),
    };
    Err(StoreError::RestoreInProgress { cause })
}

/// Digest over log records: what a marker proves.
#[derive(Default)]
pub(crate) struct LogDigest {
    hasher: blake3::Hasher,
    low: Option<Lsn>,
    high: Lsn,
}

impl LogDigest {
    /// Adds the base that the records follow, by its BLAKE3.
    pub(crate) fn add_base(&mut self, lsn: Lsn, hash: &[u8; 32]) {
        self.hasher.update(b"base");
        self.hasher.update(&lsn.to_u64().to_le_bytes());
        self.hasher.update(hash);
    }

    /// Adds a record.
    pub(crate) fn add(&mut self, lsn: Lsn, payload: &[u8]) {
        self.low.get_or_insert(lsn);
        self.high = lsn;
        self.hasher.update(&lsn.to_u64().to_le_bytes());
        self.hasher.update(&(payload.len() as u64).to_le_bytes());
        self.hasher.update(payload);
    }

    /// The last record added.
    pub(crate) fn high(&self) -> Lsn {
        self.high
    }

    /// The marker for the records added.
    pub(crate) fn marker(&self, store_id: [u8; 16]) -> RestoreMarker {
        RestoreMarker {
            store_id: hex(store_id),
            low: self.low.unwrap_or(Lsn::ZERO),
            high: self.high,
            digest: self.hasher.finalize().to_hex().to_string(),
        }
    }
}

/// Builds the catalog; one that was cut short goes on where its last checkpoint was.
pub(super) fn build(recovery: &Recovery<'_>, marker: &RestoreMarker) -> Result<Log, StoreError> {
    let log = std::thread::scope(|scope| {
        replay(recovery, marker, Writer::start(scope, recovery.tree, |_| (), None))
    })?;
    let failed = || doing("ending the restore");
    remove_if_there(&**recovery.disk, &restore_name()).map_err(failed())?;
    recovery.disk.sync_dir(&FileName::root()).map_err(failed())?;
    Ok(log)
}

fn replay<'a>(
    recovery: &'a Recovery<'a>,
    marker: &RestoreMarker,
    writer: Writer<'a>,
) -> Result<Log, StoreError> {
    let applied = View::new(recovery.tree.read()?).meta()?.applied;
    let mut replay = Replay::new(recovery, applied, writer)?;
    let mut digest = LogDigest::default();
    if let Some(base) = base::list(&**recovery.disk)?.first() {
        digest.add_base(*base, &base::hash(recovery.disk, *base)?);
    }
    let mut visit = |record: Record<'_>| {
        if record.lsn <= marker.high {
            digest.add(record.lsn, record.payload);
        }
        match replay.visit(&record) {
            Visit::CutHere => Visit::Stop(format!("bodies of record {} are damaged", record.lsn)),
            verdict => verdict,
        }
    };
    let log = recovery.open_log(Lsn::ZERO, &mut visit);
    let log = replay.outcome(log)?;
    let found = digest.marker(recovery.shape.store_id);
    if found != *marker {
        return Err(StoreError::Damaged {
            place: format!(
                "the log of the restored store, records {} to {}",
                found.low, found.high
            ),
            cause: format!("it is not what the restore wrote, {} to {}", marker.low, marker.high),
            remedy: "empty the folder and restore again",
        });
    }
    // The log is kept until the restore has ended: to go on after a crash takes all of it.
    replay.finish()?;
    Ok(log)
}
