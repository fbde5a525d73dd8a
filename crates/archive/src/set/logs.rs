//! The archived log of a set.

use rehome_log::Lsn;

use super::Set;
use crate::check::{CheckLevel, LogReport, LostLog};
use crate::error::{ArchiveError, Damage};
use crate::ids::StoreId;
use crate::info::{BackupInfo, LogInfo};
use crate::segment::{self, LogSegment, SegmentHead};
use crate::survey::Progress;

impl Set {
    /// Opens a log segment.
    ///
    /// # Errors
    ///
    /// [`ArchiveError::Damaged`] if it cannot be read, is not what its name says, or is of another
    /// set or store; [`ArchiveError::FutureVersion`], [`ArchiveError::UnknownFeature`];
    /// [`ArchiveError::Locked`].
    pub fn log(&self, info: &LogInfo) -> Result<LogSegment, ArchiveError> {
        let segment = LogSegment::open(&*self.target, info, &self.identities)?;
        self.expect_ours(info, segment.head())?;
        Ok(segment)
    }

    /// What a segment says of itself.
    ///
    /// # Errors
    ///
    /// As [`Set::log`]; a key is not needed.
    pub fn log_head(&self, info: &LogInfo) -> Result<SegmentHead, ArchiveError> {
        let (_, head) = segment::read_head(&*self.target, info)?;
        self.expect_ours(info, &head)?;
        Ok(head)
    }

    fn expect_ours(&self, info: &LogInfo, head: &SegmentHead) -> Result<(), ArchiveError> {
        match self.is_foreign(head) {
            Some(what) => Err(ArchiveError::file_damaged(&info.file, what)),
            None => Ok(()),
        }
    }

    fn is_foreign(&self, head: &SegmentHead) -> Option<String> {
        if head.header.store_id != self.file.store_id {
            let (other, own) = (head.header.store_id, self.file.store_id);
            return Some(format!("it is of the log of store {other}, and the set of store {own}"));
        }
        (head.set_id != self.file.set_id).then(|| format!("it is of set {}", head.set_id))
    }

    /// Checks every log segment, and that each follows the one before it where it says so. Damage
    /// is no error: it is in the report, with the parts of the log that it costs.
    ///
    /// # Errors
    ///
    /// The target's errors; [`ArchiveError::Locked`] for a deep check of what is encrypted.
    pub fn check_logs(
        &self,
        level: CheckLevel,
        observe: &mut dyn FnMut(Progress),
    ) -> Result<LogReport, ArchiveError> {
        let mut report = LogReport::default();
        let mut lost = Vec::new();
        let mut before: Option<(LogInfo, String)> = None;
        let deep = (level == CheckLevel::Deep).then_some(&self.identities);
        for info in self.logs()? {
            let found = segment::check(&self.target, &info, deep, observe);
            if deep.is_some() && found.is_locked {
                return Err(ArchiveError::Locked { file: info.file });
            }
            report.segments += 1;
            report.records += found.records;
            report.bytes += found.bytes;
            let foreign = found.head.as_ref().and_then(|head| self.is_foreign(head));
            let missing = self.missing_before(found.head.as_ref(), &info, before.as_ref())?;
            lost.extend(missing.is_some().then(|| (reached(before.as_ref()), info.after)));
            let has_damage = !found.damage.is_empty() || foreign.is_some();
            lost.extend(has_damage.then_some((info.after, info.last)));
            report.damage.extend(found.damage);
            let facts = foreign.into_iter().chain(missing);
            report.damage.extend(facts.map(|what| Damage::of_file(&info.file, what)));
            before = Some((info, found.root));
        }
        report.lost = self.lost(lost)?;
        Ok(report)
    }

    /// What is wrong with the segment before the one that `head` and `info` describe, if that says
    /// that it follows one. The one before the first may have expired: no backup needs it then.
    fn missing_before(
        &self,
        head: Option<&SegmentHead>,
        info: &LogInfo,
        before: Option<&(LogInfo, String)>,
    ) -> Result<Option<String>, ArchiveError> {
        let Some(root) = head.and_then(|head| head.previous_root.as_ref()) else { return Ok(None) };
        let is_as_it_should = match before {
            Some((last, known)) => last.last == info.after && known == root,
            None => {
                let oldest = self.list()?.iter().filter_map(BackupInfo::log_follows).min();
                oldest.is_some_and(|oldest| oldest >= info.after)
            }
        };
        Ok((!is_as_it_should).then(|| "the segment that it follows is not there".to_owned()))
    }

    /// Parts of the log that are lost, with the backups that bridge them.
    fn lost(&self, parts: Vec<(Lsn, Lsn)>) -> Result<Vec<LostLog>, ArchiveError> {
        let backups = if parts.is_empty() { Vec::new() } else { self.list()? };
        let mut lost: Vec<LostLog> = Vec::new();
        for (after, last) in parts {
            match lost.last_mut().filter(|one| one.last >= after) {
                Some(one) => one.last = one.last.max(last),
                None => lost.push(LostLog { after, last, until_backup: None }),
            }
        }
        for one in &mut lost {
            let next = backups.iter().find(|it| it.log_follows().is_some_and(|at| at >= one.last));
            one.until_backup = next.map(|next| next.id);
        }
        Ok(lost)
    }

    /// The set is of store `store`.
    pub(crate) fn expect_store(&self, store: StoreId) -> Result<(), ArchiveError> {
        let set = self.file.store_id;
        if set == store { Ok(()) } else { Err(ArchiveError::OtherStore { set, store }) }
    }
}

/// Where a segment ends; [`Lsn::ZERO`] if there is none.
fn reached(before: Option<&(LogInfo, String)>) -> Lsn {
    before.map_or(Lsn::ZERO, |(last, _)| last.last)
}
