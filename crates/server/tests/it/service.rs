//! What the services answer.

use std::collections::BTreeMap;

use rehome_server::{ErrorCode, Recipient, StoreClient};
use rehome_store::{FlagChange, Flags, FolderName, MailboxState, Uid};

use crate::world::{World, name, server_name};

#[test]
fn mail_is_delivered_read_flagged_and_expunged() {
    let world = World::new(1);
    let mailbox = &world.mailboxes[0];
    let mut store = StoreClient::new(world.first.store_address());
    let work = FolderName::try_from("Work/2024").unwrap();
    let recipient = Recipient {
        folder: Some(work.clone()),
        date_seconds: Some(-5),
        flags: Flags::SEEN,
        keywords: vec!["red".to_owned()],
        ..Recipient::new(mailbox.clone())
    };
    let stored = store.deliver(&recipient, b"Subject: one\r\n\r\n").unwrap();
    assert_eq!((stored.folder.as_str(), stored.uid, stored.before), ("Work/2024", Uid(1), false));
    store.deliver(&Recipient::new(mailbox.clone()), b"").unwrap();
    let (row, body) = store.fetch(mailbox, &work, Uid(1)).unwrap();
    assert_eq!(body, b"Subject: one\r\n\r\n");
    assert_eq!((row.internal_date_seconds, row.flags), (-5, Flags::SEEN));
    assert_eq!(row.keywords, ["red"]);
    let change = FlagChange { add: Flags::DELETED, ..FlagChange::default() };
    store.flags(mailbox, &work, Uid(1), change).unwrap();
    let page = store.messages(mailbox, &work, Uid(0), 10).unwrap();
    assert!(page.messages[0].flags.contains(Flags::DELETED) && !page.more);
    assert_eq!(store.expunge(mailbox, &work, vec![Uid(1), Uid(9)]).unwrap(), [Uid(1)]);
    let gone = store.fetch(mailbox, &work, Uid(1)).unwrap_err();
    assert_eq!(gone.code(), Some(ErrorCode::NotFound));
    store.create_folder(mailbox, &FolderName::try_from("Sent").unwrap(), BTreeMap::new()).unwrap();
    store.subscribe(mailbox, vec!["Sent".to_owned()]).unwrap();
    let names: Vec<String> =
        store.folders(mailbox).unwrap().into_iter().map(|folder| folder.name.into()).collect();
    assert_eq!(names, ["Work/2024", "INBOX", "Sent"]);
    assert!(store.verify(None).unwrap().is_clean());
    assert!(store.verify(Some(mailbox)).unwrap().is_clean());
    store.checkpoint().unwrap();
    assert_eq!(store.statistics().unwrap().messages, 1);
}

#[test]
fn a_delivery_that_is_tried_again_is_stored_once() {
    let world = World::new(1);
    let mut store = StoreClient::new(world.first.store_address());
    let recipient = Recipient {
        token: Some("1.M2P3.client".to_owned()),
        ..Recipient::new(world.mailboxes[0].clone())
    };
    let first = store.deliver(&recipient, b"once").unwrap();
    let again = Recipient { again: true, ..recipient };
    let second = store.deliver(&again, b"once").unwrap();
    assert_eq!((second.uid, second.before), (first.uid, true));
    assert_eq!(store.statistics().unwrap().messages, 1);
}

/// A mailbox in this state refuses writing and reading with these codes.
#[track_caller]
fn check_state(state: &MailboxState, writing: Option<ErrorCode>, reading: Option<ErrorCode>) {
    let world = World::new(1);
    let mailbox = &world.mailboxes[0];
    let mut store = StoreClient::new(world.first.store_address());
    store.deliver(&Recipient::new(mailbox.clone()), b"mail").unwrap();
    store.set_state(mailbox, state).unwrap();
    let written = store.deliver(&Recipient::new(mailbox.clone()), b"more");
    assert_eq!(written.err().and_then(|error| error.code()), writing, "{state}");
    let inbox = FolderName::inbox();
    let change = FlagChange { add: Flags::SEEN, ..FlagChange::default() };
    let flagged = store.flags(mailbox, &inbox, Uid(1), change);
    assert_eq!(flagged.err().and_then(|error| error.code()), writing, "{state}");
    let read = store.fetch(mailbox, &inbox, Uid(1));
    assert_eq!(read.err().and_then(|error| error.code()), reading, "{state}");
}

