//! Where a cluster is in etcd, as people write it.

use std::path::{Path, PathBuf};

/// Endpoints, a prefix, and what proves who asks.
///
/// Written `etcd://HOST:PORT,HOST:PORT/PREFIX`, or with TLS
/// `etcds://HOST:PORT,HOST:PORT/PREFIX?ca=FILE&cert=FILE&key=FILE`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EtcdPlace {
    /// The text it was read from.
    text: PathBuf,
    /// `http://HOST:PORT` or `https://HOST:PORT`, in the order in which they are tried.
    pub(crate) endpoints: Vec<String>,
    /// What all keys of the cluster begin with, without a slash at the end.
    pub(crate) prefix: String,
    /// Files of TLS, if it is used.
    pub(crate) tls: Option<TlsFiles>,
}

/// The files of TLS.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct TlsFiles {
    /// Certificates of those who sign the servers' certificates.
    pub(crate) ca: PathBuf,
    /// The certificate of whoever asks, and its key.
    pub(crate) client: Option<(PathBuf, PathBuf)>,
}

/// Why a place cannot be understood.
#[derive(Debug, thiserror::Error)]
#[error(
    "{text:?} is no place in etcd: {cause}; write etcd://HOST:PORT,HOST:PORT/NAME, or \
     etcds://HOST:PORT/NAME?ca=FILE&cert=FILE&key=FILE"
)]
pub struct PlaceError {
    text: String,
    cause: &'static str,
}

impl EtcdPlace {
    /// Whether a place is meant to be in etcd.
    #[must_use]
    pub fn is_meant(place: &Path) -> bool {
        place.to_str().is_some_and(|text| split_scheme(text).is_some())
    }

    /// Reads a place.
    ///
    /// # Errors
    ///
    /// [`PlaceError`] says what is wrong with it.
    pub fn parse(place: &Path) -> Result<Self, PlaceError> {
        let text = place.to_string_lossy();
        parse(&text).map_err(|cause| PlaceError { text: text.into_owned(), cause })
    }

    /// The text it was read from.
    #[must_use]
    pub fn as_path(&self) -> &Path {
        &self.text
    }
}

/// Whether TLS is asked for, and the rest.
fn split_scheme(text: &str) -> Option<(bool, &str)> {
    // A path may have lost one of the two slashes on its way.
    let (scheme, rest) = text.split_once(":/")?;
    let rest = rest.strip_prefix('/').unwrap_or(rest);
    match scheme {
        "etcd" => Some((false, rest)),
        "etcds" => Some((true, rest)),
        _ => None,
    }
}

fn parse(text: &str) -> Result<EtcdPlace, &'static str> {
    let (secure, rest) = split_scheme(text).ok_or("it does not begin with etcd:// or etcds://")?;
    let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
    let (hosts, prefix) = rest.split_once('/').ok_or("the name of the cluster is missing")?;
    let prefix = prefix.trim_end_matches('/');
    if prefix.is_empty() {
        return Err("the name of the cluster is missing");
    }
    let scheme = if secure { "https" } else { "http" };
    let mut endpoints = Vec::new();
    for host in hosts.split(',') {
        let port = host.rsplit_once(':').and_then(|(_, port)| port.parse::<u16>().ok());
        port.ok_or("an endpoint is not HOST:PORT")?;
        endpoints.push(format!("{scheme}://{host}"));
    }
    let tls = tls(secure, query)?;
    Ok(EtcdPlace { text: text.into(), endpoints, prefix: prefix.to_owned(), tls })
}

fn tls(secure: bool, query: &str) -> Result<Option<TlsFiles>, &'static str> {
    let (mut ca, mut cert, mut key) = (None, None, None);
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        let (name, value) = pair.split_once('=').ok_or("an option is not NAME=FILE")?;
        let slot = match name {
            "ca" => &mut ca,
            "cert" => &mut cert,
            "key" => &mut key,
            _ => return Err("an option is none of ca, cert and key"),
        };
        *slot = Some(PathBuf::from(value));
    }
    if !secure {
        let none = ca.is_none() && cert.is_none() && key.is_none();
        return if none { Ok(None) } else { Err("certificates need etcds://") };
    }
    let ca = ca.ok_or("ca is missing")?;
    match (cert, key) {
        (Some(cert), Some(key)) => Ok(Some(TlsFiles { ca, client: Some((cert, key)) })),
        (None, None) => Ok(Some(TlsFiles { ca, client: None })),
        _ => Err("cert and key go together"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: Result<(&[&str], &str, bool), &str>) {
        match (EtcdPlace::parse(Path::new(text)), expected) {
            (Ok(found), Ok((endpoints, prefix, client))) => {
                assert_eq!(found.endpoints, endpoints);
                assert_eq!(found.prefix, prefix);
                assert_eq!(found.tls.is_some_and(|tls| tls.client.is_some()), client);
            }
            (Err(error), Err(part)) => assert!(error.to_string().contains(part), "{error}"),
            (found, expected) => panic!("{found:?}, not {expected:?}"),
        }
    }

    #[test]
    fn a_place_has_endpoints_and_a_name() {
        check("etcd://a:1,b:2/x/y/", Ok((&["http://a:1", "http://b:2"], "x/y", false)));
        check("etcds://a:1/x?ca=/c", Ok((&["https://a:1"], "x", false)));
        check("etcds://a:1/x?ca=/c&cert=/d&key=/e", Ok((&["https://a:1"], "x", true)));
        check("etcd://a:1", Err("name of the cluster"));
        check("etcd://a/x", Err("HOST:PORT"));
        check("etcd://a:1/x?ca=/c", Err("etcds://"));
        check("etcds://a:1/x", Err("ca is missing"));
        check("etcds://a:1/x?ca=/c&cert=/d", Err("go together"));
        check("etcds://a:1/x?ca=/c&pin=/d", Err("none of"));
        check("/srv/quorum", Err("does not begin"));
    }

    #[test]
    fn a_folder_is_not_meant_to_be_in_etcd() {
        assert!(!EtcdPlace::is_meant(Path::new("/srv/etcd")));
        assert!(EtcdPlace::is_meant(Path::new("etcd://a:1/x")));
    }
}
