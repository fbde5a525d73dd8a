//! A store whose log cannot be read: what its catalog and the rest of the log hold is kept, and a
//! new log begins.

mod given_up;

use std::sync::Arc;

use rehome_log::{
    Clock, Disk, Log, LogError, LogOptions, Lsn, OpenMode, Record, Salvage, SyncKind, Visit,
};

pub use self::given_up::GivenUp;
use self::given_up::Ledger;
use super::claim::{Claim, start};
use super::rebuild::{claim_whole, put_in_place};
use super::recover::{Recovery, Replay};
use super::{
    discard_unnamed_tree, log_folder, log_options, make_unnamed_tree, open_unnamed_tree, tree_name,
    unnamed_tree,
};
use crate::base;
use crate::catalog::{View, Writer, apply_groups};
use crate::engine::{Engine, Parts};
use crate::error::{StoreError, doing, filling};
use crate::keeping::{self, LogPolicy};
use crate::model::{FolderInfo, IncomingFolder, MailboxInfo, MailboxState, Modseq, Uid};
use crate::op::{Group, Op};
use crate::options::OpenOptions;
use crate::segment::OpenFile;
use crate::tree::{Batch, Commit, RedbTree, Tree};

/// UIDs and modseqs go on higher: clients may know some of those that were given up, and no new
/// message may have them. So much higher at least, and at most.
const SKIPPED: std::ops::RangeInclusive<u64> = 1 << 20..=1 << 28;
/// Bytes of the log that the step takes which uses one of each up, at least.
const STEP_BYTES_MIN: u64 = 8;
/// Folders in one group that says so.
const FOLDERS_MAX: usize = 10_000;
/// Bytes copied at once.
const COPY_BYTES: usize = 1 << 20;

/// What was kept of a store whose log could not be read, and what was not.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct SalvageReport {
    /// Why the log cannot be read.
    pub damage: String,
    /// The base that the catalog was made from: its last group; none if the catalog was whole.
    pub base: Option<Lsn>,
    /// The catalog and bases that could not be used, each with what is wrong with it.
    pub not_used: Vec<String>,
    /// The last record of the log that the store has, and all before it.
    pub until: Lsn,
    /// The highest that the log says was acknowledged, as far as it can be read: what lies between
    /// is lost. Newer ones may be, that the log does not know of.
    pub acknowledged: Lsn,
    /// What whole records say was done after what is lost, by mailbox; nothing of it is kept.
    pub given_up: Vec<GivenUp>,
    /// UIDs and modseqs of every folder go on so much higher.
    pub skipped: u32,
    /// The log was archived, and is circular now: it takes a new full backup.
    pub archive_ended: bool,
    /// The catalog that was there before, under its new name.
    pub old_catalog: Option<String>,
    /// The old log's files, under their new names.
    pub old_log: Vec<String>,
}

/// What a catalog is made from.
#[derive(Clone, Copy)]
enum Source {
    Catalog,
    Base(Lsn),
}

/// A catalog with everything that can be kept, not in place yet.
struct Made {
    tree: RedbTree,
    base: Option<Lsn>,
    /// What it holds of the old log.
    applied: Lsn,
    salvage: Salvage,
    given_up: Vec<GivenUp>,
    /// UIDs and modseqs go on so much higher.
    skipped: u32,
}

/// Says what [`salvage`] would keep; the store stays as it is.
pub(crate) fn preview(
    disk: Arc<dyn Disk>,
    clock: Arc<dyn Clock>,
    options: OpenOptions,
) -> Result<SalvageReport, StoreError> {
    let claim = claim_whole(disk, options)?;
    let mut not_used = Vec::new();
    let made = make(&claim, &clock, &mut not_used);
    let report = made.map(|made| report(&claim, &made, not_used));
    discard_unnamed_tree(&*claim.disk);
    report
}

