//! Whole layers: nothing happens; one taken out: it is seen.

use super::*;

/// Seeds within which a layer that is taken out must be missed.
const CAUGHT_WITHIN: u64 = 10_000;

fn number(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}

#[test]
fn there_are_never_two_owners_nothing_is_lost_and_there_is_an_owner_when_the_faults_end() {
    let simulation = Simulation::new(None).unwrap();
    let (first, seeds) = (number("REHOME_SEED", 1), number("REHOME_SEEDS", 200));
    let (mut epochs, mut acknowledged) = (0, 0);
    for seed in first..first + seeds {
        let outcome = simulation.run(seed);
        assert_eq!(outcome.trouble, None, "REHOME_SEED={seed} REHOME_SEEDS=1");
        epochs += outcome.epochs;
        acknowledged += outcome.acknowledged;
    }
    assert!(epochs > 2 * seeds, "only {epochs} epochs: too few faults to prove much");
    assert!(acknowledged > 50 * seeds, "only {acknowledged} writes: too few to prove much");
}

#[test]
fn the_same_seed_gives_the_same_run() {
    let simulation = Simulation::new(None).unwrap();
    assert_eq!(simulation.run(7), simulation.run(7));
}

#[track_caller]
fn check_caught(without: Layer, expected: &[Trouble]) {
    let simulation = Simulation::new(Some(without)).unwrap();
    let run = |seed| Some((seed, simulation.run(seed).trouble?));
    let caught = (1..=CAUGHT_WITHIN).find_map(run);
    let (seed, (trouble, seen)) = caught.expect("so many seeds see it");
    assert!(expected.contains(&trouble), "seed {seed}: {trouble:?}: {seen}");
}

#[test]
fn without_the_deadline_two_own_it() {
    check_caught(Layer::Deadline, &[Trouble::TwoOwners, Trouble::EarlyRelease]);
}

#[test]
fn without_the_seal_acknowledged_writes_are_lost() {
    check_caught(Layer::Seal, &[Trouble::LostWrite]);
}

#[test]
fn without_the_wait_two_own_it() {
    check_caught(Layer::Wait, &[Trouble::TwoOwners]);
}

#[test]
fn without_the_lock_two_have_the_store_open() {
    check_caught(Layer::Lock, &[Trouble::TwoOpen]);
}
