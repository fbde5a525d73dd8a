//! Creating and opening a store.
#![doc = include_str!("../../../docs/format/store.md")]

mod again;
mod claim;
mod rebuild;
mod recover;
mod restored;
mod salvage;

use std::sync::Arc;

use rehome_log::{Clock, Disk, FileName, Log, LogOptions, OpenMode, Ownership};

pub(crate) use self::again::begin_again;
pub use self::again::{RestoreStage, restore_stage};
pub use self::rebuild::RebuildReport;
pub(crate) use self::rebuild::rebuild;
pub(crate) use self::restored::LogDigest;
pub use self::salvage::{GivenUp, SalvageReport};
pub(crate) use self::salvage::{preview, salvage};

use self::claim::{Claim, claim, start};
use self::recover::Recovery;
use crate::catalog::View;
use crate::engine::{Engine, Parts};
use crate::error::{StoreError, doing};
use crate::identity::{
    Identity, Restore, fresh, identity_name, name, read_json, remove_if_there, restore_name,
    unborn_name, write_json,
};
use crate::keeping::LogPolicy;
use crate::options::OpenOptions;
use crate::segment::{self, Shape};
use crate::settings::{Settled, settle};
use crate::tree::{RedbTree, Tree};

/// The folder of the log.
pub(crate) fn log_folder() -> FileName {
    name("log")
}

/// The file of the catalog.
fn tree_name() -> FileName {
    name("mail.redb")
}

/// How the store's log is written: the committer says itself what is acknowledged, since that
/// depends on the segments too.
pub(crate) fn log_options(options: &OpenOptions) -> LogOptions {
    LogOptions {
        generation_bytes: options.log_generation_bytes,
        acknowledge_on_sync: false,
        ..LogOptions::default()
    }
}

/// Makes an empty store in the disk's root folder.
pub(crate) fn create(
    disk: Arc<dyn Disk>,
    clock: Arc<dyn Clock>,
    options: OpenOptions,
) -> Result<Engine, StoreError> {
    let Settled { disk, options, notes } = settle(disk, options, false);
    let (ownership, shape) = begin(&disk, &*clock, &options)?;
    let tree = make_tree(&disk, &options)?;
    let log = Log::create(
        Arc::clone(&disk),
        log_folder(),
        shape.store_id,
        ownership.epoch(),
        Arc::clone(&clock),
        log_options(&options),
    )?;
    give_birth(&*disk)?;
    let meta = View::new(tree.read()?).meta()?;
    let (tree, log_policy) = (Box::new(tree), LogPolicy::Circular);
    let parts = Parts { disk, clock, options, notes, shape, tree, log, log_policy, ownership };
    Ok(Engine::start(parts, &meta, 1))
}

/// Takes an empty folder and writes what the store is, under a name that is none yet.
pub(crate) fn begin(
    disk: &Arc<dyn Disk>,
    clock: &dyn Clock,
    options: &OpenOptions,
) -> Result<(Ownership, Shape), StoreError> {
    let taken = |place: &FileName| StoreError::StoreExists { place: place.to_string() };
    let there = list(&**disk)?;
    if there.iter().any(|entry| entry == identity_name().as_str()) {
        return Err(taken(&identity_name()));
    }
    // What lies beside `store.new` is left over from a creation that did not end.
    let unfinished = there.iter().any(|entry| entry == unborn_name().as_str());
    let parts = [tree_name(), log_folder(), segment::folder()];
    if let (false, Some(part)) = (unfinished, parts.iter().find(|part| has(&there, part))) {
        return Err(taken(part));
    }
    let owner = &options.owner;
    let least = least_epoch(&**disk)?;
    let ownership = Ownership::acquire_above(Arc::clone(disk), owner, options.epoch_token, least)?;
    let id = options.store_id.unwrap_or_else(|| fresh(clock));
    write_json(&**disk, &unborn_name(), &Identity::new(id))?;
    clear(&**disk)?;
    disk.create_dir(&segment::folder()).map_err(doing("making the folder of segments"))?;
    let shape = Shape { store_id: id, epoch: ownership.epoch() };
    Ok((ownership, shape))
}

/// The least epoch to take. The log knows it too: a name in the folder whose sync once failed
/// may be lost at any power cut, and so may the epoch file be.
fn least_epoch(disk: &dyn Disk) -> Result<u64, StoreError> {
    Log::next_epoch(disk, &log_folder()).map_err(doing("listing the log"))
}

fn has(entries: &[String], name: &FileName) -> bool {
    entries.iter().any(|entry| entry == name.as_str())
}

fn list(disk: &dyn Disk) -> Result<Vec<String>, StoreError> {
    match disk.list(&FileName::root()) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            disk.create_dir(&FileName::root()).map_err(doing("making the store's folder"))?;
            Ok(Vec::new())
        }
        listed => listed.map_err(doing("listing the store's folder")),
    }
}

/// Removes what a creation that did not end has left.
fn clear(disk: &dyn Disk) -> Result<(), StoreError> {
    let failed = || doing("removing what an unfinished creation left");
    for folder in [log_folder(), segment::folder()] {
        clear_folder(disk, &folder, |_| false).map_err(failed())?;
    }
    remove_if_there(disk, &tree_name()).map_err(failed())?;
    remove_if_there(disk, &restore_name()).map_err(failed())?;
    remove_if_there(disk, &name("log.json")).map_err(failed())?;
    disk.sync_dir(&FileName::root()).map_err(failed())
}

