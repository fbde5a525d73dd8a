//! A process beside the migration: a standalone server or a cluster node.
//!
//! A child that ends with us holds the read end of a pipe; when the migration dies, however it
//! dies, the pipe closes and the child ends in order. One that stays has no such pipe, and is found
//! again by the record that it writes (`standing.rs`).

use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use crate::standing::Record;

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

/// How a process is started.
#[derive(Debug)]
pub(crate) struct Start<'a> {
    /// What it is, for people.
    pub(crate) what: String,
    /// The program.
    pub(crate) program: &'a Path,
    /// Its arguments.
    pub(crate) args: Vec<String>,
    /// Where its own words go.
    pub(crate) log: PathBuf,
    /// Where it writes its record if it stays when we end; none if it ends with us.
    pub(crate) stays: Option<PathBuf>,
}

/// A running process; dropped, it is told to end and waited for, unless it stays.
#[derive(Debug)]
pub(crate) struct Process {
    holder: Holder,
}

/// How a process is held.
#[derive(Debug)]
enum Holder {
    /// A child that ends with us.
    Child { child: Child, stdin: Option<ChildStdin> },
    /// One that stays; the child too, if it is ours, so that its exit status is taken.
    Standing { record: Record, child: Option<Child>, ends: bool, asked: bool },
}

impl Process {
    /// Starts it and waits until it says `ready {json}`. Lines `progress {json}` keep it alive in
    /// our eyes, however long it takes.
    fn start(start: &Start<'_>) -> Result<Self, ProcessError> {
        let Start { what, program, args, log, stays } = start;
        let failed = |source| ProcessError::Start {
            what: what.to_owned(),
            program: program.display().to_string(),
            source,
        };
        if let Some(folder) = log.parent() {
            std::fs::create_dir_all(folder).map_err(failed)?;
        }
        let words = std::fs::OpenOptions::new().create(true).append(true).open(log);
        let extra = match stays {
            Some(record) => vec!["--record".to_owned(), record.display().to_string()],
            None => vec!["--while-stdin".to_owned()],
        };
        let mut child = Command::new(program)
            .args(args)
            .args(extra)
            .stdin(if stays.is_some() { Stdio::null() } else { Stdio::piped() })
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
        wait_until_ready(what, &mut child, &lines, log)?;
        let holder = match stays.as_ref().map(|file| Record::living(file)) {
            None => Holder::Child { child, stdin },
            Some(Some(record)) => {
                Holder::Standing { record, child: Some(child), ends: false, asked: false }
            }
            Some(None) => {
                // It has ended since; one that serves without a record would never be found again.
                let _gone = child.kill();
                return Err(ended(what, &mut child, log));
            }
        };
        Ok(Process { holder })
    }

    /// The same, again and again for a while if the child ends at once: what a killed run left may
    /// still be ending, and holds locks until it has. One that stayed since an earlier run is taken
    /// over; it ends with us if this run's processes do.
    pub(crate) fn start_patiently(start: &Start<'_>, record: &Path) -> Result<Self, ProcessError> {
        let started = Instant::now();
        loop {
            if let Some(record) = Record::living(record) {
                let ends = start.stays.is_none();
                let holder = Holder::Standing { record, child: None, ends, asked: false };
                return Ok(Process { holder });
            }
            match Self::start(start) {
                Err(ProcessError::Ended { .. }) if started.elapsed() < PREDECESSOR_MAX => {
                    std::thread::park_timeout(Duration::from_millis(100));
                }
                other => return other,
            }
        }
    }

    /// Whether it is still there.
    pub(crate) fn is_running(&mut self) -> bool {
        match &mut self.holder {
            Holder::Child { child, .. } => matches!(child.try_wait(), Ok(None)),
            Holder::Standing { record, child, .. } => {
                let own = child.as_mut().is_none_or(|child| matches!(child.try_wait(), Ok(None)));
                own && record.lives()
            }
        }
    }

    /// Kills it with SIGKILL and waits for its end.
    pub(crate) fn kill(&mut self) -> std::io::Result<()> {
        match &mut self.holder {
            Holder::Child { child, .. } | Holder::Standing { child: Some(child), .. } => {
                child.kill()?;
                child.wait().map(drop)
            }
            Holder::Standing { record, .. } => match record.wait(Duration::ZERO) {
                true => Ok(()),
                false => Err(std::io::ErrorKind::PermissionDenied.into()),
            },
        }
    }

    /// Asks it to end in order, and does not wait.
    pub(crate) fn ask_to_end(&mut self) {
        match &mut self.holder {
            Holder::Child { stdin, .. } => {
                if let Some(mut stdin) = stdin.take() {
                    // A child that is gone already needs no word.
                    let _told = stdin.write_all(b"quit\n");
                }
            }
            Holder::Standing { record, ends, asked, .. } => {
                *ends = true;
                // A second signal would end it at once and not in order.
                if !std::mem::replace(asked, true) {
                    record.ask_to_end();
                }
            }
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
        if !matches!(self.holder, Holder::Standing { ends: false, .. }) {
            self.end();
        }
    }
}

/// Waits for the line by which a child says that it is ready.
fn wait_until_ready(
    what: &str,
    child: &mut Child,
    lines: &Receiver<String>,
    log: &Path,
) -> Result<(), ProcessError> {
    loop {
        match lines.recv_timeout(SILENCE_MAX) {
            Ok(line) => {
                if line.starts_with("ready ") {
                    return Ok(());
                }
            }
            Err(RecvTimeoutError::Timeout) => {
                // Nobody would find it again.
                let _gone = child.kill().and_then(|()| child.wait());
                let (seconds, log) = (SILENCE_MAX.as_secs(), log.display().to_string());
                return Err(ProcessError::Silent { what: what.to_owned(), seconds, log });
            }
            Err(RecvTimeoutError::Disconnected) => return Err(ended(what, child, log)),
        }
    }
}

/// The child has ended before it was ready.
fn ended(what: &str, child: &mut Child, log: &Path) -> ProcessError {
    let how = child.wait().map_or_else(|error| error.to_string(), |status| status.to_string());
    ProcessError::Ended { what: what.to_owned(), how, log: log.display().to_string() }
}
