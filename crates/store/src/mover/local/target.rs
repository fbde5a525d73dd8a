//! The receiving end: takes frames and makes them durable.

use super::intake::{Intake, SMALL_BYTES_MAX};
use super::mailbox_end;
use crate::mover::MoveTarget;
use crate::mover::error::TransferError;
use crate::transfer::{Frame, MailboxDigest};
use crate::{
    ContentId, IncomingMailbox, MailboxInfo, MailboxName, MailboxState, Modseq, Store, StoreError,
};

/// A store of this process that mailboxes come to.
pub struct LocalTarget {
    store: Store,
    intake: Intake,
}

mailbox_end!(LocalTarget);

impl LocalTarget {
    /// Makes a store the target of moves.
    #[must_use]
    pub fn new(store: Store) -> Self {
        Self::with_small_bytes(store, SMALL_BYTES_MAX)
    }

    /// The same, with contents of less than so many bytes in the store's own segment.
    pub(in crate::mover) fn with_small_bytes(store: Store, small_bytes_max: u64) -> Self {
        Self { intake: Intake::new(store.clone(), small_bytes_max), store }
    }
}

impl MoveTarget for LocalTarget {
    fn cursor(&mut self, mailbox: &MailboxName) -> Result<Option<Modseq>, TransferError> {
        self.store
            .incoming_cursor(mailbox)
            .map_err(TransferError::store("look for an incoming mailbox"))
    }

    fn missing(&mut self, contents: &[ContentId]) -> Result<Vec<bool>, TransferError> {
        self.store.missing(contents).map_err(TransferError::store("look for contents"))
    }

    fn receive(&mut self, frame: Frame) -> Result<(), TransferError> {
        match frame {
            // Rows of a base are another store's numbers.
            Frame::Begin(_) | Frame::End(_) | Frame::LeftBehind(_) | Frame::Base(_) => Ok(()),
            Frame::Content(run) => self.intake.content(run).map_err(not_durable),
            Frame::Mailbox(rows) => self.intake.rows(rows).map_err(not_durable),
        }
    }

    fn flush(&mut self) -> Result<(), TransferError> {
        self.intake.flush().map_err(not_durable)
    }

    fn discard(&mut self) {
        self.intake.discard();
    }
}

fn not_durable(error: StoreError) -> TransferError {
    TransferError::store("make a batch of a transfer durable")(error)
}
