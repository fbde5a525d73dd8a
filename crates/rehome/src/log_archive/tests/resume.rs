//! A restore that loses power at any call of its disk goes on with what is durable there.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use rehome_archive::{DiskTarget, Set, SourceFile, Target, TargetFile, Until};
use rehome_log::{Clock, Disk, Fault, SimDisk};
use rehome_store::{OpenOptions, RestoreMarker, RestoreStage, Store, restore_stage};

use super::{Scene, Seen, options, seen};
use crate::error::Error;
use crate::restore::{Chosen, Selection, Source, write};
use crate::testing::quiet;

/// A set that counts the bytes that are read of it.
struct Counted {
    target: DiskTarget,
    read_bytes: Arc<AtomicU64>,
}

/// A file of it.
struct CountedFile {
    file: Box<dyn SourceFile>,
    read_bytes: Arc<AtomicU64>,
}

impl Target for Counted {
    fn create(&self, name: &str) -> io::Result<Box<dyn TargetFile>> {
        self.target.create(name)
    }

    fn open(&self, name: &str) -> io::Result<Box<dyn SourceFile>> {
        let (file, read_bytes) = (self.target.open(name)?, Arc::clone(&self.read_bytes));
        Ok(Box::new(CountedFile { file, read_bytes }))
    }

    fn settle(&self, name: &str) -> io::Result<()> {
        self.target.settle(name)
    }

    fn list(&self, dir: &str) -> io::Result<Vec<String>> {
        self.target.list(dir)
    }
}

impl SourceFile for CountedFile {
    fn size_bytes(&self) -> u64 {
        self.file.size_bytes()
    }

    fn read_at(&self, offset: u64, buf: &mut [u8]) -> io::Result<()> {
        self.read_bytes.fetch_add(buf.len() as u64, Ordering::Relaxed);
        self.file.read_at(offset, buf)
    }
}

/// How a store comes back.
#[derive(Clone, Copy, Debug)]
enum Way {
    /// By the catalog and the log after it.
    Catalog,
    /// By the outlines of a backup.
    Outlines,
}

/// A set, and what a restore of it shows.
struct Restoring {
    scene: Scene,
    way: Way,
    expected: Seen,
}

impl Restoring {
    fn new(way: Way) -> Restoring {
        let scene = Scene::new();
        let anna = scene.make("anna");
        let deliver = |from: u32, to: u32| {
            for number in from..to {
                let noise = (0..60u32)
                    .map(|part| blake3::hash(&[number, part].map(u32::to_le_bytes).concat()));
                let noise: Vec<String> = noise.map(|hash| hash.to_hex().to_string()).collect();
                scene.deliver(anna, &format!("{number} {}", noise.concat()));
            }
        };
        deliver(0, 30);
        scene.archive().expect("room");
        let shown = seen(&scene.store);
        deliver(30, 50);
        scene.archive().expect("room");
        let expected = match way {
            Way::Catalog => seen(&scene.store),
            Way::Outlines => shown,
        };
        Restoring { scene, way, expected }
    }

    /// Lays the store down on `disk`; the marker, and how many bytes of the set were read.
    fn lay(&self, disk: &Arc<SimDisk>) -> Result<(RestoreMarker, u64), Error> {
        let read_bytes = Arc::new(AtomicU64::new(0));
        let target = DiskTarget::new(self.scene.set.clone());
        let counted = Counted { target, read_bytes: Arc::clone(&read_bytes) };
        let set = Set::open(Arc::new(counted)).expect("a set");
        let (disk, clock): (Arc<dyn Disk>, Arc<dyn Clock>) =
            (disk.clone(), self.scene.clock.clone());
        let marker = match self.way {
            Way::Catalog => {
                let plan = set.plan_restore(Until::Latest).expect("intact");
                assert!(!plan.logs.is_empty() && plan.is_complete());
                crate::replay::replay(&set, &plan, disk, clock, options(), &mut quiet)?.0.marker
            }
            Way::Outlines => {
                let id = set.list().expect("readable")[0].id;
                let state = set.state(id, None).expect("intact");
                let chosen = Chosen::of(&state, &Selection::default())?;
                write(Source::of(&state), chosen, disk, clock, options(), &mut quiet)?.0
            }
        };
        Ok((marker, read_bytes.load(Ordering::Relaxed)))
    }

    #[track_caller]
    fn check(&self, disk: Arc<SimDisk>, marker: RestoreMarker, context: &str) {
        let options = OpenOptions { restore_marker: Some(marker), ..options() };
        let store = Store::open(disk, self.scene.clock.clone(), options)
            .unwrap_or_else(|error| panic!("{context}: {error}"));
        assert_eq!(seen(&store), self.expected, "{context}");
        let checked = store.check(&mut |_| {}).expect("readable");
        assert!(checked.is_clean(), "{context}: {checked:?}");
    }

    /// Takes the power away at call `call`, and goes on; how many bytes of the set are read then,
    /// or nothing if the restore had ended.
    fn cut_short(&self, call: u64) -> Option<u64> {
        let disk = Arc::new(SimDisk::new());
        disk.fail_after(call, Fault::PowerCut);
        if self.lay(&disk).is_ok() {
            return None;
        }
        let context = format!("{:?}, power cut at call {call}", self.way);
        let disk = Arc::new(disk.crash(call));
        let (marker, read_bytes) = match restore_stage(&*disk).expect("readable") {
            RestoreStage::Written(marker) => (marker, 0),
            RestoreStage::Ended => panic!("{context}: it has not been opened"),
            RestoreStage::Nothing | RestoreStage::Writing => {
                self.lay(&disk).unwrap_or_else(|error| panic!("{context}: {error}"))
            }
        };
        self.check(Arc::new(disk.crash(call + 1)), marker, &context);
        Some(read_bytes)
    }
}

#[test]
fn a_restore_that_loses_power_anywhere_goes_on_and_reads_less() {
    for way in [Way::Catalog, Way::Outlines] {
        let restoring = Restoring::new(way);
        let disk = Arc::new(SimDisk::new());
        let (marker, whole_bytes) = restoring.lay(&disk).expect("room");
        restoring.check(disk, marker, "uninterrupted");
        let read: Vec<u64> = (0..).map_while(|call| restoring.cut_short(call)).collect();
        println!("{way:?}: {whole_bytes} bytes for all; after each call {read:?}");
        assert!(read.len() > 20, "{way:?}");
        assert!(read.iter().all(|bytes| *bytes <= whole_bytes + whole_bytes / 2), "{way:?}");
        let least = read.iter().rfind(|bytes| **bytes > 0).expect("some");
        assert!(least * 2 < whole_bytes, "{way:?}: with all bodies there {least} are read");
    }
}
