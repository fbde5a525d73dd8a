//! Backing a store up and looking at archive sets.

use std::fmt::Write as _;
use std::path::Path;
use std::sync::Arc;

use rehome_archive::{BackupInfo, BackupKind, BackupState, Set};
use rehome_log::SystemClock;
use rehome_store::LocalSource;

use super::{open, target};
use crate::backup::{self, BackupRequest};
use crate::error::Error;
use crate::event::Observe;
use crate::report::JobReport;
use crate::summary::bytes;

/// Backs a store up into an archive set, which is made if it does not exist.
///
/// # Errors
///
/// [`Error::BadInput`] if there is no store, or nothing that a backup of changes could build upon;
/// [`Error::Interrupted`] if `observe` says so.
pub fn backup(
    store: &Path,
    set: &Path,
    kind: BackupKind,
    observe: Observe<'_>,
) -> Result<JobReport, Error> {
    let open = open(store)?;
    let names = open.mailboxes().map_err(Error::chain)?;
    let names: Vec<_> = names.into_iter().map(|mailbox| mailbox.name).collect();
    let request = BackupRequest {
        set: set.to_owned(),
        account: account(),
        directory: None,
        kind,
        clock: Arc::new(SystemClock),
    };
    let mut source = LocalSource::new(open.clone());
    let report = backup::back_up(&mut source, &names, &request, observe)?;
    drop(source);
    open.close().map_err(Error::chain)?;
    JobReport::good(&report, report.to_string())
}

/// Who works at this terminal.
pub(super) fn account() -> String {
    ["USER", "LOGNAME"]
        .iter()
        .find_map(|name| std::env::var(name).ok())
        .unwrap_or_else(|| "unknown".to_owned())
}

/// Opens an archive set that exists.
pub(super) fn open_set(set: &Path) -> Result<Set, Error> {
    Set::open(target(set))
        .map_err(|error| Error::bad_input(format!("{}: {}", set.display(), Error::refused(error))))
}

/// The backups of a set.
///
/// # Errors
///
/// [`Error::BadInput`] if there is no set.
pub fn archive_list(set: &Path) -> Result<JobReport, Error> {
    let opened = open_set(set)?;
    let backups = opened.list().map_err(Error::chain)?;
    let mut text = format!("set {} of store {}\n", opened.id(), opened.store_id());
    let mut documents = Vec::new();
    for one in &backups {
        writeln!(text, "  {}", backup_line(one)).expect("a String");
        documents.push(serde_json::json!({
            "id": one.id.to_string(),
            "folder": one.folder,
            "kind": one.kind,
            "lsn_end": one.lsn_end,
            "complete": one.state == BackupState::Complete,
            "base": base_of(one),
            "manifest": one.manifest,
        }));
    }
    JobReport::good(&documents, text)
}

/// The backup that this one builds upon.
fn base_of(one: &BackupInfo) -> Option<String> {
    let base = one.manifest.as_ref()?.base.as_ref()?;
    Some(base.backup_id.to_string())
}

fn backup_line(one: &BackupInfo) -> String {
    let state = match &one.state {
        BackupState::Complete => "complete".to_owned(),
        BackupState::Incomplete => "incomplete, not usable".to_owned(),
        BackupState::Unreadable { what } => format!("unreadable: {what}"),
    };
    let totals = one.manifest.as_ref().map(|manifest| manifest.totals);
    let holds = totals.map_or_else(String::new, |totals| {
        format!(
            "{} mailboxes, {} messages, {} in {}",
            totals.mailboxes,
            totals.messages,
            bytes(totals.content_bytes),
            bytes(totals.stored_bytes)
        )
    });
    let upon = base_of(one).map_or_else(String::new, |base| format!(" upon {base}"));
    format!("{} {}{upon} at {}: {state} {holds}", one.id, one.kind.word(), one.lsn_end)
}

/// Checks every complete backup of a set.
///
/// # Errors
///
/// [`Error::BadInput`] if there is no set. Damage is the report's problem.
pub fn archive_check(set: &Path, deep: bool, observe: Observe<'_>) -> Result<JobReport, Error> {
    let opened = open_set(set)?;
    let (mut lines, mut problems) = (Vec::new(), Vec::new());
    for one in opened.list().map_err(Error::chain)? {
        if one.state == BackupState::Incomplete {
            lines.push(format!("{}: incomplete, not usable, not checked", one.id));
            continue;
        }
        match backup::check(set, &one.id.to_string(), deep, observe) {
            Ok(text) => lines.push(format!("{}: {text}", one.id)),
            Err(error) => {
                lines.push(format!("{}: {error}", one.id));
                problems.push(one.id.to_string());
            }
        }
    }
    let problem = (!problems.is_empty()).then(|| format!("not whole: {}", problems.join(", ")));
    let text = lines.join("\n");
    Ok(JobReport::good(&lines, text)?.with_problem(problem))
}
