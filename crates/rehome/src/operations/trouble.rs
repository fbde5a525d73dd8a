//! Turning what went wrong in a part into what the executor understands.

use rehome_executor::{CheckOutcome, OperationError, Performed};

use crate::error::Error;

/// What an operation returns.
pub(super) type Done = Result<Performed, OperationError>;
/// What a check returns.
pub(super) type Seen = Result<CheckOutcome, OperationError>;

/// Something failed that may work when it is tried again.
pub(super) fn failed(place: &str, cause: impl std::fmt::Display, remedy: &str) -> OperationError {
    OperationError::Failed {
        place: place.to_owned(),
        cause: cause.to_string(),
        consequence: "the step is not done, and what was done before stays".to_owned(),
        remedy: remedy.to_owned(),
    }
}

/// Something that a person must look at before anything goes on.
pub(super) fn for_a_person(
    place: &str,
    cause: impl std::fmt::Display,
    remedy: &str,
) -> OperationError {
    OperationError::NeedsHuman {
        place: place.to_owned(),
        cause: cause.to_string(),
        consequence: "going on by itself could do harm".to_owned(),
        remedy: remedy.to_owned(),
    }
}

/// The work was asked to stop.
pub(super) fn interrupted() -> OperationError {
    OperationError::Interrupted { why: "it was asked to stop".to_owned() }
}

/// Makes an [`OperationError`] of an [`Error`].
pub(super) fn from_error(error: Error) -> OperationError {
    match error {
        Error::Interrupted { .. } => interrupted(),
        other => failed("work folder", other, "mend it and run the same command again"),
    }
}

/// The step is done; `notes` tell what was seen.
pub(super) fn done(notes: impl IntoIterator<Item = String>) -> Done {
    Ok(Performed { notes: notes.into_iter().collect(), ..Performed::default() })
}

/// The condition holds.
pub(super) fn met(evidence: impl Into<String>) -> Seen {
    Ok(CheckOutcome::Met { evidence: evidence.into() })
}

/// The condition does not hold yet.
pub(super) fn open(why: impl Into<String>, remedy: impl Into<String>) -> Seen {
    Ok(CheckOutcome::Open { why: why.into(), remedy: remedy.into() })
}

/// The condition holds if `truth`; `evidence` or `why` tells what was seen.
pub(super) fn if_true(truth: bool, evidence: impl Into<String>, why: impl Into<String>) -> Seen {
    if truth { met(evidence) } else { open(why, "see the step that makes it true") }
}
