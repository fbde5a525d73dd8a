//! What a service answers when it does not do what it was asked.

use rehome_store::{MailboxState, StoreError, TransferError};
use serde::{Deserialize, Serialize};

/// What a client does about a refusal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ErrorCode {
    /// The mailbox has another home; [`Refusal::to`] names it. Go there.
    Moved,
    /// The mailbox, or the whole store, takes no writes for a moment. Retry.
    Fenced,
    /// There is no such mailbox, folder, message or object.
    NotFound,
    /// The mailbox is a copy that is being received. Ask the directory for its home.
    NotActive,
    /// The store takes no writes until somebody has seen to it, as when the disk is full.
    ReadOnly,
    /// The service may no longer write: it lost its lease or its epoch. Whether the change was made
    /// is unknown. Ask the attendant again, and look before retrying.
    LeaseExpired,
    /// The request is wrong and stays so.
    BadRequest,
    /// Bytes that should be whole are not.
    Damaged,
    /// The moment of an offer is gone. Make another.
    StaleOffer,
    /// Somebody else changed it first; [`Refusal::to`] names what it is now.
    Conflict,
    /// It is still needed by something else.
    InUse,
    /// There are too many connections. Retry.
    Busy,
    /// The service failed. Whether the change was made is unknown.
    Unavailable,
}

/// A refusal as it travels.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{text}")]
pub struct Refusal {
    /// What to do about it.
    pub code: ErrorCode,
    /// Cause and remedy, for people.
    pub text: String,
    /// For [`ErrorCode::Moved`] the home server, for [`ErrorCode::Conflict`] the present value.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<String>,
}

/// What a service makes of a request.
pub(crate) type Answer<T> = Result<T, Refusal>;

impl Refusal {
    /// A refusal without a place to go to.
    pub(crate) fn new(code: ErrorCode, text: impl Into<String>) -> Self {
        Self { code, text: text.into(), to: None }
    }

    pub(crate) fn bad_request(text: impl Into<String>) -> Self {
        Self::new(ErrorCode::BadRequest, text)
    }

    pub(crate) fn not_found(text: impl Into<String>) -> Self {
        Self::new(ErrorCode::NotFound, text)
    }

    pub(crate) fn unavailable(text: impl Into<String>) -> Self {
        Self::new(ErrorCode::Unavailable, text)
    }
}

impl From<StoreError> for Refusal {
    fn from(error: StoreError) -> Self {
        let (code, to) = match &error {
            StoreError::NotActive { state, .. } | StoreError::NotIncoming { state, .. } => {
                of_state(state)
            }
            StoreError::NoSuchMailbox { .. }
            | StoreError::NoSuchFolder { .. }
            | StoreError::NoSuchMessage { .. }
            | StoreError::NoSuchContent { .. } => (ErrorCode::NotFound, None),
            StoreError::MailboxExists { .. }
            | StoreError::UidTaken { .. }
            | StoreError::UnknownFolder { .. }
            | StoreError::TooLarge { .. } => (ErrorCode::BadRequest, None),
            StoreError::Damaged { .. } | StoreError::BadRecords { .. } => {
                (ErrorCode::Damaged, None)
            }
            StoreError::DiskFull { .. } | StoreError::LogNotArchived { .. } => {
                (ErrorCode::ReadOnly, None)
            }
            StoreError::LeaseExpired { .. } | StoreError::Fenced { .. } => {
                (ErrorCode::LeaseExpired, None)
            }
            _ => (ErrorCode::Unavailable, None),
        };
        Self { code, text: chain(&error), to }
    }
}

/// The code for a mailbox that does not take what was asked, by its state.
pub(crate) fn of_state(state: &MailboxState) -> (ErrorCode, Option<String>) {
    match state {
        MailboxState::Moved { to } => (ErrorCode::Moved, Some(to.clone())),
        MailboxState::Fenced { .. } => (ErrorCode::Fenced, None),
        MailboxState::Active | MailboxState::Incoming => (ErrorCode::NotActive, None),
    }
}

impl From<TransferError> for Refusal {
    fn from(error: TransferError) -> Self {
        match error {
            TransferError::Store { source, .. } => (*source).into(),
            TransferError::NoMailbox { .. } => Self::not_found(error.to_string()),
            TransferError::StaleOffer { .. } => Self::new(ErrorCode::StaleOffer, error.to_string()),
            TransferError::Stream { .. } => Self::new(ErrorCode::Damaged, chain(&error)),
            _ => Self::unavailable(chain(&error)),
        }
    }
}

/// An error with its causes, as one line.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let next = error.to_string();
        if !text.contains(&next) {
            text = format!("{text}: {next}");
        }
        cause = error.source();
    }
    text
}
