//! Which mailboxes move together, and when: waves in windows, within the room for logs.

mod units;

use rehome_site::SiteKind;
use serde::{Deserialize, Serialize};

use crate::estimate;
use crate::format::{bytes, count, duration, moment};
use crate::inventory::Inventory;
use crate::plan::{Estimate, StepId};
use crate::route::Obstacle;

use units::Unit;

/// Bytes of log that a moved byte makes: what is written, and what says so.
const LOG_FACTOR: f64 = 1.15;
/// Seconds of a wave before and after its mailboxes: looking, verifying, closing.
const WAVE_SECONDS: f64 = 120.0;
/// How much longer than likely a wave may take and still has to fit: four of five do (the triangle
/// of an estimate has its 80th percentile there).
const FIT: f64 = 1.5;
/// How many units that do not fit any more are passed over before a wave counts as full.
const PASSED_MAX: usize = 64;
/// Name of the wave that tries everything on little mail.
const PILOT: &str = "pilot";
/// Microseconds of a day.
const DAY_US: i64 = 86_400_000_000;

/// The waves of a move, and what they do to the disks.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Schedule {
    /// The waves in their order; empty if all mailboxes move in one go.
    pub waves: Vec<Wave>,
    /// Those who work together and yet move in different waves.
    pub splits: Vec<Split>,
    /// Mailboxes that act for so many others that they are no reason to keep them together.
    pub hubs: Vec<String>,
    /// Room for mail at the target, if known.
    pub data_limit_bytes: Option<u64>,
    /// Room for logs at the target with the reserve taken off, if known.
    pub log_limit_bytes: Option<u64>,
}

/// Mailboxes that move in one window.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Wave {
    /// `pilot`, or `wave 1` and so on.
    pub name: String,
    /// Name of the window; empty if work may be done at any time.
    pub window: String,
    /// When the window opens, in microseconds since 1970.
    pub opens_us: Option<i64>,
    /// When it closes.
    pub closes_us: Option<i64>,
    /// The steps that move its mailboxes.
    pub steps: Vec<StepId>,
    /// Number of mailboxes.
    pub mailboxes: u64,
    /// Number of groups that are kept together.
    pub units: u64,
    /// Number of messages.
    pub messages: u64,
    /// Bytes of the mailboxes, shared ones counted for each.
    pub logical_bytes: u64,
    /// Bytes that are sent: what the target has already is not.
    pub sent_bytes: u64,
    /// Bytes of transaction log at the target.
    pub log_bytes: u64,
    /// Bytes at the target when the wave is done.
    pub data_bytes_after: u64,
    /// How long it takes.
    pub seconds: Estimate,
    /// How long the way back takes while it is open.
    pub reverse_seconds: Estimate,
    /// Until when it is open, in microseconds since 1970.
    pub reverse_until_us: Option<i64>,
    /// Why some are kept together: the largest groups, a sentence each.
    pub together: Vec<String>,
}

/// Two who work together and move in different waves.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Split {
    /// The mailbox.
    pub mailbox: String,
    /// Who acts for it.
    pub delegate: String,
    /// Why they are parted.
    pub why: String,
}

/// A schedule, and which mailboxes each wave has.
#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) struct Packed {
    pub(crate) schedule: Schedule,
    /// For each wave the indexes of its mailboxes in the inventory, in the order of cutover.
    pub(crate) members: Vec<Vec<usize>>,
    /// Why there is no schedule; empty if there is one.
    pub(crate) obstacles: Vec<Obstacle>,
}

/// A stretch of time in which a wave can run.
#[derive(Debug, Clone)]
struct Slot {
    window: String,
    opens_us: Option<i64>,
    closes_us: Option<i64>,
    seconds: f64,
}

/// What a wave may hold.
struct Limits {
    log_bytes: Option<u64>,
    mailboxes: u64,
    bytes_per_second: f64,
    messages_per_second: f64,
    lock_seconds: f64,
    /// Whether a backup of the target follows, so that its log can be given up.
    backup: bool,
}

/// What the names of a wave's steps begin with.
pub(crate) fn mark(number: usize) -> String {
    format!("M1w{number}")
}

