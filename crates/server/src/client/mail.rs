//! A user's client: it knows a mailbox and a server's name, and finds its way.

use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use rehome_log::{Clock, SystemClock};
use rehome_store::{FlagChange, FolderInfo, FolderName, MailboxName, Message, Modseq, Uid};

use super::{AttendantClient, ClientError, DirectoryClient, StoreClient};
use crate::wire::{ErrorCode, Identity, Logon, Recipient, Stored};

/// The first pause before something is tried again; each further one is twice as long.
const PAUSE_MIN: Duration = Duration::from_millis(2);

/// The longest pause.
const PAUSE_MAX: Duration = Duration::from_millis(200);

/// Tells the tokens of one process apart.
static DELIVERIES: AtomicU64 = AtomicU64::new(0);

/// What a user's client keeps: whose mailbox it opens and at which server it found it last.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Profile {
    /// The mailbox.
    pub mailbox: MailboxName,
    /// The server; brought up to date by every logon at another one.
    pub server: String,
}

/// A client that finds the home server of its mailbox, goes where it is sent, and tries again what
/// can be tried again until a time has passed.
pub struct MailClient<L> {
    profile: Profile,
    lookup: L,
    store: Option<StoreClient>,
    /// A store has sent the client to the profile's server; the directory there may not know yet.
    sent: bool,
    patience: Duration,
    timeout: Duration,
}

impl<L: Fn(&str) -> Option<String>> MailClient<L> {
    /// A client with a profile. `lookup` is the registry of names: it tells for the name of a
    /// server the address of its attendant.
    pub fn new(profile: Profile, lookup: L) -> Self {
        let (patience, timeout) = (Duration::from_secs(30), Duration::from_secs(10));
        Self { profile, lookup, store: None, sent: false, patience, timeout }
    }

    /// Tries for so long before it gives up, in place of 30 s.
    #[must_use]
    pub fn with_patience(self, patience: Duration) -> Self {
        Self { patience, ..self }
    }

    /// Waits for a single answer no longer than this, in place of 10 s.
    #[must_use]
    pub fn with_timeout(self, timeout: Duration) -> Self {
        Self { timeout, ..self }
    }

    /// The profile as it is now.
    #[must_use]
    pub fn profile(&self) -> &Profile {
        &self.profile
    }

    /// Logs on at the home server.
    ///
    /// # Errors
    ///
    /// The last [`ClientError`] when patience is at its end, or one that does not go away.
    pub fn logon(&mut self) -> Result<Logon, ClientError> {
        self.persist(|store, mailbox, _| store.logon(mailbox))
    }

    /// Delivers a message to the `INBOX`. It is stored once, however often it was tried.
    ///
    /// # Errors
    ///
    /// As [`MailClient::logon`]. It is unknown then whether it was stored.
    pub fn deliver(&mut self, body: &[u8]) -> Result<Stored, ClientError> {
        let recipient = Recipient::new(self.profile.mailbox.clone());
        self.deliver_to(recipient, body)
    }

    /// Delivers a message as `recipient` says, whose token is made here if it has none.
    ///
    /// # Errors
    ///
    /// As [`MailClient::deliver`].
    pub fn deliver_to(
        &mut self,
        mut recipient: Recipient,
        body: &[u8],
    ) -> Result<Stored, ClientError> {
        recipient.token.get_or_insert_with(token);
        self.persist(|store, _, again| {
            recipient.again |= again;
            store.deliver(&recipient, body)
        })
    }

    /// Lists the folders.
    ///
    /// # Errors
    ///
    /// As [`MailClient::logon`].
    pub fn folders(&mut self) -> Result<Vec<FolderInfo>, ClientError> {
        self.persist(|store, mailbox, _| store.folders(mailbox))
    }

    /// Lists all messages of a folder.
    ///
    /// # Errors
    ///
    /// As [`MailClient::logon`].
    pub fn messages(&mut self, folder: &FolderName) -> Result<Vec<Message>, ClientError> {
        let mut all: Vec<Message> = Vec::new();
        loop {
            let after = all.last().map_or(Uid(0), |message| message.uid);
            let page =
                self.persist(|store, mailbox, _| store.messages(mailbox, folder, after, 1000))?;
            all.extend(page.messages);
            if !page.more {
                return Ok(all);
            }
        }
    }

    /// Reads a message.
    ///
    /// # Errors
    ///
    /// As [`MailClient::logon`].
    pub fn fetch(
        &mut self,
        folder: &FolderName,
        uid: Uid,
    ) -> Result<(Message, Vec<u8>), ClientError> {
        self.persist(|store, mailbox, _| store.fetch(mailbox, folder, uid))
    }

