//! Checking a backup against its manifest, and the reports that are kept of that.

use std::collections::HashSet;
use std::io;
use std::sync::Arc;

use serde::Serialize;

use crate::backup::Backup;
use crate::check::{CheckLevel, CheckReport};
use crate::error::{ArchiveError, Damage};
use crate::fate::{Fate, Fates};
use crate::head::VolumeHead;
use crate::index;
use crate::layout;
use crate::manifest::{FORMAT_VERSION, Manifest};
use crate::names::{MANIFEST, VERIFY, parity_name};
use crate::parity::GROUP_SIZE;
use crate::record::{Identity, Scanned, VolumeFile};
use crate::seal::RecordKey;
use crate::survey::{Progress, Survey};
use crate::target::Target;
use crate::text;

/// A kept report.
#[derive(Serialize)]
struct KeptReport<'a> {
    format: u16,
    wall_us: i64,
    account: &'a str,
    whole: bool,
    report: &'a CheckReport,
}

/// The name under which `report` is kept.
pub(crate) fn report_name(wall_us: i64, report: &CheckReport) -> String {
    let level = match report.level {
        CheckLevel::Structure => "structure",
        CheckLevel::Hashes => "hashes",
        CheckLevel::Deep => "deep",
    };
    format!("{VERIFY}/{wall_us:020}-{}-{level}.json", report.backup)
}

/// The bytes of a kept report.
pub(crate) fn encode(
    report: &CheckReport,
    wall_us: i64,
    account: &str,
) -> Result<Vec<u8>, ArchiveError> {
    let (format, whole) = (FORMAT_VERSION, report.is_whole());
    text::seal_json(&KeptReport { format, wall_us, account, whole, report })
}

/// Checks the volumes that `manifest` names, and the other files in `folder`. Contents whose ids
/// begin with one of `elsewhere`, sorted, are in what the backup builds upon.
pub(crate) fn check_volumes(
    target: &dyn Target,
    folder: &str,
    manifest: &Manifest,
    level: CheckLevel,
    (elsewhere, key): (&[u64], Option<&Arc<RecordKey>>),
    observe: &mut dyn FnMut(Progress),
) -> CheckReport {
    let volumes = layout::open_volumes(target, folder, manifest, key);
    let is_locked = manifest.envelope.is_some() && key.is_none();
    let mut damage = foreign_files(target, folder, manifest);
    damage.extend(wrong_sizes(&volumes, manifest));
    let mut report = CheckReport::empty(manifest.backup_id, level);
    report.absent = manifest.absent.len() as u64;
    if level == CheckLevel::Structure {
        damage.extend(check_structure(&volumes));
        report.damage = damage;
        return report;
    }
    let mut survey = Survey::run(&volumes, level == CheckLevel::Deep, observe);
    damage.append(&mut survey.damage);
    if damage.is_empty() {
        damage.extend(compare_roots(folder, &survey, manifest));
    }
    if level == CheckLevel::Hashes && !damage.is_empty() && !is_locked {
        survey = Survey::run(&volumes, true, observe);
    }
    let healed = volumes.iter().flatten().flat_map(VolumeFile::healed).collect();
    let was_deep = !is_locked && (level == CheckLevel::Deep || !damage.is_empty());
    report.bytes = survey.bytes;
    report.records = survey.records;
    report.contents = survey.good.len() as u64;
    if was_deep {
        damage.extend(look_deeper(folder, volumes, &survey, manifest, elsewhere, &mut report));
    }
    damage.extend(check_parity(target, folder, manifest));
    report.damage = damage;
    report.healed = healed;
    report
}

/// Damage to the parity itself: nothing is lost by it, and nothing would come back.
fn check_parity(target: &dyn Target, folder: &str, manifest: &Manifest) -> Vec<Damage> {
    let mut damage = Vec::new();
    if !manifest.features.has_parity() {
        return damage;
    }
    for (number, entry) in (0..).zip(&manifest.volumes) {
        let name = parity_name(folder, &entry.file);
        let identity = Identity { tag: manifest.backup_id.tag(), volume: Some(number) };
        let file = match VolumeFile::open(target, &name, Some(identity)) {
            Ok(file) => file,
            Err(missing) => {
                damage.push(missing);
                continue;
            }
        };
        let mut groups = 0;
        for scanned in file.scan() {
            match scanned {
                Scanned::Record(_) => groups += 1,
                Scanned::Damage(found) => damage.push(found),
            }
        }
        if groups != entry.size_bytes.div_ceil(GROUP_SIZE) && damage.is_empty() {
            damage.push(Damage::of_file(&name, "it is not the parity of the whole volume"));
        }
    }
    damage
}

