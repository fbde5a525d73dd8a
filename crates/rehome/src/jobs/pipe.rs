//! Backups that go through a pipe: written into it, checked, restored or kept as they come.

use std::io::{Read, Write};
use std::path::Path;
use std::sync::Arc;

use rehome_archive::{
    BackupKind, CheckLevel, PipeReader, PipeTarget, Progress, check_pipe, unpack_pipe,
};

use super::archive::back_up_store;
use super::expect_free;
use super::keys::identities;
use super::restore::{Begun, RestoreRequest, amount_text, make};
use crate::backup::BackupOptions;
use crate::error::Error;
use crate::event::{Event, Observe};
use crate::report::JobReport;
use crate::restore::{Chosen, Source};

/// Backs a store up into `sink`. What it carries is a backup when this call returns without an
/// error; the reader of the pipe finds out by itself. It holds everything: a pipe has no base.
///
/// # Errors
///
/// [`Error::BadInput`] if there is no store, or for a backup of changes; [`Error::Interrupted`] if
/// `observe` says so; [`Error::NeedsHuman`] if the reader of the pipe goes away.
pub fn backup_to_pipe(
    store: &Path,
    options: impl Into<BackupOptions>,
    sink: impl Write + Send + 'static,
    observe: Observe<'_>,
) -> Result<JobReport, Error> {
    let options = options.into();
    let kind = options.kind;
    if is_of_changes(kind) {
        return Err(Error::bad_input(format!(
            "a pipe carries one backup, and a {} one builds upon others; nothing was written; \
             make a full one or a copy, or name a folder",
            kind.word()
        )));
    }
    let pipe = Arc::new(PipeTarget::new(sink));
    let report = back_up_store(store, pipe.clone(), &options, observe)?;
    pipe.close().map_err(|error| Error::needs_human(format!("the pipe: {error}")))?;
    Ok(report)
}

/// Whether a backup of this kind holds changes alone.
fn is_of_changes(kind: BackupKind) -> bool {
    matches!(kind, BackupKind::Differential | BackupKind::Incremental)
}

/// Checks the backup that comes out of `source`.
///
/// # Errors
///
/// [`Error::BadInput`] if it is no backup. Damage and a cut are the report's problem.
pub fn archive_check_pipe(
    source: impl Read,
    deep: bool,
    observe: Observe<'_>,
) -> Result<JobReport, Error> {
    let level = if deep { CheckLevel::Deep } else { CheckLevel::Hashes };
    let report = check_pipe(source, level, &mut |progress| tell(observe, "checking", progress));
    let report = report.map_err(Error::refused)?;
    let text = format!("{}: {} records came, every hash right", report.backup, report.records);
    if report.is_whole() && report.absent == 0 {
        return JobReport::good(&report, text);
    }
    let damage: Vec<String> = report.damage.iter().map(ToString::to_string).collect();
    let problem = format!(
        "backup {} is not whole: {} contents were never there; {}; to learn which messages it \
         touches, unpack a whole copy or salvage the volumes",
        report.backup,
        report.absent,
        damage.join("; ")
    );
    Ok(JobReport::good(&report, problem.clone())?.with_problem(Some(problem)))
}

/// Lays the backup that comes out of `source` into the set at `set`, which is made if it does not
/// exist. The same pipe may be sent again after an interruption.
///
/// # Errors
///
/// [`Error::BadInput`] if it is no backup, or of another set; [`Error::NeedsHuman`] if it is cut
/// or damaged, or the set cannot be written: the set does not have the backup then.
pub fn archive_unpack(
    source: impl Read,
    set: &Path,
    observe: Observe<'_>,
) -> Result<JobReport, Error> {
    let target = crate::place::target(set)?;
    let manifest =
        unpack_pipe(source, &*target, &mut |progress| tell(observe, "unpacking", progress));
    let manifest = manifest.map_err(|error| match error {
        rehome_archive::ArchiveError::NoPipe | rehome_archive::ArchiveError::OtherSet { .. } => {
            Error::refused(error)
        }
        error => Error::chain(error),
    })?;
    let text = format!(
        "backup {} unpacked into {}: {} mailboxes, {} messages",
        manifest.backup_id,
        set.display(),
        manifest.totals.mailboxes,
        manifest.totals.messages
    );
    JobReport::good(&manifest, text)
}

/// A check or copy of a pipe changes nothing that another run could not repeat: it is not stopped.
fn tell(observe: Observe<'_>, what: &str, progress: Progress) {
    let _flow = observe(Event::Progress {
        what: what.to_owned(),
        done: progress.done_bytes,
        total: progress.total_bytes,
        unit: "bytes".to_owned(),
    });
}

/// Restores from the backup that comes out of `source`, as [`restore`](super::restore()) does from
/// a set; `request.set` is not looked at. Nothing counts as restored before the end of the pipe has
/// said that everything came.
///
/// # Errors
///
/// As [`restore`](super::restore()); [`Error::BadInput`] also if the pipe carries another backup
/// than the one asked for, or one of changes alone, or if a moment is asked for.
pub fn restore_from_pipe(
    request: &RestoreRequest,
    source: impl Read,
    observe: Observe<'_>,
) -> Result<JobReport, Error> {
    if request.until.is_some() {
        let text = "a pipe carries the state of one backup and no log, so a moment cannot be asked \
                    for; nothing was restored; leave the moment out, or unpack the pipe into a set";
        return Err(Error::bad_input(text));
    }
    let place = request.to.place();
    expect_free(place, "a restore replaces nothing")?;
    // What a pipe brought once it does not bring again; so only other restores have left a note.
    Begun::find(request, "a pipe")?;
    let identities = identities(request.identity.as_deref())?;
    let reader = PipeReader::open(source).map_err(Error::refused)?;
    let mut reader = reader.with_identities(identities);
    let id = reader.id().to_string();
    if request.backup.as_ref().is_some_and(|wanted| *wanted != id) {
        let text = format!("the pipe carries backup {id}, so nothing was restored");
        return Err(Error::bad_input(text));
    }
    if is_of_changes(reader.kind()) {
        let text = format!(
            "backup {id} in the pipe holds changes alone, so nothing was restored; unpack it into \
             the set that has what it builds upon"
        );
        return Err(Error::bad_input(text));
    }
    let outlines = std::iter::from_fn(|| reader.next_outline().transpose());
    let chosen = Chosen::of_outlines(outlines, &request.selection())?;
    let amount = chosen.amount();
    let document = serde_json::json!({
        "backup": id, "restored": !request.dry_run, "amount": amount,
    });
    let text = amount_text(amount, &id, place);
    if request.dry_run {
        return JobReport::good(&document, format!("would restore {text}"));
    }
    let mut rest = Some(reader);
    let contents = std::iter::from_fn(move || match rest.as_mut()?.next_content() {
        Ok(Some(content)) => Some(Ok(content)),
        // The last word is the manifest's.
        Ok(None) => rest.take()?.finish().err().map(Err),
        Err(error) => Some(Err(error)),
    });
    // All of them come, whichever are asked for.
    let source = Source { contents: Box::new(move |_| Box::new(contents)) };
    make(source, chosen, request, None, observe)?;
    JobReport::good(&document, format!("restored {text}"))
}
