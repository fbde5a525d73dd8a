//! The client of an attendant.

use std::time::Duration;

use serde_json::Value;

use super::{ClientError, Peer};
use crate::wire::{AttendantRequest, Identity};

/// Asks a server who it is.
pub struct AttendantClient(Peer);

impl AttendantClient {
    /// A client of the attendant at `address`; it connects when it is used.
    #[must_use]
    pub fn new(address: impl Into<String>) -> Self {
        Self(Peer::new(address))
    }

    /// Waits for answers no longer than this.
    #[must_use]
    pub fn with_timeout(mut self, timeout: Duration) -> Self {
        self.0.set_timeout(timeout);
        self
    }

    /// Asks who the server is and where its services listen.
    ///
    /// # Errors
    ///
    /// [`ClientError`].
    pub fn who(&mut self) -> Result<Identity, ClientError> {
        self.0.ask(&AttendantRequest::Who)
    }

    /// Ends the attendant's process in order.
    ///
    /// # Errors
    ///
    /// [`ClientError`].
    pub fn shutdown(&mut self) -> Result<(), ClientError> {
        self.0.ask::<Value>(&AttendantRequest::Shutdown).map(drop)
    }
}
