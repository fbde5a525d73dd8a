//! File names as text: every name has exactly one text, and the text gives the name back.

use std::ffi::{OsStr, OsString};
use std::fmt::Write as _;

/// Starts the text of a name that is not UTF-8 (or that itself starts so).
const ESCAPED: &str = "%bytes:";

/// The text of a file name: the name itself if it is UTF-8, else `%bytes:` and the name with each
/// byte that is not printable ASCII, and each `%`, as `%XX`.
pub(crate) fn to_text(name: &OsStr) -> String {
    bytes_to_text(name.as_encoded_bytes())
}

/// As [`to_text`], for a name (or other text) that comes as bytes.
pub(crate) fn bytes_to_text(bytes: &[u8]) -> String {
    match std::str::from_utf8(bytes) {
        Ok(text) if !text.starts_with(ESCAPED) => text.to_owned(),
        _ => {
            let mut text = String::from(ESCAPED);
            for &byte in bytes {
                if matches!(byte, b' '..=b'~') && byte != b'%' {
                    text.push(char::from(byte));
                } else {
                    write!(text, "%{byte:02X}").expect("a string takes everything");
                }
            }
            text
        }
    }
}

/// The bytes of a text from [`bytes_to_text`].
pub(crate) fn text_to_bytes(text: &str) -> Vec<u8> {
    let escaped = text.strip_prefix(ESCAPED).and_then(unescape);
    escaped.unwrap_or_else(|| text.as_bytes().to_vec())
}

/// The file name of a text from [`to_text`].
#[cfg(unix)]
pub(crate) fn from_text(text: &str) -> OsString {
    use std::os::unix::ffi::OsStringExt as _;
    OsString::from_vec(text_to_bytes(text))
}

/// The file name of a text from [`to_text`]; where names are not bytes, the text is the name.
#[cfg(not(unix))]
pub(crate) fn from_text(text: &str) -> OsString {
    OsString::from(text)
}

/// Replaces each `%XX`; `None` if a `%` is not followed by two hexadecimal digits.
fn unescape(text: &str) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&first, after)) = rest.split_first() {
        if first != b'%' {
            bytes.push(first);
            rest = after;
            continue;
        }
        let digits = std::str::from_utf8(after.get(..2)?).ok()?;
        bytes.push(u8::from_str_radix(digits, 16).ok()?);
        rest = &after[2..];
    }
    Some(bytes)
}

/// Whether `name` can be given to a file or folder without leaving the folder it is made in.
pub(crate) fn is_safe(name: &OsStr) -> bool {
    let bytes = name.as_encoded_bytes();
    let special = matches!(bytes, b"" | b"." | b"..");
    let separator = bytes.iter().any(|byte| matches!(byte, b'/' | b'\\' | 0));
    !special && !separator && bytes.len() <= 255
}

#[cfg(all(test, unix))]
mod tests {
    use super::{from_text, is_safe, to_text};
    use std::ffi::{OsStr, OsString};
    use std::os::unix::ffi::OsStringExt as _;

    #[track_caller]
    fn check(name: &[u8], text: &str) {
        let name = OsString::from_vec(name.to_vec());
        assert_eq!(to_text(&name), text);
        assert_eq!(from_text(text), name);
    }

    #[test]
    fn every_name_has_a_text_and_comes_back() {
        check(b"1.M2P3.host,S=5", "1.M2P3.host,S=5");
        check("Entwürfe %41".as_bytes(), "Entwürfe %41");
        check(b"a\xff%b", "%bytes:a%FF%25b");
        check(b"%bytes:a", "%bytes:%25bytes:a");
        let all: Vec<u8> = (1..=255).filter(|byte| *byte != b'/').collect();
        let name = OsString::from_vec(all);
        assert_eq!(from_text(&to_text(&name)), name);
    }

    #[test]
    fn a_broken_escape_is_taken_as_it_stands() {
        assert_eq!(from_text("%bytes:a%F"), OsString::from("%bytes:a%F"));
    }

    #[test]
    fn names_that_lead_elsewhere_are_not_safe() {
        for name in ["", ".", "..", "a/b", "/etc/passwd", "a\0b", "..\\x", &"x".repeat(256)] {
            assert!(!is_safe(OsStr::new(name)), "{name:?}");
        }
        assert!(!is_safe(&from_text("%bytes:%2E%2E")));
        assert!(!is_safe(&from_text("%bytes:a%2Fb")));
        assert!(is_safe(OsStr::new("...")));
        assert!(is_safe(OsStr::new(".Sent")));
    }
}
