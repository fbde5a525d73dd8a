//! One call after the other.

use rehome_log::SplitMix64;
use rehome_store::{
    Append, ContentId, FlagChange, Flags, FolderName, MailboxState, Modseq, NewFolder, Store,
    StoreError, Uid, UidValidity,
};

use crate::support::{append, check_whole, mailbox, mailbox_name, new_store, noise, open, options};

#[test]
fn what_was_appended_is_read_back_now_and_after_a_reopening() {
    let (disk, store) = new_store();
    let (anna, inbox) = mailbox(&store, "anna");
    let mut given = append("one");
    given.flags = Flags::SEEN;
    given.keywords = vec!["b".into(), "a".into(), "b".into()];
    given.origin = Some("123.M1P1.host".into());
    let uids = store.append_batch(vec![(anna, inbox, given.clone())]).unwrap();
    assert_eq!(uids, [Uid(1)]);
    let check = |store: &rehome_store::Store| {
        let (message, body) = store.read(anna, inbox, Uid(1)).unwrap();
        assert_eq!(body, given.body);
        assert_eq!(message.content, ContentId::of(&given.body));
        assert_eq!(message.keywords, ["a", "b"]);
        assert_eq!((message.flags, message.modseq), (Flags::SEEN, Modseq(2)));
        assert_eq!(message.origin, given.origin);
        assert_eq!(store.body(&message.content).unwrap(), given.body);
        assert!(store.has_content(&message.content).unwrap());
        check_whole(store);
    };
    check(&store);
    store.close().unwrap();
    check(&open(&disk).unwrap());
}

#[test]
fn a_message_delivered_to_many_is_stored_once() {
    let (_disk, store) = new_store();
    let (anna, anna_inbox) = mailbox(&store, "anna");
    let (ben, ben_inbox) = mailbox(&store, "ben");
    let to = [(anna, anna_inbox), (ben, ben_inbox), (ben, ben_inbox)];
    assert_eq!(store.deliver(&to, append("x")).unwrap(), [Uid(1), Uid(1), Uid(2)]);
    store.append_batch(vec![(anna, anna_inbox, append("x")); 2]).unwrap();
    let statistics = store.statistics().unwrap();
    assert_eq!((statistics.messages, statistics.contents), (5, 1));
    assert_eq!(statistics.message_bytes, 5 * statistics.content_bytes);
    assert_eq!(
        store.expunge(anna, anna_inbox, &[Uid(9), Uid(3), Uid(1), Uid(2)]).unwrap().len(),
        3
    );
    assert_eq!(store.statistics().unwrap().dead_contents, 0);
    store.expunge(ben, ben_inbox, &[Uid(1), Uid(2)]).unwrap();
    assert_eq!(store.statistics().unwrap().dead_contents, 1);
    store.deliver(&to, append("x")).unwrap();
    assert_eq!(store.statistics().unwrap().dead_contents, 0);
    assert_eq!(store.read(ben, ben_inbox, Uid(4)).unwrap().1, append("x").body);
    check_whole(&store);
}

#[test]
fn uids_are_kept_when_asked_for_and_never_given_twice() {
    let (disk, store) = new_store();
    let (anna, inbox) = mailbox(&store, "anna");
    let with = |uid| Append { uid: Some(Uid(uid)), ..append("x") };
    let batch = vec![(anna, inbox, with(10)), (anna, inbox, append("y")), (anna, inbox, with(20))];
    assert_eq!(store.append_batch(batch).unwrap(), [Uid(10), Uid(11), Uid(20)]);
    for uid in [0, 20, u32::MAX] {
        let refused =
            store.append_batch(vec![(anna, inbox, append("z")), (anna, inbox, with(uid))]);
        assert!(matches!(refused, Err(StoreError::UidTaken { .. })), "{refused:?}");
    }
    store.expunge(anna, inbox, &[Uid(20)]).unwrap();
    store.close().unwrap();
    let store = open(&disk).unwrap();
    assert_eq!(store.append_batch(vec![(anna, inbox, append("z"))]).unwrap(), [Uid(21)]);
    assert_eq!(store.messages(anna, inbox, Uid(10), 2).unwrap().len(), 2);
    assert_eq!(store.messages(anna, inbox, Uid(u32::MAX), 2).unwrap(), []);
}

