//! Random work until the disk fails, the crash, the recovery that crashes too, and the comparison.

use std::sync::Arc;

use rehome::parts::log::SplitMix64;
use rehome::parts::store::{Store, StoreError};

use super::keeper::{Keeper, clock, honest, options};
use super::rig::{Rig, Site, Trouble};
use super::steps::index;
use super::{Failure, Tally};

/// Calls to the store before the disk may fail, at most, and after that.
const STEPS: usize = 40;
/// Calls of the disk among which it fails.
const CALLS: u64 = 500;

/// One crash of a store at work.
pub(super) fn point(
    lie: Option<Site>,
    random: &mut SplitMix64,
    tally: &mut Tally,
) -> Result<(), Failure> {
    let mut keeper = Keeper::new(lie, random)?;
    let steps = index(random, STEPS);
    keeper.work(steps, random)?;
    let trouble = Trouble::ALL[index(random, Trouble::ALL.len())];
    keeper.rig.plan(trouble, random.below(CALLS), random);
    keeper.work(STEPS, random)?;
    tally.crash(trouble);
    keeper.crash(trouble, random);
    keeper.recover(random, tally)?;
    keeper.compare()?;
    let steps = index(random, 8);
    keeper.work(steps, random)?;
    keeper.compare()?;
    keeper.close_and_compare()
}

/// One crash of a creation, which can be done again.
pub(super) fn creation(
    lie: Option<Site>,
    random: &mut SplitMix64,
    tally: &mut Tally,
) -> Result<(), Failure> {
    let (mut rig, options) = (Arc::new(Rig::new(lie)), options(random));
    let mut made = false;
    for _ in 0..4 {
        let trouble = Trouble::ALL[index(random, Trouble::ALL.len())];
        rig.plan(trouble, random.below(120), random);
        let created = Store::create(rig.clone(), clock(), options.clone());
        match created {
            Ok(store) => drop((store, made = true)),
            Err(error) => honest(&error)?,
        }
        tally.crash(trouble);
        let cut = trouble == Trouble::PowerCut || random.chance(50);
        let left = if cut { rig.crash(random.next_u64()) } else { rig.restart() };
        left.heal();
        rig = Arc::new(left);
        if made {
            break;
        }
    }
    let store = match Store::open(rig.clone(), clock(), options.clone()) {
        Err(StoreError::NoStore { .. }) if !made => {
            Store::create(rig.clone(), clock(), options.clone())
        }
        opened => opened,
    };
    let store = store.map_err(Failure::of("a store whose creation was cut short"))?;
    let mut keeper = Keeper::of(rig, store, options);
    keeper.compare()?;
    keeper.work(5, random)?;
    keeper.compare()
}
