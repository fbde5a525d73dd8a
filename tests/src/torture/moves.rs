//! Moves between two stores whose disks fail, one or both, at any stage; the same move is called
//! again until it ends.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use rehome::parts::log::SplitMix64;
use rehome::parts::store::{
    Flow, HomeDirectory, LocalSource, LocalTarget, MailboxName, MailboxState, MoveError, MoveJob,
    OpenOptions, Store, StoreError, TransferError, bulk_move,
};

use super::keeper::{End, Keeper, clock, options};
use super::model::{Mailbox, Model};
use super::rig::{Site, Trouble};
use super::steps::{Step, index, name, text};
use super::{Failure, Tally};

/// Moves that may fail before the disks are left in peace.
const FAILING_MOVES: usize = 4;

/// Homes by mailbox, on a disk of their own that keeps its word; an answer may get lost.
#[derive(Clone, Default)]
struct Homes {
    homes: Arc<Mutex<BTreeMap<MailboxName, String>>>,
    /// The change after which the answer gets lost.
    deaf_at: Option<usize>,
    changes: usize,
}

impl HomeDirectory for Homes {
    fn home(&mut self, mailbox: &MailboxName) -> Result<String, TransferError> {
        let homes = self.homes.lock().unwrap_or_else(PoisonError::into_inner);
        let home = homes.get(mailbox).cloned();
        home.ok_or_else(|| TransferError::NoMailbox { mailbox: mailbox.clone() })
    }

    fn set_home(&mut self, at: &MailboxName, _: &str, to: &str) -> Result<(), TransferError> {
        let mut homes = self.homes.lock().unwrap_or_else(PoisonError::into_inner);
        homes.insert(at.clone(), to.to_owned());
        self.changes += 1;
        if self.deaf_at == Some(self.changes) {
            let (peer, source) = ("directory".to_owned(), std::io::Error::other("no answer"));
            return Err(TransferError::Unreachable { peer, source });
        }
        Ok(())
    }
}

/// Which disks fail in a move.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Failing {
    Source,
    Target,
    Both,
    Neither,
}

/// Two stores, their directory, and what the moving mailboxes must hold wherever they are.
struct World {
    source: Keeper,
    target: Keeper,
    homes: Homes,
    names: Vec<String>,
    /// As all clients see it; all states are active in it.
    certain: Model,
    possible: Vec<Model>,
}

/// One move with its crashes.
pub(super) fn point(
    lie: Option<Site>,
    random: &mut SplitMix64,
    tally: &mut Tally,
) -> Result<(), Failure> {
    let mut world = World::new(lie, random)?;
    for _ in 0..FAILING_MOVES {
        let failing = [Failing::Source, Failing::Target, Failing::Both, Failing::Neither];
        let failing = failing[index(random, 4)];
        let done = world.try_move(failing, random, tally)?;
        if done {
            break;
        }
    }
    world.homes.deaf_at = None;
    world.carry(random).map_err(Failure::of("the move on healthy disks"))?;
    world.check_moved(random)
}

impl World {
    fn new(lie: Option<Site>, random: &mut SplitMix64) -> Result<World, Failure> {
        // A batch of a transfer has to fit into a generation.
        let mut roomy = |id| OpenOptions {
            log_generation_bytes: 256 << 10,
            store_id: Some([id; 16]),
            ..options(random)
        };
        let (of_source, of_target) = (roomy(7), roomy(8));
        let mut source = Keeper::with(lie, of_source)?;
        let mut target = Keeper::with(lie, of_target)?;
        let steps = 5 + index(random, 35);
        source.work(steps, random)?;
        let names: Vec<String> = source.certain.mailboxes.keys().cloned().collect();
        for name in &names {
            let (mailbox, state) = (name.clone(), MailboxState::Active);
            source.call(&Step::State { mailbox, state }, random)?;
        }
        if random.chance(50) {
            let own = "own".to_owned();
            target.call(&Step::CreateMailbox { name: own.clone() }, random)?;
            let name = "f0".to_owned();
            target.call(&Step::CreateFolder { mailbox: own.clone(), name }, random)?;
            let to = vec![(own, "f0".to_owned()); 4];
            let texts = to.iter().map(|_| text(random)).collect();
            target.call(&Step::Append { to, texts }, random)?;
        }
        let homes = names.iter().map(|text| (name(text), "A".to_owned())).collect();
        let homes = Homes { homes: Arc::new(Mutex::new(homes)), ..Homes::default() };
        let certain = source.certain.clone();
        Ok(World { source, target, homes, names, certain, possible: Vec::new() })
    }

