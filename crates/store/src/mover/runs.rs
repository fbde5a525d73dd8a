//! Which bytes of the segments are read at once.

use crate::Extent;

/// The longest stretch of unwanted bytes that is read rather than skipped.
const GAP_BYTES_MAX: u64 = 16 << 10;

/// The longest run, unless a single record is longer.
const RUN_BYTES_MAX: u32 = 4 << 20;

/// Extents of one segment that are read with one call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Run {
    /// The segment.
    pub(super) segment: u32,
    /// Where it begins.
    pub(super) offset: u64,
    /// How many bytes.
    pub(super) len: u32,
    /// The first of its extents, as an index.
    pub(super) first: usize,
    /// One after the last of its extents.
    pub(super) end: usize,
    /// Whether every byte of it is wanted.
    pub(super) solid: bool,
}

/// Joins extents, which come sorted by segment and offset, to runs.
pub(super) fn coalesce(extents: &[Extent]) -> Vec<Run> {
    let mut runs: Vec<Run> = Vec::new();
    for (index, extent) in extents.iter().enumerate() {
        let end = extent.offset + u64::from(extent.len);
        if let Some(run) = runs.last_mut() {
            let gap = extent.offset.checked_sub(run.offset + u64::from(run.len));
            let near = gap.is_some_and(|gap| gap <= GAP_BYTES_MAX);
            let len = u32::try_from(end.saturating_sub(run.offset));
            let len = len.ok().filter(|len| *len <= RUN_BYTES_MAX);
            if let (true, true, Some(len)) = (run.segment == extent.segment, near, len) {
                run.solid &= gap == Some(0);
                run.len = len;
                run.end = index + 1;
                continue;
            }
        }
        runs.push(Run {
            segment: extent.segment,
            offset: extent.offset,
            len: extent.len,
            first: index,
            end: index + 1,
            solid: true,
        });
    }
    runs
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Each extent is (segment, offset, length); each run (segment, offset, length, solid).
    #[track_caller]
    fn check(extents: &[(u32, u64, u32)], expected: &[(u32, u64, u32, bool)]) {
        let extents: Vec<Extent> =
            extents.iter().map(|&(segment, offset, len)| Extent { segment, offset, len }).collect();
        let runs = coalesce(&extents);
        let found: Vec<_> =
            runs.iter().map(|run| (run.segment, run.offset, run.len, run.solid)).collect();
        assert_eq!(found, expected);
        let covered: Vec<usize> = runs.iter().flat_map(|run| run.first..run.end).collect();
        assert_eq!(covered, (0..extents.len()).collect::<Vec<_>>(), "each extent is in one run");
    }

    #[test]
    fn neighbours_are_one_run_and_small_gaps_are_read_through() {
        check(&[], &[]);
        check(&[(0, 4096, 100), (0, 4196, 50)], &[(0, 4096, 150, true)]);
        check(&[(0, 0, 100), (0, 100 + (16 << 10), 50)], &[(0, 0, 150 + (16 << 10), false)]);
        check(
            &[(0, 0, 100), (0, 101 + (16 << 10), 50)],
            &[(0, 0, 100, true), (0, 101 + (16 << 10), 50, true)],
        );
    }

    #[test]
    fn a_run_stays_in_its_segment_and_below_four_mebibytes() {
        check(&[(0, 0, 100), (1, 100, 50)], &[(0, 0, 100, true), (1, 100, 50, true)]);
        let three = 3 << 20;
        check(
            &[(0, 0, three), (0, u64::from(three), three)],
            &[(0, 0, three, true), (0, u64::from(three), three, true)],
        );
        check(&[(0, 0, 9 << 20)], &[(0, 0, 9 << 20, true)]);
    }
}
