//! What a store is run with: options, settings of its own, settings handed in.

use std::sync::Arc;

use rehome_log::{FileName, SimDisk};
use rehome_store::{CopyMethod, OpenOptions, Store, StoreSettings};

use crate::support::{check_whole, clock, mailbox, new_store, options};

fn defaults() -> OpenOptions {
    OpenOptions { owner: "test".to_owned(), ..OpenOptions::default() }
}

/// Opens the store on `disk` and expects this cache, and notes with these words.
#[track_caller]
fn check(disk: &Arc<SimDisk>, options: OpenOptions, cache_bytes: usize, words: &[&str]) {
    let store = Store::open(disk.clone(), clock(), options).unwrap();
    assert_eq!(store.options().unwrap().cache_bytes, cache_bytes);
    let notes = store.notes().join("\n");
    assert_eq!(notes.is_empty(), words.is_empty(), "{notes}");
    for word in words {
        assert!(notes.contains(word), "no {word:?} in {notes}");
    }
    check_whole(&store);
    store.close().unwrap();
}

#[test]
fn an_option_beats_settings_handed_in_and_these_beat_the_store_s_own() {
    let (disk, store) = new_store();
    mailbox(&store, "anna");
    store.close().unwrap();
    check(&disk, defaults(), 64 << 20, &[]);
    let mut settings = StoreSettings::default();
    settings.cache_bytes = 5 << 20;
    settings.write(&*disk).unwrap();
    check(&disk, defaults(), 5 << 20, &[]);
    settings.cache_bytes = 6 << 20;
    let handed_in = OpenOptions { settings: Some(settings), ..defaults() };
    check(&disk, handed_in.clone(), 6 << 20, &[]);
    check(&disk, OpenOptions { cache_bytes: 7 << 20, ..handed_in }, 7 << 20, &[]);
}

#[test]
fn damaged_and_later_settings_are_told_and_the_store_opens_without_them() {
    let (disk, store) = new_store();
    store.close().unwrap();
    let name = FileName::new("settings.json").unwrap();
    let file = |text: &str| disk.set_contents(&name, text.into());
    file("{\"format\": \"rehome-settings\", \"version\": 1, \"cache_bytes\": 5}");
    check(&disk, defaults(), 64 << 20, &["settings.json", "damaged", "store tune"]);
    file("{\"format\": \"rehome-settings\", \"version\": 9, \"log_elsewhere\": \"/x\"}");
    check(&disk, defaults(), 64 << 20, &["settings.json", "version 9", "store tune"]);
    file("");
    check(&disk, defaults(), 64 << 20, &["settings.json", "damaged"]);
}

#[test]
fn a_store_whose_copies_are_buffered_compacts_as_any_other() {
    let (disk, store) = new_store();
    let (anna, inbox) = mailbox(&store, "anna");
    let letter = |n: u32| (anna, inbox, crate::support::append(&format!("{n}{n}{n}")));
    let uids = store.append_batch((0..40).map(letter).collect()).unwrap();
    store.expunge(anna, inbox, &uids[..30]).unwrap();
    store.close().unwrap();
    let buffered = OpenOptions { copy_method: CopyMethod::Buffered, ..options() };
    let store = Store::open(disk.clone(), clock(), buffered).unwrap();
    let report = store.compact(rehome_store::CompactBudget::default()).unwrap();
    assert!(report.bytes_rewritten > 0, "{report:?}");
    check_whole(&store);
    store.close().unwrap();
    check(&disk, options(), 1 << 20, &[]);
}
