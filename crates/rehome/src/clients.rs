//! Finding servers by name, and talking to their services.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rehome_cluster::{NameClaim, NameRecord, register, resolve};
use rehome_server::{
    AttendantClient, ClientError, DirectoryClient, DirectoryOp, Identity, MailClient, Profile,
    RemoteDirectory, RemoteSource, RemoteTarget, StoreClient, has_logged_on, replicate,
};
use rehome_site::Directory;
use rehome_store::{MailboxName, MailboxState, Statistics};

use crate::error::Error;

/// How long an answer is waited for.
const ANSWER_MAX: Duration = Duration::from_secs(60);
/// How long a client tries before it says that it could not.
const PATIENCE: Duration = Duration::from_secs(20);

/// The registry of names, and the servers behind them.
#[derive(Debug, Clone)]
pub(crate) struct Names {
    folder: PathBuf,
    /// The server that answers for a name nobody has: an alias, as administrators leave one.
    successor: Option<String>,
}

/// Registers a standalone server whose attendant listens at `attendant`.
///
/// A record names the port before the attendant's, as a group's claim does.
pub(crate) fn registered(
    folder: &Path,
    name: &str,
    attendant: &str,
    pid: u32,
) -> Result<NameClaim, Error> {
    let bad = || Error::needs_human(format!("\"{attendant}\" is not an address with a port"));
    let (host, port) = attendant.rsplit_once(':').ok_or_else(bad)?;
    let port: u16 = port.parse().map_err(|_| bad())?;
    let record = NameRecord {
        name: name.to_owned(),
        address: format!("{host}:{}", port - 1),
        owner: format!("server/{name}"),
        node: format!("process {pid}"),
        epoch: 0,
    };
    register(folder, record).map_err(Error::chain)
}

/// Where the attendant of a named server listens.
pub(crate) fn attendant_of(folder: &Path, name: &str) -> Option<String> {
    let record = resolve(folder, name).ok().flatten()?;
    let (host, port) = record.address.rsplit_once(':')?;
    Some(format!("{host}:{}", port.parse::<u16>().ok()?.checked_add(1)?))
}

impl Names {
    /// The registry in a folder.
    pub(crate) fn new(folder: PathBuf) -> Self {
        Names { folder, successor: None }
    }

    /// The same registry, with a server that answers for the names nobody has any more.
    pub(crate) fn with_successor(self, server: &str) -> Self {
        Names { successor: Some(server.to_owned()), ..self }
    }

    /// The record of a name.
    pub(crate) fn record(&self, name: &str) -> Result<Option<NameRecord>, Error> {
        resolve(&self.folder, name).map_err(Error::chain)
    }

    /// Removes the record of a server that is gone.
    pub(crate) fn forget(&self, name: &str) -> Result<(), Error> {
        let Some(record) = self.record(name)? else { return Ok(()) };
        let claim = register(&self.folder, record).map_err(Error::chain)?;
        rehome_cluster::unregister(claim).map_err(Error::chain)
    }

    fn identity(&self, server: &str) -> Result<Identity, Error> {
        let address = attendant_of(&self.folder, server).ok_or_else(|| {
            Error::needs_human(format!("no server has the name {server}; start it first"))
        })?;
        AttendantClient::new(address).with_timeout(ANSWER_MAX).who().map_err(Error::chain)
    }

    /// A client of a server's store.
    pub(crate) fn store(&self, server: &str) -> Result<StoreClient, Error> {
        let address = self.identity(server)?.store;
        let missing = || Error::needs_human(format!("server {server} has no store"));
        Ok(StoreClient::new(address.ok_or_else(missing)?).with_timeout(ANSWER_MAX))
    }

    fn directory_client(&self, server: &str) -> Result<DirectoryClient, Error> {
        let address = self.identity(server)?.directory;
        let missing = || Error::needs_human(format!("server {server} has no directory"));
        Ok(DirectoryClient::new(address.ok_or_else(missing)?).with_timeout(ANSWER_MAX))
    }

