//! Two stores on disks in memory, a directory between them, and ends that fail on request.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use rehome_log::{Clock, Disk, ManualClock, SimDisk};

use super::*;
use crate::transfer::{Frame, MailboxDigest};
use crate::{
    Append, ContentId, FlagChange, Flags, Flow, FolderName, IncomingMailbox, MailboxId,
    MailboxInfo, MailboxName, MailboxState, Modseq, NewFolder, OpenOptions, Store, Uid,
};

pub(super) fn name(text: &str) -> MailboxName {
    MailboxName::try_from(text).unwrap()
}

pub(super) fn folder_name(text: &str) -> FolderName {
    FolderName::try_from(text).unwrap()
}

/// Homes by mailbox; clones share them.
#[derive(Clone, Default)]
pub(super) struct Homes(pub(super) Arc<Mutex<BTreeMap<MailboxName, String>>>);

impl HomeDirectory for Homes {
    fn home(&mut self, mailbox: &MailboxName) -> Result<String, TransferError> {
        let homes = self.0.lock().unwrap();
        let home = homes.get(mailbox).cloned();
        home.ok_or_else(|| TransferError::NoMailbox { mailbox: mailbox.clone() })
    }

    fn set_home(
        &mut self,
        mailbox: &MailboxName,
        from: &str,
        to: &str,
    ) -> Result<(), TransferError> {
        let found = self.home(mailbox)?;
        if found != from && found != to {
            let (mailbox, expected) = (mailbox.clone(), from.to_owned());
            return Err(TransferError::HomeConflict { mailbox, expected, found });
        }
        self.0.lock().unwrap().insert(mailbox.clone(), to.to_owned());
        Ok(())
    }
}

/// Server EX1 with mail, server EX2 without, and the directory that names EX1 as everyone's home.
pub(super) struct World {
    pub(super) source_disk: Arc<SimDisk>,
    pub(super) target_disk: Arc<SimDisk>,
    pub(super) source: Store,
    pub(super) target: Store,
    pub(super) homes: Homes,
    pub(super) mailboxes: Vec<MailboxName>,
}

pub(super) fn new_store() -> (Arc<SimDisk>, Store) {
    let disk = Arc::new(SimDisk::new());
    let clock: Arc<dyn Clock> = Arc::new(ManualClock::new(1_700_000_000_000_000));
    let options =
        OpenOptions { segment_bytes: 64 << 10, retention_seconds: 0, ..OpenOptions::default() };
    let store = Store::create(Arc::clone(&disk) as Arc<dyn Disk>, clock, options).unwrap();
    (disk, store)
}

/// Opens what a power cut has left of a store.
fn reopen(disk: &SimDisk, seed: u64) -> (Arc<SimDisk>, Store) {
    let disk = Arc::new(disk.crash(seed));
    let clock: Arc<dyn Clock> = Arc::new(ManualClock::new(1_700_000_000_000_000));
    let store = Store::open(Arc::clone(&disk) as Arc<dyn Disk>, clock, OpenOptions::default());
    (disk, store.unwrap_or_else(|error| panic!("seed {seed}: {error}")))
}

impl World {
    /// `count` mailboxes, each with its own messages, shared ones, changed and expunged ones.
    pub(super) fn new(count: usize, messages: usize) -> Self {
        let (source_disk, source) = new_store();
        let (target_disk, target) = new_store();
        let mailboxes: Vec<_> = (0..count).map(|number| name(&format!("user{number}"))).collect();
        let homes = Homes::default();
        for mailbox in &mailboxes {
            homes.0.lock().unwrap().insert(mailbox.clone(), "EX1".to_owned());
            fill(&source, mailbox, messages);
        }
        Self { source_disk, target_disk, source, target, homes, mailboxes }
    }

    /// The world after a power cut of both servers.
    pub(super) fn after_power_cut(self, seed: u64) -> Self {
        let (source_disk, source) = reopen(&self.source_disk, seed);
        let (target_disk, target) = reopen(&self.target_disk, seed + 1);
        Self { source_disk, target_disk, source, target, ..self }
    }

    pub(super) fn job(&self) -> MoveJob {
        MoveJob::new(self.mailboxes.clone(), "EX1", "EX2")
    }

    /// Moves with small batches, so that there is something between them.
    pub(super) fn carry_out(
        &self,
        job: &MoveJob,
        observe: &mut dyn FnMut(MoveEvent) -> Flow,
    ) -> Result<MoveReport, MoveError> {
        let mut source = LocalSource::new(self.source.clone());
        let mut target = LocalTarget::with_small_bytes(self.target.clone(), 2048);
        let clock = ManualClock::new(0);
        bulk_move(&mut source, &mut target, &mut self.homes.clone(), job, &clock, observe)
    }

    pub(super) fn move_all(&self) -> MoveReport {
        self.carry_out(&self.job(), &mut |_| Flow::Continue).unwrap()
    }

