//! The verbs that work on one store or one archive set.

use std::path::PathBuf;

use rehome::Error;
use rehome::jobs::{self, ExportFormat, RestoreRequest, RestoreTo};
use rehome::parts::archive::BackupKind;

use super::answer;
use crate::args::{
    ArchiveCommand, BackupArgs, ExportArgs, FormatArg, ImportArgs, KindArg, MoveArgs, RestoreArgs,
    StoreCommand,
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
    let summary =
        jobs::move_mailboxes(&args.from, &args.to, &args.mailbox, args.rate.rate, observe)?;
    view.end();
    answer(json, &summary, &summary.to_string())?;
    summary.verdict()
}

pub(crate) fn backup(args: &BackupArgs, view: &mut View, json: bool) -> Result<(), Error> {
    let kind = match args.kind {
        KindArg::Full => BackupKind::Full,
        KindArg::Differential => BackupKind::Differential,
        KindArg::Incremental => BackupKind::Incremental,
        KindArg::Copy => BackupKind::Copy,
    };
    let report = jobs::backup(&args.store, &args.to, kind, &mut |event| view.show(&event))?;
    view.end();
    answer(json, &report, &report.to_string())
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
        dry_run: args.dry_run,
    };
    let report = jobs::restore(&request, &mut |event| view.show(&event))?;
    view.end();
    answer(json, &report, &report.to_string())
}

pub(crate) fn archive(command: &ArchiveCommand, view: &mut View, json: bool) -> Result<(), Error> {
    let observe = &mut |event| view.show(&event);
    let report = match command {
        ArchiveCommand::List { set } => jobs::archive_list(set)?,
        ArchiveCommand::Check { set, deep, repair } => {
            jobs::archive_check(set, *deep, *repair, observe)?
        }
        ArchiveCommand::Expire { set, keep_full, dry_run } => {
            jobs::archive_expire(set, *keep_full, *dry_run)?
        }
        ArchiveCommand::Extract { set, to } => jobs::archive_extract(set, to, observe)?,
        ArchiveCommand::Salvage { set, to, backup } => {
            jobs::archive_salvage(set, backup.as_deref(), to, observe)?
        }
        ArchiveCommand::Drill { set, scratch } => jobs::archive_drill(set, scratch, observe)?,
    };
    view.end();
    answer(json, &report, &report.to_string())?;
    report.verdict()
}

pub(crate) fn store(command: &StoreCommand, view: &mut View, json: bool) -> Result<(), Error> {
    let observe = &mut |event| view.show(&event);
    let report = match command {
        StoreCommand::Info { store } => jobs::store_info(store)?,
        StoreCommand::Check { store } => jobs::store_check(store, observe)?,
        StoreCommand::Recover { store } => jobs::store_recover(store, observe)?,
        StoreCommand::Compact { store } => jobs::store_compact(store)?,
    };
    view.end();
    answer(json, &report, &report.to_string())?;
    report.verdict()
}
