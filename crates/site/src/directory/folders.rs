//! Public and system folders in the directory: home server and replicas.

use super::{
    Attributes, Class, Directory, DirectoryError, DistinguishedName, FolderPath, Object,
    ServerName, Usn,
};

/// Attribute of a folder: its home server.
pub(super) const HOME: &str = "home-server";
/// Attribute of a folder: the servers that hold its contents.
pub(super) const REPLICAS: &str = "replicas";
/// Attribute of a folder: its path.
const PATH: &str = "path";
/// Container of the folders that people use.
const PUBLIC: &str = "Public Folders";
/// Container of the folders that the site needs.
const SYSTEM: &str = "System Folders";

/// A public or system folder as the directory knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublicFolderEntry {
    /// Its path.
    pub path: FolderPath,
    /// Its home server.
    pub home: ServerName,
    /// The servers that hold its contents, in the order in which they were added.
    pub replicas: Vec<ServerName>,
    /// Whether the site itself needs it.
    pub system: bool,
}

impl Directory {
    /// The name of a public folder's object, or of a system folder's if there is one of that path.
    fn folder_dn(&self, path: &FolderPath) -> DistinguishedName {
        let dn =
            |container| DistinguishedName::of_folder(&self.site_dn(), container, path.components());
        let system = dn(SYSTEM);
        if self.object(&system).is_some() { system } else { dn(PUBLIC) }
    }

    /// Reads a folder's object.
    fn folder_entry(&self, object: &Object) -> Option<PublicFolderEntry> {
        let replicas = object.values(REPLICAS).iter();
        Some(PublicFolderEntry {
            path: FolderPath::new(object.value(PATH)?).ok()?,
            home: self.server_in(object.value(HOME)?)?,
            replicas: replicas.filter_map(|name| self.server_in(name)).collect(),
            system: object.class == Class::SystemFolder,
        })
    }

    /// The folders that people use, by path.
    #[must_use]
    pub fn public_folders(&self) -> Vec<PublicFolderEntry> {
        self.of_class(Class::PublicFolder).filter_map(|object| self.folder_entry(object)).collect()
    }

    /// The folders that the site needs, by path.
    #[must_use]
    pub fn system_folders(&self) -> Vec<PublicFolderEntry> {
        self.of_class(Class::SystemFolder).filter_map(|object| self.folder_entry(object)).collect()
    }

    /// Finds a public or system folder.
    #[must_use]
    pub fn folder(&self, path: &FolderPath) -> Option<PublicFolderEntry> {
        self.folder_entry(self.object(&self.folder_dn(path))?)
    }

    /// Adds a public folder with one replica, at its home. One that is there stays as it is.
    ///
    /// # Errors
    ///
    /// [`DirectoryError::Unknown`] if the site has no such server.
    pub fn add_public_folder(
        &mut self,
        path: &FolderPath,
        home: &ServerName,
        now_us: i64,
    ) -> Result<Usn, DirectoryError> {
        self.add_folder(Class::PublicFolder, PUBLIC, path, home, now_us)
    }

    /// Adds a folder that the site needs.
    pub(super) fn add_system_folder(
        &mut self,
        path: &FolderPath,
        home: &ServerName,
        now_us: i64,
    ) -> Result<Usn, DirectoryError> {
        self.add_folder(Class::SystemFolder, SYSTEM, path, home, now_us)
    }

    /// Adds a folder to a container.
    fn add_folder(
        &mut self,
        class: Class,
        container: &str,
        path: &FolderPath,
        home: &ServerName,
        now_us: i64,
    ) -> Result<Usn, DirectoryError> {
        self.require_server(home)?;
        let dn = DistinguishedName::of_folder(&self.site_dn(), container, path.components());
        if let Some(object) = self.object(&dn) {
            return Ok(object.origin_usn);
        }
        let attributes: Attributes = [(PATH, path.to_string()), (HOME, home.to_string())]
            .into_iter()
            .chain([(REPLICAS, home.to_string())])
            .map(|(name, value)| (name.to_owned(), vec![value]))
            .collect();
        Ok(self.put(&dn, class, attributes, now_us))
    }

