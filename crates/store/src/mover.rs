//! The bulk move: mailboxes change their store while their users work.
//!
//! [`bulk_move`] carries a [`MoveJob`] out between a [`MoveSource`] and a [`MoveTarget`], each of
//! them a store of this process or a server at the other end of a connection; a [`HomeDirectory`]
//! decides where a mailbox lives. `docs/design/0004-bulk-move.md` says why it is done this way.

mod bounds;
mod carry;
mod compare;
mod cutover;
mod end;
mod error;
#[cfg(test)]
mod full_tests;
mod job;
mod local;
mod pause;
#[cfg(test)]
mod pause_tests;
mod report;
mod resolve;
mod rows;
#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;

pub use bounds::LiveBounds;
pub use compare::{Comparison, compare_mailbox};
pub use end::{HomeDirectory, MailboxEnd, MoveSource, MoveTarget, Offer};
pub use error::{MoveError, TransferError};
pub use job::{MoveJob, bulk_move};
pub use local::{LocalSource, LocalTarget};
pub use pause::{Pause, PauseWhen};
pub use report::{LockTimes, MailboxMoved, MoveEvent, MoveReport};
