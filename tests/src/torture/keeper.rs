//! A store on a failing disk, and everything that it has ever promised.

use std::collections::BTreeMap;
use std::sync::Arc;

use rehome::parts::log::{Lsn, ManualClock, SplitMix64};
use rehome::parts::store::{OpenOptions, Store, StoreError};

use super::model::{Difference, Model};
use super::rig::{Rig, Site, Trouble};
use super::steps::{Step, index};
use super::{Failure, Tally};

/// Calls of the disk among which a recovery fails.
const RECOVERY_CALLS: u64 = 160;

pub(super) fn clock() -> Arc<ManualClock> {
    Arc::new(ManualClock::new(1_700_000_000_000_000))
}

/// Small segments and generations, so that short runs cross their ends; some runs make checkpoints
/// of their own.
pub(super) fn options(random: &mut SplitMix64) -> OpenOptions {
    let kib = |random: &mut SplitMix64| [16_u32, 32, 64][index(random, 3)];
    OpenOptions {
        owner: "torture".to_owned(),
        store_id: Some([7; 16]),
        cache_bytes: 1 << 20,
        segment_bytes: u64::from(kib(random)) << 10,
        log_generation_bytes: kib(random) << 10,
        checkpoint_rows: [20, 60, 100_000][index(random, 3)],
        pack_over_bytes: [None, Some(0), Some(200)][index(random, 3)],
        ..OpenOptions::default()
    }
}

/// The store, and what it must hold.
pub(super) struct Keeper {
    pub(super) rig: Arc<Rig>,
    pub(super) store: Option<Store>,
    pub(super) options: OpenOptions,
    /// After the last call that was acknowledged.
    pub(super) certain: Model,
    /// After calls whose outcome is unknown.
    pub(super) possible: Vec<Model>,
    /// The highest epoch and LSN seen.
    epoch: u64,
    lsn: Lsn,
    /// What each folder's UIDs are valid for.
    validity: BTreeMap<(String, String), u32>,
    /// What was done, for whoever has to find out what went wrong.
    trail: Vec<String>,
}

/// How a phase of work ended.
pub(super) enum End {
    /// All calls were made.
    Done,
    /// The store stopped.
    Stopped,
}

impl Keeper {
    /// A new store on a disk that works but for what it lies about.
    pub(super) fn new(lie: Option<Site>, random: &mut SplitMix64) -> Result<Keeper, Failure> {
        Keeper::with(lie, options(random))
    }

    /// The same with these options.
    pub(super) fn with(lie: Option<Site>, options: OpenOptions) -> Result<Keeper, Failure> {
        let rig = Arc::new(Rig::new(lie));
        let store = Store::create(rig.clone(), clock(), options.clone());
        let store = store.map_err(Failure::of("creating a store"))?;
        Ok(Keeper::of(rig, store, options))
    }

    pub(super) fn of(rig: Arc<Rig>, store: Store, options: OpenOptions) -> Keeper {
        let epoch = store.epoch();
        Keeper {
            rig,
            store: Some(store),
            options,
            certain: Model::default(),
            possible: Vec::new(),
            epoch,
            lsn: Lsn::ZERO,
            validity: BTreeMap::new(),
            trail: Vec::new(),
        }
    }

    pub(super) fn store(&self) -> Store {
        self.store.clone().expect("it is there but for a reopening")
    }

    /// Makes `count` random calls, or fewer if the store stops.
    pub(super) fn work(&mut self, count: usize, random: &mut SplitMix64) -> Result<End, Failure> {
        for _ in 0..count {
            let step = self.certain.choose(random);
            if let Step::Reopen { close } = step {
                if let End::Stopped = self.reopen(close)? {
                    return Ok(End::Stopped);
                }
            } else if let End::Stopped = self.call(&step, random)? {
                return Ok(End::Stopped);
            }
        }
        Ok(End::Done)
    }

