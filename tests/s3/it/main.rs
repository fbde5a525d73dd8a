//! The archive in a bucket: what every target has to do, and a server that fails.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on may panic")]

#[path = "../../../crates/archive/tests/archive/fixture.rs"]
mod fixture;
#[path = "../../../crates/archive/tests/archive/targets.rs"]
mod targets;

mod bucket;
mod failing;
mod program;
