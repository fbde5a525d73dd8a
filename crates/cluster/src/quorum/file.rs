//! Files that appear whole: exclusive creation, replacement, and text with a checksum.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::coordinator::CoordinatorError;

/// Counts temporary files of this process, so that no two have the same name.
static TEMPORARY: AtomicU64 = AtomicU64::new(0);

pub(crate) fn unreachable(place: &Path) -> impl FnOnce(io::Error) -> CoordinatorError + '_ {
    move |source| CoordinatorError::Unreachable { place: place.to_owned(), source }
}

pub(crate) fn damaged(place: &Path, cause: impl ToString) -> CoordinatorError {
    CoordinatorError::Damaged { place: place.to_owned(), cause: cause.to_string() }
}

/// The value as one JSON line, and a second line with its CRC32C.
pub(crate) fn seal<T: Serialize>(value: &T, place: &Path) -> Result<Vec<u8>, CoordinatorError> {
    let mut bytes = serde_json::to_vec(value).map_err(|error| damaged(place, error))?;
    let sum = rehome_log::crc32c(&bytes);
    bytes.extend_from_slice(format!("\n{sum:08x}\n").as_bytes());
    Ok(bytes)
}

/// Reads what [`seal`] wrote.
pub(crate) fn unseal<T: DeserializeOwned>(
    bytes: &[u8],
    place: &Path,
) -> Result<T, CoordinatorError> {
    let (json, rest) = bytes
        .iter()
        .position(|&byte| byte == b'\n')
        .map(|end| (&bytes[..end], &bytes[end + 1..]))
        .ok_or_else(|| damaged(place, "it has no second line"))?;
    let sum = format!("{:08x}\n", rehome_log::crc32c(json));
    if rest != sum.as_bytes() {
        return Err(damaged(place, "its checksum does not match"));
    }
    serde_json::from_slice(json).map_err(|error| damaged(place, error))
}

/// Reads a sealed file; `None` if it is not there.
pub(crate) fn read_sealed<T: DeserializeOwned>(path: &Path) -> Result<Option<T>, CoordinatorError> {
    match read(path)? {
        Some(bytes) => unseal(&bytes, path).map(Some),
        None => Ok(None),
    }
}

/// Reads a file; `None` if it is not there.
pub(crate) fn read(path: &Path) -> Result<Option<Vec<u8>>, CoordinatorError> {
    match fs::read(path) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(unreachable(path)(error)),
    }
}

/// Creates `path` with `bytes`, whole and durable; `false` if it exists already.
///
/// The bytes are written under another name and linked, so that nobody reads half of them and
/// exactly one creator wins. A link that was made although the call failed, as a file server may
/// report it, is found by comparing what is there with what was to be written.
pub(crate) fn create_exclusive(
    temporary_dir: &Path,
    path: &Path,
    bytes: &[u8],
) -> Result<bool, CoordinatorError> {
    let temporary = write_temporary(temporary_dir, bytes)?;
    let linked = fs::hard_link(&temporary, path);
    let created = match linked {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            Ok(read(path)?.as_deref() == Some(bytes))
        }
        Err(error) => Err(unreachable(path)(error)),
    };
    drop(fs::remove_file(&temporary));
    if matches!(created, Ok(true)) {
        sync_parent(path)?;
    }
    created
}

/// Replaces `path` by `bytes`: readers see the old or the new file. Durable if asked for.
pub(crate) fn replace(
    temporary_dir: &Path,
    path: &Path,
    bytes: &[u8],
    durable: bool,
) -> Result<(), CoordinatorError> {
    let temporary = if durable {
        write_temporary(temporary_dir, bytes)?
    } else {
        let temporary = temporary_path(temporary_dir);
        fs::write(&temporary, bytes).map_err(unreachable(&temporary))?;
        temporary
    };
    fs::rename(&temporary, path).map_err(unreachable(path))?;
    if durable { sync_parent(path) } else { Ok(()) }
}