    /// Whether a server's store answers.
    pub(crate) fn answers(&self, server: &str) -> bool {
        self.store(server).is_ok_and(|mut store| store.hello().is_ok())
    }

    /// A server's store as the source of a move or a backup.
    pub(crate) fn source(&self, server: &str) -> Result<RemoteSource, Error> {
        Ok(RemoteSource::new(self.store(server)?))
    }

    /// A server's store as the target of a move.
    pub(crate) fn target(&self, server: &str) -> Result<RemoteTarget, Error> {
        Ok(RemoteTarget::new(self.store(server)?))
    }

    /// A server's directory as the judge of a move.
    pub(crate) fn home_directory(&self, server: &str) -> Result<RemoteDirectory, Error> {
        Ok(RemoteDirectory::new(self.directory_client(server)?))
    }

    /// A copy of a server's directory.
    pub(crate) fn directory(&self, server: &str) -> Result<Directory, Error> {
        self.directory_client(server)?.export().map_err(Error::chain)
    }

    /// Changes a server's directory, durably.
    pub(crate) fn change(&self, server: &str, op: DirectoryOp) -> Result<(), Error> {
        self.directory_client(server)?.change(&op).map(drop).map_err(Error::chain)
    }

    /// Brings everything that `from` has seen to `to`; returns how many objects changed there.
    pub(crate) fn replicate(&self, from: &str, to: &str) -> Result<usize, Error> {
        let (mut sender, mut receiver) = (self.directory_client(from)?, self.directory_client(to)?);
        let outcome = replicate(&mut sender, &mut receiver).map_err(Error::chain)?;
        Ok(outcome.taken)
    }

    /// The state of each mailbox of a server.
    pub(crate) fn states(&self, server: &str) -> Result<BTreeMap<String, MailboxState>, Error> {
        let mailboxes = self.store(server)?.mailboxes().map_err(Error::chain)?;
        Ok(mailboxes.into_iter().map(|one| (one.name.to_string(), one.state)).collect())
    }

    /// The number of messages in each mailbox of a server.
    pub(crate) fn message_counts(&self, server: &str) -> Result<BTreeMap<String, u64>, Error> {
        let mailboxes = self.store(server)?.mailboxes().map_err(Error::chain)?;
        Ok(mailboxes.into_iter().map(|one| (one.name.to_string(), one.messages)).collect())
    }

    /// The mailboxes whose users have logged on at a server.
    pub(crate) fn logged_on(&self, server: &str) -> Result<BTreeSet<String>, Error> {
        let mailboxes = self.store(server)?.mailboxes().map_err(Error::chain)?;
        let logged_on = mailboxes.into_iter().filter(|one| has_logged_on(one, server));
        Ok(logged_on.map(|one| one.name.to_string()).collect())
    }

    /// What a server's store holds.
    pub(crate) fn statistics(&self, server: &str) -> Result<Statistics, Error> {
        self.store(server)?.statistics().map_err(Error::chain)
    }

    /// A user's client whose profile names `server`.
    pub(crate) fn client(
        &self,
        server: &str,
        mailbox: &str,
        patience: Duration,
    ) -> Result<MailClient<impl Fn(&str) -> Option<String> + use<>>, Error> {
        let mailbox = MailboxName::try_from(mailbox).map_err(Error::bad_input)?;
        let (folder, successor) = (self.folder.clone(), self.successor.clone());
        let profile = Profile { mailbox, server: server.to_owned() };
        let lookup = move |name: &str| {
            let other = || attendant_of(&folder, successor.as_ref()?);
            attendant_of(&folder, name).or_else(other)
        };
        Ok(MailClient::new(profile, lookup).with_patience(patience))
    }

    /// Logs on once, as the user's program does, beginning at the server that its profile names.
    pub(crate) fn log_on(&self, server: &str, mailbox: &str) -> Result<(), Error> {
        let logged_on: Result<_, ClientError> = self.client(server, mailbox, PATIENCE)?.logon();
        logged_on.map(drop).map_err(Error::chain)
    }
}
