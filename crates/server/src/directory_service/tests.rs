//! The directory's disk fails at every call, and what was answered is there afterwards.

use std::sync::Arc;

use rehome_log::{Clock, Disk, Fault, ManualClock, SimDisk};
use rehome_site::{Attributes, Directory, MailboxName, OrganizationName, ServerName, SiteName};

use super::{DirectoryOp, DurableDirectory, DurableError};

fn server(name: &str) -> ServerName {
    ServerName::new(name).unwrap()
}

fn mailbox(number: u32) -> MailboxName {
    MailboxName::new(&format!("user{number}")).unwrap()
}

fn empty() -> Directory {
    let organization = OrganizationName::new("Example").unwrap();
    let mut directory =
        Directory::new(server("EX1"), 1, organization, SiteName::new("HQ").unwrap());
    directory.add_server(&server("EX1"), 1).unwrap();
    directory.add_server(&server("EX2"), 1).unwrap();
    directory
}

fn add(number: u32) -> DirectoryOp {
    let attributes = Attributes::new();
    DirectoryOp::AddMailbox { mailbox: mailbox(number), home: server("EX1"), attributes }
}

fn set_home(number: u32, from: &str, to: &str) -> DirectoryOp {
    DirectoryOp::SetHome { mailbox: mailbox(number), from: server(from), to: server(to) }
}

fn clock() -> Arc<dyn Clock> {
    Arc::new(ManualClock::new(1_700_000_000_000_000))
}

fn create(disk: &Arc<SimDisk>) -> Result<DurableDirectory, DurableError> {
    let disk: Arc<dyn Disk> = Arc::clone(disk) as Arc<dyn Disk>;
    DurableDirectory::create(disk, clock(), "test", 0, empty())
}

fn open(disk: &Arc<SimDisk>) -> Result<DurableDirectory, DurableError> {
    let disk: Arc<dyn Disk> = Arc::clone(disk) as Arc<dyn Disk>;
    DurableDirectory::open(disk, clock(), "test", 0)
}

/// Changes a directory until the first failure, with a snapshot in the middle; returns how many
/// mailboxes were answered, and how many of them with the second home.
fn work(directory: &mut DurableDirectory) -> (u32, u32) {
    let (mut added, mut moved) = (0, 0);
    for number in 0..6 {
        if number == 3 && directory.checkpoint().is_err() {
            return (added, moved);
        }
        if directory.change(add(number)).is_err() {
            return (added, moved);
        }
        added += 1;
        if directory.change(set_home(number, "EX1", "EX2")).is_err() {
            return (added, moved);
        }
        moved += 1;
    }
    (added, moved)
}

/// What was answered is there; what was not may be there, too, but at most one change of it.
#[track_caller]
fn check(directory: &Directory, (added, moved): (u32, u32), context: &str) {
    let homes = directory.mailboxes();
    let at_second = homes.iter().filter(|(_, home)| *home == server("EX2")).count();
    let (added, moved) = (added as usize, moved as usize);
    assert!((added..=added + 1).contains(&homes.len()), "{context}: {homes:?}");
    assert!((moved..=moved + 1).contains(&at_second), "{context}: {homes:?}");
}

#[test]
fn changes_are_there_after_opening_again() {
    let disk = Arc::new(SimDisk::new());
    let mut directory = create(&disk).unwrap();
    assert_eq!(work(&mut directory), (6, 6));
    let before = directory.directory().clone();
    drop(directory);
    let again = open(&disk).unwrap();
    assert_eq!(again.directory(), &before);
    assert!(again.epoch() > 1);
}

#[test]
fn a_creation_cut_off_at_any_call_of_the_disk_is_finished_by_the_next() {
    let whole = Arc::new(SimDisk::new());
    drop(create(&whole).unwrap());
    for call in 0..whole.ops() {
        let disk = Arc::new(SimDisk::new());
        disk.fail_after(call, Fault::PowerCut);
        assert!(create(&disk).is_err(), "call {call} was made");
        for seed in 0..8 {
            let context = format!("power cut at call {call}, seed {seed}");
            let disk = Arc::new(disk.crash(seed));
            let later = Arc::new(ManualClock::new(1_700_000_000_999_999));
            let again = Arc::clone(&disk) as Arc<dyn Disk>;
            match DurableDirectory::create(again, later, "test", 0, empty()) {
                Ok(_) | Err(DurableError::Exists { .. }) => {}
                Err(error) => panic!("{context}: {error}"),
            }
            let mut opened = open(&disk).unwrap_or_else(|error| panic!("{context}: {error}"));
            assert_eq!(opened.directory(), &empty(), "{context}");
            assert_eq!(work(&mut opened), (6, 6), "{context}");
            drop(opened);
            check(open(&disk).unwrap().directory(), (6, 6), &context);
        }
    }
}

