//! A log is followed while its store goes away, comes back under another epoch, and is killed.

use std::cell::{Cell, RefCell};
use std::sync::Arc;

use rehome_archive::{Target, Until};
use rehome_log::{Clock, Lsn, SimDisk};
use rehome_server::LogStretch;
use rehome_store::{LogPolicy, Store};

use super::super::source::{Behind, Opening, Take};
use super::super::{Follow, LocalLog, LogJob, LogSource, Waited, Waiting, follow};
use super::{Scene, options, restore, seen, set, target};
use crate::backup::{BackupReport, BackupRequest};
use crate::error::Error;
use crate::event::{Event, Flow, Observe};

/// A store that goes away after some calls.
struct Leaving {
    store: Store,
    /// Calls until then.
    left: Option<u32>,
}

impl Leaving {
    fn log(&mut self) -> Result<LocalLog<'_>, Error> {
        match &mut self.left {
            Some(0) => return Err(Error::needs_human("the store is gone")),
            Some(left) => *left -= 1,
            None => {}
        }
        Ok(LocalLog(&self.store))
    }
}

impl LogSource for Leaving {
    fn opening(&mut self) -> Result<Opening, Error> {
        self.log()?.opening()
    }

    fn policy(&mut self) -> Result<LogPolicy, Error> {
        self.log()?.policy()
    }

    fn behind(&mut self) -> Result<Behind, Error> {
        self.log()?.behind()
    }

    fn keep(&mut self) -> Result<(), Error> {
        self.log()?.keep()
    }

    fn circulate(&mut self) -> Result<(), Error> {
        self.log()?.circulate()
    }

    fn roll(&mut self) -> Result<Lsn, Error> {
        self.log()?.roll()
    }

    fn note(&mut self, lsn: Lsn) -> Result<(), Error> {
        self.log()?.note(lsn)
    }

    fn reaches(&mut self, after: Lsn) -> Result<bool, Error> {
        self.log()?.reaches(after)
    }

    fn read(&mut self, stretch: LogStretch, take: Take<'_>) -> Result<(), Error> {
        self.log()?.read(stretch, take)
    }

    fn back_up(
        &mut self,
        target: Arc<dyn Target>,
        request: &BackupRequest,
        observe: Observe<'_>,
    ) -> Result<BackupReport, Error> {
        self.log()?.back_up(target, request, observe)
    }

    fn is_away(&mut self) -> bool {
        self.left == Some(0)
    }
}

fn job(scene: &Scene) -> LogJob {
    let clock: Arc<dyn Clock> = scene.clock.clone();
    LogJob { account: "tester".to_owned(), encryption: None, clock }
}

/// What was told of a round: the last record, the epoch, how many records.
type Told = (Lsn, u64, u64);

/// Follows until `wait` says to stop; the rounds that were told, and the notes.
fn followed(
    scene: &Scene,
    connect: &mut dyn FnMut() -> Result<Box<dyn LogSource>, String>,
    wait: &mut dyn FnMut(Waiting) -> Waited,
) -> Result<(Vec<Told>, Vec<String>), Error> {
    let (mut rounds, mut notes) = (Vec::new(), Vec::new());
    let (target, job) = (target(&scene.set), job(scene));
    let report = follow(Follow { connect, target, job, stop: &|| false, wait }, &mut |event| {
        match event {
            Event::Archived { until, epoch, records, behind_bytes, .. } => {
                assert_eq!(behind_bytes, 0, "nobody delivers meanwhile");
                // What is told is durable, and can be read by anybody from now on.
                let durable = Arc::new(scene.set.crash(7));
                let plan = set(&durable).plan_restore(Until::Lsn(until)).expect("a plan");
                assert!(plan.is_complete(), "{plan:?}");
                rounds.push((until, epoch, records));
            }
            Event::Note { text } => notes.push(text),
            _ => {}
        }
        Flow::Continue
    })?;
    assert_eq!(report.rounds, rounds.len() as u64);
    assert_eq!(
        report.losses,
        notes.iter().filter(|note| note.contains("went away")).count() as u64
    );
    assert_eq!(report.archived.records, rounds.iter().map(|round| round.2).sum::<u64>());
    Ok((rounds, notes))
}

