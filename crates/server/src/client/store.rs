//! The client of a store.

use std::collections::BTreeMap;
use std::time::Duration;

use rehome_log::Lsn;
use rehome_store::{
    CheckReport, ContentId, FlagChange, FolderInfo, FolderName, IncomingMailbox, MailboxDigest,
    MailboxInfo, MailboxName, MailboxState, Message, Modseq, Offer, Statistics, Uid,
};
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::{ClientError, Peer};
use crate::wire::{Hello, Logon, MessagesPage, Recipient, StoreRequest, Stored};

/// Verifying a store reads all of it: so long is waited for the answer.
const VERIFY_MAX: Duration = Duration::from_secs(24 * 3600);

/// Comparing a large part of a store with nothing takes its time, too.
const OFFER_MAX: Duration = Duration::from_secs(600);

/// Asks a store. Mailboxes that have moved away are refused with `moved`.
pub struct StoreClient(pub(crate) Peer);

impl StoreClient {
    /// A client of the store at `address`; it connects when it is used.
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

    /// Closes the connection; the next call makes a new one.
    pub fn disconnect(&mut self) {
        self.0.disconnect();
    }

    /// Asks what the service is.
    ///
    /// # Errors
    ///
    /// [`ClientError`], as for all calls.
    pub fn hello(&mut self) -> Result<Hello, ClientError> {
        self.0.ask(&StoreRequest::Hello)
    }

    /// Delivers a message; it is durable when this returns.
    ///
    /// # Errors
    ///
    /// [`ClientError::Unreachable`] leaves it unknown whether it was stored: deliver the same with
    /// `again`, and with the token that it had.
    pub fn deliver(&mut self, recipient: &Recipient, body: &[u8]) -> Result<Stored, ClientError> {
        let request = StoreRequest::Deliver(recipient.clone());
        let reply = self.0.call_once(&request, body)?;
        self.0.value(reply.value)
    }

    /// Logs a user on; the first time at this server is kept.
    ///
    /// # Errors
    ///
    /// [`ClientError`].
    pub fn logon(&mut self, mailbox: &MailboxName) -> Result<Logon, ClientError> {
        self.0.ask(&StoreRequest::Logon { mailbox: mailbox.clone() })
    }

    /// Lists the folders of a mailbox.
    ///
    /// # Errors
    ///
    /// [`ClientError`].
    pub fn folders(&mut self, mailbox: &MailboxName) -> Result<Vec<FolderInfo>, ClientError> {
        self.0.ask(&StoreRequest::Folders { mailbox: mailbox.clone() })
    }

    /// Makes sure that a mailbox has a folder.
    ///
    /// # Errors
    ///
    /// [`ClientError`].
    pub fn create_folder(
        &mut self,
        mailbox: &MailboxName,
        folder: &FolderName,
        attributes: BTreeMap<String, String>,
    ) -> Result<FolderInfo, ClientError> {
        let (mailbox, folder) = (mailbox.clone(), folder.clone());
        self.0.ask(&StoreRequest::CreateFolder { mailbox, folder, attributes })
    }

    /// Sets the subscriptions of a mailbox.
    ///
    /// # Errors
    ///
    /// [`ClientError`].
    pub fn subscribe(
        &mut self,
        mailbox: &MailboxName,
        subscriptions: Vec<String>,
    ) -> Result<(), ClientError> {
        self.done(&StoreRequest::Subscribe { mailbox: mailbox.clone(), subscriptions })
    }

    /// Lists messages of a folder with UIDs above `after`.
    ///
    /// # Errors
    ///
    /// [`ClientError`].
    pub fn messages(
        &mut self,
        mailbox: &MailboxName,
        folder: &FolderName,
        after: Uid,
        limit: usize,
    ) -> Result<MessagesPage, ClientError> {
        let (mailbox, folder) = (mailbox.clone(), folder.clone());
        self.0.ask(&StoreRequest::Messages { mailbox, folder, after, limit })
    }

