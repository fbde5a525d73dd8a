//! A disk in memory that fails when told to and forgets what was not synced.

mod state;

use std::io;
use std::sync::{Mutex, MutexGuard, PoisonError};

use self::state::{Change, Kind, State};
use super::{Disk, FileId, FileName, OpenMode, SyncKind};

/// What goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// One call fails with `EIO`; a failing write leaves a part of its bytes, a failing sync is
    /// [`Fault::FsyncEio`].
    Eio,
    /// Every call fails so from now on until [`SimDisk::heal`].
    EioForGood,
    /// From now on there is no room to grow until [`SimDisk::heal`]; written areas stay writable.
    Enospc,
    /// One sync fails as on Linux: reads show the bytes until the crash, later syncs succeed, and
    /// the crash takes the bytes.
    FsyncEio,
    /// This call and every later one fails; [`SimDisk::crash`] shows what is left.
    PowerCut,
}

/// A disk in memory, for tests.
///
/// It knows which bytes, lengths and names were synced. [`crash`](SimDisk::crash) gives the disk
/// that a power cut may leave: of each write that was not synced any 512-byte sectors, of each
/// length and each change of a name that was not synced either state, in any combination.
/// Folders are durable once made, as [`Disk::create_dir`] promises.
#[derive(Debug, Default)]
pub struct SimDisk {
    state: Mutex<State>,
}

impl SimDisk {
    /// An empty disk.
    #[must_use]
    pub fn new() -> SimDisk {
        SimDisk::default()
    }

    /// The disk as a power cut at this moment leaves it; `seed` chooses among the possibilities.
    #[must_use]
    pub fn crash(&self, seed: u64) -> SimDisk {
        SimDisk { state: Mutex::new(self.state().crash(seed)) }
    }

    /// The disk as the death of its process leaves it: all writes seen, still not durable, and
    /// files and locks closed. `self` stays as it is.
    #[must_use]
    pub fn restart(&self) -> SimDisk {
        SimDisk { state: Mutex::new(self.state().restart()) }
    }

    /// Lets `fault` happen to the first call that it can happen to after `n_ops` more calls.
    pub fn fail_after(&self, n_ops: u64, fault: Fault) {
        self.state().plan_fault(n_ops, fault);
    }

    /// Leaves room for `bytes` more; the write that needs more fills it and fails.
    pub fn fill_after(&self, bytes: u64) {
        self.state().plan_full(bytes);
    }

    /// Takes back a planned fault and makes room again. A power cut stays.
    pub fn heal(&self) {
        self.state().heal();
    }

    /// Calls so far; [`Disk::close`] and [`Disk::write_behind`] are not counted.
    #[must_use]
    pub fn ops(&self) -> u64 {
        self.state().ops()
    }

    /// The bytes that a read of file `name` sees.
    #[must_use]
    pub fn contents(&self, name: &FileName) -> Option<Vec<u8>> {
        self.state().contents(name)
    }

