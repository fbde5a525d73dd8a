//! Jobs on stores and archive sets keep what they promise, and a refusal changes nothing.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use rehome_archive::BackupKind;
use rehome_store::{FolderName, Store};

use super::{
    ExportFormat, LogChange, MovePace, RestoreRequest, RestoreTo, archive_check, archive_extract,
    archive_list, backup, export, import, move_mailboxes, open, restore, store_check,
    store_give_up_log, store_info, store_log, store_recover,
};
use crate::error::Error;
use crate::report::JobReport;
use crate::testing::{append, image, letter, mailbox, quiet, rich_store, stop, write_tree};

/// Every file and folder below a folder, with its bytes.
fn files(root: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut found = BTreeMap::new();
    let mut folders = vec![root.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).expect("readable") {
            let path = entry.expect("readable").path();
            let bytes =
                if path.is_dir() { Vec::new() } else { std::fs::read(&path).expect("file") };
            if path.is_dir() {
                folders.push(path.clone());
            }
            found.insert(path.strip_prefix(root).expect("below").to_owned(), bytes);
        }
    }
    found
}

/// A scratch folder with a rich store in `store` and its backup in `set`.
fn backed_up() -> tempfile::TempDir {
    let scratch = tempfile::tempdir().expect("a scratch folder");
    rich_store(&scratch.path().join("store")).close().expect("durable");
    full(&scratch.path().join("store"), &scratch.path().join("set")).expect("a set");
    scratch
}

/// A full backup.
fn full(store: &Path, set: &Path) -> Result<JobReport, Error> {
    backup(store, set, BackupKind::Full, &mut quiet)
}

/// The store that a restore makes.
fn place(request: &RestoreRequest) -> std::path::PathBuf {
    match &request.to {
        RestoreTo::Store(path) | RestoreTo::Files(path, _) => path.clone(),
    }
}

fn request(scratch: &Path) -> RestoreRequest {
    RestoreRequest::whole(scratch.join("set"), RestoreTo::Store(scratch.join("again")))
}

/// Both mailboxes of a rich store.
pub(super) fn images(path: &Path) -> Vec<Vec<String>> {
    let store = open(path).expect("a store");
    let images = ["alice", "bob"].map(|name| image(&store, name)).into();
    store.close().expect("durable");
    images
}

/// Expects a job to be refused with this exit code and these words, and to change nothing.
#[track_caller]
fn check<T>(root: &Path, job: impl FnOnce() -> Result<T, Error>, code: u8, words: &[&str]) {
    let before = files(root);
    let error = job().map(drop).expect_err("it must be refused");
    assert_eq!(error.exit_code(), code, "{error}");
    for word in words {
        assert!(error.to_string().contains(word), "no {word:?} in: {error}");
    }
    assert!(files(root) == before, "something was changed: {error}");
}

#[test]
fn a_folder_that_is_no_store_is_refused_and_stays_as_it_was() {
    let scratch = tempfile::tempdir().expect("a scratch folder");
    let root = scratch.path();
    std::fs::create_dir(root.join("mine")).expect("writable");
    std::fs::write(root.join("mine/letter"), "precious").expect("writable");
    for name in ["mine", "nowhere", "mine/letter"] {
        let path = root.join(name);
        check(root, || open(&path), 65, &[name, "no store", "give"]);
        check(root, || store_info(&path), 65, &[name]);
        check(root, || store_check(&path, &mut quiet), 65, &[name]);
        check(root, || full(&path, &root.join("set")), 65, &[name]);
        let to = root.join("out");
        check(root, || export(&path, &to, &[], ExportFormat::Eml, &mut quiet), 65, &[name]);
        check(
            root,
            || move_mailboxes(&path, &to, &[], &MovePace::default(), &mut quiet),
            65,
            &[name],
        );
        check(root, || archive_list(&path), 65, &[name]);
        check(root, || archive_check(&path, true, false, &mut quiet), 65, &[name]);
        check(root, || archive_extract(&path, &to, &mut quiet), 65, &[name]);
    }
}

