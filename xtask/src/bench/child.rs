//! Work in a process of its own: what is killed, what is traced, and what needs its own memory.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use clap::Subcommand;

use crate::bench::disk;

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
