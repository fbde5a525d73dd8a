//! What the tests of import and export share: trees of files, and what a store holds.

use super::{ImportError, ImportOptions, ImportReport, import_source};
use crate::{ContentId, Flags, Flow, FolderName, MailboxName, Message, OpenOptions, Store, Uid};
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::time::{Duration, UNIX_EPOCH};
use tempfile::TempDir;

/// A folder that goes away, and an empty store in it.
pub(crate) fn empty_store() -> (TempDir, Store) {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::create_at(&folder.path().join("store"), OpenOptions::default()).unwrap();
    (folder, store)
}

pub(crate) fn mailbox(name: &str) -> MailboxName {
    MailboxName::try_from(name).unwrap()
}

/// Writes files below `root`; a path that ends in `/` is a folder.
pub(crate) fn write_tree(root: &Path, files: &[(&str, &[u8])]) {
    for (path, bytes) in files {
        let to = root.join(path);
        if path.ends_with('/') {
            fs::create_dir_all(to).unwrap();
            continue;
        }
        fs::create_dir_all(to.parent().unwrap()).unwrap();
        fs::write(to, bytes).unwrap();
    }
}

pub(crate) fn set_changed(path: &Path, seconds: u64) {
    let file = File::options().write(true).open(path).unwrap();
    file.set_modified(UNIX_EPOCH + Duration::from_secs(seconds)).unwrap();
}

/// Every file below `root`: path, content, seconds of the last change. Folders end in `/`.
pub(crate) fn read_tree(root: &Path) -> BTreeMap<String, (Vec<u8>, i64)> {
    let mut found = BTreeMap::new();
    let mut folders = vec![root.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path.strip_prefix(root).unwrap().to_str().unwrap().to_owned();
            if path.is_dir() {
                folders.push(path);
                found.insert(name + "/", Default::default());
            } else {
                let changed = super::files::changed_seconds(&fs::metadata(&path).unwrap());
                found.insert(name, (fs::read(&path).unwrap(), changed));
            }
        }
    }
    found
}

/// Every message of a mailbox, by folder and UID.
pub(crate) fn messages(store: &Store, name: &str) -> Vec<(FolderName, Message)> {
    let id = store.mailbox(&mailbox(name)).unwrap().unwrap().id;
    let mut folders = store.folders(id).unwrap();
    folders.sort_by(|one, other| one.name.cmp(&other.name));
    let all = folders.into_iter().flat_map(|folder| {
        let rows = store.messages(id, folder.id, Uid(0), usize::MAX >> 1).unwrap();
        rows.into_iter().map(move |message| (folder.name.clone(), message))
    });
    all.collect()
}

/// The same as lines: folder, UID, date, flags, keywords, origin, body.
pub(crate) fn lines(store: &Store, name: &str) -> Vec<String> {
    let line = |(folder, message): (FolderName, Message)| {
        let body = body(store, &message.content);
        format!(
            "{folder} {} @{} {:?} {:?} {} {body:?}",
            message.uid,
            message.internal_date_seconds,
            message.flags,
            message.keywords,
            message.origin.unwrap_or_default(),
        )
    };
    messages(store, name).into_iter().map(line).collect()
}

fn body(store: &Store, content: &ContentId) -> String {
    String::from_utf8_lossy(&store.body(content).unwrap()).into_owned()
}

pub(crate) fn go_on<T>(_: T) -> Flow {
    Flow::Continue
}

/// Imports into mailbox `anna`.
pub(crate) fn import(
    path: &Path,
    folder: Option<&str>,
    store: &Store,
) -> Result<ImportReport, ImportError> {
    let folder = folder.map(|name| FolderName::try_from(name).unwrap());
    let options = ImportOptions::default();
    import_source(path, &mailbox("anna"), folder.as_ref(), store, &options, &mut go_on)
}

/// The flags together.
pub(crate) fn union(flags: &[Flags]) -> Flags {
    flags.iter().fold(Flags::NONE, |all, flag| all.union(*flag))
}

/// The corpus of real mail: `$REHOME_CORPUS`, or beside the workspace; `None`, said in a line, if
/// it is not there.
pub(crate) fn corpus(part: &str) -> Option<PathBuf> {
    let beside = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/corpus");
    let root = std::env::var_os("REHOME_CORPUS").map_or_else(beside, PathBuf::from);
    let path = root.join(part);
    if path.is_dir() {
        return Some(path);
    }
    println!("skipped: there is no corpus at {}; set REHOME_CORPUS", path.display());
    None
}
