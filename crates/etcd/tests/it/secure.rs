//! TLS: certificates that are good, and those that are not.

use std::fs;
use std::path::{Path, PathBuf};

use rcgen::{
    BasicConstraints, CertificateParams, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    date_time_ymd,
};
use rehome_cluster::{Coordinator as _, CoordinatorError};
use rehome_etcd::{Etcd, EtcdPlace};

use crate::rig::{Server, configuration, once_there, patiently, place};

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

    /// A certificate for this machine and its key, as files.
    fn sign(&self, folder: &Path, name: &str, until_year: i32) -> (PathBuf, PathBuf) {
        let names = vec!["127.0.0.1".to_owned(), "localhost".to_owned()];
        let mut params = CertificateParams::new(names).unwrap();
        params.not_before = date_time_ymd(2001, 1, 1);
        params.not_after = date_time_ymd(until_year, 1, 1);
        params.extended_key_usages =
            vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        let at = |ending: &str| folder.join(format!("{name}.{ending}"));
        fs::write(at("pem"), certificate.pem()).unwrap();
        fs::write(at("key"), key.serialize_pem()).unwrap();
        (at("pem"), at("key"))
    }
}

/// A member that talks to those alone whom an authority knows.
pub(crate) struct Secure {
    folder: tempfile::TempDir,
    authority: Authority,
    server: Server,
}

impl Secure {
    pub(crate) fn start(server_until: i32) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let authority = Authority::new();
        let ca = folder.path().join("ca.pem");
        fs::write(&ca, &authority.pem).unwrap();
        let (cert, key) = authority.sign(folder.path(), "server", server_until);
        let [ca, cert, key] = [&ca, &cert, &key].map(|file| file.to_str().unwrap());
        let files = ["--cert-file", cert, "--key-file", key, "--trusted-ca-file", ca];
        let server = Server::start_with("https", &[&files[..], &["--client-cert-auth"]].concat());
        Self { folder, authority, server }
    }

    fn place(&self, client: Option<(PathBuf, PathBuf)>) -> EtcdPlace {
        place(&self.place_of(client))
    }

    pub(crate) fn place_of(&self, client: Option<(PathBuf, PathBuf)>) -> String {
        let ca = self.folder.path().join("ca.pem");
        let mut text = format!("etcds://127.0.0.1:{}/office?ca={}", self.server.port, ca.display());
        if let Some((cert, key)) = client {
            text += &format!("&cert={}&key={}", cert.display(), key.display());
        }
        text
    }

    pub(crate) fn client(&self, until: i32) -> Option<(PathBuf, PathBuf)> {
        Some(self.authority.sign(self.folder.path(), &format!("client-{until}"), until))
    }

    #[track_caller]
    fn check_refused(&self, client: Option<(PathBuf, PathBuf)>, part: &str) {
        let place = self.place(client);
        match once_there(|| Etcd::create(&place, &configuration())) {
            Err(error @ CoordinatorError::Refused { .. }) => {
                assert!(error.to_string().contains(part), "{error}");
            }
            Err(other) => panic!("{other}, not a refusal"),
            Ok(_) => panic!("it was let in"),
        }
    }

    /// The server says why, or closes before it has.
    #[track_caller]
    fn check_not_let_in(&self, client: Option<(PathBuf, PathBuf)>) {
        let error = Etcd::create(&self.place(client), &configuration()).err().unwrap().to_string();
        assert!(error.contains("not accept our certificate"), "{error}");
    }
}

#[test]
fn who_has_a_good_certificate_is_let_in_and_nobody_else() {
    let secure = Secure::start(2100);
    let good = secure.client(2099);
    let place = secure.place(good);
    let etcd = patiently(|| Etcd::create(&place, &configuration()));
    assert!(etcd.look(None).unwrap().configuration.is_some());
    secure.check_refused(secure.client(2020), "certificate expired");
    secure.check_refused(secure.client(2020), "client-2020.pem");
    secure.check_not_let_in(None);
    let stranger = Authority::new().sign(secure.folder.path(), "stranger", 2099);
    secure.check_not_let_in(Some(stranger));
    secure.check_refused(Some(("/nowhere".into(), "/nowhere".into())), "/nowhere");
}

#[test]
fn a_server_whose_certificate_has_expired_is_named() {
    let secure = Secure::start(2020);
    secure.check_refused(secure.client(2099), "of this server, the certificate expired");
}
