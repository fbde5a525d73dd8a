//! Names as types: what each may contain and when two of them are the same.

use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};

use serde::{Deserialize, Serialize};

/// The longest name of anything, in bytes.
pub const NAME_SIZE_MAX: usize = 128;

/// Why a text is no name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{kind} \"{name}\" {fault}")]
pub struct NameError {
    /// What was to be named, as one says it: "server name".
    pub kind: &'static str,
    /// The text that was refused.
    pub name: String,
    /// What is wrong with it.
    pub fault: NameFault,
}

/// What is wrong with a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NameFault {
    /// Nothing in it.
    #[error("is empty")]
    Empty,
    /// More than [`NAME_SIZE_MAX`] bytes.
    #[error("is longer than {NAME_SIZE_MAX} bytes")]
    TooLong,
    /// A character that this kind of name cannot hold.
    #[error("contains {0:?}, which such a name cannot hold")]
    Character(char),
    /// Blank at the beginning or at the end.
    #[error("begins or ends with a blank")]
    Blank,
    /// A dot at the beginning, which would make it a Maildir++ sub-folder or a hidden file.
    #[error("begins with a dot")]
    LeadingDot,
    /// An account needs exactly one backslash between domain and user, or none.
    #[error("has more than one backslash")]
    Backslashes,
    /// A path with an empty component.
    #[error("has an empty component")]
    EmptyComponent,
}

/// When two names are the same.
fn fold(text: &str) -> String {
    text.to_lowercase()
}

