//! The power cut at every call into the world and at every operation of the disk.

use std::sync::Arc;

use rehome_log::{Fault, SimDisk};
use rehome_planner::{Plan, RouteChoice};

use super::world::{PowerCut, World, plan_by, quiet};
use super::{BOTH, open};
use crate::outcome::{End, Run};
use crate::{ExecutorError, Operations};

/// What is called: a run to the end, or a run to the gate and then all of it back.
type Work = fn(&Plan, &Arc<SimDisk>, &mut dyn Operations) -> Result<Run, ExecutorError>;

fn run(
    plan: &Plan,
    disk: &Arc<SimDisk>,
    operations: &mut dyn Operations,
) -> Result<Run, ExecutorError> {
    open(plan, disk)?.run(operations, &mut quiet)
}

fn back_out(
    plan: &Plan,
    disk: &Arc<SimDisk>,
    operations: &mut dyn Operations,
) -> Result<Run, ExecutorError> {
    let mut executor = open(plan, disk)?;
    match executor.run(operations, &mut quiet) {
        Ok(Run { end: End::WaitingAtGate { .. }, .. }) | Err(ExecutorError::BackedOut { .. }) => {}
        other => return other,
    }
    executor.back_out(operations, &mut quiet)
}

/// A run to the gate, and the move taken back.
fn reverse(
    plan: &Plan,
    disk: &Arc<SimDisk>,
    operations: &mut dyn Operations,
) -> Result<Run, ExecutorError> {
    let mut executor = open(plan, disk)?;
    match executor.run(operations, &mut quiet) {
        Ok(Run { end: End::WaitingAtGate { .. }, .. }) | Err(ExecutorError::Reversing { .. }) => {}
        other => return other,
    }
    executor.reverse(&["M1".into()], operations, &mut quiet)
}

/// After the power cut, the same work on what the disk kept comes to its end.
#[track_caller]
fn check(plan: &Plan, disk: &SimDisk, world: &mut World, seed: u64, (work, end): (Work, &End)) {
    world.power_cut = None;
    let disk = Arc::new(disk.crash(seed));
    match work(plan, &disk, world) {
        Ok(run) => assert_eq!(run.end, *end, "seed {seed}"),
        Err(error) => panic!("seed {seed}: {error}"),
    }
    match end {
        End::Done => world.assert_each_effect_once(plan),
        End::Reversed => {
            assert_eq!(world.effects.get(&"M1".into()), Some(&0), "seed {seed}");
            assert_eq!(world.effects.get(&"M2".into()), Some(&1), "seed {seed}: it stays");
        }
        _ => {
            let undoable = plan
                .steps
                .iter()
                .filter(|step| matches!(step.undo, rehome_planner::Undo::By { .. }));
            for step in undoable {
                let left = world.effects.get(&step.id).copied().unwrap_or(0);
                assert_eq!(left, 0, "seed {seed}: {} is left", step.id);
            }
        }
    }
}

fn cut_at_every_call(route: RouteChoice, gates_open: bool, work: (Work, &End)) {
    let plan = plan_by(route);
    let mut counted = World::new(&plan);
    counted.gates_open = gates_open;
    let whole = work.0(&plan, &Arc::new(SimDisk::new()), &mut counted).unwrap();
    assert_eq!(whole.end, *work.1);
    for call in 0..counted.calls {
        for after_effect in [false, true] {
            let disk = Arc::new(SimDisk::new());
            let mut world = World::new(&plan);
            world.gates_open = gates_open;
            world.power_cut = Some((PowerCut { call, after_effect }, disk.clone()));
            let ended = work.0(&plan, &disk, &mut world);
            let killed = !matches!(&ended, Ok(run) if run.end == *work.1);
            assert!(killed, "call {call} was not reached");
            check(&plan, &disk, &mut world, u64::from(call), work);
        }
    }
}

fn cut_at_every_disk_operation(route: RouteChoice, gates_open: bool, work: (Work, &End)) {
    let plan = plan_by(route);
    let clean = Arc::new(SimDisk::new());
    let mut world = World::new(&plan);
    world.gates_open = gates_open;
    work.0(&plan, &clean, &mut world).unwrap();
    for operation in 0..clean.ops() {
        for seed in [operation, operation + 7919] {
            let disk = Arc::new(SimDisk::new());
            disk.fail_after(operation, Fault::PowerCut);
            let mut world = World::new(&plan);
            world.gates_open = gates_open;
            // How it ends does not matter: the power is gone.
            drop(work.0(&plan, &disk, &mut world));
            check(&plan, &disk, &mut world, seed, work);
        }
    }
}

#[test]
fn a_plan_killed_at_any_call_goes_on_to_its_end() {
    for route in BOTH {
        cut_at_every_call(route, true, (run, &End::Done));
    }
}

#[test]
fn a_plan_killed_at_any_disk_operation_goes_on_to_its_end() {
    for route in BOTH {
        cut_at_every_disk_operation(route, true, (run, &End::Done));
    }
}

#[test]
fn a_reversal_killed_anywhere_goes_on_to_its_end() {
    cut_at_every_call(RouteChoice::MoveUsers, false, (reverse, &End::Reversed));
    cut_at_every_disk_operation(RouteChoice::MoveUsers, false, (reverse, &End::Reversed));
}

#[test]
fn a_way_back_killed_anywhere_goes_on_to_its_end() {
    for route in BOTH {
        cut_at_every_call(route, false, (back_out, &End::BackedOut));
        cut_at_every_disk_operation(route, false, (back_out, &End::BackedOut));
    }
}
