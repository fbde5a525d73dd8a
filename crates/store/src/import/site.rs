//! The mailboxes of a site: a folder with a Maildir++ for each.

use super::error::{ImportError, unreadable};
use super::files::{self, Kind};
use super::report::Skipped;
use crate::MailboxName;
use crate::maildir::tree::{self, skip};
use std::path::{Path, PathBuf};

/// The mailboxes of a site, sorted by name.
pub(super) type Mailboxes = Vec<(MailboxName, PathBuf)>;

/// Lists the mailboxes, and what is not read.
pub(super) fn mailboxes(
    root: &Path,
    wanted: Option<&[MailboxName]>,
) -> Result<(Mailboxes, Vec<Skipped>), ImportError> {
    let metadata = std::fs::metadata(root).map_err(unreadable(root, "looking at this"))?;
    let not_a_site = |found, remedy| {
        let path = root.to_owned();
        Err(ImportError::NotMail { path, found, remedy })
    };
    if !metadata.is_dir() {
        return not_a_site("no folder", "give a folder with one Maildir for each mailbox");
    }
    let (mut found, mut skipped) = (Vec::new(), Vec::new());
    for (name, kind) in files::list(root)? {
        let path = root.join(&name);
        if kind != Kind::Folder {
            skipped.push(skip(&path, kind.reason(), kind != Kind::File));
        } else if !tree::is_maildir(&path)? {
            skipped.push(skip(&path, "a folder that is no Maildir", true));
        } else {
            match MailboxName::try_from(name.to_string_lossy().as_ref()) {
                Ok(mailbox) if name.to_str().is_some() => found.push((mailbox, path)),
                Ok(_) => skipped.push(skip(&path, "its name is not UTF-8; rename it", true)),
                Err(error) => skipped.push(skip(&path, error.to_string(), true)),
            }
        }
    }
    if tree::has_message_folders(root) {
        return not_a_site("a Maildir, not a folder of Maildirs", "import it as one source");
    }
    if found.is_empty() {
        return not_a_site("a folder without Maildirs", "give one with a Maildir for each mailbox");
    }
    for mailbox in wanted.unwrap_or_default() {
        if !found.iter().any(|(name, _)| name == mailbox) {
            let mailbox = mailbox.to_string();
            return Err(ImportError::NoSuchMailbox { path: root.to_owned(), mailbox });
        }
    }
    found.retain(|(name, _)| wanted.is_none_or(|wanted| wanted.contains(name)));
    Ok((found, skipped))
}
