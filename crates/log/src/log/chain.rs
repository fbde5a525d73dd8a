//! The chain of generations in a folder, found from its newest link backwards.

use std::io;

use super::header::{GenerationId, HEADER_SIZE, Header, NoHeader, Seal, VERSION};
use super::record::{RECORD_HEADER_SIZE, claims_place};
use super::scan::{Cursor, GENERATION_SIZE_MAX, lsn_at};
use crate::disk::{Disk, FileName, OpenMode};
use crate::error::LogError;
use crate::{FileId, Lsn};

/// A generation of the chain.
#[derive(Clone, Debug)]
pub(crate) struct Generation {
    pub(crate) header: Header,
    /// Checksum of the header.
    pub(crate) seed: u32,
    pub(crate) name: FileName,
    /// How it ends, as the next one states; the newest has no end yet.
    pub(crate) seal: Option<Seal>,
}

impl Generation {
    pub(crate) fn number(&self) -> u64 {
        self.header.id.number
    }

    /// At the first record in `bytes`, which the file begins with.
    pub(crate) fn cursor<'a>(&self, bytes: &'a [u8]) -> Cursor<'a> {
        Cursor::new(bytes, self.number(), self.seed, self.header.prev_lsn)
    }

    pub(crate) fn damaged(&self, offset: usize, cause: impl Into<String>) -> LogError {
        let (generation, name) = (self.number(), self.name.clone());
        LogError::Damaged { generation, offset: offset as u64, name, cause: cause.into() }
    }

    /// Fills `buffer` with the bytes of the file that may count.
    pub(crate) fn read(&self, disk: &dyn Disk, buffer: &mut Vec<u8>) -> Result<(), LogError> {
        let limit = self.seal.map_or(GENERATION_SIZE_MAX, |seal| seal.len as usize);
        let on = |source| LogError::Io { name: self.name.clone(), action: "read it", source };
        with_file(disk, &self.name, |file| read_up_to(disk, file, limit, buffer)).map_err(on)
    }
}

/// What a folder holds.
pub(crate) struct Found {
    /// Every generation by name, in the chain or not.
    pub(crate) all: Vec<GenerationId>,
    /// The chain, oldest first.
    pub(crate) chain: Vec<Generation>,
    /// Why the chain does not go further back; none if it begins with the log's first generation.
    pub(crate) end_cause: Option<LogError>,
}

/// The names in folder `dir`; none if it is not there.
pub(crate) fn names(disk: &dyn Disk, dir: &FileName) -> Result<Vec<String>, LogError> {
    match disk.list(dir) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        listed => listed.map_err(|source| LogError::Io {
            name: dir.clone(),
            action: "list the folder",
            source,
        }),
    }
}

/// The generations that folder `dir` names.
pub(crate) fn list(disk: &dyn Disk, dir: &FileName) -> Result<Vec<GenerationId>, LogError> {
    Ok(names(disk, dir)?.iter().filter_map(|name| GenerationId::parse(name)).collect())
}

/// The path of generation `id` in folder `dir`.
pub(crate) fn path(dir: &FileName, id: GenerationId) -> FileName {
    dir.join(&id.file_name()).expect("a generation's name is a plain name")
}

/// Finds the chain whose newest generation is the newest of the highest epoch.
///
/// A generation whose header was never finished does not count: nothing is written to it before
/// the header is durable. What an earlier owner wrote outside this chain does not count either.
pub(crate) fn find(disk: &dyn Disk, dir: &FileName, identity: [u8; 16]) -> Result<Found, LogError> {
    find_passing(disk, dir, identity, |_| false)
}

/// The chain that is left when generations with damaged headers are passed over, oldest first.
pub(crate) fn find_readable(
    disk: &dyn Disk,
    dir: &FileName,
    identity: [u8; 16],
) -> Result<Vec<Generation>, LogError> {
    let is_damage = |error: &LogError| matches!(error, LogError::Damaged { .. });
    Ok(find_passing(disk, dir, identity, is_damage)?.chain)
}

