//! The files that say what a folder is: `store.id`, and `restore.json` while one is restored.

use std::hash::{BuildHasher, Hasher, RandomState};
use std::io;

use rehome_log::{Clock, Disk, FileName, OpenMode, SyncKind};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::error::{StoreError, doing};
use crate::options::RestoreMarker;

/// The highest format version known: that of stores whose log had a policy.
const VERSION: u32 = 7;
/// The version of all others, that were opened by a program which knows it.
const VERSION_PLAIN: u32 = 6;
/// Stores whose log had a policy had these before.
const VERSIONS_POLICY_BEFORE: [u32; 2] = [3, 5];

/// What `store.id` holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Identity {
    pub(crate) format: String,
    pub(crate) version: u32,
    /// Identity of the store, in hexadecimal.
    #[serde(default)]
    pub(crate) id: String,
}

/// What `restore.json` holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "lowercase")]
pub(crate) enum Restore {
    /// Segments and log are being written.
    Writing {
        /// Files of segments with numbers up to this one are durable.
        #[serde(default)]
        sealed: u32,
    },
    /// They are complete; the catalog is to be built from them.
    Written { marker: RestoreMarker },
}

/// A name in the store's folder.
pub(crate) fn name(text: &str) -> FileName {
    FileName::new(text).expect("a plain name")
}

pub(crate) fn identity_name() -> FileName {
    name("store.id")
}

/// `store.id` until everything else of a new store is there.
pub(crate) fn unborn_name() -> FileName {
    name("store.new")
}

pub(crate) fn restore_name() -> FileName {
    name("restore.json")
}

impl Identity {
    pub(crate) fn new(id: [u8; 16]) -> Identity {
        Identity { format: "rehome-store".to_owned(), version: VERSION_PLAIN, id: hex(id) }
    }

    /// Of a store whose log has a policy: `log.json` is there.
    pub(crate) fn with_policy(id: [u8; 16]) -> Identity {
        Identity { version: VERSION, ..Identity::new(id) }
    }

    /// Whether there must be a file with the policy of the log.
    pub(crate) fn knows_policies(&self) -> bool {
        self.version == VERSION || VERSIONS_POLICY_BEFORE.contains(&self.version)
    }

    /// Makes the store one of today's version before anything is written that programs of an older
    /// one do not know.
    ///
    /// # Errors
    ///
    /// [`StoreError::Io`].
    pub(crate) fn renew(&self, disk: &dyn Disk) -> Result<(), StoreError> {
        if self.version >= VERSION_PLAIN {
            return Ok(());
        }
        let version = if self.knows_policies() { VERSION } else { VERSION_PLAIN };
        write_json(disk, &identity_name(), &Identity { version, ..self.clone() })
    }

    /// The identity as bytes.
    pub(crate) fn id(&self) -> Result<[u8; 16], StoreError> {
        let digits = self.id.as_bytes();
        let mut id = [0; 16];
        let whole = digits.len() == 32
            && id.iter_mut().zip(digits.chunks(2)).all(|(byte, pair)| {
                let pair = std::str::from_utf8(pair).ok();
                let read = pair.and_then(|pair| u8::from_str_radix(pair, 16).ok());
                read.map(|read| *byte = read).is_some()
            });
        if whole { Ok(id) } else { Err(damaged("its identity is not 32 hexadecimal digits")) }
    }

    /// Reads `store.id`; nothing if there is none.
    ///
    /// # Errors
    ///
    /// [`StoreError::UnsupportedVersion`], [`StoreError::Damaged`], [`StoreError::Io`].
    pub(crate) fn read(disk: &dyn Disk) -> Result<Option<Identity>, StoreError> {
        let Some(identity) = read_json::<Identity>(disk, &identity_name())? else {
            return Ok(None);
        };
        if identity.format != "rehome-store" {
            return Err(damaged("it is of another program"));
        }
        if identity.version > VERSION || identity.version == 0 {
            let (found, known) = (identity.version, VERSION);
            return Err(StoreError::UnsupportedVersion { found, known });
        }
        Ok(Some(identity))
    }
}

fn damaged(cause: &str) -> StoreError {
    StoreError::Damaged {
        place: "store.id".to_owned(),
        cause: cause.to_owned(),
        remedy: "restore that file from a backup; nothing was changed",
    }
}

/// Bytes as hexadecimal digits.
pub(crate) fn hex(bytes: [u8; 16]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// An identity for a new store: from the clock and from the standard library's random hash keys.
pub(crate) fn fresh(clock: &dyn Clock) -> [u8; 16] {
    let random = || RandomState::new().build_hasher().finish();
    let mut hasher = blake3::Hasher::new();
    hasher.update(&clock.wall_us().to_le_bytes());
    hasher.update(&u64::from(std::process::id()).to_le_bytes());
    hasher.update(&random().to_le_bytes());
    hasher.update(&random().to_le_bytes());
    let mut id = [0; 16];
    id.copy_from_slice(&hasher.finalize().as_bytes()[..16]);
    id
}

/// Reads a small file of JSON; nothing if there is none.
pub(crate) fn read_json<T: DeserializeOwned>(
    disk: &dyn Disk,
    name: &FileName,
) -> Result<Option<T>, StoreError> {
    let file = match disk.open(name, OpenMode::Read) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(doing(format!("opening {name}"))(error)),
    };
    let read = disk.len(file).and_then(|len| {
        let mut bytes = vec![0; usize::try_from(len.min(1 << 20)).unwrap_or(0)];
        disk.read_at(file, 0, &mut bytes).map(|()| bytes)
    });
    disk.close(file);
    let bytes = read.map_err(doing(format!("reading {name}")))?;
    serde_json::from_slice(&bytes).map(Some).map_err(|error| StoreError::Damaged {
        place: name.to_string(),
        cause: error.to_string(),
        remedy: "restore that file from a backup; nothing was changed",
    })
}

/// Writes a small file of JSON in place of the one of that name, durably.
pub(crate) fn write_json<T: Serialize>(
    disk: &dyn Disk,
    name: &FileName,
    value: &T,
) -> Result<(), StoreError> {
    let mut bytes = serde_json::to_vec_pretty(value).expect("memory takes a small file");
    bytes.push(b'\n');
    let unnamed = FileName::new(&format!("{name}.tmp")).expect("a plain name");
    let write = || -> io::Result<()> {
        remove_if_there(disk, &unnamed)?;
        let file = disk.open(&unnamed, OpenMode::CreateNew)?;
        let written = disk.write_at(file, 0, &bytes).and_then(|()| disk.sync(file, SyncKind::All));
        disk.close(file);
        written?;
        disk.rename(&unnamed, name)?;
        disk.sync_dir(&FileName::root())
    };
    write().map_err(doing(format!("writing {name}")))
}

/// Removes a file that may be there.
pub(crate) fn remove_if_there(disk: &dyn Disk, name: &FileName) -> io::Result<()> {
    match disk.remove(name) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_identity_comes_back_from_its_digits() {
        let id = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 255];
        assert_eq!(Identity::new(id).id().unwrap(), id);
        let bad = Identity { id: "zz".repeat(16), ..Identity::new(id) };
        assert!(matches!(bad.id(), Err(StoreError::Damaged { .. })));
    }

    #[test]
    fn two_stores_made_at_once_differ() {
        let clock = rehome_log::ManualClock::new(1);
        assert_ne!(fresh(&clock), fresh(&clock));
    }
}