/// Removes the files of a folder that `keep` does not want, durably.
fn clear_folder(
    disk: &dyn Disk,
    folder: &FileName,
    keep: impl Fn(&FileName) -> bool,
) -> std::io::Result<()> {
    let entries = match disk.list(folder) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        listed => listed?,
    };
    let files = entries.iter().map(|entry| folder.join(entry).expect("the disk listed it"));
    for file in files.filter(|file| !keep(file)) {
        remove_if_there(disk, &file)?;
    }
    disk.sync_dir(folder)
}

/// Everything is there: the folder is a store from now on.
pub(crate) fn give_birth(disk: &dyn Disk) -> Result<(), StoreError> {
    let failed = || doing("naming the new store");
    disk.rename(&unborn_name(), &identity_name()).map_err(failed())?;
    disk.sync_dir(&FileName::root()).map_err(failed())
}

/// Whether the catalog's file should be there.
#[derive(Clone, Copy)]
enum Presence {
    Old,
    Either,
}

fn open_tree(
    disk: &Arc<dyn Disk>,
    options: &OpenOptions,
    presence: Presence,
) -> Result<RedbTree, StoreError> {
    let file = match disk.open(&tree_name(), OpenMode::ReadWrite) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            return match presence {
                Presence::Either => make_tree(disk, options),
                Presence::Old => Err(StoreError::Damaged {
                    place: tree_name().to_string(),
                    cause: "the file is missing".to_owned(),
                    remedy: "rebuild it from base and log with `rehome store recover`, or restore \
                             the store from a backup; segments and log are as they were",
                }),
            };
        }
        opened => opened.map_err(doing("opening the catalog's file"))?,
    };
    RedbTree::open(Arc::clone(disk), file, options.cache_bytes)
}

/// Makes the tree; it gets its name when it is whole.
fn make_tree(disk: &Arc<dyn Disk>, options: &OpenOptions) -> Result<RedbTree, StoreError> {
    let tree = make_unnamed_tree(disk, options)?;
    name_tree(&**disk)?;
    Ok(tree)
}

/// The tree's file until it is whole.
fn unnamed_tree() -> FileName {
    name("mail.redb.new")
}

fn make_unnamed_tree(disk: &Arc<dyn Disk>, options: &OpenOptions) -> Result<RedbTree, StoreError> {
    let failed = || doing("making the catalog's file");
    remove_if_there(&**disk, &unnamed_tree()).map_err(failed())?;
    let file = disk.open(&unnamed_tree(), OpenMode::CreateNew).map_err(failed())?;
    RedbTree::open(Arc::clone(disk), file, options.cache_bytes)
}

/// Opens the tree that has no name yet, and lies there whole.
fn open_unnamed_tree(disk: &Arc<dyn Disk>, options: &OpenOptions) -> Result<RedbTree, StoreError> {
    let file = disk.open(&unnamed_tree(), OpenMode::ReadWrite);
    let file = file.map_err(doing("opening the copy of the catalog"))?;
    RedbTree::open(Arc::clone(disk), file, options.cache_bytes)
}

/// Removes the file of a tree that will not be whole; one that stays is removed by the next to make
/// one.
fn discard_unnamed_tree(disk: &dyn Disk) {
    drop(remove_if_there(disk, &unnamed_tree()));
}

/// Gives the tree's file its name, durably.
fn name_tree(disk: &dyn Disk) -> Result<(), StoreError> {
    let failed = || doing("putting the catalog in place");
    disk.rename(&unnamed_tree(), &tree_name()).map_err(failed())?;
    disk.sync_dir(&FileName::root()).map_err(failed())
}

/// Gives the tree's file the name that it has once more: the sync that was to make it durable may
/// have failed, and then no later one need do that.
fn name_tree_again(disk: &dyn Disk) -> Result<(), StoreError> {
    let renamed = disk.rename(&tree_name(), &unnamed_tree());
    renamed.map_err(doing("putting the catalog in place"))?;
    name_tree(disk)
}

/// Opens the store in the disk's root folder and brings its catalog up to date.
pub(crate) fn open(
    disk: Arc<dyn Disk>,
    clock: Arc<dyn Clock>,
    options: OpenOptions,
) -> Result<Engine, StoreError> {
    let Claim { disk, options, notes, identity, shape, log_policy, ownership } =
        claim(disk, options)?;
    let restore = read_json::<Restore>(&*disk, &restore_name())?;
    let marker = restore.map(|restore| restored::admit(&restore, &options)).transpose()?;
    identity.renew(&*disk)?;
    let presence = if marker.is_some() { Presence::Either } else { Presence::Old };
    if marker.is_some() {
        match has(&list(&*disk)?, &tree_name()) {
            true => name_tree_again(&*disk)?,
            // A restore to a moment has a base; the log goes on from there.
            false => rebuild::build_from_base(&disk, &options, shape.store_id)?,
        }
    }
    let tree: Box<dyn Tree> = Box::new(open_tree(&disk, &options, presence)?);
    let recovery =
        Recovery { disk: &disk, clock: &clock, options: &options, shape, tree: &*tree, log_policy };
    let log = match &marker {
        Some(marker) => restored::build(&recovery, marker)?,
        None => recovery.run()?,
    };
    start(Parts { disk, clock, options, notes, shape, tree, log, log_policy, ownership })
}
