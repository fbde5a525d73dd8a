//! The disk that a tortured store stands on: a simulated one that can also lie about syncs.

use std::collections::{HashMap, HashSet};
use std::io;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rehome::parts::log::{Disk, Fault, FileId, FileName, OpenMode, SimDisk, SplitMix64, SyncKind};

/// A place where the store makes something durable.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Site {
    /// Records of the log.
    LogRecords,
    /// A new generation of the log.
    LogGeneration,
    /// The end of an older writer's generation, written again at an opening.
    LogTail,
    /// Names of generations.
    LogFolder,
    /// The header of a new segment.
    SegmentHeader,
    /// Contents at the end of a segment.
    SegmentBodies,
    /// The last contents and the footer of a segment that is full.
    SegmentSeal,
    /// Contents of an older writer, written again at an opening.
    SegmentTail,
    /// Names of segments.
    SegmentFolder,
    /// The catalog's checkpoints.
    Catalog,
    /// Names in the store's own folder.
    RootFolder,
    /// What the store is: `store.id` and `restore.json`.
    Identity,
    /// Who owns the store.
    Epoch,
}

impl Site {
    /// All of them.
    pub const ALL: [Site; 13] = [
        Site::LogRecords,
        Site::LogGeneration,
        Site::LogTail,
        Site::LogFolder,
        Site::SegmentHeader,
        Site::SegmentBodies,
        Site::SegmentSeal,
        Site::SegmentTail,
        Site::SegmentFolder,
        Site::Catalog,
        Site::RootFolder,
        Site::Identity,
        Site::Epoch,
    ];
}

/// What goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Trouble {
    PowerCut,
    EioOnce,
    EioForGood,
    FailedSync,
    FullAtCall,
    FullAtByte,
}

impl Trouble {
    pub(super) const ALL: [Trouble; 6] = [
        Trouble::PowerCut,
        Trouble::EioOnce,
        Trouble::EioForGood,
        Trouble::FailedSync,
        Trouble::FullAtCall,
        Trouble::FullAtByte,
    ];

    pub(super) fn name(self) -> &'static str {
        match self {
            Trouble::PowerCut => "power-cut",
            Trouble::EioOnce => "eio-once",
            Trouble::EioForGood => "eio-for-good",
            Trouble::FailedSync => "failed-sync",
            Trouble::FullAtCall => "full-at-call",
            Trouble::FullAtByte => "full-at-byte",
        }
    }
}

/// An open file.
#[derive(Clone, Debug)]
struct Open {
    name: FileName,
    made: bool,
}

/// The two syncs of one group, which the store asks for at once from two threads.
#[derive(Debug, Default)]
struct Pair {
    unsynced: [bool; 2],
    waiting: [bool; 2],
    done: [bool; 2],
    count: u64,
}

#[derive(Debug, Default)]
struct Files {
    open: HashMap<FileId, Open>,
    pair: Pair,
    /// Segments whose header was to be synced and was not.
    headless: HashSet<FileName>,
}

/// The disk.
#[derive(Debug, Default)]
pub(super) struct Rig {
    sim: SimDisk,
    lie: Option<Site>,
    files: Mutex<Files>,
    turn: Condvar,
}

/// How long one of two syncs waits for the other, which as a rule is there at once.
const PARTNER_WAIT: Duration = Duration::from_millis(20);

impl Rig {
    /// An empty disk that forgets what is synced at `lie`.
    pub(super) fn new(lie: Option<Site>) -> Rig {
        Rig { lie, ..Rig::default() }
    }

    /// Puts a file on the disk, durably.
    pub(super) fn put(&self, name: &FileName, bytes: Vec<u8>) {
        let made = self.sim.create_dir(&name.parent());
        made.expect("a healthy disk");
        self.sim.set_contents(name, bytes);
    }

    /// A disk that is what this one is, but for its files.
    fn with(&self, sim: SimDisk) -> Rig {
        Rig { sim, lie: self.lie, ..Rig::default() }
    }