/// Keeps of the store in the disk's root folder what catalog and log have together, and opens it
/// with a new log.
pub(crate) fn salvage(
    disk: Arc<dyn Disk>,
    clock: Arc<dyn Clock>,
    options: OpenOptions,
) -> Result<(Engine, SalvageReport), StoreError> {
    let claim = claim_whole(disk, options)?;
    let mut not_used = Vec::new();
    let finished = make(&claim, &clock, &mut not_used).and_then(|made| {
        let until = finish(&claim, &made)?;
        Ok((made, until))
    });
    let (made, until) = finished.inspect_err(|_| discard_unnamed_tree(&*claim.disk))?;
    let mut report = report(&claim, &made, not_used);
    let Claim { disk, options, notes, identity, shape, ownership, .. } = claim;
    // From here on each step leaves a store that is whole, or one to be salvaged again: its catalog
    // is ahead of the old log, which is not read for it any more.
    identity.renew(&*disk)?;
    report.old_catalog = put_in_place(&*disk)?;
    keeping::forget_archive(&*disk, shape.store_id, &identity)?;
    let aside = Log::put_aside(&*disk, &log_folder())?;
    report.old_log = aside.iter().map(ToString::to_string).collect();
    let behind = LogOptions { after: until, ..log_options(&options) };
    let (store_id, epoch) = (shape.store_id, shape.epoch);
    let (log_disk, log_clock) = (Arc::clone(&disk), Arc::clone(&clock));
    let log = Log::create(log_disk, log_folder(), store_id, epoch, log_clock, behind)?;
    let tree: Box<dyn Tree> = Box::new(made.tree);
    let log_policy = LogPolicy::Circular;
    let parts = Parts { disk, clock, options, notes, shape, tree, log, log_policy, ownership };
    Ok((start(parts)?, report))
}

fn report(claim: &Claim, made: &Made, not_used: Vec<String>) -> SalvageReport {
    SalvageReport {
        damage: damage(&made.salvage.damage),
        base: made.base,
        not_used,
        until: made.salvage.until,
        acknowledged: made.salvage.acknowledged,
        given_up: made.given_up.clone(),
        skipped: made.skipped,
        archive_ended: claim.log_policy != LogPolicy::Circular,
        old_catalog: None,
        old_log: Vec::new(),
    }
}

/// What is wrong with the log, and where.
fn damage(error: &LogError) -> String {
    match error {
        LogError::Damaged { offset, name, cause, .. } => {
            format!("{name} at byte {offset}: {cause}")
        }
        LogError::Gap { from, cause } => format!("it cannot be read from {from}: {cause}"),
        LogError::Absent { dir } => format!("no file of it is whole in {dir}"),
        other => other.to_string(),
    }
}

/// Makes the catalog from the first source that is whole.
fn make(
    claim: &Claim,
    clock: &Arc<dyn Clock>,
    not_used: &mut Vec<String>,
) -> Result<Made, StoreError> {
    let bases = base::list(&*claim.disk)?;
    let sources = std::iter::once(Source::Catalog).chain(bases.into_iter().map(Source::Base));
    for source in sources {
        match make_from(claim, clock, source) {
            Err(error @ StoreError::Damaged { .. }) => not_used.push(error.to_string()),
            made => return made,
        }
    }
    Err(StoreError::Damaged {
        place: "the store".to_owned(),
        cause: format!("neither its log nor a catalog is whole: {}", not_used.join("; ")),
        remedy: "restore the store from a backup; every content is in seg still, and nothing was \
                 changed",
    })
}

/// Makes the catalog from `source` and the records that follow it, and reads all of it.
fn make_from(claim: &Claim, clock: &Arc<dyn Clock>, source: Source) -> Result<Made, StoreError> {
    let Claim { disk, options, shape, log_policy, .. } = claim;
    let (tree, base) = match source {
        Source::Catalog => (copy_catalog(disk, options)?, None),
        Source::Base(lsn) => {
            let tree = make_unnamed_tree(disk, options)?;
            base::load(disk, shape.store_id, lsn, &tree)?;
            (tree, Some(lsn))
        }
    };
    let (shape, log_policy) = (*shape, *log_policy);
    let recovery = Recovery { disk, clock, options, shape, tree: &tree, log_policy };
    let mut ledger = Ledger::default();
    let (salvage, applied) = std::thread::scope(|scope| {
        let applied = View::new(tree.read()?).meta()?.applied;
        let writer = Writer::start(scope, &tree, |_| (), None);
        let mut replay = Replay::new(&recovery, applied, writer)?;
        let mut visit = |record: Record<'_>, follows: bool| {
            let verdict = if follows { replay.visit(&record) } else { Visit::Accept };
            if !follows || verdict == Visit::CutHere {
                ledger.note(&record);
            }
            verdict
        };
        let found = Log::salvage(&**disk, &log_folder(), shape.store_id, applied, &mut visit);
        let Some(salvage) = replay.outcome(found)? else { return Err(StoreError::LogIsWhole) };
        Ok((salvage, replay.finish()?))
    })?;
    let view = View::new(tree.read()?);
    base::stream(view.tree(), shape.store_id, applied, &mut |_| Ok(()))?;
    let given_up = ledger.by_mailbox(&view)?;
    let steps_max = recovery.log_bytes()? / STEP_BYTES_MIN;
    let skipped = steps_max.clamp(*SKIPPED.start(), *SKIPPED.end()) as u32;
    Ok(Made { tree, base, applied, salvage, given_up, skipped })
}