    /// Reads a message.
    ///
    /// # Errors
    ///
    /// [`ClientError`].
    pub fn fetch(
        &mut self,
        mailbox: &MailboxName,
        folder: &FolderName,
        uid: Uid,
    ) -> Result<(Message, Vec<u8>), ClientError> {
        let (mailbox, folder) = (mailbox.clone(), folder.clone());
        let reply = self.0.call(&StoreRequest::Fetch { mailbox, folder, uid }, &[])?;
        Ok((self.0.value(reply.value)?, reply.body))
    }

    /// Changes the flags of a message.
    ///
    /// # Errors
    ///
    /// [`ClientError`].
    pub fn flags(
        &mut self,
        mailbox: &MailboxName,
        folder: &FolderName,
        uid: Uid,
        change: FlagChange,
    ) -> Result<Modseq, ClientError> {
        let (mailbox, folder) = (mailbox.clone(), folder.clone());
        self.0.ask(&StoreRequest::Flags { mailbox, folder, uid, change })
    }

    /// Removes messages for good; returns those that were there.
    ///
    /// # Errors
    ///
    /// [`ClientError`].
    pub fn expunge(
        &mut self,
        mailbox: &MailboxName,
        folder: &FolderName,
        uids: Vec<Uid>,
    ) -> Result<Vec<Uid>, ClientError> {
        let (mailbox, folder) = (mailbox.clone(), folder.clone());
        self.0.ask(&StoreRequest::Expunge { mailbox, folder, uids })
    }

    /// Lists all mailboxes, in whatever state.
    ///
    /// # Errors
    ///
    /// [`ClientError`].
    pub fn mailboxes(&mut self) -> Result<Vec<MailboxInfo>, ClientError> {
        self.0.ask(&StoreRequest::Mailboxes)
    }

    /// Counts what the store holds.
    ///
    /// # Errors
    ///
    /// [`ClientError`].
    pub fn statistics(&mut self) -> Result<Statistics, ClientError> {
        self.0.ask(&StoreRequest::Statistics)
    }

    /// Makes the catalog durable.
    ///
    /// # Errors
    ///
    /// [`ClientError`].
    pub fn checkpoint(&mut self) -> Result<Lsn, ClientError> {
        self.0.ask(&StoreRequest::Checkpoint)
    }

    /// Reads the whole store, or one mailbox, and compares each message with its hash.
    ///
    /// # Errors
    ///
    /// [`ClientError`].
    pub fn verify(&mut self, mailbox: Option<&MailboxName>) -> Result<CheckReport, ClientError> {
        let request = StoreRequest::Verify { mailbox: mailbox.cloned() };
        self.0.patiently(VERIFY_MAX, |peer| peer.ask(&request))
    }

    /// Refuses all writes to the store from now on; returns the last LSN before.
    ///
    /// # Errors
    ///
    /// [`ClientError`].
    pub fn fence_all(&mut self, reason: &str) -> Result<Lsn, ClientError> {
        self.0.ask(&StoreRequest::FenceAll { reason: reason.to_owned() })
    }

    /// Takes writes again.
    ///
    /// # Errors
    ///
    /// [`ClientError`].
    pub fn resume_all(&mut self) -> Result<(), ClientError> {
        self.done(&StoreRequest::ResumeAll)
    }

    /// Makes sure that there is an active mailbox of that name; returns whether it is new.
    ///
    /// # Errors
    ///
    /// [`ClientError`].
    pub fn create_mailbox(&mut self, mailbox: &MailboxName) -> Result<bool, ClientError> {
        let answer: Value = self.0.ask(&StoreRequest::Create { mailbox: mailbox.clone() })?;
        Ok(answer["created"] == Value::Bool(true))
    }

    /// Sets or removes an attribute of a mailbox.
    ///
    /// # Errors
    ///
    /// [`ClientError`].
    pub fn set_attribute(
        &mut self,
        mailbox: &MailboxName,
        key: &str,
        value: Option<&str>,
    ) -> Result<(), ClientError> {
        let (mailbox, key) = (mailbox.clone(), key.to_owned());
        let value = value.map(str::to_owned);
        self.done(&StoreRequest::SetAttribute { mailbox, key, value })
    }

