//! Backing a store up, looking at archive sets, restoring.

use std::fmt::Write as _;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rehome_archive::{BackupId, BackupInfo, BackupState, Set, Target};
use rehome_log::{Clock as _, SystemClock};
use rehome_store::{LocalSource, OpenOptions, RestoreMarker, Store};

use super::{expect_free, open};
use crate::backup::{self, BackupRequest};
use crate::error::Error;
use crate::event::Observe;
use crate::report::JobReport;
use crate::restore::{self as restoring, Amount, Chosen, Source};
use crate::summary::bytes;

/// Backs a store up into an archive set, which is made if it does not exist.
///
/// # Errors
///
/// [`Error::BadInput`] if there is no store; [`Error::Interrupted`] if `observe` says so.
pub fn backup(store: &Path, set: &Path, observe: Observe<'_>) -> Result<JobReport, Error> {
    super::require(store)?;
    back_up_store(store, crate::place::target(set)?, observe)
}

/// Backs a store up into `target`.
pub(super) fn back_up_store(
    store: &Path,
    target: Arc<dyn Target>,
    observe: Observe<'_>,
) -> Result<JobReport, Error> {
    let open = open(store)?;
    let names = open.mailboxes().map_err(Error::chain)?;
    let names: Vec<_> = names.into_iter().map(|mailbox| mailbox.name).collect();
    let request = BackupRequest {
        set: PathBuf::new(),
        account: account(),
        directory: None,
        copy: false,
        wall_us: SystemClock.wall_us(),
    };
    let mut source = LocalSource::new(open.clone());
    let report = backup::back_up_into(target, &mut source, &names, &request, observe)?;
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

/// Opens an archive set that exists.
fn open_set(set: &Path) -> Result<Set, Error> {
    Set::open(crate::place::target(set)?)
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

/// Restores a store from a backup and lets it recover. The store is made beside its place and
/// comes there whole: until then its place stays as it was.
///
/// # Errors
///
/// [`Error::BadInput`] if there is no such backup or mailbox, or the target is not empty;
/// [`Error::Interrupted`] if `observe` says so: the same call begins again;
/// [`Error::NeedsHuman`] if something of the backup cannot be read.
pub fn restore(request: &RestoreRequest, observe: Observe<'_>) -> Result<JobReport, Error> {
    let id = choose(&request.set, request.backup.as_deref())?;
    expect_free(&request.store, "a restore replaces nothing")?;
    let backup = restoring::open(&request.set, &id)?;
    let chosen = Chosen::of(&backup, request.mailbox.as_deref())?;
    let amount = chosen.amount();
    let document = serde_json::json!({
        "backup": id, "restored": !request.dry_run, "amount": amount,
    });
    let text = amount_text(amount, &id, &request.store);
    if request.dry_run {
        return JobReport::good(&document, format!("would restore {text}"));
    }
    let scratch = beside(&request.store, "restoring")?;
    let store_id = backup.manifest().map(|manifest| manifest.header.store_id.0);
    let source = Source { store_id, contents: &mut backup.contents() };
    lay_down_beside(source, chosen, &scratch, &request.store, observe)?;
    JobReport::good(&document, format!("restored {text}"))
}

/// How much is restored from where to where.
pub(super) fn amount_text(amount: Amount, id: &str, store: &Path) -> String {
    format!(
        "{} mailboxes, {} messages, {} from backup {id} to {}",
        amount.mailboxes,
        amount.messages,
        bytes(amount.content_bytes),
        store.display()
    )
}

/// Makes a store at `scratch` and gives it its place when it is whole.
pub(super) fn lay_down_beside(
    source: Source<'_>,
    chosen: Chosen,
    scratch: &Path,
    store: &Path,
    observe: Observe<'_>,
) -> Result<(), Error> {
    lay_down(source, chosen, scratch, observe)?;
    into_place(scratch, store)
}

/// A path in the same folder whose name begins with that of `path`.
pub(super) fn beside(path: &Path, suffix: &str) -> Result<PathBuf, Error> {
    let whole = std::path::absolute(path).map_err(Error::bad_input)?;
    let mut name = whole.file_name().map(ToOwned::to_owned).ok_or_else(|| {
        let shown = path.display();
        Error::bad_input(format!("{shown}: this path has no name; give that of a folder"))
    })?;
    name.push(format!(".{suffix}"));
    Ok(whole.with_file_name(name))
}

/// Makes a store of a part of a backup; a failure leaves nothing of it.
fn lay_down(
    source: Source<'_>,
    chosen: Chosen,
    store: &Path,
    observe: Observe<'_>,
) -> Result<(), Error> {
    let marker = beside(store, "marker")?;
    let made = restoring::lay_down_from(source, chosen, store, &marker, observe)
        .and_then(|()| recover(store, &marker));
    made.map_err(|error| match std::fs::remove_dir_all(store) {
        Err(left) if left.kind() != ErrorKind::NotFound => Error::needs_human(format!(
            "{error}; besides, the unfinished {} cannot be removed: {left}",
            store.display()
        )),
        _ => error,
    })
}

/// Opens a restored store with its marker, which ends the restore.
fn recover(store: &Path, marker: &Path) -> Result<(), Error> {
    let failed = |error| Error::needs_human(format!("{}: {error}", marker.display()));
    let json = std::fs::read(marker).map_err(failed)?;
    let proof: RestoreMarker = serde_json::from_slice(&json).map_err(Error::needs_human)?;
    let options = OpenOptions { restore_marker: Some(proof), ..OpenOptions::default() };
    Store::open_at(store, options).map_err(Error::chain)?.close().map_err(Error::chain)?;
    std::fs::remove_file(marker).map_err(failed)
}

/// Gives a finished store its name, durably.
fn into_place(made: &Path, place: &Path) -> Result<(), Error> {
    let attempt = || {
        // On Unix the rename replaces an empty folder, and no other.
        std::fs::rename(made, place)?;
        let folder = made.parent().unwrap_or(Path::new("."));
        std::fs::File::open(folder)?.sync_all()
    };
    attempt().map_err(|error| {
        Error::needs_human(format!(
            "{}: the restored store cannot take this place: {error}; it is whole in {}; rename it",
            place.display(),
            made.display()
        ))
    })
}

/// The backup with this id, or the newest complete one.
fn choose(set: &Path, id: Option<&str>) -> Result<String, Error> {
    let opened = open_set(set)?;
    if let Some(id) = id {
        let id: BackupId = id.parse().map_err(Error::bad_input)?;
        return opened.backup(id).map(|_| id.to_string()).map_err(Error::refused);
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
/// [`Error::BadInput`] if there is no such set or the folder is not empty;
/// [`Error::Interrupted`] if `observe` says so; [`Error::NeedsHuman`] if something of the backup
/// cannot be read.
pub fn archive_extract(set: &Path, to: &Path, observe: Observe<'_>) -> Result<JobReport, Error> {
    let id = choose(set, None)?;
    expect_free(to, "mail is not mixed with other files")?;
    let backup = restoring::open(set, &id)?;
    // The export knows every rule of Maildir++, and it reads from a store: a passing one.
    let scratch = beside(to, "extracting")?;
    let store_id = backup.manifest().map(|manifest| manifest.header.store_id.0);
    let source = Source { store_id, contents: &mut backup.contents() };
    lay_down(source, Chosen::of(&backup, None)?, &scratch, observe)?;
    let report = super::export(&scratch, to, &[], super::ExportFormat::Maildir, observe);
    std::fs::remove_dir_all(&scratch)
        .map_err(|error| Error::needs_human(format!("{}: {error}", scratch.display())))?;
    report
}
