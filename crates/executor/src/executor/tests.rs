//! Plans carried out in a world of memory, killed everywhere, taken back.

mod kill;
mod world;

use rehome_log::SimDisk;
use rehome_planner::{RouteChoice, StepState};

use super::*;
use crate::operations::{CheckOutcome, Gate, GateRefusal};
use world::{World, plan_by, quiet};

const BOTH: [RouteChoice; 2] = [RouteChoice::MoveUsers, RouteChoice::DisasterRecovery];

fn open(plan: &Plan, disk: &Arc<SimDisk>) -> Result<Executor, ExecutorError> {
    let name = FileName::new("run/journal").expect("it is a file name");
    let clock = Arc::new(rehome_log::ManualClock::new(1_000_000));
    Executor::open(plan.clone(), &plan.inventory_hash, disk.clone(), name, clock)
}

/// A world, and an executor that has not begun.
fn begin(route: RouteChoice) -> (World, Executor) {
    let plan = plan_by(route);
    let disk = Arc::new(SimDisk::new());
    let executor = open(&plan, &disk).unwrap();
    (World::new(&plan), executor)
}

/// Runs and compares how it ended.
#[track_caller]
fn check(executor: &mut Executor, world: &mut World, expected: &str) -> Run {
    let run = executor.run(world, &mut quiet).unwrap();
    assert_eq!(run.end.as_str(), expected, "{:?}", run.end);
    assert_eq!(run.outcome.end, expected);
    run
}

#[test]
fn a_plan_is_carried_out_from_first_to_last_step() {
    for route in BOTH {
        let (mut world, mut executor) = begin(route);
        let run = check(&mut executor, &mut world, "done");
        let over = [StepState::Done, StepState::DoneByEvidence];
        assert!(run.outcome.steps.iter().all(|step| over.contains(&step.state)));
        assert!(executor.next_step().is_none());
        world.assert_each_effect_once(executor.plan());
        let performed = world.performed.clone();
        check(&mut executor, &mut world, "done");
        assert_eq!(world.performed, performed, "a second run does nothing");
    }
}

#[test]
fn a_gate_waits_for_its_answer_and_is_asked_once() {
    let (mut world, mut executor) = begin(RouteChoice::MoveUsers);
    world.gates_open = false;
    for _ in 0..2 {
        let run = check(&mut executor, &mut world, "waiting");
        assert!(matches!(run.end, End::WaitingAtGate { step, .. } if step.as_str() == "M4"));
    }
    assert!(!world.effects.contains_key(&"M4".into()));
    world.gates_open = true;
    check(&mut executor, &mut world, "done");
    world.assert_each_effect_once(executor.plan());
}

#[test]
fn an_open_precondition_stops_before_the_step() {
    let (mut world, mut executor) = begin(RouteChoice::DisasterRecovery);
    world.say("backup-is-latest", CheckOutcome::Open { why: "w".into(), remedy: "r".into() });
    let run = check(&mut executor, &mut world, "open");
    assert!(matches!(run.end, End::PreconditionOpen { step, .. } if step.as_str() == "D6w"));
    assert_eq!(executor.next_step().map(|step| step.id.as_str().to_owned()), Some("D6w".into()));
    world.answers.clear();
    check(&mut executor, &mut world, "done");
}

#[test]
fn a_begun_step_is_finished_although_its_own_work_ended_a_precondition() {
    let (mut world, mut executor) = begin(RouteChoice::MoveUsers);
    world.fail_after_effect = Some("P3".into());
    check(&mut executor, &mut world, "interrupted");
    let open = CheckOutcome::Open { why: "installed".into(), remedy: String::new() };
    world.say("server-installed", open.clone());
    world.say("group-online", open);
    world.fail_after_effect = Some("P3".into());
    check(&mut executor, &mut world, "interrupted");
    assert_eq!(world.performed.iter().filter(|id| id.as_str() == "P3").count(), 2);
    let harm = CheckOutcome::Violated { why: "harm".into(), remedy: String::new() };
    world.say("group-online", harm);
    check(&mut executor, &mut world, "open");
    world.answers.clear();
    check(&mut executor, &mut world, "done");
    world.assert_each_effect_once(executor.plan());
}

#[test]
fn after_a_violated_postcondition_a_person_has_to_say_go_on() {
    let (mut world, mut executor) = begin(RouteChoice::DisasterRecovery);
    let harm = CheckOutcome::Violated { why: "2 altered".into(), remedy: "compare".into() };
    world.say("mail-equal", harm);
    let run = check(&mut executor, &mut world, "needs-human");
    assert!(matches!(run.end, End::NeedsHuman { step, .. } if step.as_str() == "V9"));
    world.answers.clear();
    world.gates_open = false;
    check(&mut executor, &mut world, "waiting");
    world.gates_open = true;
    check(&mut executor, &mut world, "done");
}

