//! A folder of the file system as a disk.

use std::collections::HashMap;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use rustix::fs::{Advice, OFlags, fadvise};

use super::{DIRECT_ALIGNMENT, Disk, FileId, FileName, OpenMode, SyncKind};

/// Zeros are written in pieces of this size.
const ZEROS: &[u8] = &[0; 64 * 1024];

/// What a [`RealDisk`] was asked to do so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DiskCounters {
    /// Syncs of files and folders.
    pub syncs: u64,
    /// Writes, zero-filling not counted.
    pub writes: u64,
    /// Bytes of those writes.
    pub written_bytes: u64,
    /// Bytes read.
    pub read_bytes: u64,
}

/// A file, and the same once more for direct reads or writes.
#[derive(Debug)]
struct OpenFile {
    file: File,
    direct: Direct,
    is_locked: bool,
}

impl Drop for OpenFile {
    /// Lets go of a lock by name: closing the file is not enough while a child that this process
    /// is just starting has a copy of it, from its fork until its exec.
    fn drop(&mut self) {
        if self.is_locked {
            let _closed_all_the_same = self.file.unlock();
        }
    }
}

/// What goes past the page cache.
#[derive(Debug)]
enum Direct {
    Nothing,
    Reads(File),
    Writes(File),
}

/// A folder of the file system.
#[derive(Debug)]
pub struct RealDisk {
    root: PathBuf,
    /// Folders that lie elsewhere.
    mounts: Vec<(FileName, PathBuf)>,
    files: RwLock<HashMap<FileId, Arc<OpenFile>>>,
    next_id: AtomicU64,
    syncs: AtomicU64,
    writes: AtomicU64,
    written_bytes: AtomicU64,
    read_bytes: AtomicU64,
}

impl RealDisk {
    /// The disk whose root is the folder `root`. Nothing is touched until the first call.
    #[must_use]
    pub fn new(root: impl Into<PathBuf>) -> RealDisk {
        RealDisk {
            root: root.into(),
            mounts: Vec::new(),
            files: RwLock::default(),
            next_id: AtomicU64::new(1),
            syncs: AtomicU64::new(0),
            writes: AtomicU64::new(0),
            written_bytes: AtomicU64::new(0),
            read_bytes: AtomicU64::new(0),
        }
    }

    /// The same disk, with what lies below the folder `name` in the folder `elsewhere`.
    #[must_use]
    pub fn with_mount(mut self, name: FileName, elsewhere: impl Into<PathBuf>) -> RealDisk {
        self.mounts.push((name, elsewhere.into()));
        self
    }

    /// The root folder.
    #[must_use]
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The counts since [`RealDisk::new`].
    #[must_use]
    pub fn counters(&self) -> DiskCounters {
        DiskCounters {
            syncs: self.syncs.load(Ordering::Relaxed),
            writes: self.writes.load(Ordering::Relaxed),
            written_bytes: self.written_bytes.load(Ordering::Relaxed),
            read_bytes: self.read_bytes.load(Ordering::Relaxed),
        }
    }

    fn path(&self, name: &FileName) -> PathBuf {
        for (mount, elsewhere) in &self.mounts {
            match name.as_str().strip_prefix(mount.as_str()) {
                Some("") => return elsewhere.clone(),
                Some(below) if below.starts_with('/') => return elsewhere.join(&below[1..]),
                _ => {}
            }
        }
        self.root.join(name.as_str())
    }

    fn file(&self, id: FileId) -> io::Result<Arc<OpenFile>> {
        let files = self.files.read().unwrap_or_else(PoisonError::into_inner);
        files.get(&id).cloned().ok_or_else(|| io::Error::other("the file is closed"))
    }

    fn keep(&self, open: OpenFile) -> FileId {
        let id = FileId(self.next_id.fetch_add(1, Ordering::Relaxed));
        let mut files = self.files.write().unwrap_or_else(PoisonError::into_inner);
        files.insert(id, Arc::new(open));
        id
    }

