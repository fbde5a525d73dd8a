//! Salvage: everything that can still be read, and the truth about the rest.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use crate::backup::Backup;
use crate::error::{ArchiveError, Damage};
use crate::fate::{Fates, MailboxFate};
use crate::manifest::{BackupHeader, Manifest};
use crate::record::{Scanned, VolumeFile};
use crate::survey::{Progress, Survey};
use crate::target::Target;

/// What could be read of a backup, whatever became of it.
pub struct Salvage {
    /// What is readable, for reading. It never gives out anything in place of what is lost.
    pub backup: Backup,
    /// What the backup is of, if anything that can be read says so.
    pub header: Option<BackupHeader>,
    /// Every mailbox that anything readable names, by number.
    pub mailboxes: Vec<MailboxFate>,
    /// Every place that is not as it was written.
    pub damage: Vec<Damage>,
    /// Contents found whole, each counted once.
    pub contents: u64,
}

impl Salvage {
    /// Surveys `volumes`, which are of one backup; contents whose ids begin with one of
    /// `elsewhere`, sorted, are in what it builds upon.
    pub(crate) fn of(
        folder: &str,
        volumes: Vec<Result<VolumeFile, Damage>>,
        manifest: Option<Manifest>,
        elsewhere: &[u64],
        observe: &mut dyn FnMut(Progress),
    ) -> Salvage {
        let mut survey = Survey::run(&volumes, true, observe);
        let count = manifest.as_ref().map(|manifest| manifest.totals.mailboxes);
        let absent: HashSet<u64> =
            manifest.iter().flat_map(|manifest| &manifest.absent).map(|id| id.prefix()).collect();
        let mailboxes = Fates::of(&volumes, &survey, count, elsewhere, &absent).mailboxes;
        let stated = manifest.as_ref().map(|manifest| manifest.header.clone());
        let mut heads = survey.volumes.iter_mut().filter_map(|volume| volume.head.take());
        let header = stated.or_else(|| heads.next().map(|head| head.header));
        let damage = std::mem::take(&mut survey.damage);
        let contents = survey.good.len() as u64;
        let catalog = std::mem::take(&mut survey.found);
        let backup = Backup::of_survey(folder, volumes, manifest, catalog);
        Salvage { backup, header, mailboxes, damage, contents }
    }
}

/// Salvages what the volume files `files` hold, in whatever order and of however many backups
/// they are; one item for each backup. Neither a set nor a manifest is needed.
///
/// # Errors
///
/// [`ArchiveError::Damaged`] if no file holds a single readable record.
pub fn salvage(
    target: &Arc<dyn Target>,
    files: &[String],
    observe: &mut dyn FnMut(Progress),
) -> Result<Vec<Salvage>, ArchiveError> {
    let mut backups: BTreeMap<u32, Vec<(u16, VolumeFile)>> = BTreeMap::new();
    let mut unread = Vec::new();
    for name in files {
        let mut volume = match VolumeFile::open(&**target, name, None) {
            Ok(volume) => volume,
            Err(damage) => {
                unread.push(damage);
                continue;
            }
        };
        let first = volume.scan().find_map(|scanned| match scanned {
            Scanned::Record(record) => Some(record.head),
            Scanned::Damage(_) => None,
        });
        match first {
            None => unread.push(Damage::of_file(name, "it holds no record")),
            Some(head) => {
                volume.identity = Some(head.identity());
                backups.entry(head.tag).or_default().push((head.volume, volume));
            }
        }
    }
    if backups.is_empty() {
        let none = || Damage::of_file("salvage", "no file was named");
        return Err(ArchiveError::Damaged(unread.pop().unwrap_or_else(none)));
    }
    let mut salvaged = Vec::new();
    for (_, mut volumes) in backups {
        volumes.sort_by_key(|(number, _)| *number);
        let volumes = volumes.into_iter().map(|(_, volume)| Ok(volume)).collect();
        let mut salvage = Salvage::of("salvage", volumes, None, &[], observe);
        salvage.damage.extend(unread.iter().cloned());
        salvaged.push(salvage);
    }
    Ok(salvaged)
}
