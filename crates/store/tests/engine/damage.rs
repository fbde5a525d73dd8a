//! Damaged files, foreign versions, expired leases.

use std::sync::Arc;

use rehome_log::{FileName, ManualClock};
use rehome_store::{Lease, OpenOptions, Store, StoreError, Uid};

use crate::support::{append, check_whole, clock, mailbox, new_store, open, options};

fn name(text: &str) -> FileName {
    FileName::new(text).unwrap()
}

#[test]
fn a_flipped_byte_of_a_segment_harms_its_message_alone() {
    let (disk, store) = new_store();
    let (anna, inbox) = mailbox(&store, "anna");
    let batch = (0..5).map(|n| (anna, inbox, append(&format!("message {n}"))));
    store.append_batch(batch.collect()).unwrap();
    store.close().unwrap();
    let segment = name("seg/s00000001.seg");
    let whole = disk.contents(&segment).unwrap();
    let text = b"message 2";
    let at = whole.windows(text.len()).position(|window| window == text).unwrap();
    let mut bytes = whole;
    bytes[at] ^= 0x20;
    disk.set_contents(&segment, bytes);
    let store = open(&disk).unwrap();
    for uid in [1, 2, 4, 5] {
        assert!(store.read(anna, inbox, Uid(uid)).is_ok(), "{uid}");
    }
    let error = store.read(anna, inbox, Uid(3)).unwrap_err();
    assert!(
        matches!(&error, StoreError::Damaged { place, .. } if place.contains("s00000001.seg")),
        "{error}"
    );
    let report = store.check(&mut |_| {}).unwrap();
    assert_eq!(report.damaged.len(), 1, "{report:?}");
    let damaged = &report.damaged[0];
    let place = (damaged.mailbox.as_str(), damaged.folder.as_str(), damaged.uid);
    assert_eq!(place, ("anna", "INBOX", Uid(3)));
    assert_eq!((report.messages, report.contents, report.faults.len()), (5, 5, 0));
    store.append_batch(vec![(anna, inbox, append("more"))]).unwrap();
}

#[test]
fn a_missing_segment_harms_its_messages_alone() {
    let (disk, store) = new_store();
    let (anna, inbox) = mailbox(&store, "anna");
    store.append_batch(vec![(anna, inbox, append("first"))]).unwrap();
    drop(store);
    let store = open(&disk).unwrap();
    store.append_batch(vec![(anna, inbox, append("second"))]).unwrap();
    store.close().unwrap();
    rehome_log::Disk::remove(&*disk, &name("seg/s00000001.seg")).unwrap();
    let store = open(&disk).unwrap();
    assert!(matches!(store.read(anna, inbox, Uid(1)), Err(StoreError::Damaged { .. })));
    assert_eq!(store.read(anna, inbox, Uid(2)).unwrap().1, append("second").body);
    assert_eq!(store.check(&mut |_| {}).unwrap().damaged.len(), 1);
}

#[test]
fn a_store_of_a_later_version_is_refused_by_its_number_and_left_alone() {
    let (disk, store) = new_store();
    store.close().unwrap();
    let identity = disk.contents(&name("store.id")).unwrap();
    let later = String::from_utf8(identity).unwrap().replace("\"version\": 6", "\"version\": 8");
    disk.set_contents(&name("store.id"), later.into_bytes());
    let epoch = disk.contents(&name("epoch"));
    let error = open(&disk).unwrap_err();
    assert!(matches!(error, StoreError::UnsupportedVersion { found: 8, known: 7 }), "{error}");
    assert_eq!(disk.contents(&name("epoch")), epoch);
}

#[test]
fn a_store_of_the_first_version_is_opened_and_gets_the_new_one() {
    let (disk, store) = new_store();
    let (anna, inbox) = mailbox(&store, "anna");
    store.append_batch(vec![(anna, inbox, append("first"))]).unwrap();
    store.close().unwrap();
    let read = || String::from_utf8(disk.contents(&name("store.id")).unwrap()).unwrap();
    let earlier = read().replace("\"version\": 6", "\"version\": 1");
    disk.set_contents(&name("store.id"), earlier.into_bytes());
    let store = open(&disk).unwrap();
    assert_eq!(store.read(anna, inbox, Uid(1)).unwrap().1, append("first").body);
    assert!(read().contains("\"version\": 6"));
}

#[test]
fn an_empty_folder_and_a_full_one_are_told_apart() {
    let empty = Arc::new(rehome_log::SimDisk::new());
    assert!(matches!(open(&empty), Err(StoreError::NoStore { .. })));
    let (disk, store) = new_store();
    store.close().unwrap();
    let again = Store::create(disk.clone(), clock(), options());
    assert!(matches!(again, Err(StoreError::StoreExists { .. })));
    rehome_log::Disk::remove(&*disk, &name("store.id")).unwrap();
    let again = Store::create(disk.clone(), clock(), options());
    assert!(matches!(again, Err(StoreError::StoreExists { .. })), "a log is no empty folder");
    check_error_names_the_catalog();
}

