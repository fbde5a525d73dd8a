//! Retention: which backups and log segments nothing needs any more.
//!
//! A pure function of a set's listing. Whole backups go, and none that another one builds upon.

use std::collections::HashSet;

use rehome_log::Lsn;
use serde::Serialize;

use crate::chain::chain;
use crate::error::ArchiveError;
use crate::ids::BackupId;
use crate::info::{BackupInfo, BackupState, LogInfo};
use crate::kind::BackupKind;

/// A backup that goes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ExpiredBackup {
    /// Its id.
    pub id: BackupId,
    /// Its kind.
    pub kind: BackupKind,
    /// Its folder, as the target names it.
    pub folder: String,
    /// The state that it shows.
    pub lsn_end: Lsn,
    /// Bytes of its volumes.
    pub stored_bytes: u64,
}

/// What retention takes away, and why the rest stays.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ExpirePlan {
    /// Backups that go, in this order: none before one that builds upon it.
    pub backups: Vec<ExpiredBackup>,
    /// Files of log segments that go.
    pub logs: Vec<String>,
    /// The oldest full backup that is kept.
    pub oldest_kept: BackupId,
    /// Log at or below this place is needed by nothing that is kept.
    pub log_below: Lsn,
    /// Older backups that stay, each with the reason.
    pub spared: Vec<String>,
}

/// Plans retention: the newest `keep_full` full backups stay, with all that is as new as the oldest
/// of them and all that such a one builds upon, and the log that these need.
///
/// `backups` and `logs` are a set's listing. Backups that are not finished or cannot be read stay.
///
/// # Errors
///
/// [`ArchiveError::Misuse`] if there is no full backup that would stay: the last way back is never
/// taken away.
pub fn plan_expire(
    backups: &[BackupInfo],
    logs: &[LogInfo],
    keep_full: usize,
) -> Result<ExpirePlan, ArchiveError> {
    let is_full =
        |one: &&BackupInfo| one.kind == BackupKind::Full && one.state == BackupState::Complete;
    let oldest_kept = backups.iter().rev().filter(is_full).take(keep_full.max(1)).last();
    let oldest_kept = oldest_kept.ok_or_else(|| ArchiveError::Misuse {
        what: "the set has no full backup that could be kept".to_owned(),
    })?;
    let horizon = oldest_kept.lsn_end;
    let mut needed = HashSet::new();
    let mut spared = Vec::new();
    for backup in backups {
        if backup.lsn_end >= horizon {
            let whole = chain(backups, backup.id).unwrap_or_default();
            needed.extend(whole.iter().map(|one| one.id));
        }
    }
    let way_back = way_back(backups, logs, horizon);
    let mut gone = Vec::new();
    for backup in backups.iter().filter(|backup| backup.lsn_end < horizon) {
        let reason = match &backup.state {
            BackupState::Incomplete => "it is not finished, or is being written",
            BackupState::Unreadable { .. } => "its manifest cannot be read",
            BackupState::Complete if needed.contains(&backup.id) => "a newer one builds upon it",
            BackupState::Complete if way_back == Some(backup.id) => {
                "archived log that is kept begins after it, and after no later one"
            }
            BackupState::Complete => {
                gone.push(expired(backup));
                continue;
            }
        };
        spared.push(format!("{}: {reason}", backup.id));
    }
    gone.reverse();
    let went: HashSet<BackupId> = gone.iter().map(|one| one.id).collect();
    let stays = backups.iter().filter(|one| !went.contains(&one.id));
    let log_below = stays.filter_map(BackupInfo::log_follows).min().unwrap_or(horizon);
    let logs = logs.iter().filter(|log| log.last <= log_below).map(|log| log.file.clone());
    Ok(ExpirePlan {
        backups: gone,
        logs: logs.collect(),
        oldest_kept: oldest_kept.id,
        log_below,
        spared,
    })
}

/// The backup below `horizon` without which archived log beyond it could not be replayed: the
/// newest that log can follow, unless one at the horizon, or what log follows it, takes its place.
fn way_back(backups: &[BackupInfo], logs: &[LogInfo], horizon: Lsn) -> Option<BackupId> {
    let is_kept = |one: &&BackupInfo| one.log_follows().is_some() && one.lsn_end >= horizon;
    let next = backups.iter().find(is_kept).map(|one| one.lsn_end);
    let last = backups.iter().rev().find(|one| {
        one.log_follows().is_some() && one.lsn_end < horizon && one.state == BackupState::Complete
    })?;
    let needs = |log: &LogInfo| log.last > horizon && next.is_none_or(|next| log.after < next);
    (next != Some(horizon) && logs.iter().any(needs)).then_some(last.id)
}

