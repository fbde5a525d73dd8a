//! Our own steps, each in a process of its own, which prints its figures.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use clap::Subcommand;
use rehome::jobs::{self, BackupOptions, ExportFormat, RestoreRequest, RestoreTo};
use rehome::parts::archive::{BackupKind, DiskTarget, Set, Until};
use rehome::parts::log::RealDisk;
use rehome::parts::store::{OpenOptions, Store};
use rehome::{Event, Flow};
use serde_json::{Value, json};

use crate::bench::child;
use crate::bench::stores::told;

/// A step of ours.
#[derive(Debug, Subcommand)]
pub(crate) enum ArchiveWork {
    /// Imports Maildirs into a store.
    Import { source: PathBuf, store: PathBuf },
    /// Backs a store up into a set.
    Backup {
        store: PathBuf,
        set: PathBuf,
        /// What changed since the last one, in place of everything.
        #[arg(long)]
        changes: bool,
        #[arg(long)]
        parity: bool,
    },
    /// Checks all hashes of a set.
    Check { set: PathBuf },
    /// Restores a set into a store, or as Maildirs.
    Restore {
        set: PathBuf,
        to: PathBuf,
        #[arg(long)]
        files: bool,
        #[arg(long)]
        mailbox: Option<String>,
    },
    /// Writes what a damaged set still has as Maildirs.
    Salvage { set: PathBuf, to: PathBuf },
    /// Counts the messages of a store.
    Count { store: PathBuf },
    /// Reads one mailbox out of a set, and counts bytes; `alone` has a backup of it alone.
    ReadMailbox { set: PathBuf, alone: PathBuf, mailbox: String },
}

impl ArchiveWork {
    /// A full backup.
    pub(super) fn backup(store: impl Into<PathBuf>, set: &Path, parity: bool) -> ArchiveWork {
        let (store, set) = (store.into(), set.to_owned());
        ArchiveWork::Backup { store, set, changes: false, parity }
    }

    /// This program again, asked for it.
    pub(super) fn command(&self) -> Result<Command, String> {
        let mut command = child::command("archive")?;
        match self {
            ArchiveWork::Import { source, store } => {
                _ = command.arg("import").arg(source).arg(store);
            }
            ArchiveWork::Backup { store, set, changes, parity } => {
                command.arg("backup").arg(store).arg(set);
                command.args(changes.then_some("--changes"));
                command.args(parity.then_some("--parity"));
            }
            ArchiveWork::Check { set } => _ = command.arg("check").arg(set),
            ArchiveWork::Restore { set, to, files, mailbox } => {
                command.arg("restore").arg(set).arg(to).args(files.then_some("--files"));
                if let Some(mailbox) = mailbox {
                    command.args(["--mailbox", mailbox]);
                }
            }
            ArchiveWork::Salvage { set, to } => _ = command.arg("salvage").arg(set).arg(to),
            ArchiveWork::Count { store } => _ = command.arg("count").arg(store),
            ArchiveWork::ReadMailbox { set, alone, mailbox } => {
                _ = command.arg("read-mailbox").arg(set).arg(alone).arg(mailbox);
            }
        }
        Ok(command)
    }

    /// Does it in this process.
    pub(crate) fn run(&self) -> Result<(), String> {
        let go_on = &mut |_: Event| Flow::Continue;
        let figures = match self {
            ArchiveWork::Import { source, store } => {
                let sources = [source.clone()];
                let report = jobs::import(&sources, store, None, go_on).map_err(told)?;
                json!({ "text": report.to_string() })
            }
            ArchiveWork::Backup { store, set, changes, parity } => {
                let kind = if *changes { BackupKind::Incremental } else { BackupKind::Full };
                let options = BackupOptions { parity: *parity, ..kind.into() };
                jobs::backup(store, set, options, go_on).map_err(told)?.document
            }
            ArchiveWork::Check { set } => {
                let report = jobs::archive_check(set, false, false, go_on).map_err(told)?;
                report.verdict().map_err(|_| report.text.clone())?;
                json!({ "text": report.text })
            }
            ArchiveWork::Restore { set, to, files, mailbox } => {
                let to = match files {
                    true => RestoreTo::Files(to.clone(), ExportFormat::Maildir),
                    false => RestoreTo::Store(to.clone()),
                };
                let mailbox = mailbox.clone();
                let whole = RestoreRequest::whole(set.clone(), to);
                let request = RestoreRequest { mailbox, ..whole };
                jobs::restore(&request, go_on).map_err(told)?.document
            }
            ArchiveWork::Salvage { set, to } => {
                jobs::archive_salvage(set, None, to, go_on).map_err(told)?.document
            }
            ArchiveWork::Count { store } => {
                let store = Store::open_at(store, OpenOptions::default()).map_err(told)?;
                json!({ "messages": store.statistics().map_err(told)?.messages })
            }
            ArchiveWork::ReadMailbox { set, alone, mailbox } => {
                let (read_bytes, raw_bytes, _) = read(set, Some(mailbox))?;
                let (_, _, stored_bytes) = read(alone, None)?;
                json!({ "mailbox": mailbox, "read_bytes": read_bytes, "raw_bytes": raw_bytes,
                    "stored_alone_bytes": stored_bytes })
            }
        };
        child::tell(&figures);
        Ok(())
    }
}

/// Reads what the newest backup of a set shows, of one mailbox if `only` names it. Gives the bytes
/// that were read for that, those of its contents, and those of the backup's volumes.
fn read(set: &Path, only: Option<&str>) -> Result<(u64, u64, u64), String> {
    let disk = Arc::new(RealDisk::new(set));
    let set = Set::open(Arc::new(DiskTarget::new(disk.clone()))).map_err(told)?;
    let plan = set.plan_restore(Until::Latest).map_err(told)?;
    let last = plan.backups.last().ok_or("the set has no backup")?;
    let state = set.state(last.id, only).map_err(told)?;
    let folders = state.mailboxes().iter().flat_map(|one| &one.folders);
    let ids: Vec<_> =
        folders.flat_map(|one| &one.messages).map(|message| message.content).collect();
    let mut raw_bytes = 0;
    for content in state.contents(ids) {
        raw_bytes += content.map_err(told)?.bytes.len() as u64;
    }
    Ok((disk.counters().read_bytes, raw_bytes, last.stored_bytes))
}

/// A figure that another process printed.
pub(super) fn number(figures: &Value, name: &str) -> f64 {
    figures[name].as_f64().unwrap_or(f64::NAN)
}
