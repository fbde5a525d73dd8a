//! Real services on real sockets of this computer.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod moving;
mod process;
mod service;
mod world;
