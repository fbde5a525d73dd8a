//! Archiving a log as it grows, beside the server that writes it.

use std::sync::Arc;

use rehome_archive::Target;
use serde::Serialize;

use super::{LogArchiveReport, LogJob, LogSource, archive_log};
use crate::error::Error;
use crate::event::{Event, Flow, Observe};

/// With so much log that no archive has, a round begins at once.
const HASTE_BYTES: u64 = 16 << 20;

/// What an archiver waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Waiting {
    /// The time of the next round.
    Round,
    /// A moment before the store is looked for again.
    Store,
}

/// Whether a wait has ended; it is asked for again and again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Waited {
    /// Time has passed, and the round is not due yet.
    Some,
    /// It is due.
    Due,
    /// The archiver is asked to end.
    Stop,
}

/// What a follower works with.
pub(crate) struct Follow<'a> {
    /// Finds the store, wherever it is served now; the text says why it does not.
    pub(crate) connect: &'a mut dyn FnMut() -> Result<Box<dyn LogSource>, String>,
    /// The set.
    pub(crate) target: Arc<dyn Target>,
    /// Who archives.
    pub(crate) job: LogJob,
    /// Whether somebody wants it to end.
    pub(crate) stop: &'a dyn Fn() -> bool,
    /// Waits a little.
    pub(crate) wait: &'a mut dyn FnMut(Waiting) -> Waited,
}

/// What was archived while the log was followed.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub(crate) struct FollowReport {
    /// Rounds that ended.
    pub(crate) rounds: u64,
    /// How often the store had gone away.
    pub(crate) losses: u64,
    /// All of them together, from the first one to the last.
    pub(crate) archived: LogArchiveReport,
    /// The oldest that a record was when it came into the set, as far as was seen, in seconds.
    pub(crate) lag_seconds_max: u64,
}

/// Archives the log, round by round, until it is asked to end. What a round reports is durable in
/// the set and was read back. A store that goes away is looked for until it is back, under whatever
/// epoch.
///
/// # Errors
///
/// As [`archive_log`], but for [`Error::Interrupted`]: to be stopped is its end.
pub(crate) fn follow(mut with: Follow<'_>, observe: Observe<'_>) -> Result<FollowReport, Error> {
    let mut report = FollowReport::default();
    let mut source = None;
    loop {
        let Some(store) = &mut source else {
            source = find(&mut with, observe);
            if source.is_none() {
                return Ok(report);
            }
            continue;
        };
        match round(&mut **store, &with, &mut report, observe) {
            Ok(()) => {
                if until_due(&mut **store, &mut with) == Waited::Stop {
                    return Ok(report);
                }
            }
            Err(Error::Interrupted { .. }) => return Ok(report),
            Err(error) => {
                if !store.is_away() {
                    return Err(error);
                }
                report.losses += 1;
                source = None;
                // The search that follows asks whether to go on.
                let _flow = observe(Event::Note { text: format!("the store went away: {error}") });
            }
        }
    }
}

/// Looks for the store until it is found; nothing if the archiver is asked to end.
fn find(with: &mut Follow<'_>, observe: Observe<'_>) -> Option<Box<dyn LogSource>> {
    let mut told = false;
    loop {
        match (with.connect)() {
            Ok(source) => return Some(source),
            Err(why) if !told => {
                told = true;
                let text = format!("waiting for the store: {why}");
                if observe(Event::Note { text }) == Flow::Stop {
                    return None;
                }
            }
            Err(_) => {}
        }
        loop {
            match (with.wait)(Waiting::Store) {
                Waited::Some => {}
                Waited::Due => break,
                Waited::Stop => return None,
            }
        }
    }
}

/// One round, and what is told of it.
fn round(
    source: &mut dyn LogSource,
    with: &Follow<'_>,
    report: &mut FollowReport,
    observe: Observe<'_>,
) -> Result<(), Error> {
    let epoch = source.opening()?.epoch;
    let lag_seconds = source.behind()?.seconds;
    // Records go by quickly; each round is told as one event.
    let hear = &mut |event| match (event, (with.stop)()) {
        (_, true) => Flow::Stop,
        (Event::Progress { .. }, false) => Flow::Continue,
        (event, false) => observe(event),
    };
    let done = archive_log(source, &with.target, &with.job, hear)?;
    let behind = source.behind()?;
    let all = &mut report.archived;
    if report.rounds == 0 {
        all.after = done.after;
    }
    all.until = done.until;
    all.records += done.records;
    all.contents += done.contents;
    all.content_bytes += done.content_bytes;
    report.rounds += 1;
    report.lag_seconds_max = report.lag_seconds_max.max(lag_seconds);
    let LogArchiveReport { base, until, records, contents, content_bytes, .. } = done;
    if let Some(base) = &base {
        // The event that follows asks whether to go on.
        let _flow =
            observe(Event::Note { text: format!("the log had no backup to follow: {base}") });
    }
    all.base = base.or(all.base.take());
    let (behind_bytes, behind_seconds) = (behind.bytes, behind.seconds);
    let event = Event::Archived {
        until,
        epoch,
        records,
        contents,
        content_bytes,
        lag_seconds,
        behind_bytes,
        behind_seconds,
    };
    match (observe(event), (with.stop)()) {
        (Flow::Continue, false) => Ok(()),
        _ => Err(Error::stopped("the archiver was asked to stop")),
    }
}

/// Waits until the next round is due, or there is much to archive.
fn until_due(source: &mut dyn LogSource, with: &mut Follow<'_>) -> Waited {
    loop {
        match (with.wait)(Waiting::Round) {
            Waited::Some => {}
            ended => return ended,
        }
        // A store that has gone away is found out by the round.
        if source.behind().map_or(true, |behind| behind.bytes >= HASTE_BYTES) {
            return Waited::Due;
        }
    }
}
