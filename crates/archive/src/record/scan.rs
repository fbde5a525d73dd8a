//! Reading the records of a volume, and finding the next one after damage.

use std::io;
use std::sync::Arc;

use super::{GRID, HEADER_SIZE, MAGIC, PAYLOAD_SIZE_MAX, Record, RecordHead, hash, record_size};
use crate::error::Damage;
use crate::seal::RecordKey;
use crate::target::{SourceFile, Target};

/// Bytes searched at a time for the next record after damage.
const SEARCH_SIZE: usize = 64 << 10;
/// Bytes passed over when the medium cannot read where the search stands.
const UNREADABLE_STEP: u64 = 4096;

/// What every record of a volume says of where it belongs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Identity {
    /// First half of the backup's id.
    pub(crate) tag: u32,
    /// Number of the volume; `None` if any will do.
    pub(crate) volume: Option<u16>,
}

impl Identity {
    fn covers(self, head: &RecordHead) -> bool {
        self.tag == head.tag && self.volume.is_none_or(|volume| volume == head.volume)
    }
}

/// An open volume.
pub(crate) struct VolumeFile {
    /// As the target names it.
    pub(crate) name: String,
    /// What its records must say; `None` if any will do.
    pub(crate) identity: Option<Identity>,
    /// What opens sealed payloads.
    pub(crate) key: Option<Arc<RecordKey>>,
    source: Source,
}

/// Where a volume's bytes come from.
enum Source {
    Plain(Box<dyn SourceFile>),
    Healing(Box<dyn Heal>),
}

/// A run of bytes that was not as it was written and came back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Healed {
    pub(crate) offset: u64,
    pub(crate) len: u64,
}

/// A file whose lost bytes may come back.
pub(crate) trait Heal: SourceFile {
    /// Looks at a range; whether it reads otherwise now.
    fn heal(&self, offset: u64, len: u64) -> bool;

    /// What came back so far.
    fn healed(&self) -> Vec<Healed>;

    /// Bytes that are stored, which may be more or fewer than were written.
    fn stored_bytes(&self) -> u64;
}

/// Why there is no good record at a place.
struct Fault {
    what: String,
    head: Option<RecordHead>,
    /// The record is whole and belongs elsewhere.
    foreign: bool,
}

impl Fault {
    fn new(what: impl Into<String>, head: Option<RecordHead>) -> Fault {
        Fault { what: what.into(), head, foreign: false }
    }

    fn place(self, file: &str, offset: u64, length: u64) -> Damage {
        Damage {
            file: file.to_owned(),
            offset,
            length,
            record: self.head.map(|head| head.sequence),
            kind: self.head.map(|head| head.kind),
            what: self.what,
        }
    }
}

impl VolumeFile {
    /// To be read anywhere.
    pub(crate) fn open(
        target: &dyn Target,
        name: &str,
        identity: Option<Identity>,
    ) -> Result<VolumeFile, Damage> {
        VolumeFile::opened(name, identity, target.open(name))
    }

    /// To be read from front to back.
    pub(crate) fn open_once(
        target: &dyn Target,
        name: &str,
        identity: Option<Identity>,
    ) -> Result<VolumeFile, Damage> {
        VolumeFile::opened(name, identity, target.open_once(name))
    }

    /// What opening it gave.
    pub(crate) fn opened(
        name: &str,
        identity: Option<Identity>,
        source: io::Result<Box<dyn SourceFile>>,
    ) -> Result<VolumeFile, Damage> {
        match source {
            Ok(source) => {
                let (name, source) = (name.to_owned(), Source::Plain(source));
                Ok(VolumeFile { name, identity, key: None, source })
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                Err(Damage::of_file(name, "the file is missing"))
            }
            Err(error) => Err(Damage::of_file(name, format!("it cannot be opened: {error}"))),
        }
    }

    /// The same volume, whose lost bytes may come back: `join` puts its bytes and what heals them
    /// together.
    pub(crate) fn healing(self, join: impl FnOnce(Box<dyn SourceFile>) -> Box<dyn Heal>) -> Self {
        let source = match self.source {
            Source::Plain(plain) => Source::Healing(join(plain)),
            healing @ Source::Healing(_) => healing,
        };
        VolumeFile { source, ..self }
    }

    fn source(&self) -> &dyn SourceFile {
        match &self.source {
            Source::Plain(plain) => &**plain,
            Source::Healing(healing) => &**healing,
        }
    }

    /// Bytes that were written.
    pub(crate) fn size_bytes(&self) -> u64 {
        self.source().size_bytes()
    }

