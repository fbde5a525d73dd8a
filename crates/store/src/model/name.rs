//! Checked names of mailboxes and folders.

use std::borrow::Borrow;
use std::fmt;

use serde::{Deserialize, Serialize};

/// Longest mailbox name, in bytes.
const MAILBOX_NAME_SIZE_MAX: usize = 255;
/// Longest folder name with all its components, in bytes.
const FOLDER_NAME_SIZE_MAX: usize = 1024;

/// The text names no mailbox or folder.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is no name of a {of}: {cause}")]
pub struct NameError {
    /// What was given.
    pub text: String,
    /// What it should have named.
    pub of: &'static str,
    /// What is wrong with it.
    pub cause: &'static str,
}

/// Name of a mailbox: 1 to 255 bytes without `/`, `\` or control characters, not `.` or `..`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct MailboxName(String);

/// Name of a folder: components joined by `/`, none empty, without control characters, at most
/// 1,024 bytes. `INBOX` is the root folder; its first component is written so in whatever case it
/// is given (RFC 9051, 5.1).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct FolderName(String);

impl MailboxName {
    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FolderName {
    /// The root folder, `INBOX`.
    #[must_use]
    pub fn inbox() -> FolderName {
        FolderName("INBOX".to_owned())
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether this is the root folder.
    #[must_use]
    pub fn is_inbox(&self) -> bool {
        self.0 == "INBOX"
    }

    /// Its components, outermost first.
    pub fn components(&self) -> impl Iterator<Item = &str> {
        self.0.split('/')
    }
}

impl TryFrom<&str> for MailboxName {
    type Error = NameError;

    fn try_from(text: &str) -> Result<MailboxName, NameError> {
        let cause = if text.is_empty() {
            "it is empty"
        } else if text.len() > MAILBOX_NAME_SIZE_MAX {
            "it is longer than 255 bytes"
        } else if text == "." || text == ".." {
            "it is a path"
        } else if text.contains(['/', '\\']) {
            "it holds a / or \\"
        } else if text.contains(char::is_control) {
            "it holds a control character"
        } else {
            return Ok(MailboxName(text.to_owned()));
        };
        Err(NameError { text: text.to_owned(), of: "mailbox", cause })
    }
}

impl TryFrom<&str> for FolderName {
    type Error = NameError;

    fn try_from(text: &str) -> Result<FolderName, NameError> {
        let cause = if text.len() > FOLDER_NAME_SIZE_MAX {
            "it is longer than 1024 bytes"
        } else if text.split('/').any(str::is_empty) {
            "a component is empty"
        } else if text.contains(char::is_control) {
            "it holds a control character"
        } else {
            return Ok(FolderName(with_root_in_capitals(text)));
        };
        Err(NameError { text: text.to_owned(), of: "folder", cause })
    }
}

/// `text` with its first component written `INBOX` if it is that in another case.
fn with_root_in_capitals(text: &str) -> String {
    let (first, rest) = text.split_at(text.find('/').unwrap_or(text.len()));
    if first.eq_ignore_ascii_case("INBOX") { format!("INBOX{rest}") } else { text.to_owned() }
}

macro_rules! as_text {
    ($name:ident) => {
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl AsRef<str> for $name {
            fn as_ref(&self) -> &str {
                &self.0
            }
        }

        impl Borrow<str> for $name {
            fn borrow(&self) -> &str {
                &self.0
            }
        }

        impl From<$name> for String {
            fn from(name: $name) -> String {
                name.0
            }
        }

        impl TryFrom<String> for $name {
            type Error = NameError;

            fn try_from(text: String) -> Result<$name, NameError> {
                $name::try_from(text.as_str())
            }
        }

        impl std::str::FromStr for $name {
            type Err = NameError;

            fn from_str(text: &str) -> Result<$name, NameError> {
                $name::try_from(text)
            }
        }
    };
}

as_text!(MailboxName);
as_text!(FolderName);

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, mailbox: bool, folder: Option<&str>) {
        assert_eq!(MailboxName::try_from(text).is_ok(), mailbox, "{text:?} as a mailbox");
        let name = FolderName::try_from(text);
        assert_eq!(name.as_ref().ok().map(FolderName::as_str), folder, "{text:?} as a folder");
    }

    #[test]
    fn names_are_checked() {
        check("anna", true, Some("anna"));
        check("anna@example.org", true, Some("anna@example.org"));
        check("Größe.2024", true, Some("Größe.2024"));
        check("inbox/Sent", false, Some("INBOX/Sent"));
        check("iNbOx", true, Some("INBOX"));
        check("Inboxes/a", false, Some("Inboxes/a"));
        check("", false, None);
        check("a//b", false, None);
        check("/a", false, None);
        check("..", false, Some(".."));
        check("a\0b", false, None);
        check(&"x".repeat(256), false, Some(&"x".repeat(256)));
        check(&"x".repeat(1025), false, None);
    }
}