fn temporary_path(dir: &Path) -> PathBuf {
    let number = TEMPORARY.fetch_add(1, Ordering::Relaxed);
    dir.join(format!("{}-{number}", std::process::id()))
}

fn write_temporary(dir: &Path, bytes: &[u8]) -> Result<PathBuf, CoordinatorError> {
    let path = temporary_path(dir);
    let write = || {
        let mut file = File::create(&path)?;
        file.write_all(bytes)?;
        file.sync_all()
    };
    write().map_err(unreachable(&path))?;
    Ok(path)
}

/// Makes the entries of the folder that holds `path` durable.
pub(crate) fn sync_parent(path: &Path) -> Result<(), CoordinatorError> {
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
    let parent = parent.unwrap_or(Path::new("."));
    File::open(parent).and_then(|dir| dir.sync_all()).map_err(unreachable(parent))
}

/// A lock that is held. Dropping it lets go at once; so does the end of the process.
#[derive(Debug)]
pub(crate) struct HeldLock(File);

impl Drop for HeldLock {
    /// Lets go by name: closing the file is not enough while a child that this process is just
    /// starting has a copy of it, from its fork until its exec.
    fn drop(&mut self) {
        let _closed_all_the_same = self.0.unlock();
    }
}

/// Opens a lock file and takes it; the error of a lock that is held carries its text.
///
/// The file stays for ever: removing it would let two processes lock two files of one name.
pub(crate) fn lock(path: &Path, text: &str) -> io::Result<Result<HeldLock, String>> {
    let mut file =
        OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path)?;
    match file.try_lock() {
        Ok(()) => {
            file.set_len(0)?;
            file.write_all(text.as_bytes())?;
            file.sync_all()?;
            Ok(Ok(HeldLock(file)))
        }
        Err(fs::TryLockError::WouldBlock) => {
            let mut holder = String::new();
            file.read_to_string(&mut holder)?;
            Ok(Err(holder.trim().to_owned()))
        }
        Err(fs::TryLockError::Error(error)) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicBool;

    use super::*;

    #[test]
    fn exactly_one_of_many_creators_wins() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("own");
        let wins: usize = std::thread::scope(|scope| {
            let creators: Vec<_> = (0..8)
                .map(|i| {
                    let (dir, path) = (dir.path(), &path);
                    scope.spawn(move || {
                        let won = create_exclusive(dir, path, format!("creator {i}").as_bytes());
                        usize::from(won.unwrap())
                    })
                })
                .collect();
            creators.into_iter().map(|creator| creator.join().unwrap()).sum()
        });
        assert_eq!(wins, 1);
    }

    #[test]
    fn a_changed_byte_is_seen_anywhere_in_a_sealed_file() {
        let place = Path::new("config");
        let sealed = seal(&vec!["one", "two"], place).unwrap();
        assert_eq!(unseal::<Vec<String>>(&sealed, place).unwrap(), ["one", "two"]);
        for position in 0..sealed.len() {
            let mut broken = sealed.clone();
            broken[position] ^= 1;
            assert!(unseal::<Vec<String>>(&broken, place).is_err(), "byte {position}");
        }
    }

    #[test]
    fn a_held_lock_names_its_holder() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("lock");
        let held = lock(&path, "node a").unwrap().unwrap();
        assert_eq!(lock(&path, "node b").unwrap().unwrap_err(), "node a");
        drop(held);
        assert!(lock(&path, "node b").unwrap().is_ok());
    }

    #[test]
    fn a_lock_is_free_when_it_is_dropped_though_children_are_started_meanwhile() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("lock");
        let done = AtomicBool::new(false);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                while !done.load(Ordering::Relaxed) {
                    std::process::Command::new("true").status().unwrap();
                }
            });
            let held = (0..300).filter(|_| lock(&path, "node a").unwrap().is_err()).count();
            done.store(true, Ordering::Relaxed);
            assert_eq!(held, 0, "times that a dropped lock was still held");
        });
    }
}
