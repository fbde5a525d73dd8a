//! The cluster log in etcd, written by a thread of its own: nobody waits for a line.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;

use rehome_cluster::{LogEntry, NodeName};
use serde_json::Value;

use crate::gateway::Gateway;
use crate::keys::Keys;
use crate::records::{delete_up_to, get_all, put};

/// So many lines wait at most; what is more is lost.
const WAITING_MAX: usize = 1_024;

/// So many lines go into one transaction; etcd takes 128.
const LINES_AT_ONCE: usize = 64;

/// Lines of a node that are kept.
const LINES_KEPT: usize = 1_000;

/// After so many lines old ones are deleted.
const TRIM_EVERY: usize = 200;

/// The end at which lines come in.
pub(super) struct LogWriter {
    lines: Option<SyncSender<LogEntry>>,
}

impl LogWriter {
    pub(super) fn new(gateway: Arc<Gateway>, keys: Keys) -> Self {
        let (lines, received) = sync_channel(WAITING_MAX);
        let write = move || write_all(&gateway, &keys, &received);
        let started = thread::Builder::new().name("etcd-log".to_owned()).spawn(write);
        Self { lines: started.ok().map(|_| lines) }
    }

    pub(super) fn write(&self, entry: &LogEntry) {
        if let Some(lines) = &self.lines {
            // Losing a line never stops anything.
            let _lost = lines.try_send(entry.clone());
        }
    }
}

fn write_all(gateway: &Gateway, keys: &Keys, lines: &Receiver<LogEntry>) {
    let (mut number, mut trimmed) = (0, 0);
    while let Ok(first) = lines.recv() {
        let node = first.node.clone();
        let mut puts = Vec::new();
        for entry in std::iter::once(first).chain(lines.try_iter().take(LINES_AT_ONCE - 1)) {
            number += 1;
            puts.extend(line(keys, &entry, number));
        }
        // A line that cannot be written is lost; the next may get through.
        let _lost = gateway.txn(&[], &puts, &[]);
        if number - trimmed >= TRIM_EVERY {
            trimmed = number;
            trim(gateway, keys, &node);
        }
    }
}

/// The line under a key that sorts by time.
fn line(keys: &Keys, entry: &LogEntry, number: usize) -> Option<Value> {
    let at = format!("{}{:020}-{number:08}", keys.log(&entry.node), entry.wall_us);
    Some(put(&at, &serde_json::to_vec(entry).ok()?))
}

/// Deletes the oldest lines of a node.
fn trim(gateway: &Gateway, keys: &Keys, node: &NodeName) {
    let prefix = keys.log(node);
    let Ok(txn) = gateway.txn(&[], &[get_all(&prefix)], &[]) else { return };
    let lines: Vec<_> = txn.records().collect();
    let Some(oldest) = lines.len().checked_sub(LINES_KEPT).and_then(|at| lines.get(at)) else {
        return;
    };
    // What is not deleted now is deleted the next time.
    let _later = gateway.txn(&[], &[delete_up_to(&prefix, &oldest.key)], &[]);
}
