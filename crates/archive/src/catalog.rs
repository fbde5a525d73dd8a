//! Where the records of a backup are.

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

    /// The frames that may hold contents whose ids begin with `prefix`.
    pub(crate) fn frames(&self, prefix: u64) -> impl Iterator<Item = Place> + '_ {
        let start = self.contents.partition_point(|entry| entry.prefix < prefix);
        let entries = self.contents[start..].iter();
        entries.take_while(move |entry| entry.prefix == prefix).map(|entry| entry.place)
    }
}
