//! Laying a backup down as a store or a directory that is not started yet.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

use rehome_archive::{
    ArchiveError, BackupId, Content, ContentId, MailboxOutline, Set, State, Until,
};
use rehome_log::{Clock, Disk, Lsn, RealDisk, SystemClock};
use rehome_site::Directory;
use rehome_store::{
    OpenOptions, RestoreMarker, RestoreStage, RestoreWriter, StoreError, restore_stage,
};
use serde::{Deserialize, Serialize};

use crate::backup::DIRECTORY_STREAM;
use crate::error::Error;
use crate::event::{Event, Flow, Observe};
use crate::memory::write_durably;
use crate::outline::rows_of;
use crate::replay;
use crate::serve::mark_restored;
use crate::summary::bytes;

/// Opens what a backup of a set shows, with all that it builds upon; of one mailbox if `only`
/// names it.
pub(crate) fn open(set: &Set, id: &str, only: Option<&str>) -> Result<State, Error> {
    let id: BackupId = id.parse().map_err(Error::bad_input)?;
    set.state(id, only).map_err(unreadable)
}

/// Why a backup or a part of the log cannot be read.
pub(crate) fn unreadable(error: ArchiveError) -> Error {
    match error {
        ArchiveError::Locked { .. } => Error::refused(error),
        error => Error::chain(error),
    }
}

/// What of a backup is wanted; everything where nothing is said.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Selection {
    /// This mailbox alone.
    pub(crate) mailbox: Option<String>,
    /// This folder of it alone.
    pub(crate) folder: Option<String>,
    /// The message with this UID alone.
    pub(crate) message: Option<u32>,
}

/// The part of a backup that is laid down.
#[derive(Debug)]
pub(crate) struct Chosen {
    outlines: Vec<MailboxOutline>,
    /// Each content that they name, with its size.
    contents: HashMap<ContentId, u64>,
}

/// How much a chosen part is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Amount {
    pub(crate) mailboxes: u64,
    pub(crate) messages: u64,
    pub(crate) content_bytes: u64,
}

impl Chosen {
    /// Chooses from what a backup shows.
    ///
    /// # Errors
    ///
    /// [`Error::BadInput`] if there is no such mailbox, folder or message.
    pub(crate) fn of(state: &State, selection: &Selection) -> Result<Self, Error> {
        let named = |outline: &&MailboxOutline| {
            selection.mailbox.as_ref().is_none_or(|name| *name == outline.name)
        };
        let chosen = state.mailboxes().iter().filter(named).cloned().collect();
        Chosen::narrowed(chosen, selection, || mailbox_names(state))
    }

    /// Chooses from the outlines of all mailboxes.
    ///
    /// # Errors
    ///
    /// As [`Chosen::of`].
    pub(crate) fn from_all(all: Vec<MailboxOutline>, selection: &Selection) -> Result<Self, Error> {
        Chosen::of_outlines(all.into_iter().map(|outline| Ok((0, outline))), selection)
    }

    /// The contents that it names, each once.
    pub(crate) fn content_ids(&self) -> impl Iterator<Item = ContentId> + '_ {
        self.contents.keys().copied()
    }

    /// Chooses from outlines as they come out of a pipe.
    ///
    /// # Errors
    ///
    /// As [`Chosen::of`]; [`Error::NeedsHuman`] if an outline cannot be read.
    pub(crate) fn of_outlines(
        all: impl Iterator<Item = Result<(u32, MailboxOutline), ArchiveError>>,
        selection: &Selection,
    ) -> Result<Self, Error> {
        let (mut outlines, mut others) = (Vec::new(), Vec::new());
        for outline in all {
            let (_, outline) = outline.map_err(unreadable)?;
            match &selection.mailbox {
                Some(only) if *only != outline.name => others.push(outline.name),
                _ => outlines.push(outline),
            }
        }
        Chosen::narrowed(outlines, selection, || others)
    }

    /// Chooses from the mailboxes that were asked for; `others` are named if there is none.
    fn narrowed(
        mut outlines: Vec<MailboxOutline>,
        selection: &Selection,
        others: impl FnOnce() -> Vec<String>,
    ) -> Result<Self, Error> {
        if let (Some(name), true) = (&selection.mailbox, outlines.is_empty()) {
            return Err(no_such_mailbox(name, &others()));
        }
        for outline in &mut outlines {
            narrow(outline, selection)?;
        }
        Ok(Chosen::these(outlines))
    }

    /// Chooses these mailboxes.
    pub(crate) fn these(outlines: Vec<MailboxOutline>) -> Self {
        let messages = outlines.iter().flat_map(|one| &one.folders).flat_map(|one| &one.messages);
        let contents = messages.map(|message| (message.content, message.size_bytes)).collect();
        Chosen { outlines, contents }
    }

    /// How much it is; each content counts once.
    pub(crate) fn amount(&self) -> Amount {
        let folders = self.outlines.iter().flat_map(|outline| &outline.folders);
        Amount {
            mailboxes: self.outlines.len() as u64,
            messages: folders.map(|folder| folder.messages.len() as u64).sum(),
            content_bytes: self.contents.values().sum(),
        }
    }
}

