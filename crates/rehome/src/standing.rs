//! Services that stay when the migration that started them has ended, and how they are found again.
//!
//! Each writes a record of itself when it serves, and takes it away when it ends in order
//! (`docs/design/0038-services-that-stay.md`).
#![doc = include_str!("../../../docs/format/services.md")]

use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use rehome_cluster::NameClaim;
use rustix::process::{Pid, Signal, kill_process};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::clients::registered;
use crate::error::Error;
use crate::memory::write_durably;

/// How often it is looked whether a process has ended.
const LOOK: Duration = Duration::from_millis(5);
/// Time that a server has to answer when it is asked to end.
const ASK_MAX: Duration = Duration::from_secs(5);
/// Time that a killed process has to be gone.
const KILL_MAX: Duration = Duration::from_secs(10);

/// A service that serves, as it wrote about itself.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Record {
    /// The process.
    pub(crate) pid: u32,
    /// When the process began, in ticks since the computer started: no other process of that
    /// number began then.
    pub(crate) began_ticks: u64,
    /// Which start of the computer that was.
    pub(crate) boot: String,
    /// What it said when it was ready.
    pub(crate) ready: Value,
}

impl Record {
    /// The record in a file, if its process lives.
    pub(crate) fn living(file: &Path) -> Option<Record> {
        let record: Record = serde_json::from_slice(&std::fs::read(file).ok()?).ok()?;
        record.lives().then_some(record)
    }

    /// Whether the process that wrote it is still there.
    pub(crate) fn lives(&self) -> bool {
        boot() == self.boot && began_ticks(self.pid) == Some(self.began_ticks)
    }

    fn own(ready: Value) -> Option<Record> {
        let pid = std::process::id();
        Some(Record { pid, began_ticks: began_ticks(pid)?, boot: boot(), ready })
    }

    /// Asks the process to end in order, in the way that its kind understands; does not wait.
    pub(crate) fn ask_to_end(&self) {
        if !self.lives() {
            // Its address may be another one's by now.
            return;
        }
        match self.ready["address"].as_str() {
            // A server alone ends at the word of a client.
            Some(address) if self.ready["role"] == "standalone" => {
                let client = rehome_server::AttendantClient::new(address);
                let mut client = client.with_timeout(ASK_MAX);
                // One that does not answer is killed when the time is over.
                let _told = client.shutdown();
            }
            _ => self.signal(Signal::TERM),
        }
    }

    /// Waits until it has ended; kills it when that takes longer than `most`. False if it is there
    /// even so: another user's, or one that the kernel does not let go.
    #[must_use]
    pub(crate) fn wait(&self, most: Duration) -> bool {
        if self.is_gone_within(most) {
            return true;
        }
        self.signal(Signal::KILL);
        self.is_gone_within(KILL_MAX)
    }

    fn is_gone_within(&self, most: Duration) -> bool {
        let started = Instant::now();
        while self.lives() {
            if started.elapsed() >= most {
                return false;
            }
            std::thread::park_timeout(LOOK);
        }
        true
    }

    fn signal(&self, signal: Signal) {
        let pid = i32::try_from(self.pid).ok().and_then(Pid::from_raw);
        if let (true, Some(pid)) = (self.lives(), pid) {
            // It may have ended by itself since.
            let _gone = kill_process(pid, signal);
        }
    }
}

/// The identity of this start of the computer.
fn boot() -> String {
    let id = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
    id.trim().to_owned()
}

/// When a process began, in ticks since the computer started; none if there is no such process,
/// or only its exit status is left.
fn began_ticks(pid: u32) -> Option<u64> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name in brackets may hold anything; what follows is numbers but for the state.
    let mut fields = stat.get(stat.rfind(')')? + 1..)?.split_whitespace();
    let state = fields.next()?;
    let began = fields.nth(18)?.parse().ok()?;
    (state != "Z" && state != "X").then_some(began)
}

/// Where a service says that it is ready, beside its standard output.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Announcements {
    /// The file of its record.
    pub record: Option<PathBuf>,
    /// The folder of names in which a server alone registers its own.
    pub names: Option<PathBuf>,
}

/// A service that runs: it takes its record and its name away when it is dropped.
#[derive(Debug)]
pub(crate) struct Announced {
    to: Announcements,
    server: String,
    claim: Mutex<Option<NameClaim>>,
}

impl Announced {
    pub(crate) fn new(to: &Announcements, server: &str) -> Arc<Self> {
        Arc::new(Announced { to: to.clone(), server: server.to_owned(), claim: Mutex::default() })
    }

    /// Lines to `out`; the one that says `ready` is told elsewhere first.
    pub(crate) fn through<W: Write>(self: &Arc<Self>, out: W) -> Announcer<W> {
        Announcer { out, line: Vec::new(), announced: Arc::clone(self) }
    }

