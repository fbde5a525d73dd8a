//! What the simulated disk holds: what is seen, and what of it is durable.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::io;

use super::super::{FileId, FileName, OpenMode};
use super::Fault;
use crate::rng::SplitMix64;

/// A disk writes this many bytes whole or not at all.
const SECTOR_SIZE: usize = 512;

const EIO: i32 = 5;
const ENOSPC: i32 = 28;

/// What a call does, as far as faults care.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Read,
    Write,
    Grow,
    Sync,
}

/// A change of a file that was not synced.
#[derive(Clone, Debug)]
pub(super) enum Change {
    Write { offset: u64, bytes: Vec<u8> },
    SetLen(u64),
}

/// A file, whatever its names.
#[derive(Clone, Debug, Default)]
struct Inode {
    seen: Vec<u8>,
    durable: Vec<u8>,
    unsynced: Vec<Change>,
}

/// A change of a name that was not synced.
#[derive(Clone, Debug)]
enum NameChange {
    Link { name: FileName, inode: usize },
    Unlink { name: FileName },
    Rename { from: FileName, to: FileName, inode: usize },
}

#[derive(Clone, Copy, Debug)]
struct OpenFile {
    inode: usize,
    writable: bool,
    locked: bool,
}

#[derive(Debug, Default)]
pub(super) struct State {
    inodes: Vec<Inode>,
    folders: BTreeSet<FileName>,
    seen_names: BTreeMap<FileName, usize>,
    durable_names: BTreeMap<FileName, usize>,
    unsynced_names: Vec<NameChange>,
    open: HashMap<FileId, OpenFile>,
    next_id: u64,
    ops: u64,
    fault: Option<(u64, Fault)>,
    /// Bytes by which files may grow still, if that is limited.
    room: Option<u64>,
    full: bool,
    down: bool,
}

/// An offset as an index; what a test writes fits in memory.
pub(super) fn index(offset: u64) -> usize {
    usize::try_from(offset).expect("a simulated file fits in memory")
}

impl Change {
    fn apply(&self, bytes: &mut Vec<u8>) {
        match self {
            Change::Write { offset, bytes: new } => {
                let start = index(*offset);
                let end = start + new.len();
                if bytes.len() < end {
                    bytes.resize(end, 0);
                }
                bytes[start..end].copy_from_slice(new);
            }
            Change::SetLen(len) => bytes.resize(index(*len), 0),
        }
    }

    /// Applies what a crash keeps: each sector with a chance of `keep_percent`.
    fn apply_in_part(
        &self,
        bytes: &mut Vec<u8>,
        durable_len: usize,
        keep_percent: u64,
        rng: &mut SplitMix64,
    ) {
        let Change::Write { offset, bytes: new } = self else {
            if rng.chance(keep_percent) {
                self.apply(bytes);
            }
            return;
        };
        let start = index(*offset);
        if bytes.len() < start + new.len() {
            bytes.resize(start + new.len(), 0);
        }
        let mut at = start;
        while at < start + new.len() {
            let end = (at / SECTOR_SIZE * SECTOR_SIZE + SECTOR_SIZE).min(start + new.len());
            if rng.chance(keep_percent) {
                bytes[at..end].copy_from_slice(&new[at - start..end - start]);
            } else if at >= durable_len && rng.chance(1) {
                // A block that had another owner before shows what that one wrote.
                bytes[at..end].fill_with(|| rng.next_u64() as u8);
            }
            at = end;
        }
    }
}

impl Inode {
    fn crash(&self, rng: &mut SplitMix64) -> Inode {
        let mut left = self.durable.clone();
        if !self.unsynced.is_empty() {
            let keep_percent = [0, 20, 50, 80, 100][index(rng.below(5))];
            for change in &self.unsynced {
                change.apply_in_part(&mut left, self.durable.len(), keep_percent, rng);
            }
            let grown = left.len().saturating_sub(self.durable.len());
            let lost = [0, 0, grown, index(rng.below(grown as u64 + 1))][index(rng.below(4))];
            left.truncate(left.len() - lost);
        }
        Inode { seen: left.clone(), durable: left, unsynced: Vec::new() }
    }
}

impl NameChange {
    fn touches(&self, dir: &FileName) -> bool {
        match self {
            NameChange::Link { name, .. } | NameChange::Unlink { name } => name.parent() == *dir,
            NameChange::Rename { from, to, .. } => from.parent() == *dir || to.parent() == *dir,
        }
    }

    fn apply(self, names: &mut BTreeMap<FileName, usize>) {
        match self {
            NameChange::Link { name, inode } => _ = names.insert(name, inode),
            NameChange::Unlink { name } => _ = names.remove(&name),
            NameChange::Rename { from, to, inode } => {
                if names.get(&from) == Some(&inode) {
                    names.remove(&from);
                }
                names.insert(to, inode);
            }
        }
    }
}

