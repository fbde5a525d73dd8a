//! Taking mail into a store and out of it.

use std::path::{Path, PathBuf};

use rehome_store::{
    ExportError, ExportOptions, ExportProgress, ExportReport, ImportError, ImportOptions,
    ImportProgress, ImportReport, MailboxName, SourceKind, Store, detect_source, export_eml,
    export_maildir, export_mbox, import_site, import_source, scan_site, scan_source,
};

use super::{flow, open, open_or_create};
use crate::error::Error;
use crate::event::{Event, Observe};
use crate::report::JobReport;
use crate::summary::bytes;

/// How mail is written out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ExportFormat {
    /// A Maildir++ tree for each mailbox.
    Maildir,
    /// An mbox file for each folder.
    Mbox,
    /// A file for each message.
    Eml,
}

/// Takes sources into a store, which is made if it does not exist. Doing it again adds nothing.
///
/// # Errors
///
/// [`Error::BadInput`] for a source that is missing or is no mail; [`Error::Interrupted`] if
/// `observe` says so: the same call goes on.
pub fn import(
    sources: &[PathBuf],
    store: &Path,
    mailbox: Option<&str>,
    observe: Observe<'_>,
) -> Result<JobReport, Error> {
    let kinds = sources.iter().map(|path| kind_of(path)).collect::<Result<Vec<_>, _>>()?;
    let named = mailbox.map(MailboxName::try_from).transpose().map_err(Error::bad_input)?;
    let open = open_or_create(store)?;
    let mut all = ImportReport::default();
    let total = total(sources, &kinds)?;
    for (source, kind) in sources.iter().zip(kinds) {
        let before = all.messages() + all.present();
        let observe = &mut |progress: ImportProgress| {
            flow(observe(Event::Progress {
                what: "importing".to_owned(),
                done: before + progress.messages + progress.present,
                total,
                unit: "messages".to_owned(),
            }))
        };
        let report = import_one(source, kind, named.as_ref(), &open, observe);
        let report = report.map_err(import_error)?;
        all.mailboxes.extend(report.mailboxes);
        all.skipped.extend(report.skipped);
        all.warnings.extend(report.warnings);
        for (class, count) in report.classes {
            *all.classes.entry(class).or_default() += count;
        }
    }
    open.close().map_err(Error::chain)?;
    let text = imported_text(&all);
    let problem = (!all.is_complete()).then(|| {
        let lost: Vec<String> = all
            .skipped
            .iter()
            .filter(|skipped| skipped.mail)
            .map(|skipped| format!("{}: {}", skipped.place, skipped.reason))
            .collect();
        format!("some mail was not imported: {}", lost.join("; "))
    });
    Ok(JobReport::good(&all, text)?.with_problem(problem))
}

/// What a source is; `None` for a folder with one Maildir++ for each mailbox.
fn kind_of(path: &Path) -> Result<Option<SourceKind>, Error> {
    let maildir = |path: &Path| detect_source(path).is_ok_and(|kind| kind == SourceKind::Maildir);
    let is_site = path.is_dir()
        && !maildir(path)
        && std::fs::read_dir(path).is_ok_and(|mut entries| {
            entries.any(|entry| entry.is_ok_and(|entry| maildir(&entry.path())))
        });
    if is_site {
        return Ok(None);
    }
    detect_source(path).map(Some).map_err(import_error)
}

fn import_one(
    source: &Path,
    kind: Option<SourceKind>,
    named: Option<&MailboxName>,
    store: &Store,
    observe: &mut dyn FnMut(ImportProgress) -> rehome_store::Flow,
) -> Result<ImportReport, ImportError> {
    let options = ImportOptions::default();
    if kind.is_none() && named.is_none() {
        return import_site(source, store, &options, observe);
    }
    let stem = source.file_stem().unwrap_or_default().to_string_lossy().into_owned();
    let own = MailboxName::try_from(stem.as_str());
    let name = match (named, own) {
        (Some(name), _) => name.clone(),
        (None, Ok(name)) => name,
        (None, Err(_)) => MailboxName::try_from("imported").expect("a plain name"),
    };
    import_source(source, &name, None, store, &options, observe)
}

