//! What an installation writes into a node's registry, and what services read from it.

use std::path::{Path, PathBuf};

use rehome_planner::Resource;
use rehome_store::StoreSettings;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::error::Error;
use crate::memory::write_durably;

/// The key below `software/` that says which server is installed.
const SOFTWARE: &str = "software/rehome-server.json";
/// The name, below a service's key, of the marker that lets it recover from a restore.
pub(crate) const RESTORE_MARKER: &str = "restore-in-progress";

/// A server as it is installed. Both nodes have the same.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Software {
    /// The organization it belongs to.
    pub(crate) organization: String,
    /// The site it belongs to.
    pub(crate) site: String,
    /// Its name.
    pub(crate) server: String,
    /// Level of its software.
    pub(crate) version: String,
    /// Account that its services run under.
    pub(crate) service_account: String,
    /// The services it consists of.
    pub(crate) components: Vec<String>,
}

/// A node's registry: one file for each key.
#[derive(Debug, Clone)]
pub(crate) struct Registry {
    root: PathBuf,
}

impl Registry {
    /// The registry in this folder.
    pub(crate) fn new(root: impl Into<PathBuf>) -> Self {
        Registry { root: root.into() }
    }

    /// The installed server, if there is one.
    pub(crate) fn software(&self) -> Result<Option<Software>, Error> {
        read(&self.root.join(SOFTWARE))
    }

    /// Says which server is installed.
    pub(crate) fn set_software(&self, software: &Software) -> Result<(), Error> {
        write(&self.root.join(SOFTWARE), software)
    }

    /// The folder with a service's keys.
    pub(crate) fn service(&self, service: Resource) -> PathBuf {
        self.root.join("services").join(service.as_str())
    }

    /// The store's settings; the defaults when nothing was measured.
    pub(crate) fn store_settings(&self) -> Result<StoreSettings, Error> {
        let path = self.service(Resource::Store).join("parameters");
        let place = path.display().to_string();
        let bytes = match std::fs::read(&path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                return Ok(StoreSettings::default());
            }
            Err(error) => return Err(Error::needs_human(format!("{place}: {error}"))),
        };
        StoreSettings::from_json(&place, &bytes).map_err(|error| {
            Error::needs_human(format!(
                "{error}; or put this registry key back from its checkpoint"
            ))
        })
    }

    /// Sets the store's settings.
    pub(crate) fn set_store_settings(&self, settings: &StoreSettings) -> Result<(), Error> {
        write(&self.service(Resource::Store).join("parameters"), settings)
    }

    /// Writes the keys that every service has from the beginning.
    pub(crate) fn prepare(&self, service: Resource) -> Result<(), Error> {
        let keys = self.service(service);
        if service == Resource::Store {
            self.set_store_settings(&StoreSettings::default())?;
        } else {
            write(&keys.join("parameters"), &serde_json::json!({}))?;
        }
        write(&keys.join("diagnostics"), &serde_json::json!({ "level": "normal" }))
    }

    /// Where the marker of a restore is read.
    pub(crate) fn marker(&self, service: Resource) -> PathBuf {
        self.service(service).join(RESTORE_MARKER)
    }
}

/// Reads one key as JSON.
fn read<T: DeserializeOwned>(path: &Path) -> Result<Option<T>, Error> {
    match std::fs::read(path) {
        Ok(bytes) => serde_json::from_slice(&bytes).map(Some).map_err(|error| {
            Error::needs_human(format!(
                "{}: this registry key cannot be read: {error}; put it back from its checkpoint",
                path.display()
            ))
        }),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(Error::needs_human(format!("{}: {error}", path.display()))),
    }
}

/// Writes one key as JSON, durably.
fn write<T: Serialize>(path: &Path, value: &T) -> Result<(), Error> {
    let text = serde_json::to_vec_pretty(value).map_err(Error::needs_human)?;
    write_durably(path, &text)
}

impl Registry {
    /// What a key holds now: nothing, a file, or a folder of files.
    pub(crate) fn content(&self, key: &str) -> Result<rehome_cluster::KeyContent, Error> {
        use rehome_cluster::KeyContent;
        let path = self.root.join(key);
        let read = || -> std::io::Result<KeyContent> {
            if !path.exists() {
                return Ok(KeyContent::Absent);
            }
            if !path.is_dir() {
                return Ok(KeyContent::File(std::fs::read(&path)?));
            }
            let mut files = std::collections::BTreeMap::new();
            for entry in std::fs::read_dir(&path)? {
                let entry = entry?;
                let name = entry.file_name().to_string_lossy().into_owned();
                if entry.file_type()?.is_file() && !name.ends_with(".new") {
                    files.insert(name, std::fs::read(entry.path())?);
                }
            }
            Ok(KeyContent::Folder(files))
        };
        read().map_err(|error| Error::needs_human(format!("{}: {error}", path.display())))
    }
}

#[cfg(test)]
mod tests {
    use super::{Registry, Software};
    use rehome_cluster::KeyContent;
    use rehome_planner::Resource;
    use rehome_store::StoreSettings;

    #[test]
    fn what_was_written_is_read_back_and_nothing_is_there_before() {
        let scratch = tempfile::tempdir().expect("a scratch folder");
        let registry = Registry::new(scratch.path());
        assert_eq!(registry.software().expect("readable"), None);
        let mut settings = StoreSettings::default();
        assert_eq!(registry.store_settings().expect("readable"), settings);
        settings.cache_bytes = 1 << 30;
        registry.set_store_settings(&settings).expect("writable");
        assert_eq!(registry.store_settings().expect("readable"), settings);
        let software = Software {
            organization: "Example".to_owned(),
            site: "Hauptsitz".to_owned(),
            server: "EX1".to_owned(),
            version: "5.5".to_owned(),
            service_account: "EXAMPLE\\svc".to_owned(),
            components: vec!["store".to_owned()],
        };
        registry.set_software(&software).expect("writable");
        assert_eq!(registry.software().expect("readable"), Some(software));
    }

    #[test]
    fn a_damaged_key_is_named_with_its_remedy() {
        let scratch = tempfile::tempdir().expect("a scratch folder");
        let registry = Registry::new(scratch.path());
        registry.prepare(Resource::Store).expect("writable");
        let key = registry.service(Resource::Store).join("parameters");
        std::fs::write(&key, "{").expect("writable");
        let error = registry.store_settings().expect_err("damaged").to_string();
        assert!(error.contains(&key.display().to_string()), "{error}");
        assert!(error.contains("checkpoint"), "{error}");
    }

    #[test]
    fn a_key_is_nothing_a_file_or_a_folder_without_unfinished_files() {
        let scratch = tempfile::tempdir().expect("a scratch folder");
        let registry = Registry::new(scratch.path());
        let content = |key: &str| registry.content(key).expect("readable");
        assert!(matches!(content("services/store"), KeyContent::Absent));
        registry.prepare(Resource::Directory).expect("writable");
        let key = registry.service(Resource::Directory);
        std::fs::write(key.join("parameters.new"), "half").expect("writable");
        let KeyContent::Folder(files) = content("services/directory") else { panic!("a folder") };
        assert_eq!(files.into_keys().collect::<Vec<_>>(), ["diagnostics", "parameters"]);
        let KeyContent::File(bytes) = content("services/directory/parameters") else {
            panic!("a file")
        };
        assert_eq!(bytes, b"{}");
    }
}
