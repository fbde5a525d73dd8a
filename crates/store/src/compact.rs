//! Compaction: room that contents without messages take is given back.
//!
//! Of a segment with little that is needed, the records that are needed are written again, checked,
//! into a new segment; that is made durable; then one group says where they lie and that the old
//! segment is gone; and when nobody looks at the catalog of before, its file is removed.

mod files;
mod repair;
mod rewrite;
mod survey;

pub(crate) use files::Compactor;
pub(crate) use repair::repair;

use serde::{Deserialize, Serialize};

use crate::engine::Shared;
use crate::error::StoreError;

/// How much a compaction may do, and what is worth it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CompactBudget {
    /// Bytes that may be written again.
    pub rewrite_bytes: u64,
    /// Segments of which less than so many percent is needed are taken; 100 takes all that hold
    /// anything that is not needed.
    pub live_share_min_percent: u8,
}

impl Default for CompactBudget {
    fn default() -> CompactBudget {
        CompactBudget { rewrite_bytes: u64::MAX, live_share_min_percent: 60 }
    }
}

/// What a compaction came to.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CompactReport {
    /// Segments that nothing lies in any more.
    pub segments: u64,
    /// Bytes of files removed, those included that waited and those that nothing referred to.
    pub bytes_freed: u64,
    /// Bytes of records written again.
    pub bytes_rewritten: u64,
    /// Files of segments that are of no use any more and wait for an older snapshot.
    pub waiting_segments: u64,
    /// Segments that stay as they are, because something in them cannot be read; check the store.
    pub damaged_segments: Vec<u32>,
}

/// Removes files without use. The catalog on the disk may name them still, and only the log says
/// what has moved; should that be damaged, the catalog is all there is: it goes first.
fn remove_files(shared: &Shared, report: &mut CompactReport) -> Result<(), StoreError> {
    if shared.compactor.waiting() > 0 {
        shared.checkpoint()?;
    }
    shared.compactor.remove_files(shared, report)
}

/// Compacts within `budget`; one at a time.
pub(crate) fn compact(shared: &Shared, budget: CompactBudget) -> Result<CompactReport, StoreError> {
    let _alone = shared.compactor.alone();
    shared.compactor.mark(shared);
    let mut report = CompactReport::default();
    let mut left = budget.rewrite_bytes;
    let mut passed_over = Vec::new();
    loop {
        let survey = survey::survey(shared, budget, left, &passed_over)?;
        shared.compactor.remove_orphans(shared, &survey.used, &mut report)?;
        if survey.chosen.is_empty() {
            break;
        }
        let before = report.bytes_rewritten;
        passed_over.extend(survey.chosen.keys());
        passed_over.extend(rewrite::rewrite(shared, &survey, &mut report)?);
        left = left.saturating_sub(report.bytes_rewritten - before);
        remove_files(shared, &mut report)?;
    }
    remove_files(shared, &mut report)?;
    report.waiting_segments = shared.compactor.waiting();
    Ok(report)
}
