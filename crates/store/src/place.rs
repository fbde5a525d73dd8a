//! Where the log and the segments of a store lie: in its folder, or on another disk.
#![doc = include_str!("../../../docs/format/place.md")]

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rehome_log::{AlignedBuf, Disk, FileId, FileName, OpenMode, Ownership, RealDisk, SyncKind};
use serde::{Deserialize, Serialize};

use crate::error::{StoreError, doing, filling};
use crate::flow::Flow;
use crate::identity::{Identity, identity_name, name, read_json, remove_if_there, write_json};
use crate::settings::{SettingsError, StoreSettings, settings_name};

/// Bytes copied and compared at once.
const PIECE_BYTES: usize = if cfg!(test) { 4096 } else { 4 << 20 };
/// What to do about a change of place that did not end.
const UNFINISHED: &str = "run the same `rehome store place` again: it goes on; or give it the \
                          place that the part comes from: it stays there then";
/// What to do about settings that do not say where the parts lie.
const PUT_BACK: &str = "put settings.json back, with log_folder and segment_folder as they were; \
                        nothing was changed";

/// A part of a store that may lie elsewhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum StorePart {
    /// The transaction log.
    Log,
    /// The segments.
    Segments,
}

/// How far a change of place is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct PlaceProgress {
    /// Bytes copied and compared.
    pub done_bytes: u64,
    /// Bytes there are.
    pub total_bytes: u64,
}

/// What `placing.json` holds: the change that is under way.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Placing {
    part: StorePart,
    /// The folder that the part leaves; none for the store's own.
    from: Option<String>,
    /// The folder that it comes to.
    to: Option<String>,
}

/// The file of a change of place that is under way.
pub(crate) fn placing_name() -> FileName {
    name("placing.json")
}

impl std::fmt::Display for StorePart {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            StorePart::Log => "log",
            StorePart::Segments => "segments",
        })
    }
}

impl StorePart {
    /// Both, in the order in which they are looked at.
    pub const ALL: [StorePart; 2] = [StorePart::Log, StorePart::Segments];

    /// The part's folder in a store.
    fn folder(self) -> FileName {
        match self {
            StorePart::Log => crate::open::log_folder(),
            StorePart::Segments => crate::segment::folder(),
        }
    }

    /// Where settings say that it lies.
    fn of(self, settings: &StoreSettings) -> &Option<String> {
        match self {
            StorePart::Log => &settings.log_folder,
            StorePart::Segments => &settings.segment_folder,
        }
    }

    fn set(self, settings: &mut StoreSettings, to: Option<String>) {
        match self {
            StorePart::Log => settings.log_folder = to,
            StorePart::Segments => settings.segment_folder = to,
        }
    }

    /// The folder of this part of a store below a folder that other stores may share.
    fn folder_below(self, below: &Path, store_id: [u8; 16]) -> PathBuf {
        let word = self.folder().as_str().to_owned();
        below.join(format!("{}-{word}", crate::identity::hex(store_id)))
    }
}

/// The disk of the store in folder `path`, with log and segments where they lie.
///
/// # Errors
///
/// [`StoreError::Damaged`] if settings do not say where they lie and they are not in the store's
/// folder, if a folder is missing, or if a change of place did not end: nothing is guessed.
pub fn placed_disk(path: &Path) -> Result<RealDisk, StoreError> {
    let home = RealDisk::new(path);
    refuse_unfinished(&home)?;
    let settings = match StoreSettings::read(&home) {
        Ok(settings) => settings.unwrap_or_default(),
        Err(SettingsError::Io { place, source }) => {
            return Err(StoreError::Io { doing: format!("reading {place}"), source });
        }
        Err(error) => {
            // Both parts are in the store's folder only if they belong there.
            if StorePart::ALL.iter().all(|part| is_here(&home, *part)) {
                return Ok(home);
            }
            return Err(damaged(settings_name().as_str(), error.to_string(), PUT_BACK));
        }
    };
    let mut disk = home;
    for part in StorePart::ALL {
        let Some(folder) = part.of(&settings) else { continue };
        if is_here(&disk, part) {
            let cause = format!("there are files here, and settings say that they lie in {folder}");
            return Err(damaged(part.folder().as_str(), cause, PUT_BACK));
        }
        if !Path::new(folder).is_dir() {
            let cause = "settings say that it is there, and it is not".to_owned();
            let remedy = "mount its disk, or put the folder back; nothing was changed";
            return Err(damaged(folder, cause, remedy));
        }
        disk = disk.with_mount(part.folder(), folder);
    }
    Ok(disk)
}

