//! A process that a machine runs for the group, and what a store does step by step.

use rehome_log::SplitMix64;

use super::disk::{Disk, ProcessId, Read, Write};
use super::{LEASE_MS, Layer};
use crate::policy::Report;

/// How far a store is.
#[derive(Debug, Clone)]
enum Stage {
    Locking { until_ms: u64 },
    TakingEpoch,
    WritingEpoch(u64),
    Reading(u64),
    Naming(u64, Read),
    LookingAgain(u64, Read),
    Beginning(u64, Read),
    Serving(u64),
    Failed,
}

/// A store process. It does one thing in a step, and a pause may come between any two.
#[derive(Debug)]
struct Store {
    token: u64,
    stage: Stage,
    write: Option<Write>,
    next_write_ms: u64,
}

/// A process.
#[derive(Debug)]
pub(super) struct Child {
    pub(super) id: ProcessId,
    /// Which run of the node's program started it.
    pub(super) life: u64,
    pub(super) resource: usize,
    pub(super) run: u64,
    /// Until when it may act, by the clock of its machine.
    pub(super) until_ms: u64,
    /// Its node is gone: when it notices, by the world's clock.
    pub(super) dies_ms: u64,
    store: Option<Store>,
}

/// What a process sees of its surroundings in a step.
pub(super) struct Around<'a> {
    pub(super) world_ms: u64,
    pub(super) clock_ms: u64,
    /// When what it sends to the disk now can arrive.
    pub(super) reaches_ms: u64,
    pub(super) without: Option<Layer>,
    pub(super) disk: &'a mut Disk,
    pub(super) random: &'a mut SplitMix64,
}

impl Around<'_> {
    fn may_act(&self, until_ms: u64) -> bool {
        self.without == Some(Layer::Deadline) || self.clock_ms < until_ms
    }
}

impl Child {
    pub(super) fn plain(id: ProcessId, life: u64, resource: usize, run: u64, until: u64) -> Self {
        Self { id, life, resource, run, until_ms: until, dies_ms: u64::MAX, store: None }
    }

    /// Makes it a store that opens with `token`.
    pub(super) fn with_store(mut self, token: u64, clock_ms: u64) -> Self {
        let stage = Stage::Locking { until_ms: clock_ms + 2 * LEASE_MS };
        self.store = Some(Store { token, stage, write: None, next_write_ms: 0 });
        self
    }

    /// Whether it answers clients without asking the disk.
    pub(super) fn is_plain(&self) -> bool {
        self.store.is_none()
    }

    /// Whether it has the store open.
    pub(super) fn is_open(&self) -> bool {
        let closed = |store: &Store| matches!(store.stage, Stage::Locking { .. } | Stage::Failed);
        self.store.as_ref().is_some_and(|store| !closed(store))
    }

    /// Does one thing, and says what its node hears of it.
    pub(super) fn step(&mut self, around: &mut Around<'_>) -> Option<Report> {
        let (id, until_ms) = (self.id, self.until_ms);
        let store = self.store.as_mut()?;
        if around.reaches_ms > around.world_ms && !matches!(store.stage, Stage::Serving(_)) {
            return None;
        }
        let disk = &mut *around.disk;
        let next = match &store.stage {
            Stage::Locking { .. } if disk.lock(id) => Some(Stage::TakingEpoch),
            Stage::Locking { until_ms } => {
                if around.clock_ms < *until_ms {
                    return None;
                }
                store.stage = Stage::Failed;
                return Some(Report::Refused("the store is open elsewhere".to_owned()));
            }
            Stage::TakingEpoch => disk.next_epoch(store.token).map(Stage::WritingEpoch),
            Stage::WritingEpoch(epoch) => {
                disk.write_epoch(*epoch, store.token, id);
                Some(Stage::Reading(*epoch))
            }
            Stage::Reading(epoch) if disk.verify(*epoch, id) => {
                disk.read(*epoch).map(|read| Stage::Naming(*epoch, read))
            }
            Stage::Naming(epoch, read) if disk.name(*epoch) => {
                Some(Stage::LookingAgain(*epoch, read.clone()))
            }
            Stage::LookingAgain(epoch, read) if disk.is_alone(*epoch, id) => {
                Some(Stage::Beginning(*epoch, read.clone()))
            }
            Stage::Reading(_) | Stage::Naming(..) | Stage::LookingAgain(..) => None,
            Stage::Beginning(epoch, read) => {
                disk.begin(*epoch, read);
                store.stage = Stage::Serving(*epoch);
                return Some(Report::Online(None));
            }
            Stage::Serving(epoch) => return store.serve(*epoch, until_ms, id, around),
            Stage::Failed => return None,
        };
        match next {
            Some(next) => store.stage = next,
            None => return Some(store.fenced()),
        }
        None
    }
}

impl Store {
    fn fenced(&mut self) -> Report {
        self.stage = Stage::Failed;
        Report::Failed { why: "another owner has the store".to_owned(), gone: true }
    }

    /// Begins a write, or ends one: landed, epoch read again, deadline looked at, acknowledged.
    fn serve(
        &mut self,
        epoch: u64,
        until_ms: u64,
        id: ProcessId,
        around: &mut Around<'_>,
    ) -> Option<Report> {
        match self.write {
            None if around.clock_ms >= self.next_write_ms && around.may_act(until_ms) => {
                let at_ms = around.reaches_ms + around.random.below(30);
                self.write = Some(around.disk.append(at_ms, epoch));
            }
            None => {}
            Some(write) => {
                if around.reaches_ms > around.world_ms || !around.disk.landed(write) {
                    return None;
                }
                if !around.disk.verify(epoch, id) {
                    return Some(self.fenced());
                }
                if around.may_act(until_ms) {
                    around.disk.acknowledge(write);
                }
                self.write = None;
                self.next_write_ms = around.clock_ms + around.random.below(60);
            }
        }
        None
    }
}
