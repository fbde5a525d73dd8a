//! Who is measured, and one run of each.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use rehome::parts::log::SystemClock;
use rehome::parts::store::{
    Flow, HomeDirectory, LocalSource, LocalTarget, MailboxName, MailboxState, MoveEvent, MoveJob,
    TransferError, bulk_move,
};

use crate::bench::Cache;
use crate::bench::disk;
use crate::bench::stage::{Stage, new_store};
use crate::commands::say;

/// Who is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Contender {
    MoveAll,
    MoveHalf,
    CopyAll,
    CopyHalf,
    CopyTree,
    Dovecot,
}

impl Contender {
    /// Those that every machine has.
    pub(crate) const ALWAYS: [Contender; 5] = [
        Contender::MoveAll,
        Contender::CopyAll,
        Contender::MoveHalf,
        Contender::CopyHalf,
        Contender::CopyTree,
    ];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Contender::MoveAll => "bulk move, all mailboxes",
            Contender::MoveHalf => "bulk move, half of them",
            Contender::CopyAll => "cp + fsync, same bytes",
            Contender::CopyHalf => "cp + fsync, bytes of half",
            Contender::CopyTree => "cp -a of Maildirs + syncfs",
            Contender::Dovecot => "doveadm backup + syncfs",
        }
    }

    /// The copy of one file that has the same bytes.
    pub(crate) fn floor(self) -> Contender {
        match self {
            Contender::MoveHalf | Contender::CopyHalf => Contender::CopyHalf,
            _ => Contender::CopyAll,
        }
    }
}

/// Where a move's time went, in seconds.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Phases {
    /// Until source and target have been compared.
    pub(crate) compare_s: f64,
    /// From then until the first mailbox is fenced: contents and rows, durable.
    pub(crate) carry_s: f64,
    /// From then to the end: a cutover of each mailbox.
    pub(crate) cutover_s: f64,
}

/// What only a move can tell.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct MoveFacts {
    /// Syncs of files and folders, at the source and at the target.
    pub(crate) syncs: u64,
    pub(crate) phases: Phases,
}

/// One run.
#[derive(Debug, Clone)]
pub(crate) struct Run {
    pub(crate) round: u32,
    pub(crate) contender: Contender,
    pub(crate) cache: Cache,
    pub(crate) seconds: f64,
    pub(crate) facts: Option<MoveFacts>,
}

/// Homes in memory, so that the disk has only the stores to do.
#[derive(Default)]
struct Homes(BTreeMap<MailboxName, String>);

impl HomeDirectory for Homes {
    fn home(&mut self, mailbox: &MailboxName) -> Result<String, TransferError> {
        Ok(self.0.get(mailbox).cloned().unwrap_or_else(|| "A".to_owned()))
    }

    fn set_home(&mut self, mailbox: &MailboxName, _: &str, to: &str) -> Result<(), TransferError> {
        self.0.insert(mailbox.clone(), to.to_owned());
        Ok(())
    }
}

/// Prepares the source, rests, and runs one contender; `None` if that cannot be done here.
pub(crate) fn run(
    stage: &Stage,
    contender: Contender,
    cache: Cache,
    round: u32,
    rest: Duration,
) -> Result<Option<Run>, String> {
    let folder = format!("{round}-{}-{}", contender as u32, cache.name());
    let to = stage.scratch().join(folder);
    fs::create_dir(&to).map_err(|error| format!("{}: {error}", to.display()))?;
    disk::sync_folder(stage.scratch())?;
    let from = stage.source_of(contender);
    let ready = match cache {
        Cache::Warm => disk::warm(&from).map(|()| true)?,
        Cache::Cold => disk::evict(&from, stage.eviction)?,
    };
    if !ready {
        return Ok(None);
    }
    std::thread::sleep(rest);
    let begun = Instant::now();
    let (seconds, facts) = match contender {
        Contender::MoveAll | Contender::MoveHalf => {
            let (took, facts) = one_move(stage, &stage.load_of(contender).mailboxes, &to)?;
            (took, Some(facts))
        }
        Contender::CopyAll | Contender::CopyHalf => {
            copy_file(&from, &to)?;
            (begun.elapsed().as_secs_f64(), None)
        }
        Contender::CopyTree => {
            disk::finish(Command::new("cp").arg("-a").arg(&from).arg(&to))?;
            disk::sync_folder(&to)?;
            (begun.elapsed().as_secs_f64(), None)
        }
        Contender::Dovecot => {
            if let Err(error) = dovecot(stage, &from, &to) {
                say(&format!("  doveadm is skipped: {error}"));
                return Ok(None);
            }
            (begun.elapsed().as_secs_f64(), None)
        }
    };
    Ok(Some(Run { round, contender, cache, seconds, facts }))
}

