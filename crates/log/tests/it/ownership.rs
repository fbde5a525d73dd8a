//! One owner at a time, epochs that rise, and a fenced owner that finds out.

use std::sync::Arc;

use rehome_log::{Disk, Fault, Ownership, OwnershipError, RealDisk, SimDisk};

use crate::support::{changed, name};

fn acquire(disk: &Arc<SimDisk>, token: u64) -> Result<Ownership, OwnershipError> {
    Ownership::acquire(Arc::clone(disk) as Arc<dyn Disk>, "node-a", token)
}

#[track_caller]
fn check(disk: &Arc<SimDisk>, token: u64, epoch: u64) {
    let owner = acquire(disk, token).unwrap();
    assert_eq!(owner.epoch(), epoch);
    owner.verify().unwrap();
    assert_eq!(Ownership::peek(&**disk).unwrap(), Some(epoch));
}

#[test]
fn each_opening_takes_a_higher_epoch_and_a_token_raises_it() {
    let disk = Arc::new(SimDisk::new());
    assert_eq!(Ownership::peek(&*disk).unwrap(), None);
    check(&disk, 0, 1);
    check(&disk, 0, 2);
    check(&disk, 40, 40);
    check(&disk, 40, 41);
    check(&disk, 0, 42);
    check(&disk, 41, 43);
}

/// A node that was slow to start its store, and comes after the one that took over from it.
#[test]
fn who_comes_late_with_an_older_token_is_refused_and_changes_nothing() {
    let disk = Arc::new(SimDisk::new());
    drop(acquire(&disk, 4).unwrap());
    let before = disk.contents(&name("epoch")).unwrap();
    for _ in 0..2 {
        let refused = acquire(&disk, 3).unwrap_err();
        let expected = matches!(&refused, OwnershipError::Outdated { token: 3, newer: 4, .. });
        assert!(expected, "{refused}");
    }
    assert_eq!(disk.contents(&name("epoch")).unwrap(), before);
    // Without a token it can be opened, and the older token is refused all the same.
    check(&disk, 0, 5);
    assert!(matches!(acquire(&disk, 3), Err(OwnershipError::Outdated { .. })));
    check(&disk, 4, 6);
}

/// The log may know of epochs that the epoch file has lost; that is no token.
#[test]
fn a_least_epoch_is_no_token() {
    let disk = Arc::new(SimDisk::new());
    let there = Arc::clone(&disk) as Arc<dyn Disk>;
    let owner = Ownership::acquire_above(there, "node-a", 2, 30).unwrap();
    assert_eq!(owner.epoch(), 30);
    drop(owner);
    check(&disk, 2, 31);
    check(&disk, 3, 32);
}

#[test]
fn the_lock_excludes_a_second_owner_and_names_the_first() {
    let disk = Arc::new(SimDisk::new());
    let _first = acquire(&disk, 0).unwrap();
    match acquire(&disk, 0) {
        Err(OwnershipError::Held { owner, epoch }) => {
            assert_eq!((owner.as_str(), epoch), ("node-a", 1))
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn an_owner_finds_out_that_a_later_one_has_fenced_it() {
    let disk = Arc::new(SimDisk::new());
    let first = acquire(&disk, 0).unwrap();
    // Another computer sees the same files and not the lock.
    let elsewhere = Arc::new(disk.restart());
    drop(acquire(&elsewhere, 0).unwrap());
    first.verify().unwrap();
    disk.set_contents(&name("epoch"), elsewhere.contents(&name("epoch")).unwrap());
    match first.verify() {
        Err(OwnershipError::Fenced { mine: 1, newer: 2, .. }) => {}
        other => panic!("{other:?}"),
    }
}

/// Neither has read what the other one writes.
#[test]
fn of_two_owners_with_one_epoch_the_one_whose_name_is_not_there_finds_out() {
    for (token, other_token, other_name) in [(0, 0, "node-b"), (3, 4, "node-a")] {
        let disk = Arc::new(SimDisk::new());
        for _ in 0..4 {
            drop(acquire(&disk, 0).unwrap());
        }
        let elsewhere = Arc::new(disk.restart());
        let first = acquire(&disk, token).unwrap();
        let there = Arc::clone(&elsewhere) as Arc<dyn Disk>;
        let second = Ownership::acquire(there, other_name, other_token).unwrap();
        assert_eq!((first.epoch(), second.epoch()), (5, 5));
        first.verify().unwrap();
        disk.set_contents(&name("epoch"), elsewhere.contents(&name("epoch")).unwrap());
        match first.verify() {
            Err(OwnershipError::Fenced { mine: 5, newer: 5, owner }) => {
                assert_eq!(owner, other_name);
            }
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn no_epoch_is_given_twice_whenever_the_power_goes() {
    for at in 0..40 {
        for seed in 0..20 {
            let mut disk = Arc::new(SimDisk::new());
            let mut newest = 0;
            for round in 0..3 {
                disk.fail_after(at, Fault::PowerCut);
                if let Ok(owner) = acquire(&disk, 0) {
                    assert!(owner.epoch() > newest, "call {at}, seed {seed}");
                    newest = owner.epoch();
                }
                disk = Arc::new(disk.crash(seed * 3 + round));
            }
            let owner = acquire(&disk, 0).unwrap();
            assert!(owner.epoch() > newest, "call {at}, seed {seed}");
        }
    }
}

#[test]
fn one_damaged_slot_costs_nothing_and_two_are_refused() {
    let disk = Arc::new(SimDisk::new());
    drop(acquire(&disk, 9).unwrap());
    let file = name("epoch");
    for slot in [0, 4096] {
        let damaged = changed(&disk, &file, |bytes| bytes[slot + 20] ^= 1);
        check(&damaged, 0, 10);
    }
    let damaged = changed(&disk, &file, |bytes| {
        bytes[20] ^= 1;
        bytes[4096 + 20] ^= 1;
    });
    assert!(matches!(acquire(&damaged, 0), Err(OwnershipError::Damaged { .. })));
    // The lock was given up again.
    assert!(matches!(acquire(&damaged, 0), Err(OwnershipError::Damaged { .. })));
}

#[test]
fn an_owner_whose_epoch_file_is_gone_finds_out() {
    let disk = Arc::new(SimDisk::new());
    let owner = acquire(&disk, 0).unwrap();
    disk.remove(&name("epoch")).unwrap();
    assert!(matches!(owner.verify(), Err(OwnershipError::Damaged { above: 1, .. })));
}

#[test]
fn on_a_real_disk_a_child_does_not_keep_the_lock() {
    let folder = tempfile::tempdir().unwrap();
    let disk = || Arc::new(RealDisk::new(folder.path()));
    let first = Ownership::acquire(disk(), "first", 0).unwrap();
    assert!(matches!(
        Ownership::acquire(disk(), "second", 0),
        Err(OwnershipError::Held { epoch: 1, .. })
    ));
    let mut child = std::process::Command::new("cat")
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::null())
        .spawn()
        .unwrap();
    drop(first);
    let second = Ownership::acquire(disk(), "second", 0);
    child.kill().unwrap();
    child.wait().unwrap();
    assert_eq!(second.unwrap().epoch(), 2);
}
