//! The committer: numbers requests, writes them as one group, makes it durable, acknowledges.

use std::io;
use std::sync::Arc;
use std::sync::mpsc::SyncSender;

use rehome_log::{LogError, Lsn};

use super::Shared;
use super::apply::Work;
use super::plan::{Chunk, Draft, Planner};
use super::request::{Pending, Reply};
use super::sync::Syncer;
use crate::error::StoreError;
use crate::op::Group;
use crate::segment::{self, OpenFile, OpenSegment};

/// Bytes of requests in a group, at most, but for a single larger request.
const GROUP_BYTES_MAX: u64 = 8 << 20;
/// Requests in a group, at most.
const GROUP_REQUESTS_MAX: usize = 4_096;

/// Where the answer to a request goes, and the answer if all goes well.
type Answer = (SyncSender<Result<(Reply, Lsn), StoreError>>, Reply);

/// Why a group was not acknowledged.
enum Failure {
    /// Nothing of it was written; the store goes on.
    Undone(Undone),
    /// Nobody knows what was written; the store stops.
    Fatal(StoreError),
}

/// Why nothing of a group was written.
#[derive(Clone)]
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

/// The thread's own things.
struct Committer<'s> {
    shared: &'s Arc<Shared>,
    planner: Planner,
    segment: Option<OpenSegment>,
    syncer: Syncer,
}

/// Closes the ways in and out when the thread ends, however it ends.
struct Closing<'s>(&'s Shared);

impl Drop for Closing<'_> {
    fn drop(&mut self) {
        self.0.requests.abandon();
    }
}

/// Works until the queue ends.
pub(super) fn run(shared: &Arc<Shared>, planner: Planner) {
    let _closing = Closing(shared);
    let syncer = Syncer::start(Arc::clone(&shared.disk));
    let mut committer = Committer { shared, planner, segment: None, syncer };
    let log_bytes_max = shared.log.payload_bytes_max();
    loop {
        let (mut bytes, mut log_bytes, mut requests) = (0, 0, 0);
        let group = shared.requests.pop_group(|pending| {
            bytes += pending.request.weight();
            log_bytes += pending.request.log_bytes();
            requests += 1;
            bytes <= GROUP_BYTES_MAX && log_bytes <= log_bytes_max && requests <= GROUP_REQUESTS_MAX
        });
        let Some(group) = group else { break };
        committer.commit(group);
    }
}

/// Answers; whoever has stopped waiting does not need it.
fn answer(
    to: &SyncSender<Result<(Reply, Lsn), StoreError>>,
    answer: Result<(Reply, Lsn), StoreError>,
) {
    drop(to.send(answer));
}