fn check_error_names_the_catalog() {
    let (disk, store) = new_store();
    store.close().unwrap();
    rehome_log::Disk::remove(&*disk, &name("mail.redb")).unwrap();
    let error = open(&disk).unwrap_err();
    assert!(matches!(&error, StoreError::Damaged { place, .. } if place == "mail.redb"), "{error}");
}

#[test]
fn damage_of_the_log_below_what_was_acknowledged_is_refused_with_its_place() {
    let (disk, store) = new_store();
    let (anna, inbox) = mailbox(&store, "anna");
    for n in 0..10 {
        store.append_batch(vec![(anna, inbox, append(&n.to_string()))]).unwrap();
    }
    drop(store);
    let dir = name("log");
    let file = dir.join(&rehome_log::Disk::list(&*disk, &dir).unwrap()[0]).unwrap();
    let mut bytes = disk.contents(&file).unwrap();
    let at = bytes.windows(7).position(|window| window == b"subject").unwrap_or(4500);
    bytes[at] ^= 1;
    disk.set_contents(&file, bytes);
    let error = open(&disk).unwrap_err();
    assert!(
        matches!(&error, StoreError::Damaged { place, .. } if place.contains("log")),
        "{error}"
    );
}

#[test]
fn a_commit_after_the_lease_is_refused_and_one_in_time_is_not() {
    let disk = Arc::new(rehome_log::SimDisk::new());
    let time = Arc::new(ManualClock::new(0));
    let lease = Lease::new(time.clone());
    let with = OpenOptions { lease: Some(lease.clone()), ..options() };
    let store = Store::create(disk, time.clone(), with).unwrap();
    let name = crate::support::mailbox_name("anna");
    let create = || store.create_mailbox(&name, rehome_store::MailboxState::Active);
    assert!(matches!(create(), Err(StoreError::LeaseExpired { .. })));
    lease.extend_to(100);
    time.advance_ms(100);
    assert!(matches!(create(), Err(StoreError::LeaseExpired { late_ms: 0 })));
    lease.extend_to(200);
    create().unwrap();
    let inbox = rehome_store::FolderName::inbox();
    let anna = store.mailbox(&name).unwrap().unwrap().id;
    store.create_folder(anna, &inbox, Default::default()).unwrap();
    lease.end();
    let sent = rehome_store::FolderName::try_from("Sent").unwrap();
    let late = store.create_folder(anna, &sent, Default::default());
    assert!(matches!(late, Err(StoreError::LeaseExpired { .. })), "{late:?}");
    assert_eq!(store.folders(anna).unwrap().len(), 1);
    check_whole(&store);
}

#[test]
fn a_later_owner_stops_an_earlier_one_before_it_acknowledges() {
    let (disk, store) = new_store();
    let (anna, inbox) = mailbox(&store, "anna");
    // What an owner on another computer does, where the lock does not reach.
    let elsewhere = disk.restart();
    let later = rehome_log::Ownership::acquire(Arc::new(elsewhere), "later", 77).unwrap();
    assert_eq!(later.epoch(), 77);
    let theirs = disk.restart();
    drop(later);
    let epoch = {
        let there = Arc::new(theirs);
        drop(rehome_log::Ownership::acquire(there.clone(), "later", 77).unwrap());
        there.contents(&name("epoch")).unwrap()
    };
    disk.set_contents(&name("epoch"), epoch);
    let refused = store.append_batch(vec![(anna, inbox, append("late"))]).unwrap_err();
    assert!(matches!(refused, StoreError::Fenced { newer: 77, .. }), "{refused}");
    let refused = store.append_batch(vec![(anna, inbox, append("later"))]).unwrap_err();
    assert!(matches!(refused, StoreError::Fenced { .. }), "{refused}");
    assert_eq!(store.messages(anna, inbox, Uid(0), 9).unwrap(), []);
}

#[test]
fn a_token_that_is_over_is_told_with_the_way_out() {
    let (disk, store) = new_store();
    store.close().unwrap();
    let with =
        |epoch_token| Store::open(disk.clone(), clock(), OpenOptions { epoch_token, ..options() });
    with(40).unwrap().close().unwrap();
    let refused = with(3).unwrap_err();
    assert!(matches!(refused, StoreError::Outdated(_)), "{refused}");
    let told = refused.to_string();
    assert!(told.contains("token 3") && told.contains("remove the file `epoch`"), "{told}");
    with(40).unwrap().close().unwrap();
}
