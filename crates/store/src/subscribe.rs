//! Following what changes: every durable group's changes, in order, none twice, none left out.

mod event;
mod feed;

pub use event::{ChangeEvent, ChangeKind};
pub(crate) use feed::Feed;

use std::collections::VecDeque;
use std::sync::{Arc, Weak};
use std::time::Duration;

use rehome_log::{LogError, Lsn, Pin, Record, Visit};

pub(crate) use self::event::events;
use crate::engine::{Engine, Shared};
use crate::error::StoreError;
use crate::op::Group;

/// Events read from the log at once, at most, but for a single larger group.
const READ_EVENTS: usize = 4_096;
/// How long the iterator waits before it looks again whether the store is closed.
const LOOK_AGAIN: Duration = Duration::from_secs(3_600);

/// The changes of a store after a group of its log.
///
/// Whoever keeps up is served from memory, whoever does not from the log, which is kept from there
/// on as long as the subscription lasts. Writers never wait for it. It is no handle of the store:
/// when that is closed, it ends with [`StoreError::Closed`] after what is in memory.
pub struct Subscription {
    engine: Weak<Engine>,
    feed: Arc<Feed>,
    /// The last group read.
    last: Lsn,
    /// Where to read the log on, at or below the next group.
    from: Lsn,
    pin: Pin,
    events: VecDeque<ChangeEvent>,
}

impl std::fmt::Debug for Subscription {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Subscription").field("last", &self.last).finish_non_exhaustive()
    }
}

impl Subscription {
    pub(crate) fn begin(engine: &Arc<Engine>, since: Lsn) -> Result<Subscription, StoreError> {
        let shared = engine.shared()?;
        let feed = Arc::clone(&shared.feed);
        feed.join();
        let pin = shared.log.pin_for(since, "subscriber");
        let (first, acknowledged) = (shared.log.first(), shared.progress.acknowledged());
        let whole = since == Lsn::ZERO && first.generation() <= 1;
        let subscription = Subscription {
            engine: Arc::downgrade(engine),
            feed,
            last: since,
            from: since.max(first),
            pin,
            events: VecDeque::new(),
        };
        if since >= first || since == acknowledged || whole {
            return Ok(subscription);
        }
        Err(StoreError::NamesGap { since, first })
    }

    /// The last group of which everything was handed out.
    #[must_use]
    pub fn lsn(&self) -> Lsn {
        self.events.front().map_or(self.last, |event| event.after)
    }

    /// The next change; none if there is none for the time of `timeout`.
    ///
    /// # Errors
    ///
    /// [`StoreError::Closed`] when the store is closed, and what keeps the log from being read.
    pub fn next_event(&mut self, timeout: Duration) -> Result<Option<ChangeEvent>, StoreError> {
        loop {
            if let Some(event) = self.events.pop_front() {
                return Ok(Some(event));
            }
            if !self.feed.wait_beyond(self.last, timeout)? {
                return Ok(None);
            }
            self.fill()?;
        }
    }

    /// Takes the next groups from memory, or reads them.
    fn fill(&mut self) -> Result<(), StoreError> {
        let shared = self.engine.upgrade().ok_or(StoreError::Closed).and_then(|e| e.shared());
        match (self.feed.after(self.last), &shared) {
            (Some(groups), _) => {
                for (lsn, events) in groups {
                    self.events.extend(events);
                    (self.last, self.from) = (lsn, lsn);
                }
            }
            (None, Ok(shared)) => self.read(shared)?,
            (None, Err(_)) => return Err(StoreError::Closed),
        }
        if let Ok(shared) = shared {
            self.pin = shared.log.pin_for(self.from, "subscriber");
        }
        Ok(())
    }

    fn read(&mut self, shared: &Shared) -> Result<(), StoreError> {
        let acknowledged = shared.progress.acknowledged();
        let mut bad = None;
        let begin = self.from;
        let (last, from, found) = (&mut self.last, &mut self.from, &mut self.events);
        let mut visit = |record: Record<'_>| {
            if record.lsn <= *last {
                return Visit::Accept;
            }
            if record.lsn > acknowledged || found.len() >= READ_EVENTS {
                return Visit::CutHere;
            }
            match Group::decode(record.payload) {
                Ok(group) => {
                    found.extend(events(*last, record.lsn, record.wall_us, &group));
                    (*last, *from) = (record.lsn, record.lsn);
                    Visit::Accept
                }
                Err(cause) => {
                    bad = Some((record.lsn, cause.clone()));
                    Visit::Stop(cause)
                }
            }
        };
        let read = shared.log.read_from(begin, &mut visit);
        if let Some((lsn, cause)) = bad {
            let place = format!("record {lsn} of the log");
            let remedy = "open the store with the program that wrote it";
            return Err(StoreError::Damaged { place, cause, remedy });
        }
        match read {
            Err(LogError::Gap { .. }) => {
                Err(StoreError::NamesGap { since: self.last, first: shared.log.first() })
            }
            other => other.map(|_| ()).map_err(StoreError::from),
        }
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        self.feed.leave();
    }
}

/// Waits for each change until the store is closed.
impl Iterator for Subscription {
    type Item = Result<ChangeEvent, StoreError>;

    fn next(&mut self) -> Option<Result<ChangeEvent, StoreError>> {
        loop {
            match self.next_event(LOOK_AGAIN) {
                Ok(None) => {}
                Ok(Some(event)) => return Some(Ok(event)),
                Err(StoreError::Closed) => return None,
                Err(error) => return Some(Err(error)),
            }
        }
    }
}
