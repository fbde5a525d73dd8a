//! What goes wrong between two stores and in a move.

use crate::transfer::StreamError;
use crate::{MailboxName, StoreError};

/// Why one end of a move, or the directory, did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum TransferError {
    /// There is no such mailbox at that end.
    #[error("there is no mailbox \"{mailbox}\" here; check the name, or create it first")]
    NoMailbox {
        /// The mailbox.
        mailbox: MailboxName,
    },
    /// The moment of an offer is gone, because another one was made or the connection was new.
    #[error("the offer of {lsn} is not the last one; make another offer")]
    StaleOffer {
        /// The moment of the offer.
        lsn: rehome_log::Lsn,
    },
    /// A store failed.
    #[error("the store failed to {doing}")]
    Store {
        /// What it was to do.
        doing: &'static str,
        /// Why it did not.
        #[source]
        source: Box<StoreError>,
    },
    /// A transfer stream broke off or was damaged.
    #[error("the transfer stream cannot be used")]
    Stream {
        /// Where and how.
        #[source]
        source: StreamError,
    },
    /// The other end cannot be reached; whether it has done what it was asked is unknown.
    #[error("{peer} cannot be reached, or went away; the same call goes on when it is back")]
    Unreachable {
        /// The address.
        peer: String,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The other end understood and refused.
    #[error("{peer} refused: {text}")]
    Refused {
        /// The address.
        peer: String,
        /// The code of the refusal, such as `fenced`.
        code: String,
        /// Its reason.
        text: String,
    },
    /// Somebody else has changed the home of a mailbox.
    #[error(
        "the home of mailbox \"{}\" is {found}, not {expected}: somebody else moved it; \
         look at the directory before moving it again",
        mailbox.as_str()
    )]
    HomeConflict {
        /// The mailbox.
        mailbox: MailboxName,
        /// What the move took for granted.
        expected: String,
        /// What the directory says.
        found: String,
    },
    /// The receiver has gone away; the sender is to end.
    #[error("the receiver of the transfer stream has gone away")]
    Aborted,
}

impl TransferError {
    /// Wraps the error of a store.
    pub(crate) fn store(doing: &'static str) -> impl Fn(StoreError) -> Self {
        move |source| Self::Store { doing, source: Box::new(source) }
    }
}

impl From<StreamError> for TransferError {
    fn from(source: StreamError) -> Self {
        Self::Stream { source }
    }
}

/// Why a move ended before its job was done. The same call goes on where it ended.
#[derive(Debug, thiserror::Error)]
pub enum MoveError {
    /// The observer said stop. No mailbox is left fenced.
    #[error("stopped by request; the same move goes on where it stopped")]
    Stopped,
    /// The source failed. A mailbox may be left fenced if it cannot be reached.
    #[error("the source \"{server}\" failed while {doing}; run the same move again")]
    Source {
        /// The server.
        server: String,
        /// What the move was doing.
        doing: String,
        /// What failed.
        #[source]
        source: Box<TransferError>,
    },
    /// The target failed.
    #[error("the target \"{server}\" failed while {doing}; run the same move again")]
    Target {
        /// The server.
        server: String,
        /// What the move was doing.
        doing: String,
        /// What failed.
        #[source]
        source: Box<TransferError>,
    },
    /// The directory failed. A mailbox whose home was being changed stays fenced until the same
    /// move has asked the directory again.
    #[error("the directory failed while {doing}; run the same move again")]
    Directory {
        /// What the move was doing.
        doing: String,
        /// What failed.
        #[source]
        source: Box<TransferError>,
    },
    /// Stores and directory contradict each other; going on could lose mail.
    #[error("mailbox \"{}\" is not moved: {what}", mailbox.as_str())]
    Conflict {
        /// The mailbox.
        mailbox: MailboxName,
        /// What contradicts what, and what helps.
        what: String,
    },
}
