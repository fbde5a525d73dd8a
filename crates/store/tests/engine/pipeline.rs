//! Several writers on a disk that fails: while one group is made durable the next is written, and
//! whatever happens to either, what was acknowledged is there.

use std::collections::BTreeSet;
use std::sync::Arc;

use rehome_log::{Fault, SplitMix64};
use rehome_store::{FolderId, MailboxId, Store, StoreError, Uid};

use crate::support::{append, check_whole, mailbox, new_store, open};

const WRITERS: usize = 4;
/// Deliveries of a writer, unless something fails before.
const DELIVERIES: usize = 25;

/// What a writer asked for, in order; what is in `acknowledged` was acknowledged, and
/// what is in `refused` was stored in no part.
#[derive(Default)]
struct Asked {
    texts: Vec<String>,
    acknowledged: BTreeSet<String>,
    refused: BTreeSet<String>,
}

fn deliver(store: &Store, to: &[(MailboxId, FolderId)], writer: usize) -> Asked {
    let mut asked = Asked::default();
    for number in 0..DELIVERIES {
        let filler = "x".repeat(number * 131 % 1_700);
        let text = format!("writer {writer} number {number} {filler}");
        asked.texts.push(text.clone());
        match store.deliver(to, append(&text)) {
            Ok(_) => _ = asked.acknowledged.insert(text),
            Err(StoreError::DiskFull { .. }) => _ = asked.refused.insert(text),
            Err(_) => break,
        }
    }
    asked
}

/// Texts of the messages of a folder, in the order of their UIDs.
fn found(store: &Store, (mailbox, folder): (MailboxId, FolderId)) -> Vec<String> {
    let messages = store.messages(mailbox, folder, Uid(0), usize::MAX).unwrap();
    let texts = messages.iter().map(|message| {
        let body = store.read(mailbox, folder, message.uid).unwrap().1;
        let body = String::from_utf8(body).unwrap();
        body.strip_suffix("\r\n").unwrap().rsplit("\r\n").next().unwrap().to_owned()
    });
    texts.collect()
}

/// The texts are a part of what was asked for, in its order, with all that was acknowledged.
fn compare(found: &[String], asked: &Asked, seed: u64) {
    let mut rest = asked.texts.iter();
    for text in found {
        assert!(rest.any(|asked| asked == text), "seed {seed}: {text} came out of its order");
        assert!(!asked.refused.contains(text), "seed {seed}: {text} was refused and is there");
    }
    for text in &asked.acknowledged {
        assert!(found.contains(text), "seed {seed}: {text} was acknowledged and is lost");
    }
}

fn check(seed: u64, fault: Fault) {
    println!("seed {seed}");
    let mut random = SplitMix64::new(seed);
    let (disk, store) = new_store();
    // Each writer has a mailbox of its own and one that it shares with the others.
    let shared = mailbox(&store, "shared");
    let own: Vec<_> = (0..WRITERS).map(|writer| mailbox(&store, &format!("own{writer}"))).collect();
    disk.fail_after(random.below(500), fault);
    let asked: Vec<Asked> = std::thread::scope(|scope| {
        let running: Vec<_> = (0..WRITERS)
            .map(|writer| {
                let (store, to) = (&store, [own[writer], shared]);
                scope.spawn(move || deliver(store, &to, writer))
            })
            .collect();
        running.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    let cut = fault == Fault::PowerCut || random.chance(60);
    let left = if cut {
        disk.crash(random.next_u64())
    } else {
        if random.chance(50) {
            _ = store.clone().close();
        }
        disk.restart()
    };
    drop(store);
    left.heal();
    let store = open(&Arc::new(left)).unwrap_or_else(|error| panic!("seed {seed}: {error}"));
    let together = found(&store, shared);
    for (writer, asked) in asked.iter().enumerate() {
        let alone = found(&store, own[writer]);
        compare(&alone, asked, seed);
        let prefix = format!("writer {writer} ");
        let of_writer: Vec<_> =
            together.iter().filter(|text| text.starts_with(&prefix)).cloned().collect();
        assert_eq!(alone, of_writer, "seed {seed}: a delivery was torn apart");
    }
    check_whole(&store);
}

fn seeds(first: u64) -> std::ops::Range<u64> {
    let asked = std::env::var("REHOME_SEEDS").ok().and_then(|text| text.parse().ok());
    first..first + asked.unwrap_or(60)
}

#[test]
fn a_power_cut_between_groups_in_flight_loses_nothing_acknowledged() {
    seeds(3_000_000).for_each(|seed| check(seed, Fault::PowerCut));
}

#[test]
fn a_failed_sync_of_the_first_of_two_groups_acknowledges_neither() {
    seeds(4_000_000).for_each(|seed| check(seed, Fault::FsyncEio));
}

#[test]
fn a_failed_call_with_groups_in_flight_loses_nothing_acknowledged() {
    seeds(5_000_000).for_each(|seed| check(seed, Fault::Eio));
}

#[test]
fn a_disk_that_fills_up_with_groups_in_flight_takes_back_only_what_it_refuses() {
    seeds(6_000_000).for_each(|seed| check(seed, Fault::Enospc));
}