    /// Makes one call and notes what it promised.
    pub(super) fn call(&mut self, step: &Step, random: &mut SplitMix64) -> Result<End, Failure> {
        let (store, next) = (self.store(), self.certain.after(step));
        let called = step.call(&store);
        self.note(format!("{} -> {called:?}", shorten(&format!("{step:?}"))));
        match (called, next) {
            (Ok(()), Some(next)) => {
                self.certain = next;
                self.lsn = self.lsn.max(store.lsn());
                Ok(End::Done)
            }
            (Ok(()), None) => Err(Failure::new(format!("{step:?} was to be refused"))),
            (Err(StoreError::NotActive { .. }), None) => Ok(End::Done),
            (Err(StoreError::DiskFull { .. }), _) => {
                if random.chance(50) {
                    self.rig.heal();
                }
                Ok(End::Done)
            }
            (Err(error), next) => {
                honest(&error).map_err(|failure| self.with_trail(failure))?;
                self.possible.extend(next);
                self.goes_on(&store)
            }
        }
    }

    /// After an error the store either goes on, and then holds what it should, or it takes no call
    /// any more.
    pub(super) fn goes_on(&mut self, store: &Store) -> Result<End, Failure> {
        let Ok(found) = Model::of(store) else { return Ok(End::Stopped) };
        let known = found == self.certain || self.possible.contains(&found);
        let probe = Step::CreateMailbox { name: format!("m{}", found.mailboxes.len()) };
        let Some(next) = found.after(&probe) else { return Ok(End::Stopped) };
        let called = probe.call(store);
        self.note(format!("probe {} -> {called:?}", shorten(&format!("{probe:?}"))));
        match called {
            Ok(()) if known => {
                self.certain = next;
                self.possible.clear();
                Ok(End::Done)
            }
            Ok(()) => Err(self.broken(&found, "the store went on with something else")),
            Err(_) => {
                self.possible.push(next);
                Ok(End::Stopped)
            }
        }
    }

    fn reopen(&mut self, close: bool) -> Result<End, Failure> {
        let closed = self.store.take().filter(|_| close).map_or(Ok(()), Store::close);
        let opened = closed.and_then(|()| self.open());
        match opened {
            Ok(()) => Ok(End::Done),
            Err(error) => match honest(&error) {
                Ok(()) => Ok(End::Stopped),
                Err(failure) => Err(self.with_trail(failure)),
            },
        }
    }

    /// Opens the store and compares its epoch.
    fn open(&mut self) -> Result<(), StoreError> {
        let opened = Store::open(self.rig.clone(), clock(), self.options.clone());
        self.note(format!("open -> {:?}", opened.as_ref().map(Store::epoch)));
        self.store = Some(opened?);
        Ok(())
    }

    fn note(&mut self, line: String) {
        self.trail.push(line);
    }

    /// The crash: what is left of the disk is put in its place.
    pub(super) fn crash(&mut self, trouble: Trouble, random: &mut SplitMix64) {
        self.store = None;
        let cut = trouble == Trouble::PowerCut || random.chance(50);
        self.note(format!("{trouble:?} at call {}, power cut: {cut}", self.rig.ops()));
        let rig = if cut { self.rig.crash(random.next_u64()) } else { self.rig.restart() };
        rig.heal();
        self.rig = Arc::new(rig);
    }

    /// Opens what is left; the disk may fail more than once on the way.
    pub(super) fn recover(
        &mut self,
        random: &mut SplitMix64,
        tally: &mut Tally,
    ) -> Result<(), Failure> {
        while random.chance(45) {
            let trouble = Trouble::ALL[index(random, Trouble::ALL.len())];
            self.rig.plan(trouble, random.below(RECOVERY_CALLS), random);
            match self.open() {
                Ok(()) => self.check_promises()?,
                Err(error) => honest(&error).map_err(|failure| self.with_trail(failure))?,
            }
            tally.recovery_crashes += 1;
            self.crash(trouble, random);
        }
        self.open().map_err(Failure::of("opening after the crash"))?;
        self.check_promises()
    }