/// Refuses a store whose change of place did not end.
pub(crate) fn refuse_unfinished(disk: &dyn Disk) -> Result<(), StoreError> {
    match read_json::<Placing>(disk, &placing_name())? {
        None => Ok(()),
        Some(placing) => {
            let cause = format!(
                "a change of place did not end: {} from {} to {}",
                placing.part.folder(),
                placing.from.as_deref().unwrap_or("the store's folder"),
                placing.to.as_deref().unwrap_or("the store's folder")
            );
            Err(damaged(placing_name().as_str(), cause, UNFINISHED))
        }
    }
}

fn damaged(place: &str, cause: String, remedy: &'static str) -> StoreError {
    StoreError::Damaged { place: place.to_owned(), cause, remedy }
}

/// Whether any file of a part is in the store's own folder.
fn is_here(home: &dyn Disk, part: StorePart) -> bool {
    home.list(&part.folder()).is_ok_and(|names| !names.is_empty())
}

/// Lets a part of the store in folder `path` lie in a folder of its own below `to`, or in the
/// store's folder again if that is `None`. The store must be closed. Every file is copied, synced
/// and compared; then the settings say where it lies, durably; then the old files go. Stopped or
/// killed anywhere, the same call goes on. Returns whether anything had to be done.
///
/// # Errors
///
/// [`StoreError::Locked`] if the store is open; [`StoreError::Stopped`] if `observe` said so;
/// [`StoreError::Damaged`] if another change of place is under way, or settings cannot be read;
/// [`StoreError::StoreExists`] if the target holds files of something else; [`StoreError::Io`].
pub fn place_part(
    path: &Path,
    part: StorePart,
    to: Option<&Path>,
    observe: &mut dyn FnMut(PlaceProgress) -> Flow,
) -> Result<bool, StoreError> {
    let home: Arc<dyn Disk> = Arc::new(RealDisk::new(path));
    let missing = || StoreError::NoStore { place: identity_name().to_string() };
    let store_id = Identity::read(&*home)?.ok_or_else(missing)?.id()?;
    let to = match to {
        None => None,
        Some(below) => {
            let below = std::path::absolute(below).map_err(doing("finding the folder"))?;
            let folder = part.folder_below(&below, store_id);
            let text = folder.to_str().ok_or_else(|| StoreError::Io {
                doing: format!("naming {}", folder.display()),
                source: io::Error::other("its name is no UTF-8, which settings need"),
            })?;
            Some(text.to_owned())
        }
    };
    let _alone = Ownership::acquire(Arc::clone(&home), "a change of place", 0)?;
    let at = |folder: &Option<String>| -> Side {
        match folder {
            None => Side { disk: Arc::clone(&home), folder: part.folder() },
            Some(folder) => {
                Side { disk: Arc::new(RealDisk::new(folder)), folder: FileName::root() }
            }
        }
    };
    change(&*home, part, to, &at, observe)
}

/// One of the two places of a part.
struct Side {
    disk: Arc<dyn Disk>,
    folder: FileName,
}

