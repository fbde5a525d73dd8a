//! The folder that an export writes: empty before, durable after.

use super::error::{ExportError, unwritable};
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, UNIX_EPOCH};

/// Stands in the target until everything is durable.
const UNFINISHED: &str = ".rehome-export-unfinished";

/// From so many files and folders on, the whole file system is synced rather than each of them.
#[cfg(target_os = "linux")]
const SYNC_EACH_MAX: usize = 256;

/// The target of an export.
pub(super) struct Target {
    root: PathBuf,
    /// The folders above that were created with it, and the one that was there.
    above: Vec<PathBuf>,
}

impl Target {
    /// Creates the target, which must be empty or missing.
    pub(super) fn create(root: &Path) -> Result<Self, ExportError> {
        let mut above: Vec<PathBuf> = Vec::new();
        for folder in root.ancestors().skip(1) {
            let here = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
            above.push(here.to_owned());
            if here.is_dir() {
                break;
            }
        }
        match fs::read_dir(root).map(|mut entries| entries.next().is_none()) {
            Ok(true) => {}
            Ok(false) => return Err(ExportError::NotEmpty { path: root.to_owned() }),
            Err(error) if error.kind() == io::ErrorKind::NotFound => create_folders(root)?,
            Err(error) if error.kind() == io::ErrorKind::NotADirectory => {
                return Err(ExportError::NotEmpty { path: root.to_owned() });
            }
            Err(error) => return Err(unwritable(root, "listing this folder")(error)),
        }
        let marker = root.join(UNFINISHED);
        write_file(&marker, b"This export is not finished.\n", None)?;
        Ok(Self { root: root.to_owned(), above })
    }

    /// Makes everything durable, then takes the marker away.
    pub(super) fn finish(self) -> Result<(), ExportError> {
        sync_all(&self.root).map_err(unwritable(&self.root, "making the export durable"))?;
        let marker = self.root.join(UNFINISHED);
        fs::remove_file(&marker).map_err(unwritable(&marker, "removing this file"))?;
        sync_folder(&self.root)?;
        self.above.iter().try_for_each(|folder| sync_folder(folder))
    }
}

/// Creates a folder and those above it.
pub(super) fn create_folders(path: &Path) -> Result<(), ExportError> {
    fs::create_dir_all(path).map_err(unwritable(path, "creating this folder"))
}

/// Creates a file with this content, and with this time of its last change.
pub(super) fn write_file(
    path: &Path,
    bytes: &[u8],
    changed_seconds: Option<i64>,
) -> Result<(), ExportError> {
    let mut file = File::create_new(path).map_err(unwritable(path, "creating this file"))?;
    file.write_all(bytes).map_err(unwritable(path, "writing this file"))?;
    if let Some(seconds) = changed_seconds {
        set_changed(&file, seconds).map_err(unwritable(path, "setting its time"))?;
    }
    Ok(())
}

fn set_changed(file: &File, seconds: i64) -> io::Result<()> {
    let distance = Duration::from_secs(seconds.unsigned_abs());
    let moment = match seconds {
        0.. => UNIX_EPOCH.checked_add(distance),
        _ => UNIX_EPOCH.checked_sub(distance),
    };
    // A date that the system has no time for is no reason to lose the message.
    file.set_modified(moment.unwrap_or(UNIX_EPOCH))
}

fn sync_folder(path: &Path) -> Result<(), ExportError> {
    let sync = || File::open(path)?.sync_all();
    sync().map_err(unwritable(path, "making this folder durable"))
}

/// Makes everything below `root` durable.
fn sync_all(root: &Path) -> io::Result<()> {
    #[cfg(target_os = "linux")]
    if !has_at_most(root, &mut SYNC_EACH_MAX.clone())? {
        return Ok(rustix::fs::syncfs(File::open(root)?)?);
    }
    sync_each(root)
}

/// Counts `left` down by what is below `root`; whether it was enough.
#[cfg(target_os = "linux")]
fn has_at_most(root: &Path, left: &mut usize) -> io::Result<bool> {
    for entry in fs::read_dir(root)? {
        let entry = entry?;
        let Some(rest) = left.checked_sub(1) else { return Ok(false) };
        *left = rest;
        if entry.file_type()?.is_dir() && !has_at_most(&entry.path(), left)? {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Syncs every file and folder.
fn sync_each(root: &Path) -> io::Result<()> {
    for entry in fs::read_dir(root)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            sync_each(&entry.path())?;
        } else {
            File::open(entry.path())?.sync_all()?;
        }
    }
    File::open(root)?.sync_all()
}