/// Faults and the count of calls.
impl State {
    pub(super) fn plan_fault(&mut self, n_ops: u64, fault: Fault) {
        self.fault = Some((self.ops + n_ops, fault));
    }

    pub(super) fn heal(&mut self) {
        self.fault = None;
        self.room = None;
        self.full = false;
    }

    pub(super) fn plan_full(&mut self, bytes: u64) {
        self.room = Some(bytes);
    }

    /// How much of a write of `len` bytes that lets its file grow by `grown` finds room.
    pub(super) fn take_room(&mut self, len: usize, grown: u64) -> (usize, io::Result<()>) {
        let Some(room) = &mut self.room else { return (len, Ok(())) };
        let missing = grown.saturating_sub(*room);
        *room = room.saturating_sub(grown);
        if missing == 0 {
            return (len, Ok(()));
        }
        self.full = true;
        (len.saturating_sub(index(missing)), Err(io::Error::from_raw_os_error(ENOSPC)))
    }

    /// How much of a write of `len` bytes that fails reached the disk: any part of it.
    pub(super) fn part_of(&self, len: usize) -> usize {
        index(SplitMix64::new(self.ops).below(len as u64 + 1))
    }

    pub(super) fn ops(&self) -> u64 {
        self.ops
    }

    pub(super) fn is_down(&self) -> bool {
        self.down
    }

    /// Counts a call and says whether it fails.
    pub(super) fn begin(&mut self, kind: Kind) -> io::Result<()> {
        if let Some((at, fault)) = self.fault.filter(|(at, _)| *at <= self.ops) {
            debug_assert!(at <= self.ops);
            match fault {
                Fault::PowerCut => self.down = true,
                Fault::Enospc => self.full = true,
                Fault::FsyncEio if kind != Kind::Sync => {}
                Fault::EioForGood => {
                    self.ops += 1;
                    return Err(io::Error::from_raw_os_error(EIO));
                }
                Fault::Eio | Fault::FsyncEio => {
                    self.fault = None;
                    self.ops += 1;
                    return Err(io::Error::from_raw_os_error(EIO));
                }
            }
        }
        self.ops += 1;
        if self.down {
            return Err(io::Error::other("the power is off"));
        }
        if self.full && kind == Kind::Grow {
            return Err(io::Error::from_raw_os_error(ENOSPC));
        }
        Ok(())
    }
}

/// Bytes of files.
impl State {
    fn handle(&self, file: FileId) -> io::Result<OpenFile> {
        self.open.get(&file).copied().ok_or_else(|| io::Error::other("the file is closed"))
    }

    pub(super) fn view(&self, file: FileId) -> io::Result<&[u8]> {
        Ok(&self.inodes[self.handle(file)?.inode].seen)
    }

    pub(super) fn change(&mut self, file: FileId, change: Change) -> io::Result<()> {
        let handle = self.handle(file)?;
        if !handle.writable {
            return Err(io::ErrorKind::PermissionDenied.into());
        }
        let inode = &mut self.inodes[handle.inode];
        change.apply(&mut inode.seen);
        inode.unsynced.push(change);
        Ok(())
    }

    pub(super) fn sync(&mut self, file: FileId) -> io::Result<()> {
        let handle = self.handle(file)?;
        let inode = &mut self.inodes[handle.inode];
        for change in inode.unsynced.drain(..) {
            change.apply(&mut inode.durable);
        }
        Ok(())
    }

    /// A failed sync: the pages count as clean, and never reach the disk. A power cut instead
    /// leaves them to chance.
    pub(super) fn forget_unsynced(&mut self, file: FileId) {
        if let (false, Ok(handle)) = (self.down, self.handle(file)) {
            self.inodes[handle.inode].unsynced.clear();
        }
    }

    pub(super) fn contents(&self, name: &FileName) -> Option<Vec<u8>> {
        self.seen_names.get(name).map(|inode| self.inodes[*inode].seen.clone())
    }

    pub(super) fn set_contents(&mut self, name: &FileName, bytes: Vec<u8>) {
        self.inodes.push(Inode { seen: bytes.clone(), durable: bytes, unsynced: Vec::new() });
        let inode = self.inodes.len() - 1;
        self.seen_names.insert(name.clone(), inode);
        self.durable_names.insert(name.clone(), inode);
    }
}

/// Names, handles and locks.
impl State {
    fn rename_seen(&mut self, change: NameChange) {
        change.clone().apply(&mut self.seen_names);
        self.unsynced_names.push(change);
    }

    fn folder_exists(&self, dir: &FileName) -> bool {
        dir.as_str().is_empty() || self.folders.contains(dir)
    }

