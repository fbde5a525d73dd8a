//! What follows is the crate's README; below are the modules and the whole public list.
#![doc = include_str!("../README.md")]

mod clock;
mod crc;
mod disk;
mod error;
mod log;
mod lsn;
mod ownership;
mod rng;

pub use clock::{Clock, ManualClock, SystemClock, boot_ms};
pub use crc::crc32c;
pub use disk::{
    AlignedBuf, BufPool, DIRECT_ALIGNMENT, Disk, DiskCounters, Fault, FileId, FileName,
    FileNameError, OpenMode, RealDisk, SimDisk, SyncKind,
};
pub use error::LogError;
#[cfg(any(test, feature = "fuzzing"))]
#[doc(hidden)]
pub use log::fuzzing;
pub use log::{ClosedGeneration, Log, LogOptions, Pin, Record, Recovered, Salvage, Visit};
pub use lsn::{Lsn, LsnParseError};
pub use ownership::{Ownership, OwnershipError};
pub use rng::SplitMix64;
