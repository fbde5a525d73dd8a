//! The disk: every call that reaches the operating system, and nothing else.

mod aligned;
mod real;
mod sim;

pub use aligned::{AlignedBuf, BufPool, DIRECT_ALIGNMENT};
pub use real::{DiskCounters, RealDisk};
pub use sim::{Fault, SimDisk};

use std::fmt;
use std::io;

/// A path below the disk's root: components joined by `/`, none of them empty, `.` or `..`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FileName(String);

/// The text is not a [`FileName`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is no file name below the disk's root: {cause}")]
pub struct FileNameError {
    /// What was given.
    pub text: String,
    /// What is wrong with it.
    pub cause: &'static str,
}

impl FileName {
    /// Checks `text`.
    ///
    /// # Errors
    ///
    /// [`FileNameError`] if `text` is absolute, empty, holds a NUL, or has a component that is
    /// empty, `.` or `..`. The root itself is [`FileName::root`].
    pub fn new(text: &str) -> Result<FileName, FileNameError> {
        let fail = |cause| Err(FileNameError { text: text.to_owned(), cause });
        if text.contains('\0') {
            return fail("it holds a NUL");
        }
        for component in text.split('/') {
            match component {
                "" => return fail("a component is empty"),
                "." | ".." => return fail("a component is . or .."),
                _ => {}
            }
        }
        Ok(FileName(text.to_owned()))
    }

    /// The disk's root folder.
    #[must_use]
    pub fn root() -> FileName {
        FileName(String::new())
    }

    /// `self` with `text` below it.
    ///
    /// # Errors
    ///
    /// As [`FileName::new`].
    pub fn join(&self, text: &str) -> Result<FileName, FileNameError> {
        let below = FileName::new(text)?;
        if self.0.is_empty() { Ok(below) } else { Ok(FileName(format!("{self}/{below}"))) }
    }

    /// The folder that holds this name; the root holds itself.
    #[must_use]
    pub fn parent(&self) -> FileName {
        FileName(self.0.rsplit_once('/').map_or_else(String::new, |(dir, _)| dir.to_owned()))
    }

    /// The last component; empty for the root.
    #[must_use]
    pub fn base(&self) -> &str {
        self.0.rsplit_once('/').map_or(&self.0, |(_, base)| base)
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for FileName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl TryFrom<&str> for FileName {
    type Error = FileNameError;

    fn try_from(text: &str) -> Result<FileName, FileNameError> {
        FileName::new(text)
    }
}

/// An open file of one disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FileId(u64);

/// How a file is opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OpenMode {
    /// An existing file, to read.
    Read,
    /// The same, for being read once: reads whose offset, length and address in memory are
    /// multiples of [`DIRECT_ALIGNMENT`] come from the disk itself where the file system can do
    /// that, and leave nothing in the page cache.
    ReadOnce,
    /// An existing file, to read and write.
    ReadWrite,
    /// The same, with writes as [`OpenMode::CreateDirect`] has them.
    WriteDirect,
    /// A file that must not exist yet, to read and write.
    CreateNew,
    /// The same; writes whose offset, length and address in memory are multiples of
    /// [`DIRECT_ALIGNMENT`] go past the page cache where the file system can do that. They are no
    /// more durable before a sync than others.
    CreateDirect,
}

impl OpenMode {
    /// Whether the file must not exist yet.
    #[must_use]
    pub fn creates(self) -> bool {
        matches!(self, OpenMode::CreateNew | OpenMode::CreateDirect)
    }
}

/// What a sync makes durable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SyncKind {
    /// The bytes, and what is needed to read them back.
    Data,
    /// The bytes and everything known about the file.
    All,
}

/// The calls through which a store reaches its files.
///
/// Durable means: survives a power cut. A write is durable after a [`sync`](Disk::sync) of its file
/// that began after the write returned; a created, renamed or removed name after a
/// [`sync_dir`](Disk::sync_dir) of its folder. After a failed sync nothing is known about the bytes
/// written since the last good one, and asking again does not help: the caller must stop.
pub trait Disk: Send + Sync {
    /// Opens `name`.
    ///
    /// # Errors
    ///
    /// `NotFound`, or `AlreadyExists` for the modes that create, and whatever the disk says.
    fn open(&self, name: &FileName, mode: OpenMode) -> io::Result<FileId>;

