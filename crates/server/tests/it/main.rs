//! Real services on real sockets of this computer.

mod moving;
mod process;
mod service;
mod world;
