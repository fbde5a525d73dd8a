//! The thread on which the client of a bucket works, so that the rest of the crate may wait.

use std::future::Future;
use std::io;
use std::sync::mpsc::{Receiver, channel};
use std::thread::JoinHandle;

use tokio::runtime::{Builder, Handle};
use tokio::sync::oneshot;

/// A runtime of one thread. Work goes on while nobody waits for it, and ends with the worker.
pub(super) struct Worker {
    handle: Handle,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

/// Work that was begun.
pub(super) struct Job<T>(Receiver<T>);

impl Worker {
    pub(super) fn start() -> io::Result<Worker> {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let handle = runtime.handle().clone();
        let (stop, stopped) = oneshot::channel();
        let thread = std::thread::Builder::new().name("s3".to_owned());
        let thread = thread.spawn(move || {
            // An error says that the worker was dropped: that is the signal.
            _ = runtime.block_on(stopped);
        })?;
        Ok(Worker { handle, stop: Some(stop), thread: Some(thread) })
    }

    /// Begins `work`.
    pub(super) fn begin<T: Send + 'static>(
        &self,
        work: impl Future<Output = T> + Send + 'static,
    ) -> Job<T> {
        let (done, job) = channel();
        self.handle.spawn(async move {
            // Nobody may wait for it any more.
            _ = done.send(work.await);
        });
        Job(job)
    }

    /// Does `work` and waits for it.
    pub(super) fn run<T: Send + 'static>(
        &self,
        work: impl Future<Output = T> + Send + 'static,
    ) -> io::Result<T> {
        self.begin(work).wait()
    }
}

impl<T> Job<T> {
    /// Waits until it is done.
    pub(super) fn wait(self) -> io::Result<T> {
        let ended = |_| io::Error::other("the worker of the target ended before its work");
        self.0.recv().map_err(ended)
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            // A panic there has shown itself to whoever waited.
            _ = thread.join();
        }
    }
}
