//! Random scripts of deleting, renaming, copying and bringing back, cut short anywhere: the store
//! is then as after one of its steps, and going on from there ends where an undisturbed run does.

use std::collections::BTreeMap;
use std::sync::Arc;

use rehome_log::{Fault, SimDisk, SplitMix64};
use rehome_store::{
    ContentId, FlagChange, Flags, FolderId, FolderName, MailboxId, MailboxState, Message, Modseq,
    NewFolder, OpenOptions, Store, StoreError, Uid,
};

use crate::support::{append, check_whole, clock, mailbox, mailbox_name, options};

/// When the tests' clock stands, in seconds.
const NOW: i64 = 1_700_000_000;
const RETENTION: u64 = 1_000;

/// One call, with everything it needs.
#[derive(Clone, Debug)]
pub(crate) enum Step {
    Deliver((MailboxId, FolderId), String),
    Flags((MailboxId, FolderId), Uid, Flags),
    Expunge((MailboxId, FolderId), Vec<Uid>),
    Copy((MailboxId, FolderId), Vec<Uid>, (MailboxId, FolderId), bool),
    CreateFolder(MailboxId, FolderName),
    RenameFolder((MailboxId, FolderId), FolderName),
    DeleteFolder((MailboxId, FolderId)),
    Undelete(MailboxId, Vec<Modseq>, FolderId),
    UndeleteFolder((MailboxId, FolderId), FolderName),
    CreateMailbox(String),
    RenameMailbox(MailboxId, String),
    DeleteMailbox(MailboxId),
    UndeleteMailbox(MailboxId),
    Purge,
    Compact,
    Checkpoint,
}

pub(crate) fn script_options() -> OpenOptions {
    OpenOptions {
        retention_seconds: RETENTION,
        grace_seconds: 0,
        segment_bytes: 8 << 10,
        ..options()
    }
}

fn folder_name(text: &str) -> FolderName {
    FolderName::try_from(text).unwrap()
}

impl Step {
    pub(crate) fn run(&self, store: &Store) -> Result<(), StoreError> {
        match self {
            Step::Deliver((mailbox, folder), text) => {
                store.deliver(&[(*mailbox, *folder)], append(text)).map(drop)
            }
            Step::Flags((mailbox, folder), uid, add) => {
                let change = FlagChange { add: *add, ..FlagChange::default() };
                store.store_flags(*mailbox, *folder, *uid, change).map(drop)
            }
            Step::Expunge((mailbox, folder), uids) => {
                store.expunge(*mailbox, *folder, uids).map(drop)
            }
            Step::Copy(from, uids, to, false) => store.copy(*from, uids, *to).map(drop),
            Step::Copy(from, uids, to, true) => store.move_messages(*from, uids, *to).map(drop),
            Step::CreateFolder(mailbox, name) => {
                store.create_folder(*mailbox, name, NewFolder::default()).map(drop)
            }
            Step::RenameFolder((mailbox, folder), name) => {
                store.rename_folder(*mailbox, *folder, name)
            }
            Step::DeleteFolder((mailbox, folder)) => store.delete_folder(*mailbox, *folder),
            Step::Undelete(mailbox, removed, to) => {
                store.undelete(*mailbox, removed, *to).map(drop)
            }
            Step::UndeleteFolder((mailbox, folder), name) => {
                store.undelete_folder(*mailbox, *folder, name).map(drop)
            }
            Step::CreateMailbox(name) => {
                store.create_mailbox(&mailbox_name(name), MailboxState::Active).map(drop)
            }
            Step::RenameMailbox(mailbox, name) => {
                store.rename_mailbox(*mailbox, &mailbox_name(name))
            }
            Step::DeleteMailbox(mailbox) => store.delete_mailbox(*mailbox),
            Step::UndeleteMailbox(mailbox) => store.undelete_mailbox(*mailbox, None).map(drop),
            Step::Purge => store.purge_expired(NOW + 1 + RETENTION.cast_signed()).map(drop),
            Step::Compact => crate::compact::compact_all(store).map(drop),
            Step::Checkpoint => store.checkpoint().map(drop),
        }
    }

    /// Whether it is one durable group, and so done whole or not at all.
    fn is_atomic(&self) -> bool {
        !matches!(self, Step::UndeleteFolder(..) | Step::Purge | Step::Compact)
    }
}

type Messages = Vec<(Message, Vec<u8>)>;

/// Everything that a caller can see.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Seen {
    mailboxes: Vec<rehome_store::MailboxInfo>,
    folders: BTreeMap<(MailboxId, FolderId), (rehome_store::FolderInfo, Messages)>,
    changes: Vec<Vec<rehome_store::Change>>,
    removed: Vec<Vec<rehome_store::RecoverableMessage>>,
    removed_folders: Vec<Vec<rehome_store::RecoverableFolder>>,
    removed_mailboxes: Vec<rehome_store::RecoverableMailbox>,
}