    fn announce(&self, line: &str) -> Result<(), Error> {
        let Some(json) = line.strip_prefix("ready ") else { return Ok(()) };
        let ready: Value = serde_json::from_str(json).map_err(Error::needs_human)?;
        if let Some(names) = &self.to.names {
            let address = ready["address"].as_str().unwrap_or_default();
            let claim = registered(names, &self.server, address, std::process::id())?;
            *self.held() = Some(claim);
        }
        let Some(file) = &self.to.record else { return Ok(()) };
        let record = Record::own(ready);
        let record = record.ok_or_else(|| Error::needs_human("/proc tells nothing of oneself"))?;
        write_durably(file, &serde_json::to_vec_pretty(&record).map_err(Error::needs_human)?)
    }

    /// Who has a record serves though nobody hears it: who has started it may have been killed.
    fn unless_it_stays(&self, heard: std::io::Result<()>) -> std::io::Result<()> {
        if self.to.record.is_some() { Ok(()) } else { heard }
    }

    fn held(&self) -> MutexGuard<'_, Option<NameClaim>> {
        self.claim.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Announced {
    fn drop(&mut self) {
        // First, while the name is still held: nobody who would write another record serves yet.
        let own = self.to.record.as_ref().filter(|file| {
            Record::living(file).is_some_and(|record| record.pid == std::process::id())
        });
        if let Some(file) = own {
            // One that stays does not count: its process is gone.
            let _gone = std::fs::remove_file(file);
        }
        let claim = self.held().take();
        if let Some(claim) = claim {
            // The record of the name goes with the server; one that stays is replaced.
            let _told = rehome_cluster::unregister(claim);
        }
    }
}

/// Standard output of a service.
#[derive(Debug)]
pub(crate) struct Announcer<W> {
    out: W,
    line: Vec<u8>,
    announced: Arc<Announced>,
}

impl<W: Write> Write for Announcer<W> {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        for byte in bytes {
            if *byte == b'\n' {
                let line = String::from_utf8_lossy(&self.line);
                self.announced.announce(&line).map_err(std::io::Error::other)?;
                self.line.clear();
            } else {
                self.line.push(*byte);
            }
        }
        let heard = self.out.write_all(bytes);
        self.announced.unless_it_stays(heard).map(|()| bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        let heard = self.out.flush();
        self.announced.unless_it_stays(heard)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_counts_while_its_process_lives_and_is_the_same_one() {
        let scratch = tempfile::tempdir().expect("a scratch folder");
        let file = scratch.path().join("N1.json");
        let to = Announcements { record: Some(file.clone()), names: None };
        let announced = Announced::new(&to, "N1");
        let mut out = announced.through(Vec::new());
        writeln!(out, "progress {{}}").expect("written");
        assert_eq!(Record::living(&file), None, "it is not ready");
        write!(out, "ready {{\"node\":").expect("written");
        writeln!(out, "\"N1\"}}").expect("written");
        let record = Record::living(&file).expect("this process lives");
        assert_eq!((record.pid, &record.ready["node"]), (std::process::id(), &"N1".into()));
        let other = Record { began_ticks: record.began_ticks + 1, ..record.clone() };
        assert!(!other.lives(), "another process got the number");
        let other = Record { boot: "another".to_owned(), ..record };
        assert!(!other.lives(), "the computer was started again");
        drop((out, announced));
        assert!(!file.exists());
    }

    /// The other end of a pipe to somebody who was killed.
    struct Broken;

    impl Write for Broken {
        fn write(&mut self, _bytes: &[u8]) -> std::io::Result<usize> {
            Err(std::io::ErrorKind::BrokenPipe.into())
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Err(std::io::ErrorKind::BrokenPipe.into())
        }
    }

    #[test]
    fn who_stays_serves_though_who_started_it_was_killed() {
        let scratch = tempfile::tempdir().expect("a scratch folder");
        let file = scratch.path().join("EX1.json");
        let to = Announcements { record: Some(file.clone()), names: None };
        let announced = Announced::new(&to, "EX1");
        let mut out = announced.through(Broken);
        writeln!(out, "ready {{}}").and_then(|()| out.flush()).expect("nobody needs to hear it");
        assert!(Record::living(&file).is_some());
        let ends_with_us = Announced::new(&Announcements::default(), "EX1");
        writeln!(ends_with_us.through(Broken), "ready {{}}").expect_err("nobody hears it");
    }

    #[test]
    fn a_process_that_does_not_end_in_order_is_killed() {
        let mut child = std::process::Command::new("sh")
            .args(["-c", "trap '' TERM; echo deaf; exec sleep 600"])
            .stdout(std::process::Stdio::piped())
            .spawn()
            .expect("a shell");
        let mut deaf = [0; 4];
        let out = child.stdout.as_mut().expect("a pipe");
        std::io::Read::read_exact(out, &mut deaf).expect("it says so");
        let pid = child.id();
        let began_ticks = began_ticks(pid).expect("it lives");
        let record = Record { pid, began_ticks, boot: boot(), ready: Value::Null };
        record.ask_to_end();
        assert!(record.lives());
        assert!(record.wait(Duration::ZERO), "it is gone, but for its exit status");
        let status = child.wait().expect("a child");
        assert_eq!(std::os::unix::process::ExitStatusExt::signal(&status), Some(9));
    }
}
