//! Writes a mailbox as `.eml` files.

use super::error::ExportError;
use super::job::{Job, tree_path};
use super::names::Taken;
use super::target::{create_folders, write_file};
use crate::maildir::os_name;
use crate::{FolderInfo, MailboxInfo, Message};
use std::collections::HashMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

/// Writes one mailbox into its folder.
pub(super) fn export_mailbox(
    job: &mut Job<'_>,
    mailbox: &MailboxInfo,
    path: &Path,
) -> Result<(), ExportError> {
    let mut taken: HashMap<PathBuf, Taken> = HashMap::new();
    for folder in job.folders(mailbox)? {
        let place = place(path, &folder);
        create_folders(&place)?;
        let taken = taken.entry(place.clone()).or_default();
        job.each_message(mailbox, &folder, |_, message, body| {
            let name = file_name(message, taken);
            write_file(&place.join(name), body, Some(message.internal_date_seconds))
        })?;
    }
    Ok(())
}

/// The folder on disk of a folder: INBOX is the root.
fn place(root: &Path, folder: &FolderInfo) -> PathBuf {
    let components: Vec<&str> = folder.name.components().collect();
    if folder.name.is_inbox() { root.to_owned() } else { tree_path(root, &components) }
}

/// The name that the file came with if it is one of an `.eml` file and free, else its UID.
fn file_name(message: &Message, taken: &mut Taken) -> OsString {
    let origin = message.origin.as_deref().unwrap_or_default();
    let name = origin.rsplit_once('/').map_or(origin, |(_, name)| name);
    let name = os_name::from_text(name);
    let bytes = name.as_encoded_bytes();
    let own = bytes.to_ascii_lowercase().ends_with(b".eml") && !bytes.starts_with(b".");
    if own && taken.take(&name) {
        return name;
    }
    taken.take_numbered(&format!("{:010}", message.uid.0), ".eml")
}
