//! The way of groups into the catalog: what the next change is worked out while the last are
//! written.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::{Scope, ScopedJoinHandle};

use rehome_log::Lsn;

use super::apply_groups;
use crate::error::StoreError;
use crate::op::Group;
use crate::tree::{Batch, Commit, Rows, Tree};

/// One transaction.
struct Job {
    rows: Arc<Rows>,
    commit: Commit,
    /// The last group in it; none if it is empty.
    last: Option<Lsn>,
}

/// Works out what groups change, and has a thread write it.
pub(crate) struct Writer<'s> {
    tree: &'s dyn Tree,
    /// None once the thread has failed. Nothing waits in it: who sends goes on when the thread
    /// begins, and so has written everything before.
    send: Option<SyncSender<Job>>,
    thread: Option<ScopedJoinHandle<'s, Result<(), StoreError>>>,
    /// What the thread may still be writing.
    under: Option<Arc<Rows>>,
}

impl<'s> Writer<'s> {
    /// Starts the thread, which tells `hear` up to which group the catalog is, or why it ends.
    pub(crate) fn start(
        scope: &'s Scope<'s, '_>,
        tree: &'s dyn Tree,
        hear: impl Fn(Result<Lsn, &StoreError>) + Send + 's,
    ) -> Writer<'s> {
        let (send, receive) = sync_channel(0);
        let thread = std::thread::Builder::new().name("store-catalog".to_owned());
        let thread = thread.spawn_scoped(scope, move || write(tree, &receive, &hear));
        let thread = thread.expect("the computer gives a store its threads");
        Writer { tree, send: Some(send), thread: Some(thread), under: None }
    }

    /// Has `groups` applied after those before, and goes on when these are in the catalog.
    ///
    /// # Errors
    ///
    /// Why these groups cannot be applied, or those before could not be written.
    pub(crate) fn apply(
        &mut self,
        groups: &[(Lsn, Group)],
        commit: Commit,
    ) -> Result<(), StoreError> {
        let mut batch = Batch::new(self.tree.read()?, self.under.take());
        apply_groups(&mut batch, groups)?;
        let rows = Arc::new(batch.finish());
        self.under = Some(Arc::clone(&rows));
        self.send(Job { rows, commit, last: groups.last().map(|(lsn, _)| *lsn) })
    }

    /// Waits until everything is in the catalog.
    ///
    /// # Errors
    ///
    /// Why it could not be written.
    pub(crate) fn settle(&mut self) -> Result<(), StoreError> {
        if self.under.take().is_none() {
            return Ok(());
        }
        self.send(Job { rows: Arc::default(), commit: Commit::Later, last: None })
    }

    fn send(&mut self, job: Job) -> Result<(), StoreError> {
        if self.send.as_ref().is_some_and(|send| send.send(job).is_ok()) {
            return Ok(());
        }
        self.send = None;
        match self.thread.take().map(ScopedJoinHandle::join) {
            Some(Ok(Err(error))) => Err(error),
            Some(Err(panic)) => std::panic::resume_unwind(panic),
            // It has told its failure already.
            Some(Ok(Ok(()))) | None => Err(StoreError::Closed),
        }
    }
}

/// Writes until there is no more, or a write fails.
fn write(
    tree: &dyn Tree,
    jobs: &Receiver<Job>,
    hear: &dyn Fn(Result<Lsn, &StoreError>),
) -> Result<(), StoreError> {
    for Job { rows, commit, last } in jobs {
        let Some(last) = last else { continue };
        tree.write(commit, &rows).inspect_err(|error| hear(Err(error)))?;
        drop(rows);
        hear(Ok(last));
    }
    Ok(())
}