    fn add(&mut self, inode: usize, writable: bool, locked: bool) -> FileId {
        self.next_id += 1;
        let id = FileId(self.next_id);
        self.open.insert(id, OpenFile { inode, writable, locked });
        id
    }

    fn create(&mut self, name: &FileName) -> io::Result<usize> {
        if !self.folder_exists(&name.parent()) {
            return Err(io::ErrorKind::NotFound.into());
        }
        self.inodes.push(Inode::default());
        let inode = self.inodes.len() - 1;
        self.rename_seen(NameChange::Link { name: name.clone(), inode });
        Ok(inode)
    }

    pub(super) fn open(&mut self, name: &FileName, mode: OpenMode) -> io::Result<FileId> {
        let found = self.seen_names.get(name).copied();
        let inode = match (found, mode) {
            (Some(_), mode) if mode.creates() => return Err(io::ErrorKind::AlreadyExists.into()),
            (Some(inode), _) => inode,
            (None, mode) if mode.creates() => self.create(name)?,
            (None, _) => return Err(io::ErrorKind::NotFound.into()),
        };
        Ok(self.add(inode, !matches!(mode, OpenMode::Read | OpenMode::ReadOnce), false))
    }

    pub(super) fn lock(&mut self, name: &FileName) -> io::Result<FileId> {
        let inode = match self.seen_names.get(name).copied() {
            Some(inode) => inode,
            None => self.create(name)?,
        };
        if self.open.values().any(|open| open.locked && open.inode == inode) {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        Ok(self.add(inode, true, true))
    }

    pub(super) fn close(&mut self, file: FileId) {
        self.open.remove(&file);
    }

    pub(super) fn rename(&mut self, from: &FileName, to: &FileName) -> io::Result<()> {
        let inode = *self.seen_names.get(from).ok_or(io::ErrorKind::NotFound)?;
        if !self.folder_exists(&to.parent()) {
            return Err(io::ErrorKind::NotFound.into());
        }
        self.rename_seen(NameChange::Rename { from: from.clone(), to: to.clone(), inode });
        Ok(())
    }

    pub(super) fn remove(&mut self, name: &FileName) -> io::Result<()> {
        self.seen_names.get(name).ok_or(io::ErrorKind::NotFound)?;
        self.rename_seen(NameChange::Unlink { name: name.clone() });
        Ok(())
    }

    pub(super) fn list(&self, dir: &FileName) -> io::Result<Vec<String>> {
        if !self.folder_exists(dir) {
            return Err(io::ErrorKind::NotFound.into());
        }
        let inside = |name: &&FileName| name.parent() == *dir && !name.as_str().is_empty();
        let names = self.seen_names.keys().chain(&self.folders).filter(inside);
        Ok(names.map(|name| name.base().to_owned()).collect::<BTreeSet<_>>().into_iter().collect())
    }

    pub(super) fn create_dir(&mut self, dir: &FileName) {
        let mut dir = dir.clone();
        while !dir.as_str().is_empty() {
            self.folders.insert(dir.clone());
            dir = dir.parent();
        }
    }

    pub(super) fn sync_names(&mut self, dir: &FileName) -> io::Result<()> {
        if !self.folder_exists(dir) {
            return Err(io::ErrorKind::NotFound.into());
        }
        for change in self.unsynced_names.extract_if(.., |change| change.touches(dir)) {
            change.apply(&mut self.durable_names);
        }
        Ok(())
    }

    pub(super) fn forget_unsynced_names(&mut self, dir: &FileName) {
        if !self.down {
            self.unsynced_names.retain(|change| !change.touches(dir));
        }
    }
}

/// What is left afterwards.
impl State {
    pub(super) fn crash(&self, seed: u64) -> State {
        let mut rng = SplitMix64::new(seed);
        let mut names = self.durable_names.clone();
        for change in &self.unsynced_names {
            if rng.chance(50) {
                change.clone().apply(&mut names);
            }
        }
        let named: BTreeSet<usize> = names.values().copied().collect();
        let left = |(index, inode): (usize, &Inode)| {
            if named.contains(&index) { inode.crash(&mut rng) } else { Inode::default() }
        };
        State {
            inodes: self.inodes.iter().enumerate().map(left).collect(),
            folders: self.folders.clone(),
            seen_names: names.clone(),
            durable_names: names,
            ..State::default()
        }
    }

    pub(super) fn restart(&self) -> State {
        State {
            inodes: self.inodes.clone(),
            folders: self.folders.clone(),
            seen_names: self.seen_names.clone(),
            durable_names: self.durable_names.clone(),
            unsynced_names: self.unsynced_names.clone(),
            next_id: self.next_id,
            ..State::default()
        }
    }
}
