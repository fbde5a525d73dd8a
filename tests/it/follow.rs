//! The log of a running server is archived as it comes, whoever is killed.

use std::io::{BufRead as _, BufReader, Lines};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};

use rehome::parts::server::{Recipient, StoreClient};
use rehome::parts::store::MailboxName;
use rehome_tests::run;
use serde_json::Value;

use crate::{REHOME, sample};

/// A process of the program, and the lines that it writes.
struct Process {
    child: Child,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Process {
    fn start(args: &[&str], stdin: Stdio) -> Process {
        let mut command = Command::new(REHOME);
        let command = command.args(args).stdin(stdin).stdout(Stdio::piped());
        let mut child = command.spawn().expect("the program starts");
        let stdout = child.stdout.take().expect("a pipe");
        Process { child, lines: BufReader::new(stdout).lines() }
    }

    fn line(&mut self) -> String {
        self.lines.next().expect("the program goes on").expect("text")
    }

    /// Kills it.
    fn kill(mut self) {
        self.child.kill().expect("it runs");
        self.child.wait().expect("a child");
    }
}

struct Scene {
    root: PathBuf,
    address: String,
    delivered: u32,
}

impl Scene {
    fn path(&self, name: &str) -> String {
        self.root.join(name).display().to_string()
    }

    /// The store's service, ready; it ends when its standard input does.
    fn serve(&self) -> Process {
        let store = self.path("store");
        let args = ["serve", "store", "--dir", &store, "--listen", &self.address];
        let args = [&args[..], &["--server", "EX1", "--while-stdin"]].concat();
        let mut server = Process::start(&args, Stdio::piped());
        // A lease longer than any test.
        let stdin = server.child.stdin.as_mut().expect("a pipe");
        std::io::Write::write_all(stdin, b"lease 3600000\n").expect("it reads");
        while !server.line().starts_with("ready ") {}
        server
    }

    fn follow(&self) -> Process {
        let set = self.path("set");
        let args = ["archive", "log", "--server", &self.address, "--to", &set, "--follow"];
        Process::start(&[&args[..], &["--every", "1", "--json"]].concat(), Stdio::null())
    }

    /// Delivers a letter; the last LSN of the store then.
    fn deliver(&mut self) -> u64 {
        self.delivered += 1;
        let mut client = StoreClient::new(self.address.clone());
        let mailbox = client.mailboxes().expect("it answers")[0].name.clone();
        let to = Recipient::new(MailboxName::try_from(mailbox.as_str()).expect("a name"));
        let text = format!("Subject: {}\r\n\r\nLetter.\r\n", self.delivered);
        client.deliver(&to, text.as_bytes()).expect("it is delivered");
        client.hello().expect("it answers").lsn.expect("a store has one").to_u64()
    }
}

/// Reads events until one says that the log is in the archive up to `lsn`; its epoch.
fn until(follower: &mut Process, lsn: u64) -> u64 {
    loop {
        let event: Value = serde_json::from_str(&follower.line()).expect("JSON");
        let reached = serde_json::from_value::<rehome::parts::log::Lsn>(event["until"].clone());
        if event["event"] == "archived" && reached.expect("a place").to_u64() >= lsn {
            assert!(event["lag_seconds"].is_u64() && event["behind_bytes"].is_u64(), "{event}");
            return event["epoch"].as_u64().expect("a number");
        }
    }
}

#[track_caller]
fn whole(args: &[&str]) -> String {
    let done = run(REHOME, args);
    assert_eq!(done.code, Some(0), "{args:?}: {done:?}");
    done.stdout
}

fn digests(store: &str) -> Value {
    let json = whole(&["store", "digest", store, "--json"]);
    let mut json: Value = serde_json::from_str(&json).expect("JSON");
    json["mailboxes"].take()
}

fn scene(root: &Path, test: u8) -> Scene {
    let site = sample(root, test, 2, 10);
    let address = format!("{}:7403", rehome_tests::address(test));
    let scene = Scene { root: root.to_owned(), address, delivered: 0 };
    whole(&["import", &format!("{site}/mail"), "--store", &scene.path("store")]);
    scene
}

#[test]
fn the_log_of_a_running_server_is_followed_through_kills_of_both_and_ends_in_order() {
    let scratch = tempfile::tempdir().expect("a scratch folder");
    let mut scene = scene(scratch.path(), 71);
    let server = scene.serve();
    let mut follower = scene.follow();
    let lsn = scene.deliver();
    let first_epoch = until(&mut follower, lsn);
    follower.kill();
    scene.deliver();
    let mut follower = scene.follow();
    let lsn = scene.deliver();
    assert_eq!(until(&mut follower, lsn), first_epoch);
    server.kill();
    let mut server = scene.serve();
    let lsn = scene.deliver();
    let second_epoch = until(&mut follower, lsn);
    assert!(second_epoch > first_epoch, "another opening of the store");
    let pid = follower.child.id().to_string();
    let told = Command::new("kill").args(["-TERM", &pid]).status().expect("there is kill");
    assert!(told.success());
    let last = follower.lines.by_ref().map_while(Result::ok).last().expect("a report");
    let report: Value = serde_json::from_str(&last).expect("JSON");
    assert!(report["rounds"].as_u64() > Some(0) && report["losses"] == 1, "{report}");
    assert_eq!(follower.child.wait().expect("a child").code(), Some(0));
    let refused = run(REHOME, &["archive", "log", "--store", &scene.path("store"), "--to", "x"]);
    assert_eq!(refused.code, Some(65), "the server has the store open: {refused:?}");
    let last = ["archive", "log", "--server", &scene.address, "--to", &scene.path("set")];
    whole(&last);
    drop(server.child.stdin.take());
    server.child.wait().expect("a child");
    whole(&["archive", "check", &scene.path("set"), "--deep"]);
    whole(&["restore", "--from", &scene.path("set"), "--store", &scene.path("again")]);
    assert_eq!(digests(&scene.path("again")), digests(&scene.path("store")));
}

#[test]
fn a_server_that_does_not_answer_is_told_and_what_has_no_effect_is_refused() {
    let scratch = tempfile::tempdir().expect("a scratch folder");
    let set = scratch.path().join("set").display().to_string();
    let nobody = format!("{}:7403", rehome_tests::address(72));
    let refused = run(REHOME, &["archive", "log", "--server", &nobody, "--to", &set]);
    assert_eq!(refused.code, Some(65), "{refused:?}");
    assert!(refused.stderr.contains("cannot be reached"), "{refused:?}");
    for args in [
        &["archive", "log", "--to", &set][..],
        &["archive", "log", "--to", &set, "--store", "s", "--follow"],
        &["archive", "log", "--to", &set, "--store", "s", "--server", &nobody],
        &["archive", "log", "--to", &set, "--server", &nobody, "--every", "5"],
    ] {
        let refused = run(REHOME, args);
        assert_eq!(refused.code, Some(64), "{args:?}: {refused:?}");
    }
    assert!(!scratch.path().join("set").exists());
}
