//! Building a store from a backup.

use std::sync::Arc;

use rehome_log::{Clock, Disk};

use crate::error::StoreError;
use crate::model::{IncomingMailbox, MailboxName, MailboxState};
use crate::options::{OpenOptions, RestoreMarker};

/// Writes segments and log of a new store, and no catalog.
pub struct RestoreWriter {}

impl RestoreWriter {
    /// Begins a store in the disk's empty root folder; `options.store_id` gives it an old identity.
    pub fn create(
        disk: Arc<dyn Disk>,
        clock: Arc<dyn Clock>,
        options: OpenOptions,
    ) -> Result<RestoreWriter, StoreError> {
        let _ = (disk, clock, options);
        Err(StoreError::Closed)
    }
    /// Writes a body.
    pub fn put_body(&mut self, body: &[u8]) -> Result<(), StoreError> {
        let _ = body;
        Err(StoreError::Closed)
    }
    /// Writes a run of body records verbatim.
    pub fn put_records(&mut self, records: &[u8]) -> Result<(), StoreError> {
        let _ = records;
        Err(StoreError::Closed)
    }
    /// Writes (part of) a mailbox; it is active once the store is open.
    pub fn put_mailbox(&mut self, mailbox: IncomingMailbox) -> Result<(), StoreError> {
        let _ = mailbox;
        Err(StoreError::Closed)
    }
    /// Gives a mailbox written before another state than active.
    pub fn put_state(
        &mut self,
        mailbox: &MailboxName,
        state: MailboxState,
    ) -> Result<(), StoreError> {
        let _ = (mailbox, state);
        Err(StoreError::Closed)
    }
    /// Makes everything durable.
    pub fn finish(self) -> Result<RestoreMarker, StoreError> {
        Err(StoreError::Closed)
    }
}