    /// The file for direct reads or writes; nothing if its file system has no such thing.
    fn open_direct(&self, name: &FileName, mode: OpenMode) -> Direct {
        let Ok(flags) = i32::try_from(OFlags::DIRECT.bits()) else { return Direct::Nothing };
        let mut options = OpenOptions::new();
        options.custom_flags(flags);
        let path = self.path(name);
        let opened = match mode {
            OpenMode::ReadOnce => options.read(true).open(path).map(Direct::Reads),
            OpenMode::CreateDirect | OpenMode::WriteDirect => {
                options.write(true).open(path).map(Direct::Writes)
            }
            OpenMode::Read | OpenMode::ReadWrite | OpenMode::CreateNew => Ok(Direct::Nothing),
        };
        opened.unwrap_or(Direct::Nothing)
    }

    fn sync_folder(&self, path: &Path) -> io::Result<()> {
        self.syncs.fetch_add(1, Ordering::Relaxed);
        File::open(path)?.sync_all()
    }

    /// Makes `path` and what is missing above it; each new name is durable before the one below.
    fn make_folder(&self, path: &Path) -> io::Result<()> {
        if path.is_dir() {
            return Ok(());
        }
        if let Some(above) = path.parent().filter(|above| !above.as_os_str().is_empty()) {
            self.make_folder(above)?;
        }
        match fs::create_dir(path) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => match found(path) {
                Found::Folder => {}
                // Somebody made it and has removed it since.
                Found::Nothing => return self.make_folder(path),
                Found::Other => return Err(error),
            },
            Err(error) => return Err(error),
        }
        let above = path.parent().filter(|above| !above.as_os_str().is_empty());
        self.sync_folder(above.unwrap_or(Path::new(".")))
    }
}

/// What has a name.
enum Found {
    Folder,
    Nothing,
    Other,
}

/// Looks once: a second look might see something else. A link is what it leads to.
fn found(path: &Path) -> Found {
    match fs::symlink_metadata(path) {
        Ok(it) if it.is_dir() || (it.is_symlink() && path.is_dir()) => Found::Folder,
        Err(error) if error.kind() == io::ErrorKind::NotFound => Found::Nothing,
        _ => Found::Other,
    }
}

/// Whether a direct read or write takes these bytes there.
fn is_aligned(offset: u64, buf: &[u8]) -> bool {
    let alignment = DIRECT_ALIGNMENT as u64;
    offset.is_multiple_of(alignment)
        && buf.len().is_multiple_of(DIRECT_ALIGNMENT)
        && buf.as_ptr().align_offset(DIRECT_ALIGNMENT) == 0
}

impl Disk for RealDisk {
    fn open(&self, name: &FileName, mode: OpenMode) -> io::Result<FileId> {
        let mut options = OpenOptions::new();
        options.read(true);
        match mode {
            OpenMode::Read | OpenMode::ReadOnce => {}
            OpenMode::ReadWrite | OpenMode::WriteDirect => _ = options.write(true),
            OpenMode::CreateNew | OpenMode::CreateDirect => {
                _ = options.write(true).create_new(true);
            }
        }
        let file = options.open(self.path(name))?;
        let direct = self.open_direct(name, mode);
        Ok(self.keep(OpenFile { file, direct, is_locked: false }))
    }

    fn close(&self, file: FileId) {
        self.files.write().unwrap_or_else(PoisonError::into_inner).remove(&file);
    }

    fn len(&self, file: FileId) -> io::Result<u64> {
        Ok(self.file(file)?.file.metadata()?.len())
    }

    fn read_at(&self, file: FileId, offset: u64, buf: &mut [u8]) -> io::Result<()> {
        self.read_bytes.fetch_add(buf.len() as u64, Ordering::Relaxed);
        let file = self.file(file)?;
        match &file.direct {
            // What a direct read refuses after all is read as any other.
            Direct::Reads(direct) if is_aligned(offset, buf) => {
                match direct.read_exact_at(buf, offset) {
                    Err(error) if error.kind() == io::ErrorKind::InvalidInput => {
                        file.file.read_exact_at(buf, offset)
                    }
                    read => read,
                }
            }
            _ => file.file.read_exact_at(buf, offset),
        }
    }

