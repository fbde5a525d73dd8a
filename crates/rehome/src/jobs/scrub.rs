//! Reading a store's contents slowly, and repairing what is damaged from another store.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use rehome_store::{ScrubOptions, ScrubReport, StoreError};

use super::{flow, noted, open};
use crate::error::Error;
use crate::event::{Event, Observe};
use crate::report::JobReport;
use crate::summary::bytes;

/// Lines of each kind that people are shown.
const LINES_MAX: usize = 50;

/// How a store is scrubbed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScrubRequest {
    /// The store.
    pub store: PathBuf,
    /// Contents are read no faster than this.
    pub bytes_per_second_max: Option<u64>,
    /// Contents read within so many days are passed over.
    pub since_days: Option<u32>,
    /// A store from which damaged contents are written anew.
    pub repair_from: Option<PathBuf>,
}

/// Reads every content of a store and compares it with its name. Stopped, the same call goes on.
///
/// # Errors
///
/// [`Error::BadInput`] if there is no such store; [`Error::Interrupted`] if `observe` says so;
/// [`Error::NeedsHuman`] if the store fails. Damage is no error; it is in the report's verdict.
pub fn store_scrub(request: &ScrubRequest, observe: Observe<'_>) -> Result<JobReport, Error> {
    let store = open(&request.store)?;
    let other = request.repair_from.as_deref().map(open).transpose()?;
    let options = ScrubOptions {
        bytes_per_second_max: request.bytes_per_second_max,
        since_seconds: request.since_days.map(|days| u64::from(days) * 24 * 60 * 60),
    };
    let scrubbed = store.scrub(options, other.as_ref(), &mut |progress| {
        flow(observe(Event::Progress {
            what: "reading".to_owned(),
            done: progress.done_bytes,
            total: progress.total_bytes,
            unit: "bytes".to_owned(),
        }))
    });
    let notes = store.notes();
    let closed = store.close().and(other.map_or(Ok(()), rehome_store::Store::close));
    let report = scrubbed.map_err(|error| match error {
        StoreError::Stopped => Error::stopped("the scrub was asked to stop"),
        other => Error::chain(other),
    })?;
    closed.map_err(Error::chain)?;
    let text = noted(text(&request.store, &report), &notes);
    let problem = (!report.is_clean()).then(|| problem(request, &report));
    Ok(JobReport::good(&report, text)?.with_problem(problem))
}

fn text(store: &Path, report: &ScrubReport) -> String {
    let damaged = report.damaged.len();
    let repaired = report.damaged.iter().filter(|one| one.repaired.is_some()).count();
    let mut text = format!(
        "{}: {} contents ({}) read, {} passed over: {damaged} damaged, {repaired} of them repaired",
        store.display(),
        report.contents,
        bytes(report.content_bytes),
        report.passed_over
    );
    for one in report.damaged.iter().take(LINES_MAX) {
        let at = one.extent;
        write!(text, "\n  content {}: segment {} at byte {}, ", one.content, at.segment, at.offset)
            .expect("a String");
        match one.repaired {
            Some(now) => write!(text, "now segment {} at byte {}", now.segment, now.offset),
            None => write!(text, "{}", one.cause),
        }
        .expect("a String");
        for message in report.messages.iter().filter(|message| message.content == one.content) {
            let (mailbox, folder, uid) = (&message.mailbox, &message.folder, message.uid);
            write!(text, "\n    {mailbox} {folder} UID {uid}").expect("a String");
        }
    }
    for fault in report.faults.iter().take(LINES_MAX) {
        write!(text, "\n  {fault}").expect("a String");
    }
    if damaged.max(report.faults.len()) > LINES_MAX {
        text.push_str("\n  … there is more, see --json");
    }
    text
}

/// What is wrong, what follows, and what to do.
fn problem(request: &ScrubRequest, report: &ScrubReport) -> String {
    let left = report.damaged.iter().filter(|one| one.repaired.is_none()).count();
    let remedy = match request.repair_from {
        None => {
            "scrub again with --repair-from and a store that has this mail whole, or restore it \
             from a backup"
        }
        Some(_) => "the other store does not have it whole either: restore it from a backup",
    };
    format!(
        "{}: {left} contents and {} segment headers are damaged; these messages cannot be read, \
         and no others are concerned; {remedy}",
        request.store.display(),
        report.faults.len()
    )
}
