//! The log's policy: what is kept until an archive has it, and what happens when none takes it.

use std::sync::Arc;

use rehome_log::{Lsn, SimDisk};
use rehome_store::{
    FlagChange, Flags, FolderId, LogPolicy, MailboxId, OpenOptions, Store, StoreError, Uid,
};

use crate::support::{append, clock, mailbox, new_store, open, options};

/// Delivers mail of some length, so that generations fill.
fn deliver(store: &Store, at: (MailboxId, FolderId), count: usize) -> Result<(), StoreError> {
    for number in 0..count {
        let mut letter = append(&format!("{number}"));
        letter.keywords = vec!["k".repeat(2000)];
        store.deliver(&[at], letter)?;
    }
    Ok(())
}

/// Whether all records above `lsn` are there.
fn reaches(store: &Store, lsn: Lsn) -> bool {
    match store.read_log(lsn, store.lsn()) {
        Ok(_) => true,
        Err(StoreError::NamesGap { .. }) => false,
        Err(error) => panic!("{error}"),
    }
}

fn archived(policy: LogPolicy) -> (Lsn, Lsn) {
    match policy {
        LogPolicy::Archived { whole_after, archived_until } => (whole_after, archived_until),
        LogPolicy::Circular => panic!("it is archived"),
    }
}

#[test]
fn a_circular_log_goes_behind_a_checkpoint_and_an_archived_one_stays() {
    let (_disk, store) = new_store();
    let anna = mailbox(&store, "anna");
    let before = store.lsn();
    deliver(&store, anna, 100).unwrap();
    store.checkpoint().unwrap();
    assert!(!reaches(&store, before));
    let whole_after = store.keep_log_until_archived().unwrap();
    assert_eq!(whole_after, store.lsn());
    deliver(&store, anna, 100).unwrap();
    store.checkpoint().unwrap();
    assert!(reaches(&store, whole_after));
    let until = store.roll_log().unwrap();
    assert_eq!(store.archived_until(until).unwrap(), until);
    assert!(reaches(&store, until) && !reaches(&store, whole_after));
    assert_eq!(store.log_status().unwrap().unarchived_bytes, 0);
}

#[test]
fn the_policy_survives_and_never_goes_back() {
    let (disk, store) = new_store();
    let anna = mailbox(&store, "anna");
    let whole_after = store.keep_log_until_archived().unwrap();
    deliver(&store, anna, 50).unwrap();
    let until = store.lsn();
    store.archived_until(until).unwrap();
    assert_eq!(store.archived_until(whole_after).unwrap(), until);
    let above = Lsn::from_u64(until.to_u64() + 1);
    let refused = store.archived_until(above).unwrap_err();
    assert!(matches!(refused, StoreError::NotAcknowledged { .. }), "{refused}");
    deliver(&store, anna, 100).unwrap();
    for close in [true, false] {
        let disk = Arc::new(disk.restart());
        drop(close.then(|| open(&disk).unwrap().close()));
        let store = open(&disk).unwrap();
        assert_eq!(archived(store.log_policy().unwrap()), (whole_after, until));
        store.checkpoint().unwrap();
        assert!(reaches(&store, until));
        store.use_circular_log().unwrap();
        store.checkpoint().unwrap();
        assert!(!reaches(&store, until));
        let refused = store.archived_until(store.lsn()).unwrap_err();
        assert!(matches!(refused, StoreError::LogIsCircular), "{refused}");
        let again = store.keep_log_until_archived().unwrap();
        assert_eq!(again, store.lsn());
    }
}

#[test]
fn a_program_that_knows_no_policies_does_not_open_an_archived_store() {
    let (disk, store) = new_store();
    let id = rehome_log::FileName::new("store.id").unwrap();
    let version = |disk: &SimDisk| {
        let json: serde_json::Value = serde_json::from_slice(&disk.contents(&id).unwrap()).unwrap();
        json["version"].as_u64().unwrap()
    };
    assert_eq!(version(&disk), 6);
    store.keep_log_until_archived().unwrap();
    assert_eq!(version(&disk), 7);
}

#[test]
fn closed_generations_are_listed_and_a_roll_ends_what_was_acknowledged() {
    let (_disk, store) = new_store();
    let anna = mailbox(&store, "anna");
    store.keep_log_until_archived().unwrap();
    deliver(&store, anna, 100).unwrap();
    let acknowledged = store.lsn();
    let last = store.roll_log().unwrap();
    assert!(last > acknowledged);
    assert_eq!(store.roll_log().unwrap(), last, "an empty generation stays");
    let closed = store.closed_generations().unwrap();
    assert!(closed.len() >= 3);
    assert_eq!(closed.last().unwrap().last, last);
    assert!(closed.windows(2).all(|pair| pair[0].last == pair[1].after));
}