    fn write_at(&self, file: FileId, offset: u64, buf: &[u8]) -> io::Result<()> {
        self.writes.fetch_add(1, Ordering::Relaxed);
        self.written_bytes.fetch_add(buf.len() as u64, Ordering::Relaxed);
        let file = self.file(file)?;
        match &file.direct {
            // What a direct write refuses after all is written as any other.
            Direct::Writes(direct) if is_aligned(offset, buf) => {
                match direct.write_all_at(buf, offset) {
                    Err(error) if error.kind() == io::ErrorKind::InvalidInput => {
                        file.file.write_all_at(buf, offset)
                    }
                    written => written,
                }
            }
            _ => file.file.write_all_at(buf, offset),
        }
    }

    fn sync(&self, file: FileId, what: SyncKind) -> io::Result<()> {
        self.syncs.fetch_add(1, Ordering::Relaxed);
        let file = self.file(file)?;
        match what {
            SyncKind::Data => file.file.sync_data(),
            SyncKind::All => file.file.sync_all(),
        }
    }

    /// `POSIX_FADV_WILLNEED`: the kernel starts reading what is not in the page cache.
    fn read_ahead(&self, file: FileId, offset: u64, len: u64) {
        if let (Ok(file), Some(len)) = (self.file(file), std::num::NonZero::new(len)) {
            // A hint: nothing depends on whether the file system takes it.
            _ = fadvise(&file.file, offset, Some(len), Advice::WillNeed);
        }
    }

    /// `POSIX_FADV_DONTNEED`: the kernel starts writing the dirty pages and drops the clean ones.
    fn write_behind(&self, file: FileId, offset: u64, len: u64) {
        if let (Ok(file), Some(len)) = (self.file(file), std::num::NonZero::new(len)) {
            // A hint: nothing depends on whether the file system takes it.
            _ = fadvise(&file.file, offset, Some(len), Advice::DontNeed);
        }
    }

    fn allocate_zeroed(&self, file: FileId, len: u64) -> io::Result<()> {
        let file = &self.file(file)?.file;
        let mut offset = file.metadata()?.len();
        while offset < len {
            let piece = ZEROS.len().min(usize::try_from(len - offset).unwrap_or(usize::MAX));
            file.write_all_at(&ZEROS[..piece], offset)?;
            offset += piece as u64;
        }
        Ok(())
    }

    fn set_len(&self, file: FileId, len: u64) -> io::Result<()> {
        self.file(file)?.file.set_len(len)
    }

    fn rename(&self, from: &FileName, to: &FileName) -> io::Result<()> {
        fs::rename(self.path(from), self.path(to))
    }

    fn remove(&self, name: &FileName) -> io::Result<()> {
        fs::remove_file(self.path(name))
    }

    fn remove_dir(&self, dir: &FileName) -> io::Result<()> {
        fs::remove_dir(self.path(dir))
    }

    fn list(&self, dir: &FileName) -> io::Result<Vec<String>> {
        let mut names = Vec::new();
        for entry in fs::read_dir(self.path(dir))? {
            names.push(entry?.file_name().to_string_lossy().into_owned());
        }
        names.sort_unstable();
        Ok(names)
    }

    fn create_dir(&self, dir: &FileName) -> io::Result<()> {
        self.make_folder(&self.path(dir))
    }

    fn sync_dir(&self, dir: &FileName) -> io::Result<()> {
        self.sync_folder(&self.path(dir))
    }

    fn lock(&self, name: &FileName) -> io::Result<FileId> {
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false);
        let file = options.open(self.path(name))?;
        match file.try_lock() {
            Ok(()) => Ok(self.keep(OpenFile { file, direct: Direct::Nothing, is_locked: true })),
            Err(TryLockError::WouldBlock) => Err(io::ErrorKind::WouldBlock.into()),
            Err(TryLockError::Error(error)) => Err(error),
        }
    }
}