/// Carries a change out, or on.
fn change(
    home: &dyn Disk,
    part: StorePart,
    to: Option<String>,
    at: &dyn Fn(&Option<String>) -> Side,
    observe: &mut dyn FnMut(PlaceProgress) -> Flow,
) -> Result<bool, StoreError> {
    let read = StoreSettings::read(home);
    let mut settings = match read {
        Ok(settings) => settings.unwrap_or_default(),
        Err(error) => {
            return Err(damaged(settings_name().as_str(), error.to_string(), PUT_BACK));
        }
    };
    let now = part.of(&settings).clone();
    let under_way = read_json::<Placing>(home, &placing_name())?;
    let placing = match under_way {
        Some(placing) if placing.part == part && placing.to == to => placing,
        Some(placing) if placing.part == part && placing.from == to && now == to => {
            // Nothing names the copy yet, and it may lie on a disk that is broken.
            let cleared = clear(&at(&placing.to));
            end(home)?;
            return cleared.map(|()| true);
        }
        Some(_) => return refuse_unfinished(home).map(|()| false),
        None if now == to => return Ok(false),
        None => {
            let placing = Placing { part, from: now.clone(), to };
            require_empty(&at(&placing.to))?;
            write_json(home, &placing_name(), &placing)?;
            placing
        }
    };
    let (from_side, to_side) = (at(&placing.from), at(&placing.to));
    if now != placing.to {
        copy(&from_side, &to_side, observe)?;
        part.set(&mut settings, placing.to.clone());
        settings.write(home)?;
    }
    // The settings are durable and name the copy, which was compared: the old files may go.
    clear(&from_side)?;
    end(home)?;
    Ok(true)
}

/// The change is done, or was given up.
fn end(home: &dyn Disk) -> Result<(), StoreError> {
    let removed = remove_if_there(home, &placing_name());
    let ended = removed.and_then(|()| home.sync_dir(&FileName::root()));
    ended.map_err(doing("ending a change of place"))
}

impl Side {
    fn names(&self) -> Result<Vec<FileName>, StoreError> {
        let names = match self.disk.list(&self.folder) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
            listed => listed.map_err(doing("listing a place"))?,
        };
        let names = names.iter().filter_map(|name| self.folder.join(name).ok());
        Ok(names.collect())
    }

    fn open(&self, file: &FileName, mode: OpenMode) -> Result<Open<'_>, StoreError> {
        let opened = self.disk.open(file, mode).map_err(doing(format!("opening {file}")));
        Ok(Open { disk: &*self.disk, id: opened? })
    }

    fn file(&self, base: &str) -> Result<FileName, StoreError> {
        let joined = self.folder.join(base).map_err(io::Error::other);
        joined.map_err(doing("naming a file"))
    }
}

/// A file, closed at its end.
struct Open<'d> {
    disk: &'d dyn Disk,
    id: FileId,
}

impl Drop for Open<'_> {
    fn drop(&mut self) {
        self.disk.close(self.id);
    }
}

impl Open<'_> {
    fn len(&self) -> Result<u64, StoreError> {
        self.disk.len(self.id).map_err(doing("asking for the length of a file"))
    }
}

/// Refuses a place that has files already.
fn require_empty(side: &Side) -> Result<(), StoreError> {
    match side.names()?.first() {
        None => Ok(()),
        Some(file) => Err(StoreError::StoreExists { place: file.to_string() }),
    }
}