fn expired(backup: &BackupInfo) -> ExpiredBackup {
    let totals = backup.manifest.as_ref().map(|manifest| manifest.totals);
    ExpiredBackup {
        id: backup.id,
        kind: backup.kind,
        folder: backup.folder.clone(),
        lsn_end: backup.lsn_end,
        stored_bytes: totals.map_or(0, |totals| totals.stored_bytes),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{backup, segment};

    fn backups() -> Vec<BackupInfo> {
        vec![
            backup(1, BackupKind::Full, 10, None),
            backup(2, BackupKind::Incremental, 20, Some(1)),
            backup(3, BackupKind::Copy, 25, None),
            backup(4, BackupKind::Full, 30, None),
            backup(5, BackupKind::Differential, 40, Some(4)),
            backup(6, BackupKind::Full, 50, None),
        ]
    }

    /// Ids of the backups that go, and the ends of the log segments that go.
    #[track_caller]
    fn check(backups: &[BackupInfo], keep_full: usize, gone: &[u8], logs: &[u64]) {
        let segments = [segment(0, 10), segment(10, 20), segment(20, 30), segment(30, 55)];
        let plan = plan_expire(backups, &segments, keep_full).unwrap();
        let ids: Vec<u8> = plan.backups.iter().map(|one| one.id.0[0]).collect();
        assert_eq!(ids, gone, "{plan:?}");
        let below = segments.iter().filter(|one| plan.logs.contains(&one.file));
        assert_eq!(below.map(|one| one.last.to_u64()).collect::<Vec<_>>(), logs, "{plan:?}");
    }

    #[test]
    fn whole_backups_go_and_dependants_before_what_they_build_upon() {
        check(&backups(), 3, &[], &[10]);
        check(&backups(), 2, &[3, 2, 1], &[10, 20, 30]);
        check(&backups(), 1, &[5, 4, 3, 2, 1], &[10, 20, 30]);
        check(&backups(), 0, &[5, 4, 3, 2, 1], &[10, 20, 30]);
        check(&backups(), 99, &[], &[10]);
    }

    #[test]
    fn nothing_goes_that_something_kept_builds_upon() {
        let mut backups = backups();
        backups.push(backup(7, BackupKind::Incremental, 60, Some(2)));
        check(&backups, 1, &[5, 4, 3], &[10]);
        backups[2].state = BackupState::Incomplete;
        backups[2].manifest = None;
        check(&backups, 1, &[5, 4], &[10]);
        let plan = plan_expire(&backups, &[], 1).unwrap();
        assert_eq!(plan.spared.len(), 3, "{plan:?}");
    }

    #[test]
    fn log_that_is_kept_keeps_the_backup_that_it_begins_after() {
        let without = |mut info: BackupInfo| {
            info.manifest.as_mut().unwrap().features = crate::feature::Features::default();
            info
        };
        let mut backups = backups();
        let six = backups.pop().unwrap();
        backups.push(without(six));
        let plan = plan_expire(&backups, &[segment(30, 55)], 1).unwrap();
        let gone: Vec<u8> = plan.backups.iter().map(|one| one.id.0[0]).collect();
        assert_eq!((gone, plan.log_below.to_u64()), (vec![5, 3, 2, 1], 30), "{plan:?}");
        assert!(plan.spared[0].contains("archived log"), "{plan:?}");
        // Log that ends before the oldest backup that is kept leads nowhere.
        let plan = plan_expire(&backups, &[segment(30, 45)], 1).unwrap();
        assert_eq!(plan.backups.len(), 5, "{plan:?}");
        // A later backup that log follows takes over what is kept behind it.
        backups.push(backup(7, BackupKind::Full, 60, None));
        let plan = plan_expire(&backups, &[segment(60, 70)], 2).unwrap();
        assert_eq!((plan.backups.len(), plan.log_below.to_u64()), (5, 60), "{plan:?}");
    }

    #[test]
    fn the_last_way_back_is_never_taken() {
        plan_expire(&[], &[], 1).unwrap_err();
        plan_expire(&[backup(3, BackupKind::Copy, 25, None)], &[], 1).unwrap_err();
    }
}
