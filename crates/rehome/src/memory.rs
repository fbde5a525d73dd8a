//! What later steps, and a later run of the program, must know of earlier ones.
//!
//! Kept as one JSON file in the work folder, written anew and renamed into place at every change.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write as _;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::error::Error;

/// The facts themselves.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Facts {
    /// Whether the old server is meant to run.
    pub(crate) old_server_runs: bool,
    /// Whether the nodes are meant to run.
    pub(crate) nodes_run: bool,
    /// The account that carries the work out.
    pub(crate) account: Option<String>,
    /// The backup made under each label.
    pub(crate) backups: BTreeMap<String, BackupFact>,
    /// Servers whose log was circular until a backup had it kept.
    #[serde(default)]
    pub(crate) circular_before: BTreeSet<String>,
    /// Labels whose backups were read back whole.
    pub(crate) checked: BTreeSet<String>,
    /// Parts that were laid down from a backup.
    pub(crate) restored: BTreeSet<String>,
    /// Computers that a person gave up.
    pub(crate) released: BTreeSet<String>,
    /// Versions to which servers were upgraded.
    pub(crate) versions: BTreeMap<String, String>,
    /// For how long each mailbox was locked, in milliseconds.
    pub(crate) lock_ms: BTreeMap<String, f64>,
    /// For how long each mailbox that was taken back was locked on that way, in milliseconds.
    #[serde(default)]
    pub(crate) back_lock_ms: BTreeMap<String, f64>,
    /// When the whole server went away, and for how long, in microseconds.
    pub(crate) outage_from_us: Option<i64>,
    /// For how long the whole server was away, in milliseconds.
    pub(crate) outage_ms: Option<f64>,
    /// Servers that were removed from the site.
    pub(crate) removed: BTreeSet<String>,
    /// Whether the last comparison of all mail found no difference.
    pub(crate) verified: bool,
    /// Whether the site worked while the old server was stopped.
    pub(crate) works_without: bool,
}

/// A backup.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct BackupFact {
    /// Its name in the archive set.
    pub(crate) id: String,
    /// Who made it.
    pub(crate) account: String,
    /// Up to where it holds the store, as the store's LSN.
    pub(crate) lsn: u64,
    /// The server it was made of.
    pub(crate) server: String,
    /// The folder of the archive set, below that of all sets.
    pub(crate) set: String,
    /// Whether it is what the archived log has up to `lsn`, and no backup of its own.
    #[serde(default)]
    pub(crate) is_log: bool,
}

/// The facts with the file they are kept in.
#[derive(Debug)]
pub(crate) struct Memory {
    path: PathBuf,
    facts: Facts,
}

impl Memory {
    /// Reads the facts; there are none when the file does not exist.
    pub(crate) fn open(path: PathBuf) -> Result<Self, Error> {
        let facts = match std::fs::read(&path) {
            Ok(bytes) => serde_json::from_slice(&bytes).map_err(|error| Error::NeedsHuman {
                message: format!(
                    "{}: what earlier steps found out cannot be read: {error}; put the file back \
                     from a copy, or begin with a new work folder",
                    path.display()
                ),
            })?,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Facts::default(),
            Err(error) => return Err(Error::needs_human(format!("{}: {error}", path.display()))),
        };
        Ok(Memory { path, facts })
    }

    /// The facts.
    pub(crate) fn facts(&self) -> &Facts {
        &self.facts
    }

    /// Changes the facts and makes the change durable.
    pub(crate) fn change(&mut self, change: impl FnOnce(&mut Facts)) -> Result<(), Error> {
        let mut facts = self.facts.clone();
        change(&mut facts);
        if facts != self.facts {
            let text = serde_json::to_vec_pretty(&facts).map_err(Error::needs_human)?;
            write_durably(&self.path, &text)?;
            self.facts = facts;
        }
        Ok(())
    }
}

/// The folder that a path lies in; the current one for a bare name.
pub(crate) fn folder_of(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// Writes a file under another name, syncs it and renames it into place.
pub(crate) fn write_durably(path: &Path, bytes: &[u8]) -> Result<(), Error> {
    let attempt = || -> std::io::Result<()> {
        let folder = folder_of(path);
        std::fs::create_dir_all(folder)?;
        let new = path.with_extension("new");
        let mut file = std::fs::File::create(&new)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        std::fs::rename(&new, path)?;
        std::fs::File::open(folder)?.sync_all()
    };
    attempt().map_err(|error| Error::NeedsHuman {
        message: format!(
            "{}: cannot be written: {error}; make room or rights, and run the same command again",
            path.display()
        ),
    })
}

#[cfg(test)]
mod tests {
    use super::Memory;

    #[test]
    fn what_was_changed_is_there_after_a_restart() {
        let folder = tempfile::tempdir().expect("a scratch folder");
        let path = folder.path().join("world.json");
        let mut memory = Memory::open(path.clone()).expect("nothing is there yet");
        memory.change(|facts| facts.nodes_run = true).expect("a writable folder");
        let again = Memory::open(path).expect("readable");
        assert!(again.facts().nodes_run);
        assert_eq!(again.facts(), memory.facts());
    }

    #[test]
    fn damaged_facts_are_refused() {
        let folder = tempfile::tempdir().expect("a scratch folder");
        let path = folder.path().join("world.json");
        std::fs::write(&path, "{").expect("writable");
        assert!(Memory::open(path).is_err());
    }
}
