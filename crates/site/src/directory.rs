//! The directory: replicated objects, kept equal on all servers of a site.
#![doc = include_str!("../../../docs/format/directory.md")] // The only description of its JSON.

mod duties;
mod folders;
mod mailboxes;
mod name;
mod replication;
mod servers;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::names::{FolderPath, MailboxName, OrganizationName, ServerName, SiteName};
use crate::role::Role;

pub use folders::PublicFolderEntry;
pub use name::DistinguishedName;
pub use replication::{Applied, Change, Changes, Origin, UpToDateness};

/// Attributes of an object: name to values, in the order in which they were given.
pub type Attributes = BTreeMap<String, Vec<String>>;

/// A server's own counter of changes; each change of an object gets the next one.
#[derive(
    Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Usn(pub u64);

/// What an object stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Class {
    /// The organization.
    Organization,
    /// The site.
    Site,
    /// A server.
    Server,
    /// A mailbox.
    Mailbox,
    /// A public folder.
    PublicFolder,
    /// A folder that the site itself needs, such as the offline address book.
    SystemFolder,
    /// A duty and the server that holds it.
    Role,
    /// Anything else; Rehome only carries it along.
    Other,
}

/// One version of one object.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Object {
    /// Its name, which never changes.
    pub dn: DistinguishedName,
    /// What it stands for.
    pub class: Class,
    /// Its attributes; empty once it is deleted.
    pub attributes: Attributes,
    /// Counts the changes of this object; the higher version wins.
    pub version: u64,
    /// When this version was made, in microseconds since 1970, by the clock of its maker.
    pub changed_us: i64,
    /// Which server made this version.
    pub origin: Origin,
    /// The maker's counter when it made this version.
    pub origin_usn: Usn,
    /// A tombstone: the object is gone and the others must learn it.
    pub deleted: bool,
}

impl Object {
    /// First value of an attribute.
    #[must_use]
    pub fn value(&self, attribute: &str) -> Option<&str> {
        self.attributes.get(attribute)?.first().map(String::as_str)
    }

    /// All values of an attribute.
    #[must_use]
    pub fn values(&self, attribute: &str) -> &[String] {
        self.attributes.get(attribute).map_or(&[], Vec::as_slice)
    }
}

/// Why the directory refused a change. Nothing was changed then.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DirectoryError {
    /// There is no such object.
    #[error("the directory of {server} has no {kind} \"{name}\"; import or add it first")]
    Unknown {
        /// The server that was asked.
        server: ServerName,
        /// Server, mailbox, public folder or role.
        kind: &'static str,
        /// The name that was not found.
        name: String,
    },
    /// There is such an object already, with other contents.
    #[error("the directory already has {dn}; change it or remove it first")]
    Exists {
        /// Its name.
        dn: DistinguishedName,
    },
    /// Somebody else has changed the home in between.
    #[error(
        "the home of mailbox \"{mailbox}\" is {found}, not {expected}: somebody else moved it; \
         plan again from what the directory says now"
    )]
    HomeConflict {
        /// The mailbox.
        mailbox: MailboxName,
        /// The home that the caller took for granted.
        expected: ServerName,
        /// The home as it is.
        found: ServerName,
    },
    /// Somebody else has changed the holder of a role in between.
    #[error("role {role} is held by {found}, not {expected}; look at the roles again")]
    HolderConflict {
        /// The role.
        role: Role,
        /// The holder that the caller took for granted.
        expected: ServerName,
        /// The holder as it is.
        found: ServerName,
    },
    /// The server cannot leave the site yet.
    #[error(
        "server {server} cannot be removed: it is still {}",
        in_use_text(mailboxes, public_folders, roles)
    )]
    InUse {
        /// The server.
        server: ServerName,
        /// Mailboxes whose home it is.
        mailboxes: Vec<MailboxName>,
        /// Public and system folders whose home it is or which have no other replica.
        public_folders: Vec<String>,
        /// Roles that it holds.
        roles: Vec<Role>,
    },
    /// A folder can only have its home where a replica is, and keeps its last replica.
    #[error("public folder \"{path}\": {server} {problem}")]
    Replica {
        /// The folder.
        path: FolderPath,
        /// The server.
        server: ServerName,
        /// What is wrong and what helps.
        problem: &'static str,
    },
    /// A list of changes that leaves a gap before it.
    #[error(
        "changes from {from} begin after {since}, which is beyond what {server} has seen; \
         ask again with its own vector"
    )]
    Gap {
        /// The receiver.
        server: ServerName,
        /// The sender.
        from: ServerName,
        /// Where the sender began.
        since: String,
    },
    /// A local change with a number that partners have seen from this server before.
    #[error(
        "the directory of {server} is older than what its partners know of it (they have seen \
         change {seen}, it is at {own}): it was restored; begin a new incarnation first"
    )]
    RolledBack {
        /// The server.
        server: ServerName,
        /// The number that a partner knows.
        seen: u64,
        /// The own counter.
        own: u64,
    },
    /// A text that cannot be part of a distinguished name.
    #[error("\"{text}\" is no distinguished name: {fault}")]
    Name {
        /// The text.
        text: String,
        /// What is wrong with it.
        fault: &'static str,
    },
}

