//! Servers in the directory, and when one may leave the site.

use super::{Attributes, Class, Directory, DirectoryError, DistinguishedName, ServerName, Usn};
use crate::role::Role;
use crate::site::Site;

/// Attribute of a server: the spelling of its name.
const NAME: &str = "name";
/// Attribute of a server: the level of its software.
const VERSION: &str = "version";

impl Directory {
    /// Fills a directory with what `site.toml` says: organization, site, the servers of today,
    /// listed mailboxes, public folders and roles. The cluster's server is not among them yet.
    ///
    /// # Errors
    ///
    /// None for a site that was parsed: it names no server that it does not have.
    pub fn from_site(
        site: &Site,
        server: ServerName,
        incarnation: u64,
        now_us: i64,
    ) -> Result<Self, DirectoryError> {
        let (organization, name) = (site.organization.clone(), site.site.clone());
        let mut directory = Self::new(server, incarnation, organization, name);
        directory.put_roots(now_us);
        for server in &site.servers {
            directory.add_server(&server.name, now_us)?;
            let dn = directory.server_dn(&server.name);
            directory.set_attribute(&dn, VERSION, vec![server.version.to_string()], now_us);
        }
        for mailbox in &site.mailboxes {
            let attributes = super::mailboxes::attributes_of(mailbox);
            directory.add_mailbox(&mailbox.name, &mailbox.server, attributes, now_us)?;
        }
        for folder in &site.public_folders {
            directory.add_public_folder(&folder.path, &folder.server, now_us)?;
            for replica in &folder.replicas {
                directory.add_replica(&folder.path, replica, now_us)?;
            }
        }
        for role in Role::ALL.into_iter().filter(|role| *role != Role::FirstServerInSite) {
            for holder in site.servers.iter().filter(|server| server.holds(role)) {
                directory.add_role(role, &holder.name, now_us)?;
            }
        }
        Ok(directory)
    }

    /// Adds the objects of organization and site.
    fn put_roots(&mut self, now_us: i64) {
        let organization = DistinguishedName::of_organization(&self.organization);
        self.put(&organization, Class::Organization, Attributes::new(), now_us);
        self.put(&self.site_dn(), Class::Site, Attributes::new(), now_us);
    }

    /// The name of the site's object.
    pub(super) fn site_dn(&self) -> DistinguishedName {
        DistinguishedName::of_site(&self.organization, &self.site)
    }

    /// The name of a server's object.
    #[must_use]
    pub fn server_dn(&self, server: &ServerName) -> DistinguishedName {
        DistinguishedName::of_server(&self.site_dn(), server)
    }

    /// Sets one attribute of an object, if there is such an object.
    pub(super) fn set_attribute(
        &mut self,
        dn: &DistinguishedName,
        attribute: &str,
        values: Vec<String>,
        now_us: i64,
    ) -> Option<Usn> {
        let object = self.object(dn)?;
        let (class, mut attributes) = (object.class, object.attributes.clone());
        if values.is_empty() {
            attributes.remove(attribute);
        } else {
            attributes.insert(attribute.to_owned(), values);
        }
        Some(self.put(dn, class, attributes, now_us))
    }

    /// Reads a server name out of an attribute.
    pub(super) fn server_in(&self, text: &str) -> Option<ServerName> {
        ServerName::new(text).ok()
    }

    /// The error for something that is not there.
    pub(super) fn unknown(&self, kind: &'static str, name: impl ToString) -> DirectoryError {
        DirectoryError::Unknown { server: self.server_name().clone(), kind, name: name.to_string() }
    }

    /// Refuses a server that the site does not have.
    pub(super) fn require_server(&self, server: &ServerName) -> Result<(), DirectoryError> {
        match self.has_server(server) {
            true => Ok(()),
            false => Err(self.unknown("server", server)),
        }
    }

    /// Tells whether the site has a server.
    #[must_use]
    pub fn has_server(&self, server: &ServerName) -> bool {
        self.object(&self.server_dn(server)).is_some()
    }

    /// The servers of the site, by name.
    #[must_use]
    pub fn servers(&self) -> Vec<ServerName> {
        let names = self.of_class(Class::Server).map(|object| object.value(NAME));
        names.flatten().filter_map(|name| self.server_in(name)).collect()
    }

    /// Adds a server to the site. Adding one that is there changes nothing.
    ///
    /// # Errors
    ///
    /// None today; a later rule for names may refuse one.
    pub fn add_server(&mut self, server: &ServerName, now_us: i64) -> Result<Usn, DirectoryError> {
        let dn = self.server_dn(server);
        if let Some(object) = self.object(&dn) {
            return Ok(object.origin_usn);
        }
        let attributes = [(NAME.to_owned(), vec![server.to_string()])].into();
        Ok(self.put(&dn, Class::Server, attributes, now_us))
    }

    /// Removes a server from the site. It also leaves the replica lists of folders that have
    /// another replica. Removing one that is not there changes nothing.
    ///
    /// # Errors
    ///
    /// [`DirectoryError::InUse`] while it is home of mailboxes or folders, holds the only replica
    /// of a folder or holds a role; all of them are named.
    pub fn remove_server(
        &mut self,
        server: &ServerName,
        now_us: i64,
    ) -> Result<bool, DirectoryError> {
        let mailboxes = self.mailboxes_of(server);
        let public_folders = self.folders_needing(server);
        let roles = self.roles_of(server);
        if !(mailboxes.is_empty() && public_folders.is_empty() && roles.is_empty()) {
            let server = server.clone();
            return Err(DirectoryError::InUse { server, mailboxes, public_folders, roles });
        }
        self.leave_replica_lists(server, now_us);
        Ok(self.delete(&self.server_dn(server), now_us))
    }

    /// Names the objects that point at servers which the site no longer has.
    ///
    /// Replication can bring that about: one replica removed a server while another still gave it
    /// a mailbox. Each entry is the object and the server that is missing.
    #[must_use]
    pub fn dangling(&self) -> Vec<(DistinguishedName, ServerName)> {
        let mut found = Vec::new();
        for object in self.objects().filter(|object| object.class != Class::Other) {
            let names = ["home-server", "replicas", "holder"].iter().flat_map(|a| object.values(a));
            for server in names.filter_map(|name| self.server_in(name)) {
                let known = found.iter().any(|(dn, name)| *dn == object.dn && *name == server);
                if !known && !self.has_server(&server) {
                    found.push((object.dn.clone(), server));
                }
            }
        }
        found
    }
}
