//! The receiving end: gathers frames and makes them durable in batches.

use super::mailbox_end;
use crate::mover::MoveTarget;
use crate::mover::error::TransferError;
use crate::transfer::{Frame, MailboxDigest, row_size_bytes};
use crate::{
    ApplyBatch, ContentId, IncomingMailbox, MailboxInfo, MailboxName, MailboxState, Modseq, Store,
};

/// A batch is made durable when it has grown to this, in bytes.
const BATCH_BYTES: usize = 16 << 20;

/// A store of this process that mailboxes come to.
pub struct LocalTarget {
    store: Store,
    pending: ApplyBatch,
    pending_bytes: usize,
    batch_bytes: usize,
}

mailbox_end!(LocalTarget);

impl LocalTarget {
    /// Makes a store the target of moves.
    #[must_use]
    pub fn new(store: Store) -> Self {
        let pending = ApplyBatch::default();
        Self { store, pending, pending_bytes: 0, batch_bytes: BATCH_BYTES }
    }

    /// Makes batches durable at another size than 16 MiB.
    #[must_use]
    pub fn with_batch_bytes(self, batch_bytes: usize) -> Self {
        Self { batch_bytes, ..self }
    }

    fn flush_if_full(&mut self, added: usize) -> Result<(), TransferError> {
        self.pending_bytes += added;
        if self.pending_bytes >= self.batch_bytes { self.flush() } else { Ok(()) }
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
            Frame::Content(run) => {
                let added = run.len();
                if self.pending.records.is_empty() {
                    self.pending.records = run;
                } else {
                    self.pending.records.extend_from_slice(&run);
                }
                self.flush_if_full(added)
            }
            Frame::Mailbox(batch) => {
                let rows = batch.messages.iter().map(|(_, message)| row_size_bytes(message));
                let added = 256 + rows.sum::<usize>() + 16 * batch.expunges.len();
                self.pending.mailboxes.push(batch);
                self.flush_if_full(added)
            }
        }
    }

    fn flush(&mut self) -> Result<(), TransferError> {
        let batch = std::mem::take(&mut self.pending);
        self.pending_bytes = 0;
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
        self.pending_bytes = 0;
    }
}
