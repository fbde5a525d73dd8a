//! A target whose disk becomes full in the middle of a move.

use rehome_log::Disk as _;

use super::testing::*;
use super::*;
use crate::{Flow, MailboxState};

/// Leaves so much room at the target, and expects a refusal that says so, everyone at work at the
/// source, and the same move to go on once there is room; returns whether there was too little.
#[track_caller]
fn check(room_bytes: u64) -> bool {
    let world = World::new(3, 40);
    let before: Vec<_> =
        world.mailboxes.iter().map(|mailbox| content_of(&world.source, mailbox)).collect();
    world.target_disk.fill_after(room_bytes);
    let moved = world.carry_out(&world.job(), &mut |_| Flow::Continue);
    world.target_disk.heal();
    let full = moved.is_err();
    if let Err(error) = moved {
        let text = format!("{error}: {:?}", std::error::Error::source(&error));
        assert!(matches!(error, MoveError::Target { .. }), "{room_bytes} bytes: {text}");
        assert!(text.contains("DiskFull") || text.contains("Poisoned"), "{room_bytes}: {text}");
        for (mailbox, before) in world.mailboxes.iter().zip(&before) {
            let state = World::state(&world.source, mailbox);
            if state == Some(MailboxState::Active) {
                assert_eq!(content_of(&world.source, mailbox), *before, "{room_bytes} bytes");
            } else {
                let home = world.homes.clone().home(mailbox).unwrap();
                assert_eq!(home, "EX2", "{room_bytes} bytes: {mailbox} is {state:?}");
            }
        }
    }
    let world = if full { world.after_power_cut(room_bytes) } else { world };
    world.move_all();
    world.check_all_moved();
    assert!(!world.target_disk.list(&rehome_log::FileName::root()).unwrap().is_empty());
    full
}

#[test]
fn a_full_disk_in_the_middle_of_a_move_leaves_the_source_at_work_and_the_move_goes_on() {
    let full = (0..12).filter(|step| check(step * 6_000)).count();
    assert!(full >= 5, "{full} full disks are too few to prove anything");
}
