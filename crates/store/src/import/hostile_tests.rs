//! Sources that were made to harm: nothing panics, nothing leads out, and the
//! source stays as it is.

use super::testing::{empty_store, import, messages};
use super::{ImportReport, import_site};
use crate::export::{ExportOptions, export_eml, export_maildir, export_mbox};
use rustix::fs::{CWD, FileType, Mode, mknodat};
use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::fs::{self, File};
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::os::unix::fs::{MetadataExt as _, symlink};
use std::path::{Path, PathBuf};

/// Every entry below `root`: path, length, and time of the last change, without following links.
fn listing(root: &Path) -> BTreeMap<PathBuf, (u64, i64, i64)> {
    let mut found = BTreeMap::new();
    let mut folders = vec![root.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            let data = fs::symlink_metadata(&path).unwrap();
            if data.is_dir() {
                folders.push(path.clone());
            }
            found.insert(path, (data.len(), data.mtime(), data.mtime_nsec()));
        }
    }
    found
}

/// Imports what `make` makes, exports it in every form, and says how many messages came in and what
/// was skipped. The source is the same after as before.
#[track_caller]
fn check(make: impl FnOnce(&Path), source: &str, expected: usize, said: &[&str]) {
    let (place, store) = empty_store();
    let root = place.path().join("source");
    fs::create_dir(&root).unwrap();
    make(&root);
    let before = listing(&root);
    let report: ImportReport = match import(&root.join(source), None, &store) {
        Ok(report) => report,
        Err(error) => {
            assert!(said.iter().all(|text| error.to_string().contains(text)), "{error}");
            assert_eq!(expected, 0, "{error}");
            return;
        }
    };
    assert_eq!(listing(&root), before, "the source is only read");
    assert_eq!(messages(&store, "anna").len(), expected, "{report:?}");
    let all = format!("{:?} {:?}", report.skipped, report.warnings);
    for text in said {
        assert!(all.contains(text), "{text:?} is not in {all}");
    }
    let options = ExportOptions::default();
    let mut go_on = |_| crate::Flow::Continue;
    for (index, export) in [export_maildir, export_mbox, export_eml].into_iter().enumerate() {
        let to = place.path().join(format!("out{index}/inner"));
        export(&store, &to, &options, &mut go_on).unwrap();
        let outside = fs::read_dir(to.parent().unwrap()).unwrap().count();
        assert_eq!(outside, 1, "an export writes into its folder only");
    }
}

fn maildir(root: &Path) {
    fs::create_dir_all(root.join("cur")).unwrap();
    fs::write(root.join("cur/good:2,S"), "Subject: good\n\n").unwrap();
}

#[test]
fn pipes_devices_and_sockets_are_never_opened() {
    let make = |root: &Path| {
        maildir(root);
        mknodat(CWD, root.join("cur/pipe"), FileType::Fifo, Mode::RUSR, 0).unwrap();
        mknodat(CWD, root.join("dovecot-uidlist"), FileType::Fifo, Mode::RUSR, 0).unwrap();
        mknodat(CWD, root.join("subscriptions"), FileType::Fifo, Mode::RUSR, 0).unwrap();
        std::os::unix::net::UnixListener::bind(root.join("cur/socket")).unwrap();
    };
    check(make, "", 1, &["cur/pipe", "cur/socket", "neither a file nor a folder"]);
    let make = |root: &Path| {
        mknodat(CWD, root.join("x.mbox"), FileType::Fifo, Mode::RUSR, 0).unwrap();
    };
    check(make, "x.mbox", 0, &["neither a file nor a folder"]);
}

#[test]
fn links_out_of_the_source_and_in_circles_are_listed_and_not_followed() {
    let make = |root: &Path| {
        maildir(root);
        symlink("/etc/passwd", root.join("cur/out")).unwrap();
        symlink("..", root.join(".Circle")).unwrap();
        symlink("self", root.join("cur/self")).unwrap();
        symlink("/etc/passwd", root.join("dovecot-uidlist")).unwrap();
    };
    check(make, "", 1, &["cur/out", ".Circle", "cur/self", "links are not followed"]);
}

#[test]
fn names_of_every_kind_come_in_and_go_out() {
    let make = |root: &Path| {
        maildir(root);
        let mut long = b"l".repeat(200);
        long.extend_from_slice(&b":".repeat(55));
        let names: [&[u8]; 9] = [
            &long,
            b"..x",
            b"\xFF\xFE:2,S",
            b"tab\there",
            b"line\nend:2,",
            b"CON",
            b"a\\..\\b",
            "e\u{301}".as_bytes(),
            "\u{e9}".as_bytes(),
        ];
        for name in names {
            let path = root.join("cur").join(OsStr::from_bytes(name));
            fs::write(path, name).unwrap();
        }
        fs::write(root.join("cur/:2,S"), "no base").unwrap();
    };
    check(make, "", 10, &["..x", "a hidden file"]);
}

