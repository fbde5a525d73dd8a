//! The coordinator against a real etcd.

#![expect(clippy::unwrap_used, reason = "helpers of tests may unwrap as tests do")]

mod claims;
mod nodes;
mod program;
mod rig;
mod secure;