    /// What a power cut leaves.
    pub(super) fn crash(&self, seed: u64) -> Rig {
        self.with(self.sim.crash(seed))
    }

    /// What the death of the process leaves.
    pub(super) fn restart(&self) -> Rig {
        self.with(self.sim.restart())
    }

    /// Lets `trouble` come after `calls` more calls, or about as many bytes.
    pub(super) fn plan(&self, trouble: Trouble, calls: u64, random: &mut SplitMix64) {
        match trouble {
            Trouble::PowerCut => self.sim.fail_after(calls, Fault::PowerCut),
            Trouble::EioOnce => self.sim.fail_after(calls, Fault::Eio),
            Trouble::EioForGood => self.sim.fail_after(calls, Fault::EioForGood),
            Trouble::FailedSync => self.sim.fail_after(calls, Fault::FsyncEio),
            Trouble::FullAtCall => self.sim.fail_after(calls, Fault::Enospc),
            Trouble::FullAtByte => self.sim.fill_after(calls * 200 + random.below(512)),
        }
    }

    pub(super) fn heal(&self) {
        self.sim.heal();
    }

    pub(super) fn ops(&self) -> u64 {
        self.sim.ops()
    }

    fn files(&self) -> MutexGuard<'_, Files> {
        self.files.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn note(&self, file: FileId, name: &FileName, made: bool) -> FileId {
        self.files().open.insert(file, Open { name: name.clone(), made });
        file
    }

    fn site(&self, file: FileId, what: SyncKind) -> Option<Site> {
        let Open { name, made } = self.files().open.get(&file)?.clone();
        let (folder, base) = (name.parent(), name.base().to_owned());
        Some(match (folder.as_str(), what) {
            ("log", SyncKind::Data) => Site::LogRecords,
            ("log", SyncKind::All) if made => Site::LogGeneration,
            ("log", SyncKind::All) => Site::LogTail,
            ("seg", SyncKind::Data) => Site::SegmentBodies,
            ("seg", SyncKind::All) if !made => Site::SegmentTail,
            ("seg", SyncKind::All) => {
                let len = self.sim.contents(&name).map_or(0, |bytes| bytes.len());
                if len <= 4096 { Site::SegmentHeader } else { Site::SegmentSeal }
            }
            _ if base.starts_with("mail.redb") => Site::Catalog,
            _ if base.starts_with("epoch") => Site::Epoch,
            _ => Site::Identity,
        })
    }

    /// A header that was never synced goes with the first contents behind it, so that leaving its
    /// sync out can only be noticed if the sync of these fails: now and then it does.
    fn fail_first_bodies(&self, file: FileId, site: Option<Site>) {
        if self.lie != Some(Site::SegmentHeader) {
            return;
        }
        let mut files = self.files();
        let Some(name) = files.open.get(&file).map(|open| open.name.clone()) else { return };
        match site {
            Some(Site::SegmentHeader) => _ = files.headless.insert(name),
            Some(Site::SegmentBodies)
                if files.headless.remove(&name) && SplitMix64::new(files.pair.count).chance(20) =>
            {
                self.sim.fail_after(0, Fault::FsyncEio);
            }
            _ => {}
        }
    }

    /// Puts the two syncs of a group into an order that depends on their number alone, so that a
    /// seed always gives the same run.
    fn take_turn(&self, side: usize) {
        let mut files = self.files();
        if files.pair.unsynced != [true, true] {
            return;
        }
        files.pair.waiting[side] = true;
        self.turn.notify_all();
        let alone = |files: &mut Files| !files.pair.waiting[1 - side] && !files.pair.done[1 - side];
        let waited = self.turn.wait_timeout_while(files, PARTNER_WAIT, alone);
        files = waited.unwrap_or_else(PoisonError::into_inner).0;
        let first = usize::from(SplitMix64::new(files.pair.count).chance(50));
        if side != first && files.pair.waiting[first] {
            let open = |files: &mut Files| !files.pair.done[first];
            let waited = self.turn.wait_timeout_while(files, PARTNER_WAIT, open);
            drop(waited);
        }
    }