/// How many messages there are, as far as that can be told without reading them; 0 if it cannot.
fn total(sources: &[PathBuf], kinds: &[Option<SourceKind>]) -> Result<u64, Error> {
    let mut messages = 0;
    for (source, kind) in sources.iter().zip(kinds) {
        let scan = match kind {
            None => scan_site(source),
            Some(SourceKind::Maildir) => scan_source(source),
            Some(_) => return Ok(0),
        };
        let scan = scan.map_err(import_error)?;
        messages += scan.mailboxes.iter().map(|one| one.messages).sum::<u64>();
    }
    Ok(messages)
}

fn import_error(error: ImportError) -> Error {
    match error {
        ImportError::Interrupted { .. } => Error::stopped("the import was asked to stop"),
        ImportError::Store { .. } => Error::chain(error),
        other => Error::refused(other),
    }
}

fn imported_text(report: &ImportReport) -> String {
    let mut lines = vec![format!(
        "{} messages ({}) imported into {} mailboxes; {} were there already",
        report.messages(),
        bytes(report.bytes()),
        report.mailboxes.len(),
        report.present()
    )];
    let skipped = report.skipped.iter().take(20);
    lines.extend(skipped.map(|one| format!("  skipped {}: {}", one.place, one.reason)));
    if report.skipped.len() > 20 {
        lines.push(format!("  … {} more, see --json", report.skipped.len() - 20));
    }
    lines.extend(report.warnings.iter().take(20).map(|warning| format!("  {warning}")));
    lines.join("\n")
}

/// Writes mailboxes out; all of them if none is named.
///
/// # Errors
///
/// [`Error::BadInput`] if there is no such store or mailbox, or the folder is not empty;
/// [`Error::Interrupted`] if `observe` says so; [`Error::NeedsHuman`] if the store fails.
pub fn export(
    store: &Path,
    to: &Path,
    mailboxes: &[String],
    format: ExportFormat,
    observe: Observe<'_>,
) -> Result<JobReport, Error> {
    let names = mailboxes.iter().map(|name| MailboxName::try_from(name.as_str()));
    let names = names.collect::<Result<Vec<_>, _>>().map_err(Error::bad_input)?;
    let open = open(store)?;
    let options = ExportOptions {
        mailboxes: (!names.is_empty()).then_some(names),
        ..ExportOptions::default()
    };
    let mut told = |progress: ExportProgress| {
        flow(observe(Event::Progress {
            what: format!("exporting {}", progress.mailbox),
            done: progress.bytes,
            total: 0,
            unit: "bytes".to_owned(),
        }))
    };
    let report = match format {
        ExportFormat::Maildir => export_maildir(&open, to, &options, &mut told),
        ExportFormat::Mbox => export_mbox(&open, to, &options, &mut told),
        ExportFormat::Eml => export_eml(&open, to, &options, &mut told),
    };
    let report = report.map_err(|error| match error {
        ExportError::Interrupted { .. } => Error::stopped("the export was asked to stop"),
        ExportError::Store { .. } => Error::chain(error),
        other => Error::refused(other),
    })?;
    open.close().map_err(Error::chain)?;
    exported(&report, to)
}

fn exported(report: &ExportReport, to: &Path) -> Result<JobReport, Error> {
    let text = format!(
        "{} messages ({}) of {} mailboxes written to {}",
        report.messages(),
        bytes(report.bytes()),
        report.mailboxes.len(),
        to.display()
    );
    let problem = (!report.is_complete())
        .then(|| format!("{} messages could not be read; see --json", report.missing.len()));
    Ok(JobReport::good(report, text)?.with_problem(problem))
}