#[test]
fn folder_names_of_every_kind_come_in_and_go_out() {
    let make = |root: &Path| {
        maildir(root);
        let names: [&[u8]; 12] = [
            b"....",
            b".a..b",
            b".A",
            b".\xFF",
            b".x\ny",
            b".&AC8-",
            b".&AC8-..&AC8-etc",
            b".inbox",
            b".INBOX",
            ".e\u{301}".as_bytes(),
            ".\u{e9}".as_bytes(),
            b".\\x",
        ];
        for (index, name) in names.iter().enumerate() {
            let path = root.join(OsString::from_vec(name.to_vec())).join("cur");
            fs::create_dir_all(&path).unwrap();
            fs::write(path.join(index.to_string()), "x").unwrap();
        }
        let long = root.join(format!(".{}", "x.".repeat(120))).join("cur");
        fs::create_dir_all(&long).unwrap();
        fs::write(long.join("m"), "x").unwrap();
    };
    check(make, "", 14, &[]);
}

#[test]
fn uid_lists_that_lie_cost_the_uids_only() {
    for list in [
        "3 V1 N9\n5 :good\n4 :other\n",
        "3 V1 N9\n5 :good\n5 :good\n",
        "3 V1 N9\n4294967296 :good\n",
        "3 V1 N9\n4294967295 :good\n",
        "3 V0 N0\n",
        "3 V99999999999 N1\n",
        "\u{0}\u{1}\u{2}",
        "1 1\n",
        "3 V1 N4294967295\n1 :good\n",
    ] {
        let make = |root: &Path| {
            maildir(root);
            fs::write(root.join("dovecot-uidlist"), list).unwrap();
            fs::write(root.join("dovecot.index"), [0xFF; 100]).unwrap();
            fs::write(root.join("dovecot.index.log"), [0; 10]).unwrap();
            fs::write(root.join("dovecot-keywords"), [0xFE; 100]).unwrap();
            fs::write(root.join("subscriptions"), [0xFE, b'\n', 0, b'\n']).unwrap();
        };
        check(make, "", 1, &[]);
    }
}

#[test]
fn lengths_that_lie_and_empty_files_do_no_harm() {
    let mbox = "From a Thu Aug 22 12:36:23 2002\nContent-Length: 1152921504606846976\n\nx\n\n\
                From b Thu Aug 22 12:36:23 2002\nContent-Length: 18446744073709551615\n\ny\n";
    check(|root| fs::write(root.join("x.mbox"), mbox).unwrap(), "x.mbox", 2, &[]);
    check(|root| fs::write(root.join("x.mbox"), "").unwrap(), "x.mbox", 0, &[]);
    check(|root| fs::write(root.join("x.eml"), "").unwrap(), "x.eml", 1, &[]);
    check(|root| fs::write(root.join("x"), "").unwrap(), "x", 0, &["begins neither"]);
    let mut pst = vec![0xFF; 4096];
    pst[..12].copy_from_slice(b"!BDN\0\0\0\0SM\x17\0");
    pst[513] = 0;
    let said = "this Outlook file cannot be read on";
    check(|root| fs::write(root.join("x.pst"), pst).unwrap(), "x.pst", 0, &[said, "scanpst"]);
}

#[test]
fn a_message_above_the_limit_is_listed_and_never_held() {
    let make = |root: &Path| {
        maildir(root);
        let file = File::create(root.join("cur/sparse")).unwrap();
        file.set_len(1 << 40).unwrap();
    };
    check(make, "", 1, &["1099511627776 bytes, and at most"]);
}

#[test]
fn a_deep_tree_of_messages_is_walked_without_a_deep_stack() {
    let make = |root: &Path| {
        let mut path = root.to_owned();
        while path.as_os_str().len() < 1500 {
            path.push("d");
        }
        fs::create_dir_all(&path).unwrap();
        fs::write(path.join("deep.eml"), "Subject: deep\n\n").unwrap();
    };
    check(make, "", 1, &[]);
}

#[test]
fn a_site_with_names_that_are_no_mailboxes_lists_them() {
    let (place, store) = empty_store();
    let root = place.path().join("site");
    for name in [&b"anna"[..], b"\xFF", b"x\ny"] {
        maildir(&root.join(OsStr::from_bytes(name)));
    }
    let options = super::ImportOptions::default();
    let report = import_site(&root, &store, &options, &mut |_| crate::Flow::Continue).unwrap();
    assert_eq!((report.messages(), report.skipped.len()), (1, 2), "{report:?}");
}
