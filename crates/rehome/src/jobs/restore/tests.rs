//! Every backup of a chain restores what the store held at its moment, and a part of it alone.

use std::path::{Path, PathBuf};

use rehome_archive::{BackupKind, PipeTarget, Target as _};
use rehome_store::{FlagChange, Flags, FolderName, MailboxState, OpenOptions, Store, Uid};

use super::{RestoreRequest, RestoreTo, restore};
use crate::error::Error;
use crate::jobs::{
    ExportFormat, archive_check, archive_drill, archive_expire, archive_salvage, backup,
    restore_from_pipe,
};
use crate::testing::{append, folder, image, letter, mailbox, quiet, rich_store};

/// Everything in a store, closed before and after.
fn images(path: &Path) -> Vec<Vec<String>> {
    let store = Store::open_at(path, OpenOptions::default()).expect("a store");
    let mut names: Vec<_> = store.mailboxes().expect("readable");
    names.sort_by(|a, b| a.name.cmp(&b.name));
    let images = names.iter().map(|one| image(&store, one.name.as_str())).collect();
    store.close().expect("durable");
    images
}

/// What happens to a store between two backups.
type Change = fn(&Store);

fn id_of(store: &Store, name: &str) -> rehome_store::MailboxId {
    store.mailbox(&mailbox(name)).expect("readable").expect("there").id
}

fn deliver(store: &Store) {
    let alice = id_of(store, "alice");
    append(store, (alice, "INBOX"), &letter("new"), Flags::NONE);
    append(store, (alice, "Neu"), &letter("common"), Flags::SEEN);
}

fn read_and_delete(store: &Store) {
    let bob = id_of(store, "bob");
    let inbox = store.folder(bob, &FolderName::inbox()).expect("readable").expect("there");
    let uids: Vec<Uid> = store
        .messages(bob, inbox.id, Uid(0), usize::MAX)
        .expect("readable")
        .iter()
        .map(|message| message.uid)
        .collect();
    store.expunge(bob, inbox.id, &uids[..1]).expect("it is there");
    let change = FlagChange { add: Flags::FLAGGED, ..FlagChange::default() };
    let alice = id_of(store, "alice");
    let inbox = store.folder(alice, &FolderName::inbox()).expect("readable").expect("there");
    let first = store.messages(alice, inbox.id, Uid(0), 1).expect("readable")[0].uid;
    store.store_flags(alice, inbox.id, first, change).expect("writable");
    store.set_attribute(alice, "quota", Some("2 GiB")).expect("writable");
}

fn rename_and_make(store: &Store) {
    let alice = id_of(store, "alice");
    let renamed = store.folder(alice, &folder("Empty/below")).expect("readable").expect("there");
    store.rename_folder(alice, renamed.id, &folder("Kept/below")).expect("a free name");
    let gone = store.folder(alice, &folder("Neu")).expect("readable").expect("there");
    store.delete_folder(alice, gone.id).expect("deletable");
    append(store, (alice, "Neu"), &letter("again in Neu"), Flags::NONE);
    let carol = store.create_mailbox(&mailbox("carol"), MailboxState::Active).expect("a new one");
    append(store, (carol, "INBOX"), &letter("hello carol"), Flags::NONE);
}

fn nothing(_store: &Store) {}

/// A chain of backups with what the store held at each; the set and the store are in `root`.
fn chain(root: &Path) -> Vec<(String, String, Vec<Vec<String>>)> {
    rich_store(&root.join("store")).close().expect("durable");
    let steps: [(Change, BackupKind); 6] = [
        (nothing, BackupKind::Full),
        (deliver, BackupKind::Incremental),
        (read_and_delete, BackupKind::Differential),
        (rename_and_make, BackupKind::Incremental),
        (deliver, BackupKind::Copy),
        (nothing, BackupKind::Incremental),
    ];
    let mut taken = Vec::new();
    for (change, kind) in steps {
        let store = Store::open_at(&root.join("store"), OpenOptions::default()).expect("a store");
        change(&store);
        store.close().expect("durable");
        let report = backup(&root.join("store"), &root.join("set"), kind, &mut quiet);
        let report = report.expect("room for a backup").document;
        let id = report["id"].as_str().expect("a name").to_owned();
        let lsn = report["lsn"].as_u64().expect("a number");
        let lsn = rehome_log::Lsn::from_u64(lsn).to_string();
        taken.push((id, lsn, images(&root.join("store"))));
    }
    taken
}