    /// Puts `bytes` in place of file `name`, durably and uncounted: damage, or a file from
    /// elsewhere.
    pub fn set_contents(&self, name: &FileName, bytes: Vec<u8>) {
        self.state().set_contents(name, bytes);
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Disk for SimDisk {
    fn open(&self, name: &FileName, mode: OpenMode) -> io::Result<FileId> {
        let mut state = self.state();
        state.begin(if mode.creates() { Kind::Grow } else { Kind::Read })?;
        state.open(name, mode)
    }

    fn close(&self, file: FileId) {
        self.state().close(file);
    }

    fn len(&self, file: FileId) -> io::Result<u64> {
        let mut state = self.state();
        state.begin(Kind::Read)?;
        Ok(state.view(file)?.len() as u64)
    }

    fn read_at(&self, file: FileId, offset: u64, buf: &mut [u8]) -> io::Result<()> {
        let mut state = self.state();
        state.begin(Kind::Read)?;
        let start = state::index(offset);
        let end = start.checked_add(buf.len()).ok_or(io::ErrorKind::InvalidInput)?;
        let bytes = state.view(file)?.get(start..end).ok_or(io::ErrorKind::UnexpectedEof)?;
        buf.copy_from_slice(bytes);
        Ok(())
    }

    fn write_at(&self, file: FileId, offset: u64, buf: &[u8]) -> io::Result<()> {
        let mut state = self.state();
        let was_down = state.is_down();
        let grown = (offset + buf.len() as u64).saturating_sub(state.view(file)?.len() as u64);
        let begun = state.begin(if grown > 0 { Kind::Grow } else { Kind::Write });
        // A write that fails may have reached the disk in part.
        let (reached, begun) = match begun {
            Ok(()) => state.take_room(buf.len(), grown),
            Err(error) => (state.part_of(buf.len()), Err(error)),
        };
        if !was_down && reached > 0 {
            state.change(file, Change::Write { offset, bytes: buf[..reached].to_vec() })?;
        }
        begun
    }

    fn sync(&self, file: FileId, _what: SyncKind) -> io::Result<()> {
        let mut state = self.state();
        match state.begin(Kind::Sync) {
            Ok(()) => state.sync(file),
            Err(error) => {
                state.forget_unsynced(file);
                Err(error)
            }
        }
    }

    fn write_behind(&self, _file: FileId, _offset: u64, _len: u64) {}

    fn allocate_zeroed(&self, file: FileId, len: u64) -> io::Result<()> {
        let mut state = self.state();
        state.begin(Kind::Grow)?;
        let offset = state.view(file)?.len() as u64;
        if len <= offset {
            return Ok(());
        }
        let (reached, room) = state.take_room(state::index(len - offset), len - offset);
        state.change(file, Change::Write { offset, bytes: vec![0; reached] })?;
        room
    }

    fn set_len(&self, file: FileId, len: u64) -> io::Result<()> {
        let mut state = self.state();
        state.begin(Kind::Write)?;
        state.change(file, Change::SetLen(len))
    }

    fn rename(&self, from: &FileName, to: &FileName) -> io::Result<()> {
        let mut state = self.state();
        state.begin(Kind::Write)?;
        state.rename(from, to)
    }

    fn remove(&self, name: &FileName) -> io::Result<()> {
        let mut state = self.state();
        state.begin(Kind::Write)?;
        state.remove(name)
    }

    fn list(&self, dir: &FileName) -> io::Result<Vec<String>> {
        let mut state = self.state();
        state.begin(Kind::Read)?;
        state.list(dir)
    }

    fn create_dir(&self, dir: &FileName) -> io::Result<()> {
        let mut state = self.state();
        state.begin(Kind::Grow)?;
        state.create_dir(dir);
        Ok(())
    }

    fn sync_dir(&self, dir: &FileName) -> io::Result<()> {
        let mut state = self.state();
        match state.begin(Kind::Sync) {
            Ok(()) => state.sync_names(dir),
            Err(error) => {
                state.forget_unsynced_names(dir);
                Err(error)
            }
        }
    }

    fn lock(&self, name: &FileName) -> io::Result<FileId> {
        let mut state = self.state();
        state.begin(Kind::Write)?;
        state.lock(name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> FileName {
        FileName::new(text).unwrap()
    }

    /// What is left of file `a` after each of 64 crashes of a disk prepared by `prepare`.
    #[track_caller]
    fn check(prepare: impl Fn(&SimDisk), good: impl Fn(Option<Vec<u8>>) -> bool) -> usize {
        let disk = SimDisk::new();
        prepare(&disk);
        let mut different = Vec::new();
        for seed in 0..64 {
            let left = disk.crash(seed).contents(&name("a"));
            assert!(good(left.clone()), "seed {seed}: {left:?}");
            if !different.contains(&left) {
                different.push(left);
            }
        }
        different.len()
    }

    fn create(disk: &SimDisk, bytes: &[u8]) -> FileId {
        let file = disk.open(&name("a"), OpenMode::CreateNew).unwrap();
        disk.write_at(file, 0, bytes).unwrap();
        file
    }

    #[test]
    fn what_was_synced_survives_every_crash() {
        let prepare = |disk: &SimDisk| {
            let file = create(disk, &[7; 2000]);
            disk.sync(file, SyncKind::Data).unwrap();
            disk.sync_dir(&FileName::root()).unwrap();
        };
        assert_eq!(check(prepare, |left| left == Some(vec![7; 2000])), 1);
    }

    #[test]
    fn what_was_not_synced_survives_in_any_sectors() {
        let prepare = |disk: &SimDisk| {
            let file = create(disk, &[7; 2048]);
            disk.sync(file, SyncKind::Data).unwrap();
            disk.sync_dir(&FileName::root()).unwrap();
            disk.write_at(file, 256, &[8; 1024]).unwrap();
        };
        let old_or_new = |left: Option<Vec<u8>>| {
            let left = left.unwrap();
            let sectors = [256..512, 512..1024, 1024..1280];
            let whole = |b: u8| move |s: &std::ops::Range<usize>| (s.clone(), b);
            left.len() == 2048
                && left[..256] == [7; 256]
                && sectors.iter().all(|s| {
                    let (old, new) = (whole(7)(s), whole(8)(s));
                    left[s.clone()].iter().all(|b| *b == old.1)
                        || left[s.clone()].iter().all(|b| *b == new.1)
                })
        };
        assert_eq!(check(prepare, old_or_new), 8);
    }

    #[test]
    fn a_name_that_was_not_synced_may_be_lost() {
        let prepare = |disk: &SimDisk| {
            let file = create(disk, &[7; 10]);
            disk.sync(file, SyncKind::All).unwrap();
        };
        assert_eq!(check(prepare, |left| left.is_none_or(|left| left == [7; 10])), 2);
    }

    #[test]
    fn a_rename_is_done_or_not_done() {
        let prepare = |disk: &SimDisk| {
            let file = create(disk, &[7; 10]);
            disk.sync(file, SyncKind::All).unwrap();
            let new = disk.open(&name("b"), OpenMode::CreateNew).unwrap();
            disk.write_at(new, 0, &[8; 10]).unwrap();
            disk.sync(new, SyncKind::All).unwrap();
            disk.sync_dir(&FileName::root()).unwrap();
            disk.rename(&name("b"), &name("a")).unwrap();
        };
        let old_or_new = |left: Option<Vec<u8>>| {
            left.as_deref() == Some(&[7; 10]) || left.as_deref() == Some(&[8; 10])
        };
        assert_eq!(check(prepare, old_or_new), 2);
    }

    #[test]
    fn after_a_failed_sync_the_bytes_are_seen_and_then_gone() {
        let prepare = |disk: &SimDisk| {
            let file = create(disk, &[7; 10]);
            disk.sync(file, SyncKind::All).unwrap();
            disk.sync_dir(&FileName::root()).unwrap();
            disk.write_at(file, 0, &[8; 10]).unwrap();
            disk.fail_after(0, Fault::FsyncEio);
            disk.sync(file, SyncKind::Data).unwrap_err();
            disk.sync(file, SyncKind::Data).unwrap();
            assert_eq!(disk.contents(&name("a")), Some(vec![8; 10]));
        };
        assert_eq!(check(prepare, |left| left == Some(vec![7; 10])), 1);
    }

    #[test]
    fn a_full_disk_takes_no_growth_and_still_overwrites() {
        let disk = SimDisk::new();
        let file = create(&disk, &[7; 10]);
        disk.fail_after(0, Fault::Enospc);
        disk.write_at(file, 0, &[8; 10]).unwrap();
        let error = disk.write_at(file, 5, &[9; 10]).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::StorageFull);
        assert!(disk.open(&name("b"), OpenMode::CreateNew).is_err());
        disk.heal();
        disk.write_at(file, 5, &[9; 10]).unwrap();
    }

    #[test]
    fn a_disk_fills_up_at_any_byte() {
        for room in 0..10 {
            let disk = SimDisk::new();
            let file = disk.open(&name("a"), OpenMode::CreateNew).unwrap();
            disk.fill_after(room);
            let error = disk.write_at(file, 0, &[9; 10]).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::StorageFull);
            assert_eq!(disk.contents(&name("a")).unwrap().len() as u64, room);
            disk.write_at(file, 0, &vec![1; usize::try_from(room).unwrap()]).unwrap();
            disk.heal();
            disk.write_at(file, 0, &[9; 10]).unwrap();
        }
    }

    #[test]
    fn a_disk_that_fails_for_good_fails_until_it_is_healed() {
        let disk = SimDisk::new();
        let file = create(&disk, &[7; 10]);
        disk.fail_after(1, Fault::EioForGood);
        disk.sync(file, SyncKind::All).unwrap();
        for _ in 0..3 {
            assert!(disk.len(file).is_err() && disk.sync(file, SyncKind::All).is_err());
        }
        disk.heal();
        assert_eq!(disk.len(file).unwrap(), 10);
    }

    #[test]
    fn a_lock_excludes_until_it_is_closed_or_the_process_dies() {
        let disk = SimDisk::new();
        let held = disk.lock(&name("lock")).unwrap();
        assert_eq!(disk.lock(&name("lock")).unwrap_err().kind(), io::ErrorKind::WouldBlock);
        assert!(disk.restart().lock(&name("lock")).is_ok());
        disk.close(held);
        assert!(disk.lock(&name("lock")).is_ok());
    }
}
