//! The receiving end: gathers frames and makes them durable in batches.

use super::mailbox_end;
use crate::mover::MoveTarget;
use crate::mover::error::TransferError;
use crate::transfer::{Frame, MailboxDigest, batch_size_bytes};
use crate::{
    ApplyBatch, ContentId, IncomingMailbox, MailboxInfo, MailboxName, MailboxState, Modseq, Store,
};

/// A batch is made durable when its contents have grown to this, in bytes.
const BATCH_BYTES: usize = 16 << 20;

/// A batch is made durable when its rows have grown to this, in bytes: it has to fit into a
/// generation of the log.
const ROWS_BYTES: usize = 4 << 20;

/// A store of this process that mailboxes come to.
pub struct LocalTarget {
    store: Store,
    pending: ApplyBatch,
    rows_bytes: usize,
    batch_bytes: usize,
}

mailbox_end!(LocalTarget);

impl LocalTarget {
    /// Makes a store the target of moves.
    #[must_use]
    pub fn new(store: Store) -> Self {
        let pending = ApplyBatch::default();
        Self { store, pending, rows_bytes: 0, batch_bytes: BATCH_BYTES }
    }

    /// Makes batches durable at another size than 16 MiB.
    #[must_use]
    pub fn with_batch_bytes(self, batch_bytes: usize) -> Self {
        Self { batch_bytes, ..self }
    }

    fn flush_if_full(&mut self) -> Result<(), TransferError> {
        let contents = self.pending.records.len();
        let full = contents + self.rows_bytes >= self.batch_bytes || self.rows_bytes >= ROWS_BYTES;
        if full { self.flush() } else { Ok(()) }
    }
}

impl MoveTarget for LocalTarget {
    fn cursor(&mut self, mailbox: &MailboxName) -> Result<Option<Modseq>, TransferError> {
        self.store
            .incoming_cursor(mailbox)
            .map_err(TransferError::store("look for an incoming mailbox"))
    }

    fn missing(&mut self, contents: &[ContentId]) -> Result<Vec<bool>, TransferError> {
        let failed = TransferError::store("look for a content");
        let missing = |id| self.store.has_content(id).map(|here| !here).map_err(&failed);
        contents.iter().map(missing).collect()
    }

    fn receive(&mut self, frame: Frame) -> Result<(), TransferError> {
        match frame {
            Frame::Begin(_) | Frame::End(_) | Frame::LeftBehind(_) => Ok(()),
            Frame::Content(run) if self.pending.records.is_empty() => {
                self.pending.records = run;
                self.flush_if_full()
            }
            Frame::Content(run) => {
                self.pending.records.extend_from_slice(&run);
                self.flush_if_full()
            }
            Frame::Mailbox(batch) => {
                self.rows_bytes += batch_size_bytes(&batch);
                self.pending.mailboxes.push(batch);
                self.flush_if_full()
            }
        }
    }

    fn flush(&mut self) -> Result<(), TransferError> {
        let batch = std::mem::take(&mut self.pending);
        self.rows_bytes = 0;
        if batch.records.is_empty() && batch.mailboxes.is_empty() {
            return Ok(());
        }
        self.store
            .apply(batch)
            .map(|_| ())
            .map_err(TransferError::store("make a batch of a transfer durable"))
    }

    fn discard(&mut self) {
        self.pending = ApplyBatch::default();
        self.rows_bytes = 0;
    }
}
