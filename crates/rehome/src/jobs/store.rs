//! Looking at a store, and the bulk move between two.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;
use std::sync::Arc;

use rehome_log::SystemClock;
use rehome_store::{
    CheckReport, CompactBudget, HomeDirectory, LocalSource, LocalTarget, MailboxEnd as _,
    MailboxName, MailboxState, MoveError, MoveEvent, MoveJob, MoveReport, Store, TransferError,
    bulk_move, compare_mailbox,
};

use super::log::log_lines;
use super::{flow, named, noted, open, open_or_create};
use crate::error::Error;
use crate::event::{Event, Observe};
use crate::pause::{PauseCondition, pause_when};
use crate::report::JobReport;
use crate::summary::{LockTimes, MessageCounts, Summary, bytes};

/// Gives up what was deleted longer ago than the retention, and gives back the room that it took.
///
/// # Errors
///
/// [`Error::BadInput`] if there is no store.
pub fn store_compact(path: &Path) -> Result<JobReport, Error> {
    let store = open(path)?;
    let report = store.compact(CompactBudget::default()).map_err(Error::chain)?;
    let after = store.statistics().map_err(Error::chain)?;
    store.close().map_err(Error::chain)?;
    let text = format!(
        "{} given back, {} segments less, {} written again\n{} segments ({}) are left\n",
        bytes(report.bytes_freed),
        report.segments,
        bytes(report.bytes_rewritten),
        after.segments,
        bytes(after.segment_bytes)
    );
    let problem = (!report.damaged_segments.is_empty()).then(|| {
        let damaged = &report.damaged_segments;
        format!("segments {damaged:?} cannot be read whole and stay as they are; check the store")
    });
    let document = serde_json::json!({ "compaction": report, "statistics": after });
    Ok(JobReport::good(&document, text)?.with_problem(problem))
}

/// What a store holds.
///
/// # Errors
///
/// [`Error::BadInput`] if there is no store.
pub fn store_info(path: &Path) -> Result<JobReport, Error> {
    let store = open(path)?;
    let statistics = store.statistics().map_err(Error::chain)?;
    let mailboxes = store.mailboxes().map_err(Error::chain)?;
    // A figure for people: more than 2^53 bytes would lose its last digits.
    #[allow(clippy::cast_precision_loss)]
    let ratio = statistics.message_bytes as f64 / statistics.content_bytes.max(1) as f64;
    let mut text = format!(
        "store {}\n  {} mailboxes, {} folders, {} messages ({})\n  {} contents ({}), single \
         instance saves {:.2} to 1\n  {} segments ({}), log {}\n",
        path.display(),
        statistics.mailboxes,
        statistics.folders,
        statistics.messages,
        bytes(statistics.message_bytes),
        statistics.contents,
        bytes(statistics.content_bytes),
        ratio,
        statistics.segments,
        bytes(statistics.segment_bytes),
        bytes(statistics.log_bytes)
    );
    let (log, lines) = log_lines(&store)?;
    text.push_str(&lines);
    for one in &mailboxes {
        writeln!(
            text,
            "  {:<24} {:>8} messages {:>12}  {}",
            one.name.as_str(),
            one.messages,
            bytes(one.bytes),
            one.state
        )
        .expect("a String");
    }
    let notes = store.notes();
    let text = noted(text, &notes);
    let document = serde_json::json!({
        "store": path, "epoch": store.epoch(), "statistics": statistics, "log": log,
        "mailboxes": mailboxes, "notes": notes,
    });
    store.close().map_err(Error::chain)?;
    JobReport::good(&document, text)
}

/// Reads everything in a store and recounts every counter.
///
/// # Errors
///
/// [`Error::BadInput`] if there is no store.
pub fn store_check(path: &Path, observe: Observe<'_>) -> Result<JobReport, Error> {
    let store = open(path)?;
    let (report, text) = check(store, observe)?;
    let problem = damage(path, &report);
    Ok(JobReport::good(&report, text)?.with_problem(problem))
}

