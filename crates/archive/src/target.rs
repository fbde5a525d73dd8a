//! Where a set is kept: files that are written strictly forward and never rewritten.

mod disk;
mod pipe;
#[cfg(feature = "s3")]
mod s3;
pub(crate) mod section;

pub use disk::DiskTarget;
pub use pipe::PipeTarget;
#[cfg(feature = "s3")]
pub use s3::{S3Options, S3Target};

use std::io;

/// A place that holds a set's files: a folder, a bucket, a pipe.
///
/// Names are relative, components joined by `/`.
pub trait Target: Send + Sync {
    /// Makes folder `dir` this writer's own, before it creates the first file in it. A target
    /// whose [`Target::create`] keeps two running writers apart has nothing to do here.
    ///
    /// # Errors
    ///
    /// `AlreadyExists` if another writer claimed it, running or not. Whatever the target says.
    fn claim(&self, dir: &str) -> io::Result<()> {
        let _nothing_to_do = dir;
        Ok(())
    }

    /// Whether a file that is finished can be opened again. If not, nobody can look at a backup
    /// before its manifest is written: whoever gets the bytes checks them.
    fn reads_back(&self) -> bool {
        true
    }

    /// Whether parity is written beside volumes. Without it nothing here can be repaired: a pipe
    /// takes one file at a time, and a bucket keeps its objects whole by itself.
    fn takes_parity(&self) -> bool {
        true
    }

    /// Starts file `name`. Nobody sees it under that name before it is finished.
    ///
    /// # Errors
    ///
    /// `AlreadyExists` if the file is there: no file is ever written twice. `WouldBlock` if
    /// another writer is at work on it. Whatever the target says.
    fn create(&self, name: &str) -> io::Result<Box<dyn TargetFile>>;

    /// Opens finished file `name` for reading; names ending in `.part` are files whose writer
    /// stopped before it was done.
    ///
    /// # Errors
    ///
    /// `NotFound`, and whatever the target says.
    fn open(&self, name: &str) -> io::Result<Box<dyn SourceFile>>;

    /// Opens finished file `name` for being read from front to back, once: nothing of it is left in
    /// caches, as far as the target can do that.
    ///
    /// # Errors
    ///
    /// As [`Target::open`].
    fn open_once(&self, name: &str) -> io::Result<Box<dyn SourceFile>> {
        self.open(name)
    }

    /// Makes the name of finished file `name` durable, for whoever builds upon a file whose writer
    /// may have died between giving it its name and making that durable.
    ///
    /// # Errors
    ///
    /// Whatever the target says.
    fn settle(&self, name: &str) -> io::Result<()>;

    /// The names in folder `dir`, sorted; none if there is no such folder. `""` is the top.
    ///
    /// # Errors
    ///
    /// Whatever the target says.
    fn list(&self, dir: &str) -> io::Result<Vec<String>>;

    /// Removes finished file `name`, or one whose writer stopped; an empty folder may
    /// stay or go.
    ///
    /// # Errors
    ///
    /// `NotFound`; `Unsupported` if the target cannot take anything away, as without this method;
    /// whatever the target says.
    fn remove(&self, name: &str) -> io::Result<()> {
        let text = format!("{name}: files cannot be removed from this target");
        Err(io::Error::new(io::ErrorKind::Unsupported, text))
    }
}

/// A file being written. Dropped before [`TargetFile::finish`], it never gets its name.
pub trait TargetFile: Send {
    /// Appends `bytes`.
    ///
    /// # Errors
    ///
    /// Whatever the target says; the file is of no use then.
    fn append(&mut self, bytes: &[u8]) -> io::Result<()>;

    /// Makes the file durable, then gives it its name, then makes the name durable.
    ///
    /// # Errors
    ///
    /// Whatever the target says; the file does not have its name then, unless the target failed
    /// to take it back too.
    fn finish(self: Box<Self>) -> io::Result<()>;
}

/// A finished file.
pub trait SourceFile: Send + Sync {
    /// Length in bytes.
    fn size_bytes(&self) -> u64;

    /// Fills `buf` from `offset` on.
    ///
    /// # Errors
    ///
    /// `UnexpectedEof` if the file ends before `buf` is full, and whatever the target says.
    fn read_at(&self, offset: u64, buf: &mut [u8]) -> io::Result<()>;
}

/// Reads all of file `name`, at most `limit` bytes.
pub(crate) fn read_small(target: &dyn Target, name: &str, limit: u64) -> io::Result<Vec<u8>> {
    let file = target.open(name)?;
    let size = file.size_bytes();
    if size > limit {
        let text = format!("it has {size} bytes, at most {limit} are expected");
        return Err(io::Error::new(io::ErrorKind::InvalidData, text));
    }
    let size = usize::try_from(size).map_err(io::Error::other)?;
    let mut bytes = vec![0; size];
    file.read_at(0, &mut bytes)?;
    Ok(bytes)
}
