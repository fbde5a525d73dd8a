//! Roles in the directory: who holds which duty for the site.

use super::{Attributes, Class, Directory, DirectoryError, DistinguishedName, ServerName, Usn};
use crate::names::FolderPath;
use crate::role::Role;

/// Attribute of a role: the servers that hold it.
const HOLDER: &str = "holder";

impl Directory {
    /// The name of a role's object.
    fn role_dn(&self, role: Role) -> DistinguishedName {
        DistinguishedName::of_role(&self.site_dn(), role)
    }

    /// The servers that hold a role.
    #[must_use]
    pub fn role_holders(&self, role: Role) -> Vec<ServerName> {
        let dn = self.role_dn(role);
        let names = self.object(&dn).map_or(&[][..], |object| object.values(HOLDER));
        names.iter().filter_map(|name| self.server_in(name)).collect()
    }

    /// The server that holds a role; the first one if several do.
    #[must_use]
    pub fn role_holder(&self, role: Role) -> Option<ServerName> {
        self.role_holders(role).into_iter().next()
    }

    /// The roles that a server holds.
    #[must_use]
    pub fn roles_of(&self, server: &ServerName) -> Vec<Role> {
        let all = Role::ALL.into_iter();
        all.filter(|role| self.role_holders(*role).contains(server)).collect()
    }

    /// The five roles of a first server with their holders; all of them need a new holder before
    /// that server is removed (KB Q152959).
    #[must_use]
    pub fn first_server_roles(&self) -> Vec<(Role, Option<ServerName>)> {
        Role::FIRST_SERVER.into_iter().map(|role| (role, self.role_holder(role))).collect()
    }

    /// Gives a role to a server, and with it a replica of the role's system folders.
    ///
    /// A role that only one server can hold is given only if nobody holds it; a server that holds
    /// it already keeps it. `first-server-in-site` gives its five.
    ///
    /// # Errors
    ///
    /// [`DirectoryError::Unknown`] if the site has no such server,
    /// [`DirectoryError::HolderConflict`] if another server holds the role.
    pub fn add_role(
        &mut self,
        role: Role,
        server: &ServerName,
        now_us: i64,
    ) -> Result<Usn, DirectoryError> {
        self.require_server(server)?;
        if role == Role::FirstServerInSite {
            for role in Role::FIRST_SERVER {
                self.add_role(role, server, now_us)?;
            }
            return Ok(self.usn());
        }
        let mut holders = self.role_holders(role);
        if let Some(found) = holders.iter().find(|holder| *holder != server)
            && !role.may_be_shared()
        {
            let (expected, found) = (server.clone(), found.clone());
            return Err(DirectoryError::HolderConflict { role, expected, found });
        }
        if !holders.contains(server) {
            holders.push(server.clone());
        }
        self.replicate_system_folders(role, server, now_us)?;
        Ok(self.write_holders(role, &holders, now_us))
    }

    /// Hands a role from one server to another. If `to` holds it already nothing changes.
    ///
    /// The role's system folders get a replica on `to` and have their home there; the old replica
    /// stays until it is removed.
    ///
    /// # Errors
    ///
    /// [`DirectoryError::Unknown`] for an unknown server or a role that nobody holds,
    /// [`DirectoryError::HolderConflict`] if it is held by neither `expected` nor `to`.
    pub fn set_role(
        &mut self,
        role: Role,
        expected: &ServerName,
        to: &ServerName,
        now_us: i64,
    ) -> Result<Usn, DirectoryError> {
        self.require_server(to)?;
        let mut holders = self.role_holders(role);
        let Some(first) = holders.first().cloned() else {
            return Err(self.unknown("holder of role", role));
        };
        if !holders.contains(expected) && !holders.contains(to) {
            let expected = expected.clone();
            return Err(DirectoryError::HolderConflict { role, expected, found: first });
        }
        holders.retain(|holder| holder != expected && holder != to);
        holders.insert(0, to.clone());
        self.replicate_system_folders(role, to, now_us)?;
        for name in role.system_folders() {
            self.set_folder_home(&system_path(name), to, now_us)?;
        }
        Ok(self.write_holders(role, &holders, now_us))
    }

    /// Sees to it that `server` has a replica of the role's system folders.
    fn replicate_system_folders(
        &mut self,
        role: Role,
        server: &ServerName,
        now_us: i64,
    ) -> Result<(), DirectoryError> {
        for name in role.system_folders() {
            self.add_system_folder(&system_path(name), server, now_us)?;
            self.add_replica(&system_path(name), server, now_us)?;
        }
        Ok(())
    }

    /// Writes the holders of a role.
    fn write_holders(&mut self, role: Role, holders: &[ServerName], now_us: i64) -> Usn {
        let values = holders.iter().map(ToString::to_string).collect();
        let attributes = Attributes::from([(HOLDER.to_owned(), values)]);
        self.put(&self.role_dn(role), Class::Role, attributes, now_us)
    }
}

/// The path of a system folder.
fn system_path(name: &str) -> FolderPath {
    FolderPath::new(name).expect("the names of system folders are paths")
}
