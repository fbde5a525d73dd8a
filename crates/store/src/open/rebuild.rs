//! Building the catalog anew from a base and the log, or from the whole log.

use std::io;
use std::sync::Arc;

use rehome_log::{Clock, Disk, FileName, Lsn};

use super::claim::{Claim, claim, start};
use super::recover::{Recovery, release};
use super::{discard_unnamed_tree, log_folder, make_unnamed_tree, name_tree, tree_name};
use crate::base;
use crate::engine::{Engine, Parts};
use crate::error::{StoreError, doing};
use crate::identity::{Restore, name, read_json, restore_name};
use crate::options::OpenOptions;
use crate::tree::{RedbTree, Tree};

/// What a catalog was built from.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct RebuildReport {
    /// The base: the last group of the log that it holds; none if there was only the log.
    pub base: Option<Lsn>,
    /// Bases that were damaged, each with what is wrong with it.
    pub damaged_bases: Vec<String>,
    /// The last group of the log that the catalog holds now.
    pub until: Lsn,
    /// The catalog that was there before, under its new name.
    pub old_catalog: Option<String>,
}

/// Takes the store in the disk's root folder to mend it, unless a restore is to be finished.
pub(super) fn claim_whole(disk: Arc<dyn Disk>, options: OpenOptions) -> Result<Claim, StoreError> {
    let claim = claim(disk, options)?;
    if read_json::<Restore>(&*claim.disk, &restore_name())?.is_some() {
        let cause = "its catalog is built by opening it with the restore's marker".to_owned();
        return Err(StoreError::RestoreInProgress { cause });
    }
    Ok(claim)
}

/// Builds the catalog of the store in the disk's root folder and opens it.
pub(crate) fn rebuild(
    disk: Arc<dyn Disk>,
    clock: Arc<dyn Clock>,
    options: OpenOptions,
) -> Result<(Engine, RebuildReport), StoreError> {
    let Claim { disk, options, notes, identity, shape, log_policy, ownership } =
        claim_whole(disk, options)?;
    identity.renew(&*disk)?;
    let mut damaged_bases = Vec::new();
    let built = build(&disk, &options, shape.store_id, &mut damaged_bases);
    let built = built.and_then(|(tree, base)| {
        let tree: Box<dyn Tree> = Box::new(tree);
        let (disk, clock, options) = (&disk, &clock, &options);
        let (log, until) =
            Recovery { disk, clock, options, shape, tree: &*tree, log_policy }.bring_up()?;
        Ok((tree, base, log, until))
    });
    // The old catalog stays what it is until the new one holds everything, and the log until the
    // new one has its name.
    let (tree, base, log, until) = built.inspect_err(|_| discard_unnamed_tree(&*disk))?;
    let old_catalog = put_in_place(&*disk)?;
    release(&*disk, &options, log_policy, &log, until)?;
    let report = RebuildReport { base, damaged_bases, until, old_catalog };
    let parts = Parts { disk, clock, options, notes, shape, tree, log, log_policy, ownership };
    Ok((start(parts)?, report))
}

/// Makes the new catalog beside the old one, from the newest base that is whole.
fn build(
    disk: &Arc<dyn Disk>,
    options: &OpenOptions,
    store_id: [u8; 16],
    damaged: &mut Vec<String>,
) -> Result<(RedbTree, Option<Lsn>), StoreError> {
    for lsn in base::list(&**disk)? {
        let tree = make_unnamed_tree(disk, options)?;
        match base::load(disk, store_id, lsn, &tree) {
            Ok(()) => return Ok((tree, Some(lsn))),
            Err(error @ StoreError::Damaged { .. }) => damaged.push(error.to_string()),
            Err(error) => return Err(error),
        }
    }
    require_whole_log(&**disk)?;
    Ok((make_unnamed_tree(disk, options)?, None))
}

/// Makes the catalog of a store that has none from its base, if it has one.
pub(super) fn build_from_base(
    disk: &Arc<dyn Disk>,
    options: &OpenOptions,
    store_id: [u8; 16],
) -> Result<(), StoreError> {
    let Some(lsn) = base::list(&**disk)?.first().copied() else { return Ok(()) };
    let tree = make_unnamed_tree(disk, options)?;
    base::load(disk, store_id, lsn, &tree)?;
    drop(tree);
    put_in_place(&**disk).map(drop)
}

/// Without a base the log has to begin with the store's first generation.
fn require_whole_log(disk: &dyn Disk) -> Result<(), StoreError> {
    let names = disk.list(&log_folder()).map_err(doing("listing the log"))?;
    if names.iter().any(|name| name.starts_with("E0000000001-")) {
        return Ok(());
    }
    Err(StoreError::Damaged {
        place: log_folder().to_string(),
        cause: "no base of the catalog is whole, and the log's first generation was released"
            .to_owned(),
        remedy: "restore the store from a backup; every content is in seg still",
    })
}

/// Gives the new catalog its name; the old one keeps its bytes under another.
pub(super) fn put_in_place(disk: &dyn Disk) -> Result<Option<String>, StoreError> {
    let failed = || doing("putting the new catalog in place");
    let there = disk.list(&FileName::root()).map_err(failed())?;
    let mut free = (1..).map(|number| name(&format!("mail.redb.lost-{number}")));
    let aside = free.find(|name| !there.iter().any(|entry| entry == name.as_str()));
    let aside = aside.expect("there are more numbers than files");
    let old = match disk.rename(&tree_name(), &aside) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => None,
        renamed => renamed.map(|()| Some(aside.to_string())).map_err(failed())?,
    };
    name_tree(disk)?;
    Ok(old)
}