#[test]
fn an_import_that_cannot_be_leaves_no_store_behind() {
    let scratch = tempfile::tempdir().expect("a scratch folder");
    let root = scratch.path();
    write_tree(&root.join("alice"));
    let store = root.join("store");
    let of = |names: &[&str]| names.iter().map(|name| root.join(name)).collect::<Vec<_>>();
    let bad = of(&["alice", "nowhere"]);
    check(root, || import(&bad, &store, None, &mut quiet), 65, &["nowhere", "nothing"]);
    let good = of(&["alice"]);
    check(root, || import(&good, &store, Some(""), &mut quiet), 65, &[]);
    let full = root.join("alice");
    check(root, || import(&good, &full, None, &mut quiet), 65, &["alice", "not a store"]);
}

#[test]
fn mail_that_was_imported_and_exported_is_the_same_mail() {
    let scratch = tempfile::tempdir().expect("a scratch folder");
    let (tree, store) = (scratch.path().join("alice"), scratch.path().join("store"));
    write_tree(&tree);
    let report = import(std::slice::from_ref(&tree), &store, None, &mut quiet).expect("a Maildir");
    report.verdict().expect("every message was imported");
    import(std::slice::from_ref(&tree), &store, None, &mut quiet).expect("again");
    let to = scratch.path().join("out");
    export(&store, &to, &[], ExportFormat::Maildir, &mut quiet).expect("an empty folder");
    let read = |tree: &Path| {
        let mut found = crate::maildir_source::read(tree).expect("a Maildir");
        found.sort_by(|a, b| a.base.cmp(&b.base));
        found
    };
    let before = read(&tree);
    assert_eq!(before.len(), 4);
    assert_eq!(read(&to.join("alice")), before);
    let root = scratch.path();
    let again = || export(&store, &to, &[], ExportFormat::Maildir, &mut quiet);
    let message = again().expect_err("it is not empty").to_string();
    assert!(message.contains("something here"), "{message}");
    let nobody = ["nobody".to_owned()];
    let export = export(&store, &root.join("new"), &nobody, ExportFormat::Mbox, &mut quiet);
    assert_eq!(export.expect_err("no such mailbox").exit_code(), 65);
    assert!(!root.join("new").exists());
}

#[test]
fn a_restored_store_is_the_store_that_was_backed_up() {
    let scratch = backed_up();
    restore(&request(scratch.path()), &mut quiet).expect("an intact set");
    let again = scratch.path().join("again");
    assert_eq!(images(&again), images(&scratch.path().join("store")));
    store_check(&again, &mut quiet).expect("readable").verdict().expect("undamaged");
    let (old, new) = (scratch.path().join("store"), again);
    let (old, new) = (open(&old).expect("a store"), open(&new).expect("a store"));
    assert_ne!(old.id(), new.id(), "its log begins anew, and needs a set of its own");
    assert!(new.epoch() > 0);
    let names: Vec<String> = entries(scratch.path());
    assert_eq!(names, ["again", "set", "store"], "nothing else is left");
}

#[test]
fn a_lost_catalog_is_built_anew_with_everything_in_it() {
    let scratch = backed_up();
    let path = scratch.path().join("store");
    let before = images(&path);
    std::fs::remove_file(path.join("mail.redb")).expect("the catalog");
    let refused = store_info(&path).expect_err("the catalog is gone").to_string();
    assert!(refused.contains("rehome store recover"), "{refused}");
    let report = store_recover(&path, &mut quiet).expect("the log is whole");
    report.verdict().expect("undamaged");
    assert!(report.to_string().contains("the whole log"), "{report}");
    assert_eq!(images(&path), before);
}

#[test]
fn a_store_with_a_damaged_log_is_opened_without_it() {
    let scratch = backed_up();
    let path = scratch.path().join("store");
    let before = images(&path);
    let refused = store_give_up_log(&path, true, &mut quiet).expect_err("the log is whole");
    assert!(refused.to_string().contains("the log is whole"), "{refused}");
    for file in std::fs::read_dir(path.join("log")).expect("readable") {
        let file = file.expect("readable").path();
        let mut bytes = std::fs::read(&file).expect("readable");
        bytes[4096 + 50] ^= 1;
        std::fs::write(&file, bytes).expect("writable");
    }
    let refused = store_info(&path).expect_err("the log is damaged").to_string();
    assert!(refused.contains("--give-up-log --dry-run"), "{refused}");
    let told = store_give_up_log(&path, true, &mut quiet).expect("the catalog is whole");
    assert!(told.to_string().contains("nothing was changed"), "{told}");
    store_info(&path).expect_err("nothing was changed");
    let report = store_give_up_log(&path, false, &mut quiet).expect("the catalog is whole");
    report.verdict().expect("nothing is lost");
    assert!(report.to_string().contains("lost: nothing"), "{report}");
    assert!(report.to_string().contains("full backup"), "{report}");
    assert!(report.to_string().contains("mail.redb.lost-1"), "{report}");
    // The numbers that come next are higher; the messages are the same.
    let messages = |images: Vec<Vec<String>>| -> Vec<String> {
        images.into_iter().flatten().filter(|line| line.starts_with("Message ")).collect()
    };
    assert_eq!(messages(images(&path)), messages(before));
}

