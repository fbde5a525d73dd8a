//! For whom sets are encrypted, and the keys that open them.

use std::path::{Path, PathBuf};

use rehome_archive::{Encryption, Identities, Set};

use super::archive::open_set;
use crate::error::Error;

/// An archive set that is read, and the keys for what of it is encrypted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SetAccess<'a> {
    /// The set.
    pub set: &'a Path,
    /// A file with age keys, one a line.
    pub identity: Option<&'a Path>,
}

impl<'a> From<&'a Path> for SetAccess<'a> {
    fn from(set: &'a Path) -> SetAccess<'a> {
        SetAccess { set, identity: None }
    }
}

impl<'a> From<&'a PathBuf> for SetAccess<'a> {
    fn from(set: &'a PathBuf) -> SetAccess<'a> {
        set.as_path().into()
    }
}

impl SetAccess<'_> {
    /// Opens the set.
    pub(super) fn open(self) -> Result<Set, Error> {
        let set = open_set(self.set)?;
        Ok(set.with_identities(identities(self.identity)?))
    }
}

/// The keys in an identity file; none without one.
pub(crate) fn identities(file: Option<&Path>) -> Result<Identities, Error> {
    let Some(file) = file else { return Ok(Identities::default()) };
    let text = read(file)?;
    Identities::parse(&text)
        .map_err(|error| Error::bad_input(format!("{}: {error}", file.display())))
}

fn read(file: &Path) -> Result<String, Error> {
    std::fs::read_to_string(file).map_err(|error| {
        let file = file.display();
        Error::bad_input(format!(
            "{file}: {error}; without it nothing was done; name a file that can be read"
        ))
    })
}

/// What encrypts for these recipients, with a secret of its own.
pub(crate) fn encryption(recipients: &[String]) -> Result<Option<Encryption>, Error> {
    if recipients.is_empty() {
        return Ok(None);
    }
    let mut secret = [0; 32];
    getrandom::fill(&mut secret)
        .map_err(|error| Error::needs_human(format!("no randomness for a key: {error}")))?;
    Encryption::new(recipients.to_vec(), secret).map(Some).map_err(Error::refused)
}

/// For whom a migration's backups are encrypted, and the key with which it reads them back.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ArchiveKeys {
    /// age recipients; with none nothing is encrypted.
    pub recipients: Vec<String>,
    /// A file with the age key of one of them.
    pub identity: Option<PathBuf>,
}

impl ArchiveKeys {
    /// Whether a migration can write and read with them.
    ///
    /// # Errors
    ///
    /// [`Error::BadInput`] if a recipient or the identity is none, or there are recipients without
    /// an identity: every backup is read back before the next step, and restored.
    pub fn expect_usable(&self) -> Result<(), Error> {
        encryption(&self.recipients)?;
        identities(self.identity.as_deref())?;
        if self.recipients.is_empty() || self.identity.is_some() {
            return Ok(());
        }
        Err(Error::bad_input(
            "the backups are to be encrypted, and a migration reads them back and restores them; \
             nothing was done; name a file with the key of one of the recipients with --identity",
        ))
    }
}

/// These recipients, and those in `files`: one a line, comments after `#`.
///
/// # Errors
///
/// [`Error::BadInput`] if a file cannot be read or names none.
pub fn recipients(given: &[String], files: &[PathBuf]) -> Result<Vec<String>, Error> {
    let mut all = given.to_vec();
    for file in files {
        let text = read(file)?;
        let lines = text.lines().map(str::trim);
        let before = all.len();
        all.extend(
            lines.filter(|line| !line.is_empty() && !line.starts_with('#')).map(str::to_owned),
        );
        if all.len() == before {
            return Err(Error::bad_input(format!(
                "{}: it names no recipient, so nothing was written; write one age1… a line",
                file.display()
            )));
        }
    }
    Ok(all)
}

#[cfg(test)]
mod tests;