/// Parts the move into waves.
pub(crate) fn pack(inventory: &Inventory, now_us: i64) -> Packed {
    let limits = Limits::of(inventory);
    let slots = slots(inventory, now_us);
    let built = units::of(inventory);
    if slots.is_empty() && fits_at_once(inventory, &limits, &built.units) {
        let all = at_once(&built.units);
        let members = if all.is_empty() { Vec::new() } else { vec![all] };
        return Packed { members, ..Packed::default() };
    }
    let mut packing = Packing::new(inventory, limits, built);
    if inventory.windows.is_empty() {
        packing.without_windows();
    } else {
        packing.fill(&slots);
    }
    packing.finish()
}

/// All mailboxes as one wave, small groups first, so that what can go wrong shows on little mail.
fn at_once(units: &[Unit]) -> Vec<usize> {
    let mut order: Vec<&Unit> = units.iter().collect();
    order.sort_by_key(|unit| (unit.logical_bytes, unit.members.first().copied()));
    order.into_iter().flat_map(|unit| unit.members.iter().copied()).collect()
}

/// Whether nothing asks for more than one wave.
fn fits_at_once(inventory: &Inventory, limits: &Limits, units: &[Unit]) -> bool {
    let sent: u64 = units.iter().map(|unit| unit.logical_bytes).sum();
    let count: u64 = units.iter().map(|unit| unit.members.len() as u64).sum();
    let logs = limits.log_bytes.is_none_or(|room| log_of(sent) <= room);
    let waves = &inventory.waves;
    inventory.windows.is_empty() && waves.pilot_mailboxes == 0 && count <= limits.mailboxes && logs
}

fn log_of(sent_bytes: u64) -> u64 {
    (sent_bytes as f64 * LOG_FACTOR) as u64
}

/// When work may be done from now on, in microseconds since 1970; empty if at any time.
pub(crate) fn openings_us(inventory: &Inventory, now_us: i64) -> Vec<(i64, i64)> {
    let slots = slots(inventory, now_us).into_iter();
    slots.filter_map(|slot| slot.opens_us.zip(slot.closes_us)).collect()
}

/// The openings of all windows from now on, in order; overlapping ones are put together.
fn slots(inventory: &Inventory, now_us: i64) -> Vec<Slot> {
    let mut all: Vec<(i64, i64, &str)> = Vec::new();
    for window in &inventory.windows {
        let openings = window.openings_us().into_iter();
        all.extend(openings.map(|(from, until)| (from, until, window.name.as_str())));
    }
    all.sort_unstable();
    let mut slots: Vec<Slot> = Vec::new();
    for (from, until, name) in all.into_iter().filter(|(_, until, _)| *until > now_us) {
        let from = from.max(now_us);
        match slots.last_mut() {
            Some(last) if last.closes_us.is_some_and(|end| end >= from) => {
                last.closes_us = last.closes_us.max(Some(until));
            }
            _ => slots.push(Slot {
                window: name.to_owned(),
                opens_us: Some(from),
                closes_us: Some(until),
                seconds: 0.0,
            }),
        }
    }
    for slot in &mut slots {
        let (from, until) = (slot.opens_us.unwrap_or(0), slot.closes_us.unwrap_or(0));
        slot.seconds = (until - from) as f64 / 1e6;
    }
    slots
}

impl Limits {
    fn of(inventory: &Inventory) -> Self {
        let (waves, rates) = (&inventory.waves, &inventory.rates);
        let keep = 100_u64.saturating_sub(waves.log_reserve_percent);
        let room = inventory.cluster.log_free_bytes;
        let most = waves.bytes_per_second_max.map_or(f64::INFINITY, |max| max.bytes() as f64);
        Self {
            log_bytes: room.map(|bytes| (u128::from(bytes) * u128::from(keep) / 100) as u64),
            mailboxes: waves.mailboxes_max.unwrap_or(u64::MAX),
            bytes_per_second: rates.bytes_per_second.min(most).max(1.0),
            messages_per_second: rates.messages_per_second.max(1.0),
            lock_seconds: rates.lock_seconds,
            backup: inventory.kind == SiteKind::Exchange55,
        }
    }

    /// Likely seconds of a wave that sends this much.
    fn seconds(&self, sent_bytes: u64, messages: u64, mailboxes: u64) -> f64 {
        let copy = sent_bytes as f64 / self.bytes_per_second
            + messages as f64 / self.messages_per_second
            + mailboxes as f64 * self.lock_seconds;
        let backup = if self.backup { sent_bytes as f64 / self.bytes_per_second } else { 0.0 };
        WAVE_SECONDS + copy + backup
    }
}

/// A wave being filled.
#[derive(Default)]
struct Filling {
    members: Vec<usize>,
    units: u64,
    messages: u64,
    logical_bytes: u64,
    sent_bytes: u64,
    together: Vec<(u64, String)>,
}

