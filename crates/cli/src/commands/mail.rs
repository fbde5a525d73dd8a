//! The verbs that work on one store or one archive set.

use rehome::Error;
use rehome::jobs::{
    self, ExportFormat, MovePace, PlaceRequest, RestoreRequest, ScrubRequest, TuneRequest,
};

use super::answer;
use crate::args::{
    ArchiveCommand, BackupArgs, DigestArgs, ExportArgs, FormatArg, ImportArgs, MoveArgs, PlaceArgs,
    RateArgs, RestoreArgs, ScrubArgs, StoreCommand, TuneArgs,
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

pub(crate) fn backup(args: &BackupArgs, view: &mut View, json: bool) -> Result<(), Error> {
    let report = jobs::backup(&args.store, &args.to, &mut |event| view.show(&event))?;
    view.end();
    answer(json, &report, &report.to_string())
}

pub(crate) fn restore(args: &RestoreArgs, view: &mut View, json: bool) -> Result<(), Error> {
    let request = RestoreRequest {
        set: args.from.clone(),
        store: args.store.clone(),
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
        ArchiveCommand::Check { set, deep } => jobs::archive_check(set, *deep, observe)?,
        ArchiveCommand::Extract { set, to } => jobs::archive_extract(set, to, observe)?,
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
