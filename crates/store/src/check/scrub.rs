//! Scrubbing: every content read in its turn, slowly, and what is damaged named and repaired.

use std::collections::BTreeMap;
use std::thread;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use super::contents::Reader;
use super::recount::name_damaged;
use super::scrub_state::ScrubState;
use super::{CheckProgress, Damage, DamagedMessage};
use crate::Store;
use crate::catalog::{ContentRow, View};
use crate::compact::repair;
use crate::engine::Shared;
use crate::error::StoreError;
use crate::flow::Flow;
use crate::model::{ContentId, Extent};
use crate::throttle::Throttle;
use crate::tree::Scan;

/// Bytes read on one view of the catalog, at most, but for a single content.
const BATCH_BYTES_MAX: u64 = 8 << 20;
/// Contents read on one view of the catalog, at most.
const BATCH_CONTENTS_MAX: u64 = 1_024;
/// How often the state is written.
const STATE_EVERY: Duration = Duration::from_secs(5);
/// The observer is asked at least so often while the scrub waits.
const WAIT_MAX: Duration = Duration::from_millis(200);
/// Bytes repaired at once, at most, but for a single content.
const REPAIR_BYTES_MAX: u64 = 64 << 20;

/// How a store is scrubbed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ScrubOptions {
    /// Contents are read no faster than this.
    pub bytes_per_second_max: Option<u64>,
    /// Contents that a scrub has read and found whole within so many seconds are passed over.
    pub since_seconds: Option<u64>,
}

/// What a scrub found.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ScrubReport {
    /// Contents read by this call.
    pub contents: u64,
    /// Bytes of these.
    pub content_bytes: u64,
    /// Contents passed over, because they were read lately.
    pub passed_over: u64,
    /// Contents that cannot be read as they were stored.
    pub damaged: Vec<DamagedContent>,
    /// The messages that have them.
    pub messages: Vec<DamagedMessage>,
    /// What is wrong with headers of segments.
    pub faults: Vec<String>,
}

impl ScrubReport {
    /// Whether nothing is wrong, or nothing any more.
    #[must_use]
    pub fn is_clean(&self) -> bool {
        self.faults.is_empty() && self.damaged.iter().all(|one| one.repaired.is_some())
    }
}

/// A content that could not be read as it was stored.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DamagedContent {
    /// Its name.
    pub content: ContentId,
    /// Where its record lies.
    pub extent: Extent,
    /// Its length.
    pub size_bytes: u64,
    /// What is wrong with it.
    pub cause: String,
    /// Where it lies now that it was written anew; `None` if it was not.
    pub repaired: Option<Extent>,
}

/// Reads the contents from where an earlier scrub stopped to the last one.
pub(crate) fn scrub(
    shared: &Shared,
    options: ScrubOptions,
    repair_from: Option<&Store>,
    observe: &mut dyn FnMut(CheckProgress) -> Flow,
) -> Result<ScrubReport, StoreError> {
    let state = ScrubState::read(&*shared.disk)?;
    let throttle = options.bytes_per_second_max.map(Throttle::new);
    let (report, written) = (ScrubReport::default(), Instant::now());
    let mut scrub = Scrub { shared, options, observe, state, throttle, report, written };
    while !scrub.batch()? {}
    let mut report = scrub.finish(repair_from)?;
    report.messages.sort_by(|a, b| {
        let key = |one: &DamagedMessage| (one.mailbox.clone(), one.folder.clone(), one.uid);
        key(a).cmp(&key(b))
    });
    Ok(report)
}

struct Scrub<'a> {
    shared: &'a Shared,
    options: ScrubOptions,
    observe: &'a mut dyn FnMut(CheckProgress) -> Flow,
    state: ScrubState,
    throttle: Option<Throttle>,
    report: ScrubReport,
    /// When the state was written last.
    written: Instant,
}

