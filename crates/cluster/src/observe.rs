//! Who is alive, by counters that move and one's own clock.

use std::collections::BTreeMap;

use crate::configuration::Timing;
use crate::coordinator::{Heartbeat, Owner};
use crate::ids::NodeName;
use crate::status::Liveness;

/// What one observer knows about one run of a node's program.
#[derive(Debug, Clone)]
struct Seen {
    /// The last counter read; `None` if no heartbeat of this run was read yet.
    counter: Option<u64>,
    leaving: bool,
    /// The end of the reading in which the counter was last seen to move.
    moved_ms: u64,
    /// Whether it was seen to move at all, or only found where it is.
    moved: bool,
    /// The start of the last reading.
    checked_ms: u64,
}

impl Seen {
    fn may_act(&self, timing: &Timing) -> bool {
        let wait_ms = timing.lease_ms.saturating_add(timing.margin_ms);
        !self.leaving && self.checked_ms < self.moved_ms.saturating_add(wait_ms)
    }
}

/// Watches heartbeats. Pure: the caller brings the heartbeats and the time of its own clock.
///
/// A reading has a start and an end. Silence is counted from the *end* of the reading that saw
/// the counter move to the *start* of the last one that saw it stand still, so that a pause of
/// the observer at any point makes it wait longer, never shorter.
///
/// Between two readings a quarter of the lease apart or more, heartbeats may have come and have
/// been overwritten: by the next run of the node's program, or by an old one that arrived late.
/// Silence is counted anew from the end of such a gap; unless heartbeats are ordered, and the one
/// from before the gap is still there: then it has stood still all the while.
#[derive(Debug, Clone, Default)]
pub struct Observer {
    /// As [`crate::Coordinator::orders_heartbeats`] says.
    ordered: bool,
    seen: BTreeMap<Owner, Seen>,
    current: BTreeMap<NodeName, (String, u32)>,
}

impl Observer {
    /// One that knows nothing yet; `ordered` is what [`crate::Coordinator::orders_heartbeats`]
    /// says of where it reads.
    #[must_use]
    pub fn new(ordered: bool) -> Self {
        Self { ordered, ..Self::default() }
    }

    /// Takes note of a reading of a node's heartbeat that began at `start_ms` and was over at
    /// `end_ms`, and says whether anything is different after it. A reading that failed is not
    /// noted at all.
    pub fn observe(
        &mut self,
        start_ms: u64,
        end_ms: u64,
        node: &NodeName,
        heartbeat: Option<&Heartbeat>,
        timing: &Timing,
    ) -> bool {
        let Some(heartbeat) = heartbeat else {
            return self.look(start_ms, end_ms, node, timing, None);
        };
        let same = self
            .current
            .get(node)
            .is_some_and(|(known, pid)| *known == heartbeat.incarnation && *pid == heartbeat.pid);
        let owner = Owner { node: node.clone(), incarnation: heartbeat.incarnation.clone() };
        let counter = self.seen.get(&owner).and_then(|seen| seen.counter);
        let stood_still = self.ordered && counter == Some(heartbeat.counter);
        let still = stood_still.then_some(&owner);
        let mut changed = self.look(start_ms, end_ms, node, timing, still) || !same;
        if !same {
            self.current.insert(node.clone(), (heartbeat.incarnation.clone(), heartbeat.pid));
        }
        self.expect(end_ms, &owner);
        let Some(seen) = self.seen.get_mut(&owner) else { return changed };
        let before = (seen.moved, seen.leaving, seen.may_act(timing));
        if seen.counter.is_some_and(|counter| counter != heartbeat.counter) {
            seen.moved = true;
            seen.moved_ms = end_ms;
        }
        seen.counter = Some(heartbeat.counter);
        seen.leaving = heartbeat.leaving;
        changed |= before != (seen.moved, seen.leaving, seen.may_act(timing));
        changed
    }

    /// Notes for every run of the node's program that it was looked for. `still` is known to have
    /// stood still since the last reading.
    fn look(
        &mut self,
        start_ms: u64,
        end_ms: u64,
        node: &NodeName,
        timing: &Timing,
        still: Option<&Owner>,
    ) -> bool {
        let mut changed = false;
        for (owner, seen) in self.seen.iter_mut().filter(|(owner, _)| owner.node == *node) {
            let before = seen.may_act(timing);
            let gap = start_ms.saturating_sub(seen.checked_ms) >= timing.lease_ms / 4;
            if before && gap && still != Some(owner) {
                seen.moved_ms = end_ms;
            }
            seen.checked_ms = start_ms;
            changed |= before != seen.may_act(timing);
        }
        changed
    }