impl Seen {
    pub(crate) fn of(store: &Store) -> Seen {
        let mailboxes = store.mailboxes().unwrap();
        let mut folders = BTreeMap::new();
        for mailbox in &mailboxes {
            for folder in store.folders(mailbox.id).unwrap() {
                let messages = store.messages(mailbox.id, folder.id, Uid(0), 1000).unwrap();
                let messages = messages
                    .into_iter()
                    .map(|m| (m.clone(), store.read(mailbox.id, folder.id, m.uid).unwrap().1));
                let messages: Messages = messages.collect();
                folders.insert((mailbox.id, folder.id), (folder, messages));
            }
        }
        let snapshot = store.snapshot().unwrap();
        let ids: Vec<MailboxId> = mailboxes.iter().map(|mailbox| mailbox.id).collect();
        let changes = ids.iter().map(|id| snapshot.changes(*id, Modseq(0), 1000).unwrap());
        let changes = changes.collect();
        let removed =
            ids.iter().map(|id| store.recoverable(*id, Modseq(0), 1000).unwrap()).collect();
        let removed_folders =
            ids.iter().map(|id| store.recoverable_folders(*id).unwrap()).collect();
        let removed_mailboxes = store.recoverable_mailboxes().unwrap();
        Seen { mailboxes, folders, changes, removed, removed_folders, removed_mailboxes }
    }
}

pub(crate) fn index(random: &mut SplitMix64, len: usize) -> usize {
    usize::try_from(random.below(len as u64)).unwrap()
}

fn pick<T: Clone>(random: &mut SplitMix64, from: &[T]) -> Option<T> {
    (!from.is_empty()).then(|| from[index(random, from.len())].clone())
}

/// A step that can be done.
pub(crate) fn choose(store: &Store, random: &mut SplitMix64, number: usize) -> Step {
    loop {
        if let Some(step) = try_choose(store, random, number) {
            return step;
        }
    }
}

fn try_choose(store: &Store, random: &mut SplitMix64, number: usize) -> Option<Step> {
    let mailboxes = store.mailboxes().unwrap();
    if mailboxes.len() < 2 {
        let name = format!("m{}", random.below(3));
        let there = mailboxes.iter().any(|mailbox| mailbox.name.as_str() == name);
        return (!there).then_some(Step::CreateMailbox(name));
    }
    let id = pick(random, &mailboxes)?.id;
    let folders = store.folders(id).unwrap();
    if folders.is_empty() || (folders.len() < 5 && random.chance(20)) {
        let name = ["INBOX", "a", "a/b", "a/b/c", "d"][index(random, 5)];
        let there = folders.iter().any(|folder| folder.name.as_str() == name);
        return (!there).then(|| Step::CreateFolder(id, folder_name(name)));
    }
    let folder = pick(random, &folders)?;
    let at = (id, folder.id);
    let uids: Vec<Uid> =
        store.messages(id, folder.id, Uid(0), 100).unwrap().iter().map(|m| m.uid).collect();
    let some: Vec<Uid> = uids.iter().copied().filter(|_| random.chance(40)).collect();
    Some(match random.below(100) {
        0..30 => {
            let filler = "x".repeat(200 + index(random, 900));
            Step::Deliver(at, format!("{} {filler}", random.below(40)))
        }
        30..36 => Step::Flags(at, pick(random, &uids)?, Flags::from_bits(1 << random.below(6))),
        36..44 if !some.is_empty() => Step::Expunge(at, some),
        44..54 if !some.is_empty() => {
            let other = pick(random, &mailboxes)?.id;
            let to = pick(random, &store.folders(other).unwrap())?;
            Step::Copy(at, some, (other, to.id), random.chance(50))
        }
        54..60 => Step::RenameFolder(at, free_name(&folders, random)?),
        60..66 if !folder.name.is_inbox() => Step::DeleteFolder(at),
        66..72 => {
            let removed = store.recoverable(id, Modseq(0), 100).unwrap();
            let removed: Vec<Modseq> =
                removed.iter().map(|m| m.removed).filter(|_| random.chance(50)).collect();
            (!removed.is_empty()).then_some(Step::Undelete(id, removed, folder.id))?
        }
        72..78 => {
            let removed = pick(random, &store.recoverable_folders(id).unwrap())?;
            let back = free_name(&folders, random)?;
            Step::UndeleteFolder((id, removed.folder.id), back)
        }
        78..80 => Step::RenameMailbox(id, format!("r{number}")),
        80..83 => Step::DeleteMailbox(id),
        83..87 => {
            let removed = pick(random, &store.recoverable_mailboxes().unwrap())?.mailbox;
            let taken = mailboxes.iter().any(|there| there.name == removed.name);
            (!taken).then_some(Step::UndeleteMailbox(removed.id))?
        }
        87..89 => Step::Purge,
        89..95 => Step::Compact,
        _ => Step::Checkpoint,
    })
}

/// A name that neither a folder has nor one below it.
fn free_name(folders: &[rehome_store::FolderInfo], random: &mut SplitMix64) -> Option<FolderName> {
    let name = ["a", "d", "e", "e/f", "g"][index(random, 5)];
    let clash = folders.iter().any(|folder| {
        let text = folder.name.as_str();
        text == name || text.starts_with(&format!("{name}/")) || name.starts_with(text)
    });
    (!clash).then(|| folder_name(name))
}

