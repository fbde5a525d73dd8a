//! Planning a restore: which backups and log segments bring a store to a moment, and what lacks.
//!
//! A pure function of a set's listing: nothing is read for it and nothing is touched.

use rehome_log::Lsn;
use serde::Serialize;

use crate::chain::chain;
use crate::error::ArchiveError;
use crate::ids::BackupId;
use crate::info::{BackupInfo, LogInfo};
use crate::kind::BackupKind;

/// The moment that a restore is to reach.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Until {
    /// As far as backups and log go.
    Latest,
    /// The state after this log record.
    Lsn(Lsn),
    /// The state at this time, microseconds since 1970: every log record before the first one that
    /// is later.
    WallUs(i64),
    /// The state that this backup shows.
    Backup(BackupId),
}

/// A backup to be read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct BackupStep {
    /// Its id.
    pub id: BackupId,
    /// Its kind.
    pub kind: BackupKind,
    /// Its folder, as the target names it.
    pub folder: String,
    /// The state that it builds upon; its own for one that holds everything.
    pub lsn_begin: Lsn,
    /// The state that it shows.
    pub lsn_end: Lsn,
    /// When it was made, microseconds since 1970.
    pub wall_us: i64,
    /// Bytes of its volumes: at most these are read.
    pub stored_bytes: u64,
}

/// A log segment to be replayed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct LogStep {
    /// Its file, as the target names it.
    pub file: String,
    /// The log record before its first one.
    pub after: Lsn,
    /// Its last log record.
    pub last: Lsn,
    /// Replay ends here at the latest; the segment may go on.
    pub until: Lsn,
}

/// Log that would be needed and is not in the set.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Gap {
    /// The last log record before the gap.
    pub after: Lsn,
    /// The log record before the first one that is there again, or the one to be reached; `None`
    /// if nothing says where it would be.
    pub to: Option<Lsn>,
}

/// What a restore will do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct RestorePlan {
    /// What was asked for.
    pub until: Until,
    /// Backups to be read, in this order.
    pub backups: Vec<BackupStep>,
    /// Log segments to be replayed after them, in this order.
    pub logs: Vec<LogStep>,
    /// The state that this reaches; with [`Until::WallUs`] an upper bound.
    pub reaches: Lsn,
    /// What lacks between `reaches` and what was asked for.
    pub gaps: Vec<Gap>,
    /// Bytes of backups to be read at most.
    pub read_bytes: u64,
    /// Backups that would have been nearer, each with the reason why it is not used.
    pub passed_over: Vec<String>,
}

impl RestorePlan {
    /// Whether it reaches what was asked for.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.gaps.is_empty()
    }
}

/// Plans a restore.
///
/// `backups` and `logs` are a set's listing, each in ascending order of LSN.
/// The newest backup at or below the moment is taken whose chain holds; log records follow it.
///
/// # Errors
///
/// [`ArchiveError::NothingToRestore`] if no backup is at or below the moment;
/// [`ArchiveError::NoBackup`] and [`ArchiveError::BrokenChain`] for [`Until::Backup`].
pub fn plan(
    backups: &[BackupInfo],
    logs: &[LogInfo],
    until: Until,
) -> Result<RestorePlan, ArchiveError> {
    let mut passed_over = Vec::new();
    let chain = match until {
        Until::Backup(id) => chain(backups, id)?,
        _ => newest(backups, until, &mut passed_over)?,
    };
    let steps: Vec<BackupStep> = steps(&chain);
    let base = steps.last().map_or(Lsn::ZERO, |step| step.lsn_end);
    let (logs, reaches, gaps) = match until {
        Until::Backup(_) => (Vec::new(), base, Vec::new()),
        _ => replay(logs, base, until),
    };
    let read_bytes = steps.iter().map(|step| step.stored_bytes).sum();
    Ok(RestorePlan { until, backups: steps, logs, reaches, gaps, read_bytes, passed_over })
}

fn steps(chain: &[&BackupInfo]) -> Vec<BackupStep> {
    let mut before = None;
    let mut steps = Vec::new();
    for backup in chain {
        let manifest = backup.manifest.as_ref();
        steps.push(BackupStep {
            id: backup.id,
            kind: backup.kind,
            folder: backup.folder.clone(),
            lsn_begin: before.unwrap_or(backup.lsn_end),
            lsn_end: backup.lsn_end,
            wall_us: manifest.map_or(0, |manifest| manifest.header.wall_us),
            stored_bytes: manifest.map_or(0, |manifest| manifest.totals.stored_bytes),
        });
        before = Some(backup.lsn_end);
    }
    steps
}

/// The newest backup at or below the moment, with all that it builds upon.
fn newest<'a>(
    backups: &'a [BackupInfo],
    until: Until,
    passed_over: &mut Vec<String>,
) -> Result<Vec<&'a BackupInfo>, ArchiveError> {
    let is_below = |backup: &&BackupInfo| match until {
        Until::Lsn(lsn) => backup.lsn_end <= lsn,
        Until::WallUs(wall_us) => {
            backup.manifest.as_ref().is_none_or(|manifest| manifest.header.wall_us <= wall_us)
        }
        Until::Latest | Until::Backup(_) => true,
    };
    for backup in backups.iter().rev().filter(is_below) {
        match chain(backups, backup.id) {
            Ok(chain) => return Ok(chain),
            Err(error) => passed_over.push(error.to_string()),
        }
    }
    let oldest = backups.iter().find(|backup| chain(backups, backup.id).is_ok());
    Err(ArchiveError::NothingToRestore {
        oldest: oldest.map(|backup| (backup.id, backup.lsn_end)),
        reasons: passed_over.join("; "),
    })
}

