//! Deleting, renaming, copying, and having back.

use std::sync::Arc;

use rehome_log::{ManualClock, SimDisk};
use rehome_store::{
    Change, FlagChange, Flags, FolderId, FolderName, MailboxId, MailboxState, Modseq, NewFolder,
    OpenOptions, Store, StoreError, Uid,
};

use crate::support::{append, check_whole, mailbox, mailbox_name, options};

const DAY: u64 = 24 * 60 * 60;

struct World {
    clock: Arc<ManualClock>,
    store: Store,
    anna: MailboxId,
    inbox: FolderId,
}

impl World {
    fn new() -> World {
        let disk = Arc::new(SimDisk::new());
        let clock = Arc::new(ManualClock::new(1_700_000_000_000_000));
        let retention_seconds = 14 * DAY;
        let options = OpenOptions { retention_seconds, ..options() };
        let store = Store::create(disk, clock.clone(), options).unwrap();
        let (anna, inbox) = mailbox(&store, "anna");
        World { clock, store, anna, inbox }
    }

    fn folder(&self, name: &str) -> FolderId {
        let name = folder_name(name);
        self.store.create_folder(self.anna, &name, NewFolder::default()).unwrap().id
    }

    fn deliver(&self, folder: FolderId, texts: &[&str]) -> Vec<Uid> {
        let batch = texts.iter().map(|text| (self.anna, folder, append(text))).collect();
        self.store.append_batch(batch).unwrap()
    }

    fn days_pass(&self, days: u64) {
        self.clock.advance_ms(days * DAY * 1000);
    }

    fn purge(&self) -> rehome_store::PurgeReport {
        let now = rehome_log::Clock::wall_us(&*self.clock) / 1_000_000;
        self.store.purge_expired(now).unwrap()
    }

    #[track_caller]
    fn check_texts(&self, folder: FolderId, expected: &[(u32, &str)]) {
        let found = self.store.messages(self.anna, folder, Uid(0), 100).unwrap();
        let found: Vec<_> = found
            .iter()
            .map(|m| (m.uid.0, self.store.read(self.anna, folder, m.uid).unwrap().1))
            .collect();
        let expected: Vec<_> =
            expected.iter().map(|(uid, text)| (*uid, append(text).body)).collect();
        assert_eq!(found, expected);
        check_whole(&self.store);
    }

    #[track_caller]
    fn check_names(&self, expected: &[&str]) {
        let folders = self.store.folders(self.anna).unwrap();
        let mut names: Vec<&str> = folders.iter().map(|folder| folder.name.as_str()).collect();
        names.sort_unstable();
        assert_eq!(names, expected);
    }
}

fn folder_name(text: &str) -> FolderName {
    FolderName::try_from(text).unwrap()
}

#[test]
fn an_expunged_message_comes_back_with_a_new_uid_and_all_else_as_it_was() {
    let world = World::new();
    let uids = world.deliver(world.inbox, &["one", "two", "three"]);
    let change =
        FlagChange { add: Flags::FLAGGED, add_keywords: vec!["k".into()], ..Default::default() };
    world.store.store_flags(world.anna, world.inbox, uids[1], change).unwrap();
    let before = world.store.message(world.anna, world.inbox, uids[1]).unwrap().unwrap();
    world.store.expunge(world.anna, world.inbox, &uids[1..2]).unwrap();
    world.check_texts(world.inbox, &[(1, "one"), (3, "three")]);
    let changes = world.store.snapshot().unwrap().changes(world.anna, Modseq(5), 9).unwrap();
    assert!(matches!(&changes[..], [Change::Expunge { uid: Uid(2), .. }]), "{changes:?}");
    let found = world.store.recoverable(world.anna, Modseq(0), 10).unwrap();
    assert_eq!(found.iter().map(|one| &one.message).collect::<Vec<_>>(), [&before]);
    let back = world.store.undelete(world.anna, &[found[0].removed], world.inbox).unwrap();
    assert_eq!(back, [Uid(4)]);
    world.check_texts(world.inbox, &[(1, "one"), (3, "three"), (4, "two")]);
    let after = world.store.message(world.anna, world.inbox, Uid(4)).unwrap().unwrap();
    assert!(after.modseq > before.modseq);
    let same = rehome_store::Message { uid: after.uid, modseq: after.modseq, ..before };
    assert_eq!(after, same);
    let again = world.store.undelete(world.anna, &[found[0].removed], world.inbox);
    assert!(matches!(again, Err(StoreError::NotRecoverable { .. })), "{again:?}");
}

