//! Imports a Maildir++.

mod folder;
mod uids;

use super::error::ImportError;
use super::files;
use super::run::{Run, stored};
use crate::FolderName;
use crate::dovecot::SubscriptionsForm;
use crate::maildir::folder_name::DISK_NAME_ATTRIBUTE;
use crate::maildir::os_name::bytes_to_text;
use crate::maildir::tree::{self, TreeFolder};
use std::path::Path;

/// Mailbox attribute: the form of its `subscriptions` file.
pub(crate) const SUBSCRIPTIONS_FORM: &str = "subscriptions-form";
/// Mailbox attribute: the text of its `subscriptions` file, if that would be written otherwise.
pub(crate) const SUBSCRIPTIONS_TEXT: &str = "subscriptions-text";
/// Folder attribute: its `dovecot-keywords`.
pub(crate) const KEYWORDS: &str = "dovecot-keywords";
/// Folder attribute: its GUID in `dovecot-uidlist`.
pub(crate) const GUID: &str = "dovecot-guid";

/// Imports the Maildir++ at `path` into the mailbox begun, below folder `under`.
pub(super) fn import(
    run: &mut Run<'_>,
    path: &Path,
    under: Option<&FolderName>,
) -> Result<(), ImportError> {
    let tree = tree::read(path)?;
    run.report.skipped.extend(tree.skipped);
    if under.is_none() {
        import_subscriptions(run, &path.join("subscriptions"))?;
    }
    for (index, found) in tree.folders.into_iter().enumerate() {
        let Some(found) = place(run, found, under) else { continue };
        folder::import(run, &found, index == 0)?;
    }
    Ok(())
}

/// Moves a folder below `under`; `None` if it has no name there.
fn place(run: &mut Run<'_>, found: TreeFolder, under: Option<&FolderName>) -> Option<TreeFolder> {
    let Some(under) = under else { return Some(found) };
    let name = match found.name.is_inbox() {
        true => Ok(under.clone()),
        false => FolderName::try_from(format!("{under}/{}", found.name)),
    };
    match name {
        Ok(name) => Some(TreeFolder { name, disk_name: None, ..found }),
        Err(error) => {
            run.skip(&found.path, error.to_string(), true);
            None
        }
    }
}

/// Reads the mailbox's subscriptions. Without a file they stay as they are.
fn import_subscriptions(run: &mut Run<'_>, path: &Path) -> Result<(), ImportError> {
    let Some(bytes) = files::read_if_there(path)? else { return Ok(()) };
    let text = bytes_to_text(&bytes);
    let (form, folders) = SubscriptionsForm::parse(&text);
    let kept_text = (form.to_text(&folders).as_bytes() != bytes).then_some(text.as_str());
    let info = run.mailbox();
    let (id, store) = (info.id, run.store);
    let attribute = |key: &str| info.attributes.get(key).map(String::as_str);
    stored(path.display(), || {
        if info.subscriptions != folders {
            store.set_subscriptions(id, folders)?;
        }
        for (key, value) in
            [(SUBSCRIPTIONS_FORM, Some(form.name())), (SUBSCRIPTIONS_TEXT, kept_text)]
        {
            if attribute(key) != value {
                store.set_attribute(id, key, value)?;
            }
        }
        Ok(())
    })
}

/// The attributes that a new folder gets.
fn attributes(
    found: &TreeFolder,
    keywords: &crate::dovecot::Keywords,
    guid: Option<&str>,
) -> std::collections::BTreeMap<String, String> {
    let keywords = (!keywords.is_empty()).then(|| keywords.to_text());
    [
        (DISK_NAME_ATTRIBUTE, found.disk_name.clone()),
        (KEYWORDS, keywords),
        (GUID, guid.map(str::to_owned)),
    ]
    .into_iter()
    .filter_map(|(key, value)| Some((key.to_owned(), value?)))
    .collect()
}
