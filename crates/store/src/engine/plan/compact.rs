//! Contents that lie elsewhere from now on, or nowhere.

use std::collections::BTreeSet;

use super::{Draft, Planner, UNWRITTEN};
use crate::engine::request::{Compaction, Reply};
use crate::error::StoreError;
use crate::op::Op;

impl Planner {
    /// Writes down what lies elsewhere. Contents that have messages again, or are about to, stay,
    /// and so do their segments; these are returned.
    pub(super) fn compact(
        &mut self,
        compaction: Compaction,
        draft: &mut Draft,
    ) -> Result<Reply, StoreError> {
        let Compaction { sealed, moves, frees, free_below, drops } = compaction;
        let mut keep = BTreeSet::new();
        let mut free = Vec::with_capacity(frees.len());
        for (number, content, segment) in frees {
            let wanted = self.contents.contains_key(&content);
            let row = self.view().content(number)?;
            if !wanted && row.is_none_or(|row| row.is_free(free_below)) {
                free.push((number, content));
            } else {
                keep.insert(segment);
            }
        }
        if let Some((segment, len_bytes, records)) = sealed {
            draft.ops.push(Op::SealSegment { segment, len_bytes, records });
        }
        draft.ops.extend(moves.iter().map(|&(number, extent)| Op::MoveContent { number, extent }));
        for (number, content) in free {
            self.freed.insert(content, UNWRITTEN);
            draft.ops.push(Op::FreeContent { number });
        }
        let drops = drops.into_iter().filter(|segment| !keep.contains(segment));
        draft.ops.extend(drops.map(|segment| Op::DropSegment { segment }));
        Ok(Reply::Segments(keep.into_iter().collect()))
    }
}
