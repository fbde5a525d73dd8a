//! The program as people run it, over a real etcd: wrong input is told, and nothing half done.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::OnceLock;
use std::thread;
use std::time::Duration;

use crate::rig::{Server, free_port};
use crate::secure::Secure;

/// The program with etcd: the one that `REHOME_PROGRAM_ETCD` names, or built now.
fn program() -> &'static Path {
    static PROGRAM: OnceLock<PathBuf> = OnceLock::new();
    PROGRAM.get_or_init(|| match std::env::var_os("REHOME_PROGRAM_ETCD") {
        Some(program) => program.into(),
        None => build(),
    })
}

fn build() -> PathBuf {
    let mut command = Command::new(env!("CARGO"));
    let what = ["build", "--package", "rehome-cli", "--features", "etcd", "--quiet"];
    command.args(what).args(["--message-format", "json-render-diagnostics"]);
    let output = command.stderr(Stdio::inherit()).output().unwrap();
    assert!(output.status.success(), "the program cannot be built");
    let text = String::from_utf8(output.stdout).unwrap();
    let mut found = text.lines().filter_map(|line| {
        let message: serde_json::Value = serde_json::from_str(line).ok()?;
        let is_it = message["target"]["name"] == "rehome" && message["executable"].is_string();
        is_it.then(|| PathBuf::from(message["executable"].as_str().unwrap_or_default()))
    });
    found.next_back().unwrap()
}

fn rehome(args: &[&str]) -> Output {
    Command::new(program()).arg("cluster").args(args).stdin(Stdio::null()).output().unwrap()
}

#[track_caller]
fn check(output: &Output, code: i32, words: &[&str]) {
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "{said}");
    for word in words {
        assert!(said.contains(word), "no {word:?} in {said}");
    }
}

/// Expects that cluster and node are refused at `place` with these words, and leave nothing.
#[track_caller]
fn check_nothing_done(place: &str, code: i32, words: &[&str]) {
    let folder = tempfile::tempdir().unwrap();
    let node = format!("a={}", folder.path().join("state").display());
    check(&rehome(&["create", place, "--name", "x", "--node", &node]), code, words);
    check(&rehome(&["node", "--quorum", place, "--name", "a"]), code, words);
    check(&rehome(&["status", place]), code, words);
    let left: Vec<_> = std::fs::read_dir(folder.path()).unwrap().collect();
    assert!(left.is_empty(), "{left:?}");
}

#[test]
fn an_etcd_that_is_not_there_is_said_to_be_so() {
    let place = format!("etcd://127.0.0.1:{}/office", free_port());
    let words = [place.as_str(), "Connection refused", "nothing new is started", "make it"];
    check_nothing_done(&place, 3, &words);
}

#[test]
fn a_certificate_that_has_expired_is_named_whosever_it_is() {
    let secure = Secure::start(2100);
    let place = secure.place_of(secure.client(2020));
    let words = ["client-2020.pem", "certificate expired", "nothing was read", "renew it"];
    check_nothing_done(&place, 65, &words);
    let good = secure.place_of(secure.client(2099));
    let status = until_elected(|| rehome(&["status", &good]));
    check(&status, 65, &["holds no cluster"]);
    let secure = Secure::start(2020);
    let place = secure.place_of(secure.client(2099));
    until_elected(|| rehome(&["status", &place]));
    let words = ["of this server", "certificate expired", "nothing was read", "renew it"];
    check_nothing_done(&place, 65, &words);
}

/// A node that runs; killed if the test ends before it.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ended = (self.0.kill(), self.0.wait());
    }
}

#[test]
fn a_second_node_of_one_name_is_refused_over_the_network() {
    let (server, folder) = (Server::start(), tempfile::tempdir().unwrap());
    let place = server.place();
    let place = place.as_path().to_str().unwrap();
    let node = format!("a={}", folder.path().join("state").display());
    let create = ["create", place, "--name", "x", "--lease-ms", "1000", "--node", &node];
    let made = until_elected(|| rehome(&create));
    assert!(made.status.success(), "{made:?}");
    let mut first = Command::new(program());
    first.args(["cluster", "node", "--quorum", place, "--name", "a", "--while-stdin"]);
    first.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut first = Running(first.spawn().unwrap());
    let mut ready = [0; 6];
    std::io::Read::read_exact(first.0.stdout.as_mut().unwrap(), &mut ready).unwrap();
    assert_eq!(&ready, b"ready ");
    let second = rehome(&["node", "--quorum", place, "--name", "a"]);
    check(&second, 9, &["node \"a\" runs already", "one node is one process", "stop that"]);
    assert!(first.0.try_wait().unwrap().is_none(), "the first goes on");
}

/// Asks again while etcd does not answer or has not elected itself.
fn until_elected(order: impl Fn() -> Output) -> Output {
    loop {
        let output = order();
        if output.status.code() != Some(3) {
            return output;
        }
        thread::sleep(Duration::from_millis(20));
    }
}
