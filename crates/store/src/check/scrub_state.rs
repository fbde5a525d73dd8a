//! How far a scrub is: a small file, so that the next one goes on.
#![doc = include_str!("../../../../docs/format/scrub.md")]

use rehome_log::{Disk, FileName};
use serde::{Deserialize, Serialize};

use crate::error::StoreError;
use crate::identity::{name, read_json, write_json};

const FORMAT: &str = "rehome-scrub";
const VERSION: u32 = 1;
/// Ranges kept, at most: neighbours are joined beyond.
const RANGES_MAX: usize = 256;
/// A range whose reading began longer ago is not made longer, in seconds.
const RANGE_SECONDS_MAX: i64 = 3_600;

/// What the file holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ScrubState {
    format: String,
    version: u32,
    /// Number of the content with which the pass goes on; 0 if none is under way.
    pub(super) next: u64,
    /// Bytes of contents that this pass has dealt with.
    pub(super) done_bytes: u64,
    /// Numbers of the contents that this pass found damaged.
    pub(super) damaged: Vec<u64>,
    /// What else this pass found.
    pub(super) faults: Vec<String>,
    /// What was read and found whole, by number of content.
    read: Vec<ReadRange>,
}

/// Contents from `first` to below `end`, read at `seconds` since 1970 or later.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct ReadRange {
    first: u64,
    end: u64,
    seconds: i64,
}

fn file() -> FileName {
    name("scrub.json")
}

impl Default for ScrubState {
    fn default() -> ScrubState {
        ScrubState {
            format: FORMAT.to_owned(),
            version: VERSION,
            next: 0,
            done_bytes: 0,
            damaged: Vec::new(),
            faults: Vec::new(),
            read: Vec::new(),
        }
    }
}

impl ScrubState {
    /// Reads the file. What cannot be used counts as nothing: everything is read again then.
    pub(super) fn read(disk: &dyn Disk) -> Result<ScrubState, StoreError> {
        let state = match read_json::<ScrubState>(disk, &file()) {
            Err(StoreError::Damaged { .. }) => None,
            read => read?,
        };
        let ours = state.filter(|state| state.format == FORMAT && state.version == VERSION);
        Ok(ours.unwrap_or_default())
    }

    pub(super) fn write(&self, disk: &dyn Disk) -> Result<(), StoreError> {
        write_json(disk, &file(), self)
    }

    /// The pass has come to its end.
    pub(super) fn end_pass(&mut self) {
        self.next = 0;
        self.done_bytes = 0;
        self.damaged.clear();
        self.faults.clear();
    }

    /// Notes that the contents from `first` to below `end` were read at `seconds`.
    pub(super) fn note(&mut self, first: u64, end: u64, seconds: i64) {
        if first >= end {
            return;
        }
        let mut kept = Vec::with_capacity(self.read.len() + 2);
        for range in self.read.drain(..) {
            // What is read again is known from the later reading.
            if range.first < first {
                kept.push(ReadRange { end: range.end.min(first), ..range });
            }
            if range.end > end {
                kept.push(ReadRange { first: range.first.max(end), ..range });
            }
        }
        kept.push(ReadRange { first, end, seconds });
        kept.sort_by_key(|range| range.first);
        self.read = kept;
        self.join();
    }

    /// Joins neighbours that were read within an hour, and any when there are too many.
    fn join(&mut self) {
        for apart_max in [RANGE_SECONDS_MAX, i64::MAX] {
            let mut joined: Vec<ReadRange> = Vec::with_capacity(self.read.len());
            let mut too_many = self.read.len().saturating_sub(RANGES_MAX);
            for range in self.read.drain(..) {
                match joined.last_mut() {
                    Some(last)
                        if last.end == range.first
                            && last.seconds.abs_diff(range.seconds) <= apart_max.unsigned_abs()
                            && (apart_max < i64::MAX || too_many > 0) =>
                    {
                        too_many = too_many.saturating_sub(1);
                        last.end = range.end;
                        last.seconds = last.seconds.min(range.seconds);
                    }
                    _ => joined.push(range),
                }
            }
            self.read = joined;
        }
    }

    /// Where the contents end, from `number` on, that were all read at `seconds` or later.
    pub(super) fn read_since(&self, number: u64, seconds: i64) -> Option<u64> {
        let holds = |range: &&ReadRange| range.first <= number && number < range.end;
        let range = self.read.iter().find(holds)?;
        (range.seconds >= seconds).then_some(range.end)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Notes ranges, and expects these to be kept.
    #[track_caller]
    fn check(noted: &[(u64, u64, i64)], expected: &[(u64, u64, i64)]) {
        let mut state = ScrubState::default();
        noted.iter().for_each(|(first, end, seconds)| state.note(*first, *end, *seconds));
        let kept: Vec<_> = state.read.iter().map(|r| (r.first, r.end, r.seconds)).collect();
        assert_eq!(kept, expected);
    }

    #[test]
    fn neighbours_read_within_an_hour_are_one_range_as_old_as_the_older() {
        check(&[(1, 5, 100), (5, 9, 200)], &[(1, 9, 100)]);
        check(&[(1, 5, 100), (5, 9, 3_700), (9, 12, 3_800)], &[(1, 9, 100), (9, 12, 3_800)]);
        check(&[(1, 5, 100), (6, 9, 100)], &[(1, 5, 100), (6, 9, 100)]);
    }

    #[test]
    fn what_is_read_again_is_as_old_as_the_later_reading() {
        check(&[(1, 9, 0), (3, 5, 9_000)], &[(1, 3, 0), (3, 5, 9_000), (5, 9, 0)]);
        check(&[(3, 5, 0), (1, 9, 9_000)], &[(1, 9, 9_000)]);
        check(&[(3, 3, 0)], &[]);
    }

    #[test]
    fn there_are_never_too_many_ranges() {
        let mut state = ScrubState::default();
        for n in 0..1_000 {
            state.note(n, n + 1, i64::try_from(n).unwrap() * 10_000);
        }
        assert!(state.read.len() <= RANGES_MAX, "{}", state.read.len());
        assert_eq!(state.read_since(0, 0), Some(state.read[0].end));
        assert_eq!(state.read_since(1_000, 0), None);
    }

    #[test]
    fn a_file_that_cannot_be_used_counts_as_nothing() {
        let disk = rehome_log::SimDisk::new();
        let state = ScrubState { next: 7, ..ScrubState::default() };
        state.write(&disk).unwrap();
        assert_eq!(ScrubState::read(&disk).unwrap(), state);
        for spoiled in ["{", "{\"format\": \"other\"}"] {
            disk.set_contents(&file(), spoiled.into());
            assert_eq!(ScrubState::read(&disk).unwrap(), ScrubState::default());
        }
    }
}
