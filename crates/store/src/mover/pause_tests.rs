//! Moves that rest while they must, and are whole all the same.

use std::sync::atomic::{AtomicU64, Ordering};

use super::testing::*;
use super::*;
use crate::{Flow, MailboxState};

/// Must rest from one question to another; counts the waits.
struct Between {
    asked: AtomicU64,
    first: u64,
    end: u64,
}

impl Pause for Between {
    fn reason(&self) -> Option<String> {
        let asked = self.asked.fetch_add(1, Ordering::SeqCst);
        (self.first..self.end).contains(&asked).then(|| "it is noon".to_owned())
    }

    fn wait(&self) {}
}

fn between(first: u64, end: u64) -> Option<PauseWhen> {
    Some(PauseWhen::new(Between { asked: AtomicU64::new(0), first, end }))
}

/// Moves with a pause of five questions from question `first` on, and expects that nothing is
/// carried, fenced or locked meanwhile; returns whether there was a pause.
#[track_caller]
fn check(first: u64) -> bool {
    let world = World::new(3, 9);
    let job = MoveJob { pause: between(first, first + 5), ..world.job() };
    let (mut paused, mut resumed, mut resting) = (0, 0, false);
    let report = world.carry_out(&job, &mut |event| {
        match event {
            MoveEvent::Paused { reason } => {
                assert_eq!(reason, "it is noon");
                for mailbox in &world.mailboxes {
                    let state = World::state(&world.source, mailbox);
                    let fenced = matches!(state, Some(MailboxState::Fenced { .. }));
                    assert!(!fenced, "question {first}: {mailbox} is locked");
                }
                (paused, resting) = (paused + 1, true);
            }
            MoveEvent::Resumed => (resumed, resting) = (resumed + 1, false),
            other => assert!(!resting, "question {first}: {other:?} in a pause"),
        }
        Flow::Continue
    });
    assert_eq!(report.unwrap().moved.len(), 3, "question {first}");
    world.check_all_moved();
    assert_eq!(paused > 0, resumed > 0, "question {first}");
    paused > 0
}

#[test]
fn a_move_rests_at_any_place_and_is_whole() {
    let pauses = (0..).take_while(|first| check(*first)).count();
    assert!(pauses > 10, "{pauses} questions are too few to prove anything");
}

#[test]
fn a_move_that_rests_for_ever_can_be_stopped_and_goes_on() {
    let world = World::new(2, 6);
    let job = MoveJob { pause: between(3, u64::MAX), ..world.job() };
    let mut paused = 0;
    let stopped = world.carry_out(&job, &mut |event| {
        paused += u64::from(matches!(event, MoveEvent::Paused { .. }));
        if paused == 4 { Flow::Stop } else { Flow::Continue }
    });
    assert!(matches!(stopped, Err(MoveError::Stopped)), "{stopped:?}");
    world.move_all();
    world.check_all_moved();
}
