//! The first half of a commit: requests are numbered and written into the page cache.

use std::io;
use std::sync::Arc;

use rehome_log::{LogError, Lsn};

use super::finish::{Written, WrittenGroup, failed};
use super::{Ready, Taken, Turns, refuse};
use crate::engine::Shared;
use crate::engine::ahead::Ahead;
use crate::engine::plan::{Chunk, Draft, Planner};
use crate::engine::request::{Pending, Reply, Request};
use crate::error::StoreError;
use crate::op::Group;
use crate::segment::{self, OpenSegment};

/// Why a group was not written.
enum Failure {
    /// Nothing of it was written; the store goes on.
    Undone(Undone),
    /// Nobody knows what was written; the store stops.
    Fatal(StoreError),
}

/// Why nothing of a group was written.
enum Undone {
    Full { place: String },
    Late { late_ms: u64 },
}

impl Undone {
    fn error(&self) -> StoreError {
        match self {
            Undone::Full { place } => StoreError::DiskFull { place: place.clone() },
            Undone::Late { late_ms } => StoreError::LeaseExpired { late_ms: *late_ms },
        }
    }
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Failure {
        Failure::Fatal(error)
    }
}

/// What numbers and writes groups, one at a time.
pub(super) struct Writer<'s> {
    shared: &'s Arc<Shared>,
    planner: Planner,
    segment: Option<OpenSegment>,
    ahead: Ahead,
}

