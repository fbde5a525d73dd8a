//! Backing a store up and looking at archive sets.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rehome_archive::{
    BackupId, BackupInfo, BackupKind, BackupState, CheckLevel, LostLog, Set, Target,
};
use rehome_log::{Clock as _, Lsn, SystemClock};
use rehome_store::{LocalSource, LogPolicy};

use super::keys::{SetAccess, encryption};
use super::open;
use crate::backup::{self, BackupOptions, BackupRequest};
use crate::error::Error;
use crate::event::Observe;
use crate::fate::fate_line;
use crate::report::JobReport;
use crate::summary::bytes;

/// Backs a store up into an archive set, which is made if it does not exist.
///
/// # Errors
///
/// [`Error::BadInput`] if there is no store, nothing that a backup of changes could build upon, a
/// recipient that is none, or none at all for a set that is encrypted;
/// [`Error::Interrupted`] if `observe` says so.
pub fn backup(
    store: &Path,
    set: &Path,
    options: impl Into<BackupOptions>,
    observe: Observe<'_>,
) -> Result<JobReport, Error> {
    super::require(store)?;
    back_up_store(store, crate::place::target(set)?, &options.into(), observe)
}

/// Backs a store up into `target`.
pub(super) fn back_up_store(
    store: &Path,
    target: Arc<dyn Target>,
    options: &BackupOptions,
    observe: Observe<'_>,
) -> Result<JobReport, Error> {
    let encryption = encryption(&options.recipients)?;
    let open = open(store)?;
    let names = open.mailboxes().map_err(Error::chain)?;
    let names: Vec<_> = names.into_iter().map(|mailbox| mailbox.name).collect();
    let is_whole = matches!(options.kind, BackupKind::Full | BackupKind::Copy);
    let keeps_log = open.log_policy().map_err(Error::chain)? != LogPolicy::Circular;
    let request = BackupRequest {
        catalog: is_whole && keeps_log && target.reads_back(),
        set: PathBuf::new(),
        account: account(),
        directory: None,
        options: options.clone(),
        encryption,
        clock: Arc::new(SystemClock),
    };
    let mut source = LocalSource::new(open.clone());
    let report = backup::back_up_into(target, &mut source, &names, &request, observe)?;
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
            "base": base_of(one),
            "log_follows": one.log_follows(),
            "manifest": one.manifest,
        }));
    }
    for (after, last, segments) in log_runs(&opened)? {
        writeln!(text, "  log from {after} to {last} in {segments} segments").expect("a String");
        documents.push(serde_json::json!({
            "log": { "after": after, "last": last, "segments": segments },
        }));
    }
    JobReport::good(&documents, text)
}

/// The parts of the log without a gap: the record before the first one, the last one, segments.
fn log_runs(set: &Set) -> Result<Vec<(Lsn, Lsn, u64)>, Error> {
    let mut runs: Vec<(Lsn, Lsn, u64)> = Vec::new();
    for log in set.logs().map_err(Error::chain)? {
        match runs.last_mut().filter(|run| run.1 == log.after) {
            Some(run) => (run.1, run.2) = (log.last, run.2 + 1),
            None => runs.push((log.after, log.last, 1)),
        }
    }
    Ok(runs)
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
    let follows = if one.log_follows().is_some() { ", log can follow" } else { "" };
    let sealed = one.manifest.as_ref().is_some_and(|manifest| manifest.envelope.is_some());
    let sealed = if sealed { ", encrypted" } else { "" };
    format!(
        "{} {}{upon} at {}: {state} {holds}{follows}{sealed}",
        one.id,
        one.kind.word(),
        one.lsn_end
    )
}

