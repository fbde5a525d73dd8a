//! Pieces of transfers, applied.

use std::sync::Arc;

use rehome_log::SimDisk;
use rehome_store::{
    ApplyBatch, ContentId, ContentRun, Flags, FolderName, IncomingFolder, IncomingMailbox,
    MailboxState, Message, Modseq, OpenOptions, Snapshot, Store, StoreError, Uid, UidValidity,
};

use crate::support::{append, check_whole, clock, mailbox, mailbox_name, new_store, open, options};

fn folder(uidnext: u32, modseq: u64) -> IncomingFolder {
    IncomingFolder {
        name: FolderName::inbox(),
        uidvalidity: UidValidity(9),
        uidnext: Uid(uidnext),
        attributes: [("a".to_owned(), "b".to_owned())].into(),
        modseq: Modseq(modseq),
    }
}

fn message(uid: u32, modseq: u64, text: &str) -> (FolderName, Message) {
    let body = append(text).body;
    let message = Message {
        uid: Uid(uid),
        modseq: Modseq(modseq),
        content: ContentId::of(&body),
        size_bytes: body.len() as u64,
        internal_date_seconds: 5,
        flags: Flags::SEEN,
        keywords: vec!["k".into()],
        origin: None,
    };
    (FolderName::inbox(), message)
}

/// A mailbox with a folder, as a sender would describe it.
fn incoming(messages: Vec<(FolderName, Message)>, cursor: u64) -> IncomingMailbox {
    IncomingMailbox {
        name: mailbox_name("anna"),
        attributes: [("quota".to_owned(), "7".to_owned())].into(),
        subscriptions: vec!["INBOX".into()],
        folders: vec![folder(50, 1)],
        messages,
        expunges: Vec::new(),
        cursor: Modseq(cursor),
    }
}

/// The records of contents, from the segments of another store.
fn records(texts: &[&str]) -> Vec<ContentRun> {
    let plain = OpenOptions { pack_over_bytes: None, ..options() };
    let sender = Store::create(Arc::new(SimDisk::new()), clock(), plain).unwrap();
    let (ben, inbox) = mailbox(&sender, "ben");
    sender.append_batch(texts.iter().map(|text| (ben, inbox, append(text))).collect()).unwrap();
    let snapshot = sender.snapshot().unwrap();
    let locate = |text: &&str| snapshot.locate(&ContentId::of(&append(text).body));
    let extents = texts.iter().map(|text| locate(text).unwrap().unwrap());
    extents.map(|at| sender.read_records(&[at]).unwrap()).collect()
}

fn batch(runs: Vec<ContentRun>, mailbox: IncomingMailbox) -> ApplyBatch {
    ApplyBatch { runs, mailboxes: vec![mailbox] }
}

pub(crate) fn everything(store: &Store) -> (Snapshot, String) {
    let snapshot = store.snapshot().unwrap();
    let mut text = String::new();
    for mailbox in snapshot.mailboxes().unwrap() {
        let folders = snapshot.folders(mailbox.id).unwrap();
        let changes = snapshot.changes(mailbox.id, Modseq(0), 1000).unwrap();
        text.push_str(&format!("{mailbox:?} {folders:?} {changes:?}\n"));
    }
    (snapshot, text)
}

#[test]
fn a_batch_makes_the_mailbox_and_keeps_uids_modseqs_dates_and_flags() {
    let (disk, store) = new_store();
    let run = records(&["a", "b"]);
    let messages = vec![message(3, 7, "a"), message(8, 5, "b"), message(9, 6, "a")];
    store.apply(batch(run, incoming(messages.clone(), 7))).unwrap();
    drop(store);
    let store = open(&disk).unwrap();
    let info = store.mailbox(&mailbox_name("anna")).unwrap().unwrap();
    assert_eq!(info.state, MailboxState::Incoming);
    assert_eq!((info.messages, info.highest_modseq), (3, Modseq(7)));
    assert_eq!(info.attributes["quota"], "7");
    assert_eq!(store.incoming_cursor(&info.name).unwrap(), Some(Modseq(7)));
    let inbox = store.folder(info.id, &FolderName::inbox()).unwrap().unwrap();
    assert_eq!((inbox.uidvalidity, inbox.uidnext), (UidValidity(9), Uid(50)));
    let found = store.messages(info.id, inbox.id, Uid(0), 10).unwrap();
    assert_eq!(found, messages.into_iter().map(|(_, message)| message).collect::<Vec<_>>());
    assert_eq!(store.read(info.id, inbox.id, Uid(8)).unwrap().1, append("b").body);
    assert_eq!(store.statistics().unwrap().contents, 2);
    store.set_state(info.id, MailboxState::Active).unwrap();
    assert_eq!(store.append_batch(vec![(info.id, inbox.id, append("c"))]).unwrap(), [Uid(50)]);
    let new = store.message(info.id, inbox.id, Uid(50)).unwrap().unwrap();
    assert_eq!(new.modseq, Modseq(8));
    check_whole(&store);
}

