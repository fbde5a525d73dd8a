//! A migration that runs is asked, made to rest, tuned and stopped by other processes.

use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::Duration;

use rehome_tests::{Run, run};
use serde_json::Value;

use crate::{REHOME, sample};

/// A migration with traffic that runs, slowly.
struct Migration {
    scratch: tempfile::TempDir,
    args: Vec<String>,
    child: Child,
    lines: std::io::Lines<BufReader<ChildStdout>>,
}

impl Migration {
    /// Starts one and waits until it moves mail.
    fn moving(test: u8) -> Migration {
        let scratch = tempfile::tempdir().expect("a scratch folder");
        let site = sample(scratch.path(), test, 3, 40);
        let work = scratch.path().join("work").display().to_string();
        let args = ["migrate", &site, "--work", &work, "--route", "move-users", "--json"];
        let args = [&args[..], &["--traffic", "--confirm", "all"]].concat();
        let args: Vec<String> = args.into_iter().map(ToOwned::to_owned).collect();
        let mut child = Command::new(REHOME)
            .args(&args)
            .args(["--rate", "50KB/s"])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("the program starts");
        let stdout = child.stdout.take().expect("a pipe");
        let mut lines = BufReader::new(stdout).lines();
        let moves = lines.find(|line| line.as_ref().is_ok_and(|line| line.contains("M1 moving")));
        assert!(moves.is_some(), "it ended before it moved anything");
        Migration { scratch, args, child, lines }
    }

    fn work(&self) -> PathBuf {
        self.scratch.path().join("work")
    }

    fn ask(&self, verb: &str, more: &[&str]) -> Run {
        let work = self.work().display().to_string();
        run(REHOME, &[&["migration", verb, &work, "--json"], more].concat())
    }

    /// Asks, and expects an answer.
    #[track_caller]
    fn told(&self, verb: &str, more: &[&str]) -> Value {
        let told = self.ask(verb, more);
        assert_eq!(told.code, Some(0), "{told:?}");
        told.json()
    }

    /// Deliveries that were acknowledged so far, to all mailboxes in turn.
    fn delivered(&self) -> usize {
        let file = std::fs::read(self.work().join("traffic.jsonl")).unwrap_or_default();
        file.iter().filter(|byte| **byte == b'\n').count()
    }

    /// Waits for its end; its exit code and the last line that it wrote.
    fn end(mut self) -> (Option<i32>, String, tempfile::TempDir, Vec<String>) {
        let mut last = String::new();
        for line in self.lines.by_ref() {
            last = line.expect("the pipe is read to its end");
        }
        let code = self.child.wait().expect("a child").code();
        (code, last, self.scratch, self.args)
    }
}

#[test]
fn a_migration_rests_with_no_mailbox_locked_is_tuned_and_goes_on() {
    let migration = Migration::moving(51);
    let paused = migration.told("pause", &["--why", "the nightly backup"]);
    assert_eq!(paused["state"], "resting", "{paused}");
    assert_eq!(paused["why"], "the nightly backup", "{paused}");
    assert_eq!(paused["step"]["id"], "M1", "{paused}");
    // Each of the three mailboxes takes mail several times meanwhile: none is locked.
    let before = migration.delivered();
    while migration.delivered() < before + 12 {
        std::thread::park_timeout(Duration::from_millis(5));
    }
    let still = migration.told("status", &[]);
    assert_eq!((&still["state"], &still["progress"]), (&paused["state"], &paused["progress"]));
    let tuned = migration.told("retune", &["--rate", "none", "--lanes", "2"]);
    assert_eq!((&tuned["bytes_per_second_max"], &tuned["lanes"]), (&Value::Null, &Value::from(2)));
    assert_eq!(tuned["state"], "resting", "{tuned}");
    assert_eq!(migration.told("resume", &[])["state"], "working");
    let (code, last, ..) = migration.end();
    assert_eq!(code, Some(0), "{last}");
    rehome_tests::expect_nothing_missing(&serde_json::from_str(&last).expect("JSON"));
}

#[test]
fn a_migration_is_stopped_and_the_same_command_goes_on() {
    let migration = Migration::moving(52);
    let other = migration.ask("retune", &[]);
    assert_eq!(other.code, Some(64), "nothing to change: {other:?}");
    let working = migration.told("status", &[]);
    assert_eq!(working["bytes_per_second_max"], 50_000, "{working}");
    assert_eq!(working["state"], "working", "{working}");
    assert_eq!(migration.told("stop", &[])["state"], "stopping");
    let (code, last, scratch, args) = migration.end();
    assert_eq!(code, Some(5), "{last}");
    let work = scratch.path().join("work");
    let nobody = run(REHOME, &["migration", "status", &work.display().to_string()]);
    assert_eq!(nobody.code, Some(3), "{nobody:?}");
    assert!(nobody.stderr.contains("no migration runs here now"), "{nobody:?}");
    assert!(!Path::new(&work).join("control.sock").exists());
    let done = run(REHOME, &args);
    done.expect_whole();
}

#[test]
fn a_way_back_is_bounded_and_answers_too() {
    let scratch = tempfile::tempdir().expect("a scratch folder");
    let site = sample(scratch.path(), 53, 2, 5);
    let work = scratch.path().join("work").display().to_string();
    let args = ["migrate", &site, "--work", &work, "--route", "move-users"];
    let waits = run(REHOME, &args);
    assert_eq!(waits.code, Some(4), "{waits:?}");
    let mut child = Command::new(REHOME)
        .args(args)
        .args(["--back-out", "--rate", "50KB/s"])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("the program starts");
    let mut heard = None;
    let code = loop {
        if let Some(status) = child.try_wait().expect("a child") {
            break status.code();
        }
        let told = run(REHOME, &["migration", "status", &work, "--json"]);
        heard = heard.or_else(|| (told.code == Some(0)).then(|| told.json()));
    };
    assert_eq!(code, Some(8), "it is backed out");
    let heard = heard.expect("an answer while it went back");
    assert_eq!(heard["bytes_per_second_max"], 50_000, "{heard}");
}
