//! Planning a restore: which backups and log segments bring a store to a moment, and what lacks.
//!
//! A pure function of a set's listing: nothing is read for it and nothing is touched.

use rehome_log::Lsn;
use serde::Serialize;

use crate::chain::chain;
use crate::error::ArchiveError;
use crate::ids::{BackupId, SegmentId};
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
    /// Whether it holds the store's catalog: then log can be replayed upon it.
    pub has_catalog: bool,
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
    /// The segment's id.
    pub id: SegmentId,
    /// The log record before its first one.
    pub after: Lsn,
    /// Its last log record.
    pub last: Lsn,
    /// Replay ends here at the latest; the segment may go on.
    pub until: Lsn,
}

impl LogStep {
    /// The segment as a listing names it.
    #[must_use]
    pub fn info(&self) -> LogInfo {
        let LogStep { file, id, after, last, .. } = self.clone();
        LogInfo { file, id, after, last }
    }
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
    /// When the last log record of the last segment was written, microseconds since 1970; none if
    /// nobody looked, or there is none.
    pub log_wall_us: Option<i64>,
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

    /// Whether it begins with a backup that holds the store's catalog.
    #[must_use]
    pub fn has_catalog(&self) -> bool {
        self.backups.last().is_some_and(|step| step.has_catalog)
    }
}

/// Plans a restore.
///
/// `backups` and `logs` are a set's listing, each in ascending order of LSN.
/// The newest backup at or below the moment whose catalog log can follow is taken, with the log
/// after it; where that does not come as far as the newest backup whose chain holds, that one.
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
    if let Until::Backup(id) = until {
        return Ok(of_chain(&chain(backups, id)?, until));
    }
    let mut passed_over = Vec::new();
    let shown = of_chain(&newest(backups, until, &mut passed_over)?, until);
    let replayed = with_log(backups, logs, until).filter(|plan| plan.reaches >= shown.reaches);
    let plan = replayed.unwrap_or_else(|| {
        let gaps = beyond(logs, until, shown.reaches);
        RestorePlan { gaps, ..shown }
    });
    Ok(RestorePlan { passed_over, ..plan })
}

/// The state that a chain shows.
fn of_chain(chain: &[&BackupInfo], until: Until) -> RestorePlan {
    let backups = steps(chain);
    let reaches = backups.last().map_or(Lsn::ZERO, |step| step.lsn_end);
    let read_bytes = backups.iter().map(|step| step.stored_bytes).sum();
    let (logs, gaps, passed_over) = (Vec::new(), Vec::new(), Vec::new());
    let log_wall_us = None;
    RestorePlan { until, backups, logs, reaches, log_wall_us, gaps, read_bytes, passed_over }
}

/// The newest backup at or below the moment that holds the catalog, and the log after it.
fn with_log(backups: &[BackupInfo], logs: &[LogInfo], until: Until) -> Option<RestorePlan> {
    let at_or_below = backups.iter().rev().filter(|backup| is_at_or_below(backup, until));
    let (base, chain) = at_or_below
        .filter_map(|backup| Some((backup.log_follows()?, chain(backups, backup.id).ok()?)))
        .next()?;
    let plan = of_chain(&chain, until);
    let (logs, reached, gaps) = replay(logs, base, until);
    let reaches = match (logs.is_empty(), until) {
        (false, _) => reached,
        (true, Until::Lsn(end)) => plan.reaches.max(base.min(end)),
        (true, _) => plan.reaches,
    };
    Some(RestorePlan { logs, reaches, gaps, ..plan })
}