/// Finds the chain, passing over newest generations that cannot be read for a reason that `passes`.
fn find_passing(
    disk: &dyn Disk,
    dir: &FileName,
    identity: [u8; 16],
    passes: impl Fn(&LogError) -> bool,
) -> Result<Found, LogError> {
    let all = list(disk, dir)?;
    let mut newest_first = all.clone();
    newest_first.sort_unstable_by_key(|id| std::cmp::Reverse((id.epoch, id.number)));
    for id in newest_first {
        let head = match read_header(disk, dir, id, identity) {
            Ok(Some(head)) => head,
            Ok(None) => continue,
            Err(error) if passes(&error) => continue,
            Err(error) => return Err(error),
        };
        match walk_back(disk, dir, identity, head, &all) {
            Ok((chain, end_cause)) => return Ok(Found { all, chain, end_cause }),
            Err(error) if passes(&error) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(Found { all, chain: Vec::new(), end_cause: None })
}

/// Follows the chain from `head` to its oldest generation that is there and whole.
fn walk_back(
    disk: &dyn Disk,
    dir: &FileName,
    identity: [u8; 16],
    head: Generation,
    all: &[GenerationId],
) -> Result<(Vec<Generation>, Option<LogError>), LogError> {
    let mut chain = vec![head];
    let end_cause = loop {
        let next = chain.last().expect("begins with the head");
        let Some(seal) = next.header.previous else { break None };
        if seal.id.number >= next.number() || seal.id.epoch > next.header.id.epoch {
            return Err(next.damaged(80, "the generation before it is not an earlier one"));
        }
        if !all.contains(&seal.id) {
            break None;
        }
        match read_header(disk, dir, seal.id, identity) {
            Ok(Some(generation)) => chain.push(Generation { seal: Some(seal), ..generation }),
            Ok(None) => {
                let cause = "its header has a wrong checksum".to_owned();
                let (generation, name) = (seal.id.number, path(dir, seal.id));
                break Some(LogError::Damaged { generation, offset: 0, name, cause });
            }
            Err(error @ LogError::Damaged { .. }) => break Some(error),
            Err(error) => return Err(error),
        }
    };
    chain.reverse();
    Ok((chain, end_cause))
}

/// The generation `id` by its header; none if that was never finished.
fn read_header(
    disk: &dyn Disk,
    dir: &FileName,
    id: GenerationId,
    identity: [u8; 16],
) -> Result<Option<Generation>, LogError> {
    let name = path(dir, id);
    let mut bytes = Vec::new();
    let limit = HEADER_SIZE + RECORD_HEADER_SIZE;
    with_file(disk, &name, |file| read_up_to(disk, file, limit, &mut bytes))
        .map_err(|source| LogError::Io { name: name.clone(), action: "read its header", source })?;
    let whole = bytes.len() >= HEADER_SIZE;
    let decoded = if whole { Header::decode(&bytes) } else { Err(NoHeader::Invalid) };
    let damaged = |cause: &str| {
        let (generation, name) = (id.number, name.clone());
        LogError::Damaged { generation, offset: 0, name, cause: cause.to_owned() }
    };
    match decoded {
        Ok((header, _)) if header.identity != identity => {
            let (found, expected) = (hex(header.identity), hex(identity));
            Err(LogError::Foreign { name, found, expected })
        }
        Ok((header, _)) if header.id != id => Err(damaged("its header names another generation")),
        Ok((header, seed)) => Ok(Some(Generation { header, seed, name, seal: None })),
        Err(NoHeader::Version(found)) => Err(LogError::Version { name, found, known: VERSION }),
        Err(NoHeader::Invalid) => {
            if whole && claims_place(&bytes[HEADER_SIZE..], lsn_at(id.number, HEADER_SIZE)) {
                return Err(damaged("its header has a wrong checksum and records follow it"));
            }
            Ok(None)
        }
    }
}

fn hex(identity: [u8; 16]) -> String {
    format!("{:032x}", u128::from_be_bytes(identity))
}

/// Runs `work` on the file `name` and closes it.
fn with_file<T>(
    disk: &dyn Disk,
    name: &FileName,
    work: impl FnOnce(FileId) -> io::Result<T>,
) -> io::Result<T> {
    let file = disk.open(name, OpenMode::Read)?;
    let result = work(file);
    disk.close(file);
    result
}

/// Fills `buffer` with the first `limit` bytes of `file`, or all if it is shorter.
fn read_up_to(disk: &dyn Disk, file: FileId, limit: usize, buffer: &mut Vec<u8>) -> io::Result<()> {
    let len = usize::try_from(disk.len(file)?).unwrap_or(usize::MAX);
    buffer.clear();
    buffer.resize(len.min(limit), 0);
    disk.read_at(file, 0, buffer)
}

/// Whether `from` can be the first position that a reader of `chain` asks for.
pub(crate) fn covers(chain: &[Generation], from: Lsn) -> bool {
    let Some(oldest) = chain.first() else { return false };
    if from < oldest.header.first_lsn() {
        return oldest
            .header
            .previous
            .is_none_or(|seal| from.generation() == seal.id.number && from.offset() == seal.len);
    }
    chain.iter().any(|generation| generation.number() == from.generation())
}
