//! Feature bits: what a reader or writer must understand before it goes on.

use serde::{Deserialize, Serialize};

use crate::error::ArchiveError;

/// A thing that a later version of the format may use.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Feature {
    /// Its number, 0 to 63, within its class.
    pub bit: u8,
    /// Its name, so that a program that does not know the bit can still name it.
    pub name: String,
    /// The first program version that knows it.
    pub since: String,
}

/// The features that a set or backup uses, by what a program that does not know them may do.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Features {
    /// May be ignored.
    pub compat: Vec<Feature>,
    /// May be ignored by readers; a writer must not add to the set.
    pub ro_compat: Vec<Feature>,
    /// Must be understood to read anything.
    pub incompat: Vec<Feature>,
}

/// Bits of `ro_compat` known here.
const RO_COMPAT_KNOWN: u64 = 0;
/// Bit of `compat`: the backup's volumes have parity.
const PARITY: u8 = 0;
/// Bit of `compat`: the backup holds the store's catalog, and archived log can follow it.
const CATALOG: u8 = 1;
/// The backup holds changes alone.
const CHAIN: u8 = 0;
/// Payloads are sealed with a key in an age envelope.
const AGE: u8 = 1;
/// Bits of `incompat` known here.
const INCOMPAT_KNOWN: u64 = 1 << CHAIN | 1 << AGE;

impl Features {
    /// Adds the feature of backups whose volumes have parity.
    pub(crate) fn with_parity(mut self) -> Features {
        let (name, since) = ("parity".to_owned(), "0.1.0".to_owned());
        self.compat.push(Feature { bit: PARITY, name, since });
        self
    }

    /// Whether the volumes have parity.
    pub(crate) fn has_parity(&self) -> bool {
        self.compat.iter().any(|feature| feature.bit == PARITY)
    }

    /// Adds the feature of backups that archived log can follow.
    pub(crate) fn with_catalog(mut self) -> Features {
        let (name, since) = ("catalog".to_owned(), "0.1.0".to_owned());
        self.compat.push(Feature { bit: CATALOG, name, since });
        self
    }

    /// Whether the backup holds the store's catalog.
    pub(crate) fn has_catalog(&self) -> bool {
        self.compat.iter().any(|feature| feature.bit == CATALOG)
    }

    /// Adds the feature of sealed payloads.
    pub(crate) fn with_age(mut self) -> Features {
        let (name, since) = ("age".to_owned(), "0.1.0".to_owned());
        self.incompat.push(Feature { bit: AGE, name, since });
        self
    }

    /// Adds the feature of backups that build upon others.
    pub(crate) fn with_chain(mut self) -> Features {
        let (name, since) = ("chain".to_owned(), "0.1.0".to_owned());
        self.incompat.push(Feature { bit: CHAIN, name, since });
        self
    }

    /// # Errors
    ///
    /// [`ArchiveError::UnknownFeature`] if these features keep this program from reading.
    pub(crate) fn may_read(&self, file: &str) -> Result<(), ArchiveError> {
        refuse(file, "incompat", &self.incompat, INCOMPAT_KNOWN, "read")
    }

    /// # Errors
    ///
    /// [`ArchiveError::UnknownFeature`] if these features keep this program from adding.
    pub(crate) fn may_write(&self, file: &str) -> Result<(), ArchiveError> {
        refuse(file, "incompat", &self.incompat, INCOMPAT_KNOWN, "written")?;
        refuse(file, "ro_compat", &self.ro_compat, RO_COMPAT_KNOWN, "written")
    }
}

fn refuse(
    file: &str,
    class: &'static str,
    used: &[Feature],
    known: u64,
    consequence: &'static str,
) -> Result<(), ArchiveError> {
    let is_known = |bit: u8| bit < 64 && known >> bit & 1 == 1;
    match used.iter().find(|feature| !is_known(feature.bit)) {
        None => Ok(()),
        Some(Feature { bit, name, since }) => Err(ArchiveError::UnknownFeature {
            file: file.to_owned(),
            class,
            bit: *bit,
            name: name.clone(),
            since: since.clone(),
            consequence,
        }),
    }
}