#[test]
fn a_batch_applied_again_changes_nothing() {
    let (_disk, store) = new_store();
    let run = records(&["a", "b", "c"]);
    let first = batch(run, incoming(vec![message(1, 2, "a"), message(2, 3, "b")], 3));
    let mut second = incoming(vec![message(1, 6, "c")], 6);
    second.folders = vec![folder(60, 4)];
    second.expunges = vec![(FolderName::inbox(), Uid(2), Modseq(5))];
    let second = batch(Vec::new(), second);
    store.apply(first.clone()).unwrap();
    store.apply(second.clone()).unwrap();
    let (_, expected) = everything(&store);
    assert!(expected.contains("Expunge"), "{expected}");
    let contents = store.statistics().unwrap();
    store.apply(second.clone()).unwrap();
    store.apply(first).unwrap();
    store.apply(second).unwrap();
    let (_, found) = everything(&store);
    assert_eq!(found, expected);
    let again = store.statistics().unwrap();
    assert_eq!((again.contents, again.dead_contents), (contents.contents, 2));
    check_whole(&store);
}

#[test]
fn a_batch_that_is_not_complete_is_refused_and_nothing_of_it_applied() {
    let (_disk, store) = new_store();
    let (anna, _) = mailbox(&store, "anna");
    let refused = store.apply(batch(records(&["a"]), incoming(vec![message(1, 2, "a")], 2)));
    assert!(matches!(refused, Err(StoreError::NotIncoming { .. })), "{refused:?}");
    store.set_state(anna, MailboxState::Incoming).unwrap();
    let (_, before) = everything(&store);
    let lost = vec![message(1, 2, "a"), message(2, 3, "b")];
    let refused = store.apply(batch(records(&["a"]), incoming(lost, 3)));
    assert!(matches!(refused, Err(StoreError::NoSuchContent { .. })), "{refused:?}");
    let mut homeless = incoming(vec![message(1, 2, "a")], 3);
    homeless.messages[0].0 = FolderName::try_from("Sent").unwrap();
    let refused = store.apply(batch(records(&["a"]), homeless));
    assert!(matches!(refused, Err(StoreError::UnknownFolder { .. })), "{refused:?}");
    let mut torn: Vec<u8> =
        records(&["a", "b"]).iter().flat_map(|run| run.bytes().to_vec()).collect();
    let last = torn.len() - 20;
    torn[last] ^= 1;
    let refused = ContentRun::check(&torn);
    assert!(matches!(refused, Err(StoreError::BadRecords { .. })), "{refused:?}");
    let (_, after) = everything(&store);
    assert_eq!(before, after);
    assert_eq!(store.statistics().unwrap().contents, 0);
    check_whole(&store);
}

#[test]
fn a_long_run_is_cut_at_the_ends_of_segments_and_known_records_are_left_out() {
    let (disk, store) = new_store();
    let texts: Vec<String> = (0..60).map(|n| format!("{n} {}", "y".repeat(3000))).collect();
    let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
    let every_third: Vec<&str> = texts.iter().copied().step_by(3).collect();
    let rows = |texts: &[&str], from: u32| -> Vec<_> {
        let numbered = (from..).zip(texts);
        numbered.map(|(uid, text)| message(uid, u64::from(uid), text)).collect()
    };
    store.apply(batch(records(&every_third), incoming(rows(&every_third, 2), 21))).unwrap();
    store.apply(batch(records(&texts), incoming(rows(&texts, 100), 200))).unwrap();
    let statistics = store.statistics().unwrap();
    assert_eq!((statistics.contents, statistics.messages), (60, 80));
    assert!(statistics.segments > 3, "{statistics:?}");
    check_whole(&store);
    drop(store);
    check_whole(&open(&disk).unwrap());
}
