//! Whoever follows a store hears every change once, in order.

use std::time::Duration;

use rehome_store::{
    ChangeEvent, ChangeKind, Flags, FolderId, MailboxId, Store, StoreError, Subscription, Uid,
};

use crate::support::{append, mailbox, new_store, open};

const NOW: Duration = Duration::ZERO;

fn all(subscription: &mut Subscription) -> Vec<ChangeEvent> {
    std::iter::from_fn(|| subscription.next_event(NOW).unwrap()).collect()
}

fn deliver(store: &Store, at: (MailboxId, FolderId), count: usize) {
    for number in 0..count {
        store.deliver(&[at], append(&number.to_string())).unwrap();
    }
}

/// The UIDs delivered, in order, with LSNs that rise.
#[track_caller]
fn check_delivered(events: &[ChangeEvent], uids: std::ops::Range<u32>) {
    let found: Vec<u32> = events
        .iter()
        .filter_map(|event| match event.what {
            ChangeKind::Delivered { uid, .. } => Some(uid.0),
            _ => None,
        })
        .collect();
    assert_eq!(found, uids.collect::<Vec<_>>());
    assert!(events.is_sorted_by_key(|event| event.lsn));
}

#[test]
fn each_kind_of_change_is_told_in_order() {
    let (_disk, store) = new_store();
    let mut subscription = store.subscribe(store.lsn()).unwrap();
    let at = mailbox(&store, "anna");
    deliver(&store, at, 2);
    let change = rehome_store::FlagChange { add: Flags::SEEN, ..Default::default() };
    store.store_flags(at.0, at.1, Uid(1), change).unwrap();
    store.move_messages(at, &[Uid(1)], at).unwrap();
    store.delete_mailbox(at.0).unwrap();
    let events = all(&mut subscription);
    let (folder, gone) = (at.1, ChangeKind::Expunged { folder: at.1, uid: Uid(1) });
    let kinds: Vec<ChangeKind> = events.into_iter().map(|event| event.what).collect();
    assert!(matches!(kinds[0], ChangeKind::MailboxMade { .. }), "{kinds:?}");
    assert!(matches!(kinds[1], ChangeKind::FolderMade { .. }), "{kinds:?}");
    let rest = [
        ChangeKind::Delivered { folder, uid: Uid(1) },
        ChangeKind::Delivered { folder, uid: Uid(2) },
        ChangeKind::Flags { folder, uid: Uid(1) },
        ChangeKind::Delivered { folder, uid: Uid(3) },
        gone,
        ChangeKind::MailboxDeleted,
    ];
    assert_eq!(kinds[2..], rest);
    assert_eq!(subscription.lsn(), store.lsn());
}

#[test]
fn who_comes_late_or_again_reads_the_log_on_from_there() {
    let (disk, store) = new_store();
    let at = mailbox(&store, "anna");
    deliver(&store, at, 300);
    let mut subscription = store.subscribe(rehome_log::Lsn::ZERO).unwrap();
    let events = all(&mut subscription);
    check_delivered(&events, 1..301);
    let middle = events[150].lsn;
    drop(subscription);
    drop(store);
    let store = open(&disk).unwrap();
    let end = store.lsn();
    deliver(&store, at, 20);
    let mut subscription = store.subscribe(end).unwrap();
    check_delivered(&all(&mut subscription), 301..321);
    drop(subscription);
    deliver(&store, at, 1_000);
    store.checkpoint().unwrap();
    deliver(&store, at, 1_000);
    store.checkpoint().unwrap();
    let late = store.subscribe(middle);
    assert!(matches!(late, Err(StoreError::NamesGap { .. })), "{late:?}");
}

#[test]
fn a_subscription_keeps_the_log_and_loses_nothing_however_slow_it_is() {
    let (_disk, store) = new_store();
    let at = mailbox(&store, "anna");
    let mut slow = store.subscribe(store.lsn()).unwrap();
    deliver(&store, at, 10);
    let mut events = vec![slow.next_event(NOW).unwrap().unwrap()];
    for _ in 0..20 {
        let batch = (0..1_000).map(|_| (at.0, at.1, append("same"))).collect::<Vec<_>>();
        for some in batch.chunks(200) {
            store.append_batch(some.to_vec()).unwrap();
        }
        store.checkpoint().unwrap();
    }
    events.extend(all(&mut slow));
    check_delivered(&events, 1..20_011);
}

#[test]
fn a_reader_beside_writers_hears_all_and_ends_with_the_store() {
    let (_disk, store) = new_store();
    let at = mailbox(&store, "anna");
    let reader = store.subscribe(store.lsn()).unwrap();
    let events = std::thread::scope(|scope| {
        let reading = scope.spawn(move || reader.map(Result::unwrap).collect::<Vec<_>>());
        let writers: Vec<_> = (0..3).map(|_| scope.spawn(|| deliver(&store, at, 200))).collect();
        writers.into_iter().for_each(|writer| writer.join().unwrap());
        store.clone().close().unwrap();
        reading.join().unwrap()
    });
    let mut uids: Vec<u32> = events
        .iter()
        .map(|event| match event.what {
            ChangeKind::Delivered { uid, .. } => uid.0,
            _ => panic!("{event:?}"),
        })
        .collect();
    assert!(events.is_sorted_by_key(|event| event.lsn));
    uids.sort_unstable();
    assert_eq!(uids, (1..601).collect::<Vec<u32>>());
}
