//! TLS to a real slapd: certificates that are good, and those that are not.

use std::path::PathBuf;

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair, date_time_ymd};
use rehome_ldap::{Credentials, FetchOptions, Fetched, LdapError, LdapPlace, TlsOptions, fetch};

use crate::slapd::{Certificate, PASSWORD, ROOT, Slapd};

/// How many people the directory has: more than a page.
const PEOPLE: usize = 45;

/// Who signs.
struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pem: String,
}

impl Authority {
    fn new() -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        let pem = params.self_signed(&key).unwrap().pem();
        Self { issuer: Issuer::new(params, key), pem }
    }

    /// A certificate for a host.
    fn sign(&self, host: &str, until_year: i32) -> Certificate {
        let mut params = CertificateParams::new(vec![host.to_owned()]).unwrap();
        params.not_before = date_time_ymd(2001, 1, 1);
        params.not_after = date_time_ymd(until_year, 1, 1);
        let key = KeyPair::generate().unwrap();
        let pem = params.signed_by(&key, &self.issuer).unwrap().pem();
        Certificate { pem, key: key.serialize_pem(), authority: self.pem.clone() }
    }
}

/// A server whose certificate is for `host`, and a file with who has signed it.
struct Secure {
    server: Slapd,
    authority: PathBuf,
    folder: tempfile::TempDir,
}

impl Secure {
    fn start(host: &str, until_year: i32) -> Self {
        let authority = Authority::new();
        let server = Slapd::start_with(PEOPLE, Some(&authority.sign(host, until_year)));
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("ca.pem");
        std::fs::write(&file, &authority.pem).unwrap();
        Self { server, authority: file, folder }
    }

    /// Fetches over `ldaps://`, or over `ldap://` with a change to TLS.
    fn fetch(&self, starttls: bool, ca_file: Option<&PathBuf>) -> Result<Fetched, LdapError> {
        let url = if starttls { &self.server.url } else { &self.server.secure_url };
        fetch_from(url, starttls, ca_file)
    }

    /// Neither way is the certificate accepted; the words are in the message.
    #[track_caller]
    fn refuses(&self, ca_file: Option<&PathBuf>, words: &[&str]) {
        for starttls in [false, true] {
            let error = self.fetch(starttls, ca_file).expect_err("it is not to be believed");
            assert!(matches!(error, LdapError::Certificate { .. }), "{error}");
            let text = error.to_string();
            assert!(text.contains("no password was sent"), "{text}");
            for word in words {
                assert!(text.contains(word), "no {word:?}: {text}");
            }
        }
    }
}

fn fetch_from(url: &str, starttls: bool, ca_file: Option<&PathBuf>) -> Result<Fetched, LdapError> {
    let place = LdapPlace::parse(&format!("{url}/o=Example")).unwrap();
    let (name, password) = (ROOT.to_owned(), PASSWORD.to_owned());
    let options = FetchOptions {
        credentials: Some(Credentials { name, password }),
        page_entries: 20,
        tls: TlsOptions { starttls, ca_file: ca_file.cloned() },
        ..FetchOptions::default()
    };
    fetch(&place, &options, &mut |_| true)
}

#[test]
fn a_directory_is_read_over_tls_and_is_the_same_one() {
    let secure = Secure::start("127.0.0.1", 2090);
    let plain = fetch_from(&secure.server.url, false, None).expect("a directory");
    assert_eq!(plain.entries, PEOPLE as u64 + 2);
    for starttls in [false, true] {
        let fetched = secure.fetch(starttls, Some(&secure.authority));
        assert_eq!(fetched.unwrap_or_else(|error| panic!("{error}")), plain);
    }
}

#[test]
fn a_certificate_that_is_not_to_be_believed_is_refused_with_what_to_do() {
    let good = Secure::start("127.0.0.1", 2090);
    // Whom nobody knows: neither this computer nor another authority's file.
    good.refuses(None, &["nobody whom this computer believes has signed it", "with --ca-file"]);
    let other = good.folder.path().join("other.pem");
    std::fs::write(&other, Authority::new().pem).unwrap();
    good.refuses(Some(&other), &["nobody in", "other.pem has signed it", "with --ca-file"]);
    let elsewhere = Secure::start("directory.example.org", 2090);
    let words = ["it is for directory.example.org, not for 127.0.0.1", "name the server as"];
    elsewhere.refuses(Some(&elsewhere.authority), &words);
    let over = Secure::start("127.0.0.1", 2020);
    over.refuses(Some(&over.authority), &["it expired", "days ago", "certificate renewed"]);
}

/// Fetches and expects this error; the words are in its message.
#[track_caller]
fn check(
    (url, starttls, ca_file): (&str, bool, Option<&PathBuf>),
    is: fn(&LdapError) -> bool,
    words: &str,
) {
    let error = fetch_from(url, starttls, ca_file).expect_err("no directory");
    assert!(is(&error) && error.to_string().contains(words), "{error}");
}

#[test]
fn a_server_without_tls_and_options_without_effect_are_refused() {
    let tls = |error: &LdapError| matches!(error, LdapError::Tls { .. });
    let server = Slapd::start(1);
    let secure = Secure::start("127.0.0.1", 2090);
    let ca = Some(&secure.authority);
    check((&server.url, true, ca), tls, "does not change over to TLS");
    // A greeting in TLS to a port that has none.
    check((&server.url.replace("ldap:", "ldaps:"), false, ca), tls, "no secure connection");
    let place = |error: &LdapError| matches!(error, LdapError::Place { .. });
    check((&secure.server.secure_url, true, ca), place, "TLS from the first byte");
    check((&server.url, false, ca), place, "no certificate is looked at");
    let file = |error: &LdapError| matches!(error, LdapError::CaFile { .. });
    let nowhere = secure.folder.path().join("nowhere.pem");
    check((&secure.server.secure_url, false, Some(&nowhere)), file, "nowhere.pem");
    let empty = secure.folder.path().join("empty.pem");
    std::fs::write(&empty, "no certificate\n").unwrap();
    check((&secure.server.secure_url, false, Some(&empty)), file, "no certificate in it");
    let unreachable = |error: &LdapError| matches!(error, LdapError::Unreachable { .. });
    check(("ldaps://127.0.0.1:1", false, ca), unreachable, "no directory answers");
}