fn request(root: &Path, to: RestoreTo) -> RestoreRequest {
    RestoreRequest::whole(root.join("set"), to)
}

#[test]
fn each_backup_of_a_chain_restores_the_store_of_its_moment() {
    let scratch = tempfile::tempdir().expect("a scratch folder");
    let root = scratch.path();
    for (number, (id, lsn, expected)) in chain(root).into_iter().enumerate() {
        let by_id = root.join(format!("by-id-{number}"));
        let one = request(root, RestoreTo::Store(by_id.clone()));
        restore(&RestoreRequest { backup: Some(id), ..one }, &mut quiet).expect("an intact chain");
        assert_eq!(images(&by_id), expected, "backup {number}");
        let by_lsn = root.join(format!("by-lsn-{number}"));
        let one = request(root, RestoreTo::Store(by_lsn.clone()));
        restore(&RestoreRequest { until: Some(lsn), ..one }, &mut quiet).expect("its moment");
        assert_eq!(images(&by_lsn), expected, "LSN of backup {number}");
    }
    archive_check(&root.join("set"), true, false, &mut quiet)
        .expect("readable")
        .verdict()
        .expect("whole");
    let drill = archive_drill(&root.join("set"), &root.join("drill"), &mut quiet);
    drill.expect("restorable").verdict().expect("as the outlines say");
    assert!(!root.join("drill").exists() && !root.join("drill.drill").exists());
}

/// The files below a folder.
fn files(root: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![root.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).expect("readable") {
            let path = entry.expect("readable").path();
            if path.is_dir() { folders.push(path) } else { found.push(path) }
        }
    }
    found
}

#[test]
fn one_folder_or_message_comes_back_alone_as_files() {
    let scratch = tempfile::tempdir().expect("a scratch folder");
    let root = scratch.path();
    chain(root);
    let of = |to: &str, format| RestoreRequest {
        mailbox: Some("alice".to_owned()),
        folder: Some("Neu".to_owned()),
        ..request(root, RestoreTo::Files(root.join(to), format))
    };
    let folder = of("folder", ExportFormat::Maildir);
    let report = restore(&folder, &mut quiet).expect("an intact chain");
    assert_eq!(report.document["amount"]["messages"], 2, "{report}");
    let one = RestoreRequest { message: Some(1), ..of("one", ExportFormat::Mbox) };
    let report = restore(&one, &mut quiet).expect("an intact chain");
    assert_eq!(report.document["amount"]["messages"], 1, "{report}");
    let texts: Vec<String> = files(&root.join("one"))
        .iter()
        .filter_map(|path| std::fs::read_to_string(path).ok())
        .filter(|text| text.contains("again in Neu"))
        .collect();
    assert_eq!(texts.len(), 1, "{texts:?}");
    for wrong in [
        RestoreRequest { folder: Some("Alt".to_owned()), ..of("no", ExportFormat::Maildir) },
        RestoreRequest { message: Some(99), ..of("no", ExportFormat::Maildir) },
        RestoreRequest { until: Some("then".to_owned()), ..of("no", ExportFormat::Maildir) },
        RestoreRequest {
            until: Some("0000ffffff:001000".to_owned()),
            ..of("no", ExportFormat::Maildir)
        },
        RestoreRequest {
            until: Some("1980-01-01T00:00:00Z".to_owned()),
            ..of("no", ExportFormat::Maildir)
        },
    ] {
        let refused = restore(&wrong, &mut quiet).expect_err("there is no such thing");
        assert!(matches!(refused, Error::BadInput { .. }), "{refused}");
        assert!(!root.join("no").exists());
    }
}

#[test]
fn salvage_writes_what_is_left_and_names_what_is_lost() {
    let scratch = tempfile::tempdir().expect("a scratch folder");
    let root = scratch.path();
    rich_store(&root.join("store")).close().expect("durable");
    let set = root.join("set");
    backup(&root.join("store"), &set, BackupKind::Full, &mut quiet).expect("a backup");
    let whole = archive_salvage(&set, None, &root.join("whole"), &mut quiet).expect("readable");
    whole.verdict().expect("nothing is lost");
    let volume = files(&set).into_iter().find(|path| path.ends_with("v00000.mbar"));
    let volume = volume.expect("a volume");
    let bytes = std::fs::read(&volume).expect("readable");
    let data = bytes.windows(9).position(|nine| nine == b"MBARREC1\x03").expect("a data record");
    let mut bad = bytes;
    bad[data + 80] ^= 1;
    std::fs::write(&volume, bad).expect("writable");
    std::fs::remove_dir_all(set.join("parity")).expect("removable");
    let report = archive_salvage(&set, None, &root.join("left"), &mut quiet).expect("readable");
    assert_eq!(report.verdict().expect_err("something is lost").exit_code(), 6);
    assert!(report.text.contains("alice: ") && report.text.contains("UIDs"), "{report}");
}

