//! Reading one backup: outlines, contents and streams, each checked when it is handed out.

mod contents;
mod outlines;
mod streams;

pub use contents::{Content, Contents};
pub use outlines::{OutlineParts, Outlines};
pub use streams::{StreamInfo, StreamReader};

use std::collections::{BTreeSet, HashSet};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use crate::catalog::{Catalog, LogPlace, Place};
use crate::error::{ArchiveError, Damage};
use crate::frame::Frame;
use crate::ids::ContentId;
use crate::kind::RecordKind;
use crate::locate;
use crate::manifest::Manifest;
use crate::names;
use crate::record::{Record, VolumeFile, damage_in};

/// One backup, or what is left of it, for reading.
///
/// The first call that needs to know where records are reads the indexes of all volumes, or scans
/// the volumes whose index is damaged; it keeps 16 bytes in memory for each content.
pub struct Backup {
    folder: String,
    manifest: Option<Manifest>,
    volumes: Vec<Result<VolumeFile, Damage>>,
    catalog: OnceLock<Catalog>,
    /// The frame read last: messages that lie together are asked for together.
    recent: Mutex<Option<(Place, Arc<Frame>)>>,
}

impl Backup {
    pub(crate) fn of_volumes(
        folder: &str,
        volumes: Vec<Result<VolumeFile, Damage>>,
        manifest: Option<Manifest>,
    ) -> Backup {
        let (catalog, recent) = (OnceLock::new(), Mutex::new(None));
        Backup { folder: folder.to_owned(), manifest, volumes, catalog, recent }
    }

    /// The same, with the places found by a survey.
    pub(crate) fn of_survey(
        folder: &str,
        volumes: Vec<Result<VolumeFile, Damage>>,
        manifest: Option<Manifest>,
        catalog: Catalog,
    ) -> Backup {
        let backup = Backup::of_volumes(folder, volumes, manifest);
        Backup { catalog: OnceLock::from(catalog), ..backup }
    }

    /// Its manifest; a salvaged backup may have none.
    #[must_use]
    pub fn manifest(&self) -> Option<&Manifest> {
        self.manifest.as_ref()
    }

    /// Its folder, as the target names it.
    pub(crate) fn folder(&self) -> &str {
        &self.folder
    }