    /// Bytes that are stored.
    pub(crate) fn stored_bytes(&self) -> u64 {
        match &self.source {
            Source::Plain(plain) => plain.size_bytes(),
            Source::Healing(healing) => healing.stored_bytes(),
        }
    }

    /// Damage that does no harm, because the bytes came back while they were read.
    pub(crate) fn healed(&self) -> Vec<Damage> {
        let Source::Healing(healing) = &self.source else { return Vec::new() };
        let damage = |healed: Healed| {
            let what = "it is not as it was written; its bytes come back from parity";
            let damage = Damage::of_file(&self.name, what);
            Damage { offset: healed.offset, length: healed.len, ..damage }
        };
        healing.healed().into_iter().map(damage).collect()
    }

    /// The bytes as they were written, as far as they can be read.
    pub(crate) fn read_bytes(&self, offset: u64, buf: &mut [u8]) -> io::Result<()> {
        self.source().read_at(offset, buf)
    }

    /// The record at `offset`, if it is whole and belongs here.
    pub(crate) fn read(&self, offset: u64) -> Result<Record, Damage> {
        let identity = self.identity;
        self.try_read(offset, identity, Vec::new())
            .map_err(|fault| fault.place(&self.name, offset, 0))
    }

    /// Reads the record at `offset`; if it is not whole, once more after healing what it lies in.
    /// The payload may come in the memory of `spare`.
    fn try_read(
        &self,
        offset: u64,
        identity: Option<Identity>,
        spare: Vec<u8>,
    ) -> Result<Record, Fault> {
        let first = self.read_as_it_is(offset, identity, spare);
        let Source::Healing(healing) = &self.source else { return first };
        let is_good = match &first {
            Ok(record) => record.padded,
            Err(fault) => fault.foreign,
        };
        if is_good {
            return first;
        }
        let mut changed = healing.heal(offset, HEADER_SIZE as u64);
        let mut header = [0; HEADER_SIZE];
        let head = self.fill(offset, &mut header).ok().and_then(|()| RecordHead::decode(&header));
        if let Some(head) = head.filter(|head| head.stored_len <= PAYLOAD_SIZE_MAX) {
            changed |= healing.heal(offset, head.size_bytes());
        }
        if changed { self.read_as_it_is(offset, identity, Vec::new()) } else { first }
    }

    fn read_as_it_is(
        &self,
        offset: u64,
        identity: Option<Identity>,
        spare: Vec<u8>,
    ) -> Result<Record, Fault> {
        let rest = self.size_bytes().saturating_sub(offset);
        if rest < HEADER_SIZE as u64 {
            return Err(Fault::new("the file ends inside a record's header", None));
        }
        let mut header = [0; HEADER_SIZE];
        self.fill(offset, &mut header)?;
        let no_record = || Fault::new("no record begins here", None);
        let head = RecordHead::decode(&header).ok_or_else(no_record)?;
        let room = rest - HEADER_SIZE as u64;
        if head.stored_len > PAYLOAD_SIZE_MAX || u64::from(head.stored_len) > room {
            let what = "the file ends inside the record, or its length is damaged";
            return Err(Fault::new(what, Some(head)));
        }
        let padded_len = record_size(head.stored_len) - HEADER_SIZE as u64;
        let read_len = usize::try_from(padded_len.min(room)).expect("payloads are bounded");
        let mut stored = spare;
        stored.resize(read_len, 0);
        self.fill(offset + HEADER_SIZE as u64, &mut stored)?;
        let stored_len = head.stored_len as usize;
        let padded = padded_len <= room && stored[stored_len..].iter().all(|padding| *padding == 0);
        stored.truncate(stored_len);
        if hash(&header[..40], &stored) != header[40..] {
            return Err(Fault::new("its hash does not fit its bytes", Some(head)));
        }
        if identity.is_some_and(|own| !own.covers(&head)) {
            let what = "it is a record of another volume or backup";
            return Err(Fault { foreign: true, ..Fault::new(what, Some(head)) });
        }
        let key = self.key.clone();
        Ok(Record { head, header, stored, offset, padded, key })
    }

    fn fill(&self, offset: u64, buf: &mut [u8]) -> Result<(), Fault> {
        self.source()
            .read_at(offset, buf)
            .map_err(|error| Fault::new(format!("the medium cannot read it: {error}"), None))
    }

    /// All records from the front, and all damage between them.
    pub(crate) fn scan(&self) -> Scan<'_> {
        Scan {
            file: self,
            identity: self.identity,
            at: 0,
            last_sequence: None,
            after_damage: false,
            pending: None,
            spare: Vec::new(),
        }
    }
}

/// `what` is wrong with the payload of `record`, although its hash is right.
pub(crate) fn damage_in(volume: &VolumeFile, record: &Record, what: impl Into<String>) -> Damage {
    damage_of(&volume.name, record, what)
}