    /// Calls the move; clients write to its mailboxes meanwhile.
    fn carry(&mut self, random: &mut SplitMix64) -> Result<(), MoveError> {
        let store = self.source.store();
        let mut source = LocalSource::new(store.clone());
        let mut target = LocalTarget::new(self.target.store());
        let names = self.names.iter().map(|text| name(text)).collect();
        let job = MoveJob::new(names, "A", "B");
        let (certain, possible) = (&mut self.certain, &mut self.possible);
        let mut observe = |_| {
            if random.chance(25) && possible.is_empty() {
                write(&store, certain, possible, random);
            }
            Flow::Continue
        };
        self.homes.changes = 0;
        let homes = &mut self.homes;
        bulk_move(&mut source, &mut target, homes, &job, &*clock(), &mut observe).map(drop)
    }

    /// One move on disks that fail, the crash, the recovery, and what must be so at any moment.
    fn try_move(
        &mut self,
        failing: Failing,
        random: &mut SplitMix64,
        tally: &mut Tally,
    ) -> Result<bool, Failure> {
        let trouble = Trouble::ALL[index(random, Trouble::ALL.len())];
        let calls = 300;
        if matches!(failing, Failing::Source | Failing::Both) {
            self.source.rig.plan(trouble, random.below(calls), random);
        }
        if matches!(failing, Failing::Target | Failing::Both) {
            self.target.rig.plan(trouble, random.below(calls), random);
        }
        self.homes.deaf_at = random.chance(15).then(|| 1 + index(random, 3));
        let moved = self.carry(random);
        if let Err(error @ MoveError::Conflict { .. }) = &moved {
            return Err(Failure::new(format!("a failing disk is told as \"{error}\"")));
        }
        let deaf = self.homes.deaf_at.is_some();
        if matches!(failing, Failing::Target) && !deaf && moved.is_err() {
            self.check_source_in_use()?;
        }
        let cut = matches!(failing, Failing::Neither) && random.chance(50);
        for (end, fails) in [
            (&mut self.source, cut || matches!(failing, Failing::Source | Failing::Both)),
            (&mut self.target, cut || matches!(failing, Failing::Target | Failing::Both)),
        ] {
            if fails {
                let trouble = if cut { Trouble::PowerCut } else { trouble };
                tally.crash(trouble);
                end.crash(trouble, random);
                end.recover(random, tally)?;
            }
        }
        self.check_owners()?;
        Ok(moved.is_ok())
    }

    fn home(&mut self, mailbox: &str) -> String {
        self.homes.home(&name(mailbox)).expect("each has one")
    }

    /// A target that failed leaves every mailbox whose home it is not with the source, in use.
    fn check_source_in_use(&mut self) -> Result<(), Failure> {
        let store = self.source.store();
        for mailbox in self.names.clone() {
            let at_home = self.home(&mailbox) == "A";
            let info = store.mailbox(&name(&mailbox)).map_err(Failure::of("asking the source"))?;
            let state = info.map(|info| info.state);
            if at_home && state != Some(MailboxState::Active) {
                return Err(Failure::new(format!("the target failed and {mailbox} is {state:?}")));
            }
        }
        Ok(())
    }

