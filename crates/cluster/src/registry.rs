//! A node's `registry` folder: reading a key whole, and putting a copy back.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use crate::coordinator::KeyContent;
use crate::ids::CheckpointKey;

/// The name, below a node's state folder, of the folder that keys are in.
pub const REGISTRY_DIR: &str = "registry";

/// Suffix of a file being written; such files are no part of a key.
const TEMPORARY_SUFFIX: &str = ".rehome-new";

/// Reads what a key holds now.
///
/// # Errors
///
/// What the system says. A file that goes away while the folder is read is not an error: the
/// next look finds the key changed.
pub(crate) fn read_key(registry: &Path, key: &CheckpointKey) -> io::Result<KeyContent> {
    let path = registry.join(key.as_str());
    match fs::metadata(&path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(KeyContent::Absent),
        Err(error) => Err(error),
        Ok(found) if found.is_dir() => {
            let mut files = BTreeMap::new();
            read_folder(&path, "", &mut files)?;
            Ok(KeyContent::Folder(files))
        }
        Ok(_) => Ok(read_file(&path)?.map_or(KeyContent::Absent, KeyContent::File)),
    }
}

fn read_file(path: &Path) -> io::Result<Option<Vec<u8>>> {
    match fs::read(path) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

fn read_folder(
    folder: &Path,
    prefix: &str,
    files: &mut BTreeMap<String, Vec<u8>>,
) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let name = entry.file_name();
        let Some(name) = name.to_str().filter(|name| !name.ends_with(TEMPORARY_SUFFIX)) else {
            continue;
        };
        let relative = format!("{prefix}{name}");
        if entry.file_type()?.is_dir() {
            read_folder(&entry.path(), &format!("{relative}/"), files)?;
        } else if let Some(bytes) = read_file(&entry.path())? {
            files.insert(relative, bytes);
        }
    }
    Ok(())
}

/// Makes a key hold exactly `content`, durable when this returns. What is not in the copy goes:
/// a file that was put there while the resource was offline is lost.
///
/// # Errors
///
/// What the system says; the key may then be restored in part and is restored again next time.
pub(crate) fn write_key(
    registry: &Path,
    key: &CheckpointKey,
    content: &KeyContent,
) -> io::Result<()> {
    let path = registry.join(key.as_str());
    if read_key(registry, key)? == *content {
        return Ok(());
    }
    match content {
        KeyContent::Absent => remove(&path)?,
        KeyContent::File(bytes) => {
            if path.is_dir() {
                fs::remove_dir_all(&path)?;
            }
            write_file(&path, bytes)?;
        }
        KeyContent::Folder(files) => write_folder(registry, key, files)?,
    }
    sync_dir(path.parent().unwrap_or(registry))
}

fn write_folder(
    registry: &Path,
    key: &CheckpointKey,
    files: &BTreeMap<String, Vec<u8>>,
) -> io::Result<()> {
    let path = registry.join(key.as_str());
    if path.is_file() {
        fs::remove_file(&path)?;
    }
    fs::create_dir_all(&path)?;
    if let KeyContent::Folder(present) = read_key(registry, key)? {
        for name in present.keys().filter(|name| !files.contains_key(*name)) {
            remove(&path.join(name))?;
        }
    }
    for (name, bytes) in files {
        write_file(&path.join(name), bytes)?;
    }
    sync_dir(&path)
}

fn remove(path: &Path) -> io::Result<()> {
    let removed = if path.is_dir() { fs::remove_dir_all(path) } else { fs::remove_file(path) };
    match removed {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

fn write_file(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
    let parent = parent.unwrap_or(Path::new("."));
    fs::create_dir_all(parent)?;
    let mut temporary = path.as_os_str().to_owned();
    temporary.push(TEMPORARY_SUFFIX);
    let temporary = PathBuf::from(temporary);
    let mut file = File::create(&temporary)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    fs::rename(&temporary, path)?;
    sync_dir(parent)
}

fn sync_dir(path: &Path) -> io::Result<()> {
    fs::create_dir_all(path)?;
    File::open(path)?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(before: &[(&str, &str)], copy: &KeyContent) {
        let dir = tempfile::tempdir().unwrap();
        let key = CheckpointKey::new("services/store").unwrap();
        for (name, text) in before {
            let path = dir.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        write_key(dir.path(), &key, copy).unwrap();
        assert_eq!(read_key(dir.path(), &key).unwrap(), *copy);
    }

    #[test]
    fn a_key_is_exactly_what_the_copy_says() {
        let file = KeyContent::File(b"new".to_vec());
        let folder =
            KeyContent::Folder([("a".into(), b"1".to_vec()), ("b/c".into(), vec![])].into());
        let befores: [&[(&str, &str)]; 3] = [
            &[],
            &[("services/store", "old")],
            &[("services/store/a", "old"), ("services/store/marker", "restore in progress")],
        ];
        for before in befores {
            check(before, &KeyContent::Absent);
            check(before, &file);
            check(before, &folder);
        }
    }
}
