//! A target that fails or loses power at any call.

use std::sync::Arc;

use rehome_archive::{ArchiveError, BackupState, CheckLevel, DiskTarget, Manifest, Set, Target};
use rehome_log::{Disk, Fault, SimDisk};

use crate::fixture::{Truth, everything, header, options, read_all, truth, write};

fn target(disk: &Arc<SimDisk>) -> Arc<dyn Target> {
    let disk: Arc<dyn Disk> = disk.clone();
    Arc::new(DiskTarget::new(disk))
}

/// A backup is complete and whole, or it is incomplete and refused. Returns how many are complete.
#[track_caller]
fn check(disk: SimDisk, truth: &Truth, context: &str) -> usize {
    let target = target(&Arc::new(disk));
    let set = match Set::open(Arc::clone(&target)) {
        Ok(set) => set,
        Err(ArchiveError::NoSet) => return 0,
        Err(error) => panic!("{context}: {error}"),
    };
    let mut complete = 0;
    for info in set.list().unwrap() {
        let report = set.check(info.id, CheckLevel::Deep, &mut |_| {});
        match info.state {
            BackupState::Complete => {
                let report = report.unwrap();
                assert!(report.is_whole(), "{context}: {report:?}");
                let backup = set.backup(info.id).unwrap();
                assert_eq!(read_all(&backup, truth, context), everything(truth), "{context}");
                complete += 1;
            }
            BackupState::Incomplete => {
                let refused = matches!(report, Err(ArchiveError::Incomplete { .. }));
                assert!(refused, "{context}: an incomplete backup was checked");
            }
            BackupState::Unreadable { what } => panic!("{context}: {what}"),
        }
    }
    complete
}

fn back_up(disk: &Arc<SimDisk>, truth: &Truth) -> Result<Manifest, ArchiveError> {
    write(&target(disk), truth, header(), options(4 << 10))
}

/// Runs a backup with `fault` at each of its calls, looks at what a crash and what a restart
/// leave, and makes a backup after the restart. Returns how many backups failed.
fn torture(fault: Fault) -> u64 {
    let truth = truth(2, 6, 400);
    let clean = Arc::new(SimDisk::new());
    back_up(&clean, &truth).unwrap();
    let calls = clean.ops();
    let mut failed = 0;
    for call in 0..calls {
        let disk = Arc::new(SimDisk::new());
        disk.fail_after(call, fault);
        let written = back_up(&disk, &truth);
        failed += u64::from(written.is_err());
        let finished = usize::from(written.is_ok());
        for seed in 0..4 {
            let context = format!("{fault:?} at call {call} of {calls}, crash with seed {seed}");
            let complete = check(disk.crash(seed), &truth, &context);
            assert!(complete >= finished, "{context}: a finished backup is gone");
        }
        if fault != Fault::PowerCut {
            disk.heal();
        }
        let context = format!("{fault:?} at call {call} of {calls}, restart");
        let again = match fault {
            Fault::PowerCut => Arc::new(disk.crash(9)),
            _ => Arc::new(disk.restart()),
        };
        back_up(&again, &truth).unwrap_or_else(|error| panic!("{context}: {error}"));
        assert!(check(again.crash(1), &truth, &context) >= 1, "{context}");
    }
    failed
}

#[test]
fn an_error_at_any_call_leaves_nothing_half_done_that_counts_as_done() {
    assert!(torture(Fault::Eio) > 20);
}

#[test]
fn a_full_disk_at_any_call_leaves_nothing_half_done_that_counts_as_done() {
    assert!(torture(Fault::Enospc) > 10);
}

#[test]
fn a_failed_sync_is_never_taken_for_done() {
    assert!(torture(Fault::FsyncEio) > 10);
}

#[test]
fn a_power_cut_at_any_call_leaves_a_whole_backup_or_one_that_is_refused() {
    assert!(torture(Fault::PowerCut) > 20);
}
