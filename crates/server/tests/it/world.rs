//! Two standalone servers of one site.

use std::collections::HashMap;
use std::path::Path;

use rehome_server::{
    DirectoryClient, DirectoryOp, MailClient, Profile, RemoteDirectory, RemoteSource, RemoteTarget,
    StandaloneOptions, StandaloneServer, StoreClient,
};
use rehome_site::{Attributes, Directory, OrganizationName, ServerName, SiteName};
use rehome_store::MailboxName;

pub(crate) fn name(text: &str) -> MailboxName {
    MailboxName::try_from(text).unwrap()
}

pub(crate) fn server_name(text: &str) -> ServerName {
    ServerName::new(text).unwrap()
}

/// A directory of `server` that knows EX1 and EX2.
pub(crate) fn directory_of(server: &str) -> Directory {
    let organization = OrganizationName::new("Example").unwrap();
    let site = SiteName::new("HQ").unwrap();
    let mut directory = Directory::new(server_name(server), 1, organization, site);
    directory.add_server(&server_name("EX1"), 1).unwrap();
    directory.add_server(&server_name("EX2"), 1).unwrap();
    directory
}

pub(crate) fn start(server: &str, folder: &Path) -> StandaloneServer {
    let options = StandaloneOptions {
        create_directory: Some(directory_of(server)),
        ..StandaloneOptions::new(server, "Example", "HQ", folder.join(server))
    };
    StandaloneServer::start(&options).unwrap()
}

/// Two servers; the mailboxes are at EX1.
pub(crate) struct World {
    pub(crate) first: StandaloneServer,
    pub(crate) second: StandaloneServer,
    pub(crate) mailboxes: Vec<MailboxName>,
    _folder: tempfile::TempDir,
}

impl World {
    pub(crate) fn new(mailboxes: usize) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (first, second) = (start("EX1", folder.path()), start("EX2", folder.path()));
        let mut directory = DirectoryClient::new(first.directory_address());
        let mut store = StoreClient::new(first.store_address());
        let mailboxes: Vec<MailboxName> =
            (0..mailboxes).map(|number| name(&format!("user{number}"))).collect();
        for mailbox in &mailboxes {
            assert!(store.create_mailbox(mailbox).unwrap());
            let mailbox = rehome_site::MailboxName::new(mailbox.as_str()).unwrap();
            let (home, attributes) = (server_name("EX1"), Attributes::new());
            directory.change(&DirectoryOp::AddMailbox { mailbox, home, attributes }).unwrap();
        }
        let mut other = DirectoryClient::new(second.directory_address());
        rehome_server::replicate(&mut directory, &mut other).unwrap();
        Self { first, second, mailboxes, _folder: folder }
    }

    /// Which server has which address.
    pub(crate) fn lookup(&self) -> impl Fn(&str) -> Option<String> + Send + use<> {
        let names = HashMap::from([
            ("EX1".to_owned(), self.first.address().to_owned()),
            ("EX2".to_owned(), self.second.address().to_owned()),
        ]);
        move |name: &str| names.get(name).cloned()
    }

    /// A user's client whose profile names EX1.
    pub(crate) fn client(
        &self,
        mailbox: &MailboxName,
    ) -> MailClient<impl Fn(&str) -> Option<String> + Send + use<>> {
        let profile = Profile { mailbox: mailbox.clone(), server: "EX1".to_owned() };
        MailClient::new(profile, self.lookup())
    }

    pub(crate) fn directory(&self) -> DirectoryClient {
        DirectoryClient::new(self.first.directory_address())
    }

    pub(crate) fn ends(&self) -> (RemoteSource, RemoteTarget, RemoteDirectory) {
        (
            RemoteSource::new(StoreClient::new(self.first.store_address())),
            RemoteTarget::new(StoreClient::new(self.second.store_address())),
            RemoteDirectory::new(self.directory()),
        )
    }
}
