//! Attendant, directory and store in one process: a server that is in no cluster.

use std::io::{self, Read, Write};
use std::path::PathBuf;
use std::sync::Arc;

use rehome_log::SystemClock;
use rehome_site::Directory;
use rehome_store::{Store, StoreSettings};
use serde_json::json;

use super::attendant::{AttendantOptions, serve_attendant};
use super::control::{Control, Ended, say};
use super::directory::{self, DirectoryServiceOptions, serve_directory};
use super::store::{self, Opening, StoreServiceOptions, serve_store};
use super::{ServerError, ServiceOptions};
use crate::listen::Listening;

/// How a standalone server is run.
#[derive(Debug, Clone, PartialEq)]
pub struct StandaloneOptions {
    /// What all services have; the attendant listens there, the others on the same address at
    /// ports of their own, which the attendant tells.
    pub service: ServiceOptions,
    /// The organization.
    pub organization: String,
    /// The site.
    pub site: String,
    /// The store's folder.
    pub store_folder: PathBuf,
    /// The directory's folder.
    pub directory_folder: PathBuf,
    /// What to begin with if there is no directory.
    pub create_directory: Option<Directory>,
    /// Make an empty store if there is none.
    pub create_store: bool,
    /// Settings in place of those in the store's folder.
    pub settings: Option<StoreSettings>,
    /// The store service's registry keys.
    pub registry: Option<PathBuf>,
}

impl StandaloneOptions {
    /// A server on a port of this computer, with its store and directory below `folder`.
    #[must_use]
    pub fn new(server: &str, organization: &str, site: &str, folder: impl Into<PathBuf>) -> Self {
        let folder = folder.into();
        Self {
            service: ServiceOptions::new(server),
            organization: organization.to_owned(),
            site: site.to_owned(),
            store_folder: folder.join("store"),
            directory_folder: folder.join("directory"),
            create_directory: None,
            create_store: true,
            settings: None,
            registry: None,
        }
    }

    /// The same address with any free port.
    fn beside(&self) -> ServiceOptions {
        let host = self.service.listen.rsplit_once(':').map_or("127.0.0.1", |(host, _)| host);
        ServiceOptions { listen: format!("{host}:0"), endpoints: None, ..self.service.clone() }
    }
}

/// A standalone server that is running in this process. Dropped, it ends.
pub struct StandaloneServer {
    attendant: (Listening, String),
    directory: (Listening, String),
    store: (Listening, String),
    opened: Store,
    store_folder: String,
}

impl StandaloneServer {
    /// Starts one and waits until it is ready.
    ///
    /// # Errors
    ///
    /// [`ServerError`] if it cannot start.
    pub fn start(options: &StandaloneOptions) -> Result<Self, ServerError> {
        let control = Control::new(Box::new(io::empty()), false, None)?;
        match Self::begin(options, &control, &mut io::sink())? {
            Ok(server) => Ok(server),
            Err(ended) => Err(ServerError::Process {
                doing: "go on: it was told to end",
                source: io::Error::other(format!("{ended:?}")),
            }),
        }
    }

    /// Where the attendant listens: the server's address.
    #[must_use]
    pub fn address(&self) -> &str {
        &self.attendant.1
    }

    /// Where the directory listens.
    #[must_use]
    pub fn directory_address(&self) -> &str {
        &self.directory.1
    }

    /// Where the store listens.
    #[must_use]
    pub fn store_address(&self) -> &str {
        &self.store.1
    }

    /// The store, for work in this process.
    #[must_use]
    pub fn store(&self) -> &Store {
        &self.opened
    }

    /// Ends it in order.
    ///
    /// # Errors
    ///
    /// [`ServerError::Store`] if the store cannot be closed; its log has everything.
    pub fn stop(mut self) -> Result<(), ServerError> {
        self.stop_listening();
        let folder = self.store_folder.clone();
        store::end(&mut self.store.0, self.opened.clone(), Ended::Quit, &folder)
    }

    fn stop_at_once(mut self) {
        for (listening, _) in [&mut self.attendant, &mut self.directory, &mut self.store] {
            listening.stop_at_once();
        }
    }

    fn stop_listening(&mut self) {
        for (listening, _) in [&mut self.attendant, &mut self.directory, &mut self.store] {
            listening.stop();
        }
    }

    fn begin(
        options: &StandaloneOptions,
        control: &Control,
        out: &mut dyn Write,
    ) -> Result<Result<Self, Ended>, ServerError> {
        let store_options = StoreServiceOptions {
            create: options.create_store,
            settings: options.settings.clone(),
            registry: options.registry.clone(),
            ..StoreServiceOptions::new(options.beside(), &options.store_folder)
        };
        let opened = match store::open(&store_options, None, control, out)? {
            Opening::Open(store) => store,
            Opening::Ended(ended) => return Ok(Err(ended)),
        };
        let directory_options = DirectoryServiceOptions {
            create: options.create_directory.clone(),
            ..DirectoryServiceOptions::new(options.beside(), &options.directory_folder)
        };
        let directory = directory::open(&directory_options)?;
        let directory = serve_directory(directory, &directory_options.service, control.signal())?;
        let clock = Arc::new(SystemClock);
        let store = serve_store(opened.clone(), &store_options, clock, control.signal())?;
        let attendant_options = AttendantOptions {
            service: options.service.clone(),
            organization: options.organization.clone(),
            site: options.site.clone(),
            epoch: opened.epoch(),
            directory: Some(directory.1.clone()),
            store: Some(store.1.clone()),
        };
        let attendant = serve_attendant(&attendant_options, control.signal())?;
        let store_folder = options.store_folder.display().to_string();
        Ok(Ok(Self { attendant, directory, store, opened, store_folder }))
    }
}

/// Runs a standalone server until it is told to end.
///
/// Prints `progress {json}` while the store recovers and then `ready {json}`, once.
///
/// # Errors
///
/// [`ServerError`] if it cannot start, or if the store cannot be closed.
pub fn run_standalone(
    options: &StandaloneOptions,
    out: &mut dyn Write,
    input: Box<dyn Read + Send>,
) -> Result<Ended, ServerError> {
    let control = Control::new(input, options.service.while_stdin, None)?;
    let server = match StandaloneServer::begin(options, &control, out)? {
        Ok(server) => server,
        Err(ended) => return Ok(ended),
    };
    let ready = json!({
        "role": "standalone",
        "server": options.service.server,
        "address": server.address(),
        "directory": server.directory_address(),
        "store": server.store_address(),
        "epoch": server.opened.epoch(),
    });
    say(out, "ready", &ready)?;
    let ended = control.wait();
    match ended {
        Ended::StdinClosed => server.stop_at_once(),
        Ended::Quit | Ended::Shutdown => server.stop()?,
    }
    Ok(ended)
}
