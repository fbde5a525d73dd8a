//! Reading the source's files: never through a symbolic link, never anything but files.

use super::error::{ImportError, unreadable};
use std::ffi::OsString;
use std::fs::{self, File, Metadata};
use std::io::{self, Read};
use std::path::Path;
use std::time::UNIX_EPOCH;

/// What an entry of a folder is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A regular file.
    File,
    /// A folder.
    Folder,
    /// A symbolic link, wherever it leads.
    Link,
    /// A socket, a device, a pipe.
    Other,
}

impl Kind {
    fn of(kind: fs::FileType) -> Self {
        match () {
            () if kind.is_symlink() => Self::Link,
            () if kind.is_dir() => Self::Folder,
            () if kind.is_file() => Self::File,
            () => Self::Other,
        }
    }

    /// Why something of this kind is not read where mail is looked for.
    pub(crate) fn reason(self) -> &'static str {
        match self {
            Self::File => "a file that is not mail",
            Self::Folder => "a folder where none is expected",
            Self::Link => "a symbolic link; links are not followed",
            Self::Other => "neither a file nor a folder",
        }
    }
}

/// Lists a folder, sorted by name.
pub(crate) fn list(path: &Path) -> Result<Vec<(OsString, Kind)>, ImportError> {
    let fail = || unreadable(path, "listing this folder");
    let mut entries = Vec::new();
    for entry in fs::read_dir(path).map_err(fail())? {
        let entry = entry.map_err(fail())?;
        let kind = entry.file_type().map_err(fail())?;
        entries.push((entry.file_name(), Kind::of(kind)));
    }
    entries.sort_unstable_by(|(one, _), (other, _)| one.cmp(other));
    Ok(entries)
}

/// What is at `path`: `None` if nothing is.
pub(crate) fn kind(path: &Path) -> Result<Option<Kind>, ImportError> {
    match fs::symlink_metadata(path) {
        Ok(metadata) => Ok(Some(Kind::of(metadata.file_type()))),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(unreadable(path, "looking at this")(error)),
    }
}

/// Whether there is a folder at `path`.
pub(crate) fn is_folder(path: &Path) -> bool {
    matches!(kind(path), Ok(Some(Kind::Folder)))
}

/// Whether there is a regular file at `path`.
pub(crate) fn is_file(path: &Path) -> bool {
    matches!(kind(path), Ok(Some(Kind::File)))
}

/// Reads a small file that may be missing, and is not read if it is anything but a regular file.
pub(crate) fn read_if_there(path: &Path) -> Result<Option<Vec<u8>>, ImportError> {
    if !is_file(path) {
        return Ok(None);
    }
    fs::read(path).map(Some).map_err(unreadable(path, "reading this file"))
}

/// Reads the rest of a message file whose metadata says how long it is.
pub(crate) fn read_message(mut file: File, metadata: &Metadata) -> io::Result<Vec<u8>> {
    let mut body = Vec::with_capacity(usize::try_from(metadata.len()).unwrap_or(0));
    file.read_to_end(&mut body)?;
    Ok(body)
}

/// When a file was changed last, in whole seconds since 1970, rounded down.
pub(crate) fn changed_seconds(metadata: &Metadata) -> i64 {
    let Ok(changed) = metadata.modified() else { return 0 };
    match changed.duration_since(UNIX_EPOCH) {
        Ok(after) => i64::try_from(after.as_secs()).unwrap_or(i64::MAX),
        Err(before) => {
            let before = before.duration();
            let whole = i64::try_from(before.as_secs()).unwrap_or(i64::MAX);
            whole.saturating_neg().saturating_sub(i64::from(before.subsec_nanos() > 0))
        }
    }
}
