//! The engine as its callers see it: what is acknowledged stays, whatever the disk does.
#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "tests may, and name their seeds")]

mod archive;
mod basics;
mod catalog_damage;
mod compact;
mod damage;
mod faults;
mod model;
mod packed;
mod pipeline;
mod point;
mod rebuild;
mod receive;
mod restore;
mod retain;
mod salvage;
mod script;
mod scrub;
mod settings;
mod subscribe;
mod support;
mod threads;
