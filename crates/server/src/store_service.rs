//! The store service: mail for clients, both ends of a move for the mover, and the fence.

mod admin;
mod fence;
mod log;
mod mail;
mod mover;

use std::path::PathBuf;
use std::sync::Arc;

use rehome_log::Clock;
use rehome_store::{LocalSource, Offer, Store};
use serde_json::Value;

use crate::listen::{Service, Session, Signal, parse};
use crate::wire::{
    Answer, Connection, ErrorCode, Hello, Refusal, Reply, StoreRequest, WIRE_VERSION, WireError,
};
use fence::Fence;

pub use mail::{FIRST_LOGON, has_logged_on};

/// Serves a store.
pub(crate) struct StoreService {
    store: Store,
    server: String,
    clock: Arc<dyn Clock>,
    fence: Fence,
    shutdown: Signal,
}

impl StoreService {
    /// Serves `store` in the name of `server`. The fence over the whole store is kept in the
    /// folder `registry`, if there is one.
    pub(crate) fn new(
        store: Store,
        server: String,
        clock: Arc<dyn Clock>,
        registry: Option<PathBuf>,
        shutdown: Signal,
    ) -> std::io::Result<Self> {
        Ok(Self { store, server, clock, fence: Fence::read(registry)?, shutdown })
    }

    fn hello(&self) -> Hello {
        let id = self.store.id();
        Hello {
            role: "store".to_owned(),
            server: self.server.clone(),
            epoch: self.store.epoch(),
            store_id: Some(id.iter().map(|byte| format!("{byte:02x}")).collect()),
            lsn: Some(self.store.lsn()),
            fenced: self.fence.reason(),
            version: WIRE_VERSION,
        }
    }
}

impl Service for StoreService {
    fn session(self: Arc<Self>) -> Box<dyn Session> {
        let source = LocalSource::new(self.store.clone());
        Box::new(StoreSession { service: self, source, offered: None })
    }
}

/// One connection to a store.
struct StoreSession {
    service: Arc<StoreService>,
    /// Keeps the moment of the last offer made on this connection.
    source: LocalSource,
    /// That offer, so that its sender need not send it back.
    offered: Option<Offer>,
}

/// Tells whether a request changes what the store holds.
fn writes(request: &StoreRequest) -> bool {
    use StoreRequest as R;
    matches!(
        request,
        R::Deliver(_)
            | R::Logon { .. }
            | R::CreateFolder { .. }
            | R::Subscribe { .. }
            | R::Flags { .. }
            | R::Expunge { .. }
            | R::Create { .. }
            | R::SetAttribute { .. }
            | R::SetState { .. }
            | R::Receive
    )
}

impl StoreSession {
    fn dispatch(&mut self, request: StoreRequest, body: Vec<u8>) -> Answer<Reply> {
        use StoreRequest as R;
        let service = Arc::clone(&self.service);
        match request {
            R::Hello => Reply::of(&service.hello()),
            R::Deliver(recipient) => service.deliver(recipient, body),
            R::Logon { mailbox } => service.logon(&mailbox),
            R::Folders { mailbox } => service.folders(&mailbox),
            R::CreateFolder { mailbox, folder, attributes } => {
                service.create_folder(&mailbox, &folder, attributes)
            }
            R::Subscribe { mailbox, subscriptions } => service.subscribe(&mailbox, subscriptions),
            R::Messages { mailbox, folder, after, limit } => {
                service.messages(&mailbox, &folder, after, limit)
            }
            R::Fetch { mailbox, folder, uid } => service.fetch(&mailbox, &folder, uid),
            R::Flags { mailbox, folder, uid, change } => {
                service.flags(&mailbox, &folder, uid, change)
            }
            R::Expunge { mailbox, folder, uids } => service.expunge(&mailbox, &folder, &uids),
            R::Mailboxes => service.mailboxes(),
            R::Statistics => service.statistics(),
            R::Checkpoint => service.checkpoint(),
            R::Verify { mailbox } => service.verify(mailbox.as_ref()),
            R::FenceAll { reason } => service.fence_all(&reason),
            R::ResumeAll => service.resume_all(),
            R::Create { mailbox } => service.create(&mailbox),
            R::SetAttribute { mailbox, key, value } => {
                service.set_attribute(&mailbox, &key, value.as_deref())
            }
            R::KeepLog => service.keep_log(),
            R::UseCircularLog => service.use_circular_log(),
            R::LogState => service.log_state(),
            R::RollLog => service.roll_log(),
            R::LogReaches { after } => service.log_reaches(after),
            R::ArchivedUntil { lsn, store_id, epoch } => {
                service.archived_until(lsn, &store_id, epoch)
            }
            R::Shutdown => Ok(Reply::ending()),
            moving => self.moving(moving, &body),
        }
    }
}

impl Session for StoreSession {
    fn answer(&mut self, request: Value, body: Vec<u8>) -> Answer<Reply> {
        let request: StoreRequest = parse(request)?;
        let service = Arc::clone(&self.service);
        let _writing = if writes(&request) { Some(service.fence.enter()?) } else { None };
        self.dispatch(request, body)
    }

    fn end(&self) {
        self.service.shutdown.raise();
    }

    fn streams(&self, op: &str) -> bool {
        matches!(op, "send" | "send_base" | "receive" | "read_log")
    }

    fn stream(
        &mut self,
        request: Value,
        body: Vec<u8>,
        connection: &mut Connection,
    ) -> Result<(), WireError> {
        match parse(request) {
            Ok(StoreRequest::Send { lsn, lanes }) => {
                self.source.set_lanes(lanes.map(usize::from));
                self.send(lsn, &body, connection)
            }
            Ok(StoreRequest::SendBase { lsn }) => self.send_base(lsn, connection),
            Ok(StoreRequest::Receive) => self.receive(connection),
            Ok(StoreRequest::ReadLog(stretch)) => self.service.read_log(&stretch, connection),
            Ok(_) => connection.refuse(&Refusal::bad_request("the request has no stream")),
            Err(refusal) => connection.refuse(&refusal),
        }
    }
}

/// A refusal by the state of the whole store.
fn fenced(reason: &str) -> Refusal {
    let text = format!("the store takes no writes for now: {reason}; try again");
    Refusal::new(ErrorCode::Fenced, text)
}
