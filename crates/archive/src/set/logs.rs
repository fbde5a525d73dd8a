//! The archived log of a set.

use super::Set;
use crate::check::{CheckLevel, LogReport};
use crate::error::{ArchiveError, Damage};
use crate::ids::StoreId;
use crate::info::LogInfo;
use crate::segment::{self, LogSegment};
use crate::survey::Progress;

impl Set {
    /// Opens a log segment.
    ///
    /// # Errors
    ///
    /// [`ArchiveError::Damaged`] if it cannot be read, is not what its name says, or is of another
    /// set or store; [`ArchiveError::FutureVersion`], [`ArchiveError::UnknownFeature`].
    pub fn log(&self, info: &LogInfo) -> Result<LogSegment, ArchiveError> {
        let segment = LogSegment::open(&*self.target, info)?;
        match self.is_foreign(segment.head()) {
            Some(what) => Err(ArchiveError::file_damaged(&info.file, what)),
            None => Ok(segment),
        }
    }

    fn is_foreign(&self, head: &segment::SegmentHead) -> Option<String> {
        if head.header.store_id != self.file.store_id {
            let (other, own) = (head.header.store_id, self.file.store_id);
            return Some(format!("it is of the log of store {other}, and the set of store {own}"));
        }
        (head.set_id != self.file.set_id).then(|| format!("it is of set {}", head.set_id))
    }

    /// Checks every log segment, and that each follows the one before it where it says so. Damage
    /// is no error: it is in the report.
    ///
    /// # Errors
    ///
    /// The target's errors.
    pub fn check_logs(
        &self,
        level: CheckLevel,
        observe: &mut dyn FnMut(Progress),
    ) -> Result<LogReport, ArchiveError> {
        let mut report = LogReport::default();
        let mut before: Option<(LogInfo, String)> = None;
        for info in self.logs()? {
            let deep = level == CheckLevel::Deep;
            let found = segment::check(&self.target, &info, deep, observe);
            report.segments += 1;
            report.records += found.records;
            report.bytes += found.bytes;
            let foreign = found.head.as_ref().and_then(|head| self.is_foreign(head));
            let root = found.head.as_ref().and_then(|head| head.previous_root.clone());
            let unlinked = root.filter(|root| {
                before.as_ref().is_none_or(|(last, known)| last.last != info.after || known != root)
            });
            let unlinked = unlinked.map(|_| "the segment that it follows is not there".to_owned());
            let facts = foreign.into_iter().chain(unlinked);
            report.damage.extend(found.damage);
            report.damage.extend(facts.map(|what| Damage::of_file(&info.file, what)));
            before = Some((info, found.root));
        }
        Ok(report)
    }

    /// The set is of store `store`.
    pub(crate) fn expect_store(&self, store: StoreId) -> Result<(), ArchiveError> {
        let set = self.file.store_id;
        if set == store { Ok(()) } else { Err(ArchiveError::OtherStore { set, store }) }
    }
}