impl Committer<'_> {
    fn commit(&mut self, requests: Vec<Pending>) {
        if let Err(error) = self.shared.check_poison() {
            for pending in requests {
                answer(&pending.answer, Err(error.latch()));
            }
            return;
        }
        let mut draft = Draft::default();
        let answers = self.plan(requests, &mut draft);
        if draft.ops.is_empty() {
            let lsn = self.shared.progress.acknowledged();
            for (to, reply) in answers {
                answer(&to, Ok((reply, lsn)));
            }
            return;
        }
        match self.write(draft) {
            Ok(lsn) => self.acknowledge(lsn, answers),
            Err(Failure::Undone(undone)) => {
                for (to, _) in answers {
                    answer(&to, Err(undone.error()));
                }
            }
            Err(Failure::Fatal(error)) => {
                let error = self.shared.fail(&error);
                for (to, _) in answers {
                    answer(&to, Err(error.latch()));
                }
            }
        }
    }

    /// Numbers the requests; those that are refused are answered at once.
    fn plan(&mut self, requests: Vec<Pending>, draft: &mut Draft) -> Vec<Answer> {
        self.planner.begin(self.shared.progress.applied());
        let mut answers = Vec::with_capacity(requests.len());
        for Pending { request, answer: to } in requests {
            match self.planner.plan(self.shared, request, draft) {
                Ok(reply) => answers.push((to, reply)),
                Err(error) => answer(&to, Err(error)),
            }
        }
        answers
    }

    fn acknowledge(&self, lsn: Lsn, answers: Vec<Answer>) {
        let late = self.shared.options.lease.as_ref().and_then(|lease| lease.late_ms());
        for (to, reply) in answers {
            answer(
                &to,
                match late {
                    None => Ok((reply, lsn)),
                    Some(late_ms) => Err(StoreError::LeaseExpired { late_ms }),
                },
            );
        }
    }

    /// Makes the draft durable and hands it to the catalog.
    fn write(&mut self, draft: Draft) -> Result<Lsn, Failure> {
        let shared = self.shared;
        let before = self.segment.clone();
        let Draft { ops, chunks, touched, contents } = draft;
        let ranges = chunks.iter().filter_map(Chunk::range).collect();
        let group = Group { ranges, ops };
        let payload = group.encode();
        let lsn = match self.write_both(&chunks, &payload) {
            Ok(lsn) => lsn,
            Err(Failure::Undone(undone)) => {
                self.undo(before, &chunks)?;
                return Err(Failure::Undone(undone));
            }
            Err(fatal) => return Err(fatal),
        };
        let file = (!chunks.is_empty()).then(|| self.file()).flatten();
        let (segment, log) = self.syncer.sync_beside(file, || shared.log.sync());
        segment.map_err(|source| failed("syncing a segment", source))?;
        log.map_err(StoreError::from)?;
        shared.ownership.verify().map_err(StoreError::from)?;
        shared.log.acknowledge(lsn);
        self.planner.committed(lsn, &touched, contents);
        shared.progress.acknowledge(lsn, touched);
        let log_bytes = payload.len() as u64;
        let work = Work::Group { lsn, group, log_bytes };
        // The catalog has failed: the group is durable nevertheless, and replayed at the next open.
        drop(shared.applies.push(work, log_bytes));
        Ok(lsn)
    }

    fn file(&self) -> Option<Arc<OpenFile>> {
        self.segment.as_ref().map(|segment| Arc::clone(&segment.file))
    }

    fn write_both(&mut self, chunks: &[Chunk], payload: &[u8]) -> Result<Lsn, Failure> {
        if let Some(late_ms) = self.shared.options.lease.as_ref().and_then(|l| l.late_ms()) {
            return Err(Failure::Undone(Undone::Late { late_ms }));
        }
        for chunk in chunks {
            self.write_chunk(chunk)?;
        }
        self.shared.log.append(payload).map_err(|error| match error {
            LogError::NoSpace { name, .. } => {
                Failure::Undone(Undone::Full { place: name.to_string() })
            }
            other => Failure::Fatal(StoreError::from(other)),
        })
    }

    fn write_chunk(&mut self, chunk: &Chunk) -> Result<(), Failure> {
        let shared = self.shared;
        if self.segment.as_ref().is_none_or(|segment| segment.id != chunk.segment) {
            if let Some(full) = &self.segment {
                full.seal(&*shared.disk, &shared.shape).map_err(|e| full_or_fatal(full.id, e))?;
            }
            let (after, wall_us) = (shared.progress.acknowledged(), shared.clock.wall_us());
            let made = segment::create(&shared.disk, &shared.shape, chunk.segment, after, wall_us);
            self.segment = Some(made.map_err(|error| match error {
                StoreError::Io { source, .. } => full_or_fatal(chunk.segment, source),
                other => Failure::Fatal(other),
            })?);
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

    /// Takes back what a group wrote that found no room, and forgets what it was numbered with.
    fn undo(&mut self, before: Option<OpenSegment>, chunks: &[Chunk]) -> Result<(), Failure> {
        let shared = self.shared;
        let old = before.as_ref().map(|segment| segment.id);
        self.segment = before;
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

fn failed(doing: &str, source: io::Error) -> StoreError {
    StoreError::Io { doing: doing.to_owned(), source }
}

fn full_or_fatal(segment: u32, source: io::Error) -> Failure {
    let name = segment::file_name(segment);
    if source.kind() == io::ErrorKind::StorageFull {
        Failure::Undone(Undone::Full { place: name.to_string() })
    } else {
        Failure::Fatal(failed(&format!("writing {name}"), source))
    }
}
