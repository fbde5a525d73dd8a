//! Work in a process of its own: what is killed, what is traced, and what needs its own memory.

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use clap::Subcommand;
use serde_json::Value;

use crate::bench::archive::ArchiveWork;
use crate::bench::disk;
use crate::bench::policy::PolicyWork;
use crate::bench::soak::SoakWork;
use crate::bench::work::Work;

/// What another process of this program can be asked for.
#[derive(Debug, Subcommand)]
pub(crate) enum Child {
    /// Writes and syncs 4 KiB again and again until it is killed.
    Fsyncs {
        /// Where.
        folder: PathBuf,
    },
    /// Moves all mailboxes from one SQLite database to another.
    Sqlite {
        /// The database to read.
        from: PathBuf,
        /// The database to make.
        to: PathBuf,
    },
    /// Works on a store in a folder.
    #[command(subcommand)]
    Work(Work),
    /// Makes, checks and restores backups.
    #[command(subcommand)]
    Archive(ArchiveWork),
    /// Fills a store and watches it.
    Soak(SoakWork),
    /// A cluster's policy that loses a node.
    Policy(PolicyWork),
}

pub(crate) fn run(child: &Child) -> Result<(), String> {
    match child {
        Child::Fsyncs { folder } => loop {
            disk::syncs_ms(folder, Duration::from_secs(2))?;
        },
        #[cfg(feature = "peers")]
        Child::Sqlite { from, to } => crate::bench::sqlite::move_all(from, to),
        #[cfg(not(feature = "peers"))]
        Child::Sqlite { .. } => Err("SQLite needs the feature `peers`".to_owned()),
        Child::Work(work) => work.run(),
        Child::Archive(work) => work.run(),
        Child::Soak(work) => work.run(),
        Child::Policy(work) => work.run(),
    }
}

/// This program again, asked for something.
pub(crate) fn command(kind: &str) -> Result<Command, String> {
    let program = std::env::current_exe().map_err(|error| error.to_string())?;
    let mut command = Command::new(program);
    command.args(["bench", "child", kind]).stdin(Stdio::null());
    Ok(command)
}

/// Another process; it is killed when this value goes away.
pub(crate) struct Running(pub(crate) std::process::Child);

impl Running {
    pub(crate) fn start(command: &mut Command) -> Result<Running, String> {
        let child = command.spawn();
        child.map(Running).map_err(|error| format!("{command:?} does not start: {error}"))
    }

    /// The line of figures that it prints.
    fn figures(&mut self, command: &Command) -> Result<Value, String> {
        let stdout = self.0.stdout.as_mut().ok_or("standard output is no pipe")?;
        let mut line = String::new();
        let read = BufReader::new(stdout).read_line(&mut line);
        read.map_err(|error| format!("{command:?}: {error}"))?;
        let figures = serde_json::from_str(&line);
        figures.map_err(|error| format!("{command:?} has no figures: {error}; see above"))
    }

    /// Kills it as the kernel kills, and waits until it is gone.
    pub(crate) fn kill(&mut self) {
        // It may have ended by itself.
        let _killed = self.0.kill();
        let _reaped = self.0.wait();
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Prints a line of figures for the process that waits for them.
pub(crate) fn tell(figures: &Value) {
    // Nobody to read them is the reader's failure, and it knows.
    let _told = writeln!(std::io::stdout().lock(), "{figures}");
}

/// Runs a process to its end and returns the figures that it prints.
pub(crate) fn figures(command: &mut Command) -> Result<Value, String> {
    let mut running = Running::start(command.stdout(Stdio::piped()))?;
    let figures = running.figures(command)?;
    let ended = running.0.wait().map_err(|error| error.to_string())?;
    if ended.success() { Ok(figures) } else { Err(format!("{command:?} failed: {ended}")) }
}

/// Waits for the figures of a process that goes on, lets it work for a while more and kills it.
pub(crate) fn figures_then_kill(command: &mut Command, more: Duration) -> Result<Value, String> {
    let mut running = Running::start(command.stdout(Stdio::piped()))?;
    let figures = running.figures(command)?;
    std::thread::sleep(more);
    if let Ok(Some(ended)) = running.0.try_wait() {
        return Err(format!("{command:?} ended before it was killed: {ended}"));
    }
    running.kill();
    Ok(figures)
}

/// How often a program and its children sync; `None` without strace.
pub(crate) fn syncs_of(command: &Command, scratch: &Path) -> Result<Option<u64>, String> {
    if !disk::is_installed("strace") {
        return Ok(None);
    }
    let counts = scratch.join("strace.txt");
    let mut traced = Command::new("strace");
    traced.args(["-f", "--seccomp-bpf", "-c", "-o"]).arg(&counts);
    traced.args(["-e", "trace=fsync,fdatasync,syncfs,sync_file_range"]);
    traced.arg(command.get_program()).args(command.get_args());
    for (name, value) in command.get_envs() {
        traced.env(name, value.unwrap_or_default());
    }
    disk::finish(&mut traced)?;
    let text = std::fs::read_to_string(&counts);
    let text = text.map_err(|error| format!("{}: {error}", counts.display()))?;
    Ok(Some(calls_in(&text)))
}

/// Calls in the summary that strace writes: share, seconds, time a call, calls, errors, name.
fn calls_in(summary: &str) -> u64 {
    let calls = |line: &str| {
        let words: Vec<&str> = line.split_whitespace().collect();
        let name = words.last()?;
        let counted = ["fsync", "fdatasync", "syncfs", "sync_file_range"].contains(name);
        if counted { words.get(3)?.parse::<u64>().ok() } else { None }
    };
    summary.lines().filter_map(calls).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(summary: &str, expected: u64) {
        assert_eq!(calls_in(summary), expected);
    }

    #[test]
    fn the_calls_of_a_trace_are_added_up_and_its_total_is_not() {
        let summary = "% time     seconds  usecs/call     calls    errors syscall\n\
                       ------ ----------- ----------- --------- --------- ----------------\n \
                       90.00    0.100000         100        12           fdatasync\n \
                       10.00    0.010000         100         3         1 fsync\n\
                       100.00    0.110000         100        15         1 total\n";
        check(summary, 15);
        check("", 0);
    }
}
