//! Distinguished names: `/o=Organization/ou=Site/cn=Recipients/cn=alice`.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::DirectoryError;
use crate::names::{MailboxName, OrganizationName, ServerName, SiteName};
use crate::role::Role;

/// The permanent name of an object. Upper and lower case differ.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct DistinguishedName(String);

impl DistinguishedName {
    /// Checks a text: components `type=value`, each after a `/`, from the organization downwards.
    ///
    /// # Errors
    ///
    /// [`DirectoryError::Name`] if a component has no type, no value or a control character.
    pub fn new(text: &str) -> Result<Self, DirectoryError> {
        let fail = |fault| Err(DirectoryError::Name { text: text.to_owned(), fault });
        let Some(rest) = text.strip_prefix('/') else {
            return fail("it does not begin with a slash");
        };
        if text.chars().any(char::is_control) {
            return fail("it holds a control character");
        }
        for part in rest.split('/') {
            match part.split_once('=') {
                Some((kind, value)) if !kind.is_empty() && !value.is_empty() => {}
                _ => return fail("a component is not of the form type=value"),
            }
        }
        Ok(Self(text.to_owned()))
    }

    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The value of the last component.
    #[must_use]
    pub fn leaf(&self) -> &str {
        self.0.rsplit_once('=').map_or("", |(_, value)| value)
    }

    /// The name of an object below this one. `value` holds neither `/` nor `=`: names see to it.
    fn below(&self, value: &str) -> Self {
        Self(format!("{}/cn={value}", self.0))
    }

    /// The name of the organization.
    #[must_use]
    pub fn of_organization(organization: &OrganizationName) -> Self {
        Self(format!("/o={organization}"))
    }

    /// The name of the site.
    #[must_use]
    pub fn of_site(organization: &OrganizationName, site: &SiteName) -> Self {
        Self(format!("/o={organization}/ou={site}"))
    }

    /// The name of a server. Servers are named in capitals, so that one server has one name.
    pub(super) fn of_server(site: &Self, server: &ServerName) -> Self {
        let name = server.as_str().to_uppercase();
        site.below("Configuration").below("Servers").below(&name)
    }

    /// The name of a mailbox in the default container.
    pub(super) fn of_mailbox(site: &Self, mailbox: &MailboxName) -> Self {
        site.below("Recipients").below(mailbox.as_str())
    }

    /// The name of a public or system folder, a component for each part of the path.
    pub(super) fn of_folder<'a>(
        site: &Self,
        container: &str,
        path: impl Iterator<Item = &'a str>,
    ) -> Self {
        path.fold(site.below(container), |dn, part| dn.below(part))
    }

    /// The name of a role.
    pub(super) fn of_role(site: &Self, role: Role) -> Self {
        site.below("Configuration").below("Roles").below(role.as_str())
    }
}

impl fmt::Display for DistinguishedName {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.pad(&self.0)
    }
}

impl TryFrom<String> for DistinguishedName {
    type Error = DirectoryError;
    fn try_from(text: String) -> Result<Self, DirectoryError> {
        Self::new(&text)
    }
}

impl From<DistinguishedName> for String {
    fn from(name: DistinguishedName) -> Self {
        name.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: Result<&str, &str>) {
        let read = DistinguishedName::new(text);
        match (&read, expected) {
            (Ok(name), Ok(leaf)) => assert_eq!(name.leaf(), leaf),
            (Err(DirectoryError::Name { fault, .. }), Err(expected)) => {
                assert_eq!(*fault, expected);
            }
            _ => panic!("{text:?}: {read:?}, expected {expected:?}"),
        }
    }

    #[test]
    fn a_distinguished_name_is_a_chain_of_typed_components() {
        check("/o=Example/ou=HQ/cn=Recipients/cn=alice", Ok("alice"));
        check("/o=Example", Ok("Example"));
        check("o=Example", Err("it does not begin with a slash"));
        check("/o=Example/", Err("a component is not of the form type=value"));
        check("/o=Example/cn=", Err("a component is not of the form type=value"));
        check("/o=A\nB", Err("it holds a control character"));
    }
}
