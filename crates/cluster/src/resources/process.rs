//! A supervised child process.
//!
//! The child says `ready {json}` when it serves and `progress {json}` while it is on its way. It
//! is told `lease <ms>` at each renewal and `quit` when it is to end, and must end at the end of
//! its input: so it does not outlive a node that is killed. It is held by a descriptor (pidfd), so
//! its death is an event and not a poll, a zombie is dead, and no signal meets another process.

use std::collections::BTreeMap;
use std::fs::{self, OpenOptions};
use std::io::{self, BufRead, BufReader, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use rustix::process::{Pid, PidfdFlags, Signal, WaitId, kill_process_group, pidfd_open};
use serde_json::Value;

use super::call::wait_for_end;
use super::family::Family;
use super::{Context, Reporter, Resource, ResourceError, Started};
use crate::lease::{Ends, Gate};
use crate::policy::Report;

/// How long a process is given between TERM and KILL, after KILL, and after the kill of its cgroup.
const SIGNAL_WAIT_MS: u64 = 2_000;

pub(super) struct Process {
    program: Option<PathBuf>,
    args: Vec<String>,
    env: BTreeMap<String, String>,
    running: Option<Arc<Running>>,
    gate: Option<(Arc<Gate>, u64)>,
    after_end: Option<AfterEnd>,
}

/// Done when a child was ended by force; it must not wait.
pub(super) type AfterEnd = Arc<dyn Fn() + Send + Sync>;

/// A child that was started. The leader of its own process group.
struct Running {
    pid: Pid,
    /// Stands for this process alone, whatever becomes of its number.
    held: OwnedFd,
    stdin: Mutex<Option<ChildStdin>>,
    exit: Mutex<Option<Exit>>,
    exited: Condvar,
    /// What it started, whatever became of that.
    family: Family,
    after_end: Option<AfterEnd>,
}

/// How a child ended.
#[derive(Debug)]
struct Exit {
    how: String,
    /// Whether what it had started was ended as well; none while that is under way.
    swept: Option<Result<(), String>>,
}

impl Running {
    fn exit(&self) -> MutexGuard<'_, Option<Exit>> {
        self.exit.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Signals the whole group. Only while the leader is not reaped: its number is its own then.
    fn signal(&self, signal: Signal) {
        let exit = self.exit();
        if exit.is_none() {
            // A group that is gone already needs no signal.
            let _ = kill_process_group(self.pid, signal);
        }
    }

    /// Waits for the end of the process; whether it has ended.
    fn wait(&self, wait_ms: u64) -> bool {
        let wait = Duration::from_millis(wait_ms);
        let waited = self.exited.wait_timeout_while(self.exit(), wait, |exit| exit.is_none());
        waited.unwrap_or_else(PoisonError::into_inner).0.is_some()
    }

    /// After its end, whether what it had started has ended as well; `Err` says what is left.
    fn swept(&self) -> Result<(), String> {
        let under_way = |exit: &mut Option<Exit>| exit.as_ref().is_some_and(|e| e.swept.is_none());
        let wait = Duration::from_millis(2 * SIGNAL_WAIT_MS);
        let waited = self.exited.wait_timeout_while(self.exit(), wait, under_way);
        let exit = waited.unwrap_or_else(PoisonError::into_inner).0;
        let swept = exit.as_ref().and_then(|exit| exit.swept.clone());
        drop(exit);
        match swept {
            Some(Ok(())) => Ok(()),
            // What did not end then may have since.
            _ => self.family.end(SIGNAL_WAIT_MS),
        }
    }

    /// Writes a line if the child reads; one that does not misses it.
    fn say(&self, line: &str) {
        let mut stdin = self.stdin.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(stdin) = stdin.as_mut() {
            drop(stdin.write_all(line.as_bytes()));
        }
    }

    fn close_stdin(&self) {
        self.stdin.lock().unwrap_or_else(PoisonError::into_inner).take();
    }
}

impl Ends for Running {
    fn end(&self) {
        self.signal(Signal::KILL);
        self.family.kill();
        if let Some(after_end) = &self.after_end {
            after_end();
        }
    }

    fn lease(&self, left_ms: u64) {
        self.say(&crate::lease::line(left_ms));
    }
}

/// A step of a stop; the next is taken if it does not end the process.
#[derive(Debug, Clone, Copy)]
enum Step {
    /// It is asked to end.
    Ask,
    /// Its process group gets a signal.
    Signal(Signal),
    /// Everything in its cgroup is killed.
    KillFamily,
}

/// The last steps, which leave it no choice.
const FORCE: [(Step, u64); 2] =
    [(Step::Signal(Signal::KILL), SIGNAL_WAIT_MS), (Step::KillFamily, SIGNAL_WAIT_MS)];

impl Process {
    pub(super) fn new(
        program: Option<PathBuf>,
        args: &[String],
        env: &BTreeMap<String, String>,
    ) -> Self {
        let (args, env) = (args.to_vec(), env.clone());
        Self { program, args, env, running: None, gate: None, after_end: None }
    }

    /// What is to be done as well when the child is ended by force.
    pub(super) fn after_end(&mut self, after_end: AfterEnd) {
        self.after_end = Some(after_end);
    }

    fn command(&self, context: &Context) -> Result<Command, ResourceError> {
        let failed = |error: &dyn std::fmt::Display| {
            ResourceError::Failed(format!("process {}: {error}", context.resource))
        };
        let mut command = Command::new(self.program.as_ref().unwrap_or(&context.program));
        for arg in &self.args {
            command.arg(context.fill(arg).map_err(|error| failed(&error))?);
        }
        for (name, value) in &self.env {
            command.env(name, context.fill(value).map_err(|error| failed(&error))?);
        }
        let stderr = stderr_file(&context.state_dir, context.resource.as_str());
        let stderr = stderr.map_err(|error| failed(&error))?;
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(stderr).process_group(0);
        Ok(command)
    }

    /// One step after the other until the process has ended; then what it had started must have.
    fn stop(&mut self, steps: &[(Step, u64)]) -> Result<(), ResourceError> {
        let Some(running) = self.running.clone() else { return Ok(()) };
        let ended = steps.iter().any(|&(step, wait_ms)| {
            match step {
                Step::Ask => {
                    running.say("quit\n");
                    running.close_stdin();
                }
                Step::Signal(signal) => running.signal(signal),
                Step::KillFamily => running.family.kill(),
            }
            running.wait(wait_ms)
        });
        let left = match ended {
            true => running.swept(),
            false => Err(format!("process {} does not end", running.pid.as_raw_nonzero())),
        };
        if let Err(left) = left {
            return Err(ResourceError::Failed(format!(
                "{left}, not even by KILL: it may hang in the kernel. Its group stays here; fence \
                 this node (switch its power off) to have the group served elsewhere"
            )));
        }
        if let Some((gate, ticket)) = self.gate.take() {
            gate.forget(ticket);
        }
        self.running = None;
        Ok(())
    }
}

impl Resource for Process {
    fn online(&mut self, context: &Context, reporter: &Reporter) -> Result<Started, ResourceError> {
        let mut command = self.command(context)?;
        let family = context.families.family(&context.resource);
        family.mark(&mut command);
        let started = context.gate.enter(context.generation, |register| {
            let mut child = command.spawn()?;
            let running = Arc::new(adopt(&mut child, self.after_end.clone(), family)?);
            let ticket = register.add(running.clone());
            io::Result::Ok((child, running, ticket))
        });
        let lost = || ResourceError::Failed("the lease was lost meanwhile".to_owned());
        let (mut child, running, ticket) = started.ok_or_else(lost)?.map_err(|error| {
            let program = command.get_program().display();
            ResourceError::Failed(format!("{program} cannot be started: {error}"))
        })?;
        self.running = Some(running.clone());
        self.gate = Some((context.gate.clone(), ticket));
        let stdout = child.stdout.take();
        let reader = reporter.clone();
        let waiter = reporter.clone();
        let threads = thread::Builder::new()
            .name("child-out".to_owned())
            .spawn(move || stdout.map(|stdout| read_lines(stdout, &reader)))
            .and_then(|_| {
                let name = "child-wait".to_owned();
                thread::Builder::new().name(name).spawn(move || reap(child, &running, &waiter))
            });
        match threads {
            Ok(_) => Ok(Started::Pending),
            Err(error) => Err(ResourceError::Failed(format!("no thread for it: {error}"))),
        }
    }

    fn offline(&mut self, grace_ms: u64) -> Result<(), ResourceError> {
        let [kill, kill_family] = FORCE;
        let term = (Step::Signal(Signal::TERM), SIGNAL_WAIT_MS);
        self.stop(&[(Step::Ask, grace_ms), term, kill, kill_family])
    }

    fn terminate(&mut self) -> Result<(), ResourceError> {
        self.stop(&FORCE)
    }

    fn looks_alive(&mut self) -> Result<(), ResourceError> {
        let dead = match &self.running {
            Some(running) => running.exit().as_ref().map(|exit| exit.how.clone()),
            None => Some("it was not started".to_owned()),
        };
        dead.map_or(Ok(()), |how| Err(ResourceError::Failed(how)))
    }
}

/// Takes what supervision needs of a child that was just spawned.
fn adopt(child: &mut Child, after_end: Option<AfterEnd>, family: Family) -> io::Result<Running> {
    let pid = Pid::from_child(child);
    family.take_in(pid);
    let stdin = child.stdin.take();
    if let Some(stdin) = &stdin {
        // A child that does not read must not hold up the thread that renews the lease.
        let flags = rustix::fs::fcntl_getfl(stdin)? | rustix::fs::OFlags::NONBLOCK;
        rustix::fs::fcntl_setfl(stdin, flags)?;
    }
    // The child is not reaped before its thread does so: the number is still its own.
    let held = pidfd_open(pid, PidfdFlags::empty())?;
    let (stdin, exit, exited) = (Mutex::new(stdin), Mutex::new(None), Condvar::new());
    Ok(Running { pid, held, stdin, exit, exited, family, after_end })
}

fn stderr_file(state_dir: &Path, resource: &str) -> io::Result<fs::File> {
    let dir = state_dir.join("log");
    fs::create_dir_all(&dir)?;
    OpenOptions::new().create(true).append(true).open(dir.join(format!("{resource}.stderr")))
}

fn read_lines(stdout: ChildStdout, reporter: &Reporter) {
    for line in BufReader::new(stdout).lines() {
        let Ok(line) = line else { return };
        let (word, rest) = line.split_once(' ').unwrap_or((&line, ""));
        let value = || serde_json::from_str(rest).unwrap_or(Value::String(rest.to_owned()));
        match word {
            "ready" => reporter(Report::Online(Some(value()))),
            "progress" => reporter(Report::Progress(value())),
            _ => {}
        }
    }
}

/// Waits for the end of the leader, ends the rest of its group and of its family, and reports.
///
/// The leader is looked at before it is reaped: until then its number cannot be given to another
/// process, so the group can still be signalled.
fn reap(mut child: Child, running: &Running, reporter: &Reporter) {
    wait_for_end(WaitId::PidFd(running.held.as_fd()));
    let how = {
        let mut exit = running.exit();
        let _ = kill_process_group(running.pid, Signal::KILL);
        let how = match child.wait() {
            Ok(status) => format!("its process ended: {status}"),
            Err(error) => format!("its process ended: {error}"),
        };
        *exit = Some(Exit { how: how.clone(), swept: None });
        how
    };
    running.exited.notify_all();
    let swept = running.family.end(SIGNAL_WAIT_MS);
    let (why, gone) = match &swept {
        Ok(()) => (how, true),
        Err(left) => (format!("{how}; {left}"), false),
    };
    if let Some(exit) = running.exit().as_mut() {
        exit.swept = Some(swept);
    }
    running.exited.notify_all();
    reporter(Report::Failed { why, gone });
}
