//! What the tests share.

use std::sync::Arc;

use rehome_log::{ManualClock, SimDisk, SplitMix64};
use rehome_store::{
    Append, FolderId, FolderName, MailboxId, MailboxName, MailboxState, NewFolder, OpenOptions,
    Store, StoreError,
};

/// A disk with an empty store, and the store.
pub(crate) fn new_store() -> (Arc<SimDisk>, Store) {
    let disk = Arc::new(SimDisk::new());
    let store = Store::create(disk.clone(), clock(), options()).expect("an empty disk");
    (disk, store)
}

/// Opens the store on `disk`.
pub(crate) fn open(disk: &Arc<SimDisk>) -> Result<Store, StoreError> {
    Store::open(disk.clone(), clock(), options())
}

pub(crate) fn clock() -> Arc<ManualClock> {
    Arc::new(ManualClock::new(1_700_000_000_000_000))
}

/// Small segments and generations, so that short tests cross their ends.
pub(crate) fn options() -> OpenOptions {
    OpenOptions {
        owner: "test".to_owned(),
        store_id: Some([7; 16]),
        cache_bytes: 1 << 20,
        segment_bytes: 64 << 10,
        log_generation_bytes: 64 << 10,
        retention_seconds: 0,
        catalog_base_bytes: None,
        ..OpenOptions::default()
    }
}

/// A text that packs to no less than three quarters.
pub(crate) fn noise(random: &mut SplitMix64, len: usize) -> String {
    let mut letter = || u8::try_from(random.below(64)).expect("below 64");
    (0..len).map(|_| char::from(b'0' + letter())).collect()
}

pub(crate) fn mailbox_name(text: &str) -> MailboxName {
    MailboxName::try_from(text).expect("a test's name")
}

/// A mailbox with its inbox.
pub(crate) fn mailbox(store: &Store, name: &str) -> (MailboxId, FolderId) {
    let mailbox = store.create_mailbox(&mailbox_name(name), MailboxState::Active).unwrap();
    let folder = store.create_folder(mailbox, &FolderName::inbox(), NewFolder::default());
    (mailbox, folder.unwrap().id)
}

/// A message with `text` in it.
pub(crate) fn append(text: &str) -> Append {
    let body = format!("Subject: {text}\r\n\r\n{text}\r\n").into_bytes();
    Append { body, internal_date_seconds: 1_600_000_000, ..Append::default() }
}

/// The store is whole.
#[track_caller]
pub(crate) fn check_whole(store: &Store) {
    let report = store.check(&mut |_| {}).unwrap();
    assert!(report.is_clean(), "{report:?}");
}
