//! Stores restored to a moment: from a base taken anywhere and the archived log from there on,
//! read in pieces while work goes on, a store is what it was, at every moment.

use std::sync::Arc;

use rehome_log::{Disk, Fault, FileName, LogError, Lsn, SimDisk, SplitMix64};
use rehome_store::{
    ContentRun, LogRecord, OpenOptions, PointRestore, Replayed, RestorePoint, RestoredTo, Snapshot,
    Store, StoreError,
};

use crate::script::{Seen, begin, choose, index, script_options};
use crate::support::{append, check_whole, clock, mailbox};

/// A base as a backup has it.
#[derive(Default)]
struct Base {
    bodies: Vec<ContentRun>,
    rows: Vec<u8>,
    lsn: Lsn,
    /// The last group in it.
    group: Lsn,
}

impl Base {
    fn of(snapshot: &Snapshot) -> Base {
        let mut base = Base { lsn: snapshot.base_lsn(), group: snapshot.lsn(), ..Base::default() };
        let mut keep = |run| {
            base.bodies.push(run);
            Ok(())
        };
        snapshot.every_body(&mut keep).unwrap();
        snapshot.write_base(&mut base.rows).unwrap();
        base
    }
}

/// Archived log: records, each with the bodies that it puts.
#[derive(Default)]
struct Archive {
    records: Vec<(LogRecord, Vec<ContentRun>)>,
    until: Lsn,
}

impl Archive {
    /// Reads on up to `until`; `meanwhile` is done in the middle.
    fn read(&mut self, store: &Store, until: Lsn, meanwhile: &mut dyn FnMut()) {
        let mut reader = store.read_log(self.until, until).unwrap();
        let mut count = 0;
        while let Some(record) = reader.next_record().unwrap() {
            let mut bodies = Vec::new();
            let mut keep = |run| {
                bodies.push(run);
                Ok(())
            };
            reader.bodies(&record, &mut keep).unwrap();
            self.records.push((record, bodies));
            count += 1;
            if count == 2 {
                meanwhile();
            }
        }
        self.until = reader.until();
    }
}

#[test]
fn a_base_after_the_end_of_a_generation_is_followed_by_the_log_from_that_end() {
    let store = Store::create(Arc::new(SimDisk::new()), clock(), script_options()).unwrap();
    let anna = mailbox(&store, "anna");
    store.keep_log_until_archived().unwrap();
    store.deliver(&[anna], append("before")).unwrap();
    let rolled = store.roll_log().unwrap();
    store.archived_until(rolled).unwrap();
    store.checkpoint().unwrap();
    let base = Base::of(&store.snapshot().unwrap());
    assert_eq!((base.lsn, base.group), (rolled, store.lsn()));
    let mut archive = Archive { until: base.lsn, ..Archive::default() };
    store.deliver(&[anna], append("after")).unwrap();
    archive.read(&store, store.lsn(), &mut || {});
    check_letters(&base, &archive, RestorePoint::End, 2);
    check_letters(&base, &archive, RestorePoint::Lsn(base.group), 1);
}

/// A history: what is seen after each step, the base, and the log from it on.
struct History {
    seen: Vec<(Lsn, Seen)>,
    base: Base,
    archive: Archive,
    end: Lsn,
}

/// Works at random and archives at random.
fn history(seed: u64, steps: usize) -> History {
    let mut random = SplitMix64::new(seed);
    let (_disk, store) = begin();
    let base_at = index(&mut random, steps / 2);
    let (mut snapshot, mut base) = (None, None);
    let mut archive = Archive::default();
    let mut seen = Vec::new();
    for number in 0..steps {
        if number == base_at {
            archive.until = store.keep_log_until_archived().unwrap();
            snapshot = Some(store.snapshot().unwrap());
        }
        work(&store, &mut random, number, &mut seen);
        if snapshot.is_some() && random.chance(25) {
            base = snapshot.take().map(|snapshot| Base::of(&snapshot)).or(base);
        }
        if number > base_at && random.chance(20) {
            let rolled = random.chance(50).then(|| store.roll_log().unwrap());
            let until = rolled.unwrap_or_else(|| store.lsn());
            let mut more = || work(&store, &mut random, 1000 + number, &mut seen);
            archive.read(&store, until, &mut more);
            assert_eq!(store.archived_until(until).unwrap(), archive.until);
        }
    }
    base = snapshot.take().map(|snapshot| Base::of(&snapshot)).or(base);
    let until = store.roll_log().unwrap();
    archive.read(&store, until, &mut || {});
    let base = base.unwrap();
    let first = base.group;
    seen.retain(|(lsn, _)| *lsn >= first);
    History { seen, base, archive, end: until }
}

