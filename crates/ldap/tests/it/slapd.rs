//! A slapd of one's own, with people who have mail.

use std::collections::HashSet;
use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use ldap3::LdapConn;

/// Who may change the directory.
pub(crate) const ROOT: &str = "cn=admin,o=Example";
/// With this password.
pub(crate) const PASSWORD: &str = "for tests only";
/// How long the server may take to answer.
const START_MAX: Duration = Duration::from_secs(60);

/// A server that ends with the value.
pub(crate) struct Slapd {
    _folder: tempfile::TempDir,
    pub(crate) url: String,
    /// Where it has TLS from the first byte, if it has a certificate.
    pub(crate) secure_url: String,
    process: Child,
}

/// A certificate with its key, and who has signed it.
pub(crate) struct Certificate {
    pub(crate) pem: String,
    pub(crate) key: String,
    pub(crate) authority: String,
}

impl Slapd {
    /// Starts a server whose directory has so many people and a list.
    pub(crate) fn start(count: usize) -> Slapd {
        Slapd::start_with(count, None)
    }

    /// The same, with TLS.
    pub(crate) fn start_with(count: usize, certificate: Option<&Certificate>) -> Slapd {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().display();
        let schema = |name: &str| format!("include /etc/ldap/schema/{name}.schema\n");
        let schemas: String = ["core", "cosine", "inetorgperson", "misc"].map(schema).concat();
        let config = format!(
            "{schemas}pidfile {path}/pid\nmodulepath /usr/lib/ldap\nmoduleload back_mdb\n\
             sizelimit size.soft=40 size.hard=40 size.pr=40 size.prtotal=unlimited\n\
             database mdb\nsuffix \"o=Example\"\nrootdn \"{ROOT}\"\nrootpw \"{PASSWORD}\"\n\
             directory {path}\n"
        );
        let config = format!("{}{config}", tls(folder.path(), certificate));
        let file = folder.path().join("slapd.conf");
        std::fs::write(&file, config).unwrap();
        let url = format!("ldap://127.0.0.1:{}", free_port());
        let secure_url = format!("ldaps://127.0.0.1:{}", free_port());
        let listen = match certificate {
            Some(_) => format!("{url} {secure_url}"),
            None => url.clone(),
        };
        let log = std::fs::File::create(folder.path().join("log")).unwrap();
        let process = Command::new("/usr/sbin/slapd")
            .args(["-d", "0", "-h", &listen, "-f"])
            .arg(&file)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .unwrap_or_else(|error| panic!("slapd does not start: {error}; install slapd"));
        let server = Slapd { _folder: folder, url, secure_url, process };
        server.fill(count);
        server
    }

    fn fill(&self, count: usize) {
        let mut connection = self.connect();
        connection.simple_bind(ROOT, PASSWORD).unwrap().success().unwrap();
        let root = vec![
            ("objectClass", HashSet::from(["organization"])),
            ("o", HashSet::from(["Example"])),
        ];
        connection.add("o=Example", root).unwrap().success().unwrap();
        (0..count).for_each(|number| add(&mut connection, number));
        let everybody = people(0);
        let list = vec![
            ("objectClass", HashSet::from(["groupOfNames"])),
            ("cn", HashSet::from(["everybody"])),
            ("member", HashSet::from([everybody.as_str()])),
        ];
        connection.add("cn=everybody,o=Example", list).unwrap().success().unwrap();
        connection.unbind().unwrap();
    }

    /// Connects as soon as the server listens.
    fn connect(&self) -> LdapConn {
        let begun = Instant::now();
        loop {
            match LdapConn::new(&self.url) {
                Ok(connection) => return connection,
                Err(error) if begun.elapsed() > START_MAX => panic!("slapd: {error}"),
                Err(_) => std::thread::park_timeout(Duration::from_millis(20)),
            }
        }
    }

    /// Ends it as a power cut does.
    pub(crate) fn kill(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }
}

impl Drop for Slapd {
    fn drop(&mut self) {
        // It may have been killed already.
        let _gone = self.process.kill();
        let _ended = self.process.wait();
    }
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// The lines of the configuration about TLS, with the files that they name.
fn tls(folder: &Path, certificate: Option<&Certificate>) -> String {
    let Some(Certificate { pem, key, authority }) = certificate else { return String::new() };
    let files = [
        ("TLSCACertificateFile", "ca.pem", authority),
        ("TLSCertificateFile", "server.pem", pem),
        ("TLSCertificateKeyFile", "server.key", key),
    ];
    let line = |(word, name, text): (&str, &str, &String)| {
        let file = folder.join(name);
        std::fs::write(&file, text).unwrap();
        format!("{word} {}\n", file.display())
    };
    files.map(line).concat()
}

/// The name of a person; the fifth's is beyond ASCII.
pub(crate) fn people(number: usize) -> String {
    match number {
        5 => "uid=jürgen,o=Example".to_owned(),
        number => format!("uid=user{number},o=Example"),
    }
}

/// Adds a person with a mailbox at EX1.
pub(crate) fn add(connection: &mut LdapConn, number: usize) {
    let name = people(number);
    let uid = name.trim_start_matches("uid=").trim_end_matches(",o=Example").to_owned();
    let mail = format!("user{number}@example.org");
    let person = vec![
        ("objectClass", HashSet::from(["inetOrgPerson", "inetLocalMailRecipient"])),
        ("uid", HashSet::from([uid.as_str()])),
        ("cn", HashSet::from([uid.as_str()])),
        ("sn", HashSet::from(["Person"])),
        ("mail", HashSet::from([mail.as_str()])),
        ("mailHost", HashSet::from(["EX1"])),
        ("userPassword", HashSet::from(["secret"])),
    ];
    connection.add(&name, person).unwrap().success().unwrap();
}