#[test]
fn what_was_answered_survives_a_power_cut_at_every_call_of_the_disk() {
    let whole = Arc::new(SimDisk::new());
    drop(create(&whole).unwrap());
    let before = whole.ops();
    work(&mut open(&whole).unwrap());
    let calls = whole.ops() - before;
    assert!(calls > 40, "{calls} calls are too few to prove anything");
    for call in 0..calls {
        let disk = Arc::new(SimDisk::new());
        drop(create(&disk).unwrap());
        disk.fail_after(call, Fault::PowerCut);
        let answered = open(&disk).map(|mut directory| work(&mut directory)).unwrap_or_default();
        let seed = call * 7 + 1;
        let context = format!("power cut at call {call}, seed {seed}");
        let again =
            open(&Arc::new(disk.crash(seed))).unwrap_or_else(|error| panic!("{context}: {error}"));
        check(again.directory(), answered, &context);
    }
}

#[test]
fn after_a_failed_sync_nothing_is_answered_and_opening_again_tells() {
    let disk = Arc::new(SimDisk::new());
    let mut directory = create(&disk).unwrap();
    directory.change(add(0)).unwrap();
    disk.fail_after(0, Fault::FsyncEio);
    assert!(matches!(directory.change(add(1)), Err(DurableError::Journal { .. })));
    disk.heal();
    assert!(matches!(directory.change(add(2)), Err(DurableError::Failed { .. })));
    assert!(matches!(directory.checkpoint(), Err(DurableError::Failed { .. })));
    drop(directory);
    check(open(&Arc::new(disk.crash(3))).unwrap().directory(), (1, 0), "after a failed sync");
}

#[test]
fn a_refused_change_changes_nothing() {
    let disk = Arc::new(SimDisk::new());
    let mut directory = create(&disk).unwrap();
    directory.change(add(0)).unwrap();
    let before = directory.directory().clone();
    let refused = directory.change(set_home(9, "EX1", "EX2"));
    assert!(matches!(refused, Err(DurableError::Refused { .. })));
    directory.change(set_home(0, "EX1", "EX2")).unwrap();
    let refused = directory.change(set_home(0, "EX1", "EX1"));
    assert!(matches!(refused, Err(DurableError::Refused { .. })));
    assert_ne!(directory.directory(), &before);
    drop(directory);
    let again = open(&disk).unwrap();
    assert_eq!(again.directory().home_server(&mailbox(0)), Some(server("EX2")));
}

#[test]
fn a_damaged_snapshot_is_refused() {
    let disk = Arc::new(SimDisk::new());
    drop(create(&disk).unwrap());
    let name = super::durable::snapshot_name();
    let whole = disk.contents(&name).unwrap();
    for byte in (0..whole.len()).step_by(7) {
        let mut flipped = whole.clone();
        flipped[byte] ^= 1;
        disk.set_contents(&name, flipped);
        assert!(
            matches!(open(&disk), Err(DurableError::Damaged { .. })),
            "byte {byte} flipped and nobody noticed"
        );
    }
}

#[test]
fn an_empty_folder_and_a_second_beginning_are_refused() {
    let disk = Arc::new(SimDisk::new());
    assert!(matches!(open(&disk), Err(DurableError::None { .. })));
    drop(create(&disk).unwrap());
    assert!(matches!(create(&disk), Err(DurableError::Exists { .. })));
}

#[test]
fn an_exchange_larger_than_a_record_is_kept_by_a_snapshot() {
    let mut partner = empty().replica_for(server("EX2"), 1);
    let long = "x".repeat(4096);
    for number in 0..5000 {
        let attributes = Attributes::from([("note".to_owned(), vec![long.clone()])]);
        partner.add_mailbox(&mailbox(number), &server("EX2"), attributes, 5).unwrap();
    }
    let disk = Arc::new(SimDisk::new());
    let mut directory = create(&disk).unwrap();
    let changes = partner.changes_since(directory.directory().vector());
    directory.change(DirectoryOp::Apply { changes }).unwrap();
    drop(directory);
    assert_eq!(open(&Arc::new(disk.crash(1))).unwrap().directory().mailboxes().len(), 5000);
}
