//! The process of a directory.

use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rehome_log::{Clock, Disk, RealDisk, SystemClock};
use rehome_site::Directory;
use serde_json::json;

use super::control::{Control, Ended, say};
use super::{ServerError, ServiceOptions, listen};
use crate::attendant::write_endpoint;
use crate::directory_service::{DirectoryService, DurableDirectory, DurableError};
use crate::listen::{Listening, Signal, serve};
use crate::wire::Endpoint;

/// How a directory is served.
#[derive(Debug, Clone, PartialEq)]
pub struct DirectoryServiceOptions {
    /// What all services have.
    pub service: ServiceOptions,
    /// The directory's folder.
    pub folder: PathBuf,
    /// What to begin with if the folder holds no directory.
    pub create: Option<Directory>,
    /// The cluster's fencing token; the directory's epoch is at least this.
    pub epoch_token: u64,
}

impl DirectoryServiceOptions {
    /// Serves the directory in a folder.
    #[must_use]
    pub fn new(service: ServiceOptions, folder: impl Into<PathBuf>) -> Self {
        Self { service, folder: folder.into(), create: None, epoch_token: 0 }
    }
}

/// Serves a directory until it is told to end. Prints `ready {json}`, once.
///
/// # Errors
///
/// [`ServerError`] if it cannot start.
pub fn run_directory(
    options: &DirectoryServiceOptions,
    out: &mut dyn Write,
    input: Box<dyn Read + Send>,
) -> Result<Ended, ServerError> {
    let control = Control::new(input, options.service.while_stdin, None)?;
    let directory = open(options)?;
    let epoch = directory.epoch();
    let (mut listening, address) = serve_directory(directory, &options.service, control.signal())?;
    let server = &options.service.server;
    let ready =
        json!({ "role": "directory", "server": server, "address": address, "epoch": epoch });
    say(out, "ready", &ready)?;
    let ended = control.wait();
    match ended {
        Ended::StdinClosed => listening.stop_at_once(),
        Ended::Quit | Ended::Shutdown => listening.stop(),
    }
    Ok(ended)
}

/// Opens the directory, or begins one if the folder holds none and the options have one.
pub(super) fn open(options: &DirectoryServiceOptions) -> Result<DurableDirectory, ServerError> {
    let owner = format!("{}, process {}", options.service.server, std::process::id());
    let opened = open_in(&options.folder, &owner, options.epoch_token, options.create.as_ref());
    opened.map_err(|source| ServerError::Directory {
        folder: options.folder.display().to_string(),
        source: Box::new(source),
    })
}

fn open_in(
    folder: &Path,
    owner: &str,
    token: u64,
    create: Option<&Directory>,
) -> Result<DurableDirectory, DurableError> {
    std::fs::create_dir_all(folder).map_err(|source| DurableError::Io {
        file: folder.display().to_string(),
        doing: "make the folder",
        source,
    })?;
    let disk: Arc<dyn Disk> = Arc::new(RealDisk::new(folder));
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    match (DurableDirectory::open(Arc::clone(&disk), Arc::clone(&clock), owner, token), create) {
        (Err(DurableError::None { .. }), Some(directory)) => {
            DurableDirectory::create(disk, clock, owner, token, directory.clone())
        }
        (opened, _) => opened,
    }
}

/// Begins to serve an open directory, and notes where.
pub(super) fn serve_directory(
    directory: DurableDirectory,
    options: &ServiceOptions,
    signal: Signal,
) -> Result<(Listening, String), ServerError> {
    let epoch = directory.epoch();
    let listener = listen(&options.listen)?;
    let service = Arc::new(DirectoryService::new(directory, signal));
    let listening = serve(listener, options.connections_max, service)
        .map_err(|source| ServerError::Process { doing: "make a thread", source })?;
    let address = listening.address().to_string();
    if let Some(folder) = &options.endpoints {
        let (server, address) = (options.server.clone(), address.clone());
        let endpoint = Endpoint { server, address, epoch };
        write_endpoint(folder, "directory", &endpoint)
            .map_err(|source| ServerError::File { file: folder.display().to_string(), source })?;
    }
    Ok((listening, address))
}
