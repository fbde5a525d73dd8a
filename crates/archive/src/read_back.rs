//! Reading back what was written: each volume once it is finished, while the next one is written.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::{Builder, JoinHandle};

use crate::error::Damage;
use crate::head::VolumeHead;
use crate::manifest::VolumeEntry;
use crate::record::{Identity, VolumeFile};
use crate::survey::{Survey, VolumeSummary};
use crate::target::Target;

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

/// Reads the volumes of one backup back.
pub(crate) struct ReadBack {
    place: Place,
    /// Whether a thread of its own reads while others write.
    alongside: bool,
    thread: Option<(Sender<VolumeEntry>, JoinHandle<Found>)>,
    /// Volumes handed over so far.
    taken: usize,
    found: Found,
}

impl ReadBack {
    /// Of the volumes in `folder`, each of which must begin with `head` but for its number.
    pub(crate) fn new(
        target: Arc<dyn Target>,
        folder: String,
        head: VolumeHead,
        alongside: bool,
    ) -> ReadBack {
        let place = Place { target, folder, head };
        ReadBack { place, alongside, thread: None, taken: 0, found: Found::default() }
    }

    /// Takes note of the volumes that are finished by now; a thread begins with the new ones if
    /// there is to be one.
    pub(crate) fn take(&mut self, finished: &[VolumeEntry]) {
        if !self.alongside {
            return;
        }
        for entry in &finished[self.taken..] {
            self.taken += 1;
            self.hand_over(entry.clone());
        }
    }

    /// Reads what is left; gives what all of it gave.
    pub(crate) fn finish(mut self, finished: &[VolumeEntry]) -> Found {
        if self.thread.is_some() {
            self.take(finished);
        }
        for entry in &finished[self.taken..] {
            self.found.read(&self.place, entry);
        }
        self.join();
        std::mem::take(&mut self.found)
    }

    fn hand_over(&mut self, entry: VolumeEntry) {
        if self.thread.is_none() {
            let ((send, entries), place) = (channel(), self.place.clone());
            let thread = Builder::new().name("archive-read-back".to_owned());
            let begun = thread.spawn(move || work(&place, &entries));
            self.thread = begun.ok().map(|handle| (send, handle));
        }
        let unsent = match &self.thread {
            Some((send, _)) => send.send(entry).err().map(|unsent| unsent.0),
            None => Some(entry),
        };
        if let Some(entry) = unsent {
            self.found.read(&self.place, &entry);
        }
    }

    /// Waits for the thread.
    fn join(&mut self) {
        let Some((send, handle)) = self.thread.take() else { return };
        drop(send);
        let died = |_| {
            let what = "what was written could not be read back: the reading thread died";
            let damage = vec![Damage::of_file(&self.place.folder, what)];
            Found { damage, ..Found::default() }
        };
        let more = handle.join().unwrap_or_else(died);
        self.found.bytes += more.bytes;
        self.found.records += more.records;
        self.found.damage.extend(more.damage);
    }
}

impl Drop for ReadBack {
    fn drop(&mut self) {
        self.join();
    }
}

fn work(place: &Place, entries: &Receiver<VolumeEntry>) -> Found {
    let mut found = Found::default();
    for entry in entries {
        found.read(place, &entry);
    }
    found
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