#[test]
fn a_mailbox_is_refused_by_its_state() {
    use ErrorCode::{Fenced, Moved, NotActive};
    let to = || "EX2".to_owned();
    check_state(&MailboxState::Active, None, None);
    check_state(&MailboxState::Fenced { to: to() }, Some(Fenced), None);
    check_state(&MailboxState::Moved { to: to() }, Some(Moved), Some(Moved));
    check_state(&MailboxState::Incoming, Some(NotActive), Some(NotActive));
}

#[test]
fn a_fence_over_the_whole_store_refuses_all_writes_and_no_reads() {
    let world = World::new(1);
    let mailbox = &world.mailboxes[0];
    let mut store = StoreClient::new(world.first.store_address());
    store.deliver(&Recipient::new(mailbox.clone()), b"mail").unwrap();
    let lsn = store.fence_all("backup").unwrap();
    assert_eq!(store.hello().unwrap().fenced.as_deref(), Some("backup"));
    let refused = store.deliver(&Recipient::new(mailbox.clone()), b"more").unwrap_err();
    assert_eq!(refused.code(), Some(ErrorCode::Fenced));
    let refused = store.set_state(mailbox, &MailboxState::Incoming).unwrap_err();
    assert_eq!(refused.code(), Some(ErrorCode::Fenced));
    store.fetch(mailbox, &FolderName::inbox(), Uid(1)).unwrap();
    assert_eq!(store.hello().unwrap().lsn, Some(lsn));
    store.resume_all().unwrap();
    store.deliver(&Recipient::new(mailbox.clone()), b"more").unwrap();
}

#[test]
fn requests_and_answers_longer_than_a_line_travel_as_bodies() {
    let world = World::new(0);
    let mut store = StoreClient::new(world.first.store_address());
    let long = "x".repeat(60);
    let mailboxes: Vec<_> = (0..1500).map(|n| name(&format!("{n}-{long}"))).collect();
    for mailbox in &mailboxes {
        world.first.store().create_mailbox(mailbox, MailboxState::Active).unwrap();
    }
    assert_eq!(store.mailboxes().unwrap().len(), 1500);
    let since: Vec<_> = mailboxes.into_iter().map(|mailbox| (mailbox, None)).collect();
    assert_eq!(store.offer(&since).unwrap().mailboxes.len(), 1500);
}

#[test]
fn a_directory_tells_everything_about_its_site() {
    let world = World::new(2);
    let mut directory = world.directory();
    let summary = directory.summary().unwrap();
    assert_eq!(summary.servers, [server_name("EX1"), server_name("EX2")]);
    assert_eq!(summary.mailboxes.len(), 2);
    let exported = directory.export().unwrap();
    assert_eq!(exported.mailboxes(), summary.mailboxes);
    assert_eq!(exported.vector(), &summary.vector);
    directory.checkpoint().unwrap();
    let unknown = rehome_site::MailboxName::new("nobody").unwrap();
    let refused = directory.home(&unknown).unwrap_err();
    assert_eq!(refused.code(), Some(ErrorCode::NotFound));
}

/// Sends `receive` and then these bytes; reads what comes.
fn receive_garbage(address: &str, bytes: &[u8]) -> String {
    use std::io::{Read as _, Write as _};
    let mut stream = std::net::TcpStream::connect(address).unwrap();
    stream.write_all(b"{\"op\":\"receive\"}\n").unwrap();
    let mut line = [0; 21];
    stream.read_exact(&mut line).unwrap();
    assert_eq!(&line, b"{\"ok\":{\"stream\":true}");
    stream.write_all(bytes).unwrap();
    stream.shutdown(std::net::Shutdown::Write).unwrap();
    let mut answer = String::new();
    // A service that closes on bytes it has not read may take its answer with it.
    drop(stream.read_to_string(&mut answer));
    answer
}

#[test]
fn a_transfer_stream_of_garbage_is_refused_and_changes_nothing() {
    let world = World::new(1);
    let mut store = StoreClient::new(world.first.store_address());
    store.deliver(&Recipient::new(world.mailboxes[0].clone()), b"mail").unwrap();
    let before = store.statistics().unwrap();
    let answer = receive_garbage(world.first.store_address(), &[0xFF; 64]);
    assert!(answer.is_empty() || answer.contains("\"code\":\"damaged\""), "{answer}");
    let answer = receive_garbage(world.first.store_address(), b"");
    assert!(answer.contains("\"code\":\"damaged\"") && answer.contains("cut off"), "{answer}");
    assert_eq!(store.statistics().unwrap(), before);
}
