//! The verbs that work on one store or one archive set.

use std::io::IsTerminal as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;
use std::time::Duration;

use rehome::jobs::{
    self, ArchiveKeys, BackupOptions, ExportFormat, MovePace, PlaceRequest, RestoreRequest,
    RestoreTo, ScrubRequest, ServedLog, SetAccess, TuneRequest,
};
use rehome::parts::archive::BackupKind;
use rehome::{Error, JobReport, Observe};

use super::{answer, answer_aside};
use crate::args::{
    ArchiveCommand, BackupArgs, DigestArgs, ExportArgs, FormatArg, IdentityArgs, ImportArgs,
    KindArg, LogArgs, MoveArgs, PlaceArgs, RateArgs, RecipientArgs, RestoreArgs, ScrubArgs,
    StoreCommand, TuneArgs,
};
use crate::view::View;

pub(crate) fn import(args: &ImportArgs, view: &mut View, json: bool) -> Result<(), Error> {
    let observe = &mut |event| view.show(&event);
    let report = jobs::import(&args.sources, &args.store, args.mailbox.as_deref(), observe)?;
    view.end();
    answer(json, &report, &report.to_string())?;
    report.verdict()
}

pub(crate) fn export(args: &ExportArgs, view: &mut View, json: bool) -> Result<(), Error> {
    let format = match args.format {
        FormatArg::Maildir => ExportFormat::Maildir,
        FormatArg::Mbox => ExportFormat::Mbox,
        FormatArg::Eml => ExportFormat::Eml,
    };
    let observe = &mut |event| view.show(&event);
    let report = jobs::export(&args.store, &args.to, &args.mailbox, format, observe)?;
    view.end();
    answer(json, &report, &report.to_string())?;
    report.verdict()
}

pub(crate) fn move_mailboxes(args: &MoveArgs, view: &mut View, json: bool) -> Result<(), Error> {
    let observe = &mut |event| view.show(&event);
    let RateArgs { rate, pause_when } = &args.rate;
    let pace = MovePace {
        bytes_per_second_max: *rate,
        lanes: args.lanes.map(usize::from),
        pause_when: pause_when.clone(),
    };
    let summary = jobs::move_mailboxes(&args.from, &args.to, &args.mailbox, &pace, observe)?;
    view.end();
    answer(json, &summary, &summary.to_string())?;
    summary.verdict()
}

/// Whether a backup goes through standard input or output.
fn is_pipe(place: &Path) -> bool {
    place == Path::new("-")
}

pub(crate) fn backup(args: &BackupArgs, view: &mut View, json: bool) -> Result<(), Error> {
    let kind = match args.kind {
        KindArg::Full => BackupKind::Full,
        KindArg::Differential => BackupKind::Differential,
        KindArg::Incremental => BackupKind::Incremental,
        KindArg::Copy => BackupKind::Copy,
        KindArg::Log => {
            expect_no_pipe(&args.to)?;
            let recipients = recipients(&args.recipients)?;
            let observe = &mut |event| view.show(&event);
            let report = jobs::archive_log(&args.store, &args.to, &recipients, observe)?;
            view.end();
            return answer(json, &report, &report.to_string());
        }
    };
    let recipients = recipients(&args.recipients)?;
    let options = BackupOptions { kind, parity: !args.no_parity, recipients };
    if is_pipe(&args.to) {
        return backup_to_pipe(&args.store, options, view, json);
    }
    let report = jobs::backup(&args.store, &args.to, options, &mut |event| view.show(&event))?;
    view.end();
    answer(json, &report, &report.to_string())
}

/// For whom it is encrypted.
fn recipients(args: &RecipientArgs) -> Result<Vec<String>, Error> {
    jobs::recipients(&args.recipient, &args.recipients_file)
}

/// For whom a migration's backups are, and the key that reads them; both fit, or it is refused.
pub(crate) fn archive_keys(
    args: &RecipientArgs,
    identity: &IdentityArgs,
) -> Result<ArchiveKeys, Error> {
    let (recipients, identity) = (recipients(args)?, identity.identity.clone());
    let keys = ArchiveKeys { recipients, identity };
    keys.expect_usable()?;
    Ok(keys)
}

/// Archives a log: once, or as it comes.
fn archive_log(args: &LogArgs, view: &mut View) -> Result<JobReport, Error> {
    expect_no_pipe(&args.to)?;
    let (recipients, stop) = (recipients(&args.recipients)?, view.stop_flag());
    let observe = &mut |event| view.show(&event);
    let Some(address) = args.server.clone() else {
        let store = args.store.as_ref().expect("the command line has one of these");
        return jobs::archive_log(store, &args.to, &recipients, observe);
    };
    let log = ServedLog { address, set: args.to.clone(), recipients };
    if !args.follow {
        return jobs::archive_served_log(&log, observe);
    }
    let every = Duration::from_secs(u64::from(args.every));
    jobs::follow_log(&log, every, &|| stop.load(Ordering::SeqCst), observe)
}

/// The set and the keys that were named.
fn access<'a>(set: &'a Path, identity: &'a IdentityArgs) -> SetAccess<'a> {
    SetAccess { set, identity: identity.identity.as_deref() }
}

fn expect_no_pipe(set: &Path) -> Result<(), Error> {
    if !is_pipe(set) {
        return Ok(());
    }
    let message =
        "a log goes into a set and not into a pipe, because the store gives up only what \
                   was read back; nothing was archived; name a folder"
            .to_owned();
    Err(Error::BadInput { message })
}

