//! Many callers at once.

use std::sync::atomic::{AtomicBool, Ordering};

use rehome_store::{MailboxId, Store, Uid};

use crate::support::{append, check_whole, mailbox, new_store, open};

#[test]
fn eight_threads_get_consecutive_uids_and_read_what_they_wrote() {
    let (disk, store) = new_store();
    let (anna, inbox) = mailbox(&store, "anna");
    let deliver = |store: &Store, thread: u32| -> Vec<Uid> {
        let mut uids = Vec::new();
        for n in 0..25 {
            let given = append(&format!("thread {thread} message {n}"));
            let uid = store.deliver(&[(anna, inbox)], given.clone()).unwrap()[0];
            assert_eq!(store.read(anna, inbox, uid).unwrap().1, given.body);
            uids.push(uid);
        }
        uids
    };
    let mut uids: Vec<Uid> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..8)
            .map(|thread| {
                let store = store.clone();
                scope.spawn(move || deliver(&store, thread))
            })
            .collect();
        threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
    });
    uids.sort_unstable();
    assert_eq!(uids, (1..=200).map(Uid).collect::<Vec<_>>());
    check_whole(&store);
    drop(store);
    let store = open(&disk).unwrap();
    assert_eq!(store.messages(anna, inbox, Uid(0), 1000).unwrap().len(), 200);
    check_whole(&store);
}

/// Whoever was just answered is on the way before the catalog's thread has the group.
#[test]
fn a_checkpoint_holds_what_was_acknowledged_before_it() {
    let (_disk, store) = new_store();
    let (anna, inbox) = mailbox(&store, "anna");
    std::thread::scope(|scope| {
        for thread in 0..8 {
            let store = &store;
            scope.spawn(move || {
                for n in 0..300 {
                    store.deliver(&[(anna, inbox)], append(&format!("{thread} {n}"))).unwrap();
                    let acknowledged = store.lsn();
                    let checkpoint = store.checkpoint().unwrap();
                    assert!(checkpoint >= acknowledged, "{checkpoint} of {acknowledged}");
                }
            });
        }
    });
}

#[test]
fn a_snapshot_stays_as_it_is_while_others_write() {
    let (_disk, store) = new_store();
    let (anna, inbox) = mailbox(&store, "anna");
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let writer = scope.spawn(|| {
            for n in 0..60 {
                let twice = vec![(anna, inbox, append(&format!("{n}"))); 2];
                store.append_batch(twice).unwrap();
            }
            done.store(true, Ordering::SeqCst);
        });
        let mut last = 0;
        while !done.load(Ordering::SeqCst) {
            last = check_snapshot(&store, anna, last);
        }
        writer.join().unwrap();
    });
    assert_eq!(check_snapshot(&store, anna, 0), 120);
}

/// A snapshot agrees with itself; returns how many messages are in it.
#[track_caller]
fn check_snapshot(store: &Store, anna: MailboxId, last: u64) -> u64 {
    let snapshot = store.snapshot().unwrap();
    let folder = snapshot.folders(anna).unwrap().remove(0);
    let listed = snapshot.messages(anna, folder.id, Uid(0), usize::MAX).unwrap();
    assert_eq!(folder.messages, listed.len() as u64);
    assert_eq!(folder.messages % 2, 0, "half of a group is seen");
    assert!(folder.messages >= last, "a later snapshot holds less");
    folder.messages
}

#[test]
fn dropping_the_store_ends_its_threads_and_keeps_what_was_acknowledged() {
    for _ in 0..20 {
        let (disk, store) = new_store();
        let (anna, inbox) = mailbox(&store, "anna");
        std::thread::scope(|scope| {
            for _ in 0..2 {
                let store = store.clone();
                scope.spawn(move || store.deliver(&[(anna, inbox)], append("x")).unwrap());
            }
        });
        drop(store);
        let store = open(&disk).unwrap();
        assert_eq!(store.messages(anna, inbox, Uid(0), 9).unwrap().len(), 2);
    }
}
