//! Where the records of a backup are.

use std::collections::HashSet;

use rehome_log::Lsn;

use crate::error::Damage;
use crate::outline::OutlinePart;
use crate::record::GRID;

/// Where a record begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Place {
    /// Position of the volume in the backup's list.
    pub(crate) volume: u32,
    /// Offset in cells of the grid.
    cell: u32,
}

impl Place {
    pub(crate) fn new(volume: u32, offset: u64) -> Place {
        let cell = u32::try_from(offset / GRID).unwrap_or(u32::MAX);
        Place { volume, cell }
    }

    pub(crate) fn from_cell(volume: u32, cell: u32) -> Place {
        Place { volume, cell }
    }

    pub(crate) fn cell(self) -> u32 {
        self.cell
    }

    pub(crate) fn offset(self) -> u64 {
        u64::from(self.cell) * GRID
    }
}

/// An outline record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct OutlineEntry {
    pub(crate) place: Place,
    pub(crate) mailbox: u32,
    pub(crate) part: u32,
    pub(crate) last: bool,
    pub(crate) messages: u32,
    pub(crate) name: String,
}

impl OutlineEntry {
    pub(crate) fn of(place: Place, part: &OutlinePart) -> OutlineEntry {
        OutlineEntry {
            place,
            mailbox: part.mailbox,
            part: part.part,
            last: part.last,
            messages: u32::try_from(part.outline.messages()).unwrap_or(u32::MAX),
            name: part.outline.name.clone(),
        }
    }
}

/// A record of a stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ChunkEntry {
    pub(crate) place: Place,
    pub(crate) name: String,
    pub(crate) chunk: u32,
    pub(crate) last: bool,
}

/// A content: the first bytes of its id, and the frame it is in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct ContentEntry {
    pub(crate) prefix: u64,
    pub(crate) place: Place,
}

/// A LOG record of a segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct LogPlace {
    pub(crate) place: Place,
    /// The log record before its first one.
    pub(crate) after: Lsn,
    /// Its last log record.
    pub(crate) last: Lsn,
    pub(crate) first_wall_us: i64,
    pub(crate) last_wall_us: i64,
}

/// Where the records of a backup are.
#[derive(Debug, Default)]
pub(crate) struct Catalog {
    /// By mailbox and part.
    pub(crate) outlines: Vec<OutlineEntry>,
    /// By name and number.
    pub(crate) chunks: Vec<ChunkEntry>,
    /// By prefix.
    pub(crate) contents: Vec<ContentEntry>,
    /// By LSN.
    pub(crate) logs: Vec<LogPlace>,
    /// What could not be read for it.
    pub(crate) damage: Vec<Damage>,
}

impl Catalog {
    pub(crate) fn append(&mut self, mut other: Catalog) {
        self.outlines.append(&mut other.outlines);
        self.chunks.append(&mut other.chunks);
        self.contents.append(&mut other.contents);
        self.logs.append(&mut other.logs);
        self.damage.append(&mut other.damage);
    }

    /// Brings everything into order; a record that was found twice counts once.
    pub(crate) fn sort(&mut self) {
        self.outlines.sort_by_key(|entry| (entry.mailbox, entry.part, entry.place));
        self.outlines.dedup_by_key(|entry| (entry.mailbox, entry.part));
        self.chunks.sort_by(|a, b| (&a.name, a.chunk, a.place).cmp(&(&b.name, b.chunk, b.place)));
        self.chunks.dedup_by(|a, b| a.name == b.name && a.chunk == b.chunk);
        self.contents.sort_unstable();
        self.logs.sort_by_key(|entry| (entry.after, entry.place));
    }

    /// The frames that may hold a content whose id does not begin as one in `there` does, in order.
    /// Where two contents begin alike, nobody can say which of them is there.
    pub(crate) fn places_but(&self, there: &HashSet<u64>) -> Vec<Place> {
        let alike = self.contents.chunk_by(|one, other| one.prefix == other.prefix);
        let missing = alike.filter(|some| some.len() > 1 || !there.contains(&some[0].prefix));
        let mut places: Vec<Place> = missing.flatten().map(|entry| entry.place).collect();
        places.sort_unstable();
        places.dedup();
        places
    }

    /// The frames that may hold contents whose ids begin with `prefix`.
    pub(crate) fn frames(&self, prefix: u64) -> impl Iterator<Item = Place> + '_ {
        let start = self.contents.partition_point(|entry| entry.prefix < prefix);
        let entries = self.contents[start..].iter();
        entries.take_while(move |entry| entry.prefix == prefix).map(|entry| entry.place)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_is_left_out_only_if_all_of_it_is_known_to_be_there() {
        let entry = |prefix, cell| ContentEntry { prefix, place: Place::from_cell(0, cell) };
        let contents = vec![entry(1, 9), entry(2, 9), entry(3, 5), entry(4, 6), entry(4, 7)];
        let catalog = Catalog { contents, ..Catalog::default() };
        let check = |there: &[u64], expected: &[u32]| {
            let places = catalog.places_but(&there.iter().copied().collect());
            assert_eq!(places.iter().map(|place| place.cell()).collect::<Vec<_>>(), expected);
        };
        check(&[], &[5, 6, 7, 9]);
        check(&[1], &[5, 6, 7, 9]);
        check(&[1, 2], &[5, 6, 7]);
        check(&[1, 2, 3, 4], &[6, 7]);
    }
}
