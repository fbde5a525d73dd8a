//! A child process of the migration: a standalone server or a cluster node.
//!
//! The child holds the read end of a pipe; when the migration dies, however it dies, the pipe
//! closes and the child ends in order.

use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use serde_json::Value;

/// Silence for which a child that is not ready yet is waited for.
const SILENCE_MAX: Duration = Duration::from_secs(60);
/// Time that what a killed run left has to end.
pub(crate) const PREDECESSOR_MAX: Duration = Duration::from_secs(30);
/// Time that a child has to end in order.
const END_MAX: Duration = Duration::from_secs(30);

/// Why a child process is of no use.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ProcessError {
    /// It could not be started.
    #[error("{what} does not start: {source}; see that {program} may be run")]
    Start {
        /// What it would have been.
        what: String,
        /// The program.
        program: String,
        /// Why.
        source: std::io::Error,
    },
    /// It ended before it was ready.
    #[error("{what} ended before it was ready ({how}); its own words are in {log}")]
    Ended {
        /// What it was.
        what: String,
        /// Its exit status.
        how: String,
        /// Where its messages are.
        log: String,
    },
    /// It said nothing for too long.
    #[error("{what} said nothing for {seconds} s and is not ready; its own words are in {log}")]
    Silent {
        /// What it is.
        what: String,
        /// How long.
        seconds: u64,
        /// Where its messages are.
        log: String,
    },
}

/// A running child; dropped, it is told to end and waited for.
#[derive(Debug)]
pub(crate) struct Process {
    what: String,
    child: Child,
    stdin: Option<ChildStdin>,
    /// What it said when it was ready.
    pub(crate) ready: Value,
}

impl Process {
    /// Starts `program args` and waits until it says `ready {json}`. Lines `progress {json}` keep
    /// it alive in our eyes, however long it takes.
    pub(crate) fn start(
        what: &str,
        program: &Path,
        args: &[String],
        log: &Path,
    ) -> Result<Self, ProcessError> {
        let failed = |source| ProcessError::Start {
            what: what.to_owned(),
            program: program.display().to_string(),
            source,
        };
        if let Some(folder) = log.parent() {
            std::fs::create_dir_all(folder).map_err(failed)?;
        }
        let words = std::fs::OpenOptions::new().create(true).append(true).open(log);
        let mut child = Command::new(program)
            .args(args)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(words.map_err(failed)?)
            // Ctrl-C at the terminal is for us; the child hears from us when to end.
            .process_group(0)
            .spawn()
            .map_err(failed)?;
        let stdin = child.stdin.take();
        let stdout = child.stdout.take().expect("standard output is a pipe");
        let (sender, lines) = channel();
        std::thread::spawn(move || {
            for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                // After the ready line nobody listens any more, and the pipe is still drained.
                let _told = sender.send(line);
            }
        });
        let mut process = Process { what: what.to_owned(), child, stdin, ready: Value::Null };
        process.ready = process.wait_until_ready(&lines, log)?;
        Ok(process)
    }

    /// The same, again and again for a while if the child ends at once: what a killed run left may
    /// still be ending, and holds locks until it has.
    pub(crate) fn start_patiently(
        what: &str,
        program: &Path,
        args: &[String],
        log: &Path,
    ) -> Result<Self, ProcessError> {
        let started = Instant::now();
        loop {
            match Self::start(what, program, args, log) {
                Err(ProcessError::Ended { .. }) if started.elapsed() < PREDECESSOR_MAX => {
                    std::thread::park_timeout(Duration::from_millis(100));
                }
                other => return other,
            }
        }
    }

    fn wait_until_ready(
        &mut self,
        lines: &Receiver<String>,
        log: &Path,
    ) -> Result<Value, ProcessError> {
        let log = log.display().to_string();
        loop {
            let line = match lines.recv_timeout(SILENCE_MAX) {
                Ok(line) => line,
                Err(RecvTimeoutError::Timeout) => {
                    let seconds = SILENCE_MAX.as_secs();
                    return Err(ProcessError::Silent { what: self.what.clone(), seconds, log });
                }
                Err(RecvTimeoutError::Disconnected) => {
                    let how = self.child.wait().map_or_else(|e| e.to_string(), |s| s.to_string());
                    return Err(ProcessError::Ended { what: self.what.clone(), how, log });
                }
            };
            if let Some(json) = line.strip_prefix("ready ") {
                return Ok(serde_json::from_str(json).unwrap_or(Value::Null));
            }
        }
    }

    /// Whether it is still there.
    pub(crate) fn is_running(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    /// The process number.
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Kills it with SIGKILL and waits for its end.
    pub(crate) fn kill(&mut self) -> std::io::Result<()> {
        self.child.kill()?;
        self.child.wait()?;
        Ok(())
    }

    /// Asks it to end in order, and does not wait.
    pub(crate) fn ask_to_end(&mut self) {
        if let Some(mut stdin) = self.stdin.take() {
            // A child that is gone already needs no word.
            let _told = stdin.write_all(b"quit\n");
        }
    }

    /// Asks it to end in order and waits; kills it when it does not.
    pub(crate) fn end(&mut self) {
        self.ask_to_end();
        let started = Instant::now();
        while self.is_running() {
            if started.elapsed() > END_MAX {
                // It may have ended by itself meanwhile.
                let _gone = self.kill();
                return;
            }
            std::thread::park_timeout(Duration::from_millis(5));
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.end();
    }
}
