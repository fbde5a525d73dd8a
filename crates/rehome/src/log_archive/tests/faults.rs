//! A disk of the set, or of the store, that fails or loses power at any call.

use std::sync::Arc;

use rehome_archive::{CheckLevel, Set, Until};
use rehome_log::{Disk, Fault, Lsn, SimDisk};
use rehome_store::Store;

use super::{Scene, Seen, options, restore, seen, target};
use crate::error::Error;

/// A store with a letter, archived; then two more letters, which are to be archived.
fn scene(first_round: bool) -> (Scene, Vec<(Lsn, Seen)>) {
    let scene = Scene::new();
    let anna = scene.make("anna");
    let mut moments = vec![(scene.deliver(anna, "one"), seen(&scene.store))];
    if first_round {
        scene.archive().expect("room");
        moments.push((scene.deliver(anna, "two"), seen(&scene.store)));
        moments.push((scene.deliver(anna, "three"), seen(&scene.store)));
    }
    (scene, moments)
}

/// Every moment that the store has noted as archived comes back, and the set is whole.
#[track_caller]
fn check(disk: SimDisk, moments: &[(Lsn, Seen)], archived: Lsn, context: &str) {
    let Ok(set) = Set::open(target(&Arc::new(disk))) else {
        assert_eq!(archived, Lsn::ZERO, "{context}: the set is gone");
        return;
    };
    let report = set.check_logs(CheckLevel::Deep, &mut |_| {}).expect("readable");
    assert!(report.damage.is_empty(), "{context}: {report:?}");
    for (lsn, expected) in moments.iter().filter(|(lsn, _)| *lsn <= archived) {
        let (store, _) = restore(&set, Until::Lsn(*lsn))
            .unwrap_or_else(|error| panic!("{context}, to {lsn}: {error}"));
        assert_eq!(seen(&store), *expected, "{context}, to {lsn}");
    }
}

/// What the store has noted as archived and may have given up; zero before a base is.
fn noted(store: &Store, set: &SimDisk) -> Lsn {
    let has_base = Set::open(target(&Arc::new(set.restart())))
        .and_then(|set| set.list())
        .is_ok_and(|all| all.iter().any(|one| one.log_follows().is_some()));
    match store.log_policy().expect("open") {
        rehome_store::LogPolicy::Archived { archived_until, .. } if has_base => archived_until,
        _ => Lsn::ZERO,
    }
}

/// Archives with `fault` at each call of the set's disk; returns how many rounds failed.
fn torture(fault: Fault, first_round: bool) -> usize {
    let (clean, _) = scene(first_round);
    let before = clean.set.ops();
    clean.archive().expect("room");
    let calls = clean.set.ops() - before;
    let mut failed = 0;
    for call in 0..calls {
        let (mut scene, moments) = scene(first_round);
        scene.set.fail_after(call, fault);
        let archived = scene.archive();
        failed += usize::from(archived.is_err());
        let context = format!("{fault:?} at call {call} of {calls}: {archived:?}");
        let archived = noted(&scene.store, &scene.set);
        for seed in 0..2 {
            let context = format!("{context}, crash {seed}");
            check(scene.set.crash(seed), &moments, archived, &context);
        }
        scene.set.heal();
        scene.set = Arc::new(match fault {
            Fault::PowerCut => scene.set.crash(9),
            _ => scene.set.restart(),
        });
        scene.archive().unwrap_or_else(|error| panic!("{context}, again: {error}"));
        check(scene.set.crash(1), &moments, scene.store.lsn(), &format!("{context}, again"));
    }
    failed
}

#[test]
fn an_error_at_any_call_of_the_set_costs_no_moment_and_the_rerun_finishes() {
    for first_round in [false, true] {
        assert!(torture(Fault::Eio, first_round) > 10);
        assert!(torture(Fault::Enospc, first_round) > 5);
    }
}

#[test]
fn a_failed_sync_or_a_power_cut_of_the_set_costs_no_moment_and_the_rerun_finishes() {
    for first_round in [false, true] {
        assert!(torture(Fault::FsyncEio, first_round) > 3);
        assert!(torture(Fault::PowerCut, first_round) > 10);
    }
}

/// The store's disk fails while it is archived, and the store is opened again.
#[track_caller]
fn check_store(fault: Fault, call: u64) -> Result<(), Error> {
    let (mut scene, moments) = scene(true);
    scene.disk.fail_after(call, fault);
    let archived = scene.archive();
    let context = format!("{fault:?} at call {call} of the store");
    scene.disk.heal();
    let disk = Arc::new(scene.disk.crash(call));
    let reopened = Store::open(disk.clone(), scene.clock.clone(), options());
    scene.store = reopened.unwrap_or_else(|error| panic!("{context}: {error}"));
    scene.disk = disk;
    let last = scene.store.lsn();
    scene.archive().unwrap_or_else(|error| panic!("{context}, again: {error}"));
    check(scene.set.crash(1), &moments, last, &context);
    archived.map(drop)
}

#[test]
fn a_disk_of_the_store_that_fails_while_it_is_archived_costs_no_moment() {
    let (clean, _) = scene(true);
    let before = clean.disk.ops();
    clean.archive().expect("room");
    let calls = clean.disk.ops() - before;
    for fault in [Fault::Eio, Fault::Enospc, Fault::FsyncEio, Fault::PowerCut] {
        let failed = (0..calls).filter(|call| check_store(fault, *call).is_err()).count();
        assert!(failed > 0, "{fault:?}");
    }
}

/// A restore onto a disk that fails sets nothing up that opens, and the next one is whole.
#[test]
fn a_restore_onto_a_disk_that_fails_leaves_no_store_that_opens() {
    let (scene, moments) = scene(true);
    scene.archive().expect("room");
    let set = super::set(&scene.set);
    let (lsn, expected) = moments.last().expect("some");
    let plan = set.plan_restore(Until::Lsn(*lsn)).expect("intact");
    let lay = |disk: &Arc<SimDisk>| {
        let (disk, clock): (Arc<dyn Disk>, _) = (disk.clone(), scene.clock.clone());
        crate::replay::replay(&set, &plan, disk, clock, options(), &mut crate::testing::quiet)
    };
    let clean = Arc::new(SimDisk::new());
    lay(&clean).expect("room");
    for fault in [Fault::Eio, Fault::Enospc, Fault::FsyncEio, Fault::PowerCut] {
        for call in 0..clean.ops() {
            let disk = Arc::new(SimDisk::new());
            disk.fail_after(call, fault);
            if lay(&disk).is_ok() {
                continue;
            }
            disk.heal();
            let opened = Store::open(Arc::new(disk.crash(call)), scene.clock.clone(), options());
            opened.expect_err("it is not finished, and nobody has its marker");
        }
    }
    super::check(&set, Until::Lsn(*lsn), expected);
}