    fn end_turn(&self, side: usize) {
        let mut files = self.files();
        if !files.pair.waiting[side] {
            files.pair.unsynced[side] = false;
            return;
        }
        files.pair.done[side] = true;
        if files.pair.done == files.pair.waiting {
            files.pair = Pair { count: files.pair.count + 1, ..Pair::default() };
        }
        self.turn.notify_all();
    }
}

/// Which of the two syncs of a group a file is for.
fn side(name: &FileName) -> Option<usize> {
    match name.parent().as_str() {
        "log" => Some(0),
        "seg" => Some(1),
        _ => None,
    }
}

impl Disk for Rig {
    fn open(&self, name: &FileName, mode: OpenMode) -> io::Result<FileId> {
        Ok(self.note(self.sim.open(name, mode)?, name, mode.creates()))
    }

    fn close(&self, file: FileId) {
        self.sim.close(file);
        self.files().open.remove(&file);
    }

    fn len(&self, file: FileId) -> io::Result<u64> {
        self.sim.len(file)
    }

    fn read_at(&self, file: FileId, offset: u64, buf: &mut [u8]) -> io::Result<()> {
        self.sim.read_at(file, offset, buf)
    }

    fn write_at(&self, file: FileId, offset: u64, buf: &[u8]) -> io::Result<()> {
        self.sim.write_at(file, offset, buf)?;
        let mut files = self.files();
        if let Some(side) = files.open.get(&file).and_then(|open| side(&open.name)) {
            files.pair.unsynced[side] = true;
        }
        Ok(())
    }

    fn sync(&self, file: FileId, what: SyncKind) -> io::Result<()> {
        let site = self.site(file, what);
        let side = match site {
            Some(Site::LogRecords) => Some(0),
            Some(Site::SegmentBodies) => Some(1),
            _ => None,
        };
        side.inspect(|side| self.take_turn(*side));
        self.fail_first_bodies(file, site);
        let lie = site.is_some() && site == self.lie;
        // A call that is counted, and makes nothing durable.
        let synced = if lie { self.sim.len(file).map(drop) } else { self.sim.sync(file, what) };
        match (side, site) {
            (Some(side), _) => self.end_turn(side),
            (None, Some(Site::SegmentHeader | Site::SegmentSeal | Site::SegmentTail)) => {
                self.files().pair.unsynced[1] = false;
            }
            (None, Some(Site::LogGeneration | Site::LogTail)) => {
                self.files().pair.unsynced[0] = false;
            }
            _ => {}
        }
        synced
    }

    fn write_behind(&self, file: FileId, offset: u64, len: u64) {
        self.sim.write_behind(file, offset, len);
    }

    fn allocate_zeroed(&self, file: FileId, len: u64) -> io::Result<()> {
        self.sim.allocate_zeroed(file, len)
    }

    fn set_len(&self, file: FileId, len: u64) -> io::Result<()> {
        self.sim.set_len(file, len)
    }

    fn rename(&self, from: &FileName, to: &FileName) -> io::Result<()> {
        self.sim.rename(from, to)?;
        for open in self.files().open.values_mut().filter(|open| open.name == *from) {
            open.name = to.clone();
        }
        Ok(())
    }

    fn remove(&self, name: &FileName) -> io::Result<()> {
        self.sim.remove(name)
    }

    fn list(&self, dir: &FileName) -> io::Result<Vec<String>> {
        self.sim.list(dir)
    }

    fn create_dir(&self, dir: &FileName) -> io::Result<()> {
        self.sim.create_dir(dir)
    }

    fn sync_dir(&self, dir: &FileName) -> io::Result<()> {
        let site = match dir.as_str() {
            "log" => Site::LogFolder,
            "seg" => Site::SegmentFolder,
            _ => Site::RootFolder,
        };
        if self.lie == Some(site) {
            return self.sim.list(dir).map(drop);
        }
        self.sim.sync_dir(dir)
    }

    fn lock(&self, name: &FileName) -> io::Result<FileId> {
        Ok(self.note(self.sim.lock(name)?, name, false))
    }
}
