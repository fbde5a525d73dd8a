//! The name registry: a folder in which server names point to addresses.
//!
//! `<NAME>.json` is the record, replaced whole; `<NAME>.lock` is held by the process that has the
//! name, so a holder that died holds nothing. Upper and lower case are the same name.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::coordinator::CoordinatorError;
use crate::quorum::file::{HeldLock, lock, read_sealed, replace, seal, unreachable};

/// Where a server name points.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NameRecord {
    /// The name, as it was registered.
    pub name: String,
    /// `address:port` of the server behind it.
    pub address: String,
    /// Who has it: a cluster group, or a server on its own.
    pub owner: String,
    /// The node or host it is on, for people.
    pub node: String,
    /// Owner's epoch: a record of the same owner is never replaced by an older epoch.
    pub epoch: u64,
}

/// Why a name cannot be had or read.
#[derive(Debug, thiserror::Error)]
pub enum NameError {
    /// The name is not one.
    #[error(
        "server name {name:?} cannot be used; use 1 to 63 ASCII letters, digits, '-' and '_', as \
         clients will type it"
    )]
    Bad {
        /// The name.
        name: String,
    },
    /// A living holder has it.
    #[error(
        "server name {name:?} is held by {holder}; two servers of one name would both answer; \
         stop that one first"
    )]
    Held {
        /// The name.
        name: String,
        /// Who holds it, as it wrote about itself.
        holder: String,
    },
    /// A later epoch of the same owner has registered it.
    #[error("server name {name:?} was registered under epoch {newer} since; epoch {epoch} is over")]
    Fenced {
        /// The name.
        name: String,
        /// The caller's epoch.
        epoch: u64,
        /// The epoch in the record.
        newer: u64,
    },
    /// The registry cannot be used.
    #[error("server name {name:?}: {source}")]
    Registry {
        /// The name.
        name: String,
        /// Why.
        source: CoordinatorError,
    },
}

/// A name that is held. Dropping it frees the name and leaves the record, as a crash would.
#[derive(Debug)]
pub struct NameClaim {
    record: NameRecord,
    path: PathBuf,
    _lock: HeldLock,
}

impl NameClaim {
    /// What was registered.
    #[must_use]
    pub fn record(&self) -> &NameRecord {
        &self.record
    }
}

/// The name as it is compared and filed.
fn canonical(name: &str) -> Result<String, NameError> {
    let good = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
    if name.is_empty() || name.len() > 63 || !name.chars().all(good) {
        return Err(NameError::Bad { name: name.to_owned() });
    }
    Ok(name.to_ascii_uppercase())
}

/// Whether the text can be a server name.
#[must_use]
pub fn is_server_name(name: &str) -> bool {
    canonical(name).is_ok()
}

/// Registers a name for the calling process.
///
/// # Errors
///
/// [`NameError::Held`] names the living holder; [`NameError::Fenced`] if the caller's epoch is
/// over. Nothing is changed then.
pub fn register(names_dir: &Path, record: NameRecord) -> Result<NameClaim, NameError> {
    let file = canonical(&record.name)?;
    let registry = |source| NameError::Registry { name: record.name.clone(), source };
    let name = record.name.clone();
    let tmp = names_dir.join("tmp");
    fs::create_dir_all(&tmp).map_err(unreachable(&tmp)).map_err(registry)?;
    let lock_path = names_dir.join(format!("{file}.lock"));
    let holder = format!("{} on {} (epoch {})", record.owner, record.node, record.epoch);
    let lock = match lock(&lock_path, &holder) {
        Ok(Ok(lock)) => lock,
        Ok(Err(holder)) => return Err(NameError::Held { name, holder }),
        Err(error) => return Err(registry(unreachable(&lock_path)(error))),
    };
    let path = names_dir.join(format!("{file}.json"));
    let old: Option<NameRecord> = read_sealed(&path).map_err(registry)?;
    if let Some(old) = old.filter(|old| old.owner == record.owner && old.epoch > record.epoch) {
        return Err(NameError::Fenced { name, epoch: record.epoch, newer: old.epoch });
    }
    let bytes = seal(&record, &path).map_err(registry)?;
    replace(&tmp, &path, &bytes, true).map_err(registry)?;
    Ok(NameClaim { record, path, _lock: lock })
}

/// Gives a name up and removes its record.
///
/// # Errors
///
/// [`NameError::Registry`] if the record cannot be removed; the name is free all the same.
pub fn unregister(claim: NameClaim) -> Result<(), NameError> {
    match fs::remove_file(&claim.path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(NameError::Registry {
            name: claim.record.name.clone(),
            source: unreachable(&claim.path)(error),
        }),
        _ => Ok(()),
    }
}

/// Where a name points; `None` if it is not registered.
///
/// # Errors
///
/// [`NameError`] if the registry cannot be read or the text is no name.
pub fn resolve(names_dir: &Path, name: &str) -> Result<Option<NameRecord>, NameError> {
    let path = names_dir.join(format!("{}.json", canonical(name)?));
    read_sealed(&path).map_err(|source| NameError::Registry { name: name.to_owned(), source })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(name: &str, owner: &str, epoch: u64) -> NameRecord {
        NameRecord {
            name: name.to_owned(),
            address: "127.0.0.7:6000".to_owned(),
            owner: owner.to_owned(),
            node: "a".to_owned(),
            epoch,
        }
    }

    #[test]
    fn a_name_has_one_living_holder_whatever_its_case() {
        let dir = tempfile::tempdir().unwrap();
        let held = register(dir.path(), record("Mail1", "old server", 1)).unwrap();
        let refused = register(dir.path(), record("MAIL1", "cluster/mail", 1)).unwrap_err();
        assert!(refused.to_string().contains("old server on a"), "{refused}");
        let found = resolve(dir.path(), "mail1").unwrap().unwrap();
        assert_eq!((found.name.as_str(), found.owner.as_str()), ("Mail1", "old server"));
        unregister(held).unwrap();
        assert_eq!(resolve(dir.path(), "mail1").unwrap(), None);
        assert!(register(dir.path(), record("MAIL1", "cluster/mail", 1)).is_ok());
    }

    #[test]
    fn a_dead_holder_is_replaced_but_never_by_an_older_epoch_of_itself() {
        let dir = tempfile::tempdir().unwrap();
        drop(register(dir.path(), record("mail", "cluster/mail", 5)).unwrap());
        assert!(resolve(dir.path(), "mail").unwrap().is_some());
        let fenced = register(dir.path(), record("mail", "cluster/mail", 4)).unwrap_err();
        assert!(matches!(fenced, NameError::Fenced { newer: 5, .. }), "{fenced}");
        assert!(register(dir.path(), record("mail", "cluster/mail", 6)).is_ok());
    }

    #[test]
    fn a_name_that_is_a_path_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        for name in ["", "../x", "a b", "a.b"] {
            assert!(matches!(resolve(dir.path(), name), Err(NameError::Bad { .. })), "{name:?}");
        }
    }
}