fn work(store: &Store, random: &mut SplitMix64, number: usize, seen: &mut Vec<(Lsn, Seen)>) {
    let step = choose(store, random, number);
    step.run(store).unwrap_or_else(|error| panic!("{step:?}: {error}"));
    seen.push((store.lsn(), Seen::of(store)));
}

fn options() -> OpenOptions {
    OpenOptions { store_id: None, ..script_options() }
}

/// Restores to `point`.
fn restore(
    disk: &Arc<SimDisk>,
    base: &Base,
    archive: &Archive,
    point: RestorePoint,
) -> Result<RestoredTo, StoreError> {
    let above = archive.until;
    let mut restore = PointRestore::create(disk.clone(), clock(), options(), point, above)?;
    for run in &base.bodies {
        restore.put_run(run)?;
    }
    assert_eq!(restore.put_base(&mut base.rows.as_slice())?, base.lsn);
    for (record, bodies) in &archive.records {
        if restore.wants(record) {
            for run in bodies {
                restore.put_run(run)?;
            }
        }
        if restore.replay(record)? == Replayed::Beyond {
            break;
        }
    }
    restore.finish()
}

fn open(disk: &Arc<SimDisk>, restored: &RestoredTo) -> Result<Store, StoreError> {
    let restore_marker = Some(restored.marker.clone());
    Store::open(disk.clone(), clock(), OpenOptions { restore_marker, ..options() })
}

#[track_caller]
fn check_point(seed: u64, history: &History, lsn: Lsn, expected: &Seen) {
    let disk = Arc::new(SimDisk::new());
    let point = RestorePoint::Lsn(lsn);
    let restored = restore(&disk, &history.base, &history.archive, point)
        .unwrap_or_else(|error| panic!("seed {seed}, to {lsn}: {error}"));
    let store = open(&disk, &restored).unwrap();
    check_whole(&store);
    assert_eq!(Seen::of(&store), *expected, "seed {seed}, to {lsn}");
    assert!(store.lsn() <= history.base.lsn || store.lsn() > history.end, "a new history");
    assert_ne!(store.id(), [7; 16]);
}

/// Seeds of a run; `REHOME_POINT_SEEDS=1000` asks for more.
fn seeds() -> u64 {
    std::env::var("REHOME_POINT_SEEDS").ok().and_then(|seeds| seeds.parse().ok()).unwrap_or(50)
}

#[test]
fn a_store_comes_back_as_it_was_at_any_moment_after_its_base() {
    for seed in 0..seeds() {
        let history = history(seed, 40);
        let mut random = SplitMix64::new(seed ^ 0x70);
        for _ in 0..20 {
            let (lsn, expected) = &history.seen[index(&mut random, history.seen.len())];
            // Steps that change nothing have the LSN of the one before.
            check_point(seed, &history, *lsn, expected);
        }
    }
}

/// A store with a base of anna's empty inbox and three letters after it, an hour apart.
fn three_letters() -> (Base, Archive) {
    let clock = clock();
    let store = Store::create(Arc::new(SimDisk::new()), clock.clone(), script_options()).unwrap();
    let anna = mailbox(&store, "anna");
    let mut archive =
        Archive { until: store.keep_log_until_archived().unwrap(), ..Archive::default() };
    let base = Base::of(&store.snapshot().unwrap());
    for number in 1..=3 {
        clock.advance_ms(3_600_000);
        store.deliver(&[anna], append(&format!("letter {number}"))).unwrap();
    }
    let until = store.roll_log().unwrap();
    archive.read(&store, until, &mut || {});
    (base, archive)
}

/// How many messages there are after a restore to `point`.
#[track_caller]
fn check_letters(base: &Base, archive: &Archive, point: RestorePoint, expected: u64) {
    let disk = Arc::new(SimDisk::new());
    let restored = restore(&disk, base, archive, point).unwrap();
    let store = open(&disk, &restored).unwrap();
    assert_eq!(store.statistics().unwrap().messages, expected, "{point:?}");
}

#[test]
fn a_restore_to_a_time_ends_before_the_first_record_written_later() {
    let (base, archive) = three_letters();
    let begin = 1_700_000_000_000_000;
    for (minutes, expected) in [(0, 0), (59, 0), (60, 1), (119, 1), (120, 2), (600, 3)] {
        let point = RestorePoint::WallUs(begin + minutes * 60_000_000);
        check_letters(&base, &archive, point, expected);
    }
    check_letters(&base, &archive, RestorePoint::End, 3);
    check_letters(&base, &archive, RestorePoint::Lsn(base.lsn), 0);
}

