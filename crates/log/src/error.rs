//! What can go wrong with a log.

use std::io;

use crate::{FileName, Lsn};

/// Why the log did not do what it was asked to. One variant for each thing a caller does about it.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// Nothing was written that counts; once there is room the same call may work.
    #[error("{name}: no room on the disk to {action}; nothing is lost: make room and try again")]
    NoSpace {
        /// The file.
        name: FileName,
        /// What needs the room.
        action: &'static str,
        /// What the disk said.
        source: io::Error,
    },
    /// The disk failed while nothing depended on it yet.
    #[error("{name}: cannot {action}: {source}")]
    Io {
        /// The file or folder.
        name: FileName,
        /// What was tried.
        action: &'static str,
        /// What the disk said.
        source: io::Error,
    },
    /// A write or sync failed, now or before. What was appended and not yet acknowledged has an
    /// unknown outcome.
    #[error(
        "log is closed to writing since {cause}; what was not acknowledged may or may not be \
             there: open the log again, which finds out"
    )]
    Poisoned {
        /// The first failure.
        cause: String,
    },
    /// The payload does not fit in a generation.
    #[error(
        "record of {size_bytes} bytes is too large for this log, at most {limit_bytes} fit: \
             split it"
    )]
    TooLarge {
        /// Bytes of the payload.
        size_bytes: u64,
        /// The largest payload that fits.
        limit_bytes: u64,
    },
    /// Bytes that somebody relies on are not what was written.
    #[error(
        "generation {generation:#x} is damaged at offset {offset:#x} ({name}): {cause}; records \
             from there on cannot be trusted and nothing was changed: restore this file from an \
             archived copy, or restore the store"
    )]
    Damaged {
        /// The generation.
        generation: u64,
        /// Bytes from the start of its file.
        offset: u64,
        /// Its file.
        name: FileName,
        /// What is wrong there.
        cause: String,
    },
    /// The log does not reach as far, down or up, as the caller needs.
    #[error(
        "log cannot be read from {from}: {cause}; restore the missing generations from an \
             archive, or the store"
    )]
    Gap {
        /// What the caller asked for.
        from: Lsn,
        /// What there is instead.
        cause: String,
    },
    /// There is no log in the folder.
    #[error("folder {dir:?} holds no log: create one, or check the path")]
    Absent {
        /// The folder.
        dir: FileName,
    },
    /// There is a log in the folder already.
    #[error("folder {dir:?} holds a log already ({name}): open it instead")]
    Exists {
        /// The folder.
        dir: FileName,
        /// A file of that log.
        name: FileName,
    },
    /// The log is another store's.
    #[error("{name} belongs to the store {found}, not to {expected}: check the path")]
    Foreign {
        /// The file.
        name: FileName,
        /// Identity in the file.
        found: String,
        /// Identity asked for.
        expected: String,
    },
    /// The file is of a format that this program does not know.
    #[error("{name} has format version {found}, this program knows {known}: use a newer program")]
    Version {
        /// The file.
        name: FileName,
        /// Version in the file.
        found: u32,
        /// The newest version known.
        known: u32,
    },
    /// Somebody with this epoch or a higher one has been here, or the epoch file says another one.
    #[error("epoch {mine} is over, for {name} has epoch {found}: take a new epoch and open again")]
    StaleEpoch {
        /// The epoch asked for.
        mine: u64,
        /// The epoch found.
        found: u64,
        /// The file that carries it.
        name: FileName,
    },
    /// The visitor stopped the reading.
    #[error("reading stopped at {lsn}: {reason}")]
    Stopped {
        /// The record it stopped at.
        lsn: Lsn,
        /// Why.
        reason: String,
    },
    /// The options contradict the format.
    #[error("log options cannot be used: {cause}")]
    Options {
        /// What is wrong.
        cause: &'static str,
    },
}
