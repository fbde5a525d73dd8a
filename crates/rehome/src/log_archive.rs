//! Archiving a store's log: a base if the set has none that the log can follow, then every record
//! with the bodies that it put. The store gives up only what was read back from the set.

mod follow;
mod history;
mod source;

use std::path::PathBuf;
use std::sync::Arc;

use rehome_archive::{
    ArchiveError, ArchiverOptions, BackupInfo, BackupKind, CheckLevel, ContentId, Encryption,
    LogArchiver, LogEntry, LogHeader, Set, Target, Until,
};
use rehome_log::{Clock, Lsn};
use rehome_server::LogStretch;
use rehome_store::{ContentRun, LogPolicy, LogRecord, bodies};
use serde::Serialize;

pub(crate) use self::follow::{Follow, Waited, Waiting, follow};
use self::source::Opening;
pub(crate) use self::source::{LocalLog, LogSource, RemoteLog};
use crate::backup::{BackupReport, BackupRequest};
use crate::error::Error;
use crate::event::{Event, Flow, Observe};

/// After so many bytes the store is told what the set has, and the rest is read.
const ROUND_BYTES: u64 = 64 << 20;

/// Who archives, and by which clock.
pub(crate) struct LogJob {
    /// The account.
    pub(crate) account: String,
    /// What encrypts the log for its recipients; nothing if there are none.
    pub(crate) encryption: Option<Encryption>,
    /// The clock.
    pub(crate) clock: Arc<dyn Clock>,
}

/// What a round of archiving did.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct LogArchiveReport {
    /// The backup that was made because the log had none to follow.
    pub base: Option<BackupReport>,
    /// The last record of the log that was in the set before, or the place after which it begins.
    pub after: Lsn,
    /// The last record that is in the set now; the store may give the log up to here up.
    pub until: Lsn,
    /// Records archived.
    pub records: u64,
    /// Bodies archived with them.
    pub contents: u64,
    /// Bytes of these bodies.
    pub content_bytes: u64,
}

impl std::fmt::Display for LogArchiveReport {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if let Some(base) = &self.base {
            writeln!(f, "the log had no backup to follow: {base}")?;
        }
        write!(
            f,
            "log archived from {} to {}: {} records, {} messages of {}",
            self.after,
            self.until,
            self.records,
            self.contents,
            crate::summary::bytes(self.content_bytes)
        )
    }
}

/// Archives a log up to now into the set at `target`, which is made if there is none.
///
/// From the first call on the store keeps its log until it is archived. Killed or failed anywhere,
/// the set has whole segments; the same call goes on behind the last one.
///
/// # Errors
///
/// [`Error::BadInput`] if the set is of another store, or of another history of this one;
/// [`Error::Interrupted`] if `observe` says so; [`Error::NeedsHuman`] if store or set fails.
pub(crate) fn archive_log(
    source: &mut dyn LogSource,
    target: &Arc<dyn Target>,
    job: &LogJob,
    observe: Observe<'_>,
) -> Result<LogArchiveReport, Error> {
    source.keep()?;
    let opening = source.opening()?;
    let (base, begins) = base_if_needed(source, target, job, observe)?;
    let mut archiver = begin(opening, target, job).map_err(refused)?;
    if let Some(lsn) = begins {
        archiver.pass_to(lsn).map_err(Error::chain)?;
    }
    let until = source.roll()?;
    let after = archiver.archived();
    let mut report = LogArchiveReport { base, after, until: after, ..LogArchiveReport::default() };
    loop {
        let stretch =
            LogStretch { after: report.until, until, bodies: true, bytes_max: ROUND_BYTES };
        let taken = source.read(stretch, &mut |record, runs| {
            take(&mut archiver, record, runs, &mut report)?;
            tell(observe, &report)
        });
        // What has come is archived, whatever keeps more from coming.
        archiver.flush().map_err(Error::chain)?;
        let goes_on = archiver.archived() > report.until && archiver.archived() < until;
        report.until = archiver.archived();
        match taken {
            Err(stopped @ Error::Interrupted { .. }) => {
                source.note(report.until)?;
                return Err(stopped);
            }
            taken => taken?,
        }
        source.note(report.until)?;
        if !goes_on {
            return Ok(report);
        }
    }
}

fn begin(
    opening: Opening,
    target: &Arc<dyn Target>,
    job: &LogJob,
) -> Result<LogArchiver, ArchiveError> {
    let header = LogHeader {
        store_id: opening.store_id,
        store_epoch: opening.epoch,
        software: concat!("rehome ", env!("CARGO_PKG_VERSION")).to_owned(),
        account: job.account.clone(),
    };
    let encryption = job.encryption.clone();
    let options = ArchiverOptions { encryption, ..ArchiverOptions::default() };
    LogArchiver::begin(Arc::clone(target), header, options)
}

