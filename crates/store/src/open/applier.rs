//! The thread that puts replayed groups into the catalog while the next are read.

use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::{Scope, ScopedJoinHandle};

use rehome_log::Lsn;

use crate::catalog::apply_groups;
use crate::error::StoreError;
use crate::op::Group;
use crate::tree::{Batch, Commit, Tree};

/// The catalog is made durable after so many operations, so that a recovery cut short goes on from
/// there.
const CHECKPOINT_OPS: usize = 2_000_000;

/// Groups for one transaction.
pub(super) type Groups = Vec<(Lsn, Group)>;

/// The thread.
pub(super) struct Applier<'s> {
    /// None once it has failed.
    send: Option<SyncSender<Groups>>,
    thread: Option<ScopedJoinHandle<'s, Result<(), StoreError>>>,
}

impl<'s> Applier<'s> {
    pub(super) fn start(scope: &'s Scope<'s, '_>, tree: &'s dyn Tree) -> Applier<'s> {
        // One batch waits while one is applied and one is read: memory is bounded.
        let (send, receive) = sync_channel(1);
        let thread = scope.spawn(move || work(tree, &receive));
        Applier { send: Some(send), thread: Some(thread) }
    }

    /// Has `groups` applied after those before; says what became of those.
    pub(super) fn push(&mut self, groups: Groups) -> Result<(), StoreError> {
        let sent = self.send.as_ref().is_some_and(|send| send.send(groups).is_ok());
        if sent { Ok(()) } else { self.finish() }
    }

    /// Waits until everything is in the catalog.
    pub(super) fn finish(&mut self) -> Result<(), StoreError> {
        self.send = None;
        match self.thread.take().map(ScopedJoinHandle::join) {
            Some(Ok(worked)) => worked,
            Some(Err(panic)) => std::panic::resume_unwind(panic),
            None => Ok(()),
        }
    }
}

fn work(tree: &dyn Tree, receive: &Receiver<Groups>) -> Result<(), StoreError> {
    let mut since_checkpoint = 0;
    for groups in receive {
        since_checkpoint += groups.iter().map(|(_, group)| group.ops.len()).sum::<usize>();
        let commit = if since_checkpoint >= CHECKPOINT_OPS {
            since_checkpoint = 0;
            Commit::Checkpoint
        } else {
            Commit::Later
        };
        tree.write(commit, &mut |tree| {
            let mut batch = Batch::new(tree);
            apply_groups(&mut batch, &groups)?;
            batch.finish()
        })?;
    }
    Ok(())
}
