//! Certificates: read once, and looked at before they are shown to anybody.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use rehome_cluster::CoordinatorError;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, UnixTime};
use rustls::server::WebPkiClientVerifier;
use rustls::{CertificateError, RootCertStore};
use ureq::tls::{Certificate, ClientCert, PrivateKey, RootCerts, TlsConfig, TlsProvider};

use crate::place::TlsFiles;

fn refused(file: &Path, cause: impl std::fmt::Display) -> CoordinatorError {
    CoordinatorError::Refused { place: file.to_owned(), cause: cause.to_string() }
}

/// Reads the files and makes sure that the certificate can be shown at this moment.
pub(crate) fn config(files: &TlsFiles) -> Result<TlsConfig, CoordinatorError> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let authorities = certificates(&files.ca)?;
    let own: Vec<_> = authorities.iter().map(owned).collect();
    let mut tls = TlsConfig::builder()
        .provider(TlsProvider::Rustls)
        .root_certs(RootCerts::new_with_certs(&own))
        .unversioned_rustls_crypto_provider(provider.clone());
    if let Some((cert, key)) = &files.client {
        let chain = certificates(cert)?;
        check_validity(cert, &chain, &authorities, provider)?;
        let bytes = fs::read(key).map_err(|error| refused(key, error))?;
        let read = PrivateKey::from_pem(&bytes);
        let read = read.map_err(|error| refused(key, format!("it is no key in PEM: {error}")))?;
        let shown: Vec<_> = chain.iter().map(owned).collect();
        tls = tls.client_cert(Some(ClientCert::new_with_certs(&shown, read)));
    }
    Ok(tls.build())
}

fn owned(der: &CertificateDer<'static>) -> Certificate<'static> {
    Certificate::from_der(der).to_owned()
}

fn certificates(file: &Path) -> Result<Vec<CertificateDer<'static>>, CoordinatorError> {
    let bytes = fs::read(file).map_err(|error| refused(file, error))?;
    let read: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&bytes).collect();
    let read = read.map_err(|error| refused(file, format!("it is no PEM: {error:?}")))?;
    match read.is_empty() {
        true => Err(refused(file, "there is no certificate in it; give a file in PEM")),
        false => Ok(read),
    }
}

/// Refuses a certificate that is over or has not begun. Whether etcd knows who signed it is for
/// etcd to say.
fn check_validity(
    file: &Path,
    chain: &[CertificateDer<'static>],
    authorities: &[CertificateDer<'static>],
    provider: Arc<CryptoProvider>,
) -> Result<(), CoordinatorError> {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(authorities.iter().cloned());
    let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider).build();
    let (Ok(verifier), Some((first, rest))) = (verifier, chain.split_first()) else {
        return Ok(());
    };
    match verifier.verify_client_cert(first, rest, UnixTime::now()).err() {
        Some(rustls::Error::InvalidCertificate(error)) => {
            validity(&error).map_or(Ok(()), |cause| Err(refused(file, cause)))
        }
        _ => Ok(()),
    }
}

/// What is wrong with a certificate's time, if that is what is wrong.
pub(crate) fn validity(error: &CertificateError) -> Option<String> {
    let days = |from: u64, to: u64| to.saturating_sub(from) / 86_400;
    match error {
        CertificateError::Expired => Some("the certificate has expired; renew it".to_owned()),
        CertificateError::ExpiredContext { time, not_after } => Some(format!(
            "the certificate expired {} days ago; renew it",
            days(not_after.as_secs(), time.as_secs())
        )),
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
            let text = "the certificate is not valid yet; see to the clock of this machine, or \
                        wait until it is";
            Some(text.to_owned())
        }
        _ => None,
    }
}
