//! Which bytes of the segments are read at once.

use std::ops::Range;

use crate::model::Extent;

/// The longest piece of unwanted bytes that is read rather than skipped.
const GAP_BYTES_MAX: u64 = 16 << 10;
/// The longest stretch, and the most bytes of a load, unless a single record is longer.
const LOAD_BYTES_MAX: u32 = 4 << 20;

/// Bytes of one segment that are read with one call, and the records in them that are wanted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Stretch {
    pub(crate) segment: u32,
    pub(crate) offset: u64,
    pub(crate) len: u32,
    /// The records, by their numbers in the row of extents.
    pub(crate) records: Range<usize>,
}

/// Joins extents, which come sorted by segment and offset, to stretches.
pub(crate) fn stretches(extents: impl IntoIterator<Item = Extent>) -> Vec<Stretch> {
    let mut stretches: Vec<Stretch> = Vec::new();
    for (index, extent) in extents.into_iter().enumerate() {
        let end = extent.offset + u64::from(extent.len);
        if let Some(stretch) = stretches.last_mut() {
            let gap = extent.offset.checked_sub(stretch.offset + u64::from(stretch.len));
            let near = gap.is_some_and(|gap| gap <= GAP_BYTES_MAX);
            let len = u32::try_from(end.saturating_sub(stretch.offset));
            let len = len.ok().filter(|len| *len <= LOAD_BYTES_MAX);
            if let (true, true, Some(len)) = (stretch.segment == extent.segment, near, len) {
                stretch.len = len;
                stretch.records.end = index + 1;
                continue;
            }
        }
        let Extent { segment, offset, len } = extent;
        stretches.push(Stretch { segment, offset, len, records: index..index + 1 });
    }
    stretches
}

/// Divides stretches, in their order, into loads that are read into one piece of memory.
pub(crate) fn loads(stretches: &[Stretch]) -> impl Iterator<Item = &[Stretch]> {
    let mut rest = stretches;
    std::iter::from_fn(move || {
        let mut bytes = 0;
        let fits = rest.iter().take_while(|stretch| {
            bytes += u64::from(stretch.len);
            bytes <= u64::from(LOAD_BYTES_MAX)
        });
        let count = fits.count().max(1).min(rest.len());
        let (load, after) = rest.split_at(count);
        rest = after;
        (!load.is_empty()).then_some(load)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: u32 = 1 << 20;

    /// Each extent and stretch is (segment, offset, length); `in_loads` is how many stretches each
    /// load has.
    #[track_caller]
    fn check(extents: &[(u32, u64, u32)], expected: &[(u32, u64, u32)], in_loads: &[usize]) {
        let extents: Vec<Extent> =
            extents.iter().map(|&(segment, offset, len)| Extent { segment, offset, len }).collect();
        let joined = stretches(extents.iter().copied());
        let found: Vec<_> = joined.iter().map(|one| (one.segment, one.offset, one.len)).collect();
        assert_eq!(found, expected);
        let covered: Vec<usize> = joined.iter().flat_map(|one| one.records.clone()).collect();
        assert_eq!(covered, (0..extents.len()).collect::<Vec<_>>(), "each is in one stretch");
        let counts: Vec<usize> = loads(&joined).map(<[Stretch]>::len).collect();
        assert_eq!(counts, in_loads);
        assert_eq!(counts.iter().sum::<usize>(), joined.len(), "each is in one load");
    }

    #[test]
    fn neighbours_are_one_stretch_and_small_gaps_are_read_through() {
        check(&[], &[], &[]);
        check(&[(0, 4096, 100), (0, 4196, 50)], &[(0, 4096, 150)], &[1]);
        check(&[(0, 0, 100), (0, 100 + (16 << 10), 50)], &[(0, 0, 150 + (16 << 10))], &[1]);
        check(
            &[(0, 0, 100), (0, 101 + (16 << 10), 50)],
            &[(0, 0, 100), (0, 101 + (16 << 10), 50)],
            &[2],
        );
    }

    #[test]
    fn a_stretch_stays_in_its_segment_and_a_load_below_four_mebibytes() {
        check(&[(0, 0, 100), (1, 100, 50)], &[(0, 0, 100), (1, 100, 50)], &[2]);
        let three = [(0, 0, 3 * MIB), (0, u64::from(3 * MIB), 3 * MIB)];
        check(&three, &three, &[1, 1]);
        check(&[(0, 0, 9 * MIB)], &[(0, 0, 9 * MIB)], &[1]);
        let far = [(0, 0, 9 * MIB), (1, 0, MIB), (2, 0, 3 * MIB), (3, 0, 8), (4, 0, 9 * MIB)];
        check(&far, &far, &[1, 2, 1, 1]);
    }
}