/// The log segments that follow `base` without a gap, as far as is asked for.
fn replay(logs: &[LogInfo], base: Lsn, until: Until) -> (Vec<LogStep>, Lsn, Vec<Gap>) {
    let end = match until {
        Until::Lsn(lsn) => Some(lsn),
        _ => None,
    };
    let mut reached = base;
    let mut steps = Vec::new();
    for log in logs {
        let is_past = end.is_some_and(|end| reached >= end);
        if is_past || log.last <= reached {
            continue;
        }
        if log.after > reached {
            // With a time in mind, only whoever reads the segment knows whether it is needed.
            let to = Some(end.map_or(log.after, |end| end.min(log.after)));
            return (steps, reached, vec![Gap { after: reached, to }]);
        }
        let until = end.map_or(log.last, |end| end.min(log.last));
        let (file, after, last) = (log.file.clone(), log.after, log.last);
        steps.push(LogStep { file, after, last, until });
        reached = until;
    }
    match end {
        Some(end) if reached < end => (steps, reached, vec![Gap { after: reached, to: Some(end) }]),
        _ => (steps, reached, Vec::new()),
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
            backup(3, BackupKind::Incremental, 30, Some(2)),
            backup(4, BackupKind::Full, 60, None),
        ]
    }

    /// Backups used, segments used (after, until), what is reached, and the gaps.
    type Outline = (Vec<u8>, Vec<(u64, u64)>, u64, Vec<(u64, Option<u64>)>);

    fn outline(plan: &RestorePlan) -> Outline {
        let number = |lsn: Lsn| lsn.to_u64();
        (
            plan.backups.iter().map(|step| step.id.0[0]).collect(),
            plan.logs.iter().map(|log| (number(log.after), number(log.until))).collect(),
            number(plan.reaches),
            plan.gaps.iter().map(|gap| (number(gap.after), gap.to.map(number))).collect(),
        )
    }

    #[track_caller]
    fn check(logs: &[LogInfo], until: Until, expected: Outline) {
        let plan = plan(&backups(), logs, until).unwrap();
        assert_eq!(outline(&plan), expected);
        assert_eq!(plan.read_bytes, 100 * plan.backups.len() as u64);
    }

    fn lsn(number: u64) -> Until {
        Until::Lsn(Lsn::from_u64(number))
    }

    #[test]
    fn the_newest_backup_below_the_moment_is_taken_and_log_follows_it() {
        let logs = [segment(10, 25), segment(25, 45), segment(45, 70), segment(70, 90)];
        check(&logs, lsn(10), (vec![1], vec![], 10, vec![]));
        check(&logs, lsn(20), (vec![1, 2], vec![], 20, vec![]));
        check(&logs, lsn(28), (vec![1, 2], vec![(10, 25), (25, 28)], 28, vec![]));
        check(&logs, lsn(59), (vec![1, 2, 3], vec![(25, 45), (45, 59)], 59, vec![]));
        check(&logs, lsn(75), (vec![4], vec![(45, 70), (70, 75)], 75, vec![]));
        check(&logs, Until::Latest, (vec![4], vec![(45, 70), (70, 90)], 90, vec![]));
        let time = Until::WallUs(35_000_000);
        let all = vec![(25, 45), (45, 70), (70, 90)];
        check(&logs, time, (vec![1, 2, 3], all, 90, vec![]));
        check(&logs, Until::Backup(BackupId([2; 8])), (vec![1, 2], vec![], 20, vec![]));
    }

    #[test]
    fn missing_log_is_named_before_anything_is_read() {
        check(&[], Until::Latest, (vec![4], vec![], 60, vec![]));
        check(&[], lsn(61), (vec![4], vec![], 60, vec![(60, Some(61))]));
        let logs = [segment(10, 25), segment(35, 50), segment(65, 70)];
        check(&logs, lsn(40), (vec![1, 2, 3], vec![], 30, vec![(30, Some(35))]));
        check(&logs, lsn(33), (vec![1, 2, 3], vec![], 30, vec![(30, Some(33))]));
        check(&logs, Until::Latest, (vec![4], vec![], 60, vec![(60, Some(65))]));
    }

    #[test]
    fn a_backup_whose_chain_is_broken_is_passed_over_with_the_reason() {
        let mut backups = backups();
        backups.remove(1);
        let logs = [segment(10, 60)];
        let planned = plan(&backups, &logs, lsn(40)).unwrap();
        assert_eq!(outline(&planned), (vec![1], vec![(10, 40)], 40, vec![]));
        assert!(planned.passed_over[0].contains("0202020202020202"), "{planned:?}");
    }

    #[test]
    fn before_the_first_backup_there_is_nothing_to_restore() {
        let error = plan(&backups(), &[], lsn(9)).unwrap_err();
        assert!(matches!(error, ArchiveError::NothingToRestore { .. }), "{error}");
        assert!(error.to_string().contains("0101010101010101"), "{error}");
        plan(&[], &[], Until::Latest).unwrap_err();
    }
}