fn entries(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).expect("readable");
    let name = |entry: std::io::Result<std::fs::DirEntry>| entry.expect("readable").file_name();
    let mut names: Vec<_> =
        entries.map(|entry| name(entry).to_string_lossy().into_owned()).collect();
    names.sort();
    names
}

#[test]
fn one_mailbox_is_restored_alone() {
    let scratch = backed_up();
    let request = RestoreRequest { mailbox: Some("bob".to_owned()), ..request(scratch.path()) };
    // An empty folder is as good as none.
    std::fs::create_dir(place(&request)).expect("writable");
    let report = restore(&request, &mut quiet).expect("an intact set");
    assert_eq!(report.document["amount"]["mailboxes"], 1, "{report}");
    let (all, one) = (open(&scratch.path().join("store")), open(&place(&request)));
    let (all, one) = (all.expect("a store"), one.expect("a store"));
    assert_eq!(one.mailboxes().expect("readable").len(), 1);
    assert_eq!(image(&one, "bob"), image(&all, "bob"));
}

#[test]
fn a_dry_run_says_what_would_be_restored_and_touches_nothing() {
    let scratch = backed_up();
    let before = files(scratch.path());
    let dry = RestoreRequest { dry_run: true, ..request(scratch.path()) };
    let all = restore(&dry, &mut quiet).expect("an intact set");
    assert_eq!(all.document["amount"]["messages"], 6, "{all}");
    let one = RestoreRequest { mailbox: Some("alice".to_owned()), ..dry };
    let one = restore(&one, &mut quiet).expect("an intact set");
    assert_eq!(one.document["amount"]["messages"], 3, "{one}");
    assert!(files(scratch.path()) == before);
}

#[test]
fn a_restore_that_cannot_be_changes_nothing() {
    let scratch = backed_up();
    let root = scratch.path();
    let good = request(root);
    let check = |request: RestoreRequest, code, words: &[&str]| {
        check(root, || restore(&request, &mut quiet), code, words);
    };
    let nobody = Some("nobody".to_owned());
    check(
        RestoreRequest { mailbox: nobody.clone(), ..good.clone() },
        65,
        &["nobody", "alice, bob"],
    );
    let dry = RestoreRequest { mailbox: nobody, dry_run: true, ..good.clone() };
    check(dry, 65, &["nobody"]);
    check(
        RestoreRequest { to: RestoreTo::Store(root.join("store")), ..good.clone() },
        65,
        &["something here"],
    );
    check(RestoreRequest { backup: Some("nonsense".to_owned()), ..good.clone() }, 65, &[]);
    check(RestoreRequest { set: root.join("store"), ..good }, 65, &["set"]);
}

#[test]
fn a_restore_that_was_stopped_leaves_its_place_alone_and_goes_on_with_the_same_call() {
    let scratch = backed_up();
    let stopped = restore(&request(scratch.path()), &mut stop).expect_err("stopped");
    assert!(stopped.to_string().contains("same command"), "{stopped}");
    assert_eq!(stopped.exit_code(), 5);
    assert!(!place(&request(scratch.path())).exists());
    restore(&request(scratch.path()), &mut quiet).expect("the same call");
    assert_eq!(images(&place(&request(scratch.path()))), images(&scratch.path().join("store")));
}

/// A restore from a damaged set is refused; or, where the damage took only what helps to find
/// things, it brings everything.
fn restore_damaged(root: &Path) {
    let before = files(root);
    match restore(&request(root), &mut quiet) {
        Err(error) => {
            assert_eq!(error.exit_code(), 9, "{error}");
            assert!(files(root) == before, "a refusal changes nothing");
        }
        Ok(_) => {
            let place = place(&request(root));
            assert_eq!(images(&place), images(&root.join("store")));
            std::fs::remove_dir_all(place).expect("removable");
        }
    }
}

