//! Why a directory could not be read.

/// Nothing was written and nothing was changed in the directory.
#[derive(Debug, thiserror::Error)]
pub enum LdapError {
    /// The place is none.
    #[error(
        "\"{place}\" is no place of a directory: {cause}; nothing was read; give \
         ldap://HOST[:PORT]/BASE or ldaps://HOST[:PORT]/BASE, such as \
         ldap://10.0.0.5/OU=Headquarters,O=Example"
    )]
    Place {
        /// What was given.
        place: String,
        /// What is wrong with it.
        cause: String,
    },
    /// Nobody answers there.
    #[error(
        "{place}: no directory answers: {source}; nothing was read; see that it runs and that the \
         way to it is open, then do it again"
    )]
    Unreachable {
        /// The server.
        place: String,
        /// What the connection said.
        source: Box<ldap3::LdapError>,
    },
    /// The server's certificate is not believed.
    #[error(
        "{place}: the certificate is not accepted: {cause}; nothing was read, and no password was \
         sent; {remedy}, then do it again"
    )]
    Certificate {
        /// The server.
        place: String,
        /// What is wrong with it.
        cause: String,
        /// What to do.
        remedy: String,
    },
    /// There is no TLS there.
    #[error(
        "{place}: there is no secure connection: {cause}; nothing was read, and no password was \
         sent; ldaps:// goes to a port of its own (636), --starttls to that of ldap:// (389)"
    )]
    Tls {
        /// The server.
        place: String,
        /// What is wrong.
        cause: String,
    },
    /// The file with those who are believed cannot be used.
    #[error(
        "{}: this file cannot be used: {cause}; nothing was read; give certificates in PEM",
        .file.display()
    )]
    CaFile {
        /// The file.
        file: std::path::PathBuf,
        /// What is wrong with it.
        cause: String,
    },
    /// A name without a password: a server takes that for nobody's logon (RFC 4513, 5.1.2) and
    /// shows what anybody may see, which is a shorter directory.
    #[error(
        "{place}: there is no password for \"{name}\", and the server would take them for nobody; \
         nothing was read; give the password, or no name"
    )]
    NoPassword {
        /// The server.
        place: String,
        /// The name that was given.
        name: String,
    },
    /// The server does not take the name or the password.
    #[error(
        "{place}: \"{name}\" may not log on: {source}; nothing was read; give a name that the \
         directory knows and its password"
    )]
    LogOn {
        /// The server.
        place: String,
        /// The name that was given.
        name: String,
        /// What the server said.
        source: Box<ldap3::LdapError>,
    },
    /// The search failed, or broke off.
    #[error(
        "{place}: reading \"{base}\" failed after {entries} entries: {source}; what came so far \
         was thrown away; mend the base or the filter, or see to the server, then do it again"
    )]
    Search {
        /// The server.
        place: String,
        /// Where it began.
        base: String,
        /// Entries that had come.
        entries: u64,
        /// What the server said.
        source: Box<ldap3::LdapError>,
    },
    /// Whoever waits asked to stop.
    #[error("{place}: stopped after {entries} entries; what came so far was thrown away")]
    Stopped {
        /// The server.
        place: String,
        /// Entries that had come.
        entries: u64,
    },
}