/// Defines a name that keeps its spelling; `folded` names compare without regard to case.
macro_rules! name {
    ($(#[$doc:meta])* $type:ident, $kind:literal, $check:path, $fold:path) => {
        $(#[$doc])*
        #[derive(Clone, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $type(String);

        impl $type {
            /// Checks a text and makes it a name.
            ///
            /// # Errors
            ///
            /// [`NameError`] if the text is empty, too long or holds what such a name cannot.
            pub fn new(text: &str) -> Result<Self, NameError> {
                match $check(text) {
                    Ok(()) => Ok(Self(text.to_owned())),
                    Err(fault) => Err(NameError { kind: $kind, name: text.to_owned(), fault }),
                }
            }

            /// The name as it was written.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl TryFrom<&str> for $type {
            type Error = NameError;
            fn try_from(text: &str) -> Result<Self, NameError> {
                Self::new(text)
            }
        }

        impl TryFrom<String> for $type {
            type Error = NameError;
            fn try_from(text: String) -> Result<Self, NameError> {
                Self::new(&text)
            }
        }

        impl std::str::FromStr for $type {
            type Err = NameError;
            fn from_str(text: &str) -> Result<Self, NameError> {
                Self::new(text)
            }
        }

        impl From<$type> for String {
            fn from(name: $type) -> Self {
                name.0
            }
        }

        impl AsRef<str> for $type {
            fn as_ref(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $type {
            fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
                out.pad(&self.0)
            }
        }

        impl fmt::Debug for $type {
            fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Debug::fmt(&self.0, out)
            }
        }

        impl PartialEq for $type {
            fn eq(&self, other: &Self) -> bool {
                $fold(&self.0) == $fold(&other.0)
            }
        }

        impl Eq for $type {}

        impl PartialOrd for $type {
            fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
                Some(self.cmp(other))
            }
        }

        impl Ord for $type {
            fn cmp(&self, other: &Self) -> Ordering {
                $fold(&self.0).cmp(&$fold(&other.0))
            }
        }

        impl Hash for $type {
            fn hash<H: Hasher>(&self, state: &mut H) {
                $fold(&self.0).hash(state);
            }
        }
    };
}

name!(
    /// Name of an organization; upper and lower case differ, as they do at recovery (KB Q238063).
    OrganizationName, "organization name", check_title, str::to_owned
);
name!(
    /// Name of a site; upper and lower case differ.
    SiteName, "site name", check_title, str::to_owned
);
name!(
    /// Name of a server, of its machine or of a network-name resource that stands for it.
    ServerName, "server name", check_host, fold
);
name!(
    /// Name of a cluster node.
    NodeName, "node name", check_host, fold
);
name!(
    /// Name of a cluster.
    ClusterName, "cluster name", check_host, fold
);
name!(
    /// Name of a cluster group.
    GroupName, "group name", check_title, fold
);
name!(
    /// Directory name of a mailbox. Spelling counts; [`MailboxName::folded`] finds near twins.
    MailboxName, "mailbox name", check_mailbox, str::to_owned
);
name!(
    /// An account such as `EXAMPLE\svc-mail`.
    AccountName, "account name", check_account, fold
);
name!(
    /// Path of a public folder, components separated by `/`.
    FolderPath, "public folder path", check_path, str::to_owned
);

impl MailboxName {
    /// The form in which two names that differ only in case are the same.
    #[must_use]
    pub fn folded(&self) -> String {
        fold(&self.0)
    }
}

impl FolderPath {
    /// The components from the root downwards; there is at least one.
    pub fn components(&self) -> impl Iterator<Item = &str> {
        self.0.split('/')
    }
}

/// Rules that hold for every name.
fn check_common(text: &str) -> Result<(), NameFault> {
    if text.is_empty() {
        return Err(NameFault::Empty);
    }
    if text.len() > NAME_SIZE_MAX {
        return Err(NameFault::TooLong);
    }
    if let Some(bad) = text.chars().find(|c| c.is_control()) {
        return Err(NameFault::Character(bad));
    }
    if text.starts_with(char::is_whitespace) || text.ends_with(char::is_whitespace) {
        return Err(NameFault::Blank);
    }
    Ok(())
}

/// Rules and a set of characters that may not occur.
fn check_without(text: &str, forbidden: &[char]) -> Result<(), NameFault> {
    check_common(text)?;
    match text.chars().find(|c| forbidden.contains(c)) {
        Some(bad) => Err(NameFault::Character(bad)),
        None => Ok(()),
    }
}

/// Titles go into distinguished names; a colon breaks replication between sites (KB Q178163).
fn check_title(text: &str) -> Result<(), NameFault> {
    check_without(text, &['/', '=', ':', '\\'])
}

/// Names that machines answer to.
fn check_host(text: &str) -> Result<(), NameFault> {
    check_common(text)?;
    match text.chars().find(|c| !(c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.'))) {
        Some(bad) => Err(NameFault::Character(bad)),
        None if text.starts_with('.') => Err(NameFault::LeadingDot),
        None => Ok(()),
    }
}

/// A mailbox name is also the name of a folder on disk.
fn check_mailbox(text: &str) -> Result<(), NameFault> {
    check_without(text, &['/', '\\', '='])?;
    if text.starts_with('.') { Err(NameFault::LeadingDot) } else { Ok(()) }
}

/// `user` or `DOMAIN\user`.
fn check_account(text: &str) -> Result<(), NameFault> {
    check_without(text, &['/', '=', ':'])?;
    if text.matches('\\').count() > 1 {
        return Err(NameFault::Backslashes);
    }
    match text.split_once('\\') {
        Some((domain, user)) if domain.is_empty() || user.is_empty() => {
            Err(NameFault::EmptyComponent)
        }
        _ => Ok(()),
    }
}

/// Path components follow the rules of titles.
fn check_path(text: &str) -> Result<(), NameFault> {
    check_without(text, &['=', '\\'])?;
    if text.split('/').any(|part| part.trim().is_empty()) {
        return Err(NameFault::EmptyComponent);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `expected` is the fault, or nothing if the text is a name.
    #[track_caller]
    fn check<N: for<'a> TryFrom<&'a str, Error = NameError>>(
        text: &str,
        expected: Option<NameFault>,
    ) {
        assert_eq!(N::try_from(text).err().map(|error| error.fault), expected, "{text:?}");
    }

    #[test]
    fn names_refuse_what_would_break_a_path_or_a_distinguished_name() {
        check::<ServerName>("EX1", None);
        check::<ServerName>("ex-1.example", None);
        check::<ServerName>("EX 1", Some(NameFault::Character(' ')));
        check::<ServerName>("", Some(NameFault::Empty));
        check::<ServerName>("..", Some(NameFault::LeadingDot));
        check::<SiteName>("Head: quarters", Some(NameFault::Character(':')));
        check::<MailboxName>("..", Some(NameFault::LeadingDot));
        check::<MailboxName>("a/b", Some(NameFault::Character('/')));
        check::<MailboxName>("jürgen", None);
        check::<MailboxName>(" jo", Some(NameFault::Blank));
        check::<MailboxName>(&"x".repeat(NAME_SIZE_MAX + 1), Some(NameFault::TooLong));
        check::<AccountName>("EXAMPLE\\svc", None);
        check::<AccountName>("A\\B\\C", Some(NameFault::Backslashes));
        check::<AccountName>("\\svc", Some(NameFault::EmptyComponent));
        check::<FolderPath>("News/2024", None);
        check::<FolderPath>("News//2024", Some(NameFault::EmptyComponent));
        check::<OrganizationName>("a\u{7}", Some(NameFault::Character('\u{7}')));
    }

    #[test]
    fn servers_are_the_same_in_any_case_and_organizations_are_not() {
        let server = |text| ServerName::new(text).unwrap();
        assert_eq!(server("ex1"), server("EX1"));
        assert_eq!(server("ex1").to_string(), "ex1");
        assert_ne!(OrganizationName::new("Org").unwrap(), OrganizationName::new("ORG").unwrap());
    }
}