    /// Changes the flags of a message.
    ///
    /// # Errors
    ///
    /// As [`MailClient::logon`].
    pub fn flags(
        &mut self,
        folder: &FolderName,
        uid: Uid,
        change: &FlagChange,
    ) -> Result<Modseq, ClientError> {
        self.persist(|store, mailbox, _| store.flags(mailbox, folder, uid, change.clone()))
    }

    /// Does something at the home server, wherever that is, again and again until it is done.
    /// The last argument of `work` says whether an earlier try may have been carried out.
    fn persist<T>(
        &mut self,
        mut work: impl FnMut(&mut StoreClient, &MailboxName, bool) -> Result<T, ClientError>,
    ) -> Result<T, ClientError> {
        let begun = Instant::now();
        let (mut pause, mut uncertain, mut hops) = (PAUSE_MIN, false, 0);
        loop {
            let mut tried = false;
            let done = self.find().and_then(|(store, mailbox)| {
                tried = true;
                work(store, mailbox, uncertain)
            });
            let error = match done {
                Ok(value) => return Ok(value),
                Err(error) => error,
            };
            self.store = None;
            uncertain |= tried && outcome_unknown(&error);
            if begun.elapsed() >= self.patience || !may_pass(&error) {
                return Err(error);
            }
            hops += 1;
            if let (Some(to), true) = (moved_to(&error), hops <= 3) {
                self.profile.server = to;
                self.sent = true;
                continue;
            }
            thread::sleep(pause.min(self.patience.saturating_sub(begun.elapsed())));
            pause = (pause * 2).min(PAUSE_MAX);
        }
    }

    /// Connects to the home server's store: the profile's server tells the way to a directory, the
    /// directory names the home.
    fn find(&mut self) -> Result<(&mut StoreClient, &MailboxName), ClientError> {
        if self.store.is_none() {
            let first = self.identity(&self.profile.server)?;
            let identity = if std::mem::take(&mut self.sent) { first } else { self.home(first)? };
            let address = identity.store.ok_or_else(|| no_service(&identity.server, "store"))?;
            self.profile.server = identity.server;
            self.store = Some(StoreClient::new(address).with_timeout(self.timeout));
        }
        let store = self.store.as_mut().expect("it was made above");
        Ok((store, &self.profile.mailbox))
    }

    /// Asks the directory of one server which server is the home.
    fn home(&self, first: Identity) -> Result<Identity, ClientError> {
        let at = first.directory.as_ref().ok_or_else(|| no_service(&first.server, "directory"))?;
        let name = rehome_site::MailboxName::new(self.profile.mailbox.as_str());
        let name = name.map_err(|error| ClientError::Protocol {
            peer: "profile".to_owned(),
            cause: error.to_string(),
        })?;
        let home = DirectoryClient::new(at).with_timeout(self.timeout).home(&name)?.to_string();
        if home.eq_ignore_ascii_case(&first.server) { Ok(first) } else { self.identity(&home) }
    }

    fn identity(&self, server: &str) -> Result<Identity, ClientError> {
        let address = (self.lookup)(server).ok_or_else(|| no_service(server, "attendant"))?;
        AttendantClient::new(address).with_timeout(self.timeout).who()
    }
}

fn no_service(server: &str, service: &'static str) -> ClientError {
    ClientError::NoServer { server: server.to_owned(), service }
}

/// A name that no other delivery has, fit to be a file name of a Maildir.
fn token() -> String {
    let count = DELIVERIES.fetch_add(1, Ordering::Relaxed);
    let now = SystemClock.wall_us();
    let (seconds, micros) = (now.div_euclid(1_000_000), now.rem_euclid(1_000_000));
    format!("{seconds}.M{micros}P{}Q{count}.rehome", std::process::id())
}

/// Where a refusal sends the client.
fn moved_to(error: &ClientError) -> Option<String> {
    match error {
        ClientError::Refused { refusal, .. } if refusal.code == ErrorCode::Moved => {
            refusal.to.clone()
        }
        _ => None,
    }
}

/// Tells whether the same may succeed in a moment, here or elsewhere.
fn may_pass(error: &ClientError) -> bool {
    match error {
        ClientError::Unreachable { .. } | ClientError::NoServer { .. } => true,
        ClientError::Protocol { .. } => false,
        ClientError::Refused { refusal, .. } => matches!(
            refusal.code,
            ErrorCode::Moved
                | ErrorCode::Fenced
                | ErrorCode::NotActive
                | ErrorCode::Busy
                | ErrorCode::LeaseExpired
                | ErrorCode::Unavailable
        ),
    }
}

/// Tells whether a request that failed so may have been carried out.
fn outcome_unknown(error: &ClientError) -> bool {
    match error {
        ClientError::Unreachable { .. } => true,
        ClientError::Refused { refusal, .. } => {
            matches!(refusal.code, ErrorCode::LeaseExpired | ErrorCode::Unavailable)
        }
        ClientError::Protocol { .. } | ClientError::NoServer { .. } => false,
    }
}
