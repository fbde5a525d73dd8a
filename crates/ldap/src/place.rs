//! A directory server, and where in it to begin.

use std::fmt;

use crate::error::LdapError;

/// How a place begins: in the clear, and with TLS from the first byte.
const SCHEMES: [&str; 2] = ["ldap://", SECURE];
const SECURE: &str = "ldaps://";

/// A server and a base, as `ldap://HOST[:PORT]/BASE` names them (RFC 4516, without the rest), or
/// `ldaps://`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LdapPlace {
    /// `ldap://HOST[:PORT]` or `ldaps://HOST[:PORT]`.
    pub(crate) server: String,
    /// The name of the entry with which the subtree begins.
    pub(crate) base: String,
}

impl LdapPlace {
    /// Whether a text is meant as such a place.
    #[must_use]
    pub fn is_meant(text: &str) -> bool {
        scheme(text).is_some()
    }

    /// Whether the server speaks TLS from the first byte.
    pub(crate) fn is_tls(&self) -> bool {
        self.server.starts_with(SECURE)
    }

    /// The host, without its port.
    pub(crate) fn host(&self) -> &str {
        let host = self.server.split_once("://").map_or("", |(_, host)| host);
        match host.rsplit_once(':') {
            Some((host, port)) if !port.ends_with(']') => host,
            _ => host,
        }
    }

    /// Reads a place.
    ///
    /// # Errors
    ///
    /// [`LdapError::Place`] with what is wrong.
    pub fn parse(text: &str) -> Result<Self, LdapError> {
        let wrong =
            |cause: &str| LdapError::Place { place: text.to_owned(), cause: cause.to_owned() };
        let Some(scheme) = scheme(text) else {
            return Err(wrong("it does not begin with ldap:// or ldaps://"));
        };
        let rest = &text[scheme.len()..];
        let (host, base) = rest.split_once('/').unwrap_or((rest, ""));
        if host.is_empty() || host.contains(['@', '?', ' ']) {
            return Err(wrong("it names no server"));
        }
        let base = unescaped(base).ok_or_else(|| wrong("a % is not followed by two digits"))?;
        if base.is_empty() {
            return Err(wrong("it does not say where to begin"));
        }
        if base.contains('?') {
            return Err(wrong("a filter is given apart"));
        }
        Ok(Self { server: format!("{scheme}{host}"), base })
    }
}

impl fmt::Display for LdapPlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.server, self.base)
    }
}

/// How a text begins, if that is how a place begins.
fn scheme(text: &str) -> Option<&'static str> {
    let begins = |scheme: &&str| {
        text.get(..scheme.len()).is_some_and(|head| head.eq_ignore_ascii_case(scheme))
    };
    SCHEMES.into_iter().find(|scheme| begins(scheme))
}

/// Takes the percent signs out (RFC 3986, 2.1).
fn unescaped(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if byte != b'%' {
            bytes.push(byte);
            continue;
        }
        let mut digit = || char::from(rest.next()?).to_digit(16);
        let (high, low) = (digit()?, digit()?);
        bytes.push(u8::try_from(high * 16 + low).ok()?);
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::LdapPlace;

    #[track_caller]
    fn check(text: &str, expected: Result<(&str, &str), &str>) {
        match (LdapPlace::parse(text), expected) {
            (Ok(place), Ok((server, base))) => {
                assert_eq!((place.server.as_str(), place.base.as_str()), (server, base));
            }
            (Err(error), Err(words)) => assert!(error.to_string().contains(words), "{error}"),
            (found, expected) => panic!("{found:?} instead of {expected:?}"),
        }
    }

    #[test]
    fn a_place_is_a_server_and_a_base() {
        check("ldap://a:389/o=Example", Ok(("ldap://a:389", "o=Example")));
        check("LDAP://[::1]:389/ou=H%C3%B6,o=E", Ok(("ldap://[::1]:389", "ou=Hö,o=E")));
        check("LdapS://a:636/o=E", Ok(("ldaps://a:636", "o=E")));
        check("ldap://a/o=Example%20Inc", Ok(("ldap://a", "o=Example Inc")));
        check("http://a/o=E", Err("does not begin with ldap:// or ldaps://"));
        check("ldap:///o=E", Err("names no server"));
        check("ldap://a", Err("does not say where to begin"));
        check("ldap://a/o=E%2", Err("two digits"));
        check("ldap://a/o=E?cn", Err("a filter is given apart"));
    }

    #[test]
    fn a_host_is_named_without_its_port() {
        for (text, host) in [
            ("ldap://a:389/o=E", "a"),
            ("ldaps://a.example/o=E", "a.example"),
            ("ldap://[::1]:389/o=E", "[::1]"),
            ("ldap://[::1]/o=E", "[::1]"),
        ] {
            assert_eq!(LdapPlace::parse(text).expect("a place").host(), host);
        }
    }
}
