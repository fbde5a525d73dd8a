//! The other end of the socket: what `rehome migration` asks.

use std::path::PathBuf;
use std::time::Duration;

use super::Running;
use super::socket::{Reply, Request, ask};
use crate::error::Error;
use crate::session::Session;
use crate::work::Work;

/// Time between two looks whether the work rests.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// New bounds; what is `None` stays.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Retune {
    /// Bytes a second; 0 takes the bound away.
    pub bytes_per_second_max: Option<u64>,
    /// Threads that read what lies scattered; 0 leaves it to the source.
    pub lanes: Option<u8>,
}

/// Speaks with the migration that runs in a work folder.
#[derive(Debug, Clone)]
pub struct ControlClient {
    socket: PathBuf,
    shown: String,
}

impl ControlClient {
    /// For the migration in this work folder.
    #[must_use]
    pub fn new(work: &Work) -> Self {
        Self { socket: work.control(), shown: work.root().display().to_string() }
    }

    /// What it does now.
    ///
    /// # Errors
    ///
    /// [`Error::PreconditionOpen`] if none runs there, as for all calls; [`Error::NeedsHuman`] if
    /// it does not answer.
    pub fn status(&self) -> Result<Running, Error> {
        self.ask(&Request::Status)
    }

    /// Lets it rest at the next place at which no mailbox is locked, and waits until it does.
    ///
    /// # Errors
    ///
    /// As [`ControlClient::status`]; [`Error::Interrupted`] if the session is stopped before: the
    /// wish stays.
    pub fn pause(&self, session: &Session, why: &str) -> Result<Running, Error> {
        let mut now = self.ask(&Request::Pause { why: why.to_owned() })?;
        while now.state == "pausing" {
            if session.stopping() {
                return Err(Error::stopped("it is asked to rest, and does not yet"));
            }
            std::thread::park_timeout(LOOK_EVERY);
            now = self.status()?;
        }
        Ok(now)
    }

    /// Lets it go on.
    ///
    /// # Errors
    ///
    /// As [`ControlClient::status`].
    pub fn resume(&self) -> Result<Running, Error> {
        self.ask(&Request::Resume)
    }

    /// Sets new bounds, which count at once for the rate and from the next round for lanes.
    ///
    /// # Errors
    ///
    /// As [`ControlClient::status`].
    pub fn retune(&self, new: Retune) -> Result<Running, Error> {
        let Retune { bytes_per_second_max, lanes } = new;
        self.ask(&Request::Retune { bytes_per_second_max, lanes })
    }

    /// Lets it end at the next safe place, as an interrupt from the keyboard does.
    ///
    /// # Errors
    ///
    /// As [`ControlClient::status`].
    pub fn stop(&self) -> Result<Running, Error> {
        self.ask(&Request::Stop)
    }

    fn ask(&self, request: &Request) -> Result<Running, Error> {
        use std::io::ErrorKind::{ConnectionRefused, NotFound};
        match ask(&self.socket, request) {
            Ok(Reply::Ok(running)) => Ok(*running),
            Ok(Reply::Error(message)) => Err(Error::BadInput {
                message: format!("{}: the migration refuses: {message}", self.shown),
            }),
            Err(error) if matches!(error.kind(), NotFound | ConnectionRefused) => {
                Err(Error::PreconditionOpen {
                    message: format!(
                        "{}: no migration runs here now, so nothing was changed; rehome status \
                         says how far it is",
                        self.shown
                    ),
                })
            }
            Err(error) => Err(Error::needs_human(format!(
                "{}: the migration does not answer: {error}; whether it took the wish is not \
                 known; ask again",
                self.socket.display()
            ))),
        }
    }
}

impl std::fmt::Display for Running {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {} of {} steps done, {}", self.route, self.done, self.steps, self.state)?;
        if let Some(why) = &self.why {
            write!(f, " ({why})")?;
        }
        if let Some(step) = &self.step {
            write!(f, "\nat {} {}", step.id, step.title)?;
        }
        if let Some(now) = &self.progress {
            write!(f, ": {} {} of {} {}", now.what, now.done, now.total, now.unit)?;
        }
        let rate = self.bytes_per_second_max.map(crate::summary::bytes);
        let rate = rate.map_or_else(|| "no bound".to_owned(), |rate| format!("{rate}/s"));
        let lanes = self.lanes.map_or_else(|| "as set".to_owned(), |lanes| lanes.to_string());
        write!(f, "\nrate: {rate}; lanes: {lanes}")
    }
}
