//! What a hostile or unlucky user meets: damaged stores and names made to confuse. Each refusal has
//! place, cause, consequence and remedy, nothing panics, and the source stays as it was.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use rehome_tests::{Run, run, tree};

use crate::{REHOME, sample};

type Files = BTreeMap<PathBuf, Vec<u8>>;

/// Writes files below a folder.
fn write(folder: &Path, files: &Files) {
    for (path, bytes) in files {
        let path = folder.join(path);
        std::fs::create_dir_all(path.parent().expect("a folder")).expect("writable");
        std::fs::write(path, bytes).expect("writable");
    }
}

/// A store with the mail of a sample, as files.
fn good_store(test: u8) -> Files {
    let scratch = tempfile::tempdir().expect("a scratch folder");
    let site = sample(scratch.path(), test, 2, 40);
    let store = scratch.path().join("store");
    let args = ["import", &format!("{site}/mail"), "--store", &store.display().to_string()];
    let imported = run(REHOME, &args);
    assert_eq!(imported.code, Some(0), "{imported:?}");
    tree(&store)
}

/// How a file is spoiled.
#[derive(Debug, Clone, Copy)]
enum Spoil {
    /// It ends here, in hundredths of its length.
    Cut(usize),
    /// A bit is flipped there.
    Flip(usize),
    /// From here to there are zeros, in hundredths of its length.
    Zeros(usize, usize),
    /// There is no such file.
    Remove,
}

impl Spoil {
    fn apply(self, bytes: &[u8]) -> Option<Vec<u8>> {
        let at = |hundredths: usize| (bytes.len() * hundredths / 100).min(bytes.len() - 1);
        let mut spoiled = bytes.to_vec();
        match self {
            Spoil::Cut(end) => spoiled.truncate(bytes.len() * end / 100),
            Spoil::Flip(place) => spoiled[at(place)] ^= 1,
            Spoil::Zeros(from, to) => spoiled[at(from)..bytes.len() * to / 100].fill(0),
            Spoil::Remove => return None,
        }
        Some(spoiled)
    }
}

#[track_caller]
fn refused(done: &Run, code: i32, words: &[&str], context: &str) {
    assert!(!done.stderr.contains("panicked"), "{context}: {done:?}");
    assert_eq!(done.code, Some(code), "{context}: {done:?}");
    for word in words {
        assert!(done.stderr.contains(word), "{context}: no {word:?} in {}", done.stderr);
    }
}

/// Spoils the first file whose name begins so, and expects this of a check and of a move. The files
/// with mail in them stay as they are.
#[track_caller]
fn check(good: &Files, begins: &str, spoil: Spoil, checked: (i32, &[&str]), moved: (i32, &[&str])) {
    let context = format!("{begins} {spoil:?}");
    let scratch = tempfile::tempdir().expect("a scratch folder");
    let path = |name: &str| scratch.path().join(name).display().to_string();
    let mut files = good.clone();
    let named = files.keys().find(|name| name.to_string_lossy().starts_with(begins)).cloned();
    let named = named.unwrap_or_else(|| panic!("{context}: no such file"));
    match spoil.apply(&files[&named]) {
        Some(bytes) => drop(files.insert(named, bytes)),
        None => drop(files.remove(&named)),
    }
    for part in ["log", "seg"] {
        std::fs::create_dir_all(scratch.path().join("store").join(part)).expect("writable");
    }
    write(&scratch.path().join("store"), &files);
    let (store, target) = (path("store"), path("target"));
    refused(&run(REHOME, &["store", "check", &store]), checked.0, checked.1, &context);
    let done = run(REHOME, &["move", "--from", &store, "--to", &target, "--all"]);
    refused(&done, moved.0, moved.1, &context);
    let is_mail = |name: &PathBuf| name.starts_with("seg") && good.contains_key(name);
    let after = tree(&scratch.path().join("store"));
    for (name, bytes) in files.iter().filter(|(name, _)| is_mail(name)) {
        assert!(after.get(name) == Some(bytes), "{context}: {} was changed", name.display());
    }
}

#[test]
fn a_damaged_log_is_refused_with_its_place_and_a_remedy() {
    let good = good_store(51);
    let words: &[&str] = &["log/E", "at byte", "nothing was changed", "backup"];
    let gone: &[&str] = &["log is damaged", "nothing was changed", "put the log's files back"];
    check(&good, "log/E", Spoil::Flip(1), (9, words), (9, words));
    check(&good, "log/E", Spoil::Zeros(0, 1), (9, &["log", "backup"]), (9, &["log", "backup"]));
    check(&good, "log/E", Spoil::Cut(0), (9, gone), (9, gone));
    check(&good, "log/E", Spoil::Remove, (9, gone), (9, gone));
}

#[test]
fn a_damaged_segment_costs_its_messages_alone_and_says_how_to_have_them_back() {
    let good = good_store(52);
    let words: &[&str] = &["damaged", "no others are concerned", "--repair-from", "backup"];
    let left: &[&str] = &["not all were compared", "nothing was deleted at the source"];
    for spoil in
        [Spoil::Cut(50), Spoil::Cut(0), Spoil::Flip(30), Spoil::Zeros(60, 65), Spoil::Remove]
    {
        check(&good, "seg/", spoil, (6, words), (6, left));
    }
}

