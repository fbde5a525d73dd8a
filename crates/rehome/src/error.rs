//! Why a command ended without success, one variant for each exit code.

/// What ended a command.
///
/// Each variant is one thing that the caller does next; the message holds place, cause,
/// consequence and remedy. The codes are listed in `docs/guide/exit-codes.md`.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The input is wrong; nothing was changed.
    #[error("{message}")]
    BadInput {
        /// Place, cause, consequence and remedy.
        message: String,
    },
    /// No plan leads there.
    #[error("{message}")]
    Infeasible {
        /// The reasons, each with its place.
        message: String,
    },
    /// Something must be true first.
    #[error("{message}")]
    PreconditionOpen {
        /// Which step waits for what, and what to do.
        message: String,
    },
    /// A person must say that something is done.
    #[error("waiting at {step}: {instruction}; confirm with {how}")]
    WaitingAtGate {
        /// The step.
        step: String,
        /// What the person must do.
        instruction: String,
        /// How to say that it is done.
        how: String,
    },
    /// Somebody confirmed who may not, or too late.
    #[error("{message}")]
    ConfirmationRefused {
        /// Who may, until when, and what to do.
        message: String,
    },
    /// Stopped on request; the same command goes on.
    #[error("stopped: {message}; the same command goes on from here")]
    Interrupted {
        /// Where, and by what.
        message: String,
    },
    /// The target differs from the source.
    #[error("{message}")]
    Differences {
        /// What differs, and where the report is.
        message: String,
    },
    /// The plan was made from another inventory.
    #[error("{message}")]
    StalePlan {
        /// What changed, and how to plan again.
        message: String,
    },
    /// Everything is as it was before.
    #[error("{message}")]
    BackedOut {
        /// Why.
        message: String,
    },
    /// It cannot go on by itself.
    #[error("{message}")]
    NeedsHuman {
        /// What happened and what to do.
        message: String,
    },
}

impl Error {
    /// The program's exit code for this end.
    #[must_use]
    pub fn exit_code(&self) -> u8 {
        match self {
            Error::Infeasible { .. } => 2,
            Error::PreconditionOpen { .. } => 3,
            Error::WaitingAtGate { .. } | Error::ConfirmationRefused { .. } => 4,
            Error::Interrupted { .. } => 5,
            Error::Differences { .. } => 6,
            Error::StalePlan { .. } => 7,
            Error::BackedOut { .. } => 8,
            Error::NeedsHuman { .. } => 9,
            Error::BadInput { .. } => 65,
        }
    }

    /// Bad input, from whatever error says so.
    pub(crate) fn bad_input(error: impl std::fmt::Display) -> Self {
        Error::BadInput { message: error.to_string() }
    }

    /// Something that a person must look at, from whatever error says so.
    pub(crate) fn needs_human(error: impl std::fmt::Display) -> Self {
        Error::NeedsHuman { message: error.to_string() }
    }

    /// Something that a person must look at, with every cause behind it.
    pub(crate) fn chain(error: impl std::error::Error) -> Self {
        Error::NeedsHuman { message: with_causes(&error) }
    }

    /// Bad input, with every cause behind it.
    pub(crate) fn refused(error: impl std::error::Error) -> Self {
        Error::BadInput { message: with_causes(&error) }
    }

    /// Stopped on request.
    pub(crate) fn stopped(message: &str) -> Self {
        Error::Interrupted { message: message.to_owned() }
    }
}

/// A message with every cause behind it, one after the other; a cause that the message has told
/// already is not told again.
fn with_causes(error: &dyn std::error::Error) -> String {
    let mut message = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let text = cause.to_string();
        if !message.contains(&text) {
            message.push_str(&format!(": {text}"));
        }
        source = cause.source();
    }
    message
}

#[cfg(test)]
mod tests {
    use super::Error;

    #[derive(Debug, thiserror::Error)]
    enum Outer {
        #[error("it failed")]
        Silent { source: std::io::Error },
        #[error("it failed: {source}; mend it")]
        Told { source: std::io::Error },
    }

    #[track_caller]
    fn check(error: Outer, expected: &str) {
        assert_eq!(Error::chain(&error).to_string(), expected);
        assert_eq!(Error::refused(error).to_string(), expected);
    }

    #[test]
    fn each_cause_is_told_once() {
        let cause = || std::io::Error::other("disk full");
        check(Outer::Silent { source: cause() }, "it failed: disk full");
        check(Outer::Told { source: cause() }, "it failed: disk full; mend it");
    }
}
