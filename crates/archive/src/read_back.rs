//! Finishing volumes and reading back what was written: each once it is complete, while the next
//! one is written.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::{Builder, JoinHandle};

use crate::error::{ArchiveError, Damage};
use crate::head::VolumeHead;
use crate::manifest::VolumeEntry;
use crate::record::{Identity, VolumeFile};
use crate::survey::{Survey, VolumeSummary};
use crate::target::Target;
use crate::volume::ClosedVolume;

/// What reading back gave.
#[derive(Debug, Default)]
pub(crate) struct Found {
    pub(crate) bytes: u64,
    pub(crate) records: u64,
    pub(crate) damage: Vec<Damage>,
}

/// Where the volumes are, and what must be in them.
#[derive(Clone)]
struct Place {
    target: Arc<dyn Target>,
    folder: String,
    head: VolumeHead,
}

/// Finishes the volumes of one backup and reads them back.
pub(crate) struct ReadBack {
    place: Place,
    /// Whether a thread of its own does so while others write.
    alongside: bool,
    thread: Option<Thread>,
    /// Volumes that are finished and not read back.
    unread: Vec<VolumeEntry>,
    found: Found,
}

/// The thread; it ends with the channel, or with the first volume that cannot be finished.
type Thread = (Sender<ClosedVolume>, JoinHandle<Result<Found, ArchiveError>>);

impl ReadBack {
    /// Of the volumes in `folder`, each of which must begin with `head` but for its number.
    pub(crate) fn new(
        target: Arc<dyn Target>,
        folder: String,
        head: VolumeHead,
        alongside: bool,
    ) -> ReadBack {
        let place = Place { target, folder, head };
        ReadBack { place, alongside, thread: None, unread: Vec::new(), found: Found::default() }
    }

    /// Finishes a volume, or has a thread do so; it is read back then, or at the end.
    ///
    /// # Errors
    ///
    /// The target's errors, maybe of a volume that was handed over before.
    pub(crate) fn take(&mut self, volume: ClosedVolume) -> Result<(), ArchiveError> {
        if self.alongside && self.thread.is_none() {
            let ((send, volumes), place) = (channel(), self.place.clone());
            let thread = Builder::new().name("archive-read-back".to_owned());
            let begun = thread.spawn(move || work(&place, &volumes));
            self.thread = begun.ok().map(|handle| (send, handle));
        }
        let Some((send, _)) = &self.thread else {
            self.unread.push(volume.finish()?);
            return Ok(());
        };
        match send.send(volume) {
            Ok(()) => Ok(()),
            // It ended, and says why.
            Err(_) => self.join().and(Err(ArchiveError::Abandoned)),
        }
    }

    /// Reads what is left; gives what all of it gave.
    ///
    /// # Errors
    ///
    /// The target's errors in finishing volumes.
    pub(crate) fn finish(mut self) -> Result<Found, ArchiveError> {
        for entry in &self.unread {
            self.found.read(&self.place, entry);
        }
        self.join()?;
        Ok(std::mem::take(&mut self.found))
    }

    /// Waits for the thread.
    fn join(&mut self) -> Result<(), ArchiveError> {
        let Some((send, handle)) = self.thread.take() else { return Ok(()) };
        drop(send);
        let died = |_| {
            let what = "what was written could not be read back: the reading thread died";
            let damage = vec![Damage::of_file(&self.place.folder, what)];
            Ok(Found { damage, ..Found::default() })
        };
        let more = handle.join().unwrap_or_else(died)?;
        self.found.bytes += more.bytes;
        self.found.records += more.records;
        self.found.damage.extend(more.damage);
        Ok(())
    }
}

impl Drop for ReadBack {
    fn drop(&mut self) {
        // Whoever drops it before its end has an error already.
        _ = self.join();
    }
}

fn work(place: &Place, volumes: &Receiver<ClosedVolume>) -> Result<Found, ArchiveError> {
    let mut found = Found::default();
    for volume in volumes {
        let entry = volume.finish()?;
        found.read(place, &entry);
    }
    Ok(found)
}

impl Found {
    /// Reads one volume and compares its records with what was written.
    fn read(&mut self, place: &Place, entry: &VolumeEntry) {
        let name = format!("{}/{}", place.folder, entry.file);
        let identity = Identity { tag: place.head.backup_id.tag(), volume: None };
        let volume = match VolumeFile::open_once(&*place.target, &name, Some(identity)) {
            Ok(volume) => volume,
            Err(damage) => return self.damage.push(damage),
        };
        let mut survey = Survey::of(&[Ok(&volume)], false, &mut |_| {});
        self.bytes += survey.bytes;
        self.records += survey.records;
        let is_same = |summary: &VolumeSummary| {
            let head = summary.head.as_ref();
            summary.describes(entry)
                && head.is_some_and(|head| VolumeHead { volume: 0, ..head.clone() } == place.head)
        };
        if survey.damage.is_empty() && !survey.volumes.first().is_some_and(is_same) {
            let what = "its records are not the ones that were written";
            survey.damage.push(Damage::of_file(&volume.name, what));
        }
        self.damage.append(&mut survey.damage);
    }
}