    /// Epochs rise and LSNs do not fall.
    fn check_promises(&mut self) -> Result<(), Failure> {
        let store = self.store();
        if store.epoch() <= self.epoch {
            let (now, before) = (store.epoch(), self.epoch);
            return Err(Failure::new(format!("epoch {now} after epoch {before}")));
        }
        self.epoch = store.epoch();
        if store.lsn() < self.lsn {
            let (now, before) = (store.lsn(), self.lsn);
            return Err(Failure::new(format!("LSN {now} after {before} was acknowledged")));
        }
        Ok(())
    }

    /// Compares the store with its models; the one that it is becomes certain.
    pub(super) fn compare(&mut self) -> Result<(), Failure> {
        let store = self.store();
        let found = Model::of(&store).map_err(Failure::of("reading everything"))?;
        if found != self.certain && !self.possible.contains(&found) {
            return Err(self.broken(&found, "it holds neither"));
        }
        let report = store.check(&mut |_| {}).map_err(Failure::of("checking"))?;
        if !report.is_clean() {
            return Err(Failure::new(format!("the check says {report:?}")));
        }
        self.check_validity(&store)?;
        self.certain = found;
        self.possible.clear();
        Ok(())
    }

    /// Closes the store, opens it again, and compares.
    pub(super) fn close_and_compare(&mut self) -> Result<(), Failure> {
        let store = self.store.take().expect("it is there but for a reopening");
        store.close().map_err(Failure::of("closing"))?;
        self.open().map_err(Failure::of("opening after a close"))?;
        self.check_promises()?;
        self.compare()
    }

    /// A folder's UIDs are valid for what they were valid for.
    fn check_validity(&mut self, store: &Store) -> Result<(), Failure> {
        for info in store.mailboxes().map_err(Failure::of("listing mailboxes"))? {
            for folder in store.folders(info.id).map_err(Failure::of("listing folders"))? {
                let place = (info.name.to_string(), folder.name.to_string());
                let now = folder.uidvalidity.0;
                let before = *self.validity.entry(place.clone()).or_insert(now);
                if before != now && self.certain.mailboxes.contains_key(&place.0) {
                    return Err(Failure::new(format!("{place:?}: validity {before}, now {now}")));
                }
            }
        }
        Ok(())
    }

    /// What was promised and is not so.
    fn broken(&self, found: &Model, what: &str) -> Failure {
        let difference = self.certain.difference(found);
        let text = format!(
            "{what}: {difference:?}; found {found:?}; acknowledged {:?}; possible {:?}; \
             done before",
            self.certain, self.possible,
        );
        self.with_trail(Failure { difference, ..Failure::new(text) })
    }

    /// Says what was done before.
    pub(super) fn with_trail(&self, failure: Failure) -> Failure {
        let last = &self.trail[self.trail.len().saturating_sub(14)..];
        Failure { text: format!("{}\n{}", failure.text, last.join("\n")), ..failure }
    }
}

/// The beginning of a long text.
fn shorten(text: &str) -> String {
    text.chars().take(160).collect()
}

/// A failing disk is no damage, and no reason to refuse what is allowed.
pub(super) fn honest(error: &StoreError) -> Result<(), Failure> {
    match error {
        StoreError::Damaged { .. } | StoreError::NotActive { .. } | StoreError::Closed => {
            Err(Failure::new(format!("a failing disk is told as \"{error}\"")))
        }
        _ => Ok(()),
    }
}

impl Failure {
    pub(super) fn new(text: String) -> Failure {
        Failure { text, difference: Difference::default() }
    }

    /// Turns an error of the store into a failure that says what was being done.
    pub(super) fn of<E: std::error::Error>(doing: &str) -> impl FnOnce(E) -> Failure {
        let doing = doing.to_owned();
        move |error| {
            let mut text = format!("{doing}: {error}");
            let mut source = error.source();
            while let Some(cause) = source {
                text += &format!(": {cause}");
                source = cause.source();
            }
            Failure::new(text)
        }
    }
}
