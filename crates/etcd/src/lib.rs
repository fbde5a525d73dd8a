//! Lets the nodes of a cluster agree through etcd.
#![doc = include_str!("../README.md")]

mod coordinator;
mod endpoints;
mod gateway;
mod keys;
mod place;
mod records;
mod tls;
mod watch;

pub use coordinator::Etcd;
pub use place::{EtcdPlace, PlaceError};
