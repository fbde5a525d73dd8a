//! Folder names: `.A.B` on disk, "A/B" in the store.

use crate::{FolderName, mutf7};
use std::collections::{BTreeMap, HashSet};

/// The folder attribute that keeps a name on disk which the folder's name does not give back.
pub(crate) const DISK_NAME_ATTRIBUTE: &str = "maildir-name";

/// One component of a folder's name as it stands on disk: modified UTF-7, and `.`, which is the
/// separator there, written as `&AC4-`.
pub(crate) fn component_to_disk(component: &str) -> String {
    mutf7::encode(component, |character| character == '.')
}

/// The component that stands on disk as `text`; `text` itself if it is no exact modified UTF-7.
pub(crate) fn component_from_disk(text: &str) -> String {
    match mutf7::decode(text) {
        Some(name) if component_to_disk(&name) == text && !name.contains(['/', '\0']) => name,
        _ => text.to_owned(),
    }
}

/// The name that a folder of the store has on disk, with the leading dot; not for INBOX.
pub(crate) fn to_disk(name: &str) -> String {
    name.split('/').fold(String::new(), |disk, part| disk + "." + &component_to_disk(part))
}

/// The name that a folder with these attributes has in a Maildir++ tree: empty for INBOX, with a
/// leading dot for the others.
#[must_use]
pub fn maildir_folder_name(name: &FolderName, attributes: &BTreeMap<String, String>) -> String {
    if name.is_inbox() {
        return String::new();
    }
    attributes.get(DISK_NAME_ATTRIBUTE).cloned().unwrap_or_else(|| to_disk(name.as_str()))
}

/// A folder's name in the store for its name on disk.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Named {
    /// The name in the store.
    pub name: FolderName,
    /// The name on disk, if `name` does not give it back: for [`DISK_NAME_ATTRIBUTE`].
    pub disk_name: Option<String>,
}

/// Names the folders of one mailbox, whose names on disk (with the leading dot) come in order.
///
/// The names differ from each other and from INBOX. The same list gives the same names.
pub(crate) fn from_disk<'a>(disk_names: impl IntoIterator<Item = &'a str>) -> Vec<Named> {
    let mut taken: HashSet<String> = HashSet::from([FolderName::inbox().into()]);
    disk_names.into_iter().map(|disk| name_one(disk, &mut taken)).collect()
}

/// Finds a name that is allowed and not taken.
fn name_one(disk: &str, taken: &mut HashSet<String>) -> Named {
    let parts = disk.strip_prefix('.').unwrap_or(disk).split('.');
    let wished = parts.map(component_from_disk).collect::<Vec<_>>().join("/");
    let hash = blake3::hash(disk.as_bytes()).to_hex();
    let substitute = format!("unnamed-{}", &hash[..16]);
    // Somebody may have given a folder the name of a substitute.
    let mut candidates = numbered(&wished).take(10).chain(numbered(&substitute));
    let name = candidates.find_map(|candidate| {
        let name = FolderName::try_from(candidate.as_str()).ok()?;
        taken.insert(name.as_str().to_owned()).then_some(name)
    });
    let name = name.expect("a substitute with some number is plain and free");
    let exact = to_disk(name.as_str()) == disk;
    Named { name, disk_name: (!exact).then(|| disk.to_owned()) }
}

/// A name, and the same with numbers behind it.
fn numbered(name: &str) -> impl Iterator<Item = String> {
    let behind = (2_u64..).map(move |number| format!("{name} ({number})"));
    std::iter::once(name.to_owned()).chain(behind)
}

#[cfg(test)]
mod tests {
    use super::{from_disk, to_disk};

    #[track_caller]
    fn check(disk: &[&str], expected: &[(&str, Option<&str>)]) {
        let named = from_disk(disk.iter().copied());
        let read: Vec<_> =
            named.iter().map(|named| (named.name.as_str(), named.disk_name.as_deref())).collect();
        assert_eq!(read, expected);
        for (named, disk) in named.iter().zip(disk) {
            if named.disk_name.is_none() {
                assert_eq!(to_disk(named.name.as_str()), *disk);
            }
        }
    }

    #[test]
    fn a_folder_with_the_name_of_another_ones_substitute_harms_nobody() {
        let bad = format!(".{}", "x".repeat(2000));
        let substitute = format!("unnamed-{}", &blake3::hash(bad.as_bytes()).to_hex()[..16]);
        check(
            &[&format!(".{substitute}"), &bad],
            &[(&substitute, None), (&format!("{substitute} (2)"), Some(&bad))],
        );
    }

    #[test]
    fn ordinary_names_need_no_attribute() {
        check(
            &[".Sent", ".Lists.lkml", ".Entw&APw-rfe", ".A &- B", ".&U9dP4W4IMH8-"],
            &[
                ("Sent", None),
                ("Lists/lkml", None),
                ("Entwürfe", None),
                ("A & B", None),
                ("受信済み", None),
            ],
        );
    }

    #[test]
    fn a_dot_inside_a_component_is_encoded() {
        assert_eq!(to_disk("v1.2/x"), ".v1&AC4-2.x");
        check(&[".v1&AC4-2.x"], &[("v1.2/x", None)]);
    }

    #[test]
    fn names_that_do_not_come_back_keep_what_is_on_disk() {
        check(
            &[".Entwürfe", ".a&b", ".Caf&AGk-"],
            &[
                ("Entwürfe", Some(".Entwürfe")),
                ("a&b", Some(".a&b")),
                ("Caf&AGk-", Some(".Caf&AGk-")),
            ],
        );
    }

    #[test]
    fn no_two_folders_get_one_name() {
        check(
            &[".Entw&APw-rfe", ".Entwürfe", ".INBOX", ".inbox"],
            &[
                ("Entwürfe", None),
                ("Entwürfe (2)", Some(".Entwürfe")),
                ("INBOX (2)", Some(".INBOX")),
                ("inbox (2)", Some(".inbox")),
            ],
        );
    }

    #[test]
    fn a_name_that_the_store_refuses_gets_a_substitute() {
        let named = from_disk([".A..B", "..."]);
        for (named, disk) in named.iter().zip([".A..B", "..."]) {
            assert!(named.name.as_str().starts_with("unnamed-"), "{named:?}");
            assert_eq!(named.disk_name.as_deref(), Some(disk));
        }
    }
}
