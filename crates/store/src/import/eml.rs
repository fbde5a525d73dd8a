//! Imports `.eml` files, one or a folder of them.

use super::error::{ImportError, unreadable};
use super::files;
use super::known::KnownPaths;
use super::run::Run;
use crate::eml::{child_folder, listing};
use crate::maildir::os_name;
use crate::{Append, FolderId, FolderName, NewFolder};
use std::fs::File;
use std::path::Path;

/// Imports one message file into a folder of the mailbox begun.
pub(super) fn import_file(
    run: &mut Run<'_>,
    path: &Path,
    folder: &FolderName,
) -> Result<(), ImportError> {
    // One file that cannot be read is an error; in a folder it does not stop the others.
    drop(File::open(path).map_err(unreadable(path, "opening this file"))?);
    let info = run.folder(folder, NewFolder::default())?;
    let mut known = KnownPaths::load(run, &info)?;
    let origin = os_name::to_text(path.file_name().unwrap_or(path.as_os_str()));
    take(run, info.id, &mut known, path, origin)
}

/// Imports a folder with all folders in it; each becomes a folder, `root` itself is `under`.
pub(super) fn import_tree(
    run: &mut Run<'_>,
    root: &Path,
    under: Option<&FolderName>,
) -> Result<(), ImportError> {
    import_folder(run, root, "", under.cloned())
}

/// Imports one folder of the tree. `prefix` is its path below the root, ending in `/`; `name` is
/// `None` for the root if that is INBOX.
fn import_folder(
    run: &mut Run<'_>,
    path: &Path,
    prefix: &str,
    name: Option<FolderName>,
) -> Result<(), ImportError> {
    let listing = listing(path)?;
    run.report.skipped.extend(listing.skipped);
    let folder = name.clone().unwrap_or_else(FolderName::inbox);
    let info = run.folder(&folder, NewFolder::default())?;
    let mut known = KnownPaths::load(run, &info)?;
    for file in listing.messages {
        let origin = format!("{prefix}{}", os_name::to_text(&file));
        take(run, info.id, &mut known, &path.join(file), origin)?;
    }
    drop(known);
    for file in listing.mboxes {
        let stem = Path::new(&file).file_stem().unwrap_or(&file);
        let folder = child_folder(name.as_ref(), stem);
        super::mbox::import(run, &path.join(&file), &folder)?;
    }
    for below in listing.folders {
        let folder = child_folder(name.as_ref(), &below);
        let prefix = format!("{prefix}{}/", os_name::to_text(&below));
        import_folder(run, &path.join(below), &prefix, Some(folder))?;
    }
    Ok(())
}

/// Takes one message file.
fn take(
    run: &mut Run<'_>,
    folder: FolderId,
    known: &mut KnownPaths,
    path: &Path,
    origin: String,
) -> Result<(), ImportError> {
    let opened = File::open(path).and_then(|file| file.metadata().map(|data| (file, data)));
    let read = match opened {
        Ok((_, metadata)) if run.is_too_large(path, "", metadata.len()) => return Ok(()),
        Ok((file, metadata)) => files::read_message(file, &metadata).map(|body| (body, metadata)),
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
