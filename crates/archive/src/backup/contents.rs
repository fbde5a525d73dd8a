//! Streaming contents out of a backup.

use std::collections::{HashSet, VecDeque};
use std::sync::Arc;

use super::{Backup, decode_frame};
use crate::catalog::Place;
use crate::error::{ArchiveError, Damage};
use crate::frame::Frame;
use crate::ids::ContentId;
use crate::kind::RecordKind;
use crate::record::{Scan, Scanned, damage_in};

/// A content and what it belongs to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Content {
    /// Its name, which is the hash of its bytes.
    pub id: ContentId,
    /// Numbers of the mailboxes that hold it.
    pub owners: Vec<u32>,
    /// Its bytes.
    pub bytes: Vec<u8>,
    /// What they were decompressed from, if they were compressed for themselves: one zstd frame.
    pub zstd_frame: Option<Vec<u8>>,
}

/// Iterator of [`Backup::contents`] and [`Backup::contents_of`].
pub struct Contents<'a> {
    backup: &'a Backup,
    source: Source<'a>,
    /// Which contents are asked for; `None` for all.
    wanted: Option<HashSet<ContentId>>,
    frame: Option<OpenFrame>,
}

/// Where frames come from.
enum Source<'a> {
    /// From a scan of this volume, then of the next ones.
    Scan { volume: usize, scan: Option<Scan<'a>>, last: Option<RecordKind> },
    /// From these places.
    Places(VecDeque<Place>),
}

/// A frame whose contents are being handed out.
struct OpenFrame {
    frame: Arc<Frame>,
    next: usize,
    place: Damage,
}

impl<'a> Contents<'a> {
    pub(super) fn all(backup: &'a Backup) -> Contents<'a> {
        let source = Source::Scan { volume: 0, scan: None, last: None };
        Contents { backup, source, wanted: None, frame: None }
    }

    pub(super) fn some(backup: &'a Backup, wanted: HashSet<ContentId>) -> Contents<'a> {
        let catalog = backup.catalog();
        let places = wanted.iter().flat_map(|id| catalog.frames(id.prefix()));
        let mut places: Vec<Place> = places.collect();
        places.sort_unstable();
        places.dedup();
        let source = Source::Places(places.into());
        Contents { backup, source, wanted: Some(wanted), frame: None }
    }

    /// Those of frames that may have a content which is not in `there`.
    pub(super) fn but(backup: &'a Backup, there: impl Iterator<Item = ContentId>) -> Contents<'a> {
        let there: HashSet<u64> = there.map(|id| id.prefix()).collect();
        let places = backup.catalog().places_but(&there);
        let source = Source::Places(places.into());
        Contents { backup, source, wanted: None, frame: None }
    }

    /// The next content of the open frame.
    fn next_of_frame(&mut self) -> Option<Result<Content, ArchiveError>> {
        let open = self.frame.as_mut()?;
        while let Some(entry) = open.frame.entries.get(open.next) {
            open.next += 1;
            if self.wanted.as_ref().is_some_and(|wanted| !wanted.contains(&entry.id)) {
                continue;
            }
            let Some(bytes) = open.frame.content(entry) else {
                let what = format!("content {} does not have its hash", entry.id);
                return Some(Err(ArchiveError::Damaged(Damage { what, ..open.place.clone() })));
            };
            if let Some(wanted) = &mut self.wanted {
                wanted.remove(&entry.id);
            }
            let (owners, bytes) = (entry.owners.clone(), bytes.to_vec());
            let zstd_frame = open.frame.zstd_frame(entry).map(<[u8]>::to_vec);
            return Some(Ok(Content { id: entry.id, owners, bytes, zstd_frame }));
        }
        self.frame = None;
        None
    }

    /// Opens the next frame; `None` if there is none.
    fn advance(&mut self) -> Option<Result<(), ArchiveError>> {
        match &mut self.source {
            Source::Places(places) => {
                let place = places.pop_front()?;
                let opened = self.backup.read(place, RecordKind::Data).and_then(|read| {
                    let (volume, record) = read;
                    let frame = Arc::new(decode_frame(volume, &record)?);
                    Ok(OpenFrame { frame, next: 0, place: damage_in(volume, &record, "") })
                });
                Some(opened.map(|frame| self.frame = Some(frame)))
            }
            Source::Scan { volume, scan, last } => {
                let file = match self.backup.volumes.get(*volume)? {
                    Ok(file) => file,
                    Err(damage) => {
                        *volume += 1;
                        return Some(Err(ArchiveError::Damaged(damage.clone())));
                    }
                };
                match scan.get_or_insert_with(|| file.scan()).next() {
                    None => {
                        let is_whole = last.take() == Some(RecordKind::Trailer);
                        (*volume, *scan) = (*volume + 1, None);
                        let what = "it does not end with a trailer: its end is cut off or damaged";
                        let cut = || ArchiveError::file_damaged(&file.name, what);
                        Some(is_whole.then_some(()).ok_or_else(cut))
                    }
                    Some(Scanned::Damage(damage)) => Some(Err(ArchiveError::Damaged(damage))),
                    Some(Scanned::Record(record)) => {
                        *last = Some(record.head.kind);
                        if record.head.kind != RecordKind::Data {
                            return Some(Ok(()));
                        }
                        let place = damage_in(file, &record, "");
                        let opened = decode_frame(file, &record).map(Arc::new);
                        Some(opened.map(|frame| {
                            self.frame = Some(OpenFrame { frame, next: 0, place });
                        }))
                    }
                }
            }
        }
    }
}

impl Iterator for Contents<'_> {
    type Item = Result<Content, ArchiveError>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some(content) = self.next_of_frame() {
                return Some(content);
            }
            match self.advance() {
                Some(Ok(())) => {}
                Some(Err(error)) => return Some(Err(error)),
                None => {
                    let wanted = self.wanted.as_mut()?;
                    let id = *wanted.iter().next()?;
                    wanted.remove(&id);
                    return Some(Err(ArchiveError::NoContent { id }));
                }
            }
        }
    }
}
