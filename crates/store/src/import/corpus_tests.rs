//! Real mail, in and out again. Skipped, and said so, where the corpus is not there.

use super::testing::{corpus, empty_store, go_on, import, mailbox, messages, read_tree};
use super::{ImportOptions, import_site, import_source, scan_site, scan_source};
use crate::export::{ExportOptions, export_eml, export_maildir, export_mbox};
use crate::mbox::separator_of_origin;
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// Messages in each mbox. `docs/format/import.md` says why, for those that are awkward.
const MBOX_MESSAGES: [(&str, usize); 33] = [
    ("apache-tika-complex.mbox", 3),
    ("apache-tika-headers.mbox", 1),
    ("apache-tika-multiline.mbox", 1),
    ("apache-tika-multiline2.mbox", 1),
    ("apache-tika-quoted.mbox", 1),
    ("apache-tika-simple.mbox", 2),
    ("apache-tika-single_mail.mbox", 1),
    ("apache-tika-testMBOX_complex.mbox", 1),
    ("apache-tika-testMBOX_lengthy_x-headers.mbox", 1),
    ("linux-mips-1997-06.mboxrd.mbox", 206),
    ("linux-mips-1999-02.mboxrd.mbox", 128),
    ("linux-mips-2000-12.mboxrd.mbox", 162),
    ("linux-mips-2001-08.mboxrd.mbox", 428),
    ("linux-mips-2002-10.mboxrd.mbox", 235),
    ("linux-mips-2003-04.mboxrd.mbox", 356),
    ("linux-mips-2005-05.mboxrd.mbox", 190),
    ("linux-mips-2006-09.mboxrd.mbox", 256),
    ("linux-mips-2007-10.mboxrd.mbox", 594),
    ("linux-mips-2013-04.mboxrd.mbox", 297),
    ("messageparser-binary_body.txt.mbox", 1),
    ("messageparser-hessbug.txt.mbox", 1),
    ("messageparser-invalid-boundaries.txt.mbox", 8),
    ("messageparser-mailarc-1-dos.txt.mbox", 15),
    ("messageparser-mailarc-1.txt.mbox", 15),
    ("messageparser-mailarc-2.txt.mbox", 5),
    ("messageparser-mailarc-3.txt.mbox", 16),
    ("messageparser-mailseparators.txt.mbox", 3),
    ("messageparser-malformed.txt.mbox", 3),
    ("messageparser-newlines_at_beginning.txt.mbox", 1),
    ("messageparser-separators1.sep.mbox", 4),
    ("messageparser-separators2.sep.mbox", 2),
    ("messageparser-vm-emacs.txt.mbox", 1),
    ("spamassassin-easy-ham-1.mboxo.mbox", 2500),
];

fn files(root: &Path) -> Vec<PathBuf> {
    let mut found: Vec<_> =
        fs::read_dir(root).unwrap().map(|entry| entry.unwrap().path()).collect();
    found.sort();
    found
}

/// The bodies of mailbox `anna` in order, each with its date and separator line.
fn bodies(store: &crate::Store) -> Vec<(i64, Option<String>, Vec<u8>)> {
    let all = messages(store, "anna").into_iter().map(|(_, message)| {
        let line = message.origin.as_deref().and_then(separator_of_origin).map(str::to_owned);
        (message.internal_date_seconds, line, store.body(&message.content).unwrap())
    });
    all.collect()
}

/// Puts the bodies between their separators again, and compares that with the file.
#[track_caller]
fn check_mbox_bytes(path: &Path, bodies: &[(i64, Option<String>, Vec<u8>)]) {
    let file = fs::read(path).unwrap();
    let mut at = file.iter().position(|byte| *byte != b'\n').unwrap();
    let dos = path.to_str().unwrap().contains("-dos");
    let line_end: &[u8] = if dos { b"\r\n" } else { b"\n" };
    for (index, (_, line, body)) in bodies.iter().enumerate() {
        let mut expect = |bytes: &[u8]| {
            let found = &file[at..(at + bytes.len()).min(file.len())];
            assert!(found == bytes, "{} differs in message {index}", path.display());
            at += bytes.len();
        };
        expect(line.as_ref().unwrap().as_bytes());
        expect(line_end);
        expect(body);
        if index + 1 < bodies.len() {
            expect(line_end);
        }
    }
    let rest = &file[at..];
    assert!(matches!(rest, b"" | b"\n" | b"\r\n"), "{}: {rest:?} is left", path.display());
}

