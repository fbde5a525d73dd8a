//! What is laid down opens with its marker only, and an earlier attempt is kept.

use std::path::Path;

use rehome_site::Directory;
use rehome_store::{
    Flags, LocalSource, OpenOptions, RestoreMarker, Store, StoreError, compare_mailbox,
};

use super::{directory, store};
use crate::backup::{BackupRequest, back_up, check_in as check_backup};
use crate::error::Error;
use crate::testing::{append, image, letter, mailbox, quiet, rich_store, stop};

/// How the backups of these tests are made.
fn request_of(root: &Path, directory: Option<Directory>) -> BackupRequest {
    BackupRequest {
        catalog: false,
        set: root.join("set"),
        account: "EXAMPLE\\operator".to_owned(),
        directory,
        options: rehome_archive::BackupKind::Full.into(),
        encryption: None,
        clock: std::sync::Arc::new(rehome_log::ManualClock::new(1_700_000_000_000_000)),
    }
}

/// Backs a rich store up, with a directory if there is one; the store and the backup's name.
fn backed_up(root: &Path, directory: Option<Directory>) -> (Store, String) {
    let original = rich_store(&root.join("store"));
    let request = request_of(root, directory);
    let mut source = LocalSource::new(original.clone());
    let names = [mailbox("alice"), mailbox("bob")];
    let report = back_up(&mut source, &names, &request, &mut quiet).expect("room for a set");
    assert_eq!((report.mailboxes, report.messages, report.contents), (2, 6, 4));
    (original, report.id)
}

/// The set.
fn set(root: &Path) -> rehome_archive::Set {
    let target = std::sync::Arc::new(rehome_archive::DiskTarget::at(root.join("set")));
    rehome_archive::Set::open(target).expect("a set")
}

/// Opens a store, with a marker if one is given.
fn open(path: &Path, marker: Option<&Path>) -> Result<Store, StoreError> {
    let read = |marker: &Path| -> RestoreMarker {
        serde_json::from_slice(&std::fs::read(marker).expect("readable")).expect("a marker")
    };
    Store::open_at(path, OpenOptions { restore_marker: marker.map(read), ..OpenOptions::default() })
}

#[test]
fn a_restored_store_opens_with_its_own_marker_only_and_is_the_same_store() {
    let scratch = tempfile::tempdir().expect("a scratch folder");
    let root = scratch.path();
    let (original, id) = backed_up(root, None);
    let [first, own, other] = ["first", "own", "other"].map(|name| root.join(name));
    store(&set(root), &id, &first, &own, &mut quiet).expect("an intact set");
    let without = open(&first, None).map(drop).expect_err("no marker");
    assert!(matches!(without, StoreError::RestoreInProgress { .. }), "{without}");
    std::fs::write(
        &other,
        std::fs::read_to_string(&own).expect("readable").replacen(
            "\"digest\": \"",
            "\"digest\": \"0",
            1,
        ),
    )
    .expect("writable");
    let wrong = open(&first, Some(&other)).map(drop).expect_err("another marker");
    assert!(matches!(wrong, StoreError::RestoreInProgress { .. }), "{wrong}");
    let restored = open(&first, Some(&own)).expect("its own marker");
    for name in ["alice", "bob"] {
        assert_eq!(image(&restored, name), image(&original, name));
        let mut ends = [&original, &restored].map(|store| LocalSource::new(store.clone()));
        let [from, to] = &mut ends;
        let found = compare_mailbox(from, to, &mailbox(name)).expect("readable");
        assert!(found.is_equal() && found.newer == 0, "{found:?}");
    }
    restored.close().expect("durable");
    open(&first, None).expect("the restore has ended");
}

