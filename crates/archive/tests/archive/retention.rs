//! Retention takes whole backups, never one that another needs, and never while one is read.

use std::sync::Arc;

use rehome_archive::{ArchiveError, BackupId, BackupKind, BackupState, Set, Target};
use rehome_log::SplitMix64;

use crate::chains::Model;
use crate::memory::Memory;

const NOW_US: i64 = 1_800_000_000_000_000;

/// A set with these kinds of backups, and what the store held at each.
fn set_of(kinds: &[BackupKind]) -> (Arc<Memory>, Vec<(BackupId, Model)>) {
    let memory = Arc::new(Memory::default());
    let target: Arc<dyn Target> = memory.clone();
    let mut random = SplitMix64::new(11);
    let mut model = Model::default();
    let mut taken = Vec::new();
    for kind in kinds {
        (0..30).for_each(|_| model.step(&mut random));
        taken.push((model.back_up(&target, *kind).unwrap().backup_id, model.clone()));
    }
    (memory, taken)
}

const KINDS: [BackupKind; 6] = [
    BackupKind::Full,
    BackupKind::Incremental,
    BackupKind::Full,
    BackupKind::Incremental,
    BackupKind::Full,
    BackupKind::Differential,
];

/// After retention the newest `left` backups are there, and nothing of the others.
#[track_caller]
fn check(memory: &Arc<Memory>, taken: &[(BackupId, Model)], left: usize) {
    let set = memory.set().unwrap();
    let ids: Vec<BackupId> = set.list().unwrap().iter().map(|info| info.id).collect();
    let (gone, kept) = taken.split_at(taken.len() - left);
    assert_eq!(ids, kept.iter().map(|(id, _)| *id).collect::<Vec<_>>());
    for (id, model) in kept {
        model.check(&set, *id, "after retention");
    }
    for (id, _) in gone {
        let of_it = |name: &&String| name.starts_with("base/") && name.contains(&id.to_string());
        assert_eq!(memory.names().iter().find(of_it), None);
    }
}

#[test]
fn older_backups_go_and_newer_ones_stay_whole() {
    for (keep_full, left) in [(3, 6), (2, 4), (1, 2)] {
        let (memory, taken) = set_of(&KINDS);
        let set = memory.set().unwrap();
        let plan = set.plan_expire(keep_full).unwrap();
        check(&memory, &taken, 6);
        assert_eq!(set.expire(keep_full, "root", NOW_US).unwrap(), plan);
        check(&memory, &taken, left);
    }
}

#[test]
fn nothing_goes_while_a_restore_reads() {
    let (memory, taken) = set_of(&KINDS);
    let set = memory.set().unwrap();
    let lease = set.lease("root", NOW_US, NOW_US + 10).unwrap();
    let other = set.lease("root", NOW_US, NOW_US + 10).unwrap();
    other.release().unwrap();
    let error = set.expire(1, "root", NOW_US + 5).unwrap_err();
    assert!(matches!(error, ArchiveError::Leased { .. }), "{error}");
    check(&memory, &taken, 6);
    lease.release().unwrap();
    let _forgotten = set.lease("root", NOW_US, NOW_US + 10).unwrap();
    set.expire(2, "root", NOW_US + 10).unwrap();
    check(&memory, &taken, 4);
}

#[test]
fn a_restore_that_was_killed_keeps_retention_away_for_its_last_lease_alone() {
    let (memory, taken) = set_of(&KINDS);
    let set = memory.set().unwrap();
    let mut lease = set.lease("root", NOW_US, NOW_US + 10).unwrap();
    lease.renew(NOW_US + 6, NOW_US + 16).unwrap();
    assert_eq!(lease.until_us(), NOW_US + 16);
    let leases = memory.names().iter().filter(|name| name.starts_with("lease/")).count();
    assert_eq!(leases, 1, "the one before was given back");
    let error = set.expire(1, "root", NOW_US + 12).unwrap_err();
    assert!(matches!(error, ArchiveError::Leased { .. }), "{error}");
    let killed = lease;
    set.expire(2, "root", NOW_US + 16).unwrap();
    check(&memory, &taken, 4);
    drop(killed);
}

#[test]
fn a_retention_that_stopped_anywhere_leaves_no_backup_half_usable() {
    let (memory, taken) = set_of(&KINDS);
    let full = memory.names();
    memory.set().unwrap().expire(1, "root", NOW_US).unwrap();
    let gone: Vec<String> =
        full.iter().filter(|name| !memory.names().contains(name)).cloned().collect();
    let (mut memory, taken) = (set_of(&KINDS).0, taken);
    // In the order in which they go: the newest backup first, its manifest before its volumes.
    let mut order = Vec::new();
    for (id, _) in taken[..4].iter().rev() {
        let own = gone.iter().filter(|name| name.contains(&id.to_string()));
        order.extend(own.clone().filter(|name| name.ends_with("MANIFEST")));
        order.extend(own.filter(|name| name.ends_with(".mbar")));
    }
    assert!(order.len() > 8);
    for name in order {
        memory = memory.with(name, None);
        let set: Set = memory.set().unwrap();
        for info in set.list().unwrap() {
            let model = taken.iter().find(|(id, _)| *id == info.id);
            if let (BackupState::Complete, Some((id, model))) = (info.state, model) {
                model.check(&set, *id, name);
            }
        }
    }
    memory.set().unwrap().expire(1, "root", NOW_US).unwrap();
}
