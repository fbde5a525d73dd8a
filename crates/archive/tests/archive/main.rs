//! Whole archives: written, damaged, interrupted, read.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on may panic")]

mod chains;
mod cuts;
mod damage;
mod encryption;
mod faults;
mod fixture;
mod folder;
mod golden;
mod hostile;
mod logs;
mod memory;
mod parity;
mod pipe;
mod refusals;
mod retention;
mod round_trip;
mod salvage;
mod targets;
