//! Which files of segments may go, and when.

use std::collections::{BTreeSet, VecDeque};
use std::io;
use std::sync::{Arc, Mutex, MutexGuard};

use rehome_log::{Disk, Lsn, OpenMode};

use super::CompactReport;
use crate::engine::Shared;
use crate::error::{StoreError, doing};
use crate::lock::lock;
use crate::segment::{self, file_name};

/// What compaction remembers of one opening of a store.
pub(crate) struct Compactor {
    /// Held by the one that works.
    alone: Mutex<()>,
    /// The first number of a segment made by this opening.
    first_segment: u32,
    state: Mutex<State>,
}

/// Segments, each with the bytes of its records.
type Files = Vec<(u32, u64)>;

struct State {
    /// Views of the catalog hold a clone of this while they last.
    current: Arc<()>,
    /// Segments without use, each batch with what the views hold that may read it, oldest first.
    waiting: VecDeque<(Arc<()>, Files)>,
    /// Moments, in milliseconds of the monotonic clock, and what was acknowledged then.
    marks: VecDeque<(u64, Lsn)>,
    /// Contents without messages since this group or before are free.
    free_below: Lsn,
}

impl Compactor {
    /// Of a catalog that holds everything up to `opened`: no transfer counts on what was dead then.
    pub(crate) fn new(first_segment: u32, opened: Lsn) -> Compactor {
        let state = State {
            current: Arc::default(),
            waiting: VecDeque::new(),
            marks: VecDeque::new(),
            free_below: opened,
        };
        Compactor { alone: Mutex::default(), first_segment, state: Mutex::new(state) }
    }

    /// What keeps the files that a view of the catalog names which is made after this call.
    pub(crate) fn pin(&self) -> Arc<()> {
        Arc::clone(&lock(&self.state).current)
    }

    pub(super) fn alone(&self) -> MutexGuard<'_, ()> {
        lock(&self.alone)
    }

    /// Whether the segment takes no more records.
    pub(super) fn is_closed(&self, id: u32, sealed: bool) -> bool {
        sealed || id < self.first_segment
    }

    /// Contents without messages since this group or before are free.
    pub(crate) fn free_below(&self) -> Lsn {
        lock(&self.state).free_below
    }

    /// Notes the moment, and lets go what has been dead for the time of grace.
    pub(super) fn mark(&self, shared: &Shared) {
        let acknowledged = shared.progress.acknowledged();
        let now = shared.clock.monotonic_ms();
        let grace_ms = shared.options.grace_seconds.saturating_mul(1000);
        let mut state = lock(&self.state);
        state.marks.push_back((now, acknowledged));
        while let Some((at, lsn)) = state.marks.front().copied() {
            if at.saturating_add(grace_ms) > now {
                break;
            }
            state.free_below = state.free_below.max(lsn);
            state.marks.pop_front();
        }
        // A mark a minute is enough.
        let len = state.marks.len();
        if len > 2 && state.marks[len - 1].0 - state.marks[len - 3].0 < 60_000 {
            state.marks.remove(len - 2);
        }
    }

    /// Nothing lies in `segments` any more, and the catalog says so.
    pub(super) fn retire(&self, segments: Files) {
        let mut state = lock(&self.state);
        let readers = std::mem::take(&mut state.current);
        state.waiting.push_back((readers, segments));
    }

    /// Files without use that are still there.
    pub(super) fn waiting(&self) -> u64 {
        lock(&self.state).waiting.iter().map(|(_, segments)| segments.len() as u64).sum()
    }

    /// Bytes of these.
    pub(crate) fn waiting_bytes(&self) -> u64 {
        let state = lock(&self.state);
        state.waiting.iter().flat_map(|(_, segments)| segments).map(|(_, bytes)| bytes).sum()
    }

    /// Removes the files that no view can name.
    pub(super) fn remove_files(
        &self,
        shared: &Shared,
        report: &mut CompactReport,
    ) -> Result<(), StoreError> {
        loop {
            let free = {
                let mut state = lock(&self.state);
                match state.waiting.front() {
                    Some((readers, _)) if Arc::strong_count(readers) == 1 => {
                        state.waiting.pop_front().map(|(_, segments)| segments)
                    }
                    _ => None,
                }
            };
            let Some(free) = free else { return Ok(()) };
            for (segment, _) in free {
                remove(shared, segment, report)?;
            }
        }
    }

    /// Removes the files of earlier openings that nothing refers to.
    pub(super) fn remove_orphans(
        &self,
        shared: &Shared,
        used: &BTreeSet<u32>,
        report: &mut CompactReport,
    ) -> Result<(), StoreError> {
        let waiting: BTreeSet<u32> = {
            let state = lock(&self.state);
            state.waiting.iter().flat_map(|(_, segments)| segments).map(|(id, _)| *id).collect()
        };
        for segment in segment::numbers(&*shared.disk)? {
            let ours = segment >= self.first_segment || shared.segment_numbers.is_private(segment);
            if !ours && !used.contains(&segment) && !waiting.contains(&segment) {
                remove(shared, segment, report)?;
            }
        }
        Ok(())
    }
}

fn remove(shared: &Shared, segment: u32, report: &mut CompactReport) -> Result<(), StoreError> {
    let name = file_name(segment);
    shared.segments.forget(segment);
    let bytes = file_bytes(&*shared.disk, segment);
    match shared.disk.remove(&name) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            // Room that is not given back now is found without use at the next opening.
            Err(doing(format!("removing {name}"))(error))
        }
        Err(_) => Ok(()),
        Ok(()) => {
            report.bytes_freed += bytes;
            Ok(())
        }
    }
}

fn file_bytes(disk: &dyn Disk, segment: u32) -> u64 {
    let Ok(file) = disk.open(&file_name(segment), OpenMode::Read) else { return 0 };
    let len = disk.len(file).unwrap_or(0);
    disk.close(file);
    len
}