#[test]
fn what_went_longer_ago_than_the_retention_is_gone_for_good() {
    let world = World::new();
    let uids = world.deliver(world.inbox, &["one", "two"]);
    world.store.expunge(world.anna, world.inbox, &uids[..1]).unwrap();
    world.days_pass(10);
    world.store.expunge(world.anna, world.inbox, &uids[1..]).unwrap();
    assert_eq!(world.purge().messages, 0);
    world.days_pass(5);
    let left = world.store.recoverable(world.anna, Modseq(0), 10).unwrap();
    assert_eq!(left.iter().map(|one| one.message.uid).collect::<Vec<_>>(), [Uid(2)]);
    assert_eq!(world.store.statistics().unwrap().dead_contents, 0);
    assert_eq!(world.purge().messages, 1);
    assert_eq!(world.store.statistics().unwrap().dead_contents, 1);
    world.days_pass(10);
    assert_eq!(world.purge().messages, 1);
    assert_eq!(world.store.statistics().unwrap().dead_contents, 2);
    check_whole(&world.store);
}

#[test]
fn copies_share_their_content_and_moves_leave_nothing_behind() {
    let world = World::new();
    let other = world.folder("other");
    let uids = world.deliver(world.inbox, &["one", "two"]);
    world.deliver(other, &["three"]);
    let (from, to) = ((world.anna, world.inbox), (world.anna, other));
    let copied = world.store.copy(from, &uids, to).unwrap();
    assert_eq!(copied.uids, [(Uid(1), Uid(2)), (Uid(2), Uid(3))]);
    let validity = world.store.folder(world.anna, &folder_name("other")).unwrap().unwrap();
    assert_eq!(copied.uidvalidity, validity.uidvalidity);
    let moved = world.store.move_messages(from, &uids[..1], to).unwrap();
    assert_eq!(moved.uids, [(Uid(1), Uid(4))]);
    world.check_texts(world.inbox, &[(2, "two")]);
    world.check_texts(other, &[(1, "three"), (2, "one"), (3, "two"), (4, "one")]);
    assert_eq!(world.store.statistics().unwrap().contents, 3);
    assert!(world.store.recoverable(world.anna, Modseq(0), 9).unwrap().is_empty());
    let missing = world.store.copy(from, &uids, to);
    assert!(matches!(missing, Err(StoreError::NoSuchMessage { .. })), "{missing:?}");
    world.check_texts(world.inbox, &[(2, "two")]);
}

#[test]
fn a_folder_takes_those_below_it_to_its_new_name() {
    let world = World::new();
    let a = world.folder("a");
    for name in ["a/b", "a/b/c", "ab"] {
        world.folder(name);
    }
    world.deliver(a, &["one"]);
    world.store.rename_folder(world.anna, a, &folder_name("x/y")).unwrap();
    world.check_names(&["INBOX", "ab", "x/y", "x/y/b", "x/y/b/c"]);
    world.check_texts(a, &[(1, "one")]);
    let below = world.store.rename_folder(world.anna, a, &folder_name("x/y/b/d"));
    assert!(matches!(below, Err(StoreError::FolderStays { .. })), "{below:?}");
    let taken = world.store.rename_folder(world.anna, a, &folder_name("ab"));
    assert!(matches!(taken, Err(StoreError::FolderExists { .. })), "{taken:?}");
    world.check_names(&["INBOX", "ab", "x/y", "x/y/b", "x/y/b/c"]);
}

#[test]
fn the_inbox_is_renamed_by_taking_its_messages_away_and_is_never_deleted() {
    let world = World::new();
    world.folder("INBOX/below");
    world.deliver(world.inbox, &["one"]);
    let before = world.store.folder(world.anna, &FolderName::inbox()).unwrap().unwrap();
    world.store.rename_folder(world.anna, world.inbox, &folder_name("old")).unwrap();
    world.check_names(&["INBOX", "INBOX/below", "old"]);
    world.check_texts(world.inbox, &[(1, "one")]);
    let inbox = world.store.folder(world.anna, &FolderName::inbox()).unwrap().unwrap();
    assert!(inbox.messages == 0 && inbox.uidvalidity > before.uidvalidity, "{inbox:?}");
    let deleted = world.store.delete_folder(world.anna, inbox.id);
    assert!(matches!(deleted, Err(StoreError::FolderStays { .. })), "{deleted:?}");
}