/// Takes away what of a mailbox is not wanted.
fn narrow(outline: &mut MailboxOutline, selection: &Selection) -> Result<(), Error> {
    let Some(name) = &selection.folder else { return Ok(()) };
    let before: Vec<String> = outline.folders.iter().map(|one| one.name.clone()).collect();
    outline.folders.retain(|folder| folder.name == *name);
    outline.subscriptions.retain(|subscribed| subscribed == name);
    let Some(folder) = outline.folders.first_mut() else {
        return Err(none_of("folder", name, &outline.name, &before));
    };
    let Some(uid) = selection.message else { return Ok(()) };
    folder.messages.retain(|message| message.uid == uid);
    if folder.messages.is_empty() {
        let place = format!("folder \"{name}\" of mailbox \"{}\"", outline.name);
        return Err(Error::bad_input(format!(
            "in the backup, {place} has no message with UID {uid}, so nothing was restored; \
             choose another one, or another backup"
        )));
    }
    Ok(())
}

fn mailbox_names(state: &State) -> Vec<String> {
    state.last().outlines().flatten().map(|(_, outline)| outline.name).collect()
}

/// How many mailboxes a message names.
const NAMED_MAX: usize = 20;

fn no_such_mailbox(name: &str, others: &[String]) -> Error {
    none_of("mailbox", name, "the backup", others)
}

fn none_of(what: &str, name: &str, place: &str, others: &[String]) -> Error {
    let mut has = others.iter().take(NAMED_MAX).cloned().collect::<Vec<_>>().join(", ");
    if others.len() > NAMED_MAX {
        has.push_str(&format!(" and {} more", others.len() - NAMED_MAX));
    }
    Error::bad_input(format!(
        "{place} has no {what} \"{name}\", so nothing was restored; choose one that it has: {has}"
    ))
}

/// Lays the store of a backup down at `target` and writes the marker that lets it recover.
///
/// What an earlier attempt has written at `target` is gone on with; anything else there is set
/// aside first, never deleted.
///
/// # Errors
///
/// [`Error::Interrupted`] if `observe` says so; [`Error::NeedsHuman`] if something of the backup
/// cannot be read, or the target cannot be written. The store does not open then.
pub(crate) fn store(
    set: &Set,
    id: &str,
    target: &Path,
    marker: &Path,
    observe: Observe<'_>,
) -> Result<String, Error> {
    let state = open(set, id, None)?;
    let chosen = Chosen::of(&state, &Selection::default())?;
    let amount = chosen.amount();
    set_aside_unless_begun(target)?;
    lay_down(Source::of(&state), chosen, target, marker, observe)?;
    Ok(format!("{} mailboxes and {} messages laid down", amount.mailboxes, amount.messages))
}

