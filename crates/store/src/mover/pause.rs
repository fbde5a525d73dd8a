//! Pausing a move while something else needs the machine.

use std::fmt;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use super::error::MoveError;
use super::job::Mover;
use super::report::MoveEvent;

/// Says when a move must rest. It is asked often: an answer should cost little.
pub trait Pause: Send + Sync {
    /// Why the move must rest now, such as `load 5.2 > 4`; `None` if it may go on.
    fn reason(&self) -> Option<String>;

    /// Waits until it is worth asking again. The observer is told after each wait, so that the move
    /// can be stopped.
    fn wait(&self) {
        thread::sleep(Duration::from_millis(500));
    }
}

/// A [`Pause`] that a job and its copies share.
#[derive(Clone)]
pub struct PauseWhen(Arc<dyn Pause>);

impl PauseWhen {
    /// Lets `pause` say when to rest.
    #[must_use]
    pub fn new(pause: impl Pause + 'static) -> PauseWhen {
        PauseWhen(Arc::new(pause))
    }

    /// Whether the move must rest now.
    pub(super) fn holds(&self) -> bool {
        self.0.reason().is_some()
    }
}

impl fmt::Debug for PauseWhen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("PauseWhen").finish_non_exhaustive()
    }
}

impl PartialEq for PauseWhen {
    fn eq(&self, other: &PauseWhen) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl Eq for PauseWhen {}

impl Mover<'_> {
    /// Waits as long as the job must rest. No mailbox is fenced and no stream is open meanwhile.
    pub(super) fn rest(&mut self) -> Result<(), MoveError> {
        let Some(PauseWhen(pause)) = self.job.pause.clone() else { return Ok(()) };
        let mut rested = false;
        while let Some(reason) = pause.reason() {
            self.tell(MoveEvent::Paused { reason })?;
            rested = true;
            pause.wait();
        }
        if rested { self.tell(MoveEvent::Resumed) } else { Ok(()) }
    }
}
