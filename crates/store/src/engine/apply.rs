//! The thread that brings the catalog up to date behind the log, and makes checkpoints.

use std::sync::Arc;
use std::sync::mpsc::SyncSender;
use std::time::Duration;

use rehome_log::Lsn;

use super::Shared;
use crate::base::Keeper;
use crate::catalog::Writer;
use crate::error::StoreError;
use crate::op::Group;
use crate::tree::{Commit, Rows};

/// Operations merged into one transaction, at most, but for a single larger group.
const MERGED_OPS_MAX: usize = 65_536;

/// Groups are gathered until they have so many bytes of log: each transaction copies every page
/// that it touches, and a few rows touch nearly as many as many do.
pub(super) const GATHERED_BYTES: u64 = 256 << 10;
/// Or until one of them has waited for so long. Whoever wants to see them does not wait.
const GATHER_TIME: Duration = Duration::from_millis(20);

/// With so much to apply the catalog's threads yield to nobody.
const LAG_BYTES: u64 = 1 << 20;

/// What the thread is to do.
pub(super) enum Work {
    /// Apply a durable group.
    Group { lsn: Lsn, ops: usize, payload: Box<[u8]> },
    /// Make a checkpoint and say up to where.
    Checkpoint(SyncSender<Result<Lsn, StoreError>>),
}

impl Work {
    /// Bytes that it keeps while it waits.
    pub(super) fn weight(&self) -> u64 {
        match self {
            Work::Group { payload, .. } => payload.len() as u64,
            Work::Checkpoint(_) => 0,
        }
    }
}

/// What has been applied since the last checkpoint.
#[derive(Default)]
struct Since {
    rows: u64,
    log_bytes: u64,
}

/// Works until the queue ends or the catalog fails.
pub(super) fn run(shared: &Shared) {
    // Whoever waits for an answer is to see why there is none: a failure is noted at once.
    let hear = |written: Result<Lsn, &StoreError>| match written {
        Ok(lsn) => shared.progress.apply(lsn),
        Err(error) => shared.progress.fail(shared.fail(error)),
    };
    std::thread::scope(|scope| {
        let mut writer = Writer::start(scope, &*shared.tree, hear, Some(shared.progress.awaited()));
        let mut since = Since::default();
        let mut keeper = keeper(shared);
        while let Some(works) = next(shared) {
            if let Err(error) = work(shared, works, &mut since, &mut keeper, &mut writer) {
                shared.progress.fail(shared.fail(&error));
                break;
            }
        }
    });
    shared.progress.fail(shared.stopped());
    shared.applies.abandon();
}

/// What is to be done in one transaction.
fn next(shared: &Shared) -> Option<Vec<Work>> {
    shared.applies.await_item();
    shared.progress.gather(GATHER_TIME, || shared.applies.has(GATHERED_BYTES));
    shared.progress.lag(shared.applies.has(LAG_BYTES));
    let mut ops = 0;
    shared.applies.pop_group(|work| {
        if let Work::Group { ops: more, .. } = work {
            ops += more;
        }
        ops <= MERGED_OPS_MAX
    })
}

fn work(
    shared: &Shared,
    works: Vec<Work>,
    since: &mut Since,
    keeper: &mut Keeper,
    writer: &mut Writer<'_>,
) -> Result<(), StoreError> {
    // The failure is noted before `waiting` goes.
    let failed = |error: StoreError| shared.fail(&error);
    let mut groups = Vec::new();
    let mut waiting = Vec::new();
    for work in works {
        match work {
            Work::Group { lsn, ops, payload } => {
                since.rows += ops as u64;
                since.log_bytes += payload.len() as u64;
                groups.push((lsn, Group::of_record(lsn, &payload).map_err(failed)?));
            }
            Work::Checkpoint(answer) => waiting.push(answer),
        }
    }
    if !groups.is_empty() {
        writer.apply(groups, Commit::Later).map_err(failed)?;
    }
    let options = &shared.options;
    let due = since.rows >= options.checkpoint_rows || since.log_bytes >= options.checkpoint_bytes;
    if !waiting.is_empty() || due {
        writer.settle().map_err(failed)?;
        let lsn = checkpoint(shared, since.log_bytes, keeper).map_err(failed)?;
        *since = Since::default();
        for answer in waiting {
            // Whoever has stopped waiting does not need the answer.
            drop(answer.send(Ok(lsn)));
        }
    }
    Ok(())
}

/// The keeper of bases.
fn keeper(shared: &Shared) -> Keeper {
    let (disk, bytes_min) = (Arc::clone(&shared.disk), shared.options.catalog_base_bytes);
    Keeper::new(disk, shared.shape.store_id, bytes_min, shared.keeping.base())
}

/// Makes the catalog durable as it is and gives up the log below.
fn checkpoint(shared: &Shared, log_bytes: u64, keeper: &mut Keeper) -> Result<Lsn, StoreError> {
    shared.tree.write(Commit::Checkpoint, &Rows::default())?;
    let lsn = shared.progress.applied();
    shared.keeping.checkpointed(&shared.log, lsn, keeper.floor());
    keeper.checkpointed(&*shared.tree, lsn, log_bytes)?;
    Ok(lsn)
}