/// Lays the store of a set down as it was after log record `lsn`; as [`store`].
///
/// # Errors
///
/// As [`store`].
pub(crate) fn store_at(
    set: &Set,
    lsn: Lsn,
    target: &Path,
    marker: &Path,
    observe: Observe<'_>,
) -> Result<String, Error> {
    let plan = set.plan_restore(Until::Lsn(lsn)).map_err(Error::chain)?;
    if !plan.is_complete() {
        let reaches = plan.reaches;
        let text = format!("the archive leads to {reaches}, not to {lsn}: log is missing");
        return Err(Error::needs_human(text));
    }
    set_aside_unless_begun(target)?;
    let reached = replay::lay_down(set, &plan, target, marker, observe)?.reached;
    let (backups, logs) = (plan.backups.len(), plan.logs.len());
    Ok(format!("{backups} backup and {logs} segments of the log laid down, up to {reached}"))
}

/// Gives the contents with these ids.
type Contents<'a> = dyn FnOnce(Vec<ContentId>) -> ContentIter<'a> + 'a;
/// Contents as they come. An error says that the backup cannot be trusted.
pub(crate) type ContentIter<'a> = Box<dyn Iterator<Item = Result<Content, ArchiveError>> + 'a>;

/// What a restore reads beside the outlines.
pub(crate) struct Source<'a> {
    /// Gives the contents that are asked for, among others perhaps.
    pub(crate) contents: Box<Contents<'a>>,
}

impl<'a> Source<'a> {
    /// What a state has.
    pub(crate) fn of(state: &'a State) -> Self {
        Source { contents: Box::new(|ids| Box::new(state.contents(ids))) }
    }
}

/// What laying a store down came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Laid<T> {
    /// Up to where.
    pub(crate) reached: T,
    /// Bytes of contents that an earlier attempt had written.
    pub(crate) there_bytes: u64,
}

/// Lays the chosen part of what `source` gives down at `target`, and goes on with what an earlier
/// attempt at it has left there.
///
/// The store has an identity of its own: its places in the log begin anew, and in the set of the
/// former store they would come twice.
pub(crate) fn lay_down(
    source: Source<'_>,
    chosen: Chosen,
    target: &Path,
    marker: &Path,
    observe: Observe<'_>,
) -> Result<Laid<()>, Error> {
    let options = OpenOptions { owner: "restore".to_owned(), ..OpenOptions::default() };
    std::fs::create_dir_all(target)
        .map_err(|error| Error::needs_human(format!("{}: {error}", target.display())))?;
    let disk = Arc::new(RealDisk::new(target));
    let (proof, laid) = write(source, chosen, disk, Arc::new(SystemClock), options, observe)?;
    let json = serde_json::to_vec_pretty(&proof).map_err(Error::needs_human)?;
    write_durably(marker, &json)?;
    Ok(laid)
}

/// The same on `disk`; the marker is in the answer.
pub(crate) fn write(
    source: Source<'_>,
    chosen: Chosen,
    disk: Arc<dyn Disk>,
    clock: Arc<dyn Clock>,
    options: OpenOptions,
    observe: Observe<'_>,
) -> Result<(RestoreMarker, Laid<()>), Error> {
    let wanted = |id: &rehome_store::ContentId| chosen.contents.contains_key(&ContentId(id.0));
    let look = &mut |done| looking(observe, done);
    let writer = RestoreWriter::resume(disk, clock, options, &wanted, look);
    let mut writer = writer.map_err(not_begun)?;
    let has = |writer: &RestoreWriter, id: &ContentId| writer.has(&rehome_store::ContentId(id.0));
    let total = chosen.amount().content_bytes;
    let there_bytes = tell_there(observe, writer.kept_bytes(), total)?;
    let missing = chosen.content_ids().filter(|id| !has(&writer, id)).collect();
    let mut done = there_bytes;
    for content in (source.contents)(missing) {
        let content = content.map_err(Error::chain)?;
        if !chosen.contents.contains_key(&content.id) || has(&writer, &content.id) {
            continue;
        }
        let put = match &content.zstd_frame {
            Some(frame) => writer.put_packed_body(&content.bytes, frame),
            None => writer.put_body(&content.bytes),
        };
        put.map_err(Error::chain)?;
        done += content.bytes.len() as u64;
        if let Err(stopped) = tell(observe, done, total) {
            writer.settle().map_err(Error::chain)?;
            return Err(stopped);
        }
    }
    writer.settle().map_err(Error::chain)?;
    for outline in chosen.outlines {
        let rows = rows_of(outline).map_err(Error::bad_input)?;
        writer.put_mailbox(rows).map_err(Error::chain)?;
    }
    Ok((writer.finish().map_err(Error::chain)?, Laid { reached: (), there_bytes }))
}

