//! Roles that one server of a site holds.

use serde::{Deserialize, Serialize};

/// A duty that one server holds for the whole site.
///
/// The first five go to the first server of a site and must have another holder before that
/// server may be removed (KB Q152959). The others are named by KB Q189286.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Role {
    /// All five roles that a first server gets.
    FirstServerInSite,
    /// Makes the offline address book and holds its folder.
    OfflineAddressBook,
    /// Holds the folder of free and busy times.
    FreeBusy,
    /// Holds the folder of the organization's forms.
    OrganizationForms,
    /// Calculates the routing table.
    RoutingCalculation,
    /// Looks after the site folders.
    SiteFolders,
    /// Keeps the keys for signed and sealed mail.
    KeyManagement,
    /// Exchanges directory changes with another site.
    DirectoryBridgehead,
    /// Expands distribution lists.
    ListExpansion,
    /// Carries mail to other systems.
    Connector,
}

impl Role {
    /// All roles, in the order in which they are explained.
    pub const ALL: [Self; 10] = [
        Self::FirstServerInSite,
        Self::OfflineAddressBook,
        Self::FreeBusy,
        Self::OrganizationForms,
        Self::RoutingCalculation,
        Self::SiteFolders,
        Self::KeyManagement,
        Self::DirectoryBridgehead,
        Self::ListExpansion,
        Self::Connector,
    ];

    /// The roles that a first server gets.
    pub const FIRST_SERVER: [Self; 5] = [
        Self::OfflineAddressBook,
        Self::FreeBusy,
        Self::OrganizationForms,
        Self::RoutingCalculation,
        Self::SiteFolders,
    ];

    /// The word in `site.toml`, in the directory and in JSON.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::FirstServerInSite => "first-server-in-site",
            Self::OfflineAddressBook => "offline-address-book",
            Self::FreeBusy => "free-busy",
            Self::OrganizationForms => "organization-forms",
            Self::RoutingCalculation => "routing-calculation",
            Self::SiteFolders => "site-folders",
            Self::KeyManagement => "key-management",
            Self::DirectoryBridgehead => "directory-bridgehead",
            Self::ListExpansion => "list-expansion",
            Self::Connector => "connector",
        }
    }

    /// Finds a role by its word.
    #[must_use]
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|role| role.as_str() == word)
    }

    /// The system folders that come with the role; empty if it has none.
    #[must_use]
    pub const fn system_folders(self) -> &'static [&'static str] {
        match self {
            Self::OfflineAddressBook => &["Offline Address Book", "OAB Version 2"],
            Self::FreeBusy => &["Schedule+ Free Busy Information"],
            Self::OrganizationForms => &["Organization Forms"],
            _ => &[],
        }
    }

    /// Tells whether a server with this role has `other`, too.
    #[must_use]
    pub fn implies(self, other: Self) -> bool {
        self == other || (self == Self::FirstServerInSite && Self::FIRST_SERVER.contains(&other))
    }

    /// Tells whether several servers of a site may have the role.
    #[must_use]
    pub const fn may_be_shared(self) -> bool {
        matches!(self, Self::DirectoryBridgehead | Self::ListExpansion | Self::Connector)
    }
}

impl std::fmt::Display for Role {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.pad(self.as_str())
    }
}