/// Waves in the making.
struct Packing<'a> {
    inventory: &'a Inventory,
    limits: Limits,
    built: units::Built,
    /// Units that are not in a wave yet, in the order in which they are taken.
    left: std::collections::VecDeque<usize>,
    /// Which share groups are at the target already.
    present: Vec<bool>,
    data_bytes: u64,
    /// Whether the pilot is over, or none is wanted.
    piloted: bool,
    packed: Packed,
}

impl<'a> Packing<'a> {
    fn new(inventory: &'a Inventory, limits: Limits, built: units::Built) -> Self {
        let left = (0..built.units.len()).collect();
        let present = vec![false; built.share_groups];
        let schedule = Schedule {
            data_limit_bytes: inventory.cluster.free_bytes,
            log_limit_bytes: limits.log_bytes,
            hubs: built.hubs.clone(),
            ..Schedule::default()
        };
        let packed = Packed { schedule, ..Packed::default() };
        let piloted = inventory.waves.pilot_mailboxes == 0;
        Self { inventory, limits, built, left, present, data_bytes: 0, piloted, packed }
    }

    /// Waves one after the other: nothing limits their time.
    fn without_windows(&mut self) {
        let endless =
            Slot { window: String::new(), opens_us: None, closes_us: None, seconds: f64::INFINITY };
        while !self.left.is_empty() && self.packed.obstacles.is_empty() {
            self.wave(&endless, f64::INFINITY);
        }
    }

    /// Fills the windows from the first on.
    fn fill(&mut self, slots: &[Slot]) {
        let longest = slots.iter().map(|slot| slot.seconds).fold(0.0, f64::max);
        for slot in slots {
            if self.left.is_empty() || !self.packed.obstacles.is_empty() {
                break;
            }
            self.wave(slot, longest);
        }
        if !self.left.is_empty() && self.packed.obstacles.is_empty() {
            let obstacle = self.too_few_windows(slots);
            self.packed.obstacles.push(obstacle);
        }
        self.keep_deadline();
    }

    /// Fills one wave; the first is the pilot, if one is wanted.
    fn wave(&mut self, slot: &Slot, longest: f64) {
        let is_pilot = !std::mem::replace(&mut self.piloted, true);
        let filling = match is_pilot {
            true => self.pilot(slot),
            false => self.ordinary(slot, longest),
        };
        if !filling.members.is_empty() {
            self.close(filling, slot, is_pilot);
        }
    }

    /// The smallest units, as many mailboxes as are wanted; one unit at least if it fits.
    fn pilot(&mut self, slot: &Slot) -> Filling {
        let wanted = self.inventory.waves.pilot_mailboxes.min(self.limits.mailboxes);
        let mut filling = Filling::default();
        let mut taken = std::collections::BTreeSet::new();
        for unit in self.smallest_first() {
            let most = if filling.members.is_empty() { self.limits.mailboxes } else { wanted };
            if filling.members.len() as u64 >= wanted {
                break;
            }
            if self.fits(&filling, unit, slot.seconds, most) {
                self.take(&mut filling, unit);
                taken.insert(unit);
            }
        }
        self.left.retain(|unit| !taken.contains(unit));
        filling
    }

    /// The next units that fit; a few that do not are passed over.
    fn ordinary(&mut self, slot: &Slot, longest: f64) -> Filling {
        let most = self.limits.mailboxes;
        let mut filling = Filling::default();
        let mut passed = Vec::new();
        while let Some(unit) = self.left.pop_front() {
            if self.fits(&filling, unit, slot.seconds, most) {
                self.take(&mut filling, unit);
                continue;
            }
            if !self.fits(&Filling::default(), unit, longest, most) {
                if self.part(unit) {
                    continue;
                }
                self.packed.obstacles.push(self.too_large(unit, longest));
                break;
            }
            passed.push(unit);
            if passed.len() > PASSED_MAX || filling.members.len() as u64 >= most {
                break;
            }
        }
        for unit in passed.into_iter().rev() {
            self.left.push_front(unit);
        }
        filling
    }

    /// The units that are left, those with the least mail first.
    fn smallest_first(&self) -> Vec<usize> {
        let mut order: Vec<usize> = self.left.iter().copied().collect();
        order.sort_by_key(|at| (self.built.units[*at].logical_bytes, *at));
        order
    }