#[test]
fn every_mbox_comes_back() {
    let Some(root) = corpus("open/mbox") else { return };
    let paths = files(&root);
    assert_eq!(paths.len(), MBOX_MESSAGES.len());
    let mut same_files = 0;
    for (path, (name, count)) in paths.iter().zip(MBOX_MESSAGES) {
        assert_eq!(path.file_name().unwrap(), name);
        let (place, store) = empty_store();
        let report = import(path, None, &store).unwrap();
        assert_eq!((report.messages(), report.is_complete()), (count as u64, true), "{name}");
        assert_eq!(scan_source(path).unwrap().mailboxes[0].messages, count as u64, "{name}");
        let imported = bodies(&store);
        check_mbox_bytes(path, &imported);

        let to = place.path().join("out");
        let report = export_mbox(&store, &to, &ExportOptions::default(), &mut go_on).unwrap();
        assert_eq!(report.mailboxes[0].altered, 0, "{name}");
        let exported = to.join("anna/INBOX.mbox");
        let (came, went) = (fs::read(path).unwrap(), fs::read(&exported).unwrap());
        same_files += usize::from(came == went);
        assert!(came.trim_ascii() == went.trim_ascii(), "{name} differs but for its ends");
        let (_place, second) = empty_store();
        import(&exported, None, &second).unwrap();
        assert!(bodies(&second) == imported, "{name} changes on its way");
        store.close().unwrap();
    }
    println!("{same_files} of {} files come back byte for byte as a whole", paths.len());
    assert_eq!(same_files, 23);
}

/// What must come back of a Maildir++: the path of each message, `new` or `cur`, its base name and
/// letters, with its bytes and date; folders and subscriptions. An empty info part is none.
fn essence(root: &Path) -> BTreeMap<String, (Vec<u8>, i64)> {
    let mut found = BTreeMap::new();
    for (path, content) in read_tree(root) {
        let parts: Vec<&str> = path.split('/').collect();
        let name = parts[parts.len() - 1];
        if name.is_empty() {
            if parts.len() > 2 && parts[parts.len() - 2].starts_with('.') {
                found.insert(path, Default::default());
            }
        } else if name == "subscriptions" {
            found.insert(path, (content.0, 0));
        } else if !name.starts_with("dovecot") && name != "maildirfolder" {
            found.insert(path.strip_suffix(":2,").unwrap_or(&path).to_owned(), content);
        }
    }
    found
}

#[track_caller]
fn check_same(source: &Path, exported: &Path) {
    let (source, exported) = (essence(source), essence(exported));
    let difference =
        source.keys().chain(exported.keys()).find(|path| source.get(*path) != exported.get(*path));
    assert_eq!(difference, None);
}

#[test]
fn every_maildir_comes_back() {
    let Some(root) = corpus("open/maildir") else { return };
    let mut total = 0;
    for path in files(&root) {
        let (place, store) = empty_store();
        let report = import(&path, None, &store).unwrap();
        assert!(report.is_complete(), "{:?}", report.skipped);
        assert_eq!(report.warnings, [""; 0]);
        total += report.messages();
        let to = place.path().join("out");
        export_maildir(&store, &to, &ExportOptions::default(), &mut go_on).unwrap();
        check_same(&path, &to.join("anna"));
        store.close().unwrap();
    }
    assert_eq!(total, 1346);
}

#[test]
fn the_site_comes_back() {
    let Some(root) = corpus("site") else { return };
    let (place, store) = empty_store();
    let options = ImportOptions::default();
    let report = import_site(&root, &store, &options, &mut go_on).unwrap();
    assert_eq!((report.mailboxes.len(), report.messages()), (39, 13_543));
    assert!(report.is_complete(), "{:?}", report.skipped);
    assert_eq!(report.warnings, [""; 0]);
    let scan = scan_site(&root).unwrap();
    assert_eq!(scan.mailboxes.len(), 39);
    for (found, imported) in scan.mailboxes.iter().zip(&report.mailboxes) {
        let counts = (found.name.as_str(), found.folders, found.messages, found.bytes);
        let expected =
            (imported.mailbox.as_str(), imported.folders, imported.messages, imported.bytes);
        assert_eq!(counts, expected);
    }
    let again = import_site(&root, &store, &options, &mut go_on).unwrap();
    assert_eq!((again.messages(), again.present()), (0, 13_543));

    let to = place.path().join("out");
    let exported = export_maildir(&store, &to, &ExportOptions::default(), &mut go_on).unwrap();
    assert_eq!((exported.messages(), exported.bytes()), (13_543, report.bytes()));
    check_same(&root, &to);

    // UIDs and the rest are the same after another way round.
    let (_place, second) = empty_store();
    import_site(&to, &second, &options, &mut go_on).unwrap();
    for mailbox in store.mailboxes().unwrap() {
        let rows = |store: &crate::Store| {
            let mut rows = messages(store, mailbox.name.as_str());
            rows.iter_mut().for_each(|(_, message)| message.modseq = crate::Modseq(0));
            let info = store.mailbox(&mailbox.name).unwrap().unwrap();
            let mut folders = store.folders(info.id).unwrap();
            folders.sort_by(|one, other| one.name.cmp(&other.name));
            let folders: Vec<_> = folders
                .into_iter()
                .map(|folder| (folder.name, folder.uidvalidity, folder.uidnext, folder.attributes))
                .collect();
            (rows, folders, info.subscriptions, info.attributes)
        };
        assert_eq!(rows(&store), rows(&second), "{}", mailbox.name);
    }
}