    /// A claim of `owner` was seen for the first time, in a reading that is over at `now_ms`.
    ///
    /// That is a sign of life: silence counts from here, whatever was thought of the owner
    /// before. Without it an observer that was paused would believe its old opinion of a node
    /// that has come back and claimed since.
    pub fn claimed(&mut self, now_ms: u64, owner: &Owner) {
        self.expect(now_ms, owner);
        if let Some(seen) = self.seen.get_mut(owner) {
            seen.moved_ms = now_ms;
        }
    }

    fn expect(&mut self, now_ms: u64, owner: &Owner) {
        self.seen.entry(owner.clone()).or_insert(Seen {
            counter: None,
            leaving: false,
            moved_ms: now_ms,
            moved: false,
            checked_ms: now_ms,
        });
    }

    /// Whether `owner` may still act: it is not known long enough, or its counter was seen to
    /// move within the lease and the margin.
    #[must_use]
    pub fn may_act(&self, owner: &Owner, timing: &Timing) -> bool {
        self.seen.get(owner).is_none_or(|seen| seen.may_act(timing))
    }

    /// Whether the node is there; `None` while it is too early to say.
    #[must_use]
    pub fn liveness(&self, node: &NodeName, timing: &Timing) -> Option<Liveness> {
        let Some((incarnation, _)) = self.current.get(node) else {
            return Some(Liveness::NeverSeen);
        };
        let owner = Owner { node: node.clone(), incarnation: incarnation.clone() };
        let seen = self.seen.get(&owner)?;
        match (self.may_act(&owner, timing), seen.moved) {
            (false, _) => Some(Liveness::Dead),
            (true, true) => Some(Liveness::Alive),
            (true, false) => None,
        }
    }

