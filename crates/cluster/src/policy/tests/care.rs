//! Restarts that come at once, maintenance, going back, and power that is switched off first.

use super::*;
use crate::configuration::{Failback, FenceConfig};

#[test]
fn what_has_run_for_a_while_is_restarted_at_once_and_what_has_not_later_each_time() {
    let mut bench = Bench::new(|next| next.groups[0].resources[0].restart_threshold = 100);
    bench.check(&UP);
    for _ in 0..20 {
        bench.pass(1_000);
        bench.fail("store");
        bench.check(&["online store"]);
    }
    bench.fail("store");
    bench.pass(200);
    bench.check(&[]);
    bench.pass(50);
    bench.check(&["online store"]);
    bench.fail("store");
    bench.pass(450);
    bench.check(&[]);
    bench.pass(50);
    bench.check(&["online store"]);
}

#[test]
fn in_maintenance_nothing_is_started_stopped_or_moved_until_it_is_over() {
    let mut bench = Bench::new(|_| {});
    bench.check(&UP);
    bench.reconfigure(|next| next.maintenance = true);
    bench.fail("store");
    bench.reconfigure(|next| next.request_move(&mail(), &node("b"), 1).unwrap());
    bench.pass(10_000);
    bench.check(&[]);
    assert_eq!(bench.state("store"), ResourceState::Failed);
    bench.reconfigure(|next| next.maintenance = false);
    bench.pass(100);
    bench.check(&["offline directory", "offline disk", "release 1 to b"]);
}

#[test]
fn in_maintenance_a_lost_lease_ends_everything_and_a_node_that_stops_takes_its_own_along() {
    let mut bench = Bench::new(|_| {});
    bench.check(&UP);
    bench.reconfigure(|next| next.maintenance = true);
    bench.feed(Event::LeaseLost);
    bench.check(&[
        "terminate store",
        "terminate directory",
        "terminate disk",
        "release 1 to anybody",
    ]);
    bench.pass(5_000);
    bench.check(&[]);
    bench.reconfigure(|next| next.maintenance = false);
    bench.pass(100);
    bench.check(&["claim 2", "online disk", "online directory", "online store"]);
    bench.reconfigure(|next| next.maintenance = true);
    bench.feed(Event::Stop);
    bench.pass(100);
    bench.check(&["offline store", "offline directory", "offline disk", "release 2 to b"]);
}

/// The group prefers b, and goes back to it.
fn goes_back(windows: &[&str]) -> Bench {
    let windows = windows.iter().map(|text| text.parse().unwrap()).collect();
    let failback = Some(Failback { windows, after_ms: 5_000 });
    let mut bench = Bench::new(|next| {
        next.set_failback(&mail(), &[node("b"), node("a")], failback).unwrap();
    });
    // The preferred node comes first; it does not take the group here.
    bench.pass(2_000);
    bench.check(&UP);
    bench
}

const BACK: [&str; 4] = ["offline store", "offline directory", "offline disk", "release 1 to b"];

#[test]
fn a_group_goes_back_to_a_preferred_node_that_has_been_there_for_a_while() {
    let mut bench = goes_back(&[]);
    bench.b_alive = false;
    bench.pass(10_000);
    bench.check(&[]);
    bench.b_alive = true;
    bench.pass(4_900);
    bench.check(&[]);
    bench.pass(300);
    bench.check(&BACK);
}

#[test]
fn a_group_goes_back_only_while_the_window_is_open() {
    let mut bench = goes_back(&["22:00-06:00"]);
    bench.pass(10_000);
    bench.check(&[]);
    bench.feed(Event::Minute(12 * 60));
    bench.pass(1_000);
    bench.check(&[]);
    bench.feed(Event::Minute(22 * 60));
    bench.check(&BACK);
}

/// The group is b's, and b has died.
fn followed(fence: bool) -> Bench {
    let mut bench = Bench::new(|next| {
        next.maintenance = true;
        let agent = "/usr/sbin/fence_test".into();
        let fence =
            fence.then(|| FenceConfig { agent, parameters: BTreeMap::new(), timeout_ms: 9 });
        next.set_fence(&node("b"), fence).unwrap();
    });
    let (owner, reason) = (owner("b"), "a test".to_owned());
    let claim = Claim { epoch: 1, owner, attempt: 1, reason, failover_ages_ms: Vec::new() };
    let ownership = Some(Ownership { claim, release: None });
    bench.feed(Event::Ownership { group: mail(), ownership });
    bench.reconfigure(|next| next.maintenance = false);
    bench.pass(5_000);
    bench.check(&[]);
    bench.b_alive = false;
    bench.pass(2_300);
    bench
}

const FOLLOWED: [&str; 4] = ["claim 2", "online disk", "online directory", "online store"];

#[test]
fn a_node_whose_power_can_be_switched_off_is_followed_when_it_is_off_and_not_before() {
    let mut bench = followed(false);
    bench.check(&FOLLOWED);
    let mut bench = followed(true);
    bench.check(&["fence b"]);
    bench.pass(60_000);
    bench.check(&[]);
    let answer = |result| Event::Fenced { group: mail(), owner: owner("b"), result };
    bench.feed(answer(Err("no such plug".to_owned())));
    bench.pass(4_900);
    bench.check(&[]);
    bench.pass(200);
    bench.check(&["fence b"]);
    bench.feed(answer(Ok(())));
    bench.pass(100);
    bench.check(&FOLLOWED);
}
