//! Both ends of a move, for a store in this process.

mod intake;
mod source;
mod target;

pub use source::LocalSource;
pub use target::LocalTarget;

use super::error::TransferError;
use super::rows::{RowReader, digest};
use crate::transfer::MailboxDigest;
use crate::{IncomingMailbox, MailboxInfo, MailboxName, MailboxState, Modseq, Store};

/// Finds a mailbox that must be there.
fn require(store: &Store, mailbox: &MailboxName) -> Result<MailboxInfo, TransferError> {
    let found = find(store, mailbox)?;
    found.ok_or_else(|| TransferError::NoMailbox { mailbox: mailbox.clone() })
}

fn find(store: &Store, mailbox: &MailboxName) -> Result<Option<MailboxInfo>, TransferError> {
    store.mailbox(mailbox).map_err(TransferError::store("look for a mailbox"))
}

fn set_state(
    store: &Store,
    mailbox: &MailboxName,
    state: &MailboxState,
) -> Result<(), TransferError> {
    let info = require(store, mailbox)?;
    store
        .set_state(info.id, state.clone())
        .map_err(TransferError::store("change the state of a mailbox"))
}

fn digest_now(store: &Store, mailbox: &MailboxName) -> Result<MailboxDigest, TransferError> {
    let snapshot = store.snapshot().map_err(TransferError::store("take a snapshot"))?;
    let info = in_snapshot(&snapshot, mailbox)?;
    digest(&snapshot, &info)
}

fn rows_now(
    store: &Store,
    mailbox: &MailboxName,
    after: Modseq,
) -> Result<IncomingMailbox, TransferError> {
    let snapshot = store.snapshot().map_err(TransferError::store("take a snapshot"))?;
    let info = in_snapshot(&snapshot, mailbox)?;
    let batch = RowReader::new(&snapshot, &info, after, usize::MAX)?.next_batch()?;
    Ok(batch.expect("a new reader has a batch"))
}

/// Finds a mailbox as it was at the moment of a snapshot.
fn in_snapshot(
    snapshot: &crate::Snapshot,
    mailbox: &MailboxName,
) -> Result<MailboxInfo, TransferError> {
    let found = snapshot.mailbox(mailbox).map_err(TransferError::store("look for a mailbox"))?;
    found.ok_or_else(|| TransferError::NoMailbox { mailbox: mailbox.clone() })
}

/// What both ends answer alike.
macro_rules! mailbox_end {
    ($end:ty) => {
        impl crate::mover::MailboxEnd for $end {
            fn info(
                &mut self,
                mailbox: &MailboxName,
            ) -> Result<Option<MailboxInfo>, TransferError> {
                super::find(&self.store, mailbox)
            }

            fn set_state(
                &mut self,
                mailbox: &MailboxName,
                state: &MailboxState,
            ) -> Result<(), TransferError> {
                super::set_state(&self.store, mailbox, state)
            }

            fn digest(&mut self, mailbox: &MailboxName) -> Result<MailboxDigest, TransferError> {
                super::digest_now(&self.store, mailbox)
            }

            fn rows(
                &mut self,
                mailbox: &MailboxName,
                after: Modseq,
            ) -> Result<IncomingMailbox, TransferError> {
                super::rows_now(&self.store, mailbox, after)
            }
        }
    };
}
use mailbox_end;