impl<'s> Writer<'s> {
    pub(super) fn new(shared: &'s Arc<Shared>, planner: Planner) -> Writer<'s> {
        Writer { shared, planner, segment: None, ahead: Ahead::start(shared) }
    }

    /// Writes the requests as one group; those that are refused have their answers then.
    pub(super) fn commit(&mut self, taken: Taken, turns: &Turns) -> Option<Written> {
        let Taken { requests, latch } = taken;
        if let Err(error) = self.shared.check_poison() {
            for pending in requests {
                pending.answer.keep(Err(error.latch()));
            }
            return None;
        }
        let (rolls, requests): (Vec<Pending>, Vec<Pending>) =
            requests.into_iter().partition(|pending| matches!(pending.request, Request::RollLog));
        if !rolls.is_empty() {
            self.roll(rolls, turns);
        }
        self.look_ahead();
        let mut draft = Draft::default();
        let answers = self.plan(requests, &mut draft);
        if draft.ops.is_empty() {
            if answers.is_empty() {
                return None;
            }
            return Some(Written { turn: turns.give(), answers, latch, group: None });
        }
        match self.write(draft, turns) {
            Ok(group) => Some(Written { turn: turns.give(), answers, latch, group: Some(group) }),
            Err(Failure::Undone(undone)) => {
                refuse(answers, || undone.error());
                None
            }
            Err(Failure::Fatal(error)) => {
                let error = self.shared.fail(&error);
                refuse(answers, || error.latch());
                None
            }
        }
    }

    /// Has made ready what is needed soon.
    fn look_ahead(&mut self) {
        self.ahead.prepare_log(self.shared);
        if let Some(ready) = self.ahead.ready() {
            self.planner.prepared_segment = Some(ready);
        }
        let half = self.shared.options.segment_bytes / 2;
        if self.segment.as_ref().is_some_and(|segment| segment.end > half)
            && self.ahead.lacks_segment()
        {
            self.ahead.make_segment(self.shared);
        }
    }

    /// Numbers the requests; those that are refused have their answers then.
    fn plan(&mut self, requests: Vec<Pending>, draft: &mut Draft) -> Vec<Ready> {
        self.planner.begin(self.shared.progress.applied());
        let pressure = self.shared.keeping.pressure(&self.shared.log, &self.shared.options);
        let mut answers = Vec::with_capacity(requests.len());
        for Pending { request, answer: to } in requests {
            if let Some(error) = pressure.refuses(request.brings_mail()) {
                to.keep(Err(error));
                continue;
            }
            match self.planner.plan(self.shared, request, draft) {
                Ok(reply) => answers.push((to, reply)),
                Err(error) => to.keep(Err(error)),
            }
        }
        answers
    }

    /// Ends the generation of the log once everything in it is acknowledged.
    fn roll(&self, rolls: Vec<Pending>, turns: &Turns) {
        let shared = self.shared;
        turns.wait_idle();
        let rolled = shared.check_poison().and_then(|()| {
            if shared.log.generation_is_empty() {
                return Ok(());
            }
            match shared.log.roll() {
                Ok(_) => Ok(()),
                Err(error @ LogError::NoSpace { .. }) => Err(error.into()),
                Err(error) => Err(shared.fail(&error.into())),
            }
        });
        let closed = shared.log.closed_generations();
        let last = closed.last().map_or(Lsn::ZERO, |generation| generation.last);
        if rolled.is_ok() {
            shared.keeping.settle(last);
        }
        for pending in rolls {
            let again = |error: &StoreError| match error {
                StoreError::DiskFull { place } => StoreError::DiskFull { place: place.clone() },
                other => other.latch(),
            };
            pending.answer.keep(rolled.as_ref().map(|()| (Reply::Done, last)).map_err(again));
        }
    }

    /// Ends what it had done ahead.
    pub(super) fn stop(&mut self) {
        self.ahead.stop(self.shared);
    }

    fn write(&mut self, draft: Draft, turns: &Turns) -> Result<WrittenGroup, Failure> {
        let before = self.segment.clone();
        let Draft { ops, chunks, touched, contents } = draft;
        let ranges = chunks.iter().filter_map(Chunk::range).collect();
        let group = Group { ranges, ops };
        let payload = group.encode();
        let lsn = match self.write_both(&chunks, &payload, turns) {
            Ok(lsn) => lsn,
            Err(Failure::Undone(undone)) => {
                self.undo(before, &chunks, turns)?;
                return Err(Failure::Undone(undone));
            }
            Err(fatal) => return Err(fatal),
        };
        // The next group is planned on this one: if it is not acknowledged, neither is that.
        self.planner.committed(lsn, &touched, contents);
        let file = self.segment.as_ref().map(|segment| Arc::clone(&segment.file));
        let segment = file.filter(|_| !chunks.is_empty());
        Ok(WrittenGroup { lsn, group, payload, touched, segment })
    }

    fn write_both(
        &mut self,
        chunks: &[Chunk],
        payload: &[u8],
        turns: &Turns,
    ) -> Result<Lsn, Failure> {
        if let Some(late_ms) = self.shared.options.lease.as_ref().and_then(|l| l.late_ms()) {
            return Err(Failure::Undone(Undone::Late { late_ms }));
        }
        for chunk in chunks {
            self.write_chunk(chunk, turns)?;
        }
        self.shared.log.append(payload).map_err(|error| match error {
            LogError::NoSpace { name, .. } => {
                Failure::Undone(Undone::Full { place: name.to_string() })
            }
            other => Failure::Fatal(StoreError::from(other)),
        })
    }

    fn write_chunk(&mut self, chunk: &Chunk, turns: &Turns) -> Result<(), Failure> {
        let shared = self.shared;
        if self.segment.as_ref().is_none_or(|segment| segment.id != chunk.segment) {
            self.next_segment(chunk.segment, turns)?;
        }
        let Some(segment) = &mut self.segment else { return Ok(()) };
        let written = segment.write(&*shared.disk, chunk.from, &chunk.pieces);
        written.map_err(|error| full_or_fatal(chunk.segment, error))?;
        segment.end = chunk.to;
        for crc in &chunk.crcs {
            segment.crc.add(*crc);
        }
        segment.records += chunk.crcs.len() as u64;
        Ok(())
    }

    /// Ends the segment being written, durably, and begins segment `id`.
    fn next_segment(&mut self, id: u32, turns: &Turns) -> Result<(), Failure> {
        let shared = self.shared;
        if let Some(full) = &self.segment {
            // The disk tells an error once: it must be told to the group it is about.
            turns.wait_idle();
            full.seal(&*shared.disk, &shared.shape).map_err(|e| full_or_fatal(full.id, e))?;
        }
        if let Some(prepared) = self.ahead.take(shared, id) {
            self.segment = Some(prepared);
            return Ok(());
        }
        let (after, wall_us) = (shared.progress.acknowledged(), shared.clock.wall_us());
        let made = segment::create(&shared.disk, &shared.shape, id, after, wall_us);
        self.segment = Some(made.map_err(|error| match error {
            StoreError::Io { source, .. } => full_or_fatal(id, source),
            other => Failure::Fatal(other),
        })?);
        Ok(())
    }

    /// Takes back what a group wrote that found no room, and forgets what it was numbered with.
    fn undo(
        &mut self,
        before: Option<OpenSegment>,
        chunks: &[Chunk],
        turns: &Turns,
    ) -> Result<(), Failure> {
        let shared = self.shared;
        // The group before must not be synced while the segment is cut behind it, and has to be in
        // the catalog before the planner forgets it.
        turns.wait_idle();
        shared.check_poison()?;
        let old = before.as_ref().map(|segment| segment.id);
        self.segment = before;
        self.ahead.discard(shared);
        for chunk in chunks.iter().filter(|chunk| Some(chunk.segment) != old) {
            match shared.disk.remove(&segment::file_name(chunk.segment)) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => {
                    return Err(failed("removing a segment that found no room", error).into());
                }
                _ => {}
            }
        }
        if let (Some(segment), false) = (&self.segment, chunks.is_empty()) {
            let cut = shared.disk.set_len(segment.file.id, segment.end);
            cut.map_err(|error| failed("cutting a segment back", error))?;
        }
        shared.progress.wait_all()?;
        self.planner.forget(self.segment.as_ref());
        Ok(())
    }
}

fn full_or_fatal(segment: u32, source: io::Error) -> Failure {
    let name = segment::file_name(segment);
    if source.kind() == io::ErrorKind::StorageFull {
        Failure::Undone(Undone::Full { place: name.to_string() })
    } else {
        Failure::Fatal(failed(&format!("writing {name}"), source))
    }
}
