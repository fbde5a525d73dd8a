//! The way of groups into the catalog: what the next change is worked out while the last are
//! written.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::mpsc::Receiver;
use std::thread::Scope;

use rehome_log::Lsn;

use super::apply_groups;
use super::stage::Stage;
use crate::background;
use crate::error::StoreError;
use crate::op::Group;
use crate::tree::{Batch, Commit, Rows, Tree};

/// Groups of one transaction, or a place to wait for.
enum Job {
    Apply { groups: Vec<(Lsn, Group)>, commit: Commit },
    Settle,
}

/// One transaction, worked out.
struct Transaction {
    rows: Arc<Rows>,
    commit: Commit,
    /// The last group in it; none if it is empty.
    last: Option<Lsn>,
}

/// Has a thread work out what groups change, and another one write it.
pub(crate) struct Writer<'s> {
    stage: Stage<'s, Job>,
}

impl<'s> Writer<'s> {
    /// Starts the threads, which tell `hear` up to which group the catalog is, or why they end.
    /// With `awaited` they yield to others while nobody waits for them.
    pub(crate) fn start(
        scope: &'s Scope<'s, '_>,
        tree: &'s dyn Tree,
        hear: impl Fn(Result<Lsn, &StoreError>) + Send + Sync + 's,
        awaited: Option<Arc<AtomicBool>>,
    ) -> Writer<'s> {
        let hear = Arc::new(hear);
        let heard = Arc::clone(&hear);
        let (first, second) = (awaited.clone(), awaited);
        let written = Stage::start(scope, "store-catalog", move |transactions| {
            background::begin(second);
            write(tree, &transactions, &*heard)
        });
        let stage = Stage::start(scope, "store-rows", move |jobs| {
            background::begin(first);
            work_out(tree, &jobs, written).inspect_err(|error| hear(Err(error)))
        });
        Writer { stage }
    }

    /// Has `groups` applied after those before, and goes on when those before are worked out.
    ///
    /// # Errors
    ///
    /// Why those before could not be applied or written.
    pub(crate) fn apply(
        &mut self,
        groups: Vec<(Lsn, Group)>,
        commit: Commit,
    ) -> Result<(), StoreError> {
        self.stage.send(Job::Apply { groups, commit })
    }

    /// Waits until everything is in the catalog.
    ///
    /// # Errors
    ///
    /// Why it could not be applied or written.
    pub(crate) fn settle(&mut self) -> Result<(), StoreError> {
        // The second is taken when the first is done.
        self.stage.send(Job::Settle)?;
        self.stage.send(Job::Settle)
    }
}

/// Works out transactions until there are no more, or one contradicts the catalog.
fn work_out(
    tree: &dyn Tree,
    jobs: &Receiver<Job>,
    mut written: Stage<'_, Transaction>,
) -> Result<(), StoreError> {
    // What may still be being written.
    let mut under: Option<Arc<Rows>> = None;
    for job in jobs {
        let transaction = match job {
            Job::Apply { groups, commit } => {
                let mut batch = Batch::new(tree.read()?, under.take());
                apply_groups(&mut batch, &groups)?;
                let rows = Arc::new(batch.finish());
                under = Some(Arc::clone(&rows));
                Transaction { rows, commit, last: groups.last().map(|(lsn, _)| *lsn) }
            }
            Job::Settle if under.take().is_none() => continue,
            Job::Settle => Transaction { rows: Arc::default(), commit: Commit::Later, last: None },
        };
        written.send(transaction)?;
    }
    Ok(())
}

/// Writes until there is no more, or a write fails.
fn write(
    tree: &dyn Tree,
    transactions: &Receiver<Transaction>,
    hear: &dyn Fn(Result<Lsn, &StoreError>),
) -> Result<(), StoreError> {
    for Transaction { rows, commit, last } in transactions {
        let Some(last) = last else { continue };
        tree.write(commit, &rows).inspect_err(|error| hear(Err(error)))?;
        drop(rows);
        hear(Ok(last));
    }
    Ok(())
}
