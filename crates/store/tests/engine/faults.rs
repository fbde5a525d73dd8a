//! Random work on a disk that fails: what was acknowledged is there afterwards, and nothing that
//! was never asked for.

use std::sync::Arc;

use rehome_log::{Fault, SimDisk, SplitMix64};
use rehome_store::{Store, StoreError};

use crate::model::{Model, Step, index};
use crate::support::{check_whole, clock, new_store, open, options};

/// Steps of a run.
const STEPS: usize = 40;

/// Seeds from `first` on: `count` of them, or as many as `REHOME_SEEDS` says.
fn seeds(first: u64, count: u64) -> std::ops::Range<u64> {
    let asked = std::env::var("REHOME_SEEDS").ok().and_then(|text| text.parse().ok());
    first..first + asked.unwrap_or(count)
}

/// What a run was left with.
struct Left {
    /// After the last step that was acknowledged.
    certain: Model,
    /// After the step whose outcome is unknown.
    possible: Option<Model>,
}

/// Works until a step fails, or to the end. Errors other than a full disk end the run.
fn work(
    disk: &Arc<SimDisk>,
    store: Store,
    mut certain: Model,
    random: &mut SplitMix64,
    steps: usize,
) -> Left {
    let mut store = Some(store);
    for _ in 0..steps {
        let step = certain.choose(random);
        let next = certain.after(&step);
        if let Step::Reopen { close } = step {
            match reopen(disk, store.take().expect("it is there but for here"), close) {
                Ok(opened) => store = Some(opened),
                Err(error) => return left(certain, None, &error),
            }
            continue;
        }
        let now = store.as_ref().expect("it is there but for a reopening");
        match (certain.call(now, &step), next) {
            (Ok(()), Some(next)) => certain = next,
            (Ok(()), None) => panic!("{step:?} was to be refused"),
            (Err(StoreError::NotActive { .. }), None) => {}
            (Err(StoreError::DiskFull { .. }), _) => {
                if random.chance(50) {
                    disk.heal();
                }
            }
            (Err(error), next) => return left(certain, next, &error),
        }
    }
    Left { certain, possible: None }
}

fn left(certain: Model, possible: Option<Model>, error: &StoreError) -> Left {
    let honest = !matches!(error, StoreError::Damaged { .. } | StoreError::NotActive { .. });
    assert!(honest, "a failing disk is no damage: {error}");
    Left { certain, possible }
}

fn reopen(disk: &Arc<SimDisk>, store: Store, close: bool) -> Result<Store, StoreError> {
    if close {
        store.close()?;
    } else {
        drop(store);
    }
    open(disk)
}

/// Opens what is left of the store; the disk may fail more than once on the way.
fn recover(disk: SimDisk, random: &mut SplitMix64) -> (Arc<SimDisk>, Store) {
    let mut disk = Arc::new(disk);
    while random.chance(40) {
        let fault = [Fault::PowerCut, Fault::Eio, Fault::FsyncEio][index(random, 3)];
        disk.fail_after(random.below(120), fault);
        drop(open(&disk));
        let cut = fault == Fault::PowerCut || random.chance(50);
        let image = if cut { disk.crash(random.next_u64()) } else { disk.restart() };
        image.heal();
        disk = Arc::new(image);
    }
    let store = open(&disk).unwrap_or_else(|error| panic!("it does not open: {error}"));
    (disk, store)
}

/// Works, fails, recovers, compares, and works again, three times over.
fn check(seed: u64, faults: &[Fault]) {
    println!("seed {seed}");
    let mut random = SplitMix64::new(seed);
    let (mut disk, mut store) = new_store();
    let mut model = Model::default();
    for _ in 0..3 {
        let fault = faults[index(&mut random, faults.len())];
        disk.fail_after(random.below(900), fault);
        let left = work(&disk, store, model, &mut random, STEPS);
        let image = match fault {
            Fault::PowerCut => disk.crash(random.next_u64()),
            _ if random.chance(50) => disk.crash(random.next_u64()),
            _ => disk.restart(),
        };
        (disk, store) = recover(image, &mut random);
        disk.heal();
        let found = Model::of(&store).unwrap();
        let good = found == left.certain || Some(&found) == left.possible.as_ref();
        assert!(
            good,
            "seed {seed}, {fault:?}: found {found:#?}\nnot {:#?}\nand not {:#?}",
            left.certain, left.possible
        );
        check_whole(&store);
        model = found;
    }
}

#[test]
fn a_power_cut_at_any_moment_loses_nothing_acknowledged() {
    seeds(0, 200).for_each(|seed| check(seed, &[Fault::PowerCut]));
}

#[test]
fn failing_calls_and_syncs_lose_nothing_acknowledged() {
    seeds(1_000_000, 120).for_each(|seed| check(seed, &[Fault::Eio, Fault::FsyncEio]));
}

#[test]
fn a_full_disk_loses_nothing_and_stops_nothing_for_good() {
    seeds(2_000_000, 80).for_each(|seed| check(seed, &[Fault::Enospc]));
}

#[test]
fn a_power_cut_at_each_call_of_a_script_loses_nothing_acknowledged() {
    let run = |cut: Option<u64>| -> u64 {
        let mut random = SplitMix64::new(42);
        let (disk, store) = new_store();
        let before = disk.ops();
        if let Some(cut) = cut {
            disk.fail_after(cut, Fault::PowerCut);
        }
        let left = work(&disk, store, Model::default(), &mut random, 25);
        let calls = disk.ops() - before;
        let disk = Arc::new(disk.crash(cut.unwrap_or(0)));
        let store = open(&disk).unwrap_or_else(|error| panic!("cut at {cut:?}: {error}"));
        let found = Model::of(&store).unwrap();
        let good = found == left.certain || Some(&found) == left.possible.as_ref();
        assert!(good, "cut at {cut:?}");
        check_whole(&store);
        calls
    };
    let calls = run(None);
    assert!(calls > 100, "{calls}");
    for cut in 0..calls {
        run(Some(cut));
    }
}

#[test]
fn a_creation_that_is_cut_short_can_be_done_again() {
    let mut finished = false;
    for cut in 0..400 {
        let disk = Arc::new(SimDisk::new());
        disk.fail_after(cut, Fault::PowerCut);
        let created = Store::create(disk.clone(), clock(), options()).is_ok();
        let disk = Arc::new(disk.crash(cut));
        let store = match open(&disk) {
            Err(StoreError::NoStore { .. }) => {
                assert!(!created, "cut at {cut}");
                Store::create(disk.clone(), clock(), options())
            }
            opened => opened,
        };
        let store = store.unwrap_or_else(|error| panic!("cut at {cut}: {error}"));
        check_whole(&store);
        finished |= created;
    }
    assert!(finished, "400 calls are not enough to create a store");
}
