//! Journeys through the log: crashes, faults, damage, late writers, threads.
#![expect(clippy::unwrap_used, reason = "all of it is tests")]

mod ahead;
mod archive;
mod crash;
mod damage;
mod example;
mod faults;
mod late_writer;
mod ownership;
mod reading;
mod real_disk;
mod salvage;
mod support;
mod threads;
