//! The attendant: says who the server is and where its services listen.

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde_json::Value;

use crate::listen::{Service, Session, Signal, parse};
use crate::wire::{Answer, AttendantRequest, Endpoint, Identity, Refusal, Reply};

/// Serves the identity of a server.
pub(crate) struct AttendantService {
    identity: Identity,
    /// Where services note their addresses, for those that have no fixed one.
    endpoints: Option<PathBuf>,
    shutdown: Signal,
}

impl AttendantService {
    pub(crate) fn new(identity: Identity, endpoints: Option<PathBuf>, shutdown: Signal) -> Self {
        Self { identity, endpoints, shutdown }
    }

    fn who(&self) -> Answer<Identity> {
        let mut identity = self.identity.clone();
        if let Some(folder) = &self.endpoints {
            let server = &identity.server;
            let read = |role| {
                read_endpoint(folder, role, server)
                    .map_err(|error| Refusal::unavailable(format!("endpoint of {role}: {error}")))
            };
            let (directory, store) = (read("directory")?, read("store")?);
            identity.directory = identity.directory.or(directory);
            identity.store = identity.store.or(store);
        }
        Ok(identity)
    }
}

impl Service for AttendantService {
    fn session(self: Arc<Self>) -> Box<dyn Session> {
        Box::new(AttendantSession(self))
    }
}

struct AttendantSession(Arc<AttendantService>);

impl Session for AttendantSession {
    fn answer(&mut self, request: Value, _body: Vec<u8>) -> Answer<Reply> {
        match parse(request)? {
            AttendantRequest::Who => Reply::of(&self.0.who()?),
            AttendantRequest::Shutdown => Ok(Reply::ending()),
        }
    }

    fn end(&self) {
        self.0.shutdown.raise();
    }
}

/// Notes where a service listens, for the attendant of the same computer.
pub(crate) fn write_endpoint(folder: &Path, role: &str, endpoint: &Endpoint) -> io::Result<()> {
    fs::create_dir_all(folder)?;
    let fresh = folder.join(format!("{role}.json.new"));
    let mut file = fs::File::create(&fresh)?;
    file.write_all(&serde_json::to_vec(endpoint)?)?;
    file.sync_all()?;
    fs::rename(&fresh, folder.join(format!("{role}.json")))
}

/// Reads where a service of a server listens; an entry of another server is none.
fn read_endpoint(folder: &Path, role: &str, server: &str) -> io::Result<Option<String>> {
    let bytes = match fs::read(folder.join(format!("{role}.json"))) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    let endpoint: Endpoint = serde_json::from_slice(&bytes)?;
    let ours = endpoint.server.eq_ignore_ascii_case(server);
    Ok(ours.then_some(endpoint.address))
}
