//! A stream that says when something has changed. It saves time, and nothing rests on it.

use std::io::{BufRead as _, BufReader};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use rehome_cluster::Wake;
use serde_json::Value;

use crate::gateway::Gateway;
use crate::records;

/// A stream is opened anew after this long without a word: it may be dead, and nobody would say.
const SILENCE: Duration = Duration::from_secs(5);

/// Between two attempts to open it.
const PAUSE: Duration = Duration::from_millis(100);

/// A watch that ends when this is dropped; its thread ends at the next word or silence.
pub(crate) struct Watching {
    ended: Arc<AtomicBool>,
}

impl Drop for Watching {
    fn drop(&mut self) {
        self.ended.store(true, Ordering::Relaxed);
    }
}

/// Calls `wake` whenever a key that begins with `prefix` changes.
pub(crate) fn begin(gateway: Arc<Gateway>, prefix: &str, wake: Wake) -> Option<Watching> {
    let ended = Arc::new(AtomicBool::new(false));
    let (over, request) = (ended.clone(), records::watch(prefix));
    let watch = move || {
        while !over.load(Ordering::Relaxed) {
            if listen(&gateway, &request, &wake, &over).is_none() {
                thread::sleep(PAUSE);
            }
        }
    };
    let started = thread::Builder::new().name("etcd-watch".to_owned()).spawn(watch);
    started.ok().map(|_| Watching { ended })
}

/// Listens to one stream to its end; `None` if there was none.
fn listen(gateway: &Gateway, request: &Value, wake: &Wake, over: &AtomicBool) -> Option<()> {
    let stream = gateway.stream("/v3/watch", request, SILENCE).ok()?;
    for line in BufReader::new(stream).lines() {
        let Ok(line) = line else { break };
        if over.load(Ordering::Relaxed) {
            break;
        }
        // Any word counts, that the watch was made too: what changed before is seen then.
        if !line.trim().is_empty() {
            wake();
        }
    }
    Some(())
}