#[test]
fn a_damaged_byte_is_found_by_the_check_and_restores_nothing_wrong() {
    let scratch = backed_up();
    let set = scratch.path().join("set");
    archive_check(&set, true, false, &mut quiet).expect("readable").verdict().expect("whole");
    let is_volume = |name: &Path| name.extension().is_some_and(|extension| extension == "mbar");
    let volume = files(&set).into_keys().find(|name| is_volume(name)).expect("a volume");
    let path = set.join(volume);
    let good = std::fs::read(&path).expect("readable");
    for tenth in 1..10 {
        let mut bytes = good.clone();
        bytes[good.len() * tenth / 10] ^= 1;
        std::fs::write(&path, &bytes).expect("writable");
        let checked = archive_check(&set, true, false, &mut quiet).expect("the set can be read");
        assert_eq!(checked.verdict().expect_err("it is damaged").exit_code(), 6);
        restore_damaged(scratch.path());
    }
    std::fs::write(&path, &good).expect("writable");
    restore(&request(scratch.path()), &mut quiet).expect("the set is whole again");
}

#[test]
fn mail_is_extracted_from_a_set_without_a_server() {
    let scratch = backed_up();
    let (root, set) = (scratch.path(), scratch.path().join("set"));
    let full = root.join("store");
    check(root, || archive_extract(&set, &full, &mut quiet), 65, &["something here"]);
    let stopped = archive_extract(&set, &root.join("out"), &mut stop).expect_err("stopped");
    assert_eq!((stopped.exit_code(), root.join("out").exists()), (5, false));
    archive_extract(&set, &root.join("out"), &mut quiet).expect("an intact set");
    let mail = crate::maildir_source::read(&root.join("out/alice")).expect("a Maildir");
    assert_eq!(mail.len(), 3);
    assert_eq!(entries(root), ["out", "set", "store"], "nothing else is left");
}

/// Two stores' paths, of which the first exists.
fn two_stores() -> (tempfile::TempDir, PathBuf, PathBuf) {
    let scratch = tempfile::tempdir().expect("a scratch folder");
    let (from, to) = (scratch.path().join("from"), scratch.path().join("to"));
    rich_store(&from).close().expect("durable");
    (scratch, from, to)
}

fn state(path: &Path, name: &str) -> String {
    let store = open(path).expect("a store");
    let info = store.mailbox(&mailbox(name)).expect("readable");
    info.map_or_else(|| "absent".to_owned(), |info| info.state.to_string())
}

#[test]
fn every_mailbox_moves_and_moving_again_does_nothing() {
    let (_scratch, from, to) = two_stores();
    let before = images(&from);
    let first =
        move_mailboxes(&from, &to, &[], &MovePace::default(), &mut quiet).expect("two stores");
    first.verdict().expect("nothing is lost");
    assert_eq!((first.mailboxes, first.messages.source, first.messages.target), (2, 6, 6));
    assert_eq!(images(&to), before);
    let second =
        move_mailboxes(&from, &to, &[], &MovePace::default(), &mut quiet).expect("a repetition");
    second.verdict().expect("nothing is lost");
    assert_eq!((second.messages, second.lock_ms.max), (first.messages, 0.0));
    assert_eq!(images(&to), before);
    assert!(state(&from, "alice").starts_with("moved"), "{}", state(&from, "alice"));
}

#[test]
fn what_users_do_after_the_move_is_no_difference_when_it_is_repeated() {
    let (_scratch, from, to) = two_stores();
    move_mailboxes(&from, &to, &[], &MovePace::default(), &mut quiet).expect("two stores");
    let store = open(&to).expect("a store");
    let alice = store.mailbox(&mailbox("alice")).expect("readable").expect("moved").id;
    append(&store, (alice, "INBOX"), &letter("new"), rehome_store::Flags::NONE);
    let inbox = store.folder(alice, &FolderName::inbox()).expect("readable").expect("there").id;
    store.expunge(alice, inbox, &[rehome_store::Uid(2)]).expect("it is there");
    store.close().expect("durable");
    let again =
        move_mailboxes(&from, &to, &[], &MovePace::default(), &mut quiet).expect("a repetition");
    again.verdict().expect("nothing is lost");
}