#[test]
fn mailboxes_above_the_bound_of_an_offer_are_backed_up_whole() {
    let scratch = tempfile::tempdir().expect("a scratch folder");
    let root = scratch.path();
    let original = rich_store(&root.join("store"));
    let mut source = LocalSource::new(original.clone()).with_offered_rows_max(1);
    let names = [mailbox("alice"), mailbox("bob")];
    let request = request_of(root, None);
    let full = back_up(&mut source, &names, &request, &mut quiet).expect("room for a set");
    assert_eq!((full.mailboxes, full.messages, full.contents), (2, 6, 4));
    let alice = original.mailbox(&names[0]).expect("readable").expect("there").id;
    for number in 0..5 {
        let letter = letter(&format!("after the backup {number}"));
        append(&original, (alice, "INBOX"), &letter, Flags::NONE);
    }
    let options = rehome_archive::BackupKind::Incremental.into();
    let request = BackupRequest { options, ..request };
    let changes = back_up(&mut source, &names, &request, &mut quiet).expect("room for a set");
    assert_eq!((changes.messages, changes.contents), (5, 5));
    let (target, marker) = (root.join("target"), root.join("marker"));
    store(&set(root), &changes.id, &target, &marker, &mut quiet).expect("an intact set");
    let restored = open(&target, Some(&marker)).expect("its own marker");
    for name in ["alice", "bob"] {
        assert_eq!(image(&restored, name), image(&original, name));
    }
}

#[test]
fn what_an_unfinished_restore_left_is_gone_on_with_and_anything_else_is_set_aside() {
    let scratch = tempfile::tempdir().expect("a scratch folder");
    let root = scratch.path();
    let (_original, id) = backed_up(root, None);
    let (target, marker) = (root.join("target"), root.join("marker"));
    let stopped = store(&set(root), &id, &target, &marker, &mut stop);
    assert!(matches!(stopped, Err(Error::Interrupted { .. })), "{stopped:?}");
    assert!(!marker.exists(), "nothing may open what is not whole");
    open(&target, None).map(drop).expect_err("it is not whole");
    store(&set(root), &id, &target, &marker, &mut quiet).expect("again");
    open(&target, Some(&marker)).expect("whole").close().expect("durable");
    assert!(!root.join("target.aside-1").exists(), "it went on");
    store(&set(root), &id, &target, &marker, &mut quiet).expect("once more");
    open(&target, Some(&marker)).expect("whole");
    open(&root.join("target.aside-1"), None).expect("it is not deleted");
}

#[test]
fn a_backup_without_a_directory_restores_none() {
    let scratch = tempfile::tempdir().expect("a scratch folder");
    let root = scratch.path();
    let (_original, id) = backed_up(root, None);
    let (target, marker) = (root.join("target"), root.join("marker"));
    directory(&set(root), &id, &target, &marker).expect_err("there is none");
    assert!(!target.exists() && !marker.exists());
    check_backup(&set(root), &id, true, &mut quiet).expect("the backup is whole");
}

#[test]
fn a_restored_directory_has_its_note_and_marker_and_a_new_incarnation() {
    let scratch = tempfile::tempdir().expect("a scratch folder");
    let root = scratch.path();
    let name = |text: &str| rehome_site::ServerName::new(text).expect("a name");
    let mut before = Directory::new(
        name("EX1"),
        3,
        rehome_site::OrganizationName::new("Example").expect("a name"),
        rehome_site::SiteName::new("Headquarters").expect("a name"),
    );
    before.add_server(&name("EX1"), 1).expect("a new server");
    let (_, id) = backed_up(root, Some(before.clone()));
    let (folder, marker) = (root.join("directory"), root.join("registry").join("marker"));
    directory(&set(root), &id, &folder, &marker).expect("an intact set");
    let note = std::fs::read(folder.join("restored.pending")).expect("a note");
    assert_eq!(note, std::fs::read(&marker).expect("a marker"));
    let after = crate::directory::read(&folder).expect("a directory");
    assert_eq!(after.origin().incarnation, 4, "partners know changes of the third");
    assert!(after.has_server(&name("EX1")));
    directory(&set(root), &id, &folder, &marker).expect("restoring again is harmless");
}
