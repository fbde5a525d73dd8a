//! The directory service: one replica of a site's directory, kept durably.

mod durable;
mod op;
#[cfg(test)]
mod tests;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rehome_site::{Directory, DirectoryError, Role};
use serde_json::Value;

use crate::listen::{Service, Session, Signal, parse};
use crate::wire::{
    Answer, DirectoryRequest, DirectorySummary, ErrorCode, Hello, Pending, Refusal, Reply, Seen,
    WIRE_VERSION, chain,
};

pub use durable::{DurableDirectory, DurableError};
pub use op::{DirectoryOp, OpOutcome};

/// Serves a directory.
pub(crate) struct DirectoryService {
    directory: Mutex<DurableDirectory>,
    shutdown: Signal,
}

impl DirectoryService {
    pub(crate) fn new(directory: DurableDirectory, shutdown: Signal) -> Self {
        Self { directory: Mutex::new(directory), shutdown }
    }

    fn locked(&self) -> MutexGuard<'_, DurableDirectory> {
        self.directory.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn ask(&self, request: DirectoryRequest) -> Answer<Reply> {
        use DirectoryRequest as R;
        let mut directory = self.locked();
        directory.check()?;
        match request {
            R::Hello => Reply::of(&Hello {
                role: "directory".to_owned(),
                server: directory.directory().server_name().to_string(),
                epoch: directory.epoch(),
                store_id: None,
                lsn: None,
                fenced: None,
                version: WIRE_VERSION,
            }),
            R::Home { mailbox } => match directory.directory().home_server(&mailbox) {
                Some(home) => Reply::of(&home),
                None => Err(Refusal::not_found(format!(
                    "the directory has no mailbox {mailbox}; import or add it first"
                ))),
            },
            R::Summary => Reply::of(&summary(directory.directory())),
            R::Export => Reply::of(directory.directory()),
            R::ChangesSince { seen, partner } => {
                if let Some(partner) = partner {
                    let op = DirectoryOp::Seen { partner, vector: seen.clone() };
                    directory.change(op)?;
                }
                Reply::of(&directory.directory().changes_since(&seen))
            }
            R::Vector => Reply::of(&Seen {
                server: directory.directory().server_name().clone(),
                vector: directory.directory().vector().clone(),
            }),
            R::Pending { partner } => Reply::of(&Pending {
                pending: directory.directory().pending_for(&partner),
                replicated: directory.directory().replicated_with(&partner),
            }),
            R::Checkpoint => Reply::of(&directory.checkpoint()?),
            R::Shutdown => Ok(Reply::ending()),
        }
    }
}

/// What a directory says about its site.
fn summary(directory: &Directory) -> DirectorySummary {
    let holders = Role::ALL.into_iter().map(|role| (role, directory.role_holders(role)));
    DirectorySummary {
        organization: directory.organization().to_string(),
        site: directory.site().to_string(),
        server: directory.server_name().clone(),
        servers: directory.servers(),
        mailboxes: directory.mailboxes(),
        public_folders: directory.public_folders().into_iter().map(Into::into).collect(),
        system_folders: directory.system_folders().into_iter().map(Into::into).collect(),
        roles: holders.filter(|(_, holders)| !holders.is_empty()).collect(),
        vector: directory.vector().clone(),
        objects: directory.objects().count() as u64,
    }
}

impl Service for DirectoryService {
    fn session(self: Arc<Self>) -> Box<dyn Session> {
        Box::new(DirectorySession(self))
    }
}

/// One connection to a directory.
struct DirectorySession(Arc<DirectoryService>);

impl Session for DirectorySession {
    fn answer(&mut self, mut request: Value, _body: Vec<u8>) -> Answer<Reply> {
        if request.get("op").and_then(Value::as_str) == Some("change") {
            let op: DirectoryOp = parse(request["change"].take())?;
            return Reply::of(&self.0.locked().change(op)?);
        }
        self.0.ask(parse(request)?)
    }

    fn end(&self) {
        self.0.shutdown.raise();
    }
}

impl From<DurableError> for Refusal {
    fn from(error: DurableError) -> Self {
        let DurableError::Refused { source } = &error else {
            return Self::unavailable(chain(&error));
        };
        let (code, to) = match source {
            DirectoryError::Unknown { .. } => (ErrorCode::NotFound, None),
            DirectoryError::HomeConflict { found, .. }
            | DirectoryError::HolderConflict { found, .. } => {
                (ErrorCode::Conflict, Some(found.to_string()))
            }
            DirectoryError::InUse { .. } => (ErrorCode::InUse, None),
            _ => (ErrorCode::BadRequest, None),
        };
        Self { code, text: source.to_string(), to }
    }
}
