//! Which segments are worth it, and what in them is needed.

use std::collections::{BTreeMap, BTreeSet};

use rehome_log::Lsn;

use super::CompactBudget;
use crate::engine::Shared;
use crate::error::StoreError;
use crate::model::{ContentId, Extent};
use crate::segment::SEGMENT_HEADER_SIZE;
use crate::tree::Scan;

/// Bytes of old segments that one pass takes, at most, but for a single one.
const PASS_BYTES: u64 = 256 << 20;

/// What is in a segment.
#[derive(Debug, Default)]
pub(super) struct Chosen {
    pub(super) needed: Vec<(Extent, u64, ContentId)>,
    pub(super) free: Vec<(u64, ContentId)>,
    /// Bytes of its records.
    pub(super) bytes: u64,
}

pub(super) struct Survey {
    pub(super) chosen: BTreeMap<u32, Chosen>,
    /// Segments that the catalog or a content knows.
    pub(super) used: BTreeSet<u32>,
    pub(super) free_below: Lsn,
}

/// Looks at every content, and again at those in the segments that it chooses.
pub(super) fn survey(
    shared: &Shared,
    budget: CompactBudget,
    left: u64,
    passed_over: &[u32],
) -> Result<Survey, StoreError> {
    let view = shared.view()?;
    let free_below = shared.compactor.free_below().min(shared.keeping.free_limit());
    let mut used = BTreeSet::new();
    let mut needed: BTreeMap<u32, u64> = BTreeMap::new();
    view.contents(0, &mut |_, row| {
        used.insert(row.extent.segment);
        if !row.is_free(free_below) {
            *needed.entry(row.extent.segment).or_default() += u64::from(row.extent.len);
        }
        Ok(Scan::Next)
    })?;
    let mut candidates = Vec::new();
    for (id, row) in view.segments()? {
        used.insert(id);
        let bytes = row.len_bytes.saturating_sub(SEGMENT_HEADER_SIZE);
        let needed = needed.get(&id).copied().unwrap_or(0);
        let share = u128::from(needed) * 100;
        let little = share < u128::from(bytes) * u128::from(budget.live_share_min_percent);
        // What lies between runs of records is not worth writing them again.
        let worth = little && bytes.saturating_sub(needed) > bytes / 50;
        let closed = shared.compactor.is_closed(id, row.sealed);
        if closed && (worth || needed == 0) && !passed_over.contains(&id) {
            candidates.push((needed, id, bytes));
        }
    }
    candidates.sort_unstable();
    let mut chosen = BTreeMap::new();
    let (mut writing, mut taken) = (0, 0);
    for (needed, id, bytes) in candidates {
        let room = shared.options.segment_bytes.min(left);
        if writing + needed > left || (!chosen.is_empty() && writing + needed > room) {
            break;
        }
        if !chosen.is_empty() && taken + bytes > PASS_BYTES {
            break;
        }
        (writing, taken) = (writing + needed, taken + bytes);
        chosen.insert(id, Chosen { bytes, ..Chosen::default() });
    }
    if !chosen.is_empty() {
        view.contents(0, &mut |number, row| {
            if let Some(segment) = chosen.get_mut(&row.extent.segment) {
                if row.is_free(free_below) {
                    segment.free.push((number, row.content));
                } else {
                    segment.needed.push((row.extent, number, row.content));
                }
            }
            Ok(Scan::Next)
        })?;
    }
    chosen.values_mut().for_each(|segment| segment.needed.sort_unstable());
    Ok(Survey { chosen, used, free_below })
}
