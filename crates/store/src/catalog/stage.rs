//! A thread that works on what it is given, one at a time, in order.

use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::{Scope, ScopedJoinHandle};

use crate::error::StoreError;

/// The thread, as seen by who gives.
pub(super) struct Stage<'s, J> {
    /// None once the thread has failed. Nothing waits in it: who sends goes on when the thread
    /// begins, and so is done with everything before.
    send: Option<SyncSender<J>>,
    thread: Option<ScopedJoinHandle<'s, Result<(), StoreError>>>,
}

impl<'s, J: Send + 's> Stage<'s, J> {
    /// Starts the thread, which runs `work` until the stage is dropped.
    pub(super) fn start(
        scope: &'s Scope<'s, '_>,
        name: &str,
        work: impl FnOnce(Receiver<J>) -> Result<(), StoreError> + Send + 's,
    ) -> Stage<'s, J> {
        let (send, receive) = sync_channel(0);
        let thread = std::thread::Builder::new().name(name.to_owned());
        let thread = thread.spawn_scoped(scope, move || work(receive));
        let thread = thread.expect("the computer gives a store its threads");
        Stage { send: Some(send), thread: Some(thread) }
    }

    /// Gives the thread something to do, once it is done with everything before.
    ///
    /// # Errors
    ///
    /// Why it ended; told once.
    pub(super) fn send(&mut self, job: J) -> Result<(), StoreError> {
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
