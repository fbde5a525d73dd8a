//! The socket of a running migration: one question a connection.

use std::fs::{File, Permissions};
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::os::fd::AsRawFd as _;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{Control, Running};
use crate::error::Error;

/// A question longer than this is none, in bytes.
const LINE_SIZE_MAX: u64 = 4096;
/// Who says nothing for so long is not waited for.
const PATIENCE: Duration = Duration::from_secs(5);
/// Time between two attempts to accept a connection, where one failed.
const ACCEPT_AGAIN: Duration = Duration::from_millis(10);

/// What a migration is asked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "do", rename_all = "kebab-case", deny_unknown_fields)]
pub(super) enum Request {
    Status,
    Pause {
        why: String,
    },
    Resume,
    /// A 0 takes the bound away; what is not named stays.
    Retune {
        #[serde(default, skip_serializing_if = "Option::is_none")]
        bytes_per_second_max: Option<u64>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        lanes: Option<u8>,
    },
    Stop,
}

/// What it answers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Reply {
    Ok(Box<Running>),
    Error(String),
}

/// A socket that is listened at until the value is dropped.
pub(crate) struct Listening {
    path: PathBuf,
    end: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Listening {
    /// Begins to listen at `path`. Whoever calls holds the lock of the journal, so that a socket
    /// that is there already is what a killed run left.
    pub(crate) fn begin(path: PathBuf, control: Arc<Control>) -> Result<Self, Error> {
        let failed = |error| {
            Error::needs_human(format!(
                "{}: the socket by which the migration is controlled cannot be made: {error}; make \
                 room or rights, and run the same command again",
                path.display()
            ))
        };
        let listener = bind(&path).map_err(failed)?;
        let end = Arc::<AtomicBool>::default();
        let ended = Arc::clone(&end);
        let thread = std::thread::spawn(move || {
            for stream in listener.incoming() {
                if ended.load(Ordering::SeqCst) {
                    return;
                }
                // Without file handles to spare every accept fails; it is tried again a little
                // later.
                let Ok(stream) = stream else {
                    std::thread::park_timeout(ACCEPT_AGAIN);
                    continue;
                };
                // Who cannot be answered has gone; the work goes on without them.
                let _answered = answer(&stream, &control);
            }
        });
        Ok(Listening { path, end, thread: Some(thread) })
    }
}

impl Drop for Listening {
    fn drop(&mut self) {
        self.end.store(true, Ordering::SeqCst);
        // A last connection wakes the thread; if none can be made it ends with the process.
        if connect(&self.path).is_ok()
            && let Some(thread) = self.thread.take()
        {
            let _ended = thread.join();
        }
        let _gone = std::fs::remove_file(&self.path);
    }
}

fn answer(stream: &UnixStream, control: &Control) -> std::io::Result<()> {
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    let mut line = String::new();
    BufReader::new(stream.take(LINE_SIZE_MAX)).read_line(&mut line)?;
    let reply = match serde_json::from_str(&line) {
        Ok(request) => Reply::Ok(Box::new(carry_out(request, control))),
        Err(error) => Reply::Error(format!("{error}; nothing was changed")),
    };
    send(stream, &reply)
}

fn carry_out(request: Request, control: &Control) -> Running {
    match request {
        Request::Status => {}
        Request::Pause { why } => control.pause(&why),
        Request::Resume => control.resume(),
        Request::Retune { bytes_per_second_max, lanes } => {
            if let Some(max) = bytes_per_second_max {
                control.bounds.set_bytes_per_second_max(Some(max).filter(|max| *max > 0));
            }
            if let Some(lanes) = lanes {
                control.bounds.set_lanes(Some(lanes).filter(|lanes| *lanes > 0));
            }
        }
        Request::Stop => control.stop(),
    }
    control.running()
}

/// Writes a value as one line.
fn send<T: Serialize>(mut stream: &UnixStream, value: &T) -> std::io::Result<()> {
    let mut line = serde_json::to_vec(value)?;
    line.push(b'\n');
    stream.write_all(&line)
}

/// Asks a migration.
pub(super) fn ask(path: &Path, request: &Request) -> std::io::Result<Reply> {
    let stream = connect(path)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    send(&stream, request)?;
    let mut line = String::new();
    BufReader::new(&stream).read_line(&mut line)?;
    Ok(serde_json::from_str(&line)?)
}

fn bind(path: &Path) -> std::io::Result<UnixListener> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let listener = at(path, |short| UnixListener::bind(short))?;
    // Who may change the work folder may say what is done in it, and nobody else.
    std::fs::set_permissions(path, Permissions::from_mode(0o600))?;
    Ok(listener)
}

fn connect(path: &Path) -> std::io::Result<UnixStream> {
    at(path, |short| UnixStream::connect(short))
}

/// Calls with a name of the path that is short enough for a socket, which 107 bytes are: through
/// the open folder, however deep that lies.
fn at<T>(path: &Path, call: impl FnOnce(&Path) -> std::io::Result<T>) -> std::io::Result<T> {
    let none = || std::io::Error::new(std::io::ErrorKind::InvalidInput, "no name of a file");
    let folder = File::open(path.parent().ok_or_else(none)?)?;
    let name = path.file_name().ok_or_else(none)?;
    call(&Path::new(&format!("/proc/self/fd/{}", folder.as_raw_fd())).join(name))
}
