//! Index and trailer: the last records of a volume, which say where the others are.

use crate::bytes::{Fields, Malformed, put_item, put_text, put_u32, put_u64};
use rehome_log::Lsn;

use crate::catalog::{Catalog, ChunkEntry, ContentEntry, LogPlace, OutlineEntry, Place};
use crate::error::Damage;
use crate::kind::RecordKind;
use crate::record::{GRID, VolumeFile, damage_in, record_size};

const OUTLINE: u8 = 1;
const CHUNK: u8 = 2;
const CONTENTS: u8 = 3;
const LOG: u8 = 4;

/// Contents in one item.
const CONTENTS_COUNT: usize = 64 << 10;
/// An index record is closed when it has grown to this many bytes.
const RECORD_SIZE_TARGET: usize = 1 << 20;
/// Bytes of a trailer's payload.
pub(crate) const TRAILER_SIZE: u32 = 64;

/// The payloads of the index records for `catalog`, whose entries are all of one volume.
pub(crate) fn encode(catalog: &mut Catalog) -> Vec<Vec<u8>> {
    catalog.sort();
    let mut payloads = vec![Vec::new()];
    let room = |payloads: &mut Vec<Vec<u8>>| {
        if payloads.last().is_none_or(|payload| payload.len() >= RECORD_SIZE_TARGET) {
            payloads.push(Vec::new());
        }
    };
    for entry in &catalog.outlines {
        room(&mut payloads);
        put_item(payloads.last_mut().expect("there is one"), OUTLINE, |to| {
            put_u32(to, entry.place.cell());
            put_u32(to, entry.mailbox);
            put_u32(to, entry.part);
            to.push(u8::from(entry.last));
            put_u32(to, entry.messages);
            put_text(to, &entry.name);
        });
    }
    for entry in &catalog.chunks {
        room(&mut payloads);
        put_item(payloads.last_mut().expect("there is one"), CHUNK, |to| {
            put_u32(to, entry.place.cell());
            put_u32(to, entry.chunk);
            to.push(u8::from(entry.last));
            put_text(to, &entry.name);
        });
    }
    for entries in catalog.contents.chunks(CONTENTS_COUNT) {
        room(&mut payloads);
        put_item(payloads.last_mut().expect("there is one"), CONTENTS, |to| {
            for entry in entries {
                put_u64(to, entry.prefix);
                put_u32(to, entry.place.cell());
            }
        });
    }
    for entry in &catalog.logs {
        room(&mut payloads);
        put_item(payloads.last_mut().expect("there is one"), LOG, |to| {
            put_u32(to, entry.place.cell());
            put_u64(to, entry.after.to_u64());
            put_u64(to, entry.last.to_u64());
            to.extend_from_slice(&entry.first_wall_us.to_le_bytes());
            to.extend_from_slice(&entry.last_wall_us.to_le_bytes());
        });
    }
    payloads
}

/// Adds what the index payload of volume `volume` says to `catalog`.
pub(crate) fn decode(
    payload: &[u8],
    volume: u32,
    catalog: &mut Catalog,
    with_contents: bool,
) -> Result<(), Malformed> {
    let mut items = Fields(payload);
    while !items.is_empty() {
        let (tag, mut body) = items.item()?;
        match tag {
            OUTLINE => {
                let place = Place::from_cell(volume, body.u32()?);
                let (mailbox, part, last) = (body.u32()?, body.u32()?, body.flag()?);
                let (messages, name) = (body.u32()?, body.text()?);
                let entry = OutlineEntry { place, mailbox, part, last, messages, name };
                catalog.outlines.push(entry);
            }
            CHUNK => {
                let place = Place::from_cell(volume, body.u32()?);
                let (chunk, last, name) = (body.u32()?, body.flag()?, body.text()?);
                catalog.chunks.push(ChunkEntry { place, name, chunk, last });
            }
            CONTENTS if with_contents => {
                while !body.is_empty() {
                    let prefix = body.u64()?;
                    let place = Place::from_cell(volume, body.u32()?);
                    catalog.contents.push(ContentEntry { prefix, place });
                }
            }
            LOG => {
                let place = Place::from_cell(volume, body.u32()?);
                let (after, last) = (Lsn::from_u64(body.u64()?), Lsn::from_u64(body.u64()?));
                let first_wall_us = i64::from_le_bytes(body.array()?);
                let last_wall_us = i64::from_le_bytes(body.array()?);
                catalog.logs.push(LogPlace { place, after, last, first_wall_us, last_wall_us });
            }
            // Not wanted, or of a later version that lets it be ignored.
            _ => {}
        }
    }
    Ok(())
}

