//! The client of a directory.

use std::time::Duration;

use rehome_site::{Changes, Directory, MailboxName, ServerName, UpToDateness};
use serde_json::{Value, json};

use super::{ClientError, Peer};
use crate::directory_service::{DirectoryOp, OpOutcome};
use crate::wire::{DirectoryRequest, DirectorySummary, Hello, Pending, Seen};

/// Asks and changes a directory.
pub struct DirectoryClient(Peer);

impl DirectoryClient {
    /// A client of the directory at `address`; it connects when it is used.
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

    /// The address it was made with.
    #[must_use]
    pub fn address(&self) -> &str {
        self.0.address()
    }

    /// Asks what the service is.
    ///
    /// # Errors
    ///
    /// [`ClientError`].
    pub fn hello(&mut self) -> Result<Hello, ClientError> {
        self.0.ask(&DirectoryRequest::Hello)
    }

    /// Asks for the home server of a mailbox.
    ///
    /// # Errors
    ///
    /// [`ClientError::Refused`] with `not_found` if the directory does not know it.
    pub fn home(&mut self, mailbox: &MailboxName) -> Result<ServerName, ClientError> {
        self.0.ask(&DirectoryRequest::Home { mailbox: mailbox.clone() })
    }

    /// Asks for everything about the site.
    ///
    /// # Errors
    ///
    /// [`ClientError`].
    pub fn summary(&mut self) -> Result<DirectorySummary, ClientError> {
        self.0.ask(&DirectoryRequest::Summary)
    }

    /// Copies the whole directory, as for a backup.
    ///
    /// # Errors
    ///
    /// [`ClientError`].
    pub fn export(&mut self) -> Result<Directory, ClientError> {
        self.0.ask(&DirectoryRequest::Export)
    }

    /// Changes the directory; durable when this returns.
    ///
    /// # Errors
    ///
    /// [`ClientError::Refused`] with `conflict`, `in_use`, `not_found` or `bad_request` if the
    /// change contradicts the directory; nothing is changed then.
    pub fn change(&mut self, op: &DirectoryOp) -> Result<OpOutcome, ClientError> {
        self.0.ask(&json!({ "op": "change", "change": op }))
    }

    /// Changes the home server of a mailbox, if it still is `from` or is `to` already.
    ///
    /// # Errors
    ///
    /// As [`DirectoryClient::change`].
    pub fn set_home(
        &mut self,
        mailbox: &MailboxName,
        from: &ServerName,
        to: &ServerName,
    ) -> Result<OpOutcome, ClientError> {
        let (mailbox, from, to) = (mailbox.clone(), from.clone(), to.clone());
        self.change(&DirectoryOp::SetHome { mailbox, from, to })
    }

    /// Asks for what a replica that has seen `seen` lacks; `partner` is noted to have seen it.
    ///
    /// # Errors
    ///
    /// [`ClientError`].
    pub fn changes_since(
        &mut self,
        seen: &UpToDateness,
        partner: Option<&ServerName>,
    ) -> Result<Changes, ClientError> {
        let (seen, partner) = (seen.clone(), partner.cloned());
        self.0.ask(&DirectoryRequest::ChangesSince { seen, partner })
    }

    /// Hands over what another replica has sent.
    ///
    /// # Errors
    ///
    /// As [`DirectoryClient::change`].
    pub fn apply(&mut self, changes: Changes) -> Result<OpOutcome, ClientError> {
        self.change(&DirectoryOp::Apply { changes })
    }

    /// Asks what a partner has not seen yet.
    ///
    /// # Errors
    ///
    /// [`ClientError`].
    pub fn pending(&mut self, partner: &ServerName) -> Result<Pending, ClientError> {
        self.0.ask(&DirectoryRequest::Pending { partner: partner.clone() })
    }

    /// Makes a snapshot and releases the journal before it.
    ///
    /// # Errors
    ///
    /// [`ClientError`].
    pub fn checkpoint(&mut self) -> Result<(), ClientError> {
        self.0.ask::<Value>(&DirectoryRequest::Checkpoint).map(drop)
    }

    /// Ends the service's process in order.
    ///
    /// # Errors
    ///
    /// [`ClientError`].
    pub fn shutdown(&mut self) -> Result<(), ClientError> {
        self.0.ask::<Value>(&DirectoryRequest::Shutdown).map(drop)
    }

    fn seen(&mut self) -> Result<Seen, ClientError> {
        self.0.ask(&DirectoryRequest::Vector)
    }
}

/// Brings everything that `from` has seen to `to`, and tells `from` that it has arrived.
///
/// # Errors
///
/// [`ClientError`] of either; doing it again is harmless.
pub fn replicate(
    from: &mut DirectoryClient,
    to: &mut DirectoryClient,
) -> Result<OpOutcome, ClientError> {
    let Seen { server, vector } = to.seen()?;
    let changes = from.changes_since(&vector, Some(&server))?;
    let outcome = to.apply(changes)?;
    let Seen { server, vector } = to.seen()?;
    from.change(&DirectoryOp::Seen { partner: server, vector })?;
    Ok(outcome)
}