/// Copies one file with `cp` and makes file and folder durable.
fn copy_file(from: &Path, to: &Path) -> Result<(), String> {
    let copy = to.join("copy");
    disk::finish(Command::new("cp").arg(from).arg(&copy))?;
    let synced = File::open(&copy).and_then(|file| file.sync_all());
    let synced = synced.and_then(|()| File::open(to)?.sync_all());
    synced.map_err(|error| format!("{}: {error}", copy.display()))
}

/// One `doveadm backup` for each Maildir, as one would for a site without user database.
fn dovecot(stage: &Stage, from: &Path, to: &Path) -> Result<(), String> {
    for name in &stage.all.mailboxes {
        let maildir: PathBuf = from.join(name.as_str());
        let mut command = Command::new("doveadm");
        command.arg("-o").arg(format!("mail_location=maildir:{}", maildir.display()));
        let target = format!("mdbox:{}", to.join(name.as_str()).display());
        disk::finish(command.arg("backup").arg(target).env("HOME", to))?;
    }
    disk::sync_folder(to)
}

/// Moves mailboxes to a fresh store; the time is from the call to its return.
fn one_move(stage: &Stage, names: &[MailboxName], to: &Path) -> Result<(f64, MoveFacts), String> {
    let (store, disk) = new_store(to)?;
    let syncs = || disk.counters().syncs + stage.source_disk.counters().syncs;
    let mut source = LocalSource::new(stage.source.clone());
    let mut target = LocalTarget::new(store.clone());
    let mut homes = Homes::default();
    let job = MoveJob::new(names.to_vec(), "A", "B");
    let (mut offered, mut fenced) = (None, None);
    let syncs_before = syncs();
    let begun = Instant::now();
    let report =
        bulk_move(&mut source, &mut target, &mut homes, &job, &SystemClock, &mut |event| {
            match event {
                MoveEvent::Offered { .. } => offered.get_or_insert_with(|| begun.elapsed()),
                MoveEvent::Fenced { .. } => fenced.get_or_insert_with(|| begun.elapsed()),
                _ => return Flow::Continue,
            };
            Flow::Continue
        });
    let took = begun.elapsed();
    let syncs = syncs() - syncs_before;
    let report = report.map_err(|error| error.to_string())?;
    let arrived = store.statistics().map_err(|error| error.to_string())?.messages;
    if report.moved.len() != names.len() || arrived != report.messages {
        return Err(format!("the move lost something: {arrived} of {}", report.messages));
    }
    drop(target);
    store.close().map_err(|error| error.to_string())?;
    take_back(stage, names)?;
    let (offered, fenced) = (offered.unwrap_or_default(), fenced.unwrap_or(took));
    let phases = Phases {
        compare_s: offered.as_secs_f64(),
        carry_s: (fenced - offered).as_secs_f64(),
        cutover_s: (took - fenced).as_secs_f64(),
    };
    Ok((took.as_secs_f64(), MoveFacts { syncs, phases }))
}

/// Makes the source take writes again, for the next move.
fn take_back(stage: &Stage, names: &[MailboxName]) -> Result<(), String> {
    for name in names {
        let info = stage.source.mailbox(name).map_err(|error| error.to_string())?;
        let info = info.ok_or_else(|| format!("{name} is gone from the source"))?;
        let active = stage.source.set_state(info.id, MailboxState::Active);
        active.map_err(|error| error.to_string())?;
    }
    Ok(())
}