/// What a client may keep for ever: by names, validity and UID, the content.
type Kept = BTreeMap<(String, String, u32, u32), ContentId>;

/// No UID stands for another message, and no modseq is less than it was.
fn check_promises(seen: &Seen, kept: &mut Kept, modseqs: &mut BTreeMap<MailboxId, Modseq>) {
    for mailbox in &seen.mailboxes {
        let highest = modseqs.entry(mailbox.id).or_default();
        assert!(*highest <= mailbox.highest_modseq, "{mailbox:?} was at {highest}");
        *highest = mailbox.highest_modseq;
        let of_mailbox = seen.folders.iter().filter(|((id, _), _)| *id == mailbox.id);
        for (_, (folder, messages)) in of_mailbox {
            for (message, _) in messages {
                assert!(message.uid < folder.uidnext && message.modseq <= *highest);
                let names = (mailbox.name.to_string(), folder.name.to_string());
                let key = (names.0, names.1, folder.uidvalidity.0, message.uid.0);
                let content = *kept.entry(key.clone()).or_insert(message.content);
                assert_eq!(content, message.content, "{key:?} was given twice");
            }
        }
    }
}

pub(crate) fn begin() -> (Arc<SimDisk>, Store) {
    let disk = Arc::new(SimDisk::new());
    let store = Store::create(disk.clone(), clock(), script_options()).unwrap();
    mailbox(&store, "anna");
    mailbox(&store, "bert");
    (disk, store)
}

fn reopen(disk: &SimDisk, seed: u64) -> (Arc<SimDisk>, Store) {
    let disk = Arc::new(disk.crash(seed));
    let store = Store::open(disk.clone(), clock(), script_options());
    (disk, store.unwrap_or_else(|error| panic!("seed {seed}: {error}")))
}

/// The steps of a script, what is seen after each, and the calls of the disk that they take.
fn record(seed: u64, steps: usize) -> (Vec<Step>, Vec<Seen>, u64) {
    let mut random = SplitMix64::new(seed);
    let (disk, store) = begin();
    let before = disk.ops();
    let (mut script, mut seen) = (Vec::new(), vec![Seen::of(&store)]);
    let (mut kept, mut modseqs) = (Kept::new(), BTreeMap::new());
    for number in 0..steps {
        let step = choose(&store, &mut random, number);
        step.run(&store).unwrap_or_else(|error| panic!("seed {seed}, {step:?}: {error}"));
        script.push(step);
        let now = Seen::of(&store);
        check_promises(&now, &mut kept, &mut modseqs);
        check_whole(&store);
        seen.push(now);
    }
    (script, seen, disk.ops() - before)
}

/// Runs the script with a power cut at call `cut`, recovers, goes on, and compares.
fn check_cut(seed: u64, cut: u64, script: &[Step], seen: &[Seen]) {
    let (disk, store) = begin();
    disk.fail_after(cut, Fault::PowerCut);
    let done = script.iter().take_while(|step| step.run(&store).is_ok()).count();
    drop(store);
    let (_disk, store) = reopen(&disk, seed ^ cut);
    check_whole(&store);
    let found = Seen::of(&store);
    if done == script.len() || found != seen[done + 1] {
        let atomic = script.get(done).is_none_or(Step::is_atomic);
        assert!(
            !atomic || found == seen[done],
            "seed {seed}, cut {cut}, {done}: {:?}",
            script.get(done)
        );
        if let Some(step) = script.get(done) {
            step.run(&store).unwrap_or_else(|e| panic!("seed {seed}, cut {cut}, {step:?}: {e}"));
            assert_eq!(Seen::of(&store), seen[done + 1], "seed {seed}, cut {cut}, {step:?}");
        }
    }
    for (number, step) in script.iter().enumerate().skip(done + 1) {
        step.run(&store).unwrap_or_else(|e| panic!("seed {seed}, cut {cut}, {number}: {e}"));
    }
    assert_eq!(Seen::of(&store), seen[script.len()], "seed {seed}, cut {cut}: the end");
    check_whole(&store);
}

#[test]
fn scripts_keep_their_promises_and_survive_a_power_cut_anywhere() {
    let asked = std::env::var("REHOME_SEEDS").ok().and_then(|text| text.parse().ok());
    for seed in 0..asked.unwrap_or(40) {
        println!("seed {seed}");
        let (script, seen, calls) = record(seed, 50);
        let mut random = SplitMix64::new(seed);
        for _ in 0..6 {
            check_cut(seed, random.below(calls), &script, &seen);
        }
    }
}

#[test]
fn a_power_cut_at_each_call_of_a_script_of_deletions_leaves_one_of_its_states() {
    let (script, seen, calls) = record(7, 30);
    for cut in (0..calls).step_by(3) {
        check_cut(7, cut, &script, &seen);
    }
}