/// What the archive refuses before anything is written.
fn refused(error: ArchiveError) -> Error {
    match error {
        ArchiveError::OtherStore { set, store } => Error::bad_input(format!(
            "the set has the log of store {set}, and this is store {store}: no record was \
             archived; a store that was restored has an identity of its own and needs a set of \
             its own; name another folder"
        )),
        ArchiveError::Damaged(damage) => Error::needs_human(format!(
            "the last part of the log in the set is damaged: {damage}; nothing was archived; take \
             that file out of the set, and the same call goes on behind the one before, or with a \
             new full backup"
        )),
        error @ ArchiveError::Target { .. } => Error::chain(error),
        error => Error::refused(error),
    }
}

/// Makes a backup that the log can follow, unless the set has one and its log can go on. Returns
/// where a new run of the log begins, if the log of the set cannot go on.
fn base_if_needed(
    source: &mut dyn LogSource,
    target: &Arc<dyn Target>,
    job: &LogJob,
    observe: Observe<'_>,
) -> Result<(Option<BackupReport>, Option<Lsn>), Error> {
    let goes_on = match begin(source.opening()?, target, job) {
        Ok(archiver) => {
            history::expect_same(source, target, archiver.archived())?;
            goes_on(source, archiver.archived())?
        }
        Err(ArchiveError::NoSet | ArchiveError::NoBase { .. }) => false,
        Err(error) => return Err(refused(error)),
    };
    // Log that goes on is never left out, even if no backup before it can be read just now.
    if goes_on && listed(target)?.iter().any(|one| one.log_follows().is_some()) {
        return Ok((None, None));
    }
    let report = source.back_up(Arc::clone(target), &base_request(job), observe)?;
    if goes_on {
        return Ok((Some(report), None));
    }
    let made = listed(target)?;
    let made = made.iter().find(|one| one.id.to_string() == report.id);
    let follows = made.and_then(BackupInfo::log_follows);
    let follows = follows.ok_or_else(|| Error::needs_human("the base that was made is gone"))?;
    Ok((Some(report), Some(follows)))
}

fn listed(target: &Arc<dyn Target>) -> Result<Vec<BackupInfo>, Error> {
    Set::open(Arc::clone(target)).and_then(|set| set.list()).map_err(Error::chain)
}

/// Whether the store still has the whole log behind `archived`.
fn goes_on(source: &mut dyn LogSource, archived: Lsn) -> Result<bool, Error> {
    match source.policy()? {
        LogPolicy::Archived { whole_after, .. } if archived >= whole_after => {
            source.reaches(archived)
        }
        _ => Ok(false),
    }
}

/// A full backup that log can follow.
fn base_request(job: &LogJob) -> BackupRequest {
    BackupRequest {
        set: PathBuf::new(),
        account: job.account.clone(),
        directory: None,
        options: BackupKind::Full.into(),
        encryption: job.encryption.clone(),
        catalog: true,
        clock: Arc::clone(&job.clock),
    }
}

/// Hands a record and the bodies that it put to the archiver.
fn take(
    archiver: &mut LogArchiver,
    record: LogRecord,
    runs: &[ContentRun],
    report: &mut LogArchiveReport,
) -> Result<(), Error> {
    let mut brought: Vec<(ContentId, Vec<u8>)> = Vec::new();
    for body in runs.iter().flat_map(|run| bodies(run.bytes())) {
        let body = body.map_err(Error::chain)?;
        brought.push((ContentId(body.content.0), body.bytes));
    }
    report.records += 1;
    report.contents += brought.len() as u64;
    report.content_bytes += brought.iter().map(|(_, bytes)| bytes.len() as u64).sum::<u64>();
    let LogRecord { lsn, prev_lsn: previous, wall_us, payload } = record;
    let contents = brought.iter().map(|(id, _)| *id).collect();
    let entry = LogEntry { lsn, previous, wall_us, contents, payload };
    archiver.entry(entry, brought).map_err(Error::chain)
}

fn tell(observe: Observe<'_>, report: &LogArchiveReport) -> Result<(), Error> {
    let (what, unit) = ("archiving the log".to_owned(), "records".to_owned());
    match observe(Event::Progress { what, done: report.records, total: 0, unit }) {
        Flow::Continue => Ok(()),
        Flow::Stop => Err(Error::stopped("the archiving of the log was asked to stop")),
    }
}

/// Reads the log of a set back and sees that it leads to `lsn`; says what was read.
///
/// # Errors
///
/// [`Error::Differences`] with every damaged place, or with what is missing.
pub(crate) fn check(set: &Set, lsn: Lsn) -> Result<String, Error> {
    let report = set.check_logs(CheckLevel::Deep, &mut |_| {}).map_err(Error::chain)?;
    let damage: Vec<String> = report.damage.iter().map(ToString::to_string).collect();
    if !damage.is_empty() {
        return Err(Error::Differences { message: damage.join("; ") });
    }
    let plan = set.plan_restore(Until::Lsn(lsn)).map_err(Error::chain)?;
    if !plan.is_complete() || !plan.has_catalog() {
        let reaches = plan.reaches;
        let message = format!("the archive leads to {reaches}, not to {lsn}: log is missing");
        return Err(Error::Differences { message });
    }
    let (segments, records) = (report.segments, report.records);
    Ok(format!("{segments} segments of the log, {records} records read back, up to {lsn}"))
}

#[cfg(test)]
mod tests;
