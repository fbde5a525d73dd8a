//! The process of an attendant.

use std::io::{Read, Write};
use std::sync::Arc;

use serde_json::json;

use super::control::{Control, Ended, say};
use super::{ServerError, ServiceOptions, listen};
use crate::attendant::AttendantService;
use crate::listen::{Listening, Signal, serve};
use crate::wire::Identity;

/// How an attendant is served.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AttendantOptions {
    /// What all services have. Services that have no fixed address are looked for in its folder of
    /// endpoints.
    pub service: ServiceOptions,
    /// The organization.
    pub organization: String,
    /// The site.
    pub site: String,
    /// The epoch that it tells.
    pub epoch: u64,
    /// Where the directory listens, if that is fixed.
    pub directory: Option<String>,
    /// Where the store listens, if that is fixed.
    pub store: Option<String>,
}

/// Serves the identity of a server until it is told to end. Prints `ready {json}`, once.
///
/// # Errors
///
/// [`ServerError`] if it cannot start.
pub fn run_attendant(
    options: &AttendantOptions,
    out: &mut dyn Write,
    input: Box<dyn Read + Send>,
) -> Result<Ended, ServerError> {
    let control = Control::new(input, options.service.while_stdin, None)?;
    let (mut listening, address) = serve_attendant(options, control.signal())?;
    let (server, epoch) = (&options.service.server, options.epoch);
    let ready =
        json!({ "role": "attendant", "server": server, "address": address, "epoch": epoch });
    say(out, "ready", &ready)?;
    let ended = control.wait();
    match ended {
        Ended::StdinClosed => listening.stop_at_once(),
        Ended::Quit | Ended::Shutdown => listening.stop(),
    }
    Ok(ended)
}

/// Begins to serve the identity of a server.
pub(super) fn serve_attendant(
    options: &AttendantOptions,
    signal: Signal,
) -> Result<(Listening, String), ServerError> {
    let identity = Identity {
        organization: options.organization.clone(),
        site: options.site.clone(),
        server: options.service.server.clone(),
        epoch: options.epoch,
        directory: options.directory.clone(),
        store: options.store.clone(),
    };
    let listener = listen(&options.service.listen)?;
    let service = AttendantService::new(identity, options.service.endpoints.clone(), signal);
    let listening = serve(listener, options.service.connections_max, Arc::new(service))
        .map_err(|source| ServerError::Process { doing: "make a thread", source })?;
    let address = listening.address().to_string();
    Ok((listening, address))
}