/// Tells how much of what an earlier attempt has written was read back.
pub(crate) fn looking(observe: Observe<'_>, done: u64) -> rehome_store::Flow {
    let what = "checking what is there already".to_owned();
    let event = Event::Progress { what, done, total: 0, unit: "bytes".to_owned() };
    match observe(event) {
        Flow::Continue => rehome_store::Flow::Continue,
        Flow::Stop => rehome_store::Flow::Stop,
    }
}

/// Tells how much an earlier attempt has written; gives it back.
pub(crate) fn tell_there(
    observe: Observe<'_>,
    there_bytes: u64,
    total_bytes: u64,
) -> Result<u64, Error> {
    if there_bytes > 0 {
        let (there, total) = (bytes(there_bytes), bytes(total_bytes.max(there_bytes)));
        let text = format!("{there} of {total} were there already and are whole");
        // Whether to go on is asked again at once.
        let _flow = observe(Event::Note { text });
        tell(observe, there_bytes, total_bytes)?;
    }
    Ok(there_bytes)
}

/// Why a restore did not begin.
pub(crate) fn not_begun(error: StoreError) -> Error {
    match error {
        StoreError::Stopped => Error::stopped("the restore was asked to stop"),
        error => Error::chain(error),
    }
}

fn tell(observe: Observe<'_>, done: u64, total: u64) -> Result<(), Error> {
    let event =
        Event::Progress { what: "restoring".to_owned(), done, total, unit: "bytes".to_owned() };
    match observe(event) {
        Flow::Continue => Ok(()),
        Flow::Stop => Err(Error::stopped("the restore was asked to stop")),
    }
}

/// How far a restore at `target` has come.
pub(crate) fn stage(target: &Path) -> Result<RestoreStage, Error> {
    restore_stage(&RealDisk::new(target)).map_err(Error::chain)
}

/// Renames what is at `target`, unless a restore has begun to write there: it is gone on with, and
/// every content that stays has the name that it should.
fn set_aside_unless_begun(target: &Path) -> Result<(), Error> {
    match stage(target)? {
        RestoreStage::Writing => Ok(()),
        _ => set_aside(target),
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
    set: &Set,
    id: &str,
    target: &Path,
    marker: &Path,
) -> Result<String, Error> {
    let backup = set.backup(id.parse().map_err(Error::bad_input)?).map_err(unreadable)?;
    let mut stream = backup.stream(DIRECTORY_STREAM).map_err(Error::chain)?;
    let mut json = Vec::new();
    std::io::Read::read_to_end(&mut stream, &mut json).map_err(Error::needs_human)?;
    lay_down_directory(&json, id, target, marker)
}

/// The same of the directory as it was after log record `lsn`.
///
/// # Errors
///
/// As [`directory`].
pub(crate) fn directory_at(
    set: &Set,
    lsn: Lsn,
    target: &Path,
    marker: &Path,
) -> Result<String, Error> {
    let note = set.note(DIRECTORY_STREAM, lsn).map_err(unreadable)?;
    let missing = || Error::needs_human(format!("the archive has no directory of {lsn}"));
    let (at, json) = note.ok_or_else(missing)?;
    lay_down_directory(json.as_bytes(), &at.to_string(), target, marker)
}

fn lay_down_directory(
    json: &[u8],
    id: &str,
    target: &Path,
    marker: &Path,
) -> Result<String, Error> {
    let mut directory: Directory = serde_json::from_slice(json).map_err(Error::needs_human)?;
    // Partners know changes of the old incarnation that the backup may not have.
    directory.begin_incarnation(directory.origin().incarnation + 1);
    set_aside(target)?;
    let objects = directory.objects().count();
    // The note comes first: a directory that is there without it would start without its marker.
    mark_restored(target, marker, &format!("{id} {}", directory.origin().incarnation))?;
    crate::directory::create(target, &directory)?;
    Ok(format!("{objects} objects laid down"))
}

#[cfg(test)]
mod tests;