#[test]
fn one_mailbox_moves_and_the_other_stays() {
    let (_scratch, from, to) = two_stores();
    let summary = move_mailboxes(&from, &to, &["bob".to_owned()], &MovePace::default(), &mut quiet)
        .expect("two stores");
    summary.verdict().expect("nothing is lost");
    assert_eq!(
        (state(&from, "alice").as_str(), state(&to, "alice").as_str()),
        ("active", "absent")
    );
    assert_eq!(state(&to, "bob"), "active");
    let rest = move_mailboxes(&from, &to, &[], &MovePace::default(), &mut quiet).expect("the rest");
    rest.verdict().expect("nothing is lost");
    assert_eq!(rest.mailboxes, 2);
}

#[test]
fn a_move_that_was_stopped_goes_on() {
    let (_scratch, from, to) = two_stores();
    let before = images(&from);
    let error = move_mailboxes(&from, &to, &[], &MovePace::default(), &mut stop)
        .expect_err("it was stopped");
    assert_eq!(error.exit_code(), 5, "{error}");
    move_mailboxes(&from, &to, &[], &MovePace::default(), &mut quiet)
        .expect("it goes on")
        .verdict()
        .expect("whole");
    assert_eq!(images(&to), before);
}

#[test]
fn a_move_of_a_mailbox_that_is_not_there_makes_no_store() {
    let (scratch, from, to) = two_stores();
    let nobody = ["nobody".to_owned()];
    let error = move_mailboxes(&from, &to, &nobody, &MovePace::default(), &mut quiet)
        .expect_err("no such mailbox");
    assert_eq!(error.exit_code(), 65, "{error}");
    assert!(error.to_string().contains("nobody"), "{error}");
    assert_eq!(entries(scratch.path()), ["from"]);
}

#[test]
fn another_mailbox_of_the_same_name_at_the_target_is_not_touched() {
    let (_scratch, from, to) = two_stores();
    let store = Store::create_at(&to, rehome_store::OpenOptions::default()).expect("new");
    let active = rehome_store::MailboxState::Active;
    let id = store.create_mailbox(&mailbox("alice"), active).expect("new");
    append(&store, (id, "INBOX"), &letter("somebody else's"), rehome_store::Flags::NONE);
    let before = image(&store, "alice");
    store.close().expect("durable");
    let error =
        move_mailboxes(&from, &to, &[], &MovePace::default(), &mut quiet).expect_err("two alices");
    assert_eq!(error.exit_code(), 9, "{error}");
    assert_eq!(image(&open(&to).expect("a store"), "alice"), before);
    assert_eq!(state(&from, "alice"), "active");
}

#[test]
fn a_mailbox_that_moved_away_is_left_out_of_a_backup_and_named() {
    let scratch = tempfile::tempdir().expect("a scratch folder");
    let path = |name: &str| scratch.path().join(name);
    rich_store(&path("store")).close().expect("durable");
    let alice = ["alice".to_owned()];
    move_mailboxes(&path("store"), &path("other"), &alice, &MovePace::default(), &mut quiet)
        .expect("moved");
    let report = full(&path("store"), &path("set")).expect("a set");
    assert_eq!(report.document["mailboxes"], 1, "{report}");
    assert!(report.text.contains("left out: alice (moved to"), "{report}");
    restore(&request(scratch.path()), &mut quiet).expect("restored");
    let again = open(&path("again")).expect("a store");
    assert!(again.mailbox(&mailbox("alice")).expect("readable").is_none(), "a second home");
    again.close().expect("durable");
}

#[test]
fn the_log_is_archived_and_made_circular_again_and_info_says_so() {
    let scratch = backed_up();
    let path = scratch.path().join("store");
    let said = |report: crate::report::JobReport| report.to_string();
    assert!(said(store_info(&path).expect("a store")).contains("log circular"));
    let changed = said(store_log(&path, Some(LogChange::Archive)).expect("noted"));
    assert!(changed.contains("the log is whole after"), "{changed}");
    let seen = said(store_info(&path).expect("a store"));
    assert!(seen.contains("log archived") && seen.contains("for the archive"), "{seen}");
    let same = said(store_log(&path, None).expect("a store"));
    assert!(same.starts_with("log archived"), "{same}");
    let back = said(store_log(&path, Some(LogChange::Circular)).expect("noted"));
    assert!(back.contains("the archive of this log ends"), "{back}");
    assert!(said(store_log(&path, None).expect("a store")).starts_with("log circular"));
}
