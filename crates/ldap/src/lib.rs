//! What follows is the README; below are the modules and the whole public list.
#![doc = include_str!("../README.md")]

mod error;
mod fetch;
mod place;
mod tls;

pub use error::LdapError;
pub use fetch::{Credentials, FetchOptions, Fetched, fetch};
pub use place::LdapPlace;
pub use tls::TlsOptions;
