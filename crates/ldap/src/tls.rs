//! TLS: whom we believe, and what is wrong when we do not.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use rustls::{CertificateError, ClientConfig, RootCertStore};

use crate::error::LdapError;
use crate::place::LdapPlace;

/// How the way to the server is protected.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TlsOptions {
    /// Begin in the clear and change over before anything is said (RFC 4511, 4.14). A place that
    /// begins with `ldaps://` has TLS from the first byte.
    pub starttls: bool,
    /// Certificates of those who may have signed the server's, in PEM; those that this computer
    /// believes if there is no file.
    pub ca_file: Option<PathBuf>,
}

/// Refuses options that would be without effect, and reads the file; `None` is what the computer
/// believes.
pub(crate) fn config(
    place: &LdapPlace,
    options: &TlsOptions,
) -> Result<Option<Arc<ClientConfig>>, LdapError> {
    let wrong = |cause: &str| {
        let (place, cause) = (place.to_string(), cause.to_owned());
        Err(LdapError::Place { place, cause })
    };
    if place.is_tls() && options.starttls {
        return wrong("it has TLS from the first byte, so there is none to change over to");
    }
    let Some(file) = &options.ca_file else { return Ok(None) };
    if !place.is_tls() && !options.starttls {
        return wrong("it goes in the clear, and no certificate is looked at; ask for TLS too");
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| refused(file, error))?
        .with_root_certificates(roots(file)?)
        .with_no_client_auth();
    Ok(Some(Arc::new(config)))
}

fn roots(file: &Path) -> Result<RootCertStore, LdapError> {
    let bytes = std::fs::read(file).map_err(|error| refused(file, error))?;
    let read: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&bytes).collect();
    let read = read.map_err(|error| refused(file, format!("it is no PEM: {error:?}")))?;
    let mut roots = RootCertStore::empty();
    for certificate in read {
        roots.add(certificate).map_err(|error| refused(file, error))?;
    }
    match roots.is_empty() {
        true => Err(refused(file, "there is no certificate in it")),
        false => Ok(roots),
    }
}

fn refused(file: &Path, cause: impl std::fmt::Display) -> LdapError {
    LdapError::CaFile { file: file.to_owned(), cause: cause.to_string() }
}

/// What a failed connection is: something about the place, certificates or TLS, or that nobody
/// answers.
pub(crate) fn failed(
    place: &LdapPlace,
    options: &TlsOptions,
    source: ldap3::LdapError,
) -> LdapError {
    if let ldap3::LdapError::UrlParsing { source } = source {
        return LdapError::Place { place: place.to_string(), cause: source.to_string() };
    }
    let server = place.server.clone();
    match cause(place, options, &source) {
        Some(Ok((cause, remedy))) => LdapError::Certificate { place: server, cause, remedy },
        Some(Err(cause)) => LdapError::Tls { place: server, cause },
        None => LdapError::Unreachable { place: server, source: Box::new(source) },
    }
}

/// What is wrong with a certificate and what to do; or, as an error, what else is wrong with TLS;
/// none if it is something else.
fn cause(
    place: &LdapPlace,
    options: &TlsOptions,
    source: &ldap3::LdapError,
) -> Option<Result<(String, String), String>> {
    let is_secure = place.is_tls() || options.starttls;
    Some(match source {
        ldap3::LdapError::LdapResult { result } => {
            Err(format!("it does not change over to TLS: {result}"))
        }
        ldap3::LdapError::Rustls { source } => tls_cause(place, options, source),
        ldap3::LdapError::DNSName { source } => Err(format!("its name proves nothing: {source}")),
        ldap3::LdapError::Io { source } => {
            let inner = source.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>());
            let hung_up = source.kind() == std::io::ErrorKind::UnexpectedEof;
            match inner {
                Some(error) => tls_cause(place, options, error),
                None if is_secure && hung_up => Err("it hangs up on a greeting in TLS".to_owned()),
                None => return None,
            }
        }
        _ => return None,
    })
}

/// What is wrong with the certificate and what to do; or, as an error, what else is wrong.
fn tls_cause(
    place: &LdapPlace,
    options: &TlsOptions,
    error: &rustls::Error,
) -> Result<(String, String), String> {
    let rustls::Error::InvalidCertificate(error) = error else { return Err(error.to_string()) };
    let days = |from: u64, to: u64| to.saturating_sub(from) / 86_400;
    let renew = "have the server's certificate renewed".to_owned();
    Ok(match error {
        // An authority that was made anew has its old name and another key.
        CertificateError::UnknownIssuer | CertificateError::BadSignature => {
            match &options.ca_file {
                Some(file) => (
                    format!("nobody in {} has signed it", file.display()),
                    "give the certificate of the authority that has, with --ca-file".to_owned(),
                ),
                None => (
                    "nobody whom this computer believes has signed it".to_owned(),
                    "give the certificate of your own authority with --ca-file".to_owned(),
                ),
            }
        }
        CertificateError::NotValidForName => {
            (format!("it is not for {}", place.host()), other_name())
        }
        CertificateError::NotValidForNameContext { presented, .. } => {
            let names: Vec<&str> = presented.iter().map(|name| plain(name)).collect();
            (format!("it is for {}, not for {}", names.join(", "), place.host()), other_name())
        }
        CertificateError::Expired => ("it has expired".to_owned(), renew),
        CertificateError::ExpiredContext { time, not_after } => {
            let days = days(not_after.as_secs(), time.as_secs());
            (format!("it expired {days} days ago"), renew)
        }
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => (
            "it is not valid yet".to_owned(),
            "see to the clock of this computer, or wait until it is".to_owned(),
        ),
        other => (other.to_string(), "have the server given another one".to_owned()),
    })
}

fn other_name() -> String {
    "name the server as its certificate does".to_owned()
}

/// A name as `DnsName("a.example")` has it.
fn plain(name: &str) -> &str {
    name.split('"').nth(1).unwrap_or(name)
}
