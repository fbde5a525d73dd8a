//! The service processes: from options to a ready line, until somebody ends them.

mod attendant;
mod control;
mod directory;
mod registry;
mod standalone;
mod store;

use std::io;
use std::net::TcpListener;
use std::path::PathBuf;

use rehome_store::StoreError;

use crate::directory_service::DurableError;

pub use attendant::{AttendantOptions, run_attendant};
pub use control::Ended;
pub use directory::{DirectoryServiceOptions, run_directory};
pub use standalone::{StandaloneOptions, StandaloneServer, run_standalone};
pub use store::{StoreServiceOptions, run_store};

pub use registry::{RESTORE_KEY, read_restore_marker, remove_restore_marker, write_restore_marker};

/// What all services have in common.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServiceOptions {
    /// The server that the service belongs to.
    pub server: String,
    /// Address and port; port 0 takes any that is free.
    pub listen: String,
    /// More connections than this at once are refused.
    pub connections_max: usize,
    /// Folder in which services of one computer note where they listen, for the attendant.
    pub endpoints: Option<PathBuf>,
    /// End as soon as standard input ends.
    pub while_stdin: bool,
}

impl ServiceOptions {
    /// A service of `server` on any free port of this computer alone.
    #[must_use]
    pub fn new(server: impl Into<String>) -> Self {
        Self {
            server: server.into(),
            listen: "127.0.0.1:0".to_owned(),
            connections_max: 256,
            endpoints: None,
            while_stdin: false,
        }
    }
}

/// Why a service process could not start or had to end.
#[derive(Debug, thiserror::Error)]
pub enum ServerError {
    /// The address cannot be used.
    #[error("cannot listen on {address}; choose another address, or end who listens there")]
    Listen {
        /// The address.
        address: String,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The store cannot be opened.
    #[error("the store in {folder} cannot be opened")]
    Store {
        /// Its folder.
        folder: String,
        /// Why.
        #[source]
        source: Box<StoreError>,
    },
    /// The directory cannot be opened.
    #[error("the directory in {folder} cannot be opened")]
    Directory {
        /// Its folder.
        folder: String,
        /// Why.
        #[source]
        source: Box<DurableError>,
    },
    /// A registry key or a note cannot be read or written.
    #[error("{file}: this file cannot be used; see to it and start again")]
    File {
        /// The file.
        file: String,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// A thread could not be made, or the ready line not be written.
    #[error("the process cannot {doing}")]
    Process {
        /// What failed.
        doing: &'static str,
        /// Why.
        #[source]
        source: io::Error,
    },
}

/// Takes the address of a service.
fn listen(address: &str) -> Result<TcpListener, ServerError> {
    TcpListener::bind(address)
        .map_err(|source| ServerError::Listen { address: address.to_owned(), source })
}
