//! An encrypted set is read with the keys of its recipients, and with no other.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use rehome_archive::BackupKind;
use rehome_store::Flags;

use super::{SetAccess, recipients};
use crate::error::Error;
use crate::jobs::{
    BackupOptions, RestoreRequest, RestoreTo, archive_check, archive_drill, archive_extract,
    archive_log, archive_salvage, backup, backup_to_pipe, maildir_digest, open, restore,
    restore_from_pipe, store_digest,
};
use crate::report::JobReport;
use crate::testing::{append, letter, quiet, rich_store};

/// Keys that tests of age use.
const RECIPIENT: &str = "age1zvkyg2lqzraa2lnjvqej32nkuu0ues2s82hzrye869xeexvn73equnujwj";
const KEY: &str = "AGE-SECRET-KEY-1GFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPQ4EGAEX";

/// A folder with a store, the key of its backups' recipient, and another key.
struct Scene {
    folder: tempfile::TempDir,
}

impl Scene {
    fn new() -> Scene {
        let scene = Scene { folder: tempfile::tempdir().expect("a scratch folder") };
        rich_store(&scene.path("store")).close().expect("durable");
        std::fs::write(scene.path("key"), format!("# a key\n{KEY}\n")).expect("room");
        let other = age::x25519::Identity::generate();
        let other = age::secrecy::ExposeSecret::expose_secret(&other.to_string()).to_owned();
        std::fs::write(scene.path("other-key"), other).expect("room");
        scene
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn back_up(&self, kind: BackupKind) -> Result<JobReport, Error> {
        let options = BackupOptions { recipients: vec![RECIPIENT.to_owned()], ..kind.into() };
        backup(&self.path("store"), &self.path("set"), options, &mut quiet)
    }

    fn request(&self, to: &str, identity: Option<&str>) -> RestoreRequest {
        let whole = RestoreRequest::whole(self.path("set"), RestoreTo::Store(self.path(to)));
        RestoreRequest { identity: identity.map(|name| self.path(name)), ..whole }
    }
}

/// What differs between two stores.
fn digest(store: &Path) -> String {
    let report = store_digest(store, &[]).expect("a store");
    report.text.replace(&store.display().to_string(), "")
}

#[track_caller]
fn check_refused(done: Result<JobReport, Error>, says: &str) {
    let error = done.map(|report| report.text).expect_err("it is encrypted");
    assert_eq!(error.exit_code(), 65, "{error}");
    assert!(error.to_string().contains(says), "{error}");
}

#[test]
fn a_chain_and_its_log_come_back_with_the_key_alone() {
    let scene = Scene::new();
    let (set, key) = (scene.path("set"), scene.path("key"));
    scene.back_up(BackupKind::Full).expect("a backup");
    scene.back_up(BackupKind::Incremental).expect("a writer needs no key");
    let to = [RECIPIENT.to_owned()];
    archive_log(&scene.path("store"), &set, &to, &mut quiet).expect("a writer needs no key");
    for identity in [None, Some("other-key")] {
        let done = restore(&scene.request("no", identity), &mut quiet);
        check_refused(done, "encrypted");
        let identity = identity.map(|name| scene.path(name));
        let access = SetAccess { set: &set, identity: identity.as_deref() };
        check_refused(archive_check(access, true, false, &mut quiet), "encrypted");
        check_refused(archive_drill(access, &scene.path("no"), &mut quiet), "encrypted");
        check_refused(archive_extract(access, &scene.path("no"), &mut quiet), "encrypted");
        check_refused(archive_salvage(access, None, &scene.path("no"), &mut quiet), "encrypted");
        assert!(!scene.path("no").exists());
        let checked = archive_check(access, false, false, &mut quiet).expect("no key is needed");
        checked.verdict().expect("whole");
    }
    let access = SetAccess { set: &set, identity: Some(&key) };
    archive_check(access, true, false, &mut quiet).expect("a key").verdict().expect("whole");
    archive_drill(access, &scene.path("drill"), &mut quiet)
        .expect("a key")
        .verdict()
        .expect("same");
    restore(&scene.request("again", Some("key")), &mut quiet).expect("a key");
    assert_eq!(digest(&scene.path("again")), digest(&scene.path("store")));
    archive_extract(access, &scene.path("files"), &mut quiet).expect("a key");
    assert!(maildir_digest(&scene.path("files")).expect("Maildirs").text.contains("alice"));
}

/// The archiver was killed behind a segment, before the store noted it.
#[test]
fn archiving_goes_on_behind_an_encrypted_segment_that_the_store_has_not_noted() {
    let scene = Scene::new();
    let (store, set) = (scene.path("store"), scene.path("set"));
    let to = [RECIPIENT.to_owned()];
    archive_log(&store, &set, &to, &mut quiet).expect("a set");
    let copy = scene.path("before");
    for text in ["first", "second"] {
        copy_folder(&store, &copy);
        let open = open(&store).expect("a store");
        let alice = open.mailboxes().expect("readable")[0].id;
        append(&open, (alice, "INBOX"), &letter(text), Flags::NONE);
        open.close().expect("durable");
        archive_log(&store, &set, &to, &mut quiet).expect("a writer needs no key");
        // The store forgets that the segment is there.
        std::fs::copy(copy.join("log.json"), store.join("log.json")).expect("room");
        archive_log(&store, &set, &to, &mut quiet).expect("the same history");
    }
    // A store that was put back has the same places with other records.
    std::fs::remove_dir_all(&store).expect("there");
    copy_folder(&copy, &store);
    let open = open(&store).expect("a store");
    let alice = open.mailboxes().expect("readable")[0].id;
    append(&open, (alice, "INBOX"), &letter("other!"), Flags::NONE);
    open.close().expect("durable");
    check_refused(archive_log(&store, &set, &to, &mut quiet), "former history");
}

fn copy_folder(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).expect("room");
    for entry in std::fs::read_dir(from).expect("a folder") {
        let entry = entry.expect("readable");
        let to = to.join(entry.file_name());
        match entry.file_type().expect("known").is_dir() {
            true => copy_folder(&entry.path(), &to),
            false => drop(std::fs::copy(entry.path(), to).expect("room")),
        }
    }
}