#[test]
fn each_round_archives_what_came_since_and_the_end_is_no_error() {
    let scene = Scene::new();
    let anna = scene.make("anna");
    let letters = Cell::new(0);
    let mut connect = || {
        let store = scene.store.clone();
        Ok(Box::new(Leaving { store, left: None }) as Box<dyn LogSource>)
    };
    let (rounds, notes) = followed(&scene, &mut connect, &mut |waiting| {
        assert_eq!(waiting, Waiting::Round);
        letters.set(letters.get() + 1);
        scene.deliver(anna, &format!("letter {}", letters.get()));
        if letters.get() < 5 { Waited::Due } else { Waited::Stop }
    })
    .expect("room");
    assert_eq!(rounds.len(), 5);
    assert!(rounds[1..].iter().all(|(_, _, records)| *records > 0), "{rounds:?}");
    assert!(rounds.windows(2).all(|pair| pair[0].0 < pair[1].0), "{rounds:?}");
    assert!(notes.iter().any(|note| note.contains("no backup to follow")), "{notes:?}");
    scene.archive().expect("what came at last");
    let (store, _) = restore(&set(&scene.set), Until::Latest).expect("intact");
    assert_eq!(seen(&store), seen(&scene.store));
}

#[test]
fn a_store_that_goes_away_at_any_call_is_looked_for_and_nothing_is_lost() {
    for left in 0..40 {
        let mut scene = Scene::new();
        let anna = scene.make("anna");
        scene.deliver(anna, "before");
        let first_epoch = scene.store.epoch();
        let (connects, turns) = (Cell::new(0), Cell::new(0));
        let next: RefCell<Option<(Store, Arc<SimDisk>)>> = RefCell::new(None);
        let mut connect = || {
            connects.set(connects.get() + 1);
            let (store, left) = match connects.get() {
                1 => (scene.store.clone(), Some(left)),
                2 => return Err("nobody answers".to_owned()),
                // Whoever comes after a failure is another opening of the same store.
                _ => {
                    let disk = Arc::new(scene.disk.restart());
                    let opened = Store::open(disk.clone(), scene.clock.clone(), options());
                    let store = opened.expect("a store");
                    *next.borrow_mut() = Some((store.clone(), disk));
                    (store, None)
                }
            };
            Ok(Box::new(Leaving { store, left }) as Box<dyn LogSource>)
        };
        let told = followed(&scene, &mut connect, &mut |_| {
            turns.set(turns.get() + 1);
            if connects.get() > 2 && turns.get() > 3 { Waited::Stop } else { Waited::Due }
        });
        let (rounds, notes) = told.unwrap_or_else(|error| panic!("away after {left}: {error}"));
        let (after, disk) = next.into_inner().expect("it came back");
        assert!(after.epoch() > first_epoch);
        assert!(rounds.iter().any(|round| round.1 == after.epoch()), "after {left}: {rounds:?}");
        assert!(notes.iter().any(|note| note.contains("waiting for the store: nobody answers")));
        (scene.store, scene.disk) = (after, disk);
        scene.deliver(anna, "later");
        scene.archive().unwrap_or_else(|error| panic!("away after {left}: {error}"));
        let (restored, _) = restore(&set(&scene.set), Until::Latest).expect("intact");
        assert_eq!(seen(&restored), seen(&scene.store), "away after {left}");
    }
}

#[test]
fn a_set_that_fails_or_is_anothers_ends_it_with_the_reason() {
    let scene = Scene::new();
    let anna = scene.make("anna");
    scene.deliver(anna, "one");
    scene.archive().expect("room");
    scene.deliver(anna, "two");
    let mut connect = || {
        let store = scene.store.clone();
        Ok(Box::new(Leaving { store, left: None }) as Box<dyn LogSource>)
    };
    scene.set.fail_after(2, rehome_log::Fault::Eio);
    followed(&scene, &mut connect, &mut |_| Waited::Due).expect_err("the set cannot be written");
    scene.set.heal();
    let other = Scene { set: scene.set.clone(), ..Scene::new() };
    let mut connect = || {
        let store = other.store.clone();
        Ok(Box::new(Leaving { store, left: None }) as Box<dyn LogSource>)
    };
    let refused = followed(&other, &mut connect, &mut |_| Waited::Due).expect_err("another store");
    assert!(matches!(refused, Error::BadInput { .. }), "{refused}");
}