/// The same for a record of the volume called `file`.
pub(crate) fn damage_of(file: &str, record: &Record, what: impl Into<String>) -> Damage {
    Damage {
        file: file.to_owned(),
        offset: record.offset,
        length: record.head.size_bytes(),
        record: Some(record.head.sequence),
        kind: Some(record.head.kind),
        what: what.into(),
    }
}

/// What a scan comes upon.
pub(crate) enum Scanned {
    Record(Record),
    Damage(Damage),
}

/// Iterator of [`VolumeFile::scan`].
pub(crate) struct Scan<'a> {
    file: &'a VolumeFile,
    identity: Option<Identity>,
    at: u64,
    last_sequence: Option<u32>,
    after_damage: bool,
    pending: Option<Scanned>,
    /// Memory for the next payload.
    spare: Vec<u8>,
}

impl Scan<'_> {
    /// How far it has come.
    pub(crate) fn at(&self) -> u64 {
        self.at
    }

    /// Gives a record back that is not needed any more; the next one comes in its memory.
    pub(crate) fn give_back(&mut self, record: Record) {
        self.spare = record.stored;
    }

    fn accept(&mut self, record: Record) -> Scanned {
        let head = record.head;
        self.identity = Some(head.identity());
        let place = |what: String, length| {
            Fault::new(what, Some(head)).place(&self.file.name, record.offset, length)
        };
        let expected = self.last_sequence.map(|last| last.wrapping_add(1));
        let fits = self.after_damage || expected.is_none_or(|expected| expected == head.sequence);
        let in_order = fits.then_some(()).ok_or_else(|| {
            let expected = expected.unwrap_or_default();
            place(format!("record {expected} should be here: some are missing or moved"), 0)
        });
        self.last_sequence = Some(head.sequence);
        self.after_damage = false;
        self.at = (record.offset + head.size_bytes()).min(self.file.size_bytes());
        let padding = (!record.padded)
            .then(|| place("its padding is cut off or not zero".to_owned(), head.size_bytes()));
        match (in_order, padding) {
            (Err(damage), _) => {
                self.pending = Some(Scanned::Record(record));
                Scanned::Damage(damage)
            }
            (Ok(()), Some(damage)) => {
                self.pending = Some(Scanned::Record(record));
                Scanned::Damage(damage)
            }
            (Ok(()), None) => Scanned::Record(record),
        }
    }

    fn pass_over(&mut self, fault: Fault) -> Scanned {
        let from = self.at;
        let next = match fault.head {
            Some(head) if fault.foreign => (from + head.size_bytes()).min(self.file.size_bytes()),
            head => self.next_record(from, head),
        };
        self.at = next;
        self.after_damage = true;
        Scanned::Damage(fault.place(&self.file.name, from, next - from))
    }

    /// Where the next record begins after the damage at `from`, or the end of the file.
    fn next_record(&self, from: u64, head: Option<RecordHead>) -> u64 {
        if let Some(head) = head {
            // If the damage spared the lengths, nothing inside the record is taken for a record:
            // it may hold a message with an archive attached.
            let next = from.saturating_add(head.size_bytes());
            let follows = |record: Record| record.head.sequence == head.sequence.wrapping_add(1);
            if self.file.try_read(next, self.identity, Vec::new()).is_ok_and(follows) {
                return next;
            }
        }
        let end = self.file.size_bytes();
        let mut at = from + GRID;
        let mut block = vec![0; SEARCH_SIZE];
        while at + HEADER_SIZE as u64 <= end {
            let len = usize::try_from(end - at).unwrap_or(SEARCH_SIZE).min(SEARCH_SIZE);
            let block = &mut block[..len];
            if self.file.fill(at, block).is_err() {
                at = (at + 1).next_multiple_of(UNREADABLE_STEP);
                continue;
            }
            let mut here = at;
            for cell in block.chunks(GRID as usize) {
                let is_it = || self.file.try_read(here, self.identity, Vec::new()).is_ok();
                if cell.starts_with(&MAGIC) && is_it() {
                    return here;
                }
                here += GRID;
            }
            at = here;
        }
        end
    }
}

impl Iterator for Scan<'_> {
    type Item = Scanned;

    fn next(&mut self) -> Option<Scanned> {
        if let Some(pending) = self.pending.take() {
            return Some(pending);
        }
        if self.at >= self.file.size_bytes() {
            return None;
        }
        let spare = std::mem::take(&mut self.spare);
        Some(match self.file.try_read(self.at, self.identity, spare) {
            Ok(record) => self.accept(record),
            Err(fault) => self.pass_over(fault),
        })
    }
}
