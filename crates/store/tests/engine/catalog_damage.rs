//! A catalog that was cut or whose bytes changed: said to be damaged, or as good as before.

use std::sync::Arc;

use rehome_log::{FileName, SimDisk};
use rehome_store::{ContentId, FolderId, MailboxId, Store, StoreError, Uid};

use crate::support::{append, clock, mailbox, open, options};

const MESSAGES: u32 = 60;

fn catalog() -> FileName {
    FileName::new("mail.redb").unwrap()
}

/// A store with messages that was closed, or whose process died while the catalog was written.
fn made(died: bool) -> (Arc<SimDisk>, (MailboxId, FolderId), Vec<u8>) {
    let disk = Arc::new(SimDisk::new());
    let mut with = options();
    if died {
        with.checkpoint_rows = 1;
    }
    let store = Store::create(disk.clone(), clock(), with).unwrap();
    let anna = mailbox(&store, "anna");
    for number in 1..=MESSAGES {
        store.deliver(&[anna], append(&format!("message {number}"))).unwrap();
    }
    let left = disk.restart();
    store.close().unwrap();
    let disk = if died { Arc::new(left) } else { disk };
    let bytes = disk.contents(&catalog()).unwrap();
    (disk, anna, bytes)
}

/// Reads all there is and adds a message. Whether anything was said to be damaged.
fn use_all(store: &Store, (anna, inbox): (MailboxId, FolderId)) -> Result<bool, StoreError> {
    if !store.check(&mut |_| {})?.is_clean() {
        return Ok(true);
    }
    let found = store.messages(anna, inbox, Uid(0), MESSAGES as usize)?;
    let uids: Vec<u32> = found.iter().map(|message| message.uid.0).collect();
    assert_eq!(uids, (1..=MESSAGES).collect::<Vec<_>>(), "nothing was said of it");
    for Uid(uid) in found.iter().map(|message| message.uid) {
        let body = store.read(anna, inbox, Uid(uid))?.1;
        assert_eq!(body, append(&format!("message {uid}")).body);
    }
    store.deliver(&[(anna, inbox)], append("one more"))?;
    store.checkpoint()?;
    Ok(false)
}

/// Opens and uses a store with a catalog of `bytes`; whether anything was said to be damaged. It is
/// said with a remedy, and the remedy helps: a catalog that is built anew is whole.
fn check(made: &(Arc<SimDisk>, (MailboxId, FolderId)), what: &str, bytes: Vec<u8>) -> bool {
    let (disk, anna) = made;
    let disk = Arc::new(disk.restart());
    disk.set_contents(&catalog(), bytes);
    let told = match open(&disk).and_then(|store| use_all(&store, *anna)) {
        Ok(told) => told,
        Err(StoreError::Damaged { .. }) => true,
        Err(StoreError::Poisoned { cause }) if cause.contains("recover") => true,
        Err(other) => panic!("{what}: {other}"),
    };
    if told {
        let (store, _) = Store::rebuild(disk.clone(), clock(), options()).unwrap();
        assert!(!use_all(&store, *anna).unwrap(), "{what}");
    }
    told
}

#[test]
fn a_cut_catalog_is_told_or_does_no_harm() {
    for died in [false, true] {
        let (disk, anna, bytes) = made(died);
        let store = (disk, anna);
        let pages = (0..bytes.len()).step_by(4096).flat_map(|page| [page, page + 1, page + 2000]);
        let mut told = 0;
        for len in pages.filter(|len| *len < bytes.len()) {
            told += u32::from(check(&store, &format!("cut to {len}"), bytes[..len].to_vec()));
        }
        assert!(told > 10, "{told} of {} pages", bytes.len() / 4096);
    }
}

/// Bytes of the pages that hold rows of messages and contents. redb ends the program when it meets
/// its own list of free pages damaged: it panics in a destructor.
fn row_bytes(bytes: &[u8]) -> Vec<usize> {
    let content = |number| ContentId::of(&append(&format!("message {number}")).body).0;
    let contents: Vec<_> = (1..=MESSAGES).map(content).collect();
    let is_there = |page: &[u8], id: &[u8]| page.windows(16).any(|window| window == &id[..16]);
    let pages = bytes.chunks(4096).enumerate();
    let pages = pages.filter(|(_, page)| contents.iter().any(|id| is_there(page, id)));
    let places = pages.flat_map(|(number, page)| (number * 4096..).take(page.len()));
    places.filter(|at| bytes[*at] != 0).collect()
}

#[test]
fn a_flipped_bit_in_a_page_of_rows_is_told_or_does_no_harm() {
    let (disk, anna, bytes) = made(false);
    let store = (disk, anna);
    assert!(!check(&store, "whole", bytes.clone()));
    let places = row_bytes(&bytes);
    let told = places.iter().step_by(97).map(|at| {
        let mut flipped = bytes.clone();
        flipped[*at] ^= 1 << (at % 8);
        check(&store, &format!("flipped at {at}"), flipped)
    });
    assert!(told.filter(|told| *told).count() > 10);
}
