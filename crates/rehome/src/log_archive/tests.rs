//! Through the archive a store comes back as it was at any moment, whatever went wrong on the way.

mod faults;
mod follow;
mod history;
mod resume;

use std::sync::Arc;

use rehome_archive::{CheckLevel, DiskTarget, Set, Target, Until};
use rehome_log::{Clock, Lsn, ManualClock, SimDisk};
use rehome_store::{Flags, MailboxId, MailboxState, OpenOptions, Store};

use super::{LocalLog, LogArchiveReport, LogJob, archive_log};
use crate::error::Error;
use crate::replay::replay;
use crate::testing::{append, image, letter, mailbox, quiet};

/// When the tests begin.
const BEGIN_US: i64 = 1_700_000_000_000_000;

/// A store and the set that has its log, on disks in memory.
struct Scene {
    clock: Arc<ManualClock>,
    disk: Arc<SimDisk>,
    store: Store,
    set: Arc<SimDisk>,
}

fn options() -> OpenOptions {
    OpenOptions {
        cache_bytes: 1 << 20,
        segment_bytes: 64 << 10,
        log_generation_bytes: 64 << 10,
        retention_seconds: 1_000,
        catalog_base_bytes: None,
        ..OpenOptions::default()
    }
}

fn target(disk: &Arc<SimDisk>) -> Arc<dyn Target> {
    Arc::new(DiskTarget::new(disk.clone()))
}

fn set(disk: &Arc<SimDisk>) -> Set {
    Set::open(target(disk)).expect("a set")
}

/// What a store shows, mailbox by mailbox.
type Seen = Vec<Vec<String>>;

fn seen(store: &Store) -> Seen {
    let mut names: Vec<String> =
        store.mailboxes().expect("readable").iter().map(|one| one.name.to_string()).collect();
    names.sort();
    names.iter().map(|name| image(store, name)).collect()
}

impl Scene {
    fn new() -> Scene {
        let (clock, disk) = (Arc::new(ManualClock::new(BEGIN_US)), Arc::new(SimDisk::new()));
        let store = Store::create(disk.clone(), clock.clone(), options()).expect("an empty disk");
        Scene { clock, disk, store, set: Arc::new(SimDisk::new()) }
    }

    fn archive(&self) -> Result<LogArchiveReport, Error> {
        self.archive_into(&self.set)
    }

    fn archive_into(&self, set: &Arc<SimDisk>) -> Result<LogArchiveReport, Error> {
        let clock: Arc<dyn Clock> = self.clock.clone();
        let job = LogJob { account: "tester".to_owned(), encryption: None, clock };
        archive_log(&mut LocalLog(&self.store), &target(set), &job, &mut quiet)
    }

    fn make(&self, name: &str) -> MailboxId {
        self.store.create_mailbox(&mailbox(name), MailboxState::Active).expect("a new one")
    }

    fn deliver(&self, to: MailboxId, text: &str) -> Lsn {
        append(&self.store, (to, "INBOX"), &letter(text), Flags::NONE);
        self.store.lsn()
    }
}

/// Restores to a moment on a disk of its own; the last record in it.
fn restore(set: &Set, until: Until) -> Result<(Store, Lsn), Error> {
    let plan = set.plan_restore(until).map_err(Error::refused)?;
    if !plan.is_complete() || !plan.has_catalog() {
        return Err(Error::bad_input(format!("{plan:?}")));
    }
    let (disk, clock) = (Arc::new(SimDisk::new()), Arc::new(ManualClock::new(BEGIN_US)));
    let (restored, _) = replay(set, &plan, disk.clone(), clock.clone(), options(), &mut quiet)?;
    let options = OpenOptions { restore_marker: Some(restored.marker), ..options() };
    let store = Store::open(disk, clock, options).expect("the right marker");
    Ok((store, restored.until))
}

#[track_caller]
fn check(set: &Set, until: Until, expected: &Seen) -> Store {
    let (store, _) = restore(set, until).expect("an intact set");
    assert_eq!(seen(&store), *expected, "{until:?}");
    store
}

