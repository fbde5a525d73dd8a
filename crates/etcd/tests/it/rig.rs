//! A member of etcd for each test, and a relay that loses answers.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use rehome_cluster::{
    ClusterConfig, Configuration, Coordinator, CoordinatorError, GroupName, Heartbeat, NodeConfig,
    NodeName,
};
use rehome_etcd::{Etcd, EtcdPlace};

/// How long etcd is given to come up.
const PATIENCE: Duration = Duration::from_secs(30);

pub(crate) fn node(name: &str) -> NodeName {
    NodeName::new(name).unwrap()
}

pub(crate) fn mail() -> GroupName {
    GroupName::new("mail").unwrap()
}

/// A first configuration with two nodes and a short lease.
pub(crate) fn configuration() -> Configuration {
    let nodes = ["a", "b"].map(|name| NodeConfig::new(node(name), "/nowhere"));
    let mut config = ClusterConfig::new("office", "mail-service", nodes.to_vec());
    config.lease_ms = 400;
    Configuration::new(config).unwrap()
}

pub(crate) fn heartbeat(name: &str, run: &str, counter: u64) -> Heartbeat {
    let incarnation = run.to_owned();
    Heartbeat { node: node(name), incarnation, counter, pid: 7, leaving: false }
}

pub(crate) fn place(text: &str) -> EtcdPlace {
    EtcdPlace::parse(Path::new(text)).unwrap()
}

pub(crate) fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// A member of etcd; it is killed when this is dropped.
pub(crate) struct Server {
    child: Child,
    pub(crate) port: u16,
    _data: tempfile::TempDir,
}

impl Server {
    pub(crate) fn start() -> Self {
        Self::start_with("http", &[])
    }

    /// A member whose clients come by `scheme`, with these arguments as well.
    pub(crate) fn start_with(scheme: &str, args: &[&str]) -> Self {
        let (port, peer_port) = (free_port(), free_port());
        let data = tempfile::tempdir().unwrap();
        let clients = format!("{scheme}://127.0.0.1:{port}");
        let peers = format!("http://127.0.0.1:{peer_port}");
        let mut command = Command::new("etcd");
        command.args(["--name", "one", "--log-level", "error", "--data-dir"]).arg(data.path());
        command.args(["--listen-client-urls", &clients, "--advertise-client-urls", &clients]);
        command.args(["--listen-peer-urls", &peers, "--initial-advertise-peer-urls", &peers]);
        command.args(["--initial-cluster", &format!("one={peers}")]).args(args);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let child = command.spawn().expect("etcd is installed (Debian's package etcd-server)");
        let server = Self { child, port, _data: data };
        let started = Instant::now();
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            assert!(started.elapsed() < PATIENCE, "etcd did not come up");
            thread::sleep(Duration::from_millis(10));
        }
        server
    }

    /// Where a cluster is in it.
    pub(crate) fn place(&self) -> EtcdPlace {
        place(&format!("etcd://127.0.0.1:{}/office", self.port))
    }

    /// A cluster in it; etcd may need a moment until it has elected itself.
    pub(crate) fn create(&self) -> Etcd {
        patiently(|| Etcd::create(&self.place(), &configuration()))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// Tries until etcd answers, and well.
pub(crate) fn patiently<T>(attempt: impl FnMut() -> Result<T, CoordinatorError>) -> T {
    once_there(attempt).unwrap()
}

/// Tries until etcd answers, whatever it says.
pub(crate) fn once_there<T>(
    mut attempt: impl FnMut() -> Result<T, CoordinatorError>,
) -> Result<T, CoordinatorError> {
    let started = Instant::now();
    loop {
        match attempt() {
            Err(CoordinatorError::Unreachable { .. }) if started.elapsed() < PATIENCE => {
                thread::sleep(Duration::from_millis(20));
            }
            done => return done,
        }
    }
}

/// Waits until something is so.
#[track_caller]
pub(crate) fn wait_for(what: &str, mut met: impl FnMut() -> bool) {
    let started = Instant::now();
    while !met() {
        assert!(started.elapsed() < PATIENCE, "waited in vain for {what}");
        thread::sleep(Duration::from_millis(5));
    }
}

/// Passes on what clients ask, and loses the answers while it is told to.
pub(crate) struct Relay {
    pub(crate) port: u16,
    loses: Arc<AtomicBool>,
}

impl Relay {
    pub(crate) fn start(to: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let loses = Arc::new(AtomicBool::new(false));
        let lost = loses.clone();
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let server = TcpStream::connect(("127.0.0.1", to)).unwrap();
                pump(client.try_clone().unwrap(), server.try_clone().unwrap(), None);
                pump(server, client, Some(lost.clone()));
            }
        });
        Self { port, loses }
    }

    pub(crate) fn lose_answers(&self, loses: bool) {
        self.loses.store(loses, Ordering::SeqCst);
    }
}

/// Copies until one side ends; what comes while `loses` is set goes nowhere, and the line is dead.
fn pump(mut from: TcpStream, mut to: TcpStream, loses: Option<Arc<AtomicBool>>) {
    thread::spawn(move || {
        let mut bytes = [0; 4096];
        while let Ok(count @ 1..) = from.read(&mut bytes) {
            let lost = loses.as_ref().is_some_and(|loses| loses.load(Ordering::SeqCst));
            if lost || to.write_all(&bytes[..count]).is_err() {
                break;
            }
        }
        drop(from.shutdown(Shutdown::Both));
        drop(to.shutdown(Shutdown::Both));
    });
}

/// A coordinator whose answers can be lost.
pub(crate) fn through(relay: &Relay) -> impl Coordinator {
    Etcd::open(&place(&format!("etcd://127.0.0.1:{}/office", relay.port))).unwrap()
}
