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

/// Watches heartbeats. Pure: the caller brings the heartbeats and the time of its own clock.
///
/// A reading has a start and an end. Silence is counted from the *end* of the reading that saw
/// the counter move to the *start* of the last one that saw it stand still, so that a pause of
/// the observer at any point makes it wait longer, never shorter.
#[derive(Debug, Clone, Default)]
pub struct Observer {
    seen: BTreeMap<Owner, Seen>,
    current: BTreeMap<NodeName, (String, u32)>,
}

impl Observer {
    /// Takes note of a reading of a node's heartbeat that began at `start_ms` and was over at
    /// `end_ms`. A reading that failed is not noted at all.
    pub fn observe(
        &mut self,
        start_ms: u64,
        end_ms: u64,
        node: &NodeName,
        heartbeat: Option<&Heartbeat>,
    ) {
        for (owner, seen) in &mut self.seen {
            if owner.node == *node {
                seen.checked_ms = start_ms;
            }
        }
        let Some(heartbeat) = heartbeat else { return };
        let owner = Owner { node: node.clone(), incarnation: heartbeat.incarnation.clone() };
        self.current.insert(node.clone(), (heartbeat.incarnation.clone(), heartbeat.pid));
        self.expect(end_ms, &owner);
        let Some(seen) = self.seen.get_mut(&owner) else { return };
        if seen.counter.is_some_and(|counter| counter != heartbeat.counter) {
            seen.moved = true;
            seen.moved_ms = end_ms;
        }
        seen.counter = Some(heartbeat.counter);
        seen.leaving = heartbeat.leaving;
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
        let Some(seen) = self.seen.get(owner) else { return true };
        let wait_ms = timing.lease_ms.saturating_add(timing.margin_ms);
        !seen.leaving && seen.checked_ms < seen.moved_ms.saturating_add(wait_ms)
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

    /// `readings` are (start, end, counter).
    #[track_caller]
    fn check(readings: &[(u64, u64, u64)], expected: Option<Liveness>) {
        let mut observer = Observer::default();
        for &(start_ms, end_ms, counter) in readings {
            observer.observe(start_ms, end_ms, &node(), Some(&beat("x", counter)));
        }
        assert_eq!(observer.liveness(&node(), &TIMING), expected);
    }

    #[test]
    fn only_a_counter_that_moves_is_a_sign_of_life() {
        check(&[], Some(Liveness::NeverSeen));
        check(&[(0, 0, 5)], None);
        check(&[(0, 0, 5), (1_099, 1_099, 5)], None);
        check(&[(0, 0, 5), (1_100, 1_100, 5)], Some(Liveness::Dead));
        check(&[(0, 0, 5), (900, 900, 6)], Some(Liveness::Alive));
        check(&[(0, 0, 5), (900, 900, 6), (2_000, 2_000, 6)], Some(Liveness::Dead));
    }

    #[test]
    fn a_pause_of_the_observer_inside_a_reading_never_makes_a_node_dead() {
        check(&[(0, 10, 5), (300, 60_000, 5)], None);
        check(&[(0, 60_000, 5), (60_300, 60_300, 5)], None);
        check(&[(0, 60_000, 5), (61_100, 61_100, 5)], Some(Liveness::Dead));
    }

    #[test]
    fn a_new_run_of_the_program_does_not_keep_the_old_one_alive() {
        let mut observer = Observer::default();
        observer.observe(0, 0, &node(), Some(&beat("old", 5)));
        observer.observe(500, 500, &node(), Some(&beat("old", 6)));
        observer.observe(1_599, 1_599, &node(), Some(&beat("new", 1)));
        let owner = |incarnation: &str| Owner { node: node(), incarnation: incarnation.into() };
        assert!(observer.may_act(&owner("old"), &TIMING));
        observer.observe(1_600, 1_600, &node(), Some(&beat("new", 2)));
        assert!(!observer.may_act(&owner("old"), &TIMING));
        assert!(observer.may_act(&owner("new"), &TIMING));
    }

    #[test]
    fn a_claim_counts_as_a_sign_of_life_of_a_node_thought_dead() {
        let mut observer = Observer::default();
        let owner = Owner { node: node(), incarnation: "x".into() };
        observer.observe(0, 0, &node(), Some(&beat("x", 5)));
        observer.observe(2_000, 2_000, &node(), Some(&beat("x", 5)));
        assert!(!observer.may_act(&owner, &TIMING));
        observer.claimed(9_000, &owner);
        assert!(observer.may_act(&owner, &TIMING));
        observer.observe(10_100, 10_100, &node(), Some(&beat("x", 5)));
        assert!(!observer.may_act(&owner, &TIMING));
    }

    #[test]
    fn an_owner_never_seen_is_waited_for_from_the_moment_it_is_named() {
        let mut observer = Observer::default();
        let owner = Owner { node: node(), incarnation: "ghost".into() };
        observer.claimed(5_000, &owner);
        observer.observe(6_099, 6_099, &node(), None);
        assert!(observer.may_act(&owner, &TIMING));
        observer.observe(6_100, 6_100, &node(), None);
        assert!(!observer.may_act(&owner, &TIMING));
    }
}