#[test]
fn a_deleted_folder_is_gone_at_once_and_comes_back_with_its_messages() {
    let world = World::new();
    let (a, below) = (world.folder("a"), world.folder("a/b"));
    let uids = world.deliver(a, &["one", "two", "three"]);
    world.deliver(below, &["four"]);
    let validity = world.store.folder(world.anna, &folder_name("a")).unwrap().unwrap().uidvalidity;
    world.store.expunge(world.anna, a, &uids[..1]).unwrap();
    world.store.delete_folder(world.anna, a).unwrap();
    world.check_names(&["INBOX", "a/b"]);
    assert!(world.store.message(world.anna, a, uids[1]).unwrap().is_none());
    assert!(world.store.read(world.anna, a, uids[1]).is_err());
    assert_eq!(world.store.mailbox(&mailbox_name("anna")).unwrap().unwrap().messages, 1);
    let changes = world.store.snapshot().unwrap().changes(world.anna, Modseq(0), 100).unwrap();
    let named = |change: &Change| match change {
        Change::Folder(info) => info.id == a,
        Change::Message { folder, .. } | Change::Expunge { folder, .. } => *folder == a,
    };
    assert!(!changes.iter().any(named), "{changes:?}");
    check_whole(&world.store);
    let again = world.folder("a");
    let info = world.store.folder(world.anna, &folder_name("a")).unwrap().unwrap();
    assert!(again != a && info.uidvalidity > validity, "{info:?}");
    let found = world.store.recoverable_folders(world.anna).unwrap();
    assert_eq!((found.len(), found[0].folder.messages), (1, 2));
    let back = world.store.undelete_folder(world.anna, a, &folder_name("back")).unwrap();
    world.check_texts(back.id, &[(1, "two"), (2, "three")]);
    assert!(world.store.recoverable_folders(world.anna).unwrap().is_empty());
    assert_eq!(world.store.recoverable(world.anna, Modseq(0), 9).unwrap().len(), 1);
}

#[test]
fn a_deleted_mailbox_frees_its_name_and_comes_back_under_another() {
    let world = World::new();
    world.deliver(world.inbox, &["one", "two"]);
    world.store.delete_mailbox(world.anna).unwrap();
    assert!(world.store.mailbox(&mailbox_name("anna")).unwrap().is_none());
    assert!(world.store.folders(world.anna).unwrap().is_empty());
    assert!(world.store.message(world.anna, world.inbox, Uid(1)).unwrap().is_none());
    let gone = world.store.append_batch(vec![(world.anna, world.inbox, append("late"))]);
    assert!(matches!(gone, Err(StoreError::NoSuchMailbox { .. })), "{gone:?}");
    let (other, inbox) = mailbox(&world.store, "anna");
    assert_ne!(other, world.anna);
    let folder = world.store.folder(other, &FolderName::inbox()).unwrap().unwrap();
    assert!(folder.uidvalidity.0 > 1_700_000_000, "{folder:?}");
    world.store.append_batch(vec![(other, inbox, append("new"))]).unwrap();
    check_whole(&world.store);
    let taken = world.store.undelete_mailbox(world.anna, None);
    assert!(matches!(taken, Err(StoreError::MailboxExists { .. })), "{taken:?}");
    let name = mailbox_name("anna-before");
    let back = world.store.undelete_mailbox(world.anna, Some(&name)).unwrap();
    assert_eq!((back.name, back.messages), (name, 2));
    world.check_texts(world.inbox, &[(1, "one"), (2, "two")]);
}

#[test]
fn a_mailbox_that_nobody_wants_back_leaves_nothing_behind() {
    let world = World::new();
    let a = world.folder("a");
    let uids = world.deliver(world.inbox, &["one", "two"]);
    world.deliver(a, &["three"]);
    world.store.expunge(world.anna, world.inbox, &uids[..1]).unwrap();
    world.store.delete_folder(world.anna, a).unwrap();
    world.store.delete_mailbox(world.anna).unwrap();
    world.days_pass(15);
    assert!(world.store.recoverable_mailboxes().unwrap().is_empty());
    let lost = world.store.undelete_mailbox(world.anna, None);
    assert!(matches!(lost, Err(StoreError::NotRecoverable { .. })), "{lost:?}");
    let report = world.purge();
    assert_eq!((report.mailboxes, report.folders, report.messages), (1, 2, 3));
    let statistics = world.store.statistics().unwrap();
    assert_eq!((statistics.mailboxes, statistics.messages), (0, 0));
    assert_eq!(statistics.dead_contents, 3);
    assert_eq!(world.purge(), rehome_store::PurgeReport::default());
    check_whole(&world.store);
}

#[test]
fn only_the_owner_of_a_mailbox_deletes_it_and_copies_go_by_their_own_call() {
    let world = World::new();
    let moved = MailboxState::Moved { to: "EX2".to_owned() };
    let copy = world.store.delete_copy(world.anna);
    assert!(matches!(copy, Err(StoreError::NotACopy { .. })), "{copy:?}");
    world.store.set_state(world.anna, moved.clone()).unwrap();
    let deleted = world.store.delete_mailbox(world.anna);
    assert!(matches!(deleted, Err(StoreError::NotActive { .. })), "{deleted:?}");
    world.store.delete_copy(world.anna).unwrap();
    let back = world.store.undelete_mailbox(world.anna, None).unwrap();
    assert_eq!(back.state, moved);
    world.store.set_state(world.anna, MailboxState::Incoming).unwrap();
    world.store.delete_copy(world.anna).unwrap();
    assert!(world.store.recoverable_mailboxes().unwrap().is_empty());
}
