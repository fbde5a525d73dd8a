//! Folders of `.eml` files: what in them is mail, and what their folders are called.

use crate::FolderName;
use crate::import::detect::{FileKind, by_name};
use crate::import::files::{self, Kind};
use crate::import::{ImportError, Skipped};
use crate::maildir::os_name;
use crate::maildir::tree::{self, skip};
use std::ffi::{OsStr, OsString};
use std::path::Path;

/// What is in a folder.
#[derive(Default)]
pub(crate) struct Listing {
    /// Messages, one a file; numbers in their order, then others sorted by name.
    pub messages: Vec<OsString>,
    /// Mboxes, sorted by name.
    pub mboxes: Vec<OsString>,
    /// Folders, sorted by name.
    pub folders: Vec<OsString>,
    /// What is not read.
    pub skipped: Vec<Skipped>,
}

/// Lists a folder.
pub(crate) fn listing(path: &Path) -> Result<Listing, ImportError> {
    let mut listing = Listing::default();
    for (name, kind) in files::list(path)? {
        match (kind, by_name(&name)) {
            (Kind::Folder, _) if tree::is_maildir(&path.join(&name))? => {
                let reason = "a Maildir inside a folder of messages; import it by itself";
                listing.skipped.push(skip(&path.join(&name), reason, true));
            }
            (Kind::Folder, _) => listing.folders.push(name),
            (Kind::File, Some(FileKind::Message)) => listing.messages.push(name),
            (Kind::File, Some(FileKind::Mbox)) => listing.mboxes.push(name),
            _ => {
                let mail = kind != Kind::File;
                listing.skipped.push(skip(&path.join(name), kind.reason(), mail));
            }
        }
    }
    listing.messages.sort_by_key(|name| number(name).unwrap_or(u64::MAX));
    Ok(listing)
}

fn number(name: &OsStr) -> Option<u64> {
    name.to_str()?.parse().ok()
}

/// The folder for a file or folder called `name` in folder `parent` (`None`: in the root).
///
/// A name that the store does not allow is replaced by one with its hash.
pub(crate) fn child_folder(parent: Option<&FolderName>, name: &OsStr) -> FolderName {
    let prefix = parent.map_or_else(String::new, |parent| format!("{parent}/"));
    let text = os_name::to_text(name);
    let hash = blake3::hash(format!("{prefix}{text}").as_bytes()).to_hex();
    let substitute = format!("unnamed-{}", &hash[..16]);
    let candidates = [format!("{prefix}{text}"), format!("{prefix}{substitute}"), substitute];
    let mut allowed = candidates.iter().filter_map(|name| FolderName::try_from(name.as_str()).ok());
    allowed.next().expect("a short plain name is allowed")
}

#[cfg(test)]
mod tests {
    use super::child_folder;
    use crate::FolderName;
    use std::ffi::OsStr;

    #[track_caller]
    fn check(parent: Option<&str>, name: &str, expected: &str) {
        let parent = parent.map(|parent| FolderName::try_from(parent).unwrap());
        assert_eq!(child_folder(parent.as_ref(), OsStr::new(name)).as_str(), expected);
    }

    #[test]
    fn folders_are_called_as_on_disk_where_that_is_allowed() {
        check(None, "2024", "2024");
        check(Some("A/B"), "Größe", "A/B/Größe");
        check(None, "..", "..");
        let substitute =
            |text: String| format!("unnamed-{:.16}", blake3::hash(text.as_bytes()).to_hex());
        check(None, "tab\there", &substitute("tab\there".to_owned()));
        let long = "x".repeat(1020);
        check(Some(&long), "long", &substitute(format!("{long}/long")));
    }
}
