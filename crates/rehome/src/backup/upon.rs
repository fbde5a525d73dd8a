//! What a backup of changes builds upon.

use std::sync::Arc;

use rehome_archive::{
    ArchiveError, Backup, BackupInfo, BackupKind, Base, BaseReference, MailboxOutline, Set, Target,
};
use rehome_store::{ContentId, MailboxName, Modseq};

use super::{At, BackupRequest};
use crate::error::Error;

/// Bytes of an index for each content: reading it costs that much.
const INDEX_ENTRY_BYTES: u64 = 12;
/// What a message takes in the archive, about.
const CONTENT_BYTES: u64 = 4096;

/// The base, if the backup has one.
pub(super) struct Upon {
    base: Option<Base>,
    backups: Vec<Backup>,
}

impl Upon {
    /// Finds what a backup of this kind in the set at `target` builds upon.
    ///
    /// # Errors
    ///
    /// [`Error::BadInput`] if it needs a base and there is none, or one that is encrypted as it
    /// would not be.
    pub(super) fn of(target: &Arc<dyn Target>, request: &BackupRequest) -> Result<Upon, Error> {
        let kind = request.options.kind;
        if !matches!(kind, BackupKind::Differential | BackupKind::Incremental) {
            return Ok(Upon { base: None, backups: Vec::new() });
        }
        let set = match Set::open(Arc::clone(target)) {
            Err(ArchiveError::NoSet) => {
                let (kind, why) = (kind.word(), ": there is no set yet".to_owned());
                return Err(Error::refused(ArchiveError::NoBase { kind, why }));
            }
            opened => opened.map_err(Error::chain)?,
        };
        let base = set.base_for(kind).map_err(Error::refused)?;
        let sealed =
            |info: &BackupInfo| info.manifest.as_ref().is_some_and(|one| one.envelope.is_some());
        let is_sealed = base.chain.iter().any(sealed);
        if is_sealed && request.encryption.is_none() {
            return Err(Error::refused(ArchiveError::MustEncrypt));
        }
        // Who cannot read the base knows from its cursors alone what it has.
        let ids = base.chain.iter().map(|info| info.id).filter(|_| !is_sealed);
        let backups = set.open_all(ids).map_err(Error::chain)?;
        Ok(Upon { base: Some(base), backups })
    }

    /// What the manifest will say of it.
    pub(super) fn reference(&self) -> Option<BaseReference> {
        self.base.as_ref().map(|base| base.reference.clone())
    }

    /// The modseq up to which the base shows a mailbox; `None` if the mailbox is new, is another
    /// one of the same name, or has gone back behind the base.
    pub(super) fn since(&self, name: &MailboxName, at: At) -> Option<Modseq> {
        let cursor = self.base.as_ref()?.cursors.mailbox(name.as_str())?;
        let is_same = cursor.number == at.number.0 && cursor.highest_modseq <= at.highest_modseq.0;
        is_same.then_some(Modseq(cursor.highest_modseq))
    }

    /// Messages of the folder with lower UIDs are in the base with their contents.
    pub(super) fn shown_below(&self, outline: &MailboxOutline, folder: &str) -> u32 {
        self.base.as_ref().map_or(0, |base| base.cursors.shown_below(outline, folder))
    }

    /// Those of `contents` that the base holds. It is asked only where reading its index costs
    /// less than storing them again would: the cost of a backup of changes follows the changes.
    pub(super) fn found<'a>(
        &self,
        contents: impl ExactSizeIterator<Item = &'a ContentId>,
    ) -> Result<Vec<ContentId>, Error> {
        let held = self.backups.iter().filter_map(Backup::manifest);
        let index_bytes: u64 = held.map(|one| one.totals.contents * INDEX_ENTRY_BYTES).sum();
        if contents.len() as u64 * CONTENT_BYTES < index_bytes {
            return Ok(Vec::new());
        }
        let holds = |content: &ContentId| {
            let id = rehome_archive::ContentId(content.0);
            self.backups.iter().rev().any(|backup| backup.holds(&id))
        };
        Ok(contents.copied().filter(holds).collect())
    }
}