/// The second half of the message of [`DirectoryError::InUse`].
fn in_use_text(mailboxes: &[MailboxName], folders: &[String], roles: &[Role]) -> String {
    let shown = |what: &str, names: Vec<String>| {
        let more = names.len().saturating_sub(5);
        let first = names.iter().take(5).cloned().collect::<Vec<_>>().join(", ");
        let rest = if more > 0 { format!(" and {more} more") } else { String::new() };
        (!names.is_empty()).then(|| format!("{what} {first}{rest}"))
    };
    let parts = [
        shown("home of", mailboxes.iter().map(ToString::to_string).collect()),
        shown("needed for the folders", folders.to_vec()),
        shown("holder of", roles.iter().map(ToString::to_string).collect()),
    ];
    parts.into_iter().flatten().collect::<Vec<_>>().join("; ")
}

/// One server's replica of the directory.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Directory {
    organization: OrganizationName,
    site: SiteName,
    /// Who makes changes here.
    origin: Origin,
    /// The number of the last change made here.
    usn: Usn,
    /// What this replica has seen, from each origin.
    vector: UpToDateness,
    /// What each partner said it has seen.
    partners: BTreeMap<ServerName, UpToDateness>,
    /// All objects, tombstones among them.
    #[serde(with = "object_list")]
    objects: BTreeMap<DistinguishedName, Object>,
}

/// The objects as a list: their names are inside.
mod object_list {
    use super::{BTreeMap, Deserialize, DistinguishedName, Object, Serialize};

    pub(super) fn serialize<S: serde::Serializer>(
        objects: &BTreeMap<DistinguishedName, Object>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        objects.values().collect::<Vec<_>>().serialize(serializer)
    }

    pub(super) fn deserialize<'de, D: serde::Deserializer<'de>>(
        deserializer: D,
    ) -> Result<BTreeMap<DistinguishedName, Object>, D::Error> {
        let objects = Vec::<Object>::deserialize(deserializer)?;
        Ok(objects.into_iter().map(|object| (object.dn.clone(), object)).collect())
    }
}

impl Directory {
    /// Begins the directory of `server` with nothing but organization and site.
    ///
    /// `incarnation` must be higher each time a directory is begun or restored for the same server
    /// name; a fencing epoch is a good one.
    #[must_use]
    pub fn new(
        server: ServerName,
        incarnation: u64,
        organization: OrganizationName,
        site: SiteName,
    ) -> Self {
        Self {
            organization,
            site,
            origin: Origin { server, incarnation },
            usn: Usn(0),
            vector: UpToDateness::default(),
            partners: BTreeMap::new(),
            objects: BTreeMap::new(),
        }
    }

    /// The server whose replica this is.
    #[must_use]
    pub fn server_name(&self) -> &ServerName {
        &self.origin.server
    }

    /// Who makes changes here.
    #[must_use]
    pub fn origin(&self) -> &Origin {
        &self.origin
    }

    /// The organization.
    #[must_use]
    pub fn organization(&self) -> &OrganizationName {
        &self.organization
    }

    /// The site.
    #[must_use]
    pub fn site(&self) -> &SiteName {
        &self.site
    }

    /// The number of the last change made here.
    #[must_use]
    pub fn usn(&self) -> Usn {
        self.usn
    }

    /// Finds an object that is not deleted.
    #[must_use]
    pub fn object(&self, dn: &DistinguishedName) -> Option<&Object> {
        self.objects.get(dn).filter(|object| !object.deleted)
    }

    /// All objects that are not deleted, by name.
    pub fn objects(&self) -> impl Iterator<Item = &Object> {
        self.objects.values().filter(|object| !object.deleted)
    }

    /// All tombstones, by name.
    pub fn tombstones(&self) -> impl Iterator<Item = &Object> {
        self.objects.values().filter(|object| object.deleted)
    }

    /// Objects of one class that are not deleted, by name.
    pub fn of_class(&self, class: Class) -> impl Iterator<Item = &Object> {
        self.objects().filter(move |object| object.class == class)
    }
}