#[test]
fn every_eml_comes_back() {
    let Some(root) = corpus("open/eml") else { return };
    let (place, store) = empty_store();
    let report = import(&root, None, &store).unwrap();
    assert_eq!((report.messages(), report.is_complete()), (2045, true));
    let to = place.path().join("out");
    export_eml(&store, &to, &ExportOptions::default(), &mut go_on).unwrap();
    let exported = read_tree(&to.join("anna"));
    assert!(read_tree(&root) == exported);
    let (_place, second) = empty_store();
    let options = ImportOptions::default();
    let anna = mailbox("anna");
    import_source(&to.join("anna"), &anna, None, &second, &options, &mut go_on).unwrap();
    assert_eq!(bodies(&second), bodies(&store));
}

/// What of an Outlook file comes into an empty store: classes, messages, folders.
#[track_caller]
fn check_outlook(file: &str, lost: usize, classes: &[(&str, u64)], folders: &[(&str, usize)]) {
    let Some(root) = corpus("open/pst") else { return };
    let (_place, store) = empty_store();
    let path = root.join(file);
    let report = import(&path, None, &store).unwrap();
    let skipped = report.skipped.iter().filter(|skipped| skipped.mail).count();
    assert_eq!(skipped, lost, "{:?}", report.skipped);
    let found: Vec<(&str, u64)> = report.classes.iter().map(|(c, n)| (c.as_str(), *n)).collect();
    assert_eq!(found, classes);
    for (name, count) in folders {
        let all = messages(&store, "anna");
        assert_eq!(all.iter().filter(|(folder, _)| folder.as_str() == *name).count(), *count);
    }
    let (messages, bytes) = (report.messages(), report.bytes());
    let scan = super::scan_source(&path).unwrap();
    assert_eq!((scan.mailboxes[0].messages, scan.mailboxes[0].bytes), (messages, bytes));
    let again = import(&path, None, &store).unwrap();
    assert_eq!((again.messages(), again.present()), (0, messages), "the same bytes each time");
}

#[test]
fn outlook_files_of_the_corpus_are_imported_with_every_item() {
    // One message has another attached, which is listed and not read.
    check_outlook("tika-testPST.pst", 1, &[("IPM.Note", 7)], &[("INBOX", 7)]);
    check_outlook("outlook-pst-rs-Empty.pst", 0, &[], &[("INBOX", 0)]);
    // A list of contacts, which has no recipients; two exceptions of the appointment; an item of
    // another folder.
    check_outlook(
        "java-libpst-dist-list.pst",
        4,
        &[("IPM.Appointment", 1), ("IPM.Contact", 1)],
        &[("Calendar", 1), ("Contacts", 1)],
    );
}

#[test]
fn an_outlook_file_with_flipped_bytes_never_stops_the_program() {
    let Some(root) = corpus("open/pst") else { return };
    let whole = std::fs::read(root.join("java-libpst-dist-list.pst")).unwrap();
    let place = tempfile::tempdir().unwrap();
    let path = place.path().join("x.pst");
    let mut rng = rehome_log::SplitMix64::new(7);
    println!("seed 7");
    for _ in 0..40 {
        let mut bytes = whole.clone();
        for _ in 0..1 + rng.below(20) {
            let at = usize::try_from(rng.below(bytes.len() as u64)).unwrap();
            bytes[at] ^= u8::try_from(1 + rng.below(255)).unwrap();
        }
        std::fs::write(&path, &bytes).unwrap();
        let _either = super::scan_source(&path);
    }
}