/// Copies every file that is not there yet as it is, and compares it.
fn copy(
    from: &Side,
    to: &Side,
    observe: &mut dyn FnMut(PlaceProgress) -> Flow,
) -> Result<(), StoreError> {
    to.disk.create_dir(&to.folder).map_err(doing("making the folder"))?;
    let files = from.names()?;
    let mut total_bytes = 0;
    for file in &files {
        total_bytes += from.open(file, OpenMode::Read)?.len()?;
    }
    let mut done_bytes = 0;
    for file in &files {
        let target = to.file(file.base())?;
        let source = from.open(file, OpenMode::Read)?;
        let len = source.len()?;
        let mut tell = |bytes| match observe(PlaceProgress { done_bytes: bytes, total_bytes }) {
            Flow::Continue => Ok(()),
            Flow::Stop => Err(StoreError::Stopped),
        };
        if !is_same(&source, to, &target, len)? {
            copy_file(&source, to, &target, len, &mut |bytes| tell(done_bytes + bytes))?;
            if !is_same(&source, to, &target, len)? {
                let cause = "what was copied there is read back otherwise".to_owned();
                let remedy = "see to that disk, and run the same command again";
                return Err(damaged(target.as_str(), cause, remedy));
            }
        }
        done_bytes += len;
        tell(done_bytes)?;
    }
    // What an interrupted copy has left, and the source no longer has.
    for there in to.names()? {
        if !files.iter().any(|file| file.base() == there.base()) {
            to.disk.remove(&there).map_err(doing(format!("removing {there}")))?;
        }
    }
    to.disk.sync_dir(&to.folder).map_err(doing("syncing the new place"))
}

/// Whether the target has the file with the same bytes.
fn is_same(source: &Open<'_>, to: &Side, file: &FileName, len: u64) -> Result<bool, StoreError> {
    let target = match to.disk.open(file, OpenMode::Read) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
        opened => opened.map_err(doing(format!("opening {file}")))?,
    };
    let target = Open { disk: &*to.disk, id: target };
    if target.len()? != len {
        return Ok(false);
    }
    // So that the disk is asked, and not the memory of what was written.
    target.disk.write_behind(target.id, 0, len);
    let mut pieces = [AlignedBuf::zeroed(PIECE_BYTES), AlignedBuf::zeroed(PIECE_BYTES)];
    let mut at = 0;
    while at < len {
        let piece = piece_bytes(len - at);
        for (open, buf) in [source, &target].into_iter().zip(&mut pieces) {
            let read = open.disk.read_at(open.id, at, &mut buf.as_mut_slice()[..piece]);
            read.map_err(doing(format!("comparing {file}")))?;
        }
        if pieces[0].as_slice()[..piece] != pieces[1].as_slice()[..piece] {
            return Ok(false);
        }
        at += piece as u64;
    }
    Ok(true)
}

fn piece_bytes(left: u64) -> usize {
    usize::try_from(left).unwrap_or(PIECE_BYTES).min(PIECE_BYTES)
}

/// Copies a file durably.
fn copy_file(
    source: &Open<'_>,
    to: &Side,
    file: &FileName,
    len: u64,
    tell: &mut dyn FnMut(u64) -> Result<(), StoreError>,
) -> Result<(), StoreError> {
    let failed = || doing(format!("copying {file}"));
    remove_if_there(&*to.disk, file).map_err(failed())?;
    let target = to.open(file, OpenMode::CreateDirect)?;
    let mut buf = AlignedBuf::zeroed(PIECE_BYTES);
    let mut at = 0;
    while at < len {
        tell(at)?;
        let piece = piece_bytes(len - at);
        let bytes = &mut buf.as_mut_slice()[..piece];
        source.disk.read_at(source.id, at, bytes).map_err(failed())?;
        target.disk.write_at(target.id, at, bytes).map_err(filling("copying", file))?;
        at += piece as u64;
    }
    target.disk.sync(target.id, SyncKind::All).map_err(failed())?;
    to.disk.sync_dir(&to.folder).map_err(failed())
}

/// Removes the files of a place.
fn clear(side: &Side) -> Result<(), StoreError> {
    for file in side.names()? {
        side.disk.remove(&file).map_err(doing(format!("removing {file}")))?;
    }
    // Also if nothing was left: an earlier run may have removed the files and not come so far.
    match side.disk.sync_dir(&side.folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        synced => synced.map_err(doing("syncing the old place")),
    }
}

#[cfg(test)]
mod tests;
