//! Delivers into a mailbox at a steady rate, wherever it lives.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use rehome::parts::store::{FolderName, MailboxName, Store, StoreError};

use super::Site;
use crate::bench::stores::{Place, message, told};

/// Pause after a refusal, before the directory is asked again.
const AGAIN: Duration = Duration::from_micros(200);

pub(super) struct Writer<'a> {
    pub(super) site: &'a Site,
    pub(super) mailbox: &'a MailboxName,
    /// Time from one message to the next.
    pub(super) every: Duration,
    pub(super) message_bytes: usize,
}

/// What it has delivered; all of it was acknowledged.
pub(super) struct Written {
    /// From when each message was due to when it was durable.
    pub(super) times_ms: Vec<f64>,
    /// Calls that were refused and made again.
    pub(super) refused: u64,
}

impl Writer<'_> {
    /// Delivers messages with numbers from `first` on until it is over. A message that is refused
    /// goes to the mailbox's new home; those that were due meanwhile follow at once.
    pub(super) fn run(&self, first: u64, over: &AtomicBool) -> Result<Written, String> {
        let mut written = Written { times_ms: Vec::new(), refused: 0 };
        let (begun, mut places) = (Instant::now(), [None; 2]);
        for (count, number) in (0_u32..).zip(first..) {
            let due = begun + self.every * count;
            std::thread::sleep(due.saturating_duration_since(Instant::now()));
            if over.load(Ordering::Relaxed) {
                break;
            }
            while !self.deliver(number, &mut places)? {
                written.refused += 1;
                std::thread::sleep(AGAIN);
            }
            written.times_ms.push(due.elapsed().as_secs_f64() * 1000.0);
        }
        Ok(written)
    }

    /// Delivers to the home that the directory names; false if that takes no writes now.
    fn deliver(&self, number: u64, places: &mut [Option<Place>; 2]) -> Result<bool, String> {
        let home = self.site.home(self.mailbox);
        let store = &self.site.stores[home];
        let place = match places[home] {
            Some(place) => place,
            None => *places[home].insert(self.place(store)?),
        };
        match store.deliver(&[place], message(number, self.message_bytes)) {
            Ok(_) => Ok(true),
            // Nothing of it is stored.
            Err(StoreError::NotActive { .. }) => Ok(false),
            Err(error) => Err(told(error)),
        }
    }

    fn place(&self, store: &Store) -> Result<Place, String> {
        let info = store.mailbox(self.mailbox).map_err(told)?;
        let info = info.ok_or_else(|| format!("{} is not at its home", self.mailbox))?;
        let inbox = store.folder(info.id, &FolderName::inbox()).map_err(told)?;
        Ok((info.id, inbox.ok_or("a mailbox has an inbox")?.id))
    }
}
