//! One pass: what is needed of some segments goes into a new one.

use std::collections::BTreeSet;

use super::CompactReport;
use super::survey::{Chosen, Survey};
use crate::content_run::ContentRun;
use crate::engine::{Compaction, Reply, Request, Shared};
use crate::error::{StoreError, doing, filling};
use crate::model::{ContentId, Extent};
use crate::segment::{PrivateSegment, SEGMENT_HEADER_SIZE, file_name};

/// Bytes of records written at once.
const RUN_BYTES: usize = 1 << 20;
/// Contents in one durable group, so that the committer serves others in between.
const GROUP_CONTENTS: usize = 1_024;

/// What the groups of a pass are to say.
#[derive(Default)]
struct Plan {
    moves: Vec<(u64, Extent)>,
    frees: Vec<(u64, ContentId, u32)>,
    drops: Vec<u32>,
}

/// Does one pass; returns the number of the new segment, if it took one.
pub(super) fn rewrite(
    shared: &Shared,
    survey: &Survey,
    report: &mut CompactReport,
) -> Result<Option<u32>, StoreError> {
    let mut plan = Plan::default();
    let (bytes, next, moves) = (Vec::new(), Vec::new(), Vec::new());
    let mut writer = Writer { shared, new: None, bytes, next, moves };
    for (id, segment) in &survey.chosen {
        match writer.copy(segment) {
            Ok(()) => plan.drops.push(*id),
            Err(StoreError::Damaged { .. }) => {
                report.damaged_segments.push(*id);
                continue;
            }
            Err(error) => return Err(error),
        }
        plan.frees.extend(segment.free.iter().map(|(number, content)| (*number, *content, *id)));
    }
    writer.flush()?;
    let Writer { mut new, moves, .. } = writer;
    let moves = moves.into_iter().filter(|(id, ..)| plan.drops.contains(id));
    plan.moves = moves.map(|(_, number, place)| (number, place)).collect();
    if plan.drops.is_empty() {
        return Ok(None);
    }
    let mut sealed = None;
    if let Some(new) = &mut new {
        new.finish().map_err(doing(format!("ending segment {}", new.id())))?;
        sealed = Some((new.id(), new.len_bytes(), new.records().len() as u64));
        report.bytes_rewritten += new.len_bytes() - SEGMENT_HEADER_SIZE;
        new.keep();
    }
    let dropped = commit(shared, plan, sealed, survey)?;
    report.segments += dropped.len() as u64;
    let sizes = |id: u32| survey.chosen.get(&id).map_or(0, |segment| segment.bytes);
    shared.compactor.retire(dropped.into_iter().map(|id| (id, sizes(id))).collect());
    Ok(new.map(|new| new.id()))
}

/// Writes records into a new segment, many at once.
struct Writer<'s> {
    shared: &'s Shared,
    new: Option<PrivateSegment>,
    /// Records to be written next, each with the segment it comes from and its content's number.
    bytes: Vec<u8>,
    next: Vec<(u32, u64)>,
    /// Where the others lie now.
    moves: Vec<(u32, u64, Extent)>,
}

impl Writer<'_> {
    /// Copies what is needed of a segment, every record checked.
    fn copy(&mut self, segment: &Chosen) -> Result<(), StoreError> {
        for (extent, number, content) in &segment.needed {
            let run = self.shared.segments.run(extent.segment, extent.offset, extent.len)?;
            if !run.records().iter().map(|record| record.content).eq([*content]) {
                return Err(StoreError::Damaged {
                    place: format!("{} at byte {}", file_name(extent.segment), extent.offset),
                    cause: "another content is here".to_owned(),
                    remedy: "check the store",
                });
            }
            if !self.bytes.is_empty() && self.bytes.len() + run.len() > RUN_BYTES {
                self.flush()?;
            }
            self.bytes.extend_from_slice(run.bytes());
            self.next.push((extent.segment, *number));
        }
        Ok(())
    }

    fn flush(&mut self) -> Result<(), StoreError> {
        if self.bytes.is_empty() {
            return Ok(());
        }
        let target = match &mut self.new {
            Some(target) => target,
            None => self.new.insert(begin(self.shared)?),
        };
        let before = target.records().len();
        let mut run = ContentRun::check(&self.bytes)?;
        target.append(&mut run).map_err(filling("writing", file_name(target.id())))?;
        let places = target.records()[before..].iter().map(|(_, extent, _)| *extent);
        let next = self.next.drain(..).zip(places);
        self.moves.extend(next.map(|((segment, number), place)| (segment, number, place)));
        self.bytes.clear();
        Ok(())
    }
}

pub(super) fn begin(shared: &Shared) -> Result<PrivateSegment, StoreError> {
    let (after, wall_us) = (shared.progress.acknowledged(), shared.clock.wall_us());
    let numbers = &shared.segment_numbers;
    let made = PrivateSegment::create(&shared.disk, numbers, shared.shape, after, wall_us);
    made.map_err(doing("making a segment to compact into"))
}

/// Writes down what a pass did, in small groups; returns the segments that are gone.
fn commit(
    shared: &Shared,
    plan: Plan,
    mut sealed: Option<(u32, u64, u64)>,
    survey: &Survey,
) -> Result<Vec<u32>, StoreError> {
    let Plan { mut moves, mut frees, drops } = plan;
    let mut kept = BTreeSet::new();
    loop {
        let some_moves = moves.split_off(moves.len().saturating_sub(GROUP_CONTENTS));
        let some_frees = frees.split_off(frees.len().saturating_sub(GROUP_CONTENTS));
        let last = moves.is_empty() && frees.is_empty();
        let gone = drops.iter().copied().filter(|id| last && !kept.contains(id)).collect();
        let compaction = Compaction {
            sealed: sealed.take(),
            moves: some_moves,
            frees: some_frees,
            free_below: survey.free_below,
            drops: gone,
        };
        let first = compaction.sealed.map(|(id, _, _)| id);
        let committed = shared.commit(Request::Compact(compaction));
        if let (Some(id), Err(StoreError::DiskFull { .. })) = (first, &committed) {
            // Nothing names it; whoever makes room must not lose room by it.
            drop(shared.disk.remove(&file_name(id)));
        }
        let (reply, lsn) = committed?;
        if let Reply::Segments(segments) = reply {
            kept.extend(segments);
        }
        if last {
            shared.progress.wait_for(lsn)?;
            return Ok(drops.into_iter().filter(|id| !kept.contains(id)).collect());
        }
    }
}
