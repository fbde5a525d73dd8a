//! What reaches a service process from outside, and the lines that it prints.

use std::io::{BufRead as _, BufReader, Read, Write};
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver, Sender};
use std::thread;

use rehome_log::{Clock, boot_ms};
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
    /// Begins to read standard input: `lease <ms> <end>` extends the lease, `quit` ends the
    /// process, and so does the end of the input if `while_stdin`. Other lines are ignored.
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
        if line.trim() == "quit" {
            return Ended::Quit;
        }
        if let (Some((lease, clock)), Some(left_ms)) = (lease, left_ms(&line, boot_ms())) {
            lease.extend_to(clock.monotonic_ms().saturating_add(left_ms));
        }
    }
    Ended::StdinClosed
}

/// What is left of the lease in a line `lease <ms> <end>`: the end is told by the clock of the
/// computer, so that a line that waited to be read is not longer for it.
fn left_ms(line: &str, now_ms: u64) -> Option<u64> {
    let mut words = line.strip_prefix("lease ")?.split_whitespace();
    let mut number = || words.next()?.parse::<u64>().ok();
    let (left_ms, end_ms) = (number()?, number());
    Some(end_ms.map_or(left_ms, |end_ms| left_ms.min(end_ms.saturating_sub(now_ms))))
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

#[cfg(test)]
mod tests {
    use super::left_ms;

    #[track_caller]
    fn check(line: &str, now_ms: u64, expected: Option<u64>) {
        assert_eq!(left_ms(line, now_ms), expected);
    }

    #[test]
    fn a_lease_that_is_read_late_is_shorter_by_that() {
        check("lease 2000 9000", 7_000, Some(2_000));
        check("lease 2000 9000", 8_500, Some(500));
        check("lease 2000 9000", 9_500, Some(0));
        check("lease 2000 9000", 1_000, Some(2_000));
        check("lease 2000", 1_000, Some(2_000));
        check("lease soon", 0, None);
        check("quit", 0, None);
    }
}
