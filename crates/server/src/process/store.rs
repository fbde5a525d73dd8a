//! The process of a store.

use std::io::{Read, Write};
use std::path::PathBuf;
use std::sync::Arc;
use std::thread;

use rehome_log::{Clock, SystemClock};
use rehome_store::{Lease, OpenOptions, Store, StoreError, StoreSettings};
use serde_json::json;

use super::control::{Control, Ended, Event, say};
use super::registry::{read_restore_marker, remove_restore_marker};
use super::{ServerError, ServiceOptions, listen};
use crate::attendant::write_endpoint;
use crate::listen::{Listening, Signal, serve};
use crate::store_service::StoreService;
use crate::wire::Endpoint;

/// How a store is served.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoreServiceOptions {
    /// What all services have.
    pub service: ServiceOptions,
    /// The store's folder.
    pub folder: PathBuf,
    /// Make an empty store if the folder holds none.
    pub create: bool,
    /// The cluster's fencing token; the store's epoch is at least this.
    pub epoch_token: u64,
    /// Settings in place of those in the store's folder.
    pub settings: Option<StoreSettings>,
    /// The service's registry keys.
    pub registry: Option<PathBuf>,
    /// Commit only while the lines `lease <ms>` on standard input allow it.
    pub leased: bool,
}

impl StoreServiceOptions {
    /// Serves the store in a folder, without a lease.
    #[must_use]
    pub fn new(service: ServiceOptions, folder: impl Into<PathBuf>) -> Self {
        Self {
            service,
            folder: folder.into(),
            create: false,
            epoch_token: 0,
            settings: None,
            registry: None,
            leased: false,
        }
    }
}

/// Serves a store until it is told to end.
///
/// Prints `progress {json}` while the store recovers and then `ready {json}`, once. A store that
/// was restored is opened with the marker in the registry, which is removed when its recovery is
/// durable.
///
/// # Errors
///
/// [`ServerError`] if it cannot start. What happens to a connection ends that connection alone.
pub fn run_store(
    options: &StoreServiceOptions,
    out: &mut dyn Write,
    input: Box<dyn Read + Send>,
) -> Result<Ended, ServerError> {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let lease = options.leased.then(|| Lease::new(Arc::clone(&clock)));
    let leased = lease.clone().map(|lease| (lease, Arc::clone(&clock)));
    let control = Control::new(input, options.service.while_stdin, leased)?;
    let store = match open(options, lease, &control, out)? {
        Opening::Open(store) => store,
        Opening::Ended(ended) => return Ok(ended),
    };
    let notes = store.notes();
    let (mut listening, address) = serve_store(store.clone(), options, clock, control.signal())?;
    let ready = json!({
        "role": "store",
        "server": options.service.server,
        "address": address,
        "epoch": store.epoch(),
        "lsn": store.lsn(),
        "notes": notes,
    });
    say(out, "ready", &ready)?;
    let ended = control.wait();
    end(&mut listening, store, ended, &options.folder.display().to_string())?;
    Ok(ended)
}

/// Ends a store in order, or at once if whoever started it is gone.
pub(super) fn end(
    listening: &mut Listening,
    store: Store,
    ended: Ended,
    folder: &str,
) -> Result<(), ServerError> {
    if ended == Ended::StdinClosed {
        listening.stop_at_once();
        return Ok(());
    }
    listening.stop();
    match store.close() {
        Ok(()) | Err(StoreError::Closed) => Ok(()),
        Err(source) => {
            Err(ServerError::Store { folder: folder.to_owned(), source: Box::new(source) })
        }
    }
}

/// Begins to serve an open store, and notes where.
pub(super) fn serve_store(
    store: Store,
    options: &StoreServiceOptions,
    clock: Arc<dyn Clock>,
    signal: Signal,
) -> Result<(Listening, String), ServerError> {
    let ServiceOptions { server, listen: address, connections_max, endpoints, .. } =
        &options.service;
    let epoch = store.epoch();
    let registry = options.registry.clone();
    let service = StoreService::new(store, server.clone(), clock, registry, signal);
    let service = service.map_err(|source| {
        let folder = options.registry.clone().unwrap_or_default();
        ServerError::File { file: folder.display().to_string(), source }
    })?;
    let listener = listen(address)?;
    let listening = serve(listener, *connections_max, Arc::new(service))
        .map_err(|source| ServerError::Process { doing: "make a thread", source })?;
    let address = listening.address().to_string();
    if let Some(folder) = endpoints {
        let endpoint = Endpoint { server: server.clone(), address: address.clone(), epoch };
        write_endpoint(folder, "store", &endpoint)
            .map_err(|source| ServerError::File { file: folder.display().to_string(), source })?;
    }
    Ok((listening, address))
}

/// How opening a store ended.
pub(super) enum Opening {
    Open(Store),
    Ended(Ended),
}

/// Opens the store on another thread, so that the end of standard input is seen meanwhile.
pub(super) fn open(
    options: &StoreServiceOptions,
    lease: Option<Lease>,
    control: &Control,
    out: &mut dyn Write,
) -> Result<Opening, ServerError> {
    let marker = match &options.registry {
        Some(registry) => read_restore_marker(registry)?,
        None => None,
    };
    let restored = marker.is_some();
    let progress = control.sender.clone();
    let open_options = OpenOptions {
        owner: format!("{}, process {}", options.service.server, std::process::id()),
        epoch_token: options.epoch_token,
        settings: options.settings.clone(),
        restore_marker: marker,
        lease,
        // If nobody listens any more the process is ending.
        progress: Some(Arc::new(move |done| drop(progress.send(Event::Progress(done))))),
        ..OpenOptions::default()
    };
    let (folder, create) = (options.folder.clone(), options.create);
    let (result, opened) = std::sync::mpsc::channel();
    let finished = control.sender.clone();
    let opening = move || {
        let store = open_or_create(&folder, create, open_options, restored);
        // Woken up by one more event, the main thread finds the result.
        drop(result.send(store));
        drop(finished.send(Event::Opened));
    };
    thread::Builder::new()
        .name("open the store".to_owned())
        .spawn(opening)
        .map_err(|source| ServerError::Process { doing: "make a thread", source })?;
    loop {
        match control.next() {
            Event::Progress(progress) => say(out, "progress", &progress)?,
            Event::Ended(ended) => return Ok(Opening::Ended(ended)),
            Event::Opened => break,
        }
    }
    let folder = options.folder.display().to_string();
    let store = opened.recv().unwrap_or(Err(StoreError::Closed));
    let store = store.map_err(|source| ServerError::Store { folder, source: Box::new(source) })?;
    if let (true, Some(registry)) = (restored, &options.registry) {
        remove_restore_marker(registry)?;
    }
    Ok(Opening::Open(store))
}

/// Opens or makes the store; after a restore its recovery is durable when this returns.
fn open_or_create(
    folder: &std::path::Path,
    create: bool,
    options: OpenOptions,
    restored: bool,
) -> Result<Store, StoreError> {
    let store = match Store::open_at(folder, options.clone()) {
        Err(StoreError::NoStore { .. }) if create => Store::create_at(folder, options)?,
        opened => opened?,
    };
    if restored {
        store.checkpoint()?;
    }
    Ok(store)
}