#[test]
fn what_holds_already_is_not_done_again() {
    let (mut world, mut executor) = begin(RouteChoice::MoveUsers);
    let step = executor.plan().step(&"P1".into()).unwrap().clone();
    world.hold(&step.postconditions);
    let run = check(&mut executor, &mut world, "done");
    assert_eq!(run.outcome.steps[1].state, StepState::DoneByEvidence);
    assert!(!world.performed.contains(&"P1".into()));
    let undone = executor.back_out(&mut world, &mut quiet);
    assert!(matches!(undone, Err(ExecutorError::NoWayBack { step }) if step.as_str() == "M4"));
}

#[test]
fn a_warning_is_told_once_and_stops_nothing() {
    let mut plan = plan_by(RouteChoice::DisasterRecovery);
    plan.inventory.servers.truncate(1);
    plan.inventory.public_folders[0].system = true;
    plan.inventory.servers[0].roles = vec!["free-busy".to_owned()];
    let disk = Arc::new(SimDisk::new());
    let mut executor = open(&plan, &disk).unwrap();
    let mut world = World::new(&plan);
    let mut warnings = Vec::new();
    let run = executor.run(&mut world, &mut |notice| {
        if let Notice::Warned { code, .. } = notice {
            warnings.push((*code).to_owned());
        }
        Flow::Continue
    });
    assert_eq!(run.unwrap().end, End::Done);
    assert_eq!(warnings, ["system-folder-replicas"]);
}

#[test]
fn to_stop_at_any_notice_leaves_a_plan_that_goes_on() {
    for route in BOTH {
        for stop_at in 0..60 {
            let (mut world, mut executor) = begin(route);
            let mut count = 0;
            let run = executor.run(&mut world, &mut |_| {
                count += 1;
                if count > stop_at { Flow::Stop } else { Flow::Continue }
            });
            assert_eq!(run.unwrap().end.as_str(), "interrupted", "at notice {stop_at}");
            check(&mut executor, &mut world, "done");
            world.assert_each_effect_once(executor.plan());
        }
    }
}

#[test]
fn steps_are_undone_last_one_first() {
    let (mut world, mut executor) = begin(RouteChoice::MoveUsers);
    world.gates_open = false;
    check(&mut executor, &mut world, "waiting");
    let run = executor.back_out(&mut world, &mut quiet).unwrap();
    assert_eq!(run.end, End::BackedOut);
    let undone: Vec<_> = world.undone.iter().map(StepId::as_str).collect();
    let expected = ["M3", "M2r", "M2", "M1", "P3a", "P3", "P2a", "P2", "P1"];
    assert_eq!(undone, expected);
    let refused = executor.run(&mut world, &mut quiet);
    assert!(matches!(refused, Err(ExecutorError::BackedOut { .. })));
    let again = executor.back_out(&mut world, &mut quiet).unwrap();
    assert_eq!((again.end, world.undone.len()), (End::BackedOut, expected.len()));
}

#[test]
fn a_stale_plan_and_another_plans_journal_are_refused() {
    let plan = plan_by(RouteChoice::MoveUsers);
    let disk = Arc::new(SimDisk::new());
    drop(open(&plan, &disk).unwrap());
    let name = FileName::new("run/journal").expect("it is a file name");
    let clock = Arc::new(rehome_log::ManualClock::new(0));
    let stale = Executor::open(plan.clone(), "changed", disk.clone(), name, clock);
    assert!(matches!(stale, Err(ExecutorError::Stale { .. })));
    let other = open(&plan_by(RouteChoice::DisasterRecovery), &disk);
    assert!(matches!(other, Err(ExecutorError::OtherPlan { .. })));
    let mut edited = plan;
    edited.steps[0].title.push('!');
    assert!(matches!(open(&edited, &disk), Err(ExecutorError::OtherPlan { .. })));
}

/// A world at the last gate of the move-users route.
fn at_the_gate() -> (World, Executor) {
    let (mut world, mut executor) = begin(RouteChoice::MoveUsers);
    world.gates_open = false;
    check(&mut executor, &mut world, "waiting");
    (world, executor)
}

