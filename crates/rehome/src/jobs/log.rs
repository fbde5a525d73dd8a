//! How a store's log is given up.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use rehome_log::SystemClock;
use rehome_store::{LogHold, LogPolicy, LogStatus, Store};

use super::archive::account;
use super::keys::encryption;
use super::open;
use crate::error::Error;
use crate::event::Observe;
use crate::log_archive::{
    self, Follow, LocalLog, LogArchiveReport, LogJob, LogSource, RemoteLog, Waited, Waiting,
};
use crate::report::JobReport;
use crate::summary::bytes;

/// What is to become of a log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogChange {
    /// It is kept until an archive has it.
    Archive,
    /// It is kept only as far as the store itself needs it.
    Circular,
}

/// Changes how a store's log is given up, if asked to, and says how it is.
///
/// # Errors
///
/// [`Error::BadInput`] if there is no store; the store's error if the change cannot be noted.
pub fn store_log(path: &Path, change: Option<LogChange>) -> Result<JobReport, Error> {
    let store = open(path)?;
    let before = store.log_policy().map_err(Error::chain)?;
    let mut text = String::new();
    match change {
        Some(LogChange::Archive) => {
            let whole_after = store.keep_log_until_archived().map_err(Error::chain)?;
            if before == LogPolicy::Circular {
                writeln!(
                    text,
                    "the log is whole after {whole_after}; archive it with rehome archive log"
                )
                .expect("a String");
            }
        }
        Some(LogChange::Circular) => {
            store.use_circular_log().map_err(Error::chain)?;
            store.checkpoint().map_err(Error::chain)?;
            if before != LogPolicy::Circular {
                text.push_str("what no archive has is given up; the archive of this log ends\n");
            }
        }
        None => {}
    }
    let status = store.log_status().map_err(Error::chain)?;
    store.close().map_err(Error::chain)?;
    write!(text, "{}", describe(&status)).expect("a String");
    JobReport::good(&serde_json::json!({ "store": path, "log": status }), text)
}

/// Archives a store's log up to now into a set, encrypted for age recipients if there are any; see
/// [`LogArchiveReport`].
///
/// # Errors
///
/// [`Error::BadInput`] if there is no store, the set is of another one or of another history of
/// this one, or encrypted, or a recipient is none; [`Error::Interrupted`] if `observe` says so;
/// [`Error::NeedsHuman`] if store or set fails. The same call goes on behind what is in the set.
pub fn archive_log(
    path: &Path,
    set: &Path,
    recipients: &[String],
    observe: Observe<'_>,
) -> Result<JobReport, Error> {
    let job = log_job(recipients)?;
    let store = open(path)?;
    let target = crate::place::target(set)?;
    let report = log_archive::archive_log(&mut LocalLog(&store), &target, &job, observe);
    store.close().map_err(Error::chain)?;
    let report: LogArchiveReport = report?;
    JobReport::good(&report, report.to_string())
}

/// The log of a running server that is archived.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServedLog {
    /// Where its attendant or its store listens. After a fail-over it is looked for there again.
    pub address: String,
    /// The set.
    pub set: PathBuf,
    /// The age recipients; with none nothing is encrypted.
    pub recipients: Vec<String>,
}

/// The same for the store that a server has open.
///
/// # Errors
///
/// As [`archive_log`]; [`Error::BadInput`] also if no store answers at the address.
pub fn archive_served_log(log: &ServedLog, observe: Observe<'_>) -> Result<JobReport, Error> {
    let job = log_job(&log.recipients)?;
    let target = crate::place::target(&log.set)?;
    let mut source = RemoteLog::connect(&log.address).map_err(Error::refused)?;
    let report = log_archive::archive_log(&mut source, &target, &job, observe)?;
    JobReport::good(&report, report.to_string())
}

/// Archives the log of a running server as it grows, at least once in `every`, until `stop` or
/// `observe` says so; that is its end and no error. A server that goes away is looked for until it
/// is back.
///
/// # Errors
///
/// As [`archive_served_log`], but that a server which does not answer is waited for.
pub fn follow_log(
    log: &ServedLog,
    every: Duration,
    stop: &dyn Fn() -> bool,
    observe: Observe<'_>,
) -> Result<JobReport, Error> {
    let job = log_job(&log.recipients)?;
    let target = crate::place::target(&log.set)?;
    let mut connect = || {
        let source = RemoteLog::connect(&log.address);
        let source = source.map_err(|error| Error::chain(error).to_string())?;
        Ok(Box::new(source) as Box<dyn LogSource>)
    };
    let mut pause = Pause { every, waited: Duration::ZERO };
    let mut wait = |waiting| pause.wait(waiting, stop);
    let with = Follow { connect: &mut connect, target, job, stop, wait: &mut wait };
    let report = log_archive::follow(with, observe)?;
    let text = format!(
        "{}\n  in {} rounds; the store went away {} times; the oldest record came after {} s",
        report.archived, report.rounds, report.losses, report.lag_seconds_max
    );
    JobReport::good(&report, text)
}

/// How often a waiting archiver asks whether to go on.
const BREATH: Duration = Duration::from_millis(200);
/// How long a store that went away is left alone.
const ABSENCE: Duration = Duration::from_secs(1);

/// The time between rounds.
struct Pause {
    every: Duration,
    waited: Duration,
}

impl Pause {
    fn wait(&mut self, waiting: Waiting, stop: &dyn Fn() -> bool) -> Waited {
        let end = match waiting {
            Waiting::Round => self.every,
            Waiting::Store => ABSENCE,
        };
        if stop() {
            return Waited::Stop;
        }
        if self.waited >= end {
            self.waited = Duration::ZERO;
            return Waited::Due;
        }
        std::thread::sleep(BREATH);
        self.waited += BREATH;
        Waited::Some
    }
}

fn log_job(recipients: &[String]) -> Result<LogJob, Error> {
    let encryption = encryption(recipients)?;
    Ok(LogJob { account: account(), encryption, clock: Arc::new(SystemClock) })
}

/// The state of the log, for `store info`.
pub(super) fn log_lines(store: &Store) -> Result<(LogStatus, String), Error> {
    let status = store.log_status().map_err(Error::chain)?;
    let text = describe(&status).lines().map(|line| format!("  {line}\n")).collect();
    Ok((status, text))
}

fn describe(status: &LogStatus) -> String {
    let mut text = match status.policy {
        LogPolicy::Circular => "log circular".to_owned(),
        LogPolicy::Archived { whole_after, archived_until } => {
            format!("log archived, whole after {whole_after}, in an archive up to {archived_until}")
        }
    };
    let (kept, count) = (bytes(status.kept_bytes), status.generations);
    writeln!(text, ": {kept} in {count} generations").expect("a String");
    for LogHold { reason, after, bytes: held } in &status.holds {
        writeln!(text, "  {:>10} kept from {after} on for the {reason}", bytes(*held))
            .expect("a String");
    }
    if let Some(seconds) = status.unarchived_seconds {
        let left = bytes(status.unarchived_bytes);
        writeln!(text, "  {left:>10} in no archive, the oldest record of {seconds} s ago")
            .expect("a String");
    }
    text
}