    /// Closes `file`, which gives up a lock taken with it. Closing twice does nothing.
    fn close(&self, file: FileId);

    /// Length of `file` in bytes.
    ///
    /// # Errors
    ///
    /// Whatever the disk says.
    fn len(&self, file: FileId) -> io::Result<u64>;

    /// Fills `buf` from `offset` on.
    ///
    /// # Errors
    ///
    /// `UnexpectedEof` if the file ends before `buf` is full.
    fn read_at(&self, file: FileId, offset: u64, buf: &mut [u8]) -> io::Result<()>;

    /// Writes all of `buf` at `offset`. After an error any part of it may have been written.
    ///
    /// # Errors
    ///
    /// Whatever the disk says.
    fn write_at(&self, file: FileId, offset: u64, buf: &[u8]) -> io::Result<()>;

    /// Makes what was written to `file` durable.
    ///
    /// # Errors
    ///
    /// Whatever the disk says; the bytes may be lost then, whatever later calls return.
    fn sync(&self, file: FileId, what: SyncKind) -> io::Result<()>;

    /// Hints that `len` bytes from `offset` on are going to be read.
    fn read_ahead(&self, _file: FileId, _offset: u64, _len: u64) {}

    /// Hints that `len` bytes from `offset` on are complete and may start on their way to the disk.
    fn write_behind(&self, file: FileId, offset: u64, len: u64);

    /// Writes zeros from the end of `file` until it is `len` bytes long; no shorter file results.
    ///
    /// Real zeros, so that writing there later changes data alone and a sync costs no metadata.
    ///
    /// # Errors
    ///
    /// `StorageFull` if there is no room; the file may have grown by a part then.
    fn allocate_zeroed(&self, file: FileId, len: u64) -> io::Result<()>;

    /// Cuts or extends `file` to `len` bytes; new bytes read as zero.
    ///
    /// # Errors
    ///
    /// Whatever the disk says.
    fn set_len(&self, file: FileId, len: u64) -> io::Result<()>;

    /// Gives the file `from` the name `to`, in place of what had that name.
    ///
    /// # Errors
    ///
    /// `NotFound` if there is no `from`.
    fn rename(&self, from: &FileName, to: &FileName) -> io::Result<()>;

    /// Removes the file `name`.
    ///
    /// # Errors
    ///
    /// `NotFound` if there is none.
    fn remove(&self, name: &FileName) -> io::Result<()>;

    /// Removes folder `dir`, which is empty. Nothing depends on it: a disk may let it stay.
    ///
    /// # Errors
    ///
    /// Whatever the disk says, and that it is not empty.
    fn remove_dir(&self, dir: &FileName) -> io::Result<()> {
        let _stays = dir;
        Ok(())
    }

    /// The names in folder `dir`, files and folders, sorted.
    ///
    /// # Errors
    ///
    /// `NotFound` if there is no such folder.
    fn list(&self, dir: &FileName) -> io::Result<Vec<String>>;

    /// Makes folder `dir` and the missing ones above it, durably. It may exist already.
    ///
    /// # Errors
    ///
    /// Whatever the disk says.
    fn create_dir(&self, dir: &FileName) -> io::Result<()>;

    /// Makes the names in folder `dir` durable.
    ///
    /// # Errors
    ///
    /// Whatever the disk says.
    fn sync_dir(&self, dir: &FileName) -> io::Result<()>;

    /// Opens `name`, made if it does not exist, with an exclusive lock that lasts until the close.
    ///
    /// # Errors
    ///
    /// `WouldBlock` if somebody holds the lock.
    fn lock(&self, name: &FileName) -> io::Result<FileId>;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, good: bool) {
        assert_eq!(FileName::new(text).is_ok(), good, "{text:?}");
    }

    #[test]
    fn a_file_name_stays_below_the_root() {
        check("a", true);
        check("log/E0000000001-00000001.log", true);
        for text in ["", "/a", "a/", "a//b", ".", "..", "a/../b", "./a", "a\0b"] {
            check(text, false);
        }
    }

    #[test]
    fn parent_and_base_split_a_name() {
        let name = FileName::root().join("a/b").unwrap().join("c").unwrap();
        assert_eq!((name.parent().as_str(), name.base()), ("a/b", "c"));
        let top = FileName::new("a").unwrap();
        assert_eq!((top.parent(), top.base()), (FileName::root(), "a"));
    }
}