#[test]
fn mail_is_refused_while_no_archive_takes_the_log_and_goes_on_by_itself_after() {
    let disk = Arc::new(SimDisk::new());
    let options = OpenOptions { log_kept_bytes_max: 256 << 10, ..options() };
    let store = Store::create(disk, clock(), options).unwrap();
    let anna = mailbox(&store, "anna");
    store.keep_log_until_archived().unwrap();
    let refused = deliver(&store, anna, 1000).unwrap_err();
    assert!(matches!(refused, StoreError::LogNotArchived { .. }), "{refused}");
    let seen = FlagChange { add: Flags::SEEN, ..FlagChange::default() };
    store.store_flags(anna.0, anna.1, Uid(1), seen).unwrap();
    store.expunge(anna.0, anna.1, &[Uid(2)]).unwrap();
    store.checkpoint().unwrap();
    let keywords = FlagChange { add_keywords: vec!["l".repeat(900)], ..FlagChange::default() };
    let changes = (0..1000).map(|_| store.store_flags(anna.0, anna.1, Uid(1), keywords.clone()));
    let done = changes.take_while(Result::is_ok).count();
    assert!((100..1000).contains(&done), "{done} changes went on, and no more");
    let status = store.log_status().unwrap();
    assert!(status.unarchived_bytes >= 256 << 10 && status.unarchived_seconds.is_some());
    assert!(status.holds.iter().any(|hold| hold.reason == "archive"));
    let until = store.roll_log().unwrap();
    store.archived_until(until).unwrap();
    deliver(&store, anna, 3).unwrap();
}

#[test]
fn a_reader_keeps_what_it_reads() {
    let (_disk, store) = new_store();
    let anna = mailbox(&store, "anna");
    let since = store.keep_log_until_archived().unwrap();
    deliver(&store, anna, 60).unwrap();
    let until = store.roll_log().unwrap();
    let mut reader = store.read_log(since, until).unwrap();
    store.archived_until(until).unwrap();
    store.checkpoint().unwrap();
    let (mut records, mut bodies) = (0, 0);
    while let Some(record) = reader.next_record().unwrap() {
        records += u32::from(!record.is_mark());
        let mut count = |run: rehome_store::ContentRun| {
            bodies += rehome_store::bodies(run.bytes()).count();
            Ok(())
        };
        reader.bodies(&record, &mut count).unwrap();
    }
    assert_eq!((records, bodies), (60, 60));
    drop(reader);
    store.checkpoint().unwrap();
    assert!(!reaches(&store, since));
}

#[test]
fn an_archiver_gets_every_delivery_once_while_many_deliver() {
    const EACH: usize = 150;
    let (_disk, store) = new_store();
    let anna = mailbox(&store, "anna");
    let mut after = store.keep_log_until_archived().unwrap();
    let mut found = Vec::new();
    std::thread::scope(|scope| {
        let deliverers: Vec<_> = (0..3)
            .map(|thread| {
                let store = &store;
                scope.spawn(move || {
                    for number in 0..EACH {
                        let letter = append(&format!("{thread} {number} {}", "x".repeat(700)));
                        store.deliver(&[anna], letter).unwrap();
                    }
                })
            })
            .collect();
        let mut round = 0;
        loop {
            let last_round = deliverers.iter().all(std::thread::ScopedJoinHandle::is_finished);
            round += 1;
            let until = if round % 3 == 0 { store.lsn() } else { store.roll_log().unwrap() };
            let mut reader = store.read_log(after, until).unwrap();
            let mut before = after;
            while let Some(record) = reader.next_record().unwrap() {
                assert!(record.prev_lsn <= before && record.lsn > before);
                before = record.lsn;
                let mut keep = |run: rehome_store::ContentRun| {
                    let all = rehome_store::bodies(run.bytes());
                    found.extend(all.map(|body| body.unwrap().content));
                    Ok(())
                };
                reader.bodies(&record, &mut keep).unwrap();
            }
            after = store.archived_until(reader.until()).unwrap();
            store.checkpoint().unwrap();
            if last_round && round % 3 != 0 {
                break;
            }
        }
    });
    let count = found.len();
    found.sort_unstable();
    found.dedup();
    assert_eq!((count, found.len()), (3 * EACH, 3 * EACH));
}