/// What is wrong, what follows, and what to do; nothing if all is well.
pub(super) fn damage(path: &Path, report: &CheckReport) -> Option<String> {
    let mut found = Vec::new();
    let (messages, unused) = (report.damaged.len(), report.damaged_unused);
    if messages > 0 || unused > 0 {
        found.push(format!(
            "{messages} messages and {unused} contents that no message has cannot be read, and no \
             others are concerned: scrub the store with --repair-from and a store that has them, \
             or restore them from a backup"
        ));
    }
    if let Some(first) = report.faults.first() {
        found.push(format!(
            "{} faults in headers of segments or in the catalog, such as: {first}: what concerns \
             the catalog is built anew by rehome store recover",
            report.faults.len()
        ));
    }
    let text = found.join("; ");
    (!found.is_empty()).then(|| format!("{}: the store is damaged: {text}", path.display()))
}

/// Reads everything in a store and closes it.
pub(super) fn check(store: Store, observe: Observe<'_>) -> Result<(CheckReport, String), Error> {
    let report = store
        .check(&mut |progress| {
            // A check changes nothing: it is not stopped half way.
            let _flow = observe(Event::Progress {
                what: "reading".to_owned(),
                done: progress.done_bytes,
                total: progress.total_bytes,
                unit: "bytes".to_owned(),
            });
        })
        .map_err(Error::chain)?;
    let notes = store.notes();
    store.close().map_err(Error::chain)?;
    let mut text = format!(
        "{} contents ({}) of {} messages read: {} damaged, {} faults in the catalog",
        report.contents,
        bytes(report.content_bytes),
        report.messages,
        report.damaged.len(),
        report.faults.len()
    );
    for one in report.damaged.iter().take(20) {
        write!(text, "\n  {} {} UID {}: {}", one.mailbox, one.folder, one.uid, one.cause)
            .expect("a String");
    }
    Ok((report, noted(text, &notes)))
}

/// The home server of a mailbox, as the two stores themselves say it: the move alone has no other
/// directory. `from` and `to` are the stores' paths.
struct StatesAsDirectory {
    from: Store,
    to: Store,
    from_name: String,
    to_name: String,
}

impl HomeDirectory for StatesAsDirectory {
    fn home(&mut self, mailbox: &MailboxName) -> Result<String, TransferError> {
        // A store that does not answer decides nothing: two homes would be the price.
        let state = |store: &Store| match store.mailbox(mailbox) {
            Ok(info) => Ok(info.map(|info| info.state)),
            Err(source) => Err(TransferError::Store {
                doing: "look for the mailbox's home",
                source: Box::new(source),
            }),
        };
        if state(&self.to)? == Some(MailboxState::Active) {
            return Ok(self.to_name.clone());
        }
        match state(&self.from)? {
            Some(MailboxState::Moved { .. }) => Ok(self.to_name.clone()),
            Some(_) => Ok(self.from_name.clone()),
            None => Err(TransferError::NoMailbox { mailbox: mailbox.clone() }),
        }
    }

    fn set_home(
        &mut self,
        mailbox: &MailboxName,
        _from: &str,
        _to: &str,
    ) -> Result<(), TransferError> {
        // Making the copy active is the decision: it is durable, and it is made once.
        let store_error = |source| TransferError::Store {
            doing: "make the mailbox active",
            source: Box::new(source),
        };
        let info = self.to.mailbox(mailbox).map_err(store_error)?;
        let info = info.ok_or_else(|| TransferError::NoMailbox { mailbox: mailbox.clone() })?;
        self.to.set_state(info.id, MailboxState::Active).map_err(store_error)
    }
}

/// How fast a move may go, and when.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct MovePace {
    /// Contents move no faster than this.
    pub bytes_per_second_max: Option<u64>,
    /// So many threads read scattered contents, in place of what the source's settings say.
    pub lanes: Option<usize>,
    /// The move rests while one of these holds.
    pub pause_when: Vec<PauseCondition>,
}

