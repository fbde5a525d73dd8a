//! The shared disk with the store on it: a lock, an epoch, and a log in parts named by epoch.

use std::collections::BTreeMap;

use super::Layer;

/// A store process, counted over the whole run.
pub(super) type ProcessId = u64;

/// One write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Write {
    pub(super) epoch: u64,
    number: u64,
}

/// What the epoch file says.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Slot {
    epoch: u64,
    token: u64,
    /// Who wrote it.
    process: ProcessId,
}

/// How much of each part was read, by epoch.
pub(super) type Read = BTreeMap<u64, usize>;

#[derive(Debug, Default)]
struct Part {
    /// Whether it counts: before, there is only its name.
    begun: bool,
    writes: Vec<u64>,
    /// How much of it the next owner read; what lands later lands where nobody reads.
    sealed: Option<usize>,
}

/// The disk.
#[derive(Debug, Default)]
pub(super) struct Disk {
    without: Option<Layer>,
    slot: Slot,
    /// Who has the lock, and when it comes free though nobody gives it up.
    lock: Option<(ProcessId, u64)>,
    parts: BTreeMap<u64, Part>,
    /// Writes on their way: when they land.
    on_the_way: Vec<(u64, Write)>,
    acknowledged: Vec<Write>,
    last_number: u64,
    openings: u64,
}

impl Disk {
    pub(super) fn new(without: Option<Layer>) -> Self {
        Self { without, ..Self::default() }
    }

    /// What lands by now has landed.
    pub(super) fn step(&mut self, now_ms: u64) {
        let parts = &mut self.parts;
        self.on_the_way.retain(|&(at_ms, write)| {
            if at_ms <= now_ms {
                parts.entry(write.epoch).or_default().writes.push(write.number);
            }
            at_ms > now_ms
        });
        if self.lock.is_some_and(|(_, free_ms)| free_ms <= now_ms) {
            self.lock = None;
        }
    }

    /// Takes the lock; whether the caller has it now.
    pub(super) fn lock(&mut self, process: ProcessId) -> bool {
        if self.without == Some(Layer::Lock) {
            return true;
        }
        let (holder, _) = *self.lock.get_or_insert((process, u64::MAX));
        holder == process
    }

    /// The lock of a process comes free at `at_ms`: it ended, or the server gives it up.
    pub(super) fn free_lock(&mut self, process: ProcessId, at_ms: u64) {
        if let Some((holder, free_ms)) = &mut self.lock
            && *holder == process
        {
            *free_ms = at_ms.min(*free_ms);
        }
    }

    /// The epoch that an opening with `token` takes: a higher one than the newest, also of the
    /// log; none if it was opened under a later token.
    pub(super) fn next_epoch(&mut self, token: u64) -> Option<u64> {
        self.openings += 1;
        if self.without == Some(Layer::Seal) {
            // One log for all: the number only tells the openings apart.
            return Some(self.openings);
        }
        let of_log = self.parts.last_key_value().map_or(0, |(&newest, _)| newest);
        (token >= self.slot.token).then(|| token.max(self.slot.epoch.max(of_log) + 1))
    }

    /// Whoever read the epoch file long ago writes over what came since.
    pub(super) fn write_epoch(&mut self, epoch: u64, token: u64, process: ProcessId) {
        self.slot = Slot { epoch, token, process };
    }

    /// Whether the epoch file says what `process` wrote, as it finds when it reads it again.
    pub(super) fn verify(&self, epoch: u64, process: ProcessId) -> bool {
        let mine = self.slot.epoch == epoch && self.slot.process == process;
        self.without == Some(Layer::Seal) || mine
    }

    /// Whether there is a part of `epoch` or a later one.
    fn is_stale(&self, epoch: u64) -> bool {
        self.without != Some(Layer::Seal) && self.parts.range(epoch..).next().is_some()
    }

    /// Reads what earlier owners wrote; none if `epoch` is over.
    pub(super) fn read(&self, epoch: u64) -> Option<Read> {
        let begun = self.parts.iter().filter(|(_, part)| part.begun);
        let read = || begun.map(|(&epoch, part)| (epoch, part.writes.len())).collect();
        (!self.is_stale(epoch)).then(read)
    }

    /// Makes the name of a part, which does not count yet; whether that was possible.
    pub(super) fn name(&mut self, epoch: u64) -> bool {
        let free = !self.parts.contains_key(&epoch);
        self.parts.entry(epoch).or_default();
        free
    }

    /// Looks again after that: whether nobody else has come. If somebody has, the name goes.
    pub(super) fn is_alone(&mut self, epoch: u64, process: ProcessId) -> bool {
        let alone = !self.is_stale(epoch + 1) && self.verify(epoch, process);
        if !alone {
            self.parts.remove(&epoch);
        }
        alone
    }

    /// The part counts now, and says how much of the earlier ones does.
    pub(super) fn begin(&mut self, epoch: u64, read: &Read) {
        for (older, part) in self.parts.range_mut(..epoch) {
            part.sealed.get_or_insert(read.get(older).copied().unwrap_or(0));
        }
        self.parts.entry(epoch).or_default().begun = true;
    }

    /// Sends a write that lands at `at_ms`.
    pub(super) fn append(&mut self, at_ms: u64, epoch: u64) -> Write {
        self.last_number += 1;
        let write = Write { epoch, number: self.last_number };
        self.on_the_way.push((at_ms, write));
        write
    }

    pub(super) fn landed(&self, write: Write) -> bool {
        !self.on_the_way.iter().any(|&(_, other)| other == write)
    }

    /// The writer says that the write is durable.
    pub(super) fn acknowledge(&mut self, write: Write) {
        self.acknowledged.push(write);
    }

    pub(super) fn acknowledged(&self) -> u64 {
        self.acknowledged.len() as u64
    }

    /// Writes that were acknowledged and that no reader of the log finds.
    pub(super) fn lost(&self) -> Vec<Write> {
        let found = |write: &&Write| {
            let Some(part) = self.parts.get(&write.epoch) else { return false };
            let read = part.sealed.unwrap_or(part.writes.len());
            part.writes[..read].contains(&write.number)
        };
        self.acknowledged.iter().filter(|write| !found(write)).copied().collect()
    }
}