    /// Bytes that a unit sends, given what is at the target.
    fn sends(&self, unit: &Unit) -> u64 {
        let shared = unit.shares.iter().filter(|(group, _)| !self.present[*group]);
        unit.own_bytes + shared.map(|(_, bytes)| bytes).sum::<u64>()
    }

    fn fits(&self, filling: &Filling, unit: usize, seconds: f64, most: u64) -> bool {
        let unit = &self.built.units[unit];
        let sent = filling.sent_bytes + self.sends(unit);
        let count = filling.members.len() as u64 + unit.members.len() as u64;
        let time = self.limits.seconds(sent, filling.messages + unit.messages, count);
        count <= most
            && time * FIT <= seconds
            && self.limits.log_bytes.is_none_or(|room| log_of(sent) <= room)
    }

    fn take(&mut self, filling: &mut Filling, at: usize) {
        let sent = self.sends(&self.built.units[at]);
        let unit = &self.built.units[at];
        filling.sent_bytes += sent;
        filling.messages += unit.messages;
        filling.logical_bytes += unit.logical_bytes;
        filling.units += 1;
        filling.members.extend(&unit.members);
        if unit.members.len() > 2 {
            let first = &self.inventory.mailboxes[unit.members[0]].name;
            let text = format!("{first} and {} others work together", unit.members.len() - 1);
            filling.together.push((unit.members.len() as u64, text));
            filling.together.sort_by(|a, b| b.cmp(a));
            filling.together.truncate(3);
        }
        for (group, _) in &unit.shares {
            self.present[*group] = true;
        }
    }

    /// Parts a unit that fits into no window; tells whether it could be parted.
    fn part(&mut self, at: usize) -> bool {
        let unit = &self.built.units[at];
        if unit.members.len() < 2 {
            return false;
        }
        let why = format!("{} together fit into no window", plural_of(unit.members.len()));
        let singles = units::singles(self.inventory, &mut self.built, at);
        let splits = units::splits(self.inventory, &self.built, at, &why);
        self.packed.schedule.splits.extend(splits);
        for single in singles.into_iter().rev() {
            self.left.push_front(single);
        }
        true
    }

    /// Turns what was filled into a wave.
    fn close(&mut self, filling: Filling, slot: &Slot, is_pilot: bool) {
        let number = self.packed.schedule.waves.len();
        let has_pilot = self.packed.schedule.waves.first().is_some_and(|wave| wave.name == PILOT);
        let name = match is_pilot {
            true => PILOT.to_owned(),
            false => format!("wave {}", if has_pilot { number } else { number + 1 }),
        };
        let mailboxes = filling.members.len() as u64;
        let likely = self.limits.seconds(filling.sent_bytes, filling.messages, mailboxes);
        self.data_bytes +=
            filling.sent_bytes + filling.messages * estimate::OVERHEAD_PER_MESSAGE_BYTES;
        let days = i64::try_from(self.inventory.waves.reverse_days).unwrap_or(i64::MAX);
        let until = slot.closes_us.map(|end| end.saturating_add(days.saturating_mul(DAY_US)));
        self.packed.schedule.waves.push(Wave {
            name,
            window: slot.window.clone(),
            opens_us: slot.opens_us,
            closes_us: slot.closes_us,
            steps: Vec::new(),
            mailboxes,
            units: filling.units,
            messages: filling.messages,
            logical_bytes: filling.logical_bytes,
            sent_bytes: filling.sent_bytes,
            log_bytes: log_of(filling.sent_bytes),
            data_bytes_after: self.data_bytes,
            seconds: Estimate::around(likely),
            reverse_seconds: Estimate::around(self.way_back(&filling)),
            reverse_until_us: until,
            together: filling.together.into_iter().map(|(_, text)| text).collect(),
        });
        self.packed.members.push(filling.members);
    }

    /// Likely seconds to take a wave back on its last day.
    ///
    /// Our own source keeps its copy, so that only what came since is carried; a store that people
    /// move has given its copy up, and all of it goes back.
    fn way_back(&self, filling: &Filling) -> f64 {
        let mailboxes = filling.members.len() as u64;
        if self.inventory.kind == SiteKind::Exchange55 {
            return self.limits.seconds(filling.sent_bytes, filling.messages, mailboxes);
        }
        let a_day: u64 =
            filling.members.iter().map(|at| self.inventory.mailboxes[*at].bytes_a_day).sum();
        let since = a_day.saturating_mul(self.inventory.waves.reverse_days);
        self.limits.seconds(since, since / (30 << 10), mailboxes)
    }