impl Scrub<'_> {
    /// Reads some contents; returns whether these were the last.
    fn batch(&mut self) -> Result<bool, StoreError> {
        let view = self.shared.view()?;
        let now = self.shared.clock.wall_us().div_euclid(1_000_000);
        let (first, rate) = (self.state.next, self.options.bytes_per_second_max);
        let bytes_max = rate.map_or(BATCH_BYTES_MAX, |rate| BATCH_BYTES_MAX.min(rate / 4));
        let mut reader = Reader::new(&self.shared.segments);
        let (mut seen, mut bytes, mut passed_bytes, mut last) = (Vec::new(), 0, 0, true);
        let (state, since) = (&mut self.state, self.options.since_seconds);
        let since = since.map(|seconds| now.saturating_sub(i64::try_from(seconds).unwrap_or(now)));
        let report = &mut self.report;
        let (mut next, mut passed, mut contents) = (first, 0, 0);
        view.contents(first, &mut |number, row| {
            if contents >= BATCH_CONTENTS_MAX || (contents > 0 && bytes >= bytes_max) {
                last = false;
                return Ok(Scan::Stop);
            }
            contents += 1;
            next = number + 1;
            if since.is_some_and(|since| state.read_since(number, since).is_some()) {
                seen.push((number, false));
                passed += 1;
                passed_bytes += row.size_bytes;
                return Ok(Scan::Next);
            }
            bytes += row.size_bytes;
            report.contents += 1;
            match reader.read(&row, &mut state.faults)? {
                Some(_) => {
                    seen.push((number, false));
                    state.damaged.push(number);
                }
                None => seen.push((number, true)),
            }
            Ok(Scan::Next)
        })?;
        report.content_bytes += bytes;
        report.passed_over += passed;
        for (first, end) in runs(&seen) {
            state.note(first, end, now);
        }
        state.next = next;
        state.done_bytes += bytes + passed_bytes;
        let total_bytes = view.meta()?.content_bytes;
        drop(view);
        self.tell(bytes, total_bytes)?;
        Ok(last)
    }

    /// Tells the observer, keeps the state, and waits as long as the rate demands.
    fn tell(&mut self, bytes: u64, total_bytes: u64) -> Result<(), StoreError> {
        let until = self.throttle.as_mut().map(|throttle| Instant::now() + throttle.spent(bytes));
        let progress = CheckProgress { done_bytes: self.state.done_bytes, total_bytes };
        loop {
            if (self.observe)(progress) == Flow::Stop {
                self.state.write(&*self.shared.disk)?;
                return Err(StoreError::Stopped);
            }
            let left = until.map(|until| until.saturating_duration_since(Instant::now()));
            match left.filter(|left| !left.is_zero()) {
                Some(left) => thread::sleep(left.min(WAIT_MAX)),
                None => break,
            }
        }
        if self.written.elapsed() >= STATE_EVERY {
            self.state.write(&*self.shared.disk)?;
            self.written = Instant::now();
        }
        Ok(())
    }

    /// Looks once more at what was found damaged, repairs what can be, and names the messages.
    fn finish(mut self, repair_from: Option<&Store>) -> Result<ScrubReport, StoreError> {
        let found = self.examine()?;
        let whole = repair_from.map(|other| self.repair(&found, other)).transpose()?;
        let view = self.shared.view()?;
        let mut damage = BTreeMap::new();
        for (number, (row, cause)) in found {
            let repaired = match &whole {
                Some(whole) if whole.contains(&number) => self.place_if_whole(&view, number)?,
                _ => None,
            };
            let (extent, size_bytes) = (row.extent, row.size_bytes);
            damage.insert(number, Damage { extent, cause: cause.clone() });
            let content = row.content;
            let damaged = DamagedContent { content, extent, size_bytes, cause, repaired };
            self.report.damaged.push(damaged);
        }
        if !damage.is_empty() {
            let messages = &mut self.report.messages;
            view.every_message(&mut |mailbox, folder, message, number| {
                if let Some(damage) = damage.get(&number) {
                    messages.push(name_damaged(&view, (mailbox, folder), &message, damage)?);
                }
                Ok(())
            })?;
        }
        self.report.faults = std::mem::take(&mut self.state.faults);
        self.state.end_pass();
        self.state.write(&*self.shared.disk)?;
        Ok(self.report)
    }

    /// The contents that are damaged still, with what is wrong with them.
    fn examine(&mut self) -> Result<BTreeMap<u64, (ContentRow, String)>, StoreError> {
        let view = self.shared.view()?;
        let mut found = BTreeMap::new();
        for number in std::mem::take(&mut self.state.damaged) {
            let Some(row) = view.content(number)? else { continue };
            // Its header was looked at when it was read first.
            let damage = Reader::new(&self.shared.segments).read(&row, &mut Vec::new())?;
            if let Some(damage) = damage {
                found.insert(number, (row, damage.cause));
            }
        }
        Ok(found)
    }

    /// Writes those contents anew that another store has whole; returns their numbers.
    fn repair(
        &self,
        found: &BTreeMap<u64, (ContentRow, String)>,
        other: &Store,
    ) -> Result<Vec<u64>, StoreError> {
        let (mut repaired, mut bodies, mut bytes) = (Vec::new(), Vec::new(), 0);
        for (number, (row, _)) in found {
            let body = match other.body(&row.content) {
                Ok(body) if ContentId::of(&body) == row.content => body,
                Ok(_) | Err(StoreError::Damaged { .. } | StoreError::NoSuchContent { .. }) => {
                    continue;
                }
                Err(error) => return Err(error),
            };
            bytes += row.size_bytes;
            repaired.push(*number);
            bodies.push((*number, body));
            if bytes >= REPAIR_BYTES_MAX {
                repair(self.shared, &bodies)?;
                (bodies, bytes) = (Vec::new(), 0);
            }
        }
        repair(self.shared, &bodies)?;
        Ok(repaired)
    }

    /// Where a content lies, if it is whole there.
    fn place_if_whole(&self, view: &View, number: u64) -> Result<Option<Extent>, StoreError> {
        let Some(row) = view.content(number)? else { return Ok(None) };
        let damage = Reader::new(&self.shared.segments).read(&row, &mut Vec::new())?;
        Ok(damage.is_none().then_some(row.extent))
    }
}

/// Of numbers, which rise, the runs that were read: the first, and the one after the last. Numbers
/// in between that no content has belong to a run.
fn runs(seen: &[(u64, bool)]) -> Vec<(u64, u64)> {
    let mut runs: Vec<(u64, u64)> = Vec::new();
    let mut going_on = false;
    for (number, was_read) in seen {
        match runs.last_mut() {
            Some((_, end)) if going_on && *was_read => *end = number + 1,
            _ if *was_read => runs.push((*number, number + 1)),
            _ => {}
        }
        going_on = *was_read;
    }
    runs
}
