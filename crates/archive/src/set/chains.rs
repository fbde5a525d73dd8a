//! Backups that build upon others, and what they show together.

use super::Set;
use crate::backup::Backup;
use crate::chain::{base_for, chain};
use crate::cursors::Cursors;
use crate::error::ArchiveError;
use crate::ids::BackupId;
use crate::info::{BackupInfo, LogInfo};
use crate::kind::BackupKind;
use crate::manifest::BaseReference;
use crate::names::{LOG, parse_segment_name};
use crate::plan::{Gap, LogStep, RestorePlan, Until, plan};
use crate::state::{State, read_cursors};

/// What a new backup of changes builds upon.
pub struct Base {
    /// What its manifest will say.
    pub reference: BaseReference,
    /// The backup and those that it builds upon, the full one first.
    pub chain: Vec<BackupInfo>,
    /// How far it shows each mailbox.
    pub cursors: Cursors,
}

impl Set {
    /// Backup `id` and all that it builds upon, the full one first.
    ///
    /// # Errors
    ///
    /// [`ArchiveError::NoBackup`], [`ArchiveError::Incomplete`], [`ArchiveError::BrokenChain`],
    /// and the target's errors.
    pub fn chain(&self, id: BackupId) -> Result<Vec<BackupInfo>, ArchiveError> {
        let backups = self.list()?;
        Ok(chain(&backups, id)?.into_iter().cloned().collect())
    }

    /// What a new backup of `kind`, which holds changes alone, builds upon.
    ///
    /// # Errors
    ///
    /// [`ArchiveError::NoBase`] if there is no such backup, and the target's errors.
    pub fn base_for(&self, kind: BackupKind) -> Result<Base, ArchiveError> {
        let no_base = |why: String| ArchiveError::NoBase { kind: kind.word(), why };
        let backups = self.list()?;
        let base = base_for(&backups, kind).ok_or_else(|| no_base(String::new()))?;
        let (Some(manifest), Some(hash)) = (&base.manifest, &base.manifest_hash) else {
            return Err(no_base(format!(": backup {} has no manifest", base.id)));
        };
        let backup = self.open_backup(&base.folder, manifest.clone());
        let cursors = read_cursors(&backup).map_err(|error| {
            no_base(format!(": backup {} does not say how far it goes ({error})", base.id))
        })?;
        let reference = BaseReference { backup_id: base.id, manifest_hash: hash.clone() };
        let chain = chain(&backups, base.id)?.into_iter().cloned().collect();
        Ok(Base { reference, chain, cursors })
    }

    /// Opens the backups of a chain or of a plan, in their order.
    ///
    /// # Errors
    ///
    /// As [`Set::backup`].
    pub fn open_all(
        &self,
        ids: impl IntoIterator<Item = BackupId>,
    ) -> Result<Vec<Backup>, ArchiveError> {
        ids.into_iter().map(|id| self.backup(id)).collect()
    }

    /// What backup `id` shows, with all that it builds upon; of one mailbox if `only` names it.
    ///
    /// # Errors
    ///
    /// As [`Set::chain`], and [`ArchiveError::Damaged`] if an outline cannot be read or does not
    /// follow the one before.
    pub fn state(&self, id: BackupId, only: Option<&str>) -> Result<State, ArchiveError> {
        let chain = self.chain(id)?;
        for info in &chain {
            let manifest = info.manifest.as_ref();
            manifest.map_or(Ok(()), |manifest| self.expect_key(manifest, &info.folder))?;
        }
        let opened = chain.into_iter().filter_map(|info| {
            info.manifest.map(|manifest| self.open_backup(&info.folder, manifest))
        });
        State::read(opened.collect(), only)
    }

    /// The log segments by what they hold, the oldest first. Nothing in them is read.
    ///
    /// # Errors
    ///
    /// The target's errors.
    pub fn logs(&self) -> Result<Vec<LogInfo>, ArchiveError> {
        let names = self.target.list(LOG).map_err(ArchiveError::target(LOG, "list it"))?;
        let mut logs: Vec<LogInfo> = names
            .iter()
            .filter_map(|name| {
                let (after, last, id) = parse_segment_name(name)?;
                Some(LogInfo { file: format!("{LOG}/{name}"), id, after, last })
            })
            .collect();
        logs.sort_by_key(|log| (log.after, log.last, log.id));
        Ok(logs)
    }

    /// Plans a restore from the names, manifests and first records of segments in the set. A
    /// segment that cannot be opened counts as missing; for a time, the plan ends with the segment
    /// in which log records are later.
    ///
    /// # Errors
    ///
    /// As [`plan`], and the target's errors.
    pub fn plan_restore(&self, until: Until) -> Result<RestorePlan, ArchiveError> {
        let (backups, mut logs) = (self.list()?, self.logs()?);
        let mut unreadable: Vec<(LogStep, String)> = Vec::new();
        loop {
            let mut plan = plan(&backups, &logs, until)?;
            // Behind the last segment that is left nothing else tells of it.
            let last = unreadable.iter().map(|(step, _)| step.last).max();
            let last = last.filter(|last| *last > plan.reaches && plan.gaps.is_empty());
            if let (Some(to), Until::Latest | Until::WallUs(_)) = (last, until) {
                plan.gaps.push(Gap { after: plan.reaches, to: Some(to) });
            }
            match self.follow(&mut plan)? {
                Some(found) => {
                    logs.retain(|log| log.file != found.0.file);
                    unreadable.push(found);
                }
                None => {
                    plan.passed_over.extend(unreadable.into_iter().map(|(_, why)| why));
                    return Ok(plan);
                }
            }
        }
    }

    /// Looks at the segments of a plan as far as its moment; gives the first that cannot be opened,
    /// and why.
    fn follow(&self, plan: &mut RestorePlan) -> Result<Option<(LogStep, String)>, ArchiveError> {
        for at in 0..plan.logs.len() {
            let step = &plan.logs[at];
            let head = match self.log_head(&step.info()) {
                Ok(head) => head,
                Err(error @ ArchiveError::Target { .. }) => return Err(error),
                Err(error) => return Ok(Some((step.clone(), error.to_string()))),
            };
            plan.log_wall_us = Some(head.last_wall_us);
            let latest = head.first_wall_us.max(head.last_wall_us);
            if matches!(plan.until, Until::WallUs(moment) if latest > moment) {
                (plan.reaches, plan.gaps) = (step.until, Vec::new());
                plan.logs.truncate(at + 1);
                break;
            }
        }
        Ok(None)
    }
}