    /// The run of the node's program that wrote last, and its process.
    #[must_use]
    pub fn incarnation(&self, node: &NodeName) -> Option<(&str, u32)> {
        self.current.get(node).map(|(incarnation, pid)| (incarnation.as_str(), *pid))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TIMING: Timing = Timing { lease_ms: 1_000, heartbeat_ms: 150, margin_ms: 100 };

    fn node() -> NodeName {
        NodeName::new("a").unwrap()
    }

    fn beat(incarnation: &str, counter: u64) -> Heartbeat {
        let incarnation = incarnation.to_owned();
        Heartbeat { node: node(), incarnation, counter, pid: 9, leaving: false }
    }

    /// Readings of one counter, 100 ms apart.
    fn still(counter: u64, from_ms: u64, to_ms: u64) -> Vec<(u64, u64, u64)> {
        let times = (from_ms..to_ms).step_by(100).chain([to_ms]);
        times.map(|at_ms| (at_ms, at_ms, counter)).collect()
    }

    /// `readings` are (start, end, counter).
    #[track_caller]
    fn check(readings: &[(u64, u64, u64)], expected: Option<Liveness>) {
        check_by(Observer::default(), readings, expected);
    }

    #[track_caller]
    fn check_by(mut observer: Observer, readings: &[(u64, u64, u64)], expected: Option<Liveness>) {
        for &(start_ms, end_ms, counter) in readings {
            observer.observe(start_ms, end_ms, &node(), Some(&beat("x", counter)), &TIMING);
        }
        assert_eq!(observer.liveness(&node(), &TIMING), expected);
    }

    #[test]
    fn only_a_counter_that_moves_is_a_sign_of_life() {
        check(&[], Some(Liveness::NeverSeen));
        check(&[(0, 0, 5)], None);
        check(&still(5, 0, 1_099), None);
        check(&still(5, 0, 1_100), Some(Liveness::Dead));
        check(&[(0, 0, 5), (200, 200, 6)], Some(Liveness::Alive));
        check(&[&[(0, 0, 5)][..], &still(6, 200, 1_299)].concat(), Some(Liveness::Alive));
        check(&[&[(0, 0, 5)][..], &still(6, 200, 1_300)].concat(), Some(Liveness::Dead));
    }

    #[test]
    fn a_pause_of_the_observer_inside_a_reading_never_makes_a_node_dead() {
        check(&[(0, 10, 5), (200, 60_000, 5)], None);
        check(&[(0, 60_000, 5), (60_200, 60_200, 5)], None);
        check(&[&[(0, 59_900, 5)][..], &still(5, 60_000, 60_999)].concat(), None);
        check(&[&[(0, 59_900, 5)][..], &still(5, 60_000, 61_000)].concat(), Some(Liveness::Dead));
    }

    /// Between the readings the counter may have come back to where it was, with an old heartbeat
    /// that arrived late.
    #[test]
    fn silence_is_not_counted_over_a_gap_between_readings() {
        check(&[(0, 0, 5), (5_000, 5_000, 5)], None);
        check(&[&[(0, 0, 5)][..], &still(5, 5_000, 6_099)].concat(), None);
        check(&[&[(0, 0, 5)][..], &still(5, 5_000, 6_100)].concat(), Some(Liveness::Dead));
    }

    #[test]
    fn a_heartbeat_that_cannot_come_back_has_stood_still_over_a_gap() {
        let check = |readings: &[(u64, u64, u64)], expected| {
            check_by(Observer::new(true), readings, expected);
        };
        check(&[(0, 0, 5), (1_099, 1_099, 5)], None);
        check(&[(0, 0, 5), (1_100, 1_100, 5)], Some(Liveness::Dead));
        check(&[(0, 0, 5), (1_099, 60_000, 5)], None);
        check(&[(0, 0, 5), (5_000, 5_000, 6), (6_099, 6_099, 6)], Some(Liveness::Alive));
        check(&[(0, 0, 5), (5_000, 5_000, 6), (6_100, 6_100, 6)], Some(Liveness::Dead));
    }

    fn observe(observer: &mut Observer, from_ms: u64, to_ms: u64, heartbeat: Option<&Heartbeat>) {
        for (start_ms, end_ms, _) in still(0, from_ms, to_ms) {
            observer.observe(start_ms, end_ms, &node(), heartbeat, &TIMING);
        }
    }

    fn owner(incarnation: &str) -> Owner {
        Owner { node: node(), incarnation: incarnation.into() }
    }

    #[test]
    fn a_new_run_of_the_program_does_not_keep_the_old_one_alive() {
        let mut observer = Observer::default();
        observe(&mut observer, 0, 0, Some(&beat("old", 5)));
        observe(&mut observer, 100, 1_100, Some(&beat("old", 6)));
        observe(&mut observer, 1_199, 1_199, Some(&beat("new", 1)));
        assert!(observer.may_act(&owner("old"), &TIMING));
        observe(&mut observer, 1_200, 1_200, Some(&beat("new", 2)));
        assert!(!observer.may_act(&owner("old"), &TIMING));
        assert!(observer.may_act(&owner("new"), &TIMING));
    }

    /// The old run may have beaten until the new one began.
    #[test]
    fn an_old_run_is_waited_for_from_the_end_of_a_gap_in_which_the_new_one_began() {
        for ordered in [false, true] {
            let mut observer = Observer::new(ordered);
            observe(&mut observer, 0, 0, Some(&beat("old", 5)));
            observe(&mut observer, 2_000, 3_099, Some(&beat("new", 1)));
            assert!(observer.may_act(&owner("old"), &TIMING));
            observe(&mut observer, 3_100, 3_100, Some(&beat("new", 2)));
            assert!(!observer.may_act(&owner("old"), &TIMING));
        }
    }

    #[test]
    fn a_claim_counts_as_a_sign_of_life_of_a_node_thought_dead() {
        let mut observer = Observer::default();
        observe(&mut observer, 0, 2_000, Some(&beat("x", 5)));
        assert!(!observer.may_act(&owner("x"), &TIMING));
        observer.claimed(2_050, &owner("x"));
        assert!(observer.may_act(&owner("x"), &TIMING));
        observe(&mut observer, 2_100, 3_150, Some(&beat("x", 5)));
        assert!(!observer.may_act(&owner("x"), &TIMING));
    }

    #[test]
    fn an_owner_never_seen_is_waited_for_from_the_moment_it_is_named() {
        let mut observer = Observer::default();
        observer.claimed(5_000, &owner("ghost"));
        observe(&mut observer, 5_100, 6_099, None);
        assert!(observer.may_act(&owner("ghost"), &TIMING));
        observe(&mut observer, 6_100, 6_100, None);
        assert!(!observer.may_act(&owner("ghost"), &TIMING));
    }
}
