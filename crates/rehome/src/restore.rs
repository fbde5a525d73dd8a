//! Laying a backup down as a store or a directory that is not started yet.

use std::path::Path;
use std::sync::Arc;

use rehome_archive::{Backup, BackupId, DiskTarget, Set};
use rehome_log::{RealDisk, SystemClock};
use rehome_site::Directory;
use rehome_store::{OpenOptions, RestoreWriter};

use crate::backup::DIRECTORY_STREAM;
use crate::error::Error;
use crate::event::{Event, Flow, Observe};
use crate::memory::write_durably;
use crate::outline::rows_of;
use crate::serve::mark_restored;

/// Opens a backup of a set.
pub(crate) fn open(set: &Path, id: &str) -> Result<Backup, Error> {
    let set = Set::open(Arc::new(DiskTarget::at(set))).map_err(Error::chain)?;
    let id: BackupId = id.parse().map_err(Error::bad_input)?;
    set.backup(id).map_err(Error::chain)
}

/// Lays the store of a backup down at `target` and writes the marker that lets it recover.
///
/// What an earlier attempt left at `target` without a marker is set aside first, never deleted.
///
/// # Errors
///
/// [`Error::Interrupted`] if `observe` says so; [`Error::NeedsHuman`] if something of the backup
/// cannot be read, or the target cannot be written. The store does not open then.
pub(crate) fn store(
    set: &Path,
    id: &str,
    target: &Path,
    marker: &Path,
    observe: Observe<'_>,
) -> Result<String, Error> {
    let backup = open(set, id)?;
    lay_down(&backup, None, target, marker, observe)
}

/// Lays the store of a backup down, or one mailbox of it.
pub(crate) fn lay_down(
    backup: &Backup,
    only: Option<&str>,
    target: &Path,
    marker: &Path,
    observe: Observe<'_>,
) -> Result<String, Error> {
    set_aside(target)?;
    let manifest = backup.manifest();
    let totals = manifest.map(|manifest| manifest.totals).unwrap_or_default();
    let options = OpenOptions {
        owner: "restore".to_owned(),
        store_id: manifest.map(|manifest| manifest.header.store_id.0),
        ..OpenOptions::default()
    };
    std::fs::create_dir_all(target)
        .map_err(|error| Error::needs_human(format!("{}: {error}", target.display())))?;
    let (disk, clock) = (Arc::new(RealDisk::new(target)), Arc::new(SystemClock));
    let mut writer = RestoreWriter::create(disk, clock, options).map_err(Error::chain)?;
    let mut wanted = std::collections::HashSet::new();
    let mut outlines = Vec::new();
    for outline in backup.outlines() {
        let (_, outline) = outline.map_err(Error::chain)?;
        if only.is_none_or(|only| only == outline.name) {
            if only.is_some() {
                let messages = outline.folders.iter().flat_map(|folder| &folder.messages);
                wanted.extend(messages.map(|message| message.content));
            }
            outlines.push(outline);
        }
    }
    if outlines.is_empty() {
        return Err(Error::bad_input(format!(
            "the backup has no mailbox {}; see rehome archive list",
            only.unwrap_or("at all")
        )));
    }
    let mut done = 0;
    for content in backup.contents() {
        let content = content.map_err(Error::chain)?;
        if only.is_some() && !wanted.contains(&content.id) {
            continue;
        }
        writer.put_body(&content.bytes).map_err(Error::chain)?;
        done += content.bytes.len() as u64;
        tell(observe, done, totals.content_bytes)?;
    }
    let (mut mailboxes, mut messages) = (0_u64, 0_u64);
    for outline in outlines {
        let rows = rows_of(outline).map_err(Error::bad_input)?;
        mailboxes += 1;
        messages += rows.messages.len() as u64;
        writer.put_mailbox(rows).map_err(Error::chain)?;
    }
    let proof = writer.finish().map_err(Error::chain)?;
    let json = serde_json::to_vec_pretty(&proof).map_err(Error::needs_human)?;
    write_durably(marker, &json)?;
    Ok(format!("{mailboxes} mailboxes and {messages} messages laid down"))
}

fn tell(observe: Observe<'_>, done: u64, total: u64) -> Result<(), Error> {
    let event =
        Event::Progress { what: "restoring".to_owned(), done, total, unit: "bytes".to_owned() };
    match observe(event) {
        Flow::Continue => Ok(()),
        Flow::Stop => Err(Error::stopped("the restore was asked to stop")),
    }
}

/// Renames what an unfinished restore left, so that a new one begins with nothing.
fn set_aside(target: &Path) -> Result<(), Error> {
    if !target.exists() {
        return Ok(());
    }
    let aside = (1..)
        .map(|number| target.with_extension(format!("aside-{number}")))
        .find(|path| !path.exists())
        .expect("an endless list");
    std::fs::rename(target, &aside)
        .map_err(|error| Error::needs_human(format!("{}: {error}", target.display())))
}

/// Lays the directory of a backup down, under a new incarnation, and writes its marker.
///
/// # Errors
///
/// [`Error::NeedsHuman`] if the backup has no directory or it cannot be written.
pub(crate) fn directory(
    set: &Path,
    id: &str,
    target: &Path,
    marker: &Path,
) -> Result<String, Error> {
    let backup = open(set, id)?;
    let mut stream = backup.stream(DIRECTORY_STREAM).map_err(Error::chain)?;
    let mut json = Vec::new();
    std::io::Read::read_to_end(&mut stream, &mut json).map_err(Error::needs_human)?;
    let mut directory: Directory = serde_json::from_slice(&json).map_err(Error::needs_human)?;
    // Partners know changes of the old incarnation that the backup may not have.
    directory.begin_incarnation(directory.origin().incarnation + 1);
    set_aside(target)?;
    let objects = directory.objects().count();
    crate::directory::create(target, &directory)?;
    mark_restored(target, marker, &format!("{id} {}", directory.origin().incarnation))?;
    Ok(format!("{objects} objects laid down"))
}
