//! Changes of a directory, as they are asked for and as the journal keeps them.

use rehome_site::{
    Attributes, Changes, Class, Directory, DirectoryError, DistinguishedName, FolderPath,
    MailboxName, Role, ServerName, UpToDateness,
};
use serde::{Deserialize, Serialize};

/// A change of a directory.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum DirectoryOp {
    /// Adds a server to the site.
    AddServer {
        /// The server.
        server: ServerName,
    },
    /// Removes a server that nothing needs any more.
    RemoveServer {
        /// The server.
        server: ServerName,
    },
    /// Adds a mailbox.
    AddMailbox {
        /// The mailbox.
        mailbox: MailboxName,
        /// Its home server.
        home: ServerName,
        /// Its other attributes.
        #[serde(default)]
        attributes: Attributes,
    },
    /// Changes the home server of a mailbox, if it still is `from`.
    SetHome {
        /// The mailbox.
        mailbox: MailboxName,
        /// The home as the caller knows it.
        from: ServerName,
        /// The new home.
        to: ServerName,
    },
    /// Adds a public folder with one replica, at its home.
    AddPublicFolder {
        /// Its path.
        path: FolderPath,
        /// Its home server.
        home: ServerName,
    },
    /// Adds a replica of a public or system folder.
    AddReplica {
        /// The folder's path.
        path: FolderPath,
        /// Where the replica is.
        server: ServerName,
    },
    /// Removes a replica that is neither the home nor the last.
    RemoveReplica {
        /// The folder's path.
        path: FolderPath,
        /// Where the replica was.
        server: ServerName,
    },
    /// Makes a server with a replica the home of a public or system folder.
    SetFolderHome {
        /// The folder's path.
        path: FolderPath,
        /// The new home.
        to: ServerName,
    },
    /// Gives a role to a server.
    AddRole {
        /// The role.
        role: Role,
        /// Its holder.
        server: ServerName,
    },
    /// Hands a role over, if `from` still holds it.
    SetRole {
        /// The role.
        role: Role,
        /// The holder as the caller knows it.
        from: ServerName,
        /// The new holder.
        to: ServerName,
    },
    /// Makes a new version of any object.
    Put {
        /// Its name.
        dn: DistinguishedName,
        /// What it stands for.
        class: Class,
        /// Its attributes, all of them.
        attributes: Attributes,
    },
    /// Turns any object into a tombstone.
    Delete {
        /// Its name.
        dn: DistinguishedName,
    },
    /// Takes over what another replica has sent.
    Apply {
        /// What it sent.
        changes: Changes,
    },
    /// Notes what a partner has seen.
    Seen {
        /// The partner.
        partner: ServerName,
        /// What it has seen.
        vector: UpToDateness,
    },
    /// Goes on under a new incarnation, after a restore.
    BeginIncarnation {
        /// Higher than the one before.
        incarnation: u64,
    },
}

/// What a change did.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct OpOutcome {
    /// Whether something is different now; always true for changes that cannot tell.
    pub changed: bool,
    /// Versions taken over, for [`DirectoryOp::Apply`].
    #[serde(default)]
    pub taken: usize,
    /// Own changes that a partner's overruled, for [`DirectoryOp::Apply`].
    #[serde(default)]
    pub overruled: Vec<DistinguishedName>,
}

impl DirectoryOp {
    /// Carries the change out. The same change of the same directory at the same time gives the
    /// same: the journal relies on it.
    pub(super) fn carry_out(
        &self,
        directory: &mut Directory,
        now_us: i64,
    ) -> Result<OpOutcome, DirectoryError> {
        let usn = directory.usn();
        let mut outcome = OpOutcome::default();
        match self {
            Self::Apply { changes } => {
                let applied = directory.apply(changes)?;
                outcome.taken = applied.taken;
                outcome.overruled = applied.overruled;
                outcome.changed = true;
            }
            Self::Seen { partner, vector } => {
                directory.partner_has_seen(partner, vector)?;
                outcome.changed = true;
            }
            Self::BeginIncarnation { incarnation } => {
                directory.begin_incarnation(*incarnation);
                outcome.changed = true;
            }
            own => {
                own.make(directory, now_us)?;
                outcome.changed = directory.usn() != usn;
            }
        }
        Ok(outcome)
    }

    /// Changes that are made here and get a number of their own.
    fn make(&self, directory: &mut Directory, now_us: i64) -> Result<(), DirectoryError> {
        match self {
            Self::AddServer { server } => directory.add_server(server, now_us).map(drop),
            Self::RemoveServer { server } => directory.remove_server(server, now_us).map(drop),
            Self::AddMailbox { mailbox, home, attributes } => {
                directory.add_mailbox(mailbox, home, attributes.clone(), now_us).map(drop)
            }
            Self::SetHome { mailbox, from, to } => {
                directory.set_home(mailbox, from, to, now_us).map(drop)
            }
            Self::AddPublicFolder { path, home } => {
                directory.add_public_folder(path, home, now_us).map(drop)
            }
            Self::AddReplica { path, server } => {
                directory.add_replica(path, server, now_us).map(drop)
            }
            Self::RemoveReplica { path, server } => {
                directory.remove_replica(path, server, now_us).map(drop)
            }
            Self::SetFolderHome { path, to } => {
                directory.set_folder_home(path, to, now_us).map(drop)
            }
            Self::AddRole { role, server } => directory.add_role(*role, server, now_us).map(drop),
            Self::SetRole { role, from, to } => {
                directory.set_role(*role, from, to, now_us).map(drop)
            }
            Self::Put { dn, class, attributes } => {
                directory.put(dn, *class, attributes.clone(), now_us);
                Ok(())
            }
            Self::Delete { dn } => {
                directory.delete(dn, now_us);
                Ok(())
            }
            Self::Apply { .. } | Self::Seen { .. } | Self::BeginIncarnation { .. } => Ok(()),
        }
    }
}
