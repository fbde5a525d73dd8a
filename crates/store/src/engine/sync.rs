//! A standing thread that syncs a segment while the committer syncs the log.

use std::io;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::JoinHandle;

use rehome_log::{Disk, SyncKind};

use crate::segment::OpenFile;

/// The thread; it ends when this is dropped.
pub(super) struct Syncer {
    send: Option<SyncSender<Arc<OpenFile>>>,
    done: Receiver<io::Result<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Syncer {
    pub(super) fn start(disk: Arc<dyn Disk>) -> Syncer {
        let (send, receive) = sync_channel::<Arc<OpenFile>>(1);
        let (report, done) = sync_channel(1);
        let thread = super::spawn("store-sync", move || {
            for file in receive {
                if report.send(disk.sync(file.id, SyncKind::Data)).is_err() {
                    break;
                }
            }
        });
        Syncer { send: Some(send), done, thread: Some(thread) }
    }

    /// Syncs `file` while `beside` is done; returns both outcomes.
    pub(super) fn sync_beside<T>(
        &self,
        file: Option<Arc<OpenFile>>,
        beside: impl FnOnce() -> T,
    ) -> (io::Result<()>, T) {
        let sent = match (file, &self.send) {
            (Some(file), Some(send)) => Some(send.send(file)),
            _ => None,
        };
        let other = beside();
        let ended = || io::Error::other("the thread that syncs segments has ended");
        let synced = match sent {
            None => Ok(()),
            Some(Err(_)) => Err(ended()),
            Some(Ok(())) => self.done.recv().unwrap_or_else(|_| Err(ended())),
        };
        (synced, other)
    }
}

impl Drop for Syncer {
    fn drop(&mut self) {
        self.send = None;
        if let Some(thread) = self.thread.take() {
            drop(thread.join());
        }
    }
}
