//! How a store's log is given up.

use std::fmt::Write as _;
use std::path::Path;
use std::sync::Arc;

use rehome_log::SystemClock;
use rehome_store::{LogHold, LogPolicy, LogStatus, Store};

use super::archive::account;
use super::keys::encryption;
use super::open;
use crate::error::Error;
use crate::event::Observe;
use crate::log_archive::{self, LogArchiveReport, LogJob};
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
    let encryption = encryption(recipients)?;
    let store = open(path)?;
    let job = LogJob { account: account(), encryption, clock: Arc::new(SystemClock) };
    let report = log_archive::archive_log(&store, &crate::place::target(set)?, &job, observe);
    store.close().map_err(Error::chain)?;
    let report: LogArchiveReport = report?;
    JobReport::good(&report, report.to_string())
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
