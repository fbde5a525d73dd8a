//! Names of nodes, groups and resources, and keys of checkpoints, as checked types.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

/// The longest name of a node, group or resource, in bytes.
pub const NAME_BYTES_MAX: usize = 64;

/// A name or a key that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{what} {text:?} cannot be used: {cause}; {remedy}")]
pub struct BadName {
    /// What kind of name it was to be.
    pub what: &'static str,
    /// The text given.
    pub text: String,
    /// What is wrong with it.
    pub cause: &'static str,
    /// What to write instead.
    pub remedy: &'static str,
}

fn check_name(what: &'static str, text: &str) -> Result<(), BadName> {
    let bad = |cause| BadName {
        what,
        text: text.to_owned(),
        cause,
        remedy: "use 1 to 64 ASCII letters, digits, '-', '_' and inner spaces",
    };
    if text.is_empty() || text.len() > NAME_BYTES_MAX {
        return Err(bad("it is empty or too long"));
    }
    if text.starts_with(' ') || text.ends_with(' ') {
        return Err(bad("it starts or ends with a space"));
    }
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | ' ');
    if !text.chars().all(allowed) {
        return Err(bad("it has a character that a file name on every system cannot have"));
    }
    Ok(())
}

macro_rules! name_type {
    ($(#[$doc:meta])* $name:ident, $what:literal) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(Arc<str>);

        // As people write it, in quotes: messages show names in this form.
        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{:?}", self.as_str())
            }
        }

        impl $name {
            /// Checks `text` and makes it a name.
            ///
            /// # Errors
            ///
            /// [`BadName`] says which character or length is wrong.
            pub fn new(text: &str) -> Result<Self, BadName> {
                check_name($what, text)?;
                Ok(Self(text.into()))
            }

            /// The name as text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl TryFrom<String> for $name {
            type Error = BadName;
            fn try_from(text: String) -> Result<Self, BadName> {
                Self::new(&text)
            }
        }

        impl TryFrom<&str> for $name {
            type Error = BadName;
            fn try_from(text: &str) -> Result<Self, BadName> {
                Self::new(text)
            }
        }

        impl std::str::FromStr for $name {
            type Err = BadName;
            fn from_str(text: &str) -> Result<Self, BadName> {
                Self::new(text)
            }
        }

        impl From<$name> for String {
            fn from(name: $name) -> Self {
                name.0.as_ref().to_owned()
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

name_type!(
    /// The name of a node.
    NodeName,
    "node name"
);
name_type!(
    /// The name of a group, the unit of fail-over.
    GroupName,
    "group name"
);
name_type!(
    /// The name of a resource; unique in the cluster, not only in its group.
    ResourceName,
    "resource name"
);

/// A configuration key: a relative path below a node's `registry` folder, to a file or a folder.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct CheckpointKey(String);

impl CheckpointKey {
    /// Checks `text` and makes it a key; parts are separated by `/`.
    ///
    /// # Errors
    ///
    /// [`BadName`] if the path is empty, absolute or leaves the folder.
    pub fn new(text: &str) -> Result<Self, BadName> {
        let bad = |cause| BadName {
            what: "checkpoint key",
            text: text.to_owned(),
            cause,
            remedy: "use a relative path such as services/store/parameters",
        };
        if text.is_empty() || text.len() > 255 {
            return Err(bad("it is empty or longer than 255 bytes"));
        }
        if text.split('/').any(|part| matches!(part, "" | "." | "..")) {
            return Err(bad("it has an empty, '.' or '..' part"));
        }
        if text.chars().any(|c| c.is_control() || c == '\\') {
            return Err(bad("it has a control character or a backslash"));
        }
        Ok(Self(text.to_owned()))
    }

    /// The key as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The key as one part of a file name: `%` and `/` are written `%25` and `%2F`.
    pub(crate) fn file_stem(&self) -> String {
        self.0.replace('%', "%25").replace('/', "%2F")
    }
}

impl TryFrom<String> for CheckpointKey {
    type Error = BadName;
    fn try_from(text: String) -> Result<Self, BadName> {
        Self::new(&text)
    }
}

impl From<CheckpointKey> for String {
    fn from(key: CheckpointKey) -> Self {
        key.0
    }
}

impl fmt::Display for CheckpointKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, accepted: bool) {
        assert_eq!(NodeName::new(text).is_ok(), accepted, "{text:?}");
    }

    #[test]
    fn a_name_is_also_a_file_name_everywhere() {
        check("node-a", true);
        check("Mail Store", true);
        check("", false);
        check("a/b", false);
        check("a.1", false);
        check(" a", false);
        check(&"x".repeat(65), false);
    }

    #[test]
    fn a_key_cannot_leave_the_registry() {
        assert!(CheckpointKey::new("services/store/parameters").is_ok());
        for text in ["", "/etc", "a/../b", "a//b", "a\\b"] {
            assert!(CheckpointKey::new(text).is_err(), "{text:?}");
        }
    }
}