    /// The entry of a folder that has to be there.
    fn require_folder(&self, path: &FolderPath) -> Result<PublicFolderEntry, DirectoryError> {
        self.folder(path).ok_or_else(|| self.unknown("public folder", path))
    }

    /// Writes a new replica list.
    fn set_replicas(
        &mut self,
        path: &FolderPath,
        replicas: &[ServerName],
        now_us: i64,
    ) -> Result<Usn, DirectoryError> {
        let values = replicas.iter().map(ToString::to_string).collect();
        let usn = self.set_attribute(&self.folder_dn(path), REPLICAS, values, now_us);
        usn.ok_or_else(|| self.unknown("public folder", path))
    }

    /// Adds a server to the replica list of a folder. One that is there changes nothing.
    ///
    /// # Errors
    ///
    /// [`DirectoryError::Unknown`] for an unknown folder or server.
    pub fn add_replica(
        &mut self,
        path: &FolderPath,
        server: &ServerName,
        now_us: i64,
    ) -> Result<Usn, DirectoryError> {
        self.require_server(server)?;
        let mut replicas = self.require_folder(path)?.replicas;
        if !replicas.contains(server) {
            replicas.push(server.clone());
        }
        self.set_replicas(path, &replicas, now_us)
    }

    /// Takes a server off the replica list of a folder. That its contents are elsewhere is for the
    /// caller to see to. One that is not on the list changes nothing.
    ///
    /// # Errors
    ///
    /// [`DirectoryError::Unknown`] for an unknown folder, [`DirectoryError::Replica`] if the
    /// server is the folder's home or holds its last replica.
    pub fn remove_replica(
        &mut self,
        path: &FolderPath,
        server: &ServerName,
        now_us: i64,
    ) -> Result<Usn, DirectoryError> {
        let mut entry = self.require_folder(path)?;
        let refuse = |problem| {
            Err(DirectoryError::Replica { path: path.clone(), server: server.clone(), problem })
        };
        if entry.replicas == [server.clone()] {
            return refuse("holds the only replica; add another and let it fill first");
        }
        if entry.home == *server {
            return refuse("is its home; change the home to another replica first");
        }
        entry.replicas.retain(|replica| replica != server);
        self.set_replicas(path, &entry.replicas, now_us)
    }

    /// Changes the home server of a folder; the new one must hold a replica (KB Q185043).
    ///
    /// # Errors
    ///
    /// [`DirectoryError::Unknown`] for an unknown folder, [`DirectoryError::Replica`] if the new
    /// home holds no replica.
    pub fn set_folder_home(
        &mut self,
        path: &FolderPath,
        to: &ServerName,
        now_us: i64,
    ) -> Result<Usn, DirectoryError> {
        let entry = self.require_folder(path)?;
        if !entry.replicas.contains(to) {
            let (path, server) = (path.clone(), to.clone());
            let problem = "holds no replica and cannot be its home; add one and let it fill first";
            return Err(DirectoryError::Replica { path, server, problem });
        }
        if entry.home == *to {
            return Ok(self.usn());
        }
        let usn = self.set_attribute(&self.folder_dn(path), HOME, vec![to.to_string()], now_us);
        usn.ok_or_else(|| self.unknown("public folder", path))
    }

    /// Folders whose home is `server` or whose only replica it holds.
    pub(super) fn folders_needing(&self, server: &ServerName) -> Vec<String> {
        let all = self.public_folders().into_iter().chain(self.system_folders());
        let needing =
            all.filter(|entry| entry.home == *server || entry.replicas == [server.clone()]);
        needing.map(|entry| entry.path.to_string()).collect()
    }

    /// Takes a server off all replica lists.
    pub(super) fn leave_replica_lists(&mut self, server: &ServerName, now_us: i64) {
        let folders = self.of_class(Class::PublicFolder).chain(self.of_class(Class::SystemFolder));
        let lists: Vec<(DistinguishedName, Vec<String>)> = folders
            .map(|object| {
                let others = object.values(REPLICAS).iter();
                let others = others.filter(|name| self.server_in(name).as_ref() != Some(server));
                (object.dn.clone(), others.cloned().collect())
            })
            .collect();
        for (dn, replicas) in lists {
            self.set_attribute(&dn, REPLICAS, replicas, now_us);
        }
    }
}