#[test]
fn a_flipped_bit_is_reported_loses_nothing_and_is_repaired() {
    let scratch = tempfile::tempdir().expect("a scratch folder");
    let root = scratch.path();
    let taken = chain(root);
    let set = root.join("set");
    for volume in files(&set).into_iter().filter(|path| path.ends_with("v00000.mbar")) {
        let mut bytes = std::fs::read(&volume).expect("readable");
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
        std::fs::write(&volume, bytes).expect("writable");
    }
    let found = archive_check(&set, true, false, &mut quiet).expect("readable");
    let found = found.verdict().expect_err("it is noticed");
    assert_eq!(found.exit_code(), 6);
    let (id, _, expected) = taken[3].clone();
    let place = root.join("healed");
    let one = RestoreRequest { backup: Some(id), ..request(root, RestoreTo::Store(place.clone())) };
    restore(&one, &mut quiet).expect("parity brings it back");
    assert_eq!(images(&place), expected);
    archive_check(&set, true, true, &mut quiet).expect("readable").verdict().expect("repaired");
    archive_check(&set, true, false, &mut quiet).expect("readable").verdict().expect("whole");
}

#[test]
fn retention_keeps_what_can_still_be_restored() {
    let scratch = tempfile::tempdir().expect("a scratch folder");
    let root = scratch.path();
    chain(root);
    let set = root.join("set");
    let full = backup(&root.join("store"), &set, BackupKind::Full, &mut quiet).expect("a backup");
    let before = files(&set).len();
    let dry = archive_expire(&set, 1, true).expect("a set");
    assert_eq!(files(&set).len(), before, "{dry}");
    let done = archive_expire(&set, 1, false).expect("a set");
    assert_eq!(done.document["plan"], dry.document["plan"]);
    assert!(files(&set).len() < before, "{done}");
    let place = root.join("again");
    restore(&request(root, RestoreTo::Store(place.clone())), &mut quiet).expect("the full one");
    assert_eq!(images(&place), images(&root.join("store")), "{full}");
}

#[test]
fn changes_cannot_be_backed_up_upon_nothing() {
    let scratch = tempfile::tempdir().expect("a scratch folder");
    let root = scratch.path();
    rich_store(&root.join("store")).close().expect("durable");
    for kind in [BackupKind::Incremental, BackupKind::Differential] {
        let refused = backup(&root.join("store"), &root.join("set"), kind, &mut quiet);
        let refused = refused.expect_err("there is no base");
        assert!(matches!(refused, Error::BadInput { .. }), "{refused}");
    }
}

#[test]
fn a_backup_of_changes_is_not_restored_from_a_pipe_that_has_no_base() {
    let scratch = tempfile::tempdir().expect("a scratch folder");
    let root = scratch.path();
    rich_store(&root.join("store")).close().expect("durable");
    let set = root.join("set");
    for kind in [BackupKind::Full, BackupKind::Incremental] {
        backup(&root.join("store"), &set, kind, &mut quiet).expect("a set");
    }
    let path = root.join("pipe");
    let pipe = PipeTarget::new(std::fs::File::create(&path).expect("writable"));
    let mut names: Vec<PathBuf> = files(&set.join("base"));
    names.retain(|name| name.to_string_lossy().contains("-incr"));
    names.sort_by_key(|name| (name.ends_with("MANIFEST"), name.clone()));
    assert_eq!(names.len(), 2, "{names:?}");
    names.insert(0, set.join("SET"));
    for name in names {
        let below = name.strip_prefix(&set).expect("below").to_string_lossy();
        let mut file = pipe.create(&below).expect("a file after the other");
        file.append(&std::fs::read(&name).expect("readable")).expect("writable");
        file.finish().expect("writable");
    }
    pipe.close().expect("writable");
    let wanted = request(root, RestoreTo::Store(root.join("again")));
    let source = std::fs::File::open(&path).expect("just written");
    let refused = restore_from_pipe(&wanted, source, &mut quiet).expect_err("it has no base");
    assert!(refused.to_string().contains("holds changes alone"), "{refused}");
    assert_eq!(refused.exit_code(), 65);
    assert!(!root.join("again").exists());
}
