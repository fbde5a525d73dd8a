//! Backing a store up, looking at archive sets, restoring.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use rehome_archive::{BackupInfo, BackupState, Set};
use rehome_log::{Clock as _, SystemClock};
use rehome_store::{LocalSource, OpenOptions, RestoreMarker, Store};

use super::{open, target};
use crate::backup::{self, BackupRequest};
use crate::error::Error;
use crate::event::Observe;
use crate::report::JobReport;
use crate::restore as restoring;
use crate::summary::bytes;

/// Backs a store up into an archive set, which is made if it does not exist.
///
/// # Errors
///
/// [`Error::BadInput`] if there is no store; [`Error::Interrupted`] if `observe` says so.
pub fn backup(store: &Path, set: &Path, observe: Observe<'_>) -> Result<JobReport, Error> {
    let open = open(store)?;
    let names = open.mailboxes().map_err(Error::chain)?;
    let names: Vec<_> = names.into_iter().map(|mailbox| mailbox.name).collect();
    let request = BackupRequest {
        set: set.to_owned(),
        account: account(),
        directory: None,
        copy: false,
        wall_us: SystemClock.wall_us(),
    };
    let mut source = LocalSource::new(open.clone());
    let report = backup::back_up(&mut source, &names, &request, observe)?;
    drop(source);
    open.close().map_err(Error::chain)?;
    JobReport::good(&report, report.to_string())
}

/// Who works at this terminal.
fn account() -> String {
    ["USER", "LOGNAME"]
        .iter()
        .find_map(|name| std::env::var(name).ok())
        .unwrap_or_else(|| "unknown".to_owned())
}

/// The backups of a set.
///
/// # Errors
///
/// [`Error::BadInput`] if there is no set.
pub fn archive_list(set: &Path) -> Result<JobReport, Error> {
    let opened = Set::open(target(set)).map_err(|error| Error::bad_input(Error::chain(error)))?;
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
            "manifest": one.manifest,
        }));
    }
    JobReport::good(&documents, text)
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
    format!("{} {:?} at {}: {state} {holds}", one.id, one.kind, one.lsn_end)
}

/// Checks every complete backup of a set.
///
/// # Errors
///
/// [`Error::BadInput`] if there is no set. Damage is the report's problem.
pub fn archive_check(set: &Path, deep: bool, observe: Observe<'_>) -> Result<JobReport, Error> {
    let opened = Set::open(target(set)).map_err(|error| Error::bad_input(Error::chain(error)))?;
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

/// What is restored from where to where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RestoreRequest {
    /// The archive set.
    pub set: PathBuf,
    /// The store to make.
    pub store: PathBuf,
    /// Only this mailbox.
    pub mailbox: Option<String>,
    /// The backup; the newest complete one when none is given.
    pub backup: Option<String>,
    /// Say what would be restored and touch nothing.
    pub dry_run: bool,
}

/// Restores a store from a backup, and opens it once so that it recovers.
///
/// # Errors
///
/// [`Error::BadInput`] if there is no such backup or mailbox, or the target is not empty: nothing
/// is changed then; [`Error::NeedsHuman`] if something of the backup cannot be read.
pub fn restore(request: &RestoreRequest, observe: Observe<'_>) -> Result<JobReport, Error> {
    let id = choose(&request.set, request.backup.as_deref())?;
    let empty =
        std::fs::read_dir(&request.store).map_or(true, |mut entries| entries.next().is_none());
    if !empty {
        return Err(Error::BadInput {
            message: format!(
                "{}: the target is not empty, and a restore replaces nothing; give an empty or a \
                 new folder",
                request.store.display()
            ),
        });
    }
    let backup = restoring::open(&request.set, &id)?;
    if request.dry_run {
        let totals = backup.manifest().map(|manifest| manifest.totals).unwrap_or_default();
        let text = format!(
            "would restore {} mailboxes, {} messages, {} from backup {id} to {}",
            totals.mailboxes,
            totals.messages,
            bytes(totals.content_bytes),
            request.store.display()
        );
        return JobReport::good(&totals, text);
    }
    if request.store.exists() {
        std::fs::remove_dir(&request.store).map_err(Error::needs_human)?;
    }
    let marker = request.store.with_extension("restore-marker");
    let only = request.mailbox.as_deref();
    let text = restoring::lay_down(&backup, only, &request.store, &marker, observe)?;
    recover(&request.store, &marker)?;
    JobReport::good(&text, format!("{text} and recovered from backup {id}"))
}

/// Opens a restored store with its marker, which ends the restore.
fn recover(store: &Path, marker: &Path) -> Result<(), Error> {
    let json = std::fs::read(marker).map_err(Error::needs_human)?;
    let proof: RestoreMarker = serde_json::from_slice(&json).map_err(Error::needs_human)?;
    let options = OpenOptions { restore_marker: Some(proof), ..OpenOptions::default() };
    Store::open_at(store, options).map_err(Error::chain)?.close().map_err(Error::chain)?;
    std::fs::remove_file(marker).map_err(Error::needs_human)
}

/// The backup with this id, or the newest complete one.
fn choose(set: &Path, id: Option<&str>) -> Result<String, Error> {
    let opened = Set::open(target(set)).map_err(|error| Error::bad_input(Error::chain(error)))?;
    if let Some(id) = id {
        return Ok(id.to_owned());
    }
    let latest = opened.latest().map_err(Error::chain)?;
    latest.map(|latest| latest.id.to_string()).ok_or_else(|| Error::BadInput {
        message: format!(
            "{}: the set has no complete backup; make one with rehome backup",
            set.display()
        ),
    })
}

/// Writes the mail of the newest complete backup as Maildir++ trees.
///
/// # Errors
///
/// [`Error::BadInput`] if there is no such set or the folder is not empty.
pub fn archive_extract(set: &Path, to: &Path, observe: Observe<'_>) -> Result<JobReport, Error> {
    let id = choose(set, None)?;
    let backup = restoring::open(set, &id)?;
    // The export knows every rule of Maildir++, and it reads from a store: a passing one.
    let scratch = to.with_extension("extract-scratch");
    let marker = scratch.with_extension("marker");
    restoring::lay_down(&backup, None, &scratch, &marker, observe)?;
    recover(&scratch, &marker)?;
    let report = super::export(&scratch, to, &[], super::ExportFormat::Maildir, observe)?;
    std::fs::remove_dir_all(&scratch).map_err(Error::needs_human)?;
    Ok(report)
}