/// The payload of the trailer of a volume whose `records` index records begin at `offset`.
pub(crate) fn encode_trailer(offset: u64, records: u32) -> Vec<u8> {
    let mut payload = Vec::new();
    put_u64(&mut payload, offset);
    put_u32(&mut payload, records);
    payload.resize(TRAILER_SIZE as usize, 0);
    payload
}

/// Reads the index of `volume` by way of its trailer.
pub(crate) fn read(volume: &VolumeFile, number: u32) -> Result<Catalog, Damage> {
    let trailer_size = record_size(TRAILER_SIZE);
    let end = volume.size_bytes();
    let trailer_at =
        end.checked_sub(trailer_size).filter(|at| at % GRID == 0).ok_or_else(|| {
            Damage::of_file(&volume.name, "it does not end on the grid of records: it is cut off")
        })?;
    let trailer = volume.read(trailer_at)?;
    if trailer.head.kind != RecordKind::Trailer {
        return Err(damage_in(volume, &trailer, "the volume's last record is no trailer"));
    }
    let payload = trailer.payload().map_err(|what| damage_in(volume, &trailer, what))?;
    let mut fields = Fields(&payload);
    let mut catalog = Catalog::default();
    let malformed = |what: Malformed| damage_in(volume, &trailer, what);
    let mut at = fields.u64().map_err(malformed)?;
    for _ in 0..fields.u32().map_err(malformed)? {
        let record = volume.read(at)?;
        if record.head.kind != RecordKind::Index {
            return Err(damage_in(volume, &record, "an index record should be here"));
        }
        at += record.head.size_bytes();
        // Without a key, only what is not sealed is there to be found.
        if record.is_locked() {
            continue;
        }
        let payload = record.payload().map_err(|what| damage_in(volume, &record, what))?;
        decode(&payload, number, &mut catalog, true)
            .map_err(|what| damage_in(volume, &record, what))?;
    }
    if at != trailer_at {
        return Err(damage_in(volume, &trailer, "the trailer does not follow the index"));
    }
    Ok(catalog)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_index_gives_back_every_place() {
        let mut catalog = Catalog::default();
        for number in 0..200_000_u32 {
            let place = Place::from_cell(7, number);
            let prefix = u64::from(number).wrapping_mul(0x9e37_79b9_7f4a_7c15);
            catalog.contents.push(ContentEntry { prefix, place });
        }
        let place = Place::from_cell(7, 9);
        let name = "directory".to_owned();
        catalog.chunks.push(ChunkEntry { place, name: name.clone(), chunk: 3, last: true });
        let (mailbox, part, last, messages) = (1, 2, false, 4);
        catalog.outlines.push(OutlineEntry { place, mailbox, part, last, messages, name });
        let payloads = encode(&mut catalog);
        assert!(payloads.len() > 1);
        let mut read = Catalog::default();
        for payload in &payloads {
            decode(payload, 7, &mut read, true).unwrap();
        }
        read.sort();
        assert_eq!(read.contents, catalog.contents);
        assert_eq!(read.chunks, catalog.chunks);
        assert_eq!(read.outlines, catalog.outlines);
    }
}
