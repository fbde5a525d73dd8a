//! Mailboxes in the directory: the home server decides which store takes a mailbox's mail.

use super::{
    Attributes, Class, Directory, DirectoryError, DistinguishedName, MailboxName, ServerName, Usn,
};
use crate::site::Mailbox;

/// Attribute of a mailbox: its home server.
pub(super) const HOME: &str = "home-server";

/// The attributes of a mailbox that `site.toml` lists, but for the home server.
pub(super) fn attributes_of(mailbox: &Mailbox) -> Attributes {
    let mut attributes = Attributes::new();
    let mut set = |name: &str, values: Vec<String>| {
        if !values.is_empty() {
            attributes.insert(name.to_owned(), values);
        }
    };
    set("display-name", mailbox.display_name.iter().cloned().collect());
    set("account", mailbox.account.iter().map(ToString::to_string).collect());
    set("alias", mailbox.aliases.iter().map(ToString::to_string).collect());
    set("delegate", mailbox.delegates.iter().map(ToString::to_string).collect());
    attributes
}

impl Directory {
    /// The name of a mailbox's object.
    #[must_use]
    pub fn mailbox_dn(&self, mailbox: &MailboxName) -> DistinguishedName {
        DistinguishedName::of_mailbox(&self.site_dn(), mailbox)
    }

    /// Adds a mailbox. Adding the same again changes nothing.
    ///
    /// # Errors
    ///
    /// [`DirectoryError::Unknown`] if the site has no such server; [`DirectoryError::Exists`] if
    /// there is such a mailbox with another home or other attributes.
    pub fn add_mailbox(
        &mut self,
        mailbox: &MailboxName,
        home: &ServerName,
        mut attributes: Attributes,
        now_us: i64,
    ) -> Result<Usn, DirectoryError> {
        self.require_server(home)?;
        let dn = self.mailbox_dn(mailbox);
        attributes.insert(HOME.to_owned(), vec![home.to_string()]);
        match self.object(&dn) {
            Some(object) if object.attributes != attributes => Err(DirectoryError::Exists { dn }),
            _ => Ok(self.put(&dn, Class::Mailbox, attributes, now_us)),
        }
    }

    /// All mailboxes with their home servers, by name.
    #[must_use]
    pub fn mailboxes(&self) -> Vec<(MailboxName, ServerName)> {
        let pairs = self.of_class(Class::Mailbox).map(|object| {
            let name = MailboxName::new(object.dn.leaf()).ok()?;
            Some((name, self.server_in(object.value(HOME)?)?))
        });
        pairs.flatten().collect()
    }

    /// The mailboxes whose home is `server`, by name.
    #[must_use]
    pub fn mailboxes_of(&self, server: &ServerName) -> Vec<MailboxName> {
        let own = self.mailboxes().into_iter().filter(|(_, home)| home == server);
        own.map(|(name, _)| name).collect()
    }

    /// The home server of a mailbox.
    #[must_use]
    pub fn home_server(&self, mailbox: &MailboxName) -> Option<ServerName> {
        self.server_in(self.object(&self.mailbox_dn(mailbox))?.value(HOME)?)
    }

    /// Changes the home server of a mailbox, if it still is `expected`.
    ///
    /// If it is `to` already nothing changes: a move that is done again after a crash goes on. The
    /// decision is only as exclusive as the caller makes it: of two replicas that decide at the
    /// same time one is overruled later, so one directory has to decide for a mailbox.
    ///
    /// # Errors
    ///
    /// [`DirectoryError::Unknown`] for an unknown mailbox or server,
    /// [`DirectoryError::HomeConflict`] if the home is neither `expected` nor `to`.
    pub fn set_home(
        &mut self,
        mailbox: &MailboxName,
        expected: &ServerName,
        to: &ServerName,
        now_us: i64,
    ) -> Result<Usn, DirectoryError> {
        self.require_server(to)?;
        let found = self.home_server(mailbox).ok_or_else(|| self.unknown("mailbox", mailbox))?;
        let dn = self.mailbox_dn(mailbox);
        if found != *expected && found != *to {
            let (mailbox, expected) = (mailbox.clone(), expected.clone());
            return Err(DirectoryError::HomeConflict { mailbox, expected, found });
        }
        let home = if found == *to { found } else { to.clone() };
        let usn = self.set_attribute(&dn, HOME, vec![home.to_string()], now_us);
        usn.ok_or_else(|| self.unknown("mailbox", mailbox))
    }
}