/// Log beyond a state that no log can follow.
fn beyond(logs: &[LogInfo], until: Until, reaches: Lsn) -> Vec<Gap> {
    let to = match until {
        Until::Lsn(end) => Some(end),
        _ => logs.iter().map(|log| log.last).max(),
    };
    let to = to.filter(|to| *to > reaches);
    to.map(|to| Gap { after: reaches, to: Some(to) }).into_iter().collect()
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
            has_catalog: backup.log_follows().is_some(),
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
    for backup in backups.iter().rev().filter(|backup| is_at_or_below(backup, until)) {
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

/// Whether a backup shows the moment or an earlier one.
fn is_at_or_below(backup: &BackupInfo, until: Until) -> bool {
    match until {
        Until::Lsn(lsn) => backup.lsn_end <= lsn,
        Until::WallUs(wall_us) => {
            backup.manifest.as_ref().is_none_or(|manifest| manifest.header.wall_us <= wall_us)
        }
        Until::Latest | Until::Backup(_) => true,
    }
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
        let (file, id, after, last) = (log.file.clone(), log.id, log.after, log.last);
        steps.push(LogStep { file, id, after, last, until });
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
    use crate::feature::Features;
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
        check(&logs, lsn(20), (vec![1], vec![(10, 20)], 20, vec![]));
        check(&logs, lsn(28), (vec![1], vec![(10, 25), (25, 28)], 28, vec![]));
        let to_59 = vec![(10, 25), (25, 45), (45, 59)];
        check(&logs, lsn(59), (vec![1], to_59, 59, vec![]));
        check(&logs, lsn(75), (vec![4], vec![(45, 70), (70, 75)], 75, vec![]));
        check(&logs, Until::Latest, (vec![4], vec![(45, 70), (70, 90)], 90, vec![]));
        let time = Until::WallUs(35_000_000);
        let all = vec![(10, 25), (25, 45), (45, 70), (70, 90)];
        check(&logs, time, (vec![1], all, 90, vec![]));
        check(&logs, Until::Backup(BackupId([2; 8])), (vec![1, 2], vec![], 20, vec![]));
    }

    #[test]
    fn missing_log_is_named_before_anything_is_read() {
        check(&[], Until::Latest, (vec![4], vec![], 60, vec![]));
        check(&[], lsn(61), (vec![4], vec![], 60, vec![(60, Some(61))]));
        let logs = [segment(10, 25), segment(35, 50), segment(65, 70)];
        check(&logs, lsn(28), (vec![1], vec![(10, 25)], 25, vec![(25, Some(28))]));
        check(&logs, lsn(33), (vec![1, 2, 3], vec![], 30, vec![(30, Some(33))]));
        check(&logs, lsn(40), (vec![1, 2, 3], vec![], 30, vec![(30, Some(40))]));
        check(&logs, Until::Latest, (vec![4], vec![], 60, vec![(60, Some(65))]));
        let time = Until::WallUs(35_000_000);
        check(&logs, time, (vec![1, 2, 3], vec![], 30, vec![(30, Some(70))]));
    }

    #[test]
    fn log_follows_the_end_of_a_generation_and_not_the_state_before_it() {
        let mut full = backup(1, BackupKind::Full, 10, None);
        full.manifest.as_mut().unwrap().header.lsn_begin = Lsn::from_u64(12);
        let check = |logs: &[LogInfo], until, expected| {
            let plan = plan(std::slice::from_ref(&full), logs, until).unwrap();
            assert_eq!(outline(&plan), expected);
        };
        let logs = [segment(12, 25)];
        check(&logs, lsn(10), (vec![1], vec![], 10, vec![]));
        check(&logs, lsn(11), (vec![1], vec![], 11, vec![]));
        check(&logs, lsn(20), (vec![1], vec![(12, 20)], 20, vec![]));
        check(&[], Until::Latest, (vec![1], vec![], 10, vec![]));
    }

    #[test]
    fn log_follows_no_backup_without_a_catalog() {
        let mut backups = backups();
        backups[3].manifest.as_mut().unwrap().features = Features::default();
        let plan = |until| outline(&plan(&backups, &[segment(50, 90)], until).unwrap());
        assert_eq!(plan(Until::Latest), (vec![4], vec![], 60, vec![(60, Some(90))]));
        assert_eq!(plan(lsn(60)), (vec![4], vec![], 60, vec![]));
        assert_eq!(plan(lsn(70)), (vec![4], vec![], 60, vec![(60, Some(70))]));
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
