//! Services of a site with users stay when its migration waits, is killed or has ended.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use rehome::parts::store::FolderName;
use rehome_tests::cluster::{Nodes, user};
use rehome_tests::{Run, run};
use serde_json::Value;

use crate::{REHOME, sample};

/// A site; whatever a test comes to, nothing of it runs afterwards.
struct Site {
    folder: String,
    work: PathBuf,
    scratch: tempfile::TempDir,
}

impl Site {
    /// With users, or with nobody there.
    fn new(test: u8, mailboxes: usize, simulate: bool) -> Site {
        let scratch = tempfile::tempdir().expect("a scratch folder");
        let folder = sample(scratch.path(), test, mailboxes, 12);
        let file = Path::new(&folder).join("site.toml");
        let text = std::fs::read_to_string(&file).expect("a site.toml");
        let text = text.replace("simulate = true", &format!("simulate = {simulate}"));
        std::fs::write(&file, text).expect("writable");
        Site { work: scratch.path().join("work"), folder, scratch }
    }

    fn shown(&self) -> String {
        self.work.display().to_string()
    }

    fn migrate(&self, more: &[&str]) -> Run {
        let work = self.shown();
        let fixed = ["migrate", &self.folder, "--work", &work, "--route", "move-users", "--json"];
        run(REHOME, &[&fixed[..], more].concat())
    }

    fn services(&self, verb: &str) -> Run {
        run(REHOME, &["services", verb, &self.shown(), "--json"])
    }

    /// The processes that stay, by name.
    fn staying(&self) -> BTreeMap<String, u64> {
        let found = self.services("status").json();
        let all = found["services"].as_array().expect("services").iter();
        let name = |one: &Value| one["name"].as_str().expect("a name").to_owned();
        all.filter_map(|one| Some((name(one), one["pid"].as_u64()?))).collect()
    }

    /// Processes whose command line names the work folder.
    fn processes(&self) -> Vec<String> {
        let shown = self.scratch.path().display().to_string();
        let entries = std::fs::read_dir("/proc").expect("readable").flatten();
        let lines = entries.filter_map(|one| std::fs::read(one.path().join("cmdline")).ok());
        let lines = lines.map(|line| String::from_utf8_lossy(&line).replace('\0', " "));
        lines.filter(|line| line.contains(&shown)).collect()
    }

    /// The mailboxes of the site.
    fn mailboxes(&self) -> Vec<String> {
        let mail = std::fs::read_dir(format!("{}/mail", self.folder)).expect("mail");
        mail.map(|one| one.expect("readable").file_name().to_string_lossy().into_owned()).collect()
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        let _ended = self.services("stop");
    }
}

/// Delivers a message to a mailbox and reads it back, beginning at the server of the profile.
fn work_in(site: &Site, mailbox: &str, profile: &str, body: &str) {
    let mut user = user(&site.work, profile, mailbox);
    let inbox = FolderName::inbox();
    user.logon().expect("a server");
    let stored = user.deliver(body.as_bytes()).expect("delivered");
    let (_, bytes) = user.fetch(&inbox, stored.uid).expect("its bytes");
    assert_eq!(bytes, body.as_bytes());
}

/// How often each of these bodies is in a mailbox.
fn count(site: &Site, mailbox: &str, body: &str) -> usize {
    let mut user = user(&site.work, "EXCL1", mailbox);
    let inbox = FolderName::inbox();
    let messages = user.messages(&inbox).expect("an inbox");
    let bodies = messages.iter().map(|one| user.fetch(&inbox, one.uid).expect("its bytes").1);
    bodies.filter(|bytes| bytes == body.as_bytes()).count()
}

#[test]
fn users_go_on_working_while_a_migration_waits_for_them_and_at_a_gate() {
    let site = Site::new(81, 3, false);
    let mailboxes = site.mailboxes();
    let waits = site.migrate(&[]);
    assert_eq!(waits.code, Some(5), "nobody has logged on: {waits:?}");
    assert!(waits.stderr.contains("have not logged on yet"), "{waits:?}");
    assert!(waits.stdout.contains("users go on working"), "{waits:?}");
    let first = site.staying();
    assert_eq!(first.keys().map(String::as_str).collect::<Vec<_>>(), ["EX1", "N1", "N2"]);
    let status = run(REHOME, &["status", &site.shown()]).stdout;
    assert!(status.contains("N1 serves as process"), "{status}");
    // No migration runs. Their profiles name the old server, which sends them on.
    for mailbox in &mailboxes {
        work_in(&site, mailbox, "EX1", &format!("Subject: no migration runs\r\n\r\n{mailbox}"));
    }
    let gate = site.migrate(&[]);
    assert_eq!(gate.code, Some(4), "{gate:?}");
    let second = site.staying();
    let nodes = ["N1", "N2"].map(|node| (node.to_owned(), first[node]));
    assert_eq!(second, BTreeMap::from(nodes), "taken over; the old server was stopped by M3");
    for mailbox in &mailboxes {
        work_in(&site, mailbox, "EXCL1", &format!("Subject: at the gate\r\n\r\n{mailbox}"));
    }
    site.migrate(&["--confirm", "all"]).expect_whole();
    assert_eq!(site.staying(), second, "users live there now");
    for mailbox in &mailboxes {
        for what in ["no migration runs", "at the gate"] {
            let body = format!("Subject: {what}\r\n\r\n{mailbox}");
            assert_eq!(count(&site, mailbox, &body), 1, "{mailbox}: {what}");
        }
    }
    let stopped = site.services("stop");
    assert_eq!((stopped.code, site.processes()), (Some(0), Vec::new()), "{stopped:?}");
    let started = site.services("start");
    assert_eq!(started.code, Some(0), "{started:?}");
    work_in(&site, &mailboxes[0], "EXCL1", "Subject: started again\r\n\r\n");
    assert_eq!(site.services("stop").code, Some(0));
    assert_eq!(site.processes(), Vec::<String>::new());
}