    pub(super) fn state(store: &Store, mailbox: &MailboxName) -> Option<MailboxState> {
        store.mailbox(mailbox).unwrap().map(|info| info.state)
    }

    /// A mailbox is at its new home, as it was, and the old one forwards.
    #[track_caller]
    pub(super) fn check_moved(&self, mailbox: &MailboxName) {
        assert_eq!(self.homes.clone().home(mailbox).unwrap(), "EX2", "{mailbox}");
        assert_eq!(Self::state(&self.target, mailbox), Some(MailboxState::Active), "{mailbox}");
        let moved = MailboxState::Moved { to: "EX2".to_owned() };
        assert_eq!(Self::state(&self.source, mailbox), Some(moved), "{mailbox}");
        let (before, after) =
            (content_of(&self.source, mailbox), content_of(&self.target, mailbox));
        assert_eq!(before, after, "{mailbox} is not what it was");
    }

    /// All mailboxes have moved, and the target has each content once.
    #[track_caller]
    pub(super) fn check_all_moved(&self) {
        self.mailboxes.iter().for_each(|mailbox| self.check_moved(mailbox));
        let (before, after) =
            (self.source.statistics().unwrap(), self.target.statistics().unwrap());
        assert_eq!(after.messages, before.messages);
        assert_eq!(
            after.contents - after.dead_contents,
            before.contents - before.dead_contents,
            "single instance was not kept"
        );
        let mut ends =
            (LocalSource::new(self.source.clone()), LocalTarget::new(self.target.clone()));
        for mailbox in &self.mailboxes {
            let compared = compare_mailbox(&mut ends.0, &mut ends.1, mailbox).unwrap();
            assert!(compared.is_equal(), "{mailbox}: {compared:?}");
        }
    }
}

/// Everything about a mailbox that has to arrive.
pub(super) fn content_of(store: &Store, mailbox: &MailboxName) -> Vec<String> {
    let info = store.mailbox(mailbox).unwrap().unwrap();
    let mut lines = vec![format!(
        "{:?} {:?} {:?} {} {}",
        info.subscriptions, info.attributes, info.highest_modseq, info.messages, info.bytes
    )];
    let mut folders = store.folders(info.id).unwrap();
    folders.sort_by(|a, b| a.name.cmp(&b.name));
    for folder in folders {
        lines.push(format!(
            "{} {:?} {:?} {} {} {:?} {:?}",
            folder.name,
            folder.uidvalidity,
            folder.uidnext,
            folder.messages,
            folder.bytes,
            folder.attributes,
            folder.modseq
        ));
        for message in store.messages(info.id, folder.id, Uid(0), usize::MAX).unwrap() {
            let body = store.body(&message.content).unwrap();
            lines.push(format!("{message:?} {}", String::from_utf8_lossy(&body)));
        }
    }
    lines
}

/// A message of some length that nobody else has.
pub(super) fn body(text: &str) -> Vec<u8> {
    format!("Subject: {text}\r\n\r\n{}\r\n", text.repeat(20)).into_bytes()
}

pub(super) fn deliver(
    store: &Store,
    mailbox: MailboxId,
    text: &str,
) -> Result<Uid, crate::StoreError> {
    let folder = store.create_folder(mailbox, &FolderName::inbox(), NewFolder::default())?;
    let append = Append { body: body(text), internal_date_seconds: 7, ..Append::default() };
    store.deliver(&[(mailbox, folder.id)], append).map(|uids| uids[0])
}

/// Fills one mailbox: two folders, flags, keywords, a gap in the UIDs, messages that all have.
fn fill(store: &Store, mailbox: &MailboxName, messages: usize) {
    let id = store.create_mailbox(mailbox, MailboxState::Active).unwrap();
    store.set_subscriptions(id, vec!["INBOX".to_owned(), "Work/Done".to_owned()]).unwrap();
    store.set_attribute(id, "quota", Some("1000000")).unwrap();
    let inbox = store.create_folder(id, &FolderName::inbox(), NewFolder::default()).unwrap();
    let attributes = BTreeMap::from([("special-use".to_owned(), "archive".to_owned())]);
    let new = NewFolder { uidvalidity: None, uidnext: Some(Uid(100)), attributes };
    let done = store.create_folder(id, &folder_name("Work/Done"), new).unwrap();
    let mut batch = Vec::new();
    for number in 0..messages {
        let shared = number % 3 == 0;
        let text = if shared { format!("to all {number}") } else { format!("{mailbox} {number}") };
        let append = Append {
            body: body(&text),
            internal_date_seconds: 1_000_000 + i64::try_from(number).unwrap(),
            flags: if number % 2 == 0 { Flags::SEEN } else { Flags::RECENT },
            keywords: vec![format!("k{}", number % 2)],
            uid: None,
            origin: Some(format!("{number}.host")),
        };
        let folder = if number % 4 == 3 { done.id } else { inbox.id };
        batch.push((id, folder, append));
    }
    store.append_batch(batch).unwrap();
    let change = FlagChange { add: Flags::FLAGGED, ..FlagChange::default() };
    store.store_flags(id, inbox.id, Uid(1), change).unwrap();
    store.expunge(id, inbox.id, &[Uid(2)]).unwrap();
}