#[test]
fn the_log_goes_on_behind_what_is_archived_and_every_moment_comes_back() {
    let scene = Scene::new();
    let anna = scene.make("anna");
    let mut moments = vec![(scene.deliver(anna, "before"), seen(&scene.store))];
    let first = scene.archive().expect("room");
    assert!(first.base.is_some() && first.contents == 0, "{first:?}");
    for round in 0..4 {
        for number in 0..3 {
            scene.clock.advance_ms(60_000);
            let lsn = scene.deliver(anna, &format!("letter {round} {number}"));
            moments.push((lsn, seen(&scene.store)));
        }
        let report = scene.archive().expect("room");
        assert_eq!((report.base, report.contents), (None, 3));
        assert_eq!(scene.store.log_status().expect("readable").unarchived_bytes, 0);
        scene.store.checkpoint().expect("room");
    }
    let set = set(&scene.set);
    for (number, (lsn, expected)) in moments.iter().enumerate() {
        let restored = check(&set, Until::Lsn(*lsn), expected);
        assert_ne!(restored.id(), scene.store.id());
        if number > 0 {
            let minutes = i64::try_from(number).expect("small");
            check(&set, Until::WallUs(BEGIN_US + minutes * 60_000_000 + 1), expected);
        }
    }
    check(&set, Until::Latest, &moments.last().expect("some").1);
    let report = set.check_logs(CheckLevel::Deep, &mut |_| {}).expect("readable");
    assert!(report.damage.is_empty() && report.lost.is_empty(), "{report:?}");
}

#[test]
fn a_log_that_was_circular_in_between_gets_a_new_base_and_the_gap_is_named() {
    let scene = Scene::new();
    let anna = scene.make("anna");
    let early = (scene.deliver(anna, "one"), seen(&scene.store));
    scene.archive().expect("room");
    scene.store.use_circular_log().expect("writable");
    let lost = scene.deliver(anna, "two");
    scene.store.checkpoint().expect("room");
    let shown = (scene.deliver(anna, "three"), seen(&scene.store));
    let again = scene.archive().expect("room");
    assert!(again.base.is_some());
    let late = (scene.deliver(anna, "four"), seen(&scene.store));
    scene.archive().expect("room");
    let set = set(&scene.set);
    for (lsn, expected) in [&early, &shown, &late] {
        check(&set, Until::Lsn(*lsn), expected);
    }
    let plan = set.plan_restore(Until::Lsn(lost)).expect("a base before it");
    assert_eq!(plan.gaps.first().map(|gap| gap.to), Some(Some(lost)), "{plan:?}");
}

#[test]
fn another_stores_log_is_refused_and_a_restored_store_gets_a_base_of_its_own() {
    let scene = Scene::new();
    let anna = scene.make("anna");
    scene.deliver(anna, "one");
    scene.archive().expect("room");
    scene.deliver(anna, "two");
    scene.archive().expect("room");
    let (store, _) = restore(&set(&scene.set), Until::Latest).expect("intact");
    let restored = Scene { store, ..Scene::new() };
    let refused = restored.archive_into(&scene.set).expect_err("it is another store");
    assert!(matches!(refused, Error::BadInput { .. }), "{refused}");
    assert!(refused.to_string().contains("a set of its own"), "{refused}");
    assert!(restored.archive().expect("an empty set").base.is_some());
    restored.deliver(restored.store.mailboxes().expect("readable")[0].id, "three");
    assert!(restored.archive().expect("its own set").base.is_none());
    check(&set(&restored.set), Until::Latest, &seen(&restored.store));
}

#[test]
fn a_store_put_back_from_a_copy_of_its_files_does_not_repeat_places_in_the_set() {
    let scene = Scene::new();
    let anna = scene.make("anna");
    scene.deliver(anna, "one");
    scene.archive().expect("room");
    let copy = Arc::new(scene.disk.restart());
    scene.deliver(anna, "two");
    scene.archive().expect("room");
    let before = seen(&scene.store);
    for letters in [0, 1, 5] {
        let disk = Arc::new(copy.restart());
        let store = Store::open(disk, scene.clock.clone(), options()).expect("a copy");
        let back = Scene { store, ..Scene::new() };
        for number in 0..letters {
            back.deliver(anna, &format!("other {number}"));
        }
        let refused = back.archive_into(&scene.set).expect_err("another history");
        assert!(matches!(refused, Error::BadInput { .. }), "{refused}");
        check(&set(&scene.set), Until::Latest, &before);
    }
}

#[test]
fn what_is_not_in_the_set_is_not_given_up() {
    let scene = Scene::new();
    let anna = scene.make("anna");
    scene.archive().expect("room");
    let lsn = scene.deliver(anna, "one");
    scene.set.fail_after(3, rehome_log::Fault::Eio);
    scene.archive().expect_err("the set cannot be written");
    scene.store.checkpoint().expect("room");
    let kept = scene.store.log_status().expect("readable");
    assert!(kept.unarchived_bytes > 0, "{kept:?}");
    scene.set.heal();
    let expected = seen(&scene.store);
    assert_eq!(scene.archive().expect("healed").contents, 1);
    check(&set(&scene.set), Until::Lsn(lsn), &expected);
}
