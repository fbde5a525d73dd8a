//! Names of files that are written: never two alike, never one that leads elsewhere.

use crate::maildir::os_name;
use std::collections::HashSet;
use std::ffi::{OsStr, OsString};

/// The longest name that is given, in bytes; leaves room for what formats put behind it.
const NAME_BYTES_MAX: usize = 200;

/// Names that are taken in one folder.
#[derive(Default)]
pub(super) struct Taken(HashSet<OsString>);

impl Taken {
    /// Takes `name` if it is free and safe.
    pub(super) fn take(&mut self, name: &OsStr) -> bool {
        os_name::is_safe(name) && self.0.insert(name.to_owned())
    }

    /// Takes `stem` and `extension`, with a number between if need be.
    pub(super) fn take_numbered(&mut self, stem: &str, extension: &str) -> OsString {
        let first = OsString::from(format!("{stem}{extension}"));
        if self.take(&first) {
            return first;
        }
        let numbered =
            (2u64..).map(|number| OsString::from(format!("{stem} ({number}){extension}")));
        let mut free = numbered.skip_while(|name| !self.take(name));
        free.next().expect("some number is free")
    }
}

/// A name for a folder or, with an extension, a file: the component of a folder's name with what
/// means something to file systems and to imports replaced by `%XX`.
pub(super) fn component(text: &str) -> String {
    let lower = text.to_ascii_lowercase();
    let extension = [".eml", ".mbox", ".mbx"].iter().find(|end| lower.ends_with(**end));
    let extension_at = extension.map(|end| text.len() - end.len());
    let mut name = String::with_capacity(text.len());
    for (at, character) in text.char_indices() {
        let leading_dot = at == 0 && character == '.';
        let separator = matches!(character, '/' | '\\') || character.is_ascii_control();
        if leading_dot || separator || extension_at == Some(at) {
            name.push_str(&format!("%{:02X}", u32::from(character)));
        } else {
            name.push(character);
        }
    }
    if name.len() > NAME_BYTES_MAX {
        let hash = blake3::hash(text.as_bytes()).to_hex();
        name = format!("unnamed-{}", &hash[..16]);
    }
    name
}

/// Whether a base name can be that of a Maildir file: safe, and without what the format gives a
/// meaning to.
pub(super) fn is_maildir_base(name: &OsStr) -> bool {
    let bytes = name.as_encoded_bytes();
    let plain = bytes.iter().all(|byte| *byte != b':' && !byte.is_ascii_control());
    // An info part of all letters must still fit behind it.
    plain && !bytes.starts_with(b".") && bytes.len() <= NAME_BYTES_MAX && os_name::is_safe(name)
}

#[cfg(test)]
mod tests {
    use super::{Taken, component, is_maildir_base};
    use std::ffi::OsStr;

    #[track_caller]
    fn check(text: &str, expected: &str) {
        assert_eq!(component(text), expected);
        assert!(Taken::default().take(OsStr::new(&component(text))));
    }

    #[test]
    fn components_become_safe_names() {
        check("Größe 2024", "Größe 2024");
        check("..", "%2E.");
        check(".", "%2E");
        check("a\\b", "a%5Cb");
        check("a\0b\n", "a%00b%0A");
        check("x.mbox", "x%2Embox");
        check("x.Eml", "x%2EEml");
        check("x.emlx", "x.emlx");
        assert!(component(&"x".repeat(201)).starts_with("unnamed-"));
    }

    #[test]
    fn names_are_given_once() {
        let mut taken = Taken::default();
        assert_eq!(taken.take_numbered("a", ".mbox"), "a.mbox");
        assert_eq!(taken.take_numbered("a", ".mbox"), "a (2).mbox");
        assert_eq!(taken.take_numbered("a", ".mbox"), "a (3).mbox");
        assert!(!taken.take(OsStr::new("a.mbox")));
        assert!(!taken.take(OsStr::new("..")));
    }

    #[test]
    fn hostile_origins_are_no_base_names() {
        for name in ["", "..", "../x", "a/b", ".hidden", "a:2,S", "a\0b", "a\nb", "x\\y"] {
            assert!(!is_maildir_base(OsStr::new(name)), "{name:?}");
        }
        assert!(is_maildir_base(OsStr::new("1030114170.M654178P1102.mx1.example,S=1819,W=1868")));
        assert!(is_maildir_base(OsStr::new("00001.eml")));
    }
}