/// What happens to the call that fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Failing {
    /// It has no effect.
    Before,
    /// It has its effect, and nobody hears of it.
    After,
}

/// Counts the calls of all sides; from one of them on everything fails, as after a kill.
#[derive(Clone)]
pub(super) struct Fuse(Arc<Mutex<(u64, u64, Failing)>>);

impl Fuse {
    /// Lets `calls` calls through.
    pub(super) fn new(calls: u64, failing: Failing) -> Self {
        Self(Arc::new(Mutex::new((0, calls, failing))))
    }

    pub(super) fn calls(&self) -> u64 {
        self.0.lock().unwrap().0
    }

    fn pass<T>(&self, call: impl FnOnce() -> Result<T, TransferError>) -> Result<T, TransferError> {
        let (number, limit, failing) = {
            let mut state = self.0.lock().unwrap();
            state.0 += 1;
            *state
        };
        let dead = || TransferError::Unreachable {
            peer: "test".to_owned(),
            source: std::io::Error::other(format!("call {number}")),
        };
        if number <= limit {
            return call();
        }
        if number == limit + 1 && failing == Failing::After {
            call()?;
        }
        Err(dead())
    }
}

/// An end or a directory behind a fuse.
pub(super) struct Fused<T>(pub(super) T, pub(super) Fuse);

impl<T: MailboxEnd> MailboxEnd for Fused<T> {
    fn info(&mut self, mailbox: &MailboxName) -> Result<Option<MailboxInfo>, TransferError> {
        self.1.pass(|| self.0.info(mailbox))
    }

    fn set_state(
        &mut self,
        mailbox: &MailboxName,
        state: &MailboxState,
    ) -> Result<(), TransferError> {
        self.1.pass(|| self.0.set_state(mailbox, state))
    }

    fn digest(&mut self, mailbox: &MailboxName) -> Result<MailboxDigest, TransferError> {
        self.1.pass(|| self.0.digest(mailbox))
    }

    fn rows(
        &mut self,
        mailbox: &MailboxName,
        after: Modseq,
    ) -> Result<IncomingMailbox, TransferError> {
        self.1.pass(|| self.0.rows(mailbox, after))
    }
}

impl<T: MoveSource> MoveSource for Fused<T> {
    fn offer(&mut self, since: &[(MailboxName, Option<Modseq>)]) -> Result<Offer, TransferError> {
        self.1.pass(|| self.0.offer(since))
    }

    fn offer_all(
        &mut self,
        since: &[(MailboxName, Option<Modseq>)],
    ) -> Result<Offer, TransferError> {
        self.1.pass(|| self.0.offer_all(since))
    }

    fn send(
        &mut self,
        offer: &Offer,
        wanted: &[bool],
        sink: &mut dyn FnMut(Frame) -> Result<(), TransferError>,
    ) -> Result<(), TransferError> {
        let fuse = self.1.clone();
        self.0.send(offer, wanted, &mut |frame| fuse.pass(|| sink(frame)))
    }

    fn send_base(
        &mut self,
        offer: &Offer,
        sink: &mut dyn FnMut(Frame) -> Result<(), TransferError>,
    ) -> Result<(), TransferError> {
        let fuse = self.1.clone();
        self.0.send_base(offer, &mut |frame| fuse.pass(|| sink(frame)))
    }
}

impl<T: MoveTarget> MoveTarget for Fused<T> {
    fn cursor(&mut self, mailbox: &MailboxName) -> Result<Option<Modseq>, TransferError> {
        self.1.pass(|| self.0.cursor(mailbox))
    }

    fn missing(&mut self, contents: &[ContentId]) -> Result<Vec<bool>, TransferError> {
        self.1.pass(|| self.0.missing(contents))
    }

    fn receive(&mut self, frame: Frame) -> Result<(), TransferError> {
        self.1.pass(|| self.0.receive(frame))
    }

    fn flush(&mut self) -> Result<(), TransferError> {
        self.1.pass(|| self.0.flush())
    }

    fn discard(&mut self) {
        self.0.discard();
    }
}

impl<T: HomeDirectory> HomeDirectory for Fused<T> {
    fn home(&mut self, mailbox: &MailboxName) -> Result<String, TransferError> {
        self.1.pass(|| self.0.home(mailbox))
    }

    fn set_home(
        &mut self,
        mailbox: &MailboxName,
        from: &str,
        to: &str,
    ) -> Result<(), TransferError> {
        self.1.pass(|| self.0.set_home(mailbox, from, to))
    }
}
