//! The servers of a work folder, running as it does between two commands, and users at work.

use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use rehome::parts::cluster::resolve;
use rehome::parts::server::{AttendantClient, MailClient, Profile, StoreClient};
use rehome::parts::store::MailboxName;

/// How long a user tries to reach the server.
const PATIENCE: Duration = Duration::from_secs(120);

/// The nodes of a cluster as processes, which end with the value.
#[derive(Debug)]
pub struct Nodes {
    work: PathBuf,
    children: Vec<Child>,
}

impl Nodes {
    /// Starts the nodes of a work folder. They bring their group online by themselves.
    ///
    /// # Panics
    ///
    /// If the program does not start.
    #[must_use]
    pub fn start(program: &str, work: &Path, names: &[&str]) -> Self {
        let quorum = work.join("cluster/quorum").display().to_string();
        let start = |name: &&str| {
            Command::new(program)
                .args(["cluster", "node", "--quorum", &quorum, "--name", name, "--while-stdin"])
                .stdin(Stdio::piped())
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .spawn()
                .expect("the program starts")
        };
        Self { work: work.to_owned(), children: names.iter().map(start).collect() }
    }

    /// A user's client whose profile names `server`.
    ///
    /// # Panics
    ///
    /// If the name is no mailbox's.
    #[must_use]
    pub fn user(
        &self,
        server: &str,
        mailbox: &str,
    ) -> MailClient<impl Fn(&str) -> Option<String> + use<>> {
        user(&self.work, server, mailbox)
    }

    /// The store of a server that is online: what a user's client does not do is asked there.
    ///
    /// # Panics
    ///
    /// If there is none.
    #[must_use]
    pub fn store(&self, server: &str) -> StoreClient {
        let at = attendant(&self.work.join("names"), server).expect("a name");
        let identity = AttendantClient::new(at).who().expect("an attendant");
        StoreClient::new(identity.store.expect("a store"))
    }
}

impl Drop for Nodes {
    fn drop(&mut self) {
        // Closed pipes tell all of them to end before any is waited for: nothing fails over.
        for child in &mut self.children {
            drop(child.stdin.take());
        }
        for child in &mut self.children {
            let _ended = child.wait();
        }
    }
}

/// A user's client whose profile names `server`, of those that run in a work folder.
///
/// # Panics
///
/// If the name is no mailbox's.
#[must_use]
pub fn user(
    work: &Path,
    server: &str,
    mailbox: &str,
) -> MailClient<impl Fn(&str) -> Option<String> + use<>> {
    let names = work.join("names");
    let profile = Profile { mailbox: named(mailbox), server: server.to_owned() };
    MailClient::new(profile, move |name: &str| attendant(&names, name)).with_patience(PATIENCE)
}

/// The name of a mailbox.
///
/// # Panics
///
/// If it is none.
#[must_use]
pub fn named(mailbox: &str) -> MailboxName {
    MailboxName::try_from(mailbox).expect("a mailbox's name")
}

/// Where the attendant of a server listens: behind the address that its name has.
fn attendant(names: &Path, server: &str) -> Option<String> {
    let record = resolve(names, server).ok().flatten()?;
    let (host, port) = record.address.rsplit_once(':')?;
    Some(format!("{host}:{}", port.parse::<u16>().ok()? + 1))
}

/// The old server of a work folder, running as it does between two commands.
#[derive(Debug)]
pub struct OldServer {
    child: Child,
    attendant: String,
}

impl OldServer {
    /// Starts it and waits until it serves.
    ///
    /// # Panics
    ///
    /// If it does not.
    #[must_use]
    pub fn start(program: &str, work: &Path, name: &str) -> Self {
        let dir = work.join("servers").join(name);
        let registry = dir.join("registry").display().to_string();
        let dir = dir.display().to_string();
        let fixed = ["serve", "standalone", "--server", name, "--while-stdin"];
        let mut child = Command::new(program)
            .args(fixed)
            .args(["--dir", &dir, "--registry", &registry])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("the program starts");
        let lines = BufReader::new(child.stdout.take().expect("a pipe")).lines();
        let ready = lines.map_while(Result::ok).find_map(|line| {
            serde_json::from_str::<serde_json::Value>(line.strip_prefix("ready ")?).ok()
        });
        let ready = ready.expect("it is ready before it ends");
        let attendant = ready["address"].as_str().expect("an address").to_owned();
        Self { child, attendant }
    }

    /// A user's client whose profile names this server.
    ///
    /// # Panics
    ///
    /// If the name is no mailbox's.
    #[must_use]
    pub fn user(&self, mailbox: &str) -> MailClient<impl Fn(&str) -> Option<String> + use<>> {
        let profile = Profile { mailbox: named(mailbox), server: "EX1".to_owned() };
        let attendant = self.attendant.clone();
        MailClient::new(profile, move |_: &str| Some(attendant.clone())).with_patience(PATIENCE)
    }

    /// Its store.
    ///
    /// # Panics
    ///
    /// If it has none.
    #[must_use]
    pub fn store(&self) -> StoreClient {
        let identity = AttendantClient::new(self.attendant.clone()).who().expect("an attendant");
        StoreClient::new(identity.store.expect("a store"))
    }
}

impl Drop for OldServer {
    fn drop(&mut self) {
        drop(self.child.stdin.take());
        let _ended = self.child.wait();
    }
}