    /// Nobody writes at two places, and what was acknowledged is where the directory says, or on
    /// its way there.
    fn check_owners(&mut self) -> Result<(), Failure> {
        let read =
            |keeper: &Keeper| Model::of(&keeper.store()).map_err(Failure::of("reading everything"));
        let (source, target) = (read(&self.source)?, read(&self.target)?);
        for text in self.names.clone() {
            let home = self.home(&text);
            let here = source.mailboxes.get(&text).map(|mailbox| &mailbox.state);
            let there = target.mailboxes.get(&text).map(|mailbox| &mailbox.state);
            let active = |state: Option<&MailboxState>| state == Some(&MailboxState::Active);
            let foreign = if home == "A" { there } else { here };
            if (active(here) && active(there)) || (active(foreign) && home == "A") {
                let text = format!("{text} of {home} is {here:?} in A and {there:?} in B");
                return Err(Failure::new(text));
            }
        }
        let found = self.seen(&source);
        if found != self.certain && !self.possible.contains(&found) {
            return Err(self.broken("the source lost or made up something", &found));
        }
        self.certain = found;
        self.possible.clear();
        Ok(())
    }

    /// The moving mailboxes of a store, all taken for active.
    fn seen(&self, model: &Model) -> Model {
        let active = |mailbox: &Mailbox| Mailbox { state: MailboxState::Active, ..mailbox.clone() };
        let moving = model.mailboxes.iter().filter(|(text, _)| self.names.contains(text));
        Model { mailboxes: moving.map(|(text, found)| (text.clone(), active(found))).collect() }
    }

    /// Everything is in B, as it was, and B goes on where A ended.
    fn check_moved(&mut self, random: &mut SplitMix64) -> Result<(), Failure> {
        self.check_owners()?;
        let found = Model::of(&self.target.store());
        let found = found.map_err(Failure::of("reading the target"))?;
        let seen = self.seen(&found);
        if seen != self.certain {
            return Err(self.broken("the target holds something else", &seen));
        }
        for keeper in [&self.source, &self.target] {
            let report = keeper.store().check(&mut |_| {}).map_err(Failure::of("checking"))?;
            if !report.is_clean() {
                return Err(Failure::new(format!("the check says {report:?}")));
            }
        }
        for text in &self.names {
            let state = found.mailboxes[text].state.clone();
            if state != MailboxState::Active {
                return Err(Failure::new(format!("{text} is {state} in B")));
            }
            let name = "late".to_owned();
            let step = Step::CreateFolder { mailbox: text.clone(), name };
            if !matches!(step.call(&self.source.store()), Err(StoreError::NotActive { .. })) {
                return Err(Failure::new(format!("{text} is written to in A after its move")));
            }
        }
        self.target.certain = found;
        self.target.possible.clear();
        match self.target.work(5, random)? {
            End::Done => self.target.close_and_compare(),
            End::Stopped => {
                let failure = Failure::new("the target stopped on a healthy disk".to_owned());
                Err(self.target.with_trail(failure))
            }
        }
    }

    fn broken(&self, what: &str, found: &Model) -> Failure {
        let difference = self.certain.difference(found);
        let (certain, possible) = (&self.certain, &self.possible);
        let text = format!(
            "{what}: {difference:?}; found {found:?}; acknowledged {certain:?}; \
             possible {possible:?}"
        );
        Failure { difference, ..Failure::new(text) }
    }
}

/// A client writes to the source while its mailboxes move.
fn write(store: &Store, certain: &mut Model, possible: &mut Vec<Model>, random: &mut SplitMix64) {
    let step = certain.choose(random);
    let harmless = matches!(
        step,
        Step::Append { .. } | Step::Flags { .. } | Step::Expunge { .. } | Step::CreateFolder { .. }
    );
    let Some(next) = certain.after(&step).filter(|_| harmless) else { return };
    match step.call(store) {
        Ok(()) => *certain = next,
        Err(StoreError::NotActive { .. } | StoreError::DiskFull { .. }) => {}
        Err(_) => possible.push(next),
    }
}