#[test]
fn flags_and_expunges_are_found_by_their_modseq() {
    use rehome_store::Change;
    let (_disk, store) = new_store();
    let (anna, inbox) = mailbox(&store, "anna");
    store.append_batch(vec![(anna, inbox, append("a")), (anna, inbox, append("b"))]).unwrap();
    let change = FlagChange { add: Flags::FLAGGED, ..FlagChange::default() };
    assert_eq!(store.store_flags(anna, inbox, Uid(1), change.clone()).unwrap(), Modseq(4));
    store.expunge(anna, inbox, &[Uid(2)]).unwrap();
    let snapshot = store.snapshot().unwrap();
    store.store_flags(anna, inbox, Uid(1), change).unwrap();
    let changes = snapshot.changes(anna, Modseq(0), 10).unwrap();
    let modseqs: Vec<u64> = changes.iter().map(|change| change.modseq().0).collect();
    assert_eq!(modseqs, [1, 4, 5]);
    assert!(matches!(&changes[0], Change::Folder(folder) if folder.name.is_inbox()));
    assert!(
        matches!(&changes[1], Change::Message { message, .. } if message.flags == Flags::FLAGGED)
    );
    assert!(matches!(&changes[2], Change::Expunge { uid: Uid(2), .. }));
    assert_eq!(snapshot.changes(anna, Modseq(4), 10).unwrap().len(), 1);
    assert_eq!(snapshot.changes(anna, Modseq(0), 2).unwrap().len(), 2);
    assert_eq!(store.snapshot().unwrap().changes(anna, Modseq(5), 9).unwrap().len(), 1);
    let missing = store.store_flags(anna, inbox, Uid(2), FlagChange::default());
    assert!(matches!(missing, Err(StoreError::NoSuchMessage { .. })), "{missing:?}");
}

#[test]
fn only_an_active_mailbox_takes_writes() {
    let (disk, store) = new_store();
    let (anna, inbox) = mailbox(&store, "anna");
    store.append_batch(vec![(anna, inbox, append("a"))]).unwrap();
    let others = [
        MailboxState::Incoming,
        MailboxState::Fenced { to: "B".into() },
        MailboxState::Moved { to: "B".into() },
    ];
    for state in others {
        store.set_state(anna, state.clone()).unwrap();
        let refused = |error: StoreError| match error {
            StoreError::NotActive { mailbox, state: found } => {
                assert_eq!((mailbox.as_str(), &found), ("anna", &state));
            }
            other => panic!("{other}"),
        };
        refused(store.append_batch(vec![(anna, inbox, append("b"))]).unwrap_err());
        refused(store.store_flags(anna, inbox, Uid(1), FlagChange::default()).unwrap_err());
        refused(store.expunge(anna, inbox, &[Uid(1)]).unwrap_err());
        refused(store.set_attribute(anna, "k", Some("v")).unwrap_err());
        let sent = FolderName::try_from("Sent").unwrap();
        refused(store.create_folder(anna, &sent, NewFolder::default()).unwrap_err());
        assert_eq!(store.read(anna, inbox, Uid(1)).unwrap().1, append("a").body);
    }
    drop(store);
    let store = open(&disk).unwrap();
    let info = store.mailbox(&mailbox_name("anna")).unwrap().unwrap();
    assert_eq!(info.state, MailboxState::Moved { to: "B".into() });
}

#[test]
fn mailboxes_and_folders_keep_what_they_are_given() {
    let (disk, store) = new_store();
    let (anna, inbox) = mailbox(&store, "anna");
    let taken = store.create_mailbox(&mailbox_name("anna"), MailboxState::Active);
    assert!(matches!(taken, Err(StoreError::MailboxExists { .. })), "{taken:?}");
    let new = NewFolder {
        uidvalidity: Some(UidValidity(42)),
        uidnext: Some(Uid(7)),
        attributes: [("special-use".to_owned(), "\\Sent".to_owned())].into(),
    };
    let sent = FolderName::try_from("Sent/2024").unwrap();
    let made = store.create_folder(anna, &sent, new).unwrap();
    assert_eq!((made.uidvalidity, made.uidnext), (UidValidity(42), Uid(7)));
    assert_eq!(store.create_folder(anna, &sent, NewFolder::default()).unwrap(), made);
    assert_eq!(store.folder(anna, &FolderName::inbox()).unwrap().unwrap().id, inbox);
    store.set_subscriptions(anna, vec!["Sent/2024".into()]).unwrap();
    store.set_attribute(anna, "quota", Some("5")).unwrap();
    store.set_attribute(anna, "gone", Some("x")).unwrap();
    store.set_attribute(anna, "gone", None).unwrap();
    store.append_batch(vec![(anna, made.id, append("a"))]).unwrap();
    drop(store);
    let store = open(&disk).unwrap();
    let info = store.mailbox(&mailbox_name("anna")).unwrap().unwrap();
    assert_eq!(info.subscriptions, ["Sent/2024"]);
    assert_eq!(info.attributes, [("quota".to_owned(), "5".to_owned())].into());
    assert_eq!((info.messages, info.highest_modseq), (1, Modseq(7)));
    assert_eq!(store.folders(anna).unwrap().len(), 2);
    assert_eq!(store.mailboxes().unwrap(), [info]);
    assert_eq!(store.message(anna, made.id, Uid(7)).unwrap().unwrap().uid, Uid(7));
    let next = store.create_mailbox(&mailbox_name("ben"), MailboxState::Active).unwrap();
    assert!(next > anna);
    check_whole(&store);
}