/// Checks every complete backup of a set and its archived log; `repair` first writes volumes anew
/// whose damage parity heals.
///
/// # Errors
///
/// [`Error::BadInput`] if there is no set. Damage is the report's problem.
pub fn archive_check<'a>(
    set: impl Into<SetAccess<'a>>,
    deep: bool,
    repair: bool,
    observe: Observe<'_>,
) -> Result<JobReport, Error> {
    let opened = set.into().open()?;
    let (mut lines, mut problems, mut begun) = (Vec::new(), Vec::new(), Vec::new());
    let listed = opened.list().map_err(Error::chain)?;
    let complete = |one: &BackupInfo| one.state != BackupState::Incomplete;
    let newest = listed.iter().rposition(complete);
    for (at, one) in listed.iter().enumerate() {
        if !complete(one) && newest.is_some_and(|newest| at < newest) {
            lines.push(format!("{}: incomplete, not usable; a later one is complete", one.id));
            continue;
        }
        if !complete(one) {
            lines.push(unfinished(&opened, one.id));
            begun.push(one.id.to_string());
            continue;
        }
        if repair {
            match opened.repair(one.id) {
                Ok(files) => {
                    lines.extend(files.iter().map(|file| format!("{}: wrote {file} anew", one.id)));
                }
                Err(error) => lines.push(format!("{}: not repaired: {error}", one.id)),
            }
        }
        match backup::check_in(&opened, &one.id.to_string(), deep, observe) {
            Ok(text) => lines.push(format!("{}: {text}", one.id)),
            Err(error @ Error::BadInput { .. }) => return Err(error),
            Err(error) => {
                lines.push(format!("{}: {error}", one.id));
                problems.push(one.id.to_string());
            }
        }
    }
    check_log(&opened, deep, &mut lines, &mut problems)?;
    let told = [("not whole", problems), ("not finished", begun)]
        .into_iter()
        .filter(|(_, ids)| !ids.is_empty())
        .map(|(what, ids)| format!("{what}: {}", ids.join(", ")));
    let told: Vec<String> = told.collect();
    let problem = (!told.is_empty()).then(|| told.join("; "));
    let text = lines.join("\n");
    Ok(JobReport::good(&lines, text)?.with_problem(problem))
}

/// What the newest backup still has, if it was not finished or what says so is lost.
fn unfinished(set: &Set, id: BackupId) -> String {
    let mut text = format!(
        "{id}: incomplete, not usable: it was not finished, or its MANIFEST is lost; no later one \
         is complete; make a new one, or write out what it has with rehome archive salvage"
    );
    let salvage = match set.salvage(id, &mut |_| {}) {
        Ok(salvage) => salvage,
        Err(error) => return format!("{text}; nothing of it can be read: {error}"),
    };
    for damage in &salvage.damage {
        write!(text, "\n  {damage}").expect("a String");
    }
    for mailbox in &salvage.mailboxes {
        write!(text, "\n{}", fate_line(mailbox)).expect("a String");
    }
    text
}

fn check_log(
    set: &Set,
    deep: bool,
    lines: &mut Vec<String>,
    problems: &mut Vec<String>,
) -> Result<(), Error> {
    let level = if deep { CheckLevel::Deep } else { CheckLevel::Hashes };
    let report = set.check_logs(level, &mut |_| {}).map_err(Error::chain)?;
    if report.segments > 0 {
        lines.push(format!("log: {} segments, {} records", report.segments, report.records));
    }
    if !report.damage.is_empty() {
        lines.extend(report.damage.iter().map(|damage| format!("log: {damage}")));
        lines.extend(report.lost.iter().map(lost_line));
        problems.push("the log".to_owned());
    }
    Ok(())
}

/// Which moments a damaged part of the log costs.
fn lost_line(lost: &LostLog) -> String {
    let LostLog { after, last, until_backup } = lost;
    let until = match until_backup {
        Some(id) => format!("until backup {id}"),
        None => "until there is a new full backup: archive the log again, or make one".to_owned(),
    };
    format!(
        "log: moments after {after} cannot be reached, because the log to {last} is lost, {until}"
    )
}

/// Takes away the backups and the log that nothing needs any more, where the newest `keep_full`
/// full backups stay.
///
/// # Errors
///
/// [`Error::BadInput`] if there is no set or no full backup in it, or a restore reads it.
pub fn archive_expire(set: &Path, keep_full: usize, dry_run: bool) -> Result<JobReport, Error> {
    let opened = open_set(set)?;
    let plan = if dry_run {
        opened.plan_expire(keep_full)
    } else {
        opened.expire(keep_full, &account(), SystemClock.wall_us())
    };
    let plan = plan.map_err(Error::refused)?;
    let word = if dry_run { "would take away" } else { "took away" };
    let mut text = format!(
        "{word} {} backups and {} log segments; the oldest full backup kept is {}",
        plan.backups.len(),
        plan.logs.len(),
        plan.oldest_kept
    );
    for one in &plan.backups {
        let kind = one.kind.word();
        write!(text, "\n  {} {kind} at {}, {}", one.id, one.lsn_end, bytes(one.stored_bytes))
            .expect("a String");
    }
    for file in &plan.logs {
        write!(text, "\n  {file}").expect("a String");
    }
    for reason in &plan.spared {
        write!(text, "\n  stays: {reason}").expect("a String");
    }
    let document = serde_json::json!({ "expired": !dry_run, "plan": plan });
    JobReport::good(&document, text)
}