/// Fates, streams and totals; fills the report's mailboxes and returns further damage.
fn look_deeper(
    folder: &str,
    volumes: Vec<Result<VolumeFile, Damage>>,
    survey: &Survey,
    manifest: &Manifest,
    elsewhere: &[u64],
    report: &mut CheckReport,
) -> Vec<Damage> {
    let mut damage = Vec::new();
    let absent: HashSet<u64> = manifest.absent.iter().map(|id| id.prefix()).collect();
    let fates = Fates::of(&volumes, survey, Some(manifest.totals.mailboxes), elsewhere, &absent);
    let messages: u64 = fates.mailboxes.iter().map(|mailbox| mailbox.messages).sum();
    let mailboxes = fates.mailboxes.len() as u64;
    report.mailboxes = fates.mailboxes;
    report.mailboxes.retain(|mailbox| mailbox.fate != Fate::Whole);
    if fates.unexplained > 0 {
        let what = format!("the contents of {} messages are not in it", fates.unexplained);
        damage.push(Damage::of_file(folder, what));
    }
    let totals = manifest.totals;
    let fits = messages == totals.messages
        && mailboxes == totals.mailboxes
        && survey.found.outlines.len() as u64 == totals.outline_records
        && survey.good_bytes == totals.content_bytes;
    if !fits {
        let what = "what is in it does not add up to the totals of its manifest";
        damage.push(Damage::of_file(folder, what));
    }
    let backup = Backup::of_volumes(folder, volumes, Some(manifest.clone()));
    damage.extend(check_streams(folder, &backup, totals.streams));
    damage
}

fn check_streams(folder: &str, backup: &Backup, expected: u64) -> Vec<Damage> {
    let mut damage = Vec::new();
    let streams = backup.streams();
    if streams.len() as u64 != expected {
        let what = format!("it has {} streams, {expected} were written", streams.len());
        damage.push(Damage::of_file(folder, what));
    }
    for info in streams {
        let read =
            backup.stream(&info.name).map_err(|error| error.to_string()).and_then(|mut stream| {
                io::copy(&mut stream, &mut io::sink()).map_err(|error| error.to_string())
            });
        if let Err(error) = read {
            let what = format!("stream {:?} cannot be read: {error}", info.name);
            damage.push(Damage::of_file(folder, what));
        }
    }
    damage
}

/// Files in `folder` that its backup does not know.
pub(crate) fn foreign_files(target: &dyn Target, folder: &str, manifest: &Manifest) -> Vec<Damage> {
    let names = match target.list(folder) {
        Ok(names) => names,
        Err(error) => {
            return vec![Damage::of_file(folder, format!("it cannot be listed: {error}"))];
        }
    };
    let known = |name: &String| {
        name == MANIFEST || manifest.volumes.iter().any(|volume| volume.file == *name)
    };
    let stranger = |name: String| {
        Damage::of_file(&format!("{folder}/{name}"), "the file is no part of this backup")
    };
    // While the backup is being written, its manifest does not exist yet.
    names.into_iter().filter(|name| !known(name)).map(stranger).collect()
}

fn wrong_sizes(volumes: &[Result<VolumeFile, Damage>], manifest: &Manifest) -> Vec<Damage> {
    let pairs = volumes.iter().zip(&manifest.volumes);
    let wrong = pairs.filter_map(|(volume, entry)| {
        let volume = volume.as_ref().ok()?;
        let (has, had) = (volume.stored_bytes(), entry.size_bytes);
        let what = format!("it has {has} bytes, {had} were written");
        (has != had).then(|| Damage::of_file(&volume.name, what))
    });
    wrong.collect()
}

fn check_structure(volumes: &[Result<VolumeFile, Damage>]) -> Vec<Damage> {
    let mut damage = Vec::new();
    for (number, volume) in (0..).zip(volumes) {
        let volume = match volume {
            Ok(volume) => volume,
            Err(missing) => {
                damage.push(missing.clone());
                continue;
            }
        };
        match VolumeHead::read(volume) {
            Ok(_) => {}
            Err(ArchiveError::Damaged(found)) => damage.push(found),
            Err(error) => damage.push(Damage::of_file(&volume.name, error.to_string())),
        }
        damage.extend(index::read(volume, number).err());
    }
    damage
}

/// All records have their hashes; whether they are the ones that were written.
fn compare_roots(folder: &str, survey: &Survey, manifest: &Manifest) -> Vec<Damage> {
    let mut damage = Vec::new();
    for (summary, entry) in survey.volumes.iter().zip(&manifest.volumes) {
        let is_same = summary.describes(entry)
            && summary.head.as_ref().is_some_and(|head| {
                head.backup_id == manifest.backup_id && head.header == manifest.header
            });
        if !is_same {
            let what = "its records are not the ones that were written";
            damage.push(Damage::of_file(&format!("{folder}/{}", entry.file), what));
        }
    }
    if layout::root(&manifest.volumes) != manifest.root {
        damage.push(Damage::of_file(folder, "the roots of its volumes do not give its root"));
    }
    damage
}