#[test]
fn segments_and_generations_roll_and_the_log_is_given_up_at_checkpoints() {
    let (disk, store) = new_store();
    let (anna, inbox) = mailbox(&store, "anna");
    for batch in 0..40 {
        let texts = (0..20).map(|n| append(&format!("{batch} {n} {}", "x".repeat(300))));
        store.append_batch(texts.map(|append| (anna, inbox, append)).collect()).unwrap();
    }
    let statistics = store.statistics().unwrap();
    assert!(statistics.segments > 5, "{statistics:?}");
    let before = statistics.log_bytes;
    store.checkpoint().unwrap();
    assert!(store.statistics().unwrap().log_bytes < before);
    check_whole(&store);
    store.close().unwrap();
    let store = open(&disk).unwrap();
    assert_eq!(store.statistics().unwrap().messages, 800);
    check_whole(&store);
}

#[test]
fn two_openings_exclude_each_other_until_the_first_ends() {
    let (disk, store) = new_store();
    let (anna, inbox) = mailbox(&store, "anna");
    let refused = open(&disk).unwrap_err();
    assert!(
        matches!(&refused, StoreError::Locked { owner } if owner.contains("test")),
        "{refused}"
    );
    let other_handle = store.clone();
    store.close().unwrap();
    let closed = other_handle.append_batch(vec![(anna, inbox, append("a"))]);
    assert!(matches!(closed, Err(StoreError::Closed)), "{closed:?}");
    let second = open(&disk).unwrap();
    assert!(second.epoch() > other_handle.epoch());
    second.append_batch(vec![(anna, inbox, append("a"))]).unwrap();
}

#[test]
fn a_store_on_a_real_disk_is_made_with_its_folder_and_opened_again() {
    let root = tempfile::tempdir().unwrap();
    let path = root.path().join("deep/store");
    let missing = Store::open_at(&path, options()).unwrap_err();
    assert!(matches!(missing, StoreError::NoStore { .. }), "{missing}");
    let store = Store::create_at(&path, options()).unwrap();
    let (anna, inbox) = mailbox(&store, "anna");
    store.append_batch((0..100).map(|n| (anna, inbox, append(&n.to_string()))).collect()).unwrap();
    let locked = Store::open_at(&path, options()).unwrap_err();
    assert!(matches!(locked, StoreError::Locked { .. }), "{locked}");
    drop(store);
    let store = Store::open_at(&path, options()).unwrap();
    check_whole(&store);
    assert_eq!(store.read(anna, inbox, Uid(100)).unwrap().1, append("99").body);
}

#[test]
fn a_snapshot_may_outlive_its_store() {
    let (disk, store) = new_store();
    let (anna, inbox) = mailbox(&store, "anna");
    store.append_batch(vec![(anna, inbox, append("a"))]).unwrap();
    let snapshot = store.snapshot().unwrap();
    store.close().unwrap();
    let store = open(&disk).unwrap();
    store.append_batch(vec![(anna, inbox, append("b"))]).unwrap();
    // Whether it can still read is not promised; it says so if it cannot, and harms nothing.
    if let Ok(messages) = snapshot.messages(anna, inbox, Uid(0), 9) {
        assert_eq!(messages.len(), 1);
    }
    drop(snapshot);
    check_whole(&store);
}

#[test]
fn a_request_that_does_not_fit_a_group_is_refused_and_the_store_goes_on() {
    let (_disk, store) = new_store();
    let (anna, inbox) = mailbox(&store, "anna");
    let many = |count: usize| (0..count).map(|n| (anna, inbox, append(&n.to_string()))).collect();
    let refused = store.append_batch(many(400)).unwrap_err();
    assert!(matches!(refused, StoreError::TooLarge { .. }), "{refused}");
    let long = Append { keywords: vec!["k".repeat(70_000)], ..append("x") };
    let refused = store.append_batch(vec![(anna, inbox, long)]).unwrap_err();
    assert!(matches!(refused, StoreError::TooLarge { .. }), "{refused}");
    assert_eq!(store.append_batch(many(200)).unwrap().len(), 200);
    // Each record longer than a segment has one to itself.
    let mut random = SplitMix64::new(4);
    let big = (0..4).map(|_| (anna, inbox, append(&noise(&mut random, 100_000))));
    let before = store.statistics().unwrap().segment_bytes;
    store.append_batch(big.collect()).unwrap();
    let after = store.statistics().unwrap().segment_bytes;
    assert!(after - before > 4 * options().segment_bytes, "{before} to {after}");
    check_whole(&store);
}