#[test]
fn what_is_missing_is_missed() {
    let (base, mut archive) = three_letters();
    let to = |base: &Base, archive: &Archive, point| {
        restore(&Arc::new(SimDisk::new()), base, archive, point).unwrap_err()
    };
    let early = RestorePoint::Lsn(Lsn::from_u64(base.group.to_u64() - 1));
    let error = to(&base, &archive, early);
    assert!(matches!(error, StoreError::BaseTooNew { .. }), "{error}");
    let bodies = std::mem::take(&mut archive.records[1].1);
    let error = to(&base, &archive, RestorePoint::End);
    assert!(matches!(error, StoreError::NoSuchContent { .. }), "{error}");
    archive.records[1].1 = bodies;
    for missing in 0..archive.records.len() - 1 {
        let mut records = archive.records.clone();
        records.remove(missing);
        let gap = Archive { records, until: archive.until };
        let error = to(&base, &gap, RestorePoint::End);
        assert!(matches!(error, StoreError::ReplayGap { .. }), "{missing}: {error}");
    }
    for cut in [0, 20, 47, 60, base.rows.len() - 1] {
        let (bodies, rows) = (base.bodies.clone(), base.rows[..cut].to_vec());
        let error = to(
            &Base { bodies, rows, lsn: base.lsn, group: base.group },
            &archive,
            RestorePoint::End,
        );
        assert!(matches!(error, StoreError::Damaged { .. }), "{cut}: {error}");
    }
}

#[test]
fn a_first_opening_that_is_cut_short_goes_on() {
    let history = history(3, 30);
    let disk = Arc::new(SimDisk::new());
    let (lsn, expected) = history.seen.last().unwrap();
    let restored =
        restore(&disk, &history.base, &history.archive, RestorePoint::Lsn(*lsn)).unwrap();
    let before = disk.ops();
    open(&Arc::new(disk.restart()), &restored).unwrap();
    for cut in (0..200).step_by(3) {
        let cut_short = Arc::new(disk.restart());
        cut_short.fail_after(cut, Fault::PowerCut);
        let opened = open(&cut_short, &restored);
        let crashed = Arc::new(cut_short.crash(cut));
        let again = match opened {
            Ok(store) => {
                drop(store);
                open(&crashed, &restored)
            }
            Err(_) => open(&crashed, &restored),
        };
        let store = again.unwrap_or_else(|error| panic!("cut {cut} of {before}: {error}"));
        assert_eq!(Seen::of(&store), *expected, "cut {cut}");
        check_whole(&store);
    }
}

#[test]
fn the_old_log_is_never_read_as_the_new_one() {
    let (base, archive) = three_letters();
    let (old_disk, old) = begin();
    old.close().unwrap();
    let disk = Arc::new(SimDisk::new());
    let restored = restore(&disk, &base, &archive, RestorePoint::End).unwrap();
    open(&disk, &restored).unwrap().close().unwrap();
    for entry in old_disk.list(&FileName::new("log").unwrap()).unwrap() {
        let file = FileName::new(&format!("log/{entry}")).unwrap();
        disk.set_contents(&file, old_disk.contents(&file).unwrap());
    }
    match Store::open(disk, clock(), options()) {
        Ok(store) => assert_eq!(store.statistics().unwrap().messages, 3),
        Err(StoreError::Log { source }) => {
            assert!(matches!(*source, LogError::Foreign { .. }), "{source}");
        }
        Err(error) => panic!("{error}"),
    }
}

#[test]
fn a_restored_store_works_on_and_can_be_archived_and_rebuilt() {
    let (base, archive) = three_letters();
    let disk = Arc::new(SimDisk::new());
    let restored = restore(&disk, &base, &archive, RestorePoint::End).unwrap();
    assert!(matches!(restored.until, until if until == archive.until));
    let store = open(&disk, &restored).unwrap();
    let anna = store.mailboxes().unwrap()[0].id;
    let inbox = store.folders(anna).unwrap()[0].id;
    let since = store.keep_log_until_archived().unwrap();
    assert!(since > archive.until, "LSNs rise");
    store.deliver(&[(anna, inbox)], append("a fourth")).unwrap();
    let until = store.roll_log().unwrap();
    let mut more = Archive { until: since, ..Archive::default() };
    more.read(&store, until, &mut || {});
    assert_eq!(more.records.iter().filter(|(record, _)| !record.is_mark()).count(), 1);
    store.close().unwrap();
    let (store, report) = Store::rebuild(disk, clock(), options()).unwrap();
    assert_eq!(report.base, Some(base.lsn));
    assert_eq!(store.statistics().unwrap().messages, 4);
    check_whole(&store);
}
