//! Reading the source's files: never through a symbolic link, never anything but files.

use super::error::{ImportError, unreadable};
use rustix::fs::{Mode, OFlags};
use std::ffi::OsString;
use std::fs::{self, File, Metadata};
use std::io::{self, Read, Seek};
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

/// Opens a regular file for reading. It is never waited for: a pipe, a socket or a device that took
/// the file's place since it was listed is refused, and so is a symbolic link, unless the user has
/// named it (`named`).
pub(crate) fn open(path: &Path, named: bool) -> io::Result<File> {
    let mut flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK | OFlags::NOCTTY;
    if !named {
        flags |= OFlags::NOFOLLOW;
    }
    let file = File::from(rustix::fs::open(path, flags, Mode::empty())?);
    let kind = Kind::of(file.metadata()?.file_type());
    if kind == Kind::File { Ok(file) } else { Err(io::Error::other(kind.reason())) }
}

/// Reads a small file that may be missing, and is not read if it is anything but a regular file.
pub(crate) fn read_if_there(path: &Path) -> Result<Option<Vec<u8>>, ImportError> {
    if !is_file(path) {
        return Ok(None);
    }
    let mut bytes = Vec::new();
    let read = open(path, false).and_then(|mut file| file.read_to_end(&mut bytes));
    read.map(|_| Some(bytes)).map_err(unreadable(path, "reading this file"))
}

/// Reads a message file to its end; `metadata` is what it was when it was opened, and becomes what
/// it was when it was read. A file that changes meanwhile is read once more. It never takes more
/// memory than the file's length was.
pub(crate) fn read_message(mut file: File, metadata: &mut Metadata) -> io::Result<Vec<u8>> {
    for _ in 0..2 {
        file.rewind()?;
        let mut body = Vec::with_capacity(usize::try_from(metadata.len()).unwrap_or(0));
        (&mut file).take(metadata.len().saturating_add(1)).read_to_end(&mut body)?;
        let now = file.metadata()?;
        let same = now.len() == body.len() as u64 && now.modified()? == metadata.modified()?;
        *metadata = now;
        if same {
            return Ok(body);
        }
    }
    Err(io::Error::other("it changes while it is read"))
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
