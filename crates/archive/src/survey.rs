//! A survey: every record of a backup looked at, whatever state the volumes are in.

use std::collections::BTreeSet;

use crate::catalog::{Catalog, ChunkEntry, ContentEntry, OutlineEntry, Place};
use crate::chunk;
use crate::error::{ArchiveError, Damage};
use crate::frame::Frame;
use crate::head::VolumeHead;
use crate::ids::hex;
use crate::index;
use crate::kind::RecordKind;
use crate::manifest::VolumeEntry;
use crate::outline::decode_part;
use crate::record::{FLAG_LAST, Record, Scanned, VolumeFile, damage_in};

/// How far a check or survey has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// Bytes of volumes dealt with.
    pub done_bytes: u64,
    /// Bytes of all volumes.
    pub total_bytes: u64,
}

/// What a volume's headers add up to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct VolumeSummary {
    pub(crate) first_record: Option<u32>,
    pub(crate) records: u32,
    pub(crate) root: String,
    /// What its first record says.
    pub(crate) head: Option<VolumeHead>,
}

impl VolumeSummary {
    /// Whether the records are those that `entry` is of.
    pub(crate) fn describes(&self, entry: &VolumeEntry) -> bool {
        self.root == entry.root
            && self.records == entry.records
            && self.first_record == Some(entry.first_record)
    }
}

/// What a survey found. The fields that say so are filled by deep surveys alone.
#[derive(Default)]
pub(crate) struct Survey {
    pub(crate) damage: Vec<Damage>,
    pub(crate) volumes: Vec<VolumeSummary>,
    pub(crate) bytes: u64,
    pub(crate) records: u64,
    /// Deep: the records found.
    pub(crate) found: Catalog,
    /// Deep: the outline records that indexes name, found or not.
    pub(crate) listed: Catalog,
    /// Deep: prefixes of the contents whose bytes are right, sorted.
    pub(crate) good: Vec<u64>,
    /// Deep: their bytes, each counted once.
    pub(crate) good_bytes: u64,
    /// Deep: mailboxes that frames name as owners.
    pub(crate) owners: BTreeSet<u32>,
}

impl Survey {
    /// Looks at every record of `volumes`; `deep` decompresses and hashes what is in them.
    pub(crate) fn run(
        volumes: &[Result<VolumeFile, Damage>],
        deep: bool,
        observe: &mut dyn FnMut(Progress),
    ) -> Survey {
        let volumes: Vec<_> = volumes.iter().map(Result::as_ref).collect();
        Survey::of(&volumes, deep, observe)
    }

    /// The same, of volumes that are somebody else's.
    pub(crate) fn of(
        volumes: &[Result<&VolumeFile, &Damage>],
        deep: bool,
        observe: &mut dyn FnMut(Progress),
    ) -> Survey {
        let sizes = volumes.iter().flatten().map(|volume| volume.size_bytes());
        let total_bytes = sizes.sum();
        let mut survey = Survey::default();
        for (number, volume) in (0..).zip(volumes) {
            match volume {
                Err(damage) => {
                    survey.damage.push((*damage).clone());
                    survey.volumes.push(VolumeSummary::default());
                }
                Ok(volume) => {
                    let before = survey.bytes;
                    let mut at = |done: u64| {
                        observe(Progress { done_bytes: before + done, total_bytes });
                    };
                    survey.volume(volume, number, deep, &mut at);
                    survey.bytes = before + volume.size_bytes();
                }
            }
        }
        survey.found.sort();
        survey.listed.sort();
        survey.good.sort_unstable();
        survey.good.dedup();
        survey
    }

    fn volume(&mut self, volume: &VolumeFile, number: u32, deep: bool, at: &mut dyn FnMut(u64)) {
        let mut summary = VolumeSummary::default();
        let mut headers = blake3::Hasher::new();
        let mut last_kind = None;
        let mut part = Catalog::default();
        let mut scan = volume.scan();
        while let Some(scanned) = scan.next() {
            at(scan.at());
            let record = match scanned {
                Scanned::Record(record) => record,
                Scanned::Damage(damage) => {
                    self.damage.push(damage);
                    continue;
                }
            };
            headers.update(&record.header);
            summary.records += 1;
            if summary.first_record.is_none() {
                summary.first_record = Some(record.head.sequence);
                match VolumeHead::decode(&volume.name, &record) {
                    Ok(head) => summary.head = Some(head),
                    Err(ArchiveError::Damaged(damage)) => self.damage.push(damage),
                    Err(error) => {
                        self.damage.push(damage_in(volume, &record, error.to_string()));
                        self.volumes.push(summary);
                        return;
                    }
                }
            }
            last_kind = Some(record.head.kind);
            if deep {
                self.look_into(volume, &record, number, &mut part);
            }
            scan.give_back(record);
        }
        if last_kind != Some(RecordKind::Trailer) {
            let what = "it does not end with a trailer: its end is cut off or damaged";
            self.damage.push(Damage::of_file(&volume.name, what));
        } else if deep {
            self.compare_index(volume, number, &mut part);
        }
        self.records += u64::from(summary.records);
        summary.root = hex(headers.finalize().as_bytes());
        self.volumes.push(summary);
        self.found.append(part);
    }

    /// Whether the index names exactly what is there. If the index cannot be read, its records
    /// have been found damaged before.
    fn compare_index(&mut self, volume: &VolumeFile, number: u32, part: &mut Catalog) {
        let Ok(mut index) = index::read(volume, number) else { return };
        index.sort();
        part.sort();
        let is_same = index.outlines == part.outlines
            && index.chunks == part.chunks
            && index.contents == part.contents;
        // Records that are damaged are in the index and not among those found.
        if !is_same && self.damage.is_empty() {
            let what = "its index does not name the records that are in it";
            self.damage.push(Damage::of_file(&volume.name, what));
        }
    }

    fn look_into(&mut self, volume: &VolumeFile, record: &Record, number: u32, part: &mut Catalog) {
        let place = Place::new(number, record.offset);
        if let Err(what) = self.try_look_into(record, place, part) {
            self.damage.push(damage_in(volume, record, what));
        }
    }

    fn try_look_into(
        &mut self,
        record: &Record,
        place: Place,
        part: &mut Catalog,
    ) -> Result<(), String> {
        match record.head.kind {
            RecordKind::Outline => {
                let outline = decode_part(&record.payload()?)?;
                part.outlines.push(OutlineEntry::of(place, &outline));
            }
            RecordKind::Data => return self.frame(record, place, part),
            RecordKind::Stream => {
                let payload = record.payload()?;
                let (name, chunk, _) = chunk::decode_chunk(&payload)?;
                let last = record.head.flags & FLAG_LAST != 0;
                part.chunks.push(ChunkEntry { place, name, chunk, last });
            }
            RecordKind::Index => {
                index::decode(&record.payload()?, place.volume, &mut self.listed, false)?;
            }
            _ => {}
        }
        Ok(())
    }

    fn frame(&mut self, record: &Record, place: Place, part: &mut Catalog) -> Result<(), String> {
        let frame = Frame::decode(record.payload()?)?;
        let mut wrong = None;
        for entry in &frame.entries {
            let prefix = entry.id.prefix();
            part.contents.push(ContentEntry { prefix, place });
            self.owners.extend(&entry.owners);
            match frame.content(entry) {
                Some(bytes) => {
                    self.good.push(prefix);
                    self.good_bytes += bytes.len() as u64;
                }
                None => wrong = Some(format!("content {} does not have its hash", entry.id)),
            }
        }
        wrong.map_or(Ok(()), Err)
    }
}
