//! The folders and files of a Maildir++ on disk.

use super::folder_name;
use crate::FolderName;
use crate::import::files::{self, Kind};
use crate::import::{ImportError, Skipped};
use crate::maildir::os_name;
use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};

/// The folders of a Maildir++ and what else lies in its root.
pub(crate) struct Tree {
    /// INBOX first, then the others sorted by their names on disk.
    pub folders: Vec<TreeFolder>,
    /// What is not read.
    pub skipped: Vec<Skipped>,
}

/// One folder.
pub(crate) struct TreeFolder {
    /// Where it is.
    pub path: PathBuf,
    /// Its name in the store.
    pub name: FolderName,
    /// Its name on disk, if `name` does not give it back.
    pub disk_name: Option<String>,
}

/// A message file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Entry {
    /// Whether it lies in `new`.
    pub recent: bool,
    /// The file's name.
    pub name: OsString,
}

impl Entry {
    /// The file's path.
    pub(crate) fn path(&self, folder: &Path) -> PathBuf {
        folder.join(if self.recent { "new" } else { "cur" }).join(&self.name)
    }
}

/// Whether a folder looks like the root of a Maildir++.
pub(crate) fn is_maildir(path: &Path) -> Result<bool, ImportError> {
    if has_message_folders(path) || files::is_file(&path.join("subscriptions")) {
        return Ok(true);
    }
    let entries = files::list(path)?;
    let mut below = entries.iter().filter(|(name, kind)| is_folder_name(name, *kind));
    Ok(below.any(|(name, _)| is_marked_folder(&path.join(name))))
}

pub(crate) fn has_message_folders(path: &Path) -> bool {
    ["cur", "new", "tmp"].iter().any(|name| files::is_folder(&path.join(name)))
}

fn is_marked_folder(path: &Path) -> bool {
    has_message_folders(path) || files::is_file(&path.join("maildirfolder"))
}

fn is_folder_name(name: &OsStr, kind: Kind) -> bool {
    kind == Kind::Folder && name.as_encoded_bytes().starts_with(b".")
}

/// Lists the folders. `cur` and `new` may be missing: copies often drop empty folders.
pub(crate) fn read(root: &Path) -> Result<Tree, ImportError> {
    let mut found: Vec<OsString> = Vec::new();
    let mut skipped = Vec::new();
    for (name, kind) in files::list(root)? {
        let path = root.join(&name);
        if is_folder_name(&name, kind) {
            if is_marked_folder(&path) || files::list(&path)?.is_empty() {
                found.push(name);
            } else {
                skipped.push(skip(&path, "a folder that has neither cur nor new", true));
            }
        } else if !is_own_file(&name, kind) {
            skipped.push(skip(&path, kind.reason(), kind != Kind::File));
        }
    }
    let inbox = TreeFolder { path: root.to_owned(), name: FolderName::inbox(), disk_name: None };
    let texts: Vec<String> = found.iter().map(|name| os_name::to_text(name)).collect();
    let named = folder_name::from_disk(texts.iter().map(String::as_str));
    let others = found.iter().zip(named).map(|(disk, named)| TreeFolder {
        path: root.join(disk),
        name: named.name,
        disk_name: named.disk_name,
    });
    let folders = std::iter::once(inbox).chain(others).collect();
    Ok(Tree { folders, skipped })
}

/// Whether an entry of the root or of a folder belongs to the format and holds no messages of its
/// own: what Dovecot and Courier keep beside them.
fn is_own_file(name: &OsStr, kind: Kind) -> bool {
    let Some(name) = name.to_str() else { return false };
    let message_folder = matches!(name, "cur" | "new" | "tmp");
    match kind {
        Kind::Folder => message_folder,
        Kind::File => {
            let known = matches!(name, "subscriptions" | "maildirfolder" | "maildirsize");
            // Access rights and filters mean something and are not taken over: they are listed.
            let dovecot = name.starts_with("dovecot") && !name.starts_with("dovecot-acl");
            known || dovecot || name.starts_with("courier")
        }
        Kind::Link | Kind::Other => false,
    }
}

/// Lists the message files of a folder, `new` before `cur`, each sorted by name.
///
/// `root` says that the folder is the root of the Maildir++, whose other entries are known already.
pub(crate) fn entries(
    folder: &Path,
    root: bool,
    skipped: &mut Vec<Skipped>,
) -> Result<Vec<Entry>, ImportError> {
    let mut found = Vec::new();
    for (recent, name) in [(true, "new"), (false, "cur")] {
        let path = folder.join(name);
        if !files::is_folder(&path) {
            continue;
        }
        for (name, kind) in files::list(&path)? {
            let hidden = name.as_encoded_bytes().starts_with(b".");
            match kind {
                Kind::File if hidden => {
                    skipped.push(skip(&path.join(&name), "a hidden file", false));
                }
                Kind::File => found.push(Entry { recent, name }),
                _ => skipped.push(skip(&path.join(&name), kind.reason(), true)),
            }
        }
    }
    skip_unfinished(&folder.join("tmp"), skipped)?;
    if !root {
        for (name, kind) in files::list(folder)? {
            if !is_own_file(&name, kind) {
                skipped.push(skip(&folder.join(name), kind.reason(), kind != Kind::File));
            }
        }
    }
    Ok(found)
}

/// Lists what lies in `tmp`: messages whose delivery was never finished.
fn skip_unfinished(tmp: &Path, skipped: &mut Vec<Skipped>) -> Result<(), ImportError> {
    if files::is_folder(tmp) {
        for (name, _) in files::list(tmp)? {
            let reason = "a delivery that was never finished (in tmp)";
            skipped.push(skip(&tmp.join(name), reason, false));
        }
    }
    Ok(())
}

pub(crate) fn skip(path: &Path, reason: impl Into<String>, mail: bool) -> Skipped {
    Skipped { place: path.display().to_string(), reason: reason.into(), mail }
}
