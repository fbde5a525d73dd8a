//! A thread that publishes the newest status: the node's loop does not wait for it.

use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::{self, JoinHandle};

use crate::coordinator::Coordinator;
use crate::status::NodeStatus;

/// What is to be published next, and whether it is the last.
#[derive(Default)]
struct Slot {
    newest: Option<NodeStatus>,
    ended: bool,
}

/// The end at which statuses come in; what is in when it is dropped is published still.
pub(super) struct Publisher {
    shared: Arc<(Mutex<Slot>, Condvar)>,
    thread: Option<JoinHandle<()>>,
}

impl Publisher {
    /// Starts the thread; without one nothing is published, and the node serves all the same.
    pub(super) fn start(coordinator: Arc<dyn Coordinator>) -> Self {
        let shared: Arc<(Mutex<Slot>, Condvar)> = Arc::default();
        let own = shared.clone();
        let publish = move || {
            while let Some(status) = next(&own) {
                // Observers miss a status that cannot be written; the next says the same and more.
                drop(coordinator.publish(&status));
            }
        };
        let thread = thread::Builder::new().name("publish".to_owned()).spawn(publish).ok();
        Self { shared, thread }
    }

    /// Takes the place of what has not been published yet.
    pub(super) fn publish(&self, status: NodeStatus) {
        let (slot, changed) = &*self.shared;
        slot.lock().unwrap_or_else(PoisonError::into_inner).newest = Some(status);
        changed.notify_one();
    }
}

/// Waits for the next status; `None` at the end.
fn next((slot, changed): &(Mutex<Slot>, Condvar)) -> Option<NodeStatus> {
    let slot = slot.lock().unwrap_or_else(PoisonError::into_inner);
    let idle = |slot: &mut Slot| slot.newest.is_none() && !slot.ended;
    let mut slot = changed.wait_while(slot, idle).unwrap_or_else(PoisonError::into_inner);
    slot.newest.take()
}

impl Drop for Publisher {
    fn drop(&mut self) {
        let (slot, changed) = &*self.shared;
        slot.lock().unwrap_or_else(PoisonError::into_inner).ended = true;
        changed.notify_one();
        if let Some(thread) = self.thread.take() {
            drop(thread.join());
        }
    }
}
