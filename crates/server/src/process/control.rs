//! What reaches a service process from outside, and the lines that it prints.

use std::io::{BufRead as _, BufReader, Read, Write};
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver, Sender};
use std::thread;

use rehome_log::Clock;
use rehome_store::{Lease, RecoveryProgress};
use serde::Serialize;

use super::ServerError;
use crate::listen::Signal;

/// Why a service process has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// The line `quit` came on standard input.
    Quit,
    /// Standard input ended, and the process was to end with it.
    StdinClosed,
    /// A client asked for it.
    Shutdown,
}

/// What the main thread waits for.
#[derive(Debug)]
pub(super) enum Event {
    Ended(Ended),
    Progress(RecoveryProgress),
    Opened,
}

/// The way in which events come.
pub(super) struct Control {
    pub(super) sender: Sender<Event>,
    events: Receiver<Event>,
}

impl Control {
    /// Begins to read standard input: `lease <ms>` extends the lease, `quit` ends the process, and
    /// so does the end of the input if `while_stdin`. Other lines are ignored.
    pub(super) fn new(
        input: Box<dyn Read + Send>,
        while_stdin: bool,
        lease: Option<(Lease, Arc<dyn Clock>)>,
    ) -> Result<Self, ServerError> {
        let (sender, events) = mpsc::channel();
        let reading = {
            let sender = sender.clone();
            move || {
                let ended = read_lines(input, lease.as_ref());
                if ended == Ended::Quit || while_stdin {
                    // If nobody waits any more the process is ending anyway.
                    drop(sender.send(Event::Ended(ended)));
                }
            }
        };
        thread::Builder::new()
            .name("standard input".to_owned())
            .spawn(reading)
            .map_err(|source| ServerError::Process { doing: "make a thread", source })?;
        Ok(Self { sender, events })
    }

    /// A signal by which a client asks for the end.
    pub(super) fn signal(&self) -> Signal {
        let sender = self.sender.clone();
        Signal::new(move || drop(sender.send(Event::Ended(Ended::Shutdown))))
    }

    /// Waits for the next event.
    pub(super) fn next(&self) -> Event {
        // `self.sender` is one of the senders, so there is always one.
        self.events.recv().unwrap_or(Event::Ended(Ended::Quit))
    }

    /// Waits for the end.
    pub(super) fn wait(&self) -> Ended {
        loop {
            if let Event::Ended(ended) = self.next() {
                return ended;
            }
        }
    }
}

fn read_lines(input: Box<dyn Read + Send>, lease: Option<&(Lease, Arc<dyn Clock>)>) -> Ended {
    let lines = BufReader::new(input.take(u64::MAX)).lines();
    for line in lines.map_while(Result::ok) {
        let mut words = line.split_whitespace();
        match (words.next(), words.next().map(str::parse::<u64>)) {
            (Some("quit"), _) => return Ended::Quit,
            (Some("lease"), Some(Ok(lease_ms))) => {
                if let Some((lease, clock)) = lease {
                    lease.extend_to(clock.monotonic_ms().saturating_add(lease_ms));
                }
            }
            _ => {}
        }
    }
    Ended::StdinClosed
}

/// Prints a line for whoever started the process: a word and a JSON object.
pub(super) fn say(
    out: &mut dyn Write,
    word: &str,
    what: &impl Serialize,
) -> Result<(), ServerError> {
    let failed = |source| ServerError::Process { doing: "print a line", source };
    let json = serde_json::to_string(what).map_err(|error| failed(error.into()))?;
    writeln!(out, "{word} {json}").and_then(|()| out.flush()).map_err(failed)
}