/// Moves mailboxes from one store to another; all of them if none is named. The source keeps its
/// copies, marked as moved.
///
/// # Errors
///
/// [`Error::BadInput`] if there is no such store or mailbox; [`Error::Interrupted`] if `observe`
/// says so: the same call goes on.
pub fn move_mailboxes(
    from: &Path,
    to: &Path,
    mailboxes: &[String],
    pace: &MovePace,
    observe: Observe<'_>,
) -> Result<Summary, Error> {
    let source = open(from)?;
    let names = named(&source, from, mailboxes)?;
    let target = open_or_create(to)?;
    let (from_name, to_name) = (shown(from), shown(to));
    let mut job = MoveJob::new(names.clone(), from_name.clone(), to_name.clone());
    job.bytes_per_second_max = pace.bytes_per_second_max;
    job.pause = pause_when(&pace.pause_when, to, Arc::new(SystemClock));
    let mut directory =
        StatesAsDirectory { from: source.clone(), to: target.clone(), from_name, to_name };
    let mut sending = LocalSource::new(source.clone());
    if let Some(lanes) = pace.lanes {
        sending = sending.with_lanes(lanes);
    }
    let report = bulk_move(
        &mut sending,
        &mut LocalTarget::new(target.clone()),
        &mut directory,
        &job,
        &SystemClock,
        &mut |event| told(event, observe),
    );
    let report = report.map_err(move_error)?;
    let summary = compare(&source, &target, &names, &report)?;
    drop(directory);
    source.close().map_err(Error::chain)?;
    target.close().map_err(Error::chain)?;
    Ok(summary)
}

fn shown(path: &Path) -> String {
    std::path::absolute(path).unwrap_or_else(|_| path.to_owned()).display().to_string()
}

/// Passes on how far the move is.
pub(crate) fn told(event: MoveEvent, observe: Observe<'_>) -> rehome_store::Flow {
    let progress = |what: String, done, total, unit: &str| {
        let unit = unit.to_owned();
        Event::Progress { what, done, total, unit }
    };
    flow(observe(match event {
        MoveEvent::Progress { bytes_done, bytes_total, .. } => {
            progress("moving".to_owned(), bytes_done, bytes_total, "bytes")
        }
        MoveEvent::Paused { reason } => progress(format!("resting, {reason}"), 0, 0, ""),
        _ => return rehome_store::Flow::Continue,
    }))
}

fn move_error(error: MoveError) -> Error {
    match error {
        MoveError::Stopped => Error::stopped("the move was asked to stop"),
        other => Error::chain(other),
    }
}

/// Compares what moved with its source, message by message.
fn compare(
    source: &Store,
    target: &Store,
    names: &[MailboxName],
    report: &MoveReport,
) -> Result<Summary, Error> {
    let mut from = LocalSource::new(source.clone());
    let mut to = LocalTarget::new(target.clone());
    let mut messages = MessageCounts::default();
    let mut digest_by_mailbox = BTreeMap::new();
    let left_behind = |name: &MailboxName| report.left_behind.iter().any(|l| l.mailbox == *name);
    // What stays behind is told as such: there is nothing to compare it with.
    for name in names.iter().filter(|name| !left_behind(name)) {
        let found = compare_mailbox(&mut from, &mut to, name).map_err(Error::chain)?;
        messages.source += found.source;
        messages.target += found.target;
        messages.lost += found.lost;
        messages.altered += found.altered;
        messages.duplicated += found.duplicated;
        let digest = to.digest(name).map_err(Error::chain)?;
        digest_by_mailbox.insert(name.to_string(), digest.digest);
    }
    let statistics = target.statistics().map_err(Error::chain)?;
    let locks = report.moved.iter().map(|one| one.lock_ms).collect();
    let left = report.left_behind.iter();
    let left = left.map(|one| format!("{} stays: {}", one.mailbox, one.reason));
    Ok(Summary {
        route: "move".to_owned(),
        mailboxes: names.len() as u64,
        messages,
        bytes: statistics.message_bytes,
        unique_bytes: statistics.content_bytes,
        seconds: report.seconds,
        lock_ms: LockTimes::of(locks),
        lock_ms_by_mailbox: report
            .moved
            .iter()
            .map(|one| (one.mailbox.to_string(), one.lock_ms))
            .collect(),
        digest_by_mailbox,
        verified: report.left_behind.is_empty(),
        traffic: None,
        notes: left.chain(source.notes()).chain(target.notes()).collect(),
        report: None,
    })
}