#[test]
fn a_damaged_catalog_is_refused_with_its_remedy() {
    let good = good_store(53);
    let words: &[&str] = &["mail.redb", "damaged", "segments and log", "rehome store recover"];
    let row: &[&str] = &["catalog", "damaged", "segments and log", "rehome store recover"];
    check(&good, "mail.redb", Spoil::Cut(50), (9, words), (9, words));
    check(&good, "mail.redb", Spoil::Remove, (9, &["mail.redb", "recover"]), (9, &["recover"]));
    check(&good, "mail.redb", Spoil::Zeros(5, 95), (9, row), (9, row));
}

#[test]
fn a_damaged_or_later_identity_is_refused() {
    let good = good_store(54);
    let words: &[&str] = &["store.id", "damaged", "nothing was changed", "backup"];
    for spoil in [Spoil::Cut(50), Spoil::Cut(0), Spoil::Flip(10), Spoil::Zeros(0, 100)] {
        check(&good, "store.id", spoil, (9, words), (9, words));
    }
    let none: &[&str] = &["no store here", "store.id"];
    check(&good, "store.id", Spoil::Remove, (65, none), (65, none));
    let mut later = good;
    let identity = later.get_mut(Path::new("store.id")).expect("an identity");
    let text = String::from_utf8(identity.clone()).expect("JSON");
    *identity = text.replace("\"version\": 6", "\"version\": 77").into_bytes();
    let scratch = tempfile::tempdir().expect("a scratch folder");
    write(scratch.path(), &later);
    let store = scratch.path().display().to_string();
    for verb in ["info", "check", "scrub", "tune", "digest", "recover", "compact"] {
        let done = run(REHOME, &["store", verb, &store]);
        refused(&done, 65, &["version 77", "use a program that knows it"], verb);
    }
    assert_eq!(tree(scratch.path()), later, "a store of a later version is left alone");
}

/// Names that mean something to shells, to Maildir, to terminals, or to nobody.
const NAMES: [&[u8]; 14] = [
    b"1.line\nbreak:2,S",
    b"2.\xff\xfe:2,F",
    b"3.%bytes:%FF:2,",
    b"4.colons:2,S:2,:2,RZz9,\x01",
    b"5.S=5,S=99999999999999999999999:2,",
    b"6.\x1b[31mred:2,",
    b"7.$(reboot)`id`;'\":2,",
    b"8.-rf:2,",
    b"-rf",
    b":2,S",
    b"9.\xe2\x80\xaegpj:2,",
    b"10. :2, ",
    b"11.\t:2,",
    b"12.,,,,=,=:2,DFPRST",
];

#[test]
fn names_made_to_confuse_are_imported_and_come_back_or_are_listed() {
    let scratch = tempfile::tempdir().expect("a scratch folder");
    let path = |name: &str| scratch.path().join(name);
    let maildir = path("eve");
    let folders: [&[u8]; 6] = [b"", b".A..B", b"...", b".&&&-", b".a\nb", b".\xff"];
    for folder in folders {
        for part in ["cur", "new", "tmp"] {
            let folder = maildir.join(OsStr::from_bytes(folder)).join(part);
            std::fs::create_dir_all(folder).expect("writable");
        }
        for (index, name) in NAMES.into_iter().enumerate() {
            let file = maildir.join(OsStr::from_bytes(folder)).join("cur");
            let text = format!("Subject: {index}\n\n{folder:?}\n");
            std::fs::write(file.join(OsStr::from_bytes(name)), text).expect("writable");
        }
    }
    std::fs::write(maildir.join("cur").join("x".repeat(255)), "long\n").expect("writable");
    std::os::unix::fs::symlink("/etc/passwd", maildir.join("cur/13.link:2,")).expect("writable");
    let fifo = maildir.join("cur/14.fifo:2,");
    assert_eq!(run("mkfifo", &[&fifo]).code, Some(0));
    std::fs::write(maildir.join("dovecot-uidlist"), "3 V0 N0\n\x00\n").expect("writable");
    std::fs::write(maildir.join("dovecot-keywords"), "99 x\n-1 y\n0 a b\r\n").expect("writable");
    std::fs::write(maildir.join("subscriptions"), "V\t2\n\n\t\t\n../..\n").expect("writable");
    std::fs::remove_file(&fifo).expect("it is there");
    let before = tree(&maildir);
    assert_eq!(run("mkfifo", &[&fifo]).code, Some(0));
    let (store, out) = (path("store").display().to_string(), path("out").display().to_string());
    let source = maildir.display().to_string();
    let imported = run(REHOME, &["import", &source, "--store", &store, "--json"]);
    refused(&imported, imported.code.unwrap_or(-1), &[], "the import");
    assert!(matches!(imported.code, Some(0 | 6)), "{imported:?}");
    std::fs::remove_file(&fifo).expect("it is there");
    assert_eq!(tree(&maildir), before, "the source was changed");
    let info = run(REHOME, &["store", "info", &store, "--json"]).json();
    let messages = info["statistics"]["messages"].as_u64().expect("a count");
    assert_eq!(messages, 6 * NAMES.len() as u64 + 1, "{info}");
    let exported = run(REHOME, &["export", "--store", &store, "--to", &out]);
    refused(&exported, 0, &[], "the export");
    let bodies = |folder: &Path| {
        let in_cur = |path: &Path| path.parent().is_some_and(|parent| parent.ends_with("cur"));
        let files = tree(folder).into_iter().filter(|(path, _)| in_cur(path));
        let mut bodies: Vec<Vec<u8>> = files.map(|(_, bytes)| bytes).collect();
        bodies.sort();
        bodies
    };
    let mut there = bodies(&maildir);
    there.retain(|bytes| !bytes.starts_with(b"root:"));
    assert_eq!(bodies(&path("out").join("eve")), there, "each message has come back");
    assert!(!path("etc").exists());
}