#[test]
fn a_killed_migration_leaves_its_services_and_the_next_one_takes_them_over() {
    let site = Site::new(82, 3, true);
    let args = ["migrate", &site.folder, "--work", &site.shown(), "--route", "move-users"];
    let mut child = Command::new(REHOME)
        .args(args)
        .args(["--services", "stay", "--rate", "20KB/s", "--traffic"])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("the program starts");
    let moving = || {
        let now = run(REHOME, &["migration", "status", &site.shown(), "--json"]);
        now.code == Some(0) && now.json()["step"]["id"] == "M1"
    };
    while !moving() {
        assert!(child.try_wait().expect("a child").is_none(), "it ended before it moved anything");
        std::thread::park_timeout(Duration::from_millis(5));
    }
    let refused = site.services("stop");
    assert_eq!(refused.code, Some(3), "a migration needs them: {refused:?}");
    child.kill().expect("a child that runs");
    child.wait().expect("a child");
    let left = site.staying();
    assert_eq!(left.keys().map(String::as_str).collect::<Vec<_>>(), ["EX1", "N1", "N2"]);
    for mailbox in site.mailboxes() {
        work_in(&site, &mailbox, "EX1", &format!("Subject: killed\r\n\r\n{mailbox}"));
    }
    let gate = site.migrate(&["--services", "stay"]);
    assert_eq!(gate.code, Some(4), "{gate:?}");
    let nodes = ["N1", "N2"].map(|node| (node.to_owned(), left[node]));
    assert_eq!(site.staying(), BTreeMap::from(nodes), "the same processes, and no others");
    // A node that dies with nobody there is started again by the next run; the other one holds the
    // group meanwhile.
    assert_eq!(run("kill", &["-KILL", &left["N2"].to_string()]).code, Some(0));
    for mailbox in site.mailboxes() {
        work_in(&site, &mailbox, "EXCL1", &format!("Subject: one node less\r\n\r\n{mailbox}"));
    }
    // Nobody is there in this site, so without the option its services end with the run.
    site.migrate(&["--confirm", "all"]).expect_whole();
    assert_eq!(site.processes(), Vec::<String>::new());
}

#[test]
fn services_are_not_ended_under_a_migration_that_is_still_starting_them() {
    let site = Site::new(84, 2, true);
    let gate = site.migrate(&[]);
    assert_eq!(gate.code, Some(4), "{gate:?}");
    // It finds the nodes' locks taken, as those of a killed run, and waits for them.
    let nodes = Nodes::start(REHOME, &site.work, &["N1", "N2"]);
    let args = ["migrate", &site.folder, "--work", &site.shown(), "--route", "move-users"];
    let mut child = Command::new(REHOME)
        .args(args)
        .args(["--confirm", "all"])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("the program starts");
    while site.services("stop").code != Some(3) {
        assert!(child.try_wait().expect("a child").is_none(), "it did not wait for the nodes");
    }
    drop(nodes);
    assert_eq!(child.wait().expect("a child").code(), Some(0));
}

#[test]
fn a_service_that_is_not_meant_to_run_any_more_is_ended_by_the_next_run() {
    let site = Site::new(83, 2, true);
    let gate = site.migrate(&["--services", "stay"]);
    assert_eq!(gate.code, Some(4), "{gate:?}");
    // As a kill leaves it between the note that the old server is to end and its end.
    let dir = site.work.join("servers").join("EX1");
    let shown = |below: &str| site.work.join(below).display().to_string();
    let mut old = Command::new(REHOME)
        .args(["serve", "standalone", "--server", "EX1", "--dir", &dir.display().to_string()])
        .args(["--registry", &shown("servers/EX1/registry"), "--names", &shown("names")])
        .args(["--record", &shown("services/EX1.json")])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("the program starts");
    while !site.staying().contains_key("EX1") {
        assert!(old.try_wait().expect("a child").is_none(), "it ended by itself");
        std::thread::park_timeout(Duration::from_millis(5));
    }
    site.migrate(&["--services", "stay", "--confirm", "all"]).expect_whole();
    assert_eq!(old.wait().expect("a child").code(), Some(0), "in order");
    assert_eq!(site.staying().keys().map(String::as_str).collect::<Vec<_>>(), ["N1", "N2"]);
}