#[test]
fn a_step_is_taken_back_and_the_plan_goes_on_with_it() {
    let (mut world, mut executor) = at_the_gate();
    for _ in 0..2 {
        let run = executor.reverse(&["M1".into()], &mut world, &mut quiet).unwrap();
        assert_eq!((run.end, run.outcome.end.as_str()), (End::Reversed, "reversed"));
        assert_eq!(world.undone, ["M1".into()], "once is enough");
        assert_eq!(executor.next_step().unwrap().id.as_str(), "M1");
    }
    // A precondition that held the first time is asked again.
    let open = CheckOutcome::Open { why: "w".into(), remedy: "r".into() };
    world.say("server-online", open);
    check(&mut executor, &mut world, "open");
    world.answers.clear();
    world.gates_open = true;
    let performed = world.performed.len();
    check(&mut executor, &mut world, "done");
    let again: Vec<_> = world.performed[performed..].iter().map(StepId::as_str).collect();
    for due in ["M1", "V8", "B1c", "M3a", "M3b", "M3c", "M3t", "M4"] {
        assert!(again.contains(&due), "{due} was not seen to again: {again:?}");
    }
    for stands in ["M2", "M2r", "M3", "P1"] {
        assert!(!again.contains(&stands), "{stands} holds and was done again");
    }
    world.assert_each_effect_once(executor.plan());
}

#[test]
fn what_cannot_be_taken_back_is_refused_and_nothing_changes() {
    let (mut world, mut executor) = begin(RouteChoice::MoveUsers);
    let refused = executor.reverse(&["M1".into()], &mut world, &mut quiet).unwrap_err();
    assert!(refused.to_string().contains("M1: it is not done"), "{refused}");
    check(&mut executor, &mut world, "done");
    let refused = executor.reverse(&["M1".into()], &mut world, &mut quiet).unwrap_err();
    assert!(matches!(&refused, ExecutorError::NoWayBack { step } if step.as_str() == "M4"));
    let (mut world, mut executor) = at_the_gate();
    executor.back_out(&mut world, &mut quiet).unwrap();
    let refused = executor.reverse(&["M1".into()], &mut world, &mut quiet).unwrap_err();
    assert!(matches!(refused, ExecutorError::BackedOut { .. }), "{refused}");
}

#[test]
fn a_reversal_that_was_stopped_is_brought_to_its_end_before_anything_else() {
    let (mut world, mut executor) = at_the_gate();
    let run = executor.reverse(&["M1".into()], &mut world, &mut |_| Flow::Stop).unwrap();
    assert_eq!(run.end.as_str(), "interrupted");
    let refused = executor.run(&mut world, &mut quiet).unwrap_err();
    assert!(matches!(refused, ExecutorError::Reversing { .. }), "{refused}");
    let refused = executor.back_out(&mut world, &mut quiet).unwrap_err();
    assert!(matches!(refused, ExecutorError::Reversing { .. }), "{refused}");
    let other = executor.reverse(&["P1".into()], &mut world, &mut quiet).unwrap_err();
    assert!(other.to_string().contains("M1 is being taken back"), "{other}");
    let run = executor.reverse(&["M1".into()], &mut world, &mut quiet).unwrap();
    assert_eq!((run.end, world.undone.len()), (End::Reversed, 1));
}

#[test]
fn two_steps_are_taken_back_one_after_the_other() {
    let (mut world, mut executor) = at_the_gate();
    for step in ["M1", "M2"] {
        let run = executor.reverse(&[step.into()], &mut world, &mut quiet).unwrap();
        assert_eq!(run.end, End::Reversed, "{step} stood when M1 was taken back");
    }
    assert_eq!(world.undone, ["M1".into(), "M2".into()]);
}

/// Answers the gate of M4, asked under these terms at the moment 1,000,000, as `op`.
#[track_caller]
fn check_answer(owners: &[&str], until_us: Option<i64>, refusal: Option<GateRefusal>) {
    let (mut world, mut executor) = begin(RouteChoice::MoveUsers);
    let owners: Vec<String> = owners.iter().map(ToString::to_string).collect();
    world.terms = Gate { owners, until_us, ..Gate::default() };
    let run = executor.run(&mut world, &mut quiet).unwrap();
    match (run.end, refusal) {
        (End::Done, None) => {}
        (End::ConfirmationRefused { step, by, refusal: found, .. }, Some(expected)) => {
            assert_eq!((step.as_str(), by.as_str(), found), ("M4", "op", expected));
            assert!(!world.effects.contains_key(&"M4".into()));
            world.terms = Gate::default();
            check(&mut executor, &mut world, "done");
        }
        (end, expected) => panic!("{end:?} instead of {expected:?}"),
    }
}

#[test]
fn an_answer_counts_from_an_owner_and_in_time() {
    check_answer(&[], None, None);
    check_answer(&["anna", "OP"], Some(1_000_000), None);
    check_answer(&["anna"], None, Some(GateRefusal::Foreign));
    check_answer(&[], Some(999_999), Some(GateRefusal::Expired));
    check_answer(&["anna"], Some(0), Some(GateRefusal::Foreign));
}