    /// The outlines of all mailboxes, each whole and with its number.
    ///
    /// Items are errors for damage that may hide an outline and for mailboxes whose outline is
    /// not whole; the others follow.
    #[must_use]
    pub fn outlines(&self) -> Outlines<'_> {
        Outlines::new(self, None)
    }

    /// The same, of the mailbox called `only` alone if there is a name: no other outline is read.
    pub(crate) fn outlines_of<'a>(&'a self, only: Option<&'a str>) -> Outlines<'a> {
        Outlines::new(self, only)
    }

    /// The outlines, record by record, by mailbox and part; for mailboxes too large for memory,
    /// and for what is left of damaged ones.
    #[must_use]
    pub fn outline_parts(&self) -> OutlineParts<'_> {
        OutlineParts::new(self)
    }

    /// All contents, in the order in which they lie in the volumes. A content's hash is checked
    /// before it is handed out; damage is an error item, and the rest follows.
    #[must_use]
    pub fn contents(&self) -> Contents<'_> {
        Contents::all(self)
    }

    /// The contents named by `ids`, in the order in which they lie in the volumes, each frame read
    /// once. A content that cannot be found is an error item at the end.
    #[must_use]
    pub fn contents_of(&self, ids: impl IntoIterator<Item = ContentId>) -> Contents<'_> {
        Contents::some(self, ids.into_iter().collect::<HashSet<_>>())
    }

    /// The contents but those in `there`, in the order in which they lie in the volumes: of each
    /// frame that may have another one, all. That none is missing is for the caller to find out.
    #[must_use]
    pub fn contents_but(&self, there: impl Iterator<Item = ContentId>) -> Contents<'_> {
        Contents::but(self, there)
    }

    /// One content.
    ///
    /// # Errors
    ///
    /// [`ArchiveError::NoContent`] if there is none with this id, [`ArchiveError::Damaged`] if the
    /// record that holds it is damaged.
    pub fn content(&self, id: &ContentId) -> Result<Vec<u8>, ArchiveError> {
        let mut first_error = None;
        for place in self.catalog().frames(id.prefix()) {
            let frame = match self.frame(place) {
                Ok(frame) => frame,
                Err(error) => {
                    first_error.get_or_insert(error);
                    continue;
                }
            };
            let mut entries = frame.entries.iter().filter(|entry| entry.id == *id);
            if let Some(bytes) = entries.find_map(|entry| frame.content(entry)) {
                return Ok(bytes.to_vec());
            }
        }
        Err(first_error.unwrap_or(ArchiveError::NoContent { id: *id }))
    }

    /// Whether an index names a content whose id begins like this one.
    pub(crate) fn may_hold(&self, id: &ContentId) -> bool {
        self.catalog().frames(id.prefix()).next().is_some()
    }

    /// Whether it holds a content; the frame that should have it is read.
    #[must_use]
    pub fn holds(&self, id: &ContentId) -> bool {
        self.may_hold(id) && self.content(id).is_ok()
    }

    /// The LOG records of a segment, by LSN.
    pub(crate) fn log_places(&self) -> &[LogPlace] {
        &self.catalog().logs
    }

    /// The first bytes of the ids of all contents that indexes name.
    pub(crate) fn content_prefixes(&self) -> impl Iterator<Item = u64> + '_ {
        self.catalog().contents.iter().map(|entry| entry.prefix)
    }

    /// The named streams, by name.
    #[must_use]
    pub fn streams(&self) -> Vec<StreamInfo> {
        let chunks = &self.catalog().chunks;
        let names: BTreeSet<&str> = chunks.iter().map(|chunk| chunk.name.as_str()).collect();
        let info = |name: &str| {
            let own = self.stream_chunks(name);
            let in_order = (0..).zip(own).all(|(number, chunk)| chunk.chunk == number);
            let complete = in_order && own.last().is_some_and(|chunk| chunk.last);
            StreamInfo { name: name.to_owned(), complete }
        };
        names.into_iter().map(info).collect()
    }

    /// One stream.
    ///
    /// # Errors
    ///
    /// [`ArchiveError::NoStream`]. Damage is an error of the reader.
    pub fn stream(&self, name: &str) -> Result<StreamReader<'_>, ArchiveError> {
        match self.stream_chunks(name) {
            [] => Err(ArchiveError::NoStream { name: name.to_owned() }),
            chunks => Ok(StreamReader::new(self, chunks)),
        }
    }

    /// The store's catalog, if it holds one.
    ///
    /// # Errors
    ///
    /// As [`Backup::stream`].
    pub fn catalog_rows(&self) -> Result<StreamReader<'_>, ArchiveError> {
        self.stream(names::CATALOG)
    }

    fn stream_chunks(&self, name: &str) -> &[crate::catalog::ChunkEntry] {
        let chunks = &self.catalog().chunks;
        let start = chunks.partition_point(|chunk| chunk.name.as_str() < name);
        let end = chunks.partition_point(|chunk| chunk.name.as_str() <= name);
        &chunks[start..end]
    }

    fn catalog(&self) -> &Catalog {
        self.catalog.get_or_init(|| locate::load(&self.volumes))
    }

    /// The record of kind `kind` at `place`.
    pub(crate) fn read(
        &self,
        place: Place,
        kind: RecordKind,
    ) -> Result<(&VolumeFile, Record), ArchiveError> {
        let volume = self.volumes.get(place.volume as usize);
        let volume = volume.ok_or_else(|| {
            let what = format!("it has no volume {}", place.volume);
            ArchiveError::Damaged(Damage::of_file(&self.folder, what))
        })?;
        let volume = volume.as_ref().map_err(|damage| ArchiveError::Damaged(damage.clone()))?;
        let record = volume.read(place.offset()).map_err(ArchiveError::Damaged)?;
        if record.head.kind != kind {
            let what = format!("the index says that a record of kind {kind} is here");
            return Err(ArchiveError::Damaged(damage_in(volume, &record, what)));
        }
        Ok((volume, record))
    }

    /// The frame at `place`.
    fn frame(&self, place: Place) -> Result<Arc<Frame>, ArchiveError> {
        let mut recent = self.recent.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, frame)) = recent.as_ref().filter(|(at, _)| *at == place) {
            return Ok(Arc::clone(frame));
        }
        let (volume, record) = self.read(place, RecordKind::Data)?;
        let frame = Arc::new(decode_frame(volume, &record)?);
        *recent = Some((place, Arc::clone(&frame)));
        Ok(frame)
    }
}

fn decode_frame(volume: &VolumeFile, record: &Record) -> Result<Frame, ArchiveError> {
    let bad = |what: &str| ArchiveError::Damaged(damage_in(volume, record, what));
    let (payload, stored) = record.payload_and_stored().map_err(|what| bad(&what))?;
    Frame::decode_with(payload, stored).map_err(bad)
}
