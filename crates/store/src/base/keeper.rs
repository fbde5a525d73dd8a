//! Writes bases behind the checkpoints, and says how far the log may go.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;

use rehome_log::{Disk, Lsn};

use crate::error::StoreError;
use crate::tree::Tree;

/// When bases are written, and how far the newest one reaches.
pub(crate) struct Keeper {
    disk: Arc<dyn Disk>,
    store_id: [u8; 16],
    /// Bytes of log between two bases, at least; `None` writes none.
    bytes_min: Option<u64>,
    log_bytes: u64,
    written: Arc<Written>,
    stop: Arc<AtomicBool>,
    writing: Option<JoinHandle<()>>,
}

/// The newest base: its LSN and its length.
struct Written {
    lsn: AtomicU64,
    bytes: AtomicU64,
}

/// The log is kept from here on for a catalog that is lost.
pub(crate) fn floor(disk: &dyn Disk, bytes_min: Option<u64>) -> Result<Lsn, StoreError> {
    match bytes_min {
        None => Ok(Lsn::from_u64(u64::MAX)),
        Some(_) => Ok(super::list(disk)?.first().copied().unwrap_or(Lsn::ZERO)),
    }
}

impl Keeper {
    /// Begins with `floor`, the LSN of the newest base there is.
    pub(crate) fn new(
        disk: Arc<dyn Disk>,
        store_id: [u8; 16],
        bytes_min: Option<u64>,
        floor: Lsn,
    ) -> Keeper {
        Keeper {
            disk,
            store_id,
            bytes_min,
            log_bytes: 0,
            written: Arc::new(Written { lsn: floor.to_u64().into(), bytes: 0.into() }),
            stop: Arc::default(),
            writing: None,
        }
    }

    /// The log below may go.
    pub(crate) fn floor(&self) -> Lsn {
        Lsn::from_u64(self.written.lsn.load(Ordering::Acquire))
    }

    /// A checkpoint was made: `tree` holds the log up to `lsn`, `log_bytes` more than before.
    pub(crate) fn checkpointed(
        &mut self,
        tree: &dyn Tree,
        lsn: Lsn,
        log_bytes: u64,
    ) -> Result<(), StoreError> {
        self.log_bytes += log_bytes;
        let Some(bytes_min) = self.bytes_min else { return Ok(()) };
        let due = bytes_min.max(self.written.bytes.load(Ordering::Acquire));
        let busy = self.writing.as_ref().is_some_and(|writing| !writing.is_finished());
        if self.log_bytes < due || busy {
            return Ok(());
        }
        self.join();
        self.log_bytes = 0;
        let tree = tree.read()?;
        let (disk, store_id) = (Arc::clone(&self.disk), self.store_id);
        let (written, stop) = (Arc::clone(&self.written), Arc::clone(&self.stop));
        self.writing = Some(std::thread::spawn(move || {
            let stop = || stop.load(Ordering::Acquire);
            // Without a new base the log is kept; the next checkpoint tries again.
            if let Ok(Some(bytes)) = super::write(&disk, &*tree, store_id, lsn, &stop) {
                written.bytes.store(bytes, Ordering::Release);
                written.lsn.store(lsn.to_u64(), Ordering::Release);
            }
        }));
        Ok(())
    }

    /// Waits for the base that is being written.
    fn join(&mut self) {
        if let Some(writing) = self.writing.take() {
            // A panic has been reported where it happened.
            drop(writing.join());
        }
    }
}

impl Drop for Keeper {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Release);
        self.join();
    }
}
