//! Imports `.eml` files, one or a folder of them.

use super::error::{ImportError, unreadable};
use super::files;
use super::known::KnownPaths;
use super::run::Run;
use crate::eml::{child_folder, listing};
use crate::maildir::os_name;
use crate::{Append, FolderId, FolderName, NewFolder};
use std::path::{Path, PathBuf};

/// Imports one message file into a folder of the mailbox begun.
pub(super) fn import_file(
    run: &mut Run<'_>,
    path: &Path,
    folder: &FolderName,
) -> Result<(), ImportError> {
    // One file that cannot be read is an error; in a folder it does not stop the others.
    drop(files::open(path, true).map_err(unreadable(path, "opening this file"))?);
    let info = run.folder(folder, NewFolder::default())?;
    let mut known = KnownPaths::load(run, &info)?;
    let origin = os_name::to_text(path.file_name().unwrap_or(path.as_os_str()));
    take(run, info.id, &mut known, path, origin, true)
}

/// Imports a folder with all folders in it; each becomes a folder, `root` itself is `under`.
pub(super) fn import_tree(
    run: &mut Run<'_>,
    root: &Path,
    under: Option<&FolderName>,
) -> Result<(), ImportError> {
    // A list of what is left, not a call for each level: nobody knows how deep a tree goes.
    let mut left =
        vec![Left { path: root.to_owned(), prefix: String::new(), name: under.cloned() }];
    while let Some(next) = left.pop() {
        left.extend(import_folder(run, next)?.into_iter().rev());
    }
    Ok(())
}

/// A folder of the tree that is not imported yet.
struct Left {
    path: PathBuf,
    /// Its path below the root, ending in `/`.
    prefix: String,
    /// Its name in the store; `None` for the root if that is INBOX.
    name: Option<FolderName>,
}

/// Imports one folder of the tree; returns those in it.
fn import_folder(run: &mut Run<'_>, folder: Left) -> Result<Vec<Left>, ImportError> {
    let Left { path, prefix, name } = folder;
    let listing = listing(&path)?;
    run.report.skipped.extend(listing.skipped);
    let folder = name.clone().unwrap_or_else(FolderName::inbox);
    let info = run.folder(&folder, NewFolder::default())?;
    let mut known = KnownPaths::load(run, &info)?;
    for file in listing.messages {
        let origin = format!("{prefix}{}", os_name::to_text(&file));
        take(run, info.id, &mut known, &path.join(file), origin, false)?;
    }
    drop(known);
    for file in listing.mboxes {
        let stem = Path::new(&file).file_stem().unwrap_or(&file);
        let folder = child_folder(name.as_ref(), stem);
        super::mbox::import(run, &path.join(&file), &folder)?;
    }
    let below = listing.folders.into_iter().map(|below| Left {
        name: Some(child_folder(name.as_ref(), &below)),
        prefix: format!("{prefix}{}/", os_name::to_text(&below)),
        path: path.join(below),
    });
    Ok(below.collect())
}

/// Takes one message file. One that the user has `named` may be a link.
fn take(
    run: &mut Run<'_>,
    folder: FolderId,
    known: &mut KnownPaths,
    path: &Path,
    origin: String,
    named: bool,
) -> Result<(), ImportError> {
    let opened = files::open(path, named).and_then(|file| file.metadata().map(|data| (file, data)));
    let read = match opened {
        Ok((_, metadata)) if run.is_too_large(path, "", metadata.len()) => return Ok(()),
        Ok((file, mut metadata)) => {
            files::read_message(file, &mut metadata).map(|body| (body, metadata))
        }
        Err(error) => Err(error),
    };
    let (body, metadata) = match read {
        Ok(read) => read,
        Err(error) => {
            let reason = format!("reading failed: {error}; make it readable and import again");
            run.skip(path, reason, true);
            return Ok(());
        }
    };
    if known.is_known(&origin, &body) {
        return run.present();
    }
    let internal_date_seconds = files::changed_seconds(&metadata);
    let origin = Some(origin);
    run.add(folder, Append { body, internal_date_seconds, origin, ..Append::default() })
}
