//! Writes a mailbox as a Maildir++.

mod folder;

use super::error::ExportError;
use super::job::Job;
use super::names::Taken;
use super::target::write_file;
use crate::dovecot::SubscriptionsForm;
use crate::import::{SUBSCRIPTIONS_FORM, SUBSCRIPTIONS_TEXT};
use crate::maildir::folder_name::{DISK_NAME_ATTRIBUTE, to_disk};
use crate::maildir::os_name;
use crate::{FolderInfo, MailboxInfo};
use std::path::{Path, PathBuf};

/// Writes one mailbox into its folder.
pub(super) fn export_mailbox(
    job: &mut Job<'_>,
    mailbox: &MailboxInfo,
    path: &Path,
) -> Result<(), ExportError> {
    let mut taken = Taken::default();
    let mut folders = job.folders(mailbox)?;
    // A name that a folder brings along goes before one that is made up.
    folders.sort_by_key(|folder| !folder.attributes.contains_key(DISK_NAME_ATTRIBUTE));
    let mut has_inbox = false;
    for folder in folders {
        has_inbox |= folder.name.is_inbox();
        let place = place(job, path, &folder, &mut taken);
        folder::export(job, mailbox, &folder, &place)?;
    }
    if !has_inbox {
        folder::create_message_folders(path)?;
    }
    write_subscriptions(mailbox, path)
}

/// The path of a folder: INBOX is the root, others have the name they came with if that is safe,
/// else one made of theirs.
fn place(job: &mut Job<'_>, root: &Path, folder: &FolderInfo, taken: &mut Taken) -> PathBuf {
    if folder.name.is_inbox() {
        return root.to_owned();
    }
    if let Some(text) = folder.attributes.get(DISK_NAME_ATTRIBUTE) {
        let name = os_name::from_text(text);
        let own = name.as_encoded_bytes().starts_with(b".");
        if own && taken.take(&name) {
            return root.join(name);
        }
        let text = format!("folder {} cannot have its name {text:?} here", folder.name);
        job.warn(root, &text);
    }
    let made = to_disk(folder.name.as_str());
    if taken.take(made.as_ref()) {
        return root.join(made);
    }
    let hash = blake3::hash(folder.name.as_str().as_bytes()).to_hex();
    let name = taken.take_numbered(&format!(".unnamed-{}", &hash[..16]), "");
    let text = format!("folder {} is called {} here", folder.name, name.to_string_lossy());
    job.warn(root, &text);
    root.join(name)
}

/// Writes the `subscriptions` file: as it came if nothing has changed since, else in its form.
fn write_subscriptions(mailbox: &MailboxInfo, root: &Path) -> Result<(), ExportError> {
    let form = mailbox.attributes.get(SUBSCRIPTIONS_FORM);
    if form.is_none() && mailbox.subscriptions.is_empty() {
        return Ok(());
    }
    let form = form.and_then(|name| SubscriptionsForm::from_name(name));
    let form = form.unwrap_or(SubscriptionsForm::Version2);
    let kept = mailbox.attributes.get(SUBSCRIPTIONS_TEXT);
    let kept = kept.filter(|text| SubscriptionsForm::parse(text).1 == mailbox.subscriptions);
    let bytes = match kept {
        Some(text) => os_name::text_to_bytes(text),
        None => form.to_text(&mailbox.subscriptions).into_bytes(),
    };
    write_file(&root.join("subscriptions"), &bytes, None)
}
