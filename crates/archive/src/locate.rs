//! Finding the records of a backup: from the indexes, or by a scan.

use crate::catalog::{Catalog, ChunkEntry, ContentEntry, LogPlace, OutlineEntry, Place};
use crate::chunk;
use crate::entry::decode_entries;
use crate::error::Damage;
use crate::frame::Frame;
use crate::index;
use crate::kind::RecordKind;
use crate::outline::decode_part;
use crate::record::{FLAG_LAST, Record, Scanned, VolumeFile, damage_in};

/// The catalog of `volumes`, from each one's index if that is whole, else by a scan.
pub(crate) fn load(volumes: &[Result<VolumeFile, Damage>]) -> Catalog {
    let mut catalog = Catalog::default();
    for (number, volume) in (0..).zip(volumes) {
        match volume {
            Err(damage) => catalog.damage.push(damage.clone()),
            Ok(volume) => match index::read(volume, number) {
                Ok(part) => catalog.append(part),
                Err(_) => scan(&mut catalog, volume, number),
            },
        }
    }
    catalog.sort();
    catalog
}

/// A volume that is cut between two records has no damaged one: it ends without a trailer.
fn scan(catalog: &mut Catalog, volume: &VolumeFile, number: u32) {
    let mut is_cut = true;
    for scanned in volume.scan() {
        match scanned {
            Scanned::Damage(damage) => catalog.damage.push(damage),
            Scanned::Record(record) => {
                is_cut = record.head.kind != RecordKind::Trailer;
                if let Err(what) = note(catalog, &record, Place::new(number, record.offset)) {
                    catalog.damage.push(damage_in(volume, &record, what));
                }
            }
        }
    }
    if is_cut {
        let what = "it does not end with a trailer: its end is cut off or damaged";
        catalog.damage.push(Damage::of_file(&volume.name, what));
    }
}

fn note(catalog: &mut Catalog, record: &Record, place: Place) -> Result<(), String> {
    match record.head.kind {
        RecordKind::Outline => {
            let part = decode_part(&record.payload()?)?;
            catalog.outlines.push(OutlineEntry::of(place, &part));
        }
        RecordKind::Data => {
            let frame = Frame::decode(record.payload()?)?;
            for entry in &frame.entries {
                catalog.contents.push(ContentEntry { prefix: entry.id.prefix(), place });
            }
        }
        RecordKind::Stream => {
            let payload = record.payload()?;
            let (name, chunk, _) = chunk::decode_chunk(&payload)?;
            let last = record.head.flags & FLAG_LAST != 0;
            catalog.chunks.push(ChunkEntry { place, name, chunk, last });
        }
        RecordKind::Log => {
            let (_, entries) = decode_entries(&record.payload()?)?;
            if let (Some(first), Some(last)) = (entries.first(), entries.last()) {
                catalog.logs.push(LogPlace {
                    place,
                    after: first.previous,
                    last: last.lsn,
                    first_wall_us: first.wall_us,
                    last_wall_us: last.wall_us,
                });
            }
        }
        _ => {}
    }
    Ok(())
}