#[test]
fn nothing_that_is_not_encrypted_comes_into_an_encrypted_set() {
    let scene = Scene::new();
    scene.back_up(BackupKind::Full).expect("a backup");
    let (store, set) = (scene.path("store"), scene.path("set"));
    for kind in [BackupKind::Full, BackupKind::Incremental] {
        check_refused(backup(&store, &set, kind, &mut quiet), "not; nothing was written");
    }
    check_refused(archive_log(&store, &set, &[], &mut quiet), "not; nothing was written");
    let options = BackupOptions { recipients: vec!["bob".to_owned()], ..BackupKind::Full.into() };
    check_refused(backup(&store, &set, options, &mut quiet), "bob is no age recipient");
}

#[test]
fn a_pipe_carries_what_only_the_key_opens() {
    let scene = Scene::new();
    let pipe = Carried::default();
    let options =
        BackupOptions { recipients: vec![RECIPIENT.to_owned()], ..BackupKind::Full.into() };
    backup_to_pipe(&scene.path("store"), options, pipe.clone(), &mut quiet).expect("room");
    let bytes = pipe.0.lock().expect("no panic").clone();
    for identity in [None, Some("other-key")] {
        let request = scene.request("no", identity);
        check_refused(restore_from_pipe(&request, bytes.as_slice(), &mut quiet), "encrypted");
    }
    let request = scene.request("again", Some("key"));
    restore_from_pipe(&request, bytes.as_slice(), &mut quiet).expect("a key");
    assert_eq!(digest(&scene.path("again")), digest(&scene.path("store")));
}

/// What was written into a pipe.
#[derive(Clone, Default)]
struct Carried(Arc<Mutex<Vec<u8>>>);

impl std::io::Write for Carried {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().expect("no panic").extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[test]
fn recipients_are_read_from_files_too() {
    let scene = Scene::new();
    let file = scene.path("recipients");
    std::fs::write(&file, format!("# who restores\n\n{RECIPIENT}\n")).expect("room");
    let all = recipients(&["age1x".to_owned()], std::slice::from_ref(&file)).expect("readable");
    assert_eq!(all, ["age1x", RECIPIENT]);
    std::fs::write(&file, "# nobody\n").expect("room");
    for bad in [file, scene.path("no-such-file")] {
        let error = recipients(&[], &[bad]).expect_err("it names none");
        assert_eq!(error.exit_code(), 65, "{error}");
    }
}