    /// Describes a mailbox in whatever state; `None` if it is not there.
    ///
    /// # Errors
    ///
    /// [`ClientError`].
    pub fn info(&mut self, mailbox: &MailboxName) -> Result<Option<MailboxInfo>, ClientError> {
        self.0.ask(&StoreRequest::Info { mailbox: mailbox.clone() })
    }

    /// Sets the state of a mailbox, durably.
    ///
    /// # Errors
    ///
    /// [`ClientError`].
    pub fn set_state(
        &mut self,
        mailbox: &MailboxName,
        state: &MailboxState,
    ) -> Result<(), ClientError> {
        let (mailbox, state) = (mailbox.clone(), state.clone());
        self.done(&StoreRequest::SetState { mailbox, state })
    }

    /// Digests what a mailbox holds.
    ///
    /// # Errors
    ///
    /// [`ClientError`].
    pub fn digest(&mut self, mailbox: &MailboxName) -> Result<MailboxDigest, ClientError> {
        self.0.ask(&StoreRequest::Digest { mailbox: mailbox.clone() })
    }

    /// Reads the next rows of a mailbox in whatever state.
    ///
    /// # Errors
    ///
    /// [`ClientError`].
    pub fn rows(
        &mut self,
        mailbox: &MailboxName,
        after: Modseq,
    ) -> Result<IncomingMailbox, ClientError> {
        let reply = self.0.call(&StoreRequest::Rows { mailbox: mailbox.clone(), after }, &[])?;
        self.unpacked(&reply.body)
    }

    /// Asks how far an incoming mailbox has come.
    ///
    /// # Errors
    ///
    /// [`ClientError`].
    pub fn cursor(&mut self, mailbox: &MailboxName) -> Result<Option<Modseq>, ClientError> {
        self.0.ask(&StoreRequest::Cursor { mailbox: mailbox.clone() })
    }

    /// Asks which contents are not there.
    ///
    /// # Errors
    ///
    /// [`ClientError`].
    pub fn missing(&mut self, contents: &[ContentId]) -> Result<Vec<bool>, ClientError> {
        let body: Vec<u8> = contents.iter().flat_map(|content| content.0).collect();
        let reply = self.0.call(&StoreRequest::Missing, &body)?;
        if reply.body.len() != contents.len() || reply.body.iter().any(|byte| *byte > 1) {
            return Err(self.0.protocol("the answer is not one of 0 and 1 for each content"));
        }
        Ok(reply.body.into_iter().map(|byte| byte == 1).collect())
    }

    /// Asks what some mailboxes have that is newer than given modseqs. The moment is kept for as
    /// long as the connection.
    ///
    /// # Errors
    ///
    /// [`ClientError`].
    pub fn offer(&mut self, since: &[(MailboxName, Option<Modseq>)]) -> Result<Offer, ClientError> {
        self.offered(since, false)
    }

    /// The same, with everything, however much that is.
    ///
    /// # Errors
    ///
    /// [`ClientError`].
    pub fn offer_all(
        &mut self,
        since: &[(MailboxName, Option<Modseq>)],
    ) -> Result<Offer, ClientError> {
        self.offered(since, true)
    }

    fn offered(
        &mut self,
        since: &[(MailboxName, Option<Modseq>)],
        all: bool,
    ) -> Result<Offer, ClientError> {
        let request = StoreRequest::Offer { since: since.to_vec(), all };
        let reply = self.0.patiently(OFFER_MAX, |peer| peer.call(&request, &[]))?;
        self.unpacked(&reply.body)
    }

    /// Ends the service's process in order.
    ///
    /// # Errors
    ///
    /// [`ClientError`].
    pub fn shutdown(&mut self) -> Result<(), ClientError> {
        self.done(&StoreRequest::Shutdown)
    }

    fn done(&mut self, request: &StoreRequest) -> Result<(), ClientError> {
        self.0.ask::<Value>(request).map(drop)
    }

    fn unpacked<T: DeserializeOwned>(&self, body: &[u8]) -> Result<T, ClientError> {
        postcard::from_bytes(body).map_err(|error| self.0.protocol(error.to_string()))
    }
}