    fn finish(mut self) -> Packed {
        if self.packed.schedule.waves.len() == 1 && self.inventory.windows.is_empty() {
            // One wave at any time is no schedule.
            self.packed.schedule.waves.clear();
        }
        self.packed
    }
}

fn plural_of(mailboxes: usize) -> String {
    format!("{} mailboxes", count(mailboxes as u64))
}

impl Packing<'_> {
    /// A mailbox that fits into no window, or whose log fits on no disk.
    fn too_large(&self, at: usize, longest: f64) -> Obstacle {
        let unit = &self.built.units[at];
        let mailbox = &self.inventory.mailboxes[unit.members[0]];
        let need = self.limits.seconds(unit.logical_bytes, unit.messages, 1) * FIT;
        let log = log_of(unit.logical_bytes);
        if let Some(room) = self.limits.log_bytes.filter(|room| log > *room) {
            return Obstacle {
                code: "log-disk-too-small".to_owned(),
                place: "cluster.group.log_free".to_owned(),
                cause: format!(
                    "mailbox {} makes {} of log and {} may be used",
                    mailbox.name,
                    bytes(log),
                    bytes(room)
                ),
                consequence: "the store would stop when the log disk is full".to_owned(),
                remedy: format!(
                    "give the logs {} or more, or lower waves.log_reserve_percent",
                    bytes(log * 100 / 100_u64.saturating_sub(self.reserve()).max(1))
                ),
                evidence: "KB Q163913, Q155492".to_owned(),
            };
        }
        Obstacle {
            code: "window-too-short".to_owned(),
            place: "window[0].until".to_owned(),
            cause: format!(
                "mailbox {} takes {} in four of five cases and the longest window has {}",
                mailbox.name,
                duration(need as u64),
                duration(longest as u64)
            ),
            consequence: "it could not be moved in any window".to_owned(),
            remedy: format!(
                "open one window for {}, or raise waves.bytes_per_second_max",
                duration(need as u64)
            ),
            evidence: "the site file".to_owned(),
        }
    }

    fn reserve(&self) -> u64 {
        self.inventory.waves.log_reserve_percent
    }

    /// The windows are used up and mailboxes are left.
    fn too_few_windows(&self, slots: &[Slot]) -> Obstacle {
        let left = self.left.iter().map(|at| &self.built.units[*at]);
        let (mut mailboxes, mut sent, mut messages) = (0_u64, 0, 0);
        for unit in left {
            mailboxes += unit.members.len() as u64;
            sent += self.sends(unit);
            messages += unit.messages;
        }
        let need = self.limits.seconds(sent, messages, mailboxes) * FIT;
        let last = slots.last().and_then(|slot| slot.closes_us).map_or_else(
            || "no window opens any more".to_owned(),
            |end| format!("the last window closes {} UTC", moment(end)),
        );
        Obstacle {
            code: "windows-too-few".to_owned(),
            place: "window[0].last".to_owned(),
            cause: format!(
                "{last} and {} with {} are left",
                plural_of(usize::try_from(mailboxes).unwrap_or(usize::MAX)),
                bytes(sent)
            ),
            consequence: "they would stay behind on a server that is to go".to_owned(),
            remedy: format!(
                "open windows for {} more, raise waves.bytes_per_second_max, or give the logs more \
                 room",
                duration(need as u64)
            ),
            evidence: "the site file".to_owned(),
        }
    }

    /// The last wave has to be over at the deadline.
    fn keep_deadline(&mut self) {
        let Some(deadline) = self.inventory.wishes.deadline_us else { return };
        let Some(wave) = self.packed.schedule.waves.last() else { return };
        let Some(opens) = wave.opens_us else { return };
        let end = opens + (wave.seconds.likely as f64 * FIT * 1e6) as i64;
        if end <= deadline || !self.packed.obstacles.is_empty() {
            return;
        }
        self.packed.obstacles.push(Obstacle {
            code: "deadline".to_owned(),
            place: "route.deadline".to_owned(),
            cause: format!(
                "{} is over by {} UTC in four of five cases, the deadline is {} UTC",
                wave.name,
                moment(end),
                moment(deadline)
            ),
            consequence: "mailboxes would still be on the old server then".to_owned(),
            remedy: "move the deadline, open more windows, or raise waves.bytes_per_second_max"
                .to_owned(),
            evidence: "the site file".to_owned(),
        });
    }
}

#[cfg(test)]
mod tests;