/// A copy of the catalog, to be changed instead of it.
fn copy_catalog(disk: &Arc<dyn Disk>, options: &OpenOptions) -> Result<RedbTree, StoreError> {
    let failed = || doing("copying the catalog");
    discard_unnamed_tree(&**disk);
    let from = match disk.open(&tree_name(), OpenMode::Read) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            return Err(StoreError::Damaged {
                place: tree_name().to_string(),
                cause: "the file is missing".to_owned(),
                remedy: "a base of it is used if there is one",
            });
        }
        opened => OpenFile::new(Arc::clone(disk), opened.map_err(failed())?),
    };
    let to = disk.open(&unnamed_tree(), OpenMode::CreateNew).map_err(failed())?;
    let to = OpenFile::new(Arc::clone(disk), to);
    let len = disk.len(from.id).map_err(failed())?;
    let mut buffer = vec![0; COPY_BYTES];
    for at in (0..len).step_by(COPY_BYTES) {
        let part = &mut buffer[..COPY_BYTES.min((len - at) as usize)];
        disk.read_at(from.id, at, part).map_err(failed())?;
        disk.write_at(to.id, at, part)
            .map_err(filling("copying the catalog to", unnamed_tree()))?;
    }
    disk.sync(to.id, SyncKind::All).map_err(failed())?;
    drop(to);
    open_unnamed_tree(disk, options)
}

/// Lets UIDs and modseqs go on higher, and writes a base: the log of before is of no use from now
/// on. Returns the LSN that the catalog has then, in a generation of its own.
fn finish(claim: &Claim, made: &Made) -> Result<Lsn, StoreError> {
    let Claim { disk, shape, .. } = claim;
    let above = made.applied.generation();
    let number = Log::unused_generation(&**disk, &log_folder(), above)?;
    let mut folders = Vec::new();
    let view = View::new(made.tree.read()?);
    for mailbox in view.mailboxes()? {
        if matches!(mailbox.state, MailboxState::Active | MailboxState::Fenced { .. }) {
            let inside = view.folders(mailbox.id)?;
            let raised = |(at, folder)| raised(&mailbox, at, folder, made.skipped);
            folders.extend(inside.into_iter().enumerate().map(raised));
        }
    }
    drop(view);
    let mut until = Lsn::new(number, 1);
    raise(&made.tree, until, Group::default())?;
    for (at, ops) in (2..).zip(folders.chunks(FOLDERS_MAX)) {
        until = Lsn::new(number, at);
        raise(&made.tree, until, Group { ranges: Vec::new(), ops: ops.to_vec() })?;
    }
    base::write(disk, &*made.tree.read()?, shape.store_id, until, &|| false)?;
    Ok(until)
}

/// Brings the catalog to `lsn`, durably.
fn raise(tree: &RedbTree, lsn: Lsn, group: Group) -> Result<(), StoreError> {
    let mut batch = Batch::new(tree.read()?, None);
    apply_groups(&mut batch, &[(lsn, group)])?;
    tree.write(Commit::Checkpoint, &batch.finish())
}

/// The folder, with numbers that are `by` higher; `before` others of its mailbox come before it.
fn raised(mailbox: &MailboxInfo, before: usize, folder: FolderInfo, by: u32) -> Op {
    let FolderInfo { id, name, uidvalidity, uidnext, attributes, .. } = folder;
    let uidnext = Uid(uidnext.0.checked_add(by).unwrap_or(uidnext.0));
    let modseq = Modseq(mailbox.highest_modseq.0 + u64::from(by) + before as u64);
    let incoming = IncomingFolder { name, uidvalidity, uidnext, attributes, modseq };
    Op::ReceiveFolder { mailbox: mailbox.id, folder: id, incoming }
}
