//! One call of an agent: a program that does an action and ends, within a time.

use std::io::{self, Read, Write};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process_group, waitid};

use super::family::Family;

/// So much of what an agent says is kept.
const SAID_BYTES_MAX: u64 = 1 << 20;

/// How a call ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Answer {
    /// The exit code; `None` if it was ended because it took too long, or by a signal.
    pub(crate) code: Option<i32>,
    /// What it wrote to standard output.
    pub(crate) said: String,
    /// The reason that it gave, or the last line of standard error.
    pub(crate) reason: String,
    pub(crate) timed_out: bool,
}

impl Answer {
    /// How it ended, for a sentence.
    pub(crate) fn how(&self, timeout_ms: u64) -> String {
        let ended = match (self.timed_out, self.code) {
            (true, _) => format!("was ended because it took more than {timeout_ms} ms"),
            (false, Some(code)) => format!("ended with {code} ({})", meaning(code)),
            (false, None) => "was ended by a signal".to_owned(),
        };
        match self.reason.is_empty() {
            true => ended,
            false => format!("{ended}: {}", self.reason),
        }
    }
}

/// What an exit code of an agent means.
fn meaning(code: i32) -> &'static str {
    match code {
        0 => "done",
        1 => "it failed",
        2 => "a parameter is wrong",
        3 => "the action is not known",
        4 => "permission is missing",
        5 => "something is not installed",
        6 => "it is not configured rightly",
        7 => "nothing runs",
        8 => "it runs promoted",
        9 => "it failed while promoted",
        _ => "a code without a meaning",
    }
}

/// Runs `command` to its end, or ends it and all that it started after `timeout_ms`.
pub(super) fn call(command: &mut Command, timeout_ms: u64) -> io::Result<Answer> {
    call_with(command, "", timeout_ms)
}

/// As [`call`], with what it reads from standard input; short enough for a pipe to hold.
pub(crate) fn call_with(command: &mut Command, input: &str, timeout_ms: u64) -> io::Result<Answer> {
    call_begun(command, input, timeout_ms, |_| {})
}

/// As [`call`], and what it starts is of `family`.
pub(super) fn call_in(
    family: &Family,
    command: &mut Command,
    timeout_ms: u64,
) -> io::Result<Answer> {
    family.mark(command);
    call_begun(command, "", timeout_ms, |pid| family.take_in(pid))
}

/// `begun` is called as soon as it runs.
fn call_begun(
    command: &mut Command,
    input: &str,
    timeout_ms: u64,
    begun: impl FnOnce(Pid),
) -> io::Result<Answer> {
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).process_group(0);
    let mut child = command.spawn()?;
    begun(Pid::from_child(&child));
    if let Some(mut stdin) = child.stdin.take() {
        // One that does not read has ended, or does not care.
        drop(stdin.write_all(input.as_bytes()));
    }
    let (said, told) = (collect(child.stdout.take())?, collect(child.stderr.take())?);
    let pid = Pid::from_child(&child);
    let (ended, waited) = std::sync::mpsc::channel();
    let waiter = thread::Builder::new().name("agent".to_owned()).spawn(move || {
        wait_for_end(WaitId::Pid(pid));
        // The caller waits for as long as it was told to.
        let _late = ended.send(());
    })?;
    let timed_out = waited.recv_timeout(Duration::from_millis(timeout_ms)).is_err();
    if timed_out {
        end(pid);
    }
    drop(waiter.join());
    finish(child, timed_out, said, told)
}

/// Waits until a child of this process has ended, and leaves it to be reaped: until then its number
/// is its own.
pub(super) fn wait_for_end(which: WaitId<'_>) {
    let options = WaitIdOptions::EXITED | WaitIdOptions::NOWAIT;
    while matches!(waitid(which.clone(), options), Err(rustix::io::Errno::INTR)) {}
}

/// Ends a call and what it started. The number is its own: it is reaped later.
fn end(pid: Pid) {
    // A group that is gone already needs no signal.
    let _gone = kill_process_group(pid, Signal::KILL);
}

fn finish(
    mut child: Child,
    timed_out: bool,
    said: JoinHandle<String>,
    told: JoinHandle<String>,
) -> io::Result<Answer> {
    let code = child.wait()?.code();
    if timed_out {
        // What it left running in other groups may hold the pipes for ever.
        let (said, reason) = (String::new(), String::new());
        return Ok(Answer { code: None, said, reason, timed_out });
    }
    let told = told.join().unwrap_or_default();
    let given = told.lines().rev().find_map(|line| line.split_once("ocf-exit-reason:"));
    let last = || told.lines().rev().find(|line| !line.trim().is_empty());
    let reason = given.map(|(_, reason)| reason).or_else(last).unwrap_or_default();
    let (said, reason) = (said.join().unwrap_or_default(), reason.trim().to_owned());
    Ok(Answer { code, said, reason, timed_out })
}

/// Reads a pipe on a thread of its own, so that an agent that says much does not wait.
fn collect(pipe: Option<impl Read + Send + 'static>) -> io::Result<JoinHandle<String>> {
    thread::Builder::new().name("agent-out".to_owned()).spawn(move || {
        let mut bytes = Vec::new();
        if let Some(pipe) = pipe {
            // What cannot be read was not said.
            let _ended = pipe.take(SAID_BYTES_MAX).read_to_end(&mut bytes);
        }
        String::from_utf8_lossy(&bytes).into_owned()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(script: &str, timeout_ms: u64, code: Option<i32>, reason: &str) {
        let answer = call(Command::new("sh").args(["-c", script]), timeout_ms).unwrap();
        assert_eq!((answer.code, answer.reason.as_str()), (code, reason));
    }

    #[test]
    fn an_agent_is_heard_and_one_that_hangs_is_ended_with_what_it_started() {
        check("exit 7", 20_000, Some(7), "");
        check("echo one >&2; echo two >&2; exit 1", 20_000, Some(1), "two");
        check(
            "echo ocf-exit-reason:no address >&2; echo x >&2; exit 6",
            20_000,
            Some(6),
            "no address",
        );
        check("sleep 1000 & sleep 1000", 50, None, "");
    }
}