/// Everything that is said goes to standard error: standard output is the backup.
fn backup_to_pipe(
    store: &Path,
    options: BackupOptions,
    view: &mut View,
    json: bool,
) -> Result<(), Error> {
    let stdout = std::io::stdout();
    if stdout.is_terminal() {
        return Err(Error::BadInput {
            message: "standard output is a terminal; send the backup into a file or a program"
                .to_owned(),
        });
    }
    view.keep_off_stdout();
    let report = jobs::backup_to_pipe(store, options, stdout, &mut |event| view.show(&event))?;
    view.end();
    answer_aside(json, &report, &report.to_string())
}

pub(crate) fn restore(args: &RestoreArgs, view: &mut View, json: bool) -> Result<(), Error> {
    let files = |path: &PathBuf, format| RestoreTo::Files(path.clone(), format);
    let maildir = args.to_maildir.as_ref().map(|path| files(path, ExportFormat::Maildir));
    let mbox = args.to_mbox.as_ref().map(|path| files(path, ExportFormat::Mbox));
    let store = args.store.as_ref().map(|path| RestoreTo::Store(path.clone()));
    let request = RestoreRequest {
        set: args.from.clone(),
        to: store.or(maildir).or(mbox).expect("the command line has one of these"),
        folder: args.folder.clone(),
        message: args.message,
        until: args.until.clone(),
        mailbox: args.mailbox.clone(),
        backup: args.backup.clone(),
        identity: args.identity.identity.clone(),
        dry_run: args.dry_run,
    };
    let observe = &mut |event| view.show(&event);
    let report = if is_pipe(&request.set) {
        jobs::restore_from_pipe(&request, std::io::stdin().lock(), observe)?
    } else {
        jobs::restore(&request, observe)?
    };
    view.end();
    answer(json, &report, &report.to_string())?;
    report.verdict()
}

pub(crate) fn archive(command: &ArchiveCommand, view: &mut View, json: bool) -> Result<(), Error> {
    let report = match command {
        ArchiveCommand::Log(args) => archive_log(args, view)?,
        other => archive_set(other, &mut |event| view.show(&event))?,
    };
    view.end();
    answer(json, &report, &report.to_string())?;
    report.verdict()
}

/// What is done with a set that is there.
fn archive_set(command: &ArchiveCommand, observe: Observe<'_>) -> Result<JobReport, Error> {
    match command {
        ArchiveCommand::Log(_) => unreachable!("a log is archived above"),
        ArchiveCommand::List { set } => jobs::archive_list(set),
        ArchiveCommand::Check { set, repair: true, .. } if is_pipe(set) => {
            let message = "a pipe cannot be repaired; unpack it into a set first".to_owned();
            Err(Error::BadInput { message })
        }
        ArchiveCommand::Check { set, deep, .. } if is_pipe(set) => {
            jobs::archive_check_pipe(std::io::stdin().lock(), *deep, observe)
        }
        ArchiveCommand::Unpack { source: _, to } => {
            jobs::archive_unpack(std::io::stdin().lock(), to, observe)
        }
        ArchiveCommand::Check { set, deep, repair, identity } => {
            jobs::archive_check(access(set, identity), *deep, *repair, observe)
        }
        ArchiveCommand::Expire { set, keep_full, dry_run } => {
            jobs::archive_expire(set, *keep_full, *dry_run)
        }
        ArchiveCommand::Extract { set, to, identity } => {
            jobs::archive_extract(access(set, identity), to, observe)
        }
        ArchiveCommand::Salvage { set, to, backup, identity } => {
            jobs::archive_salvage(access(set, identity), backup.as_deref(), to, observe)
        }
        ArchiveCommand::Drill { set, scratch, identity } => {
            jobs::archive_drill(access(set, identity), scratch, observe)
        }
    }
}

pub(crate) fn store(command: &StoreCommand, view: &mut View, json: bool) -> Result<(), Error> {
    let observe = &mut |event| view.show(&event);
    let report = match command {
        StoreCommand::Info { store } => jobs::store_info(store)?,
        StoreCommand::Check { store } => jobs::store_check(store, observe)?,
        StoreCommand::Recover { store, give_up_log: true, dry_run } => {
            jobs::store_give_up_log(store, *dry_run, observe)?
        }
        StoreCommand::Recover { store, .. } => jobs::store_recover(store, observe)?,
        StoreCommand::Log { store, archive, circular } => {
            let change = match (archive, circular) {
                (true, _) => Some(jobs::LogChange::Archive),
                (_, true) => Some(jobs::LogChange::Circular),
                _ => None,
            };
            jobs::store_log(store, change)?
        }
        StoreCommand::Scrub(args) => jobs::store_scrub(&scrub(args), observe)?,
        StoreCommand::Digest { store, mailbox } => jobs::store_digest(store, mailbox)?,
        StoreCommand::Tune(args) => jobs::store_tune(&tune(args), observe)?,
        StoreCommand::Place(args) => {
            let PlaceArgs { store, log_dir, segment_dir } = args.clone();
            jobs::store_place(&PlaceRequest { store, log_dir, segment_dir }, observe)?
        }
        StoreCommand::Compact { store } => jobs::store_compact(store)?,
    };
    view.end();
    answer(json, &report, &report.to_string())?;
    report.verdict()
}

fn tune(args: &TuneArgs) -> TuneRequest {
    let TuneArgs { store, target, log_dir, segment_dir, dry_run } = args.clone();
    TuneRequest { store, target, log_dir, segment_dir, dry_run }
}

fn scrub(args: &ScrubArgs) -> ScrubRequest {
    ScrubRequest {
        store: args.store.clone(),
        bytes_per_second_max: Some(args.rate),
        since_days: args.since_days,
        repair_from: args.repair_from.clone(),
    }
}

pub(crate) fn digest(args: &DigestArgs, view: &mut View, json: bool) -> Result<(), Error> {
    let report = jobs::maildir_digest(&args.maildir)?;
    view.end();
    answer(json, &report, &report.to_string())?;
    report.verdict()
}
