//! Made-up sources, imported.

use super::testing::{
    empty_store, go_on, import, lines, mailbox, messages, set_changed, union, write_tree,
};
use super::{ImportError, ImportOptions, SourceKind, detect_source, import_site, import_source};
use super::{scan_site, scan_source};
use crate::{ContentId, Flags, Flow, Quoting, Store};
use std::path::Path;

/// Imports files into an empty store and compares what it then has.
#[track_caller]
fn check(files: &[(&str, &[u8])], source: &str, folder: Option<&str>, expected: &[&str]) -> String {
    let (place, store) = empty_store();
    let root = place.path().join("source");
    write_tree(&root, files);
    for (path, _) in files.iter().filter(|(path, _)| !path.ends_with('/')) {
        set_changed(&root.join(path), 1_000_000_000);
    }
    let source = if source.is_empty() { root.clone() } else { root.join(source) };
    let report = import(&source, folder, &store).unwrap();
    assert_eq!(lines(&store, "anna"), expected);
    assert_eq!(report.messages(), expected.len() as u64);
    let scan = scan_source(&source).unwrap();
    let found = &scan.mailboxes[0];
    assert_eq!((found.messages, found.bytes), (report.messages(), report.bytes()));
    assert_eq!(found.folders, report.mailboxes[0].folders);

    let again = import(&source, folder, &store).unwrap();
    assert_eq!((again.messages(), again.present()), (0, report.messages()));
    assert_eq!(lines(&store, "anna"), expected);
    let strip = |text: String| {
        let text = text.replace(&format!("{}/", root.display()), "");
        text.replace(&format!("{}", root.display()), "INBOX")
    };
    let skipped = report.skipped.iter().map(|skipped| {
        let mail = if skipped.mail { "!" } else { "" };
        format!("{mail}{}: {}\n", skipped.place, skipped.reason)
    });
    let warnings = report.warnings.iter().map(|warning| format!("warning: {warning}\n"));
    strip(skipped.chain(warnings).collect())
}

#[test]
fn a_maildir_is_imported_with_flags_keywords_and_folders() {
    let said = check(
        &[
            ("cur/1.a,S=3:2,FRS", b"one"),
            ("cur/2.b:2,Sab", b"two"),
            ("new/3.c", b"three"),
            ("tmp/4.d", b"unfinished"),
            ("dovecot-keywords", b"0 Work\n"),
            ("dovecot.index", b""),
            (".Sent/cur/5.e:2,DPT", b"five"),
            (".Entw&APw-rfe/new/", b""),
            (".Lists.lkml/cur/6.f:2,", b"six"),
            (".Lists.lkml/maildirfolder", b""),
            (".Empty/", b""),
        ],
        "",
        None,
        &[
            "INBOX 1 @1000000000 {seen, answered, flagged} [] 1.a,S=3 \"one\"",
            "INBOX 2 @1000000000 {seen} [\"Work\", \"maildir-b\"] 2.b \"two\"",
            "INBOX 3 @1000000000 {recent} [] 3.c \"three\"",
            "Lists/lkml 1 @1000000000 {} [] 6.f \"six\"",
            "Sent 1 @1000000000 {deleted, draft, forwarded} [] 5.e \"five\"",
        ],
    );
    assert_eq!(
        said,
        "tmp/4.d: a delivery that was never finished (in tmp)\n\
         warning: INBOX: 1 messages have letters without a name, kept as keywords maildir-…; the \
         first is cur/2.b:2,Sab\n"
    );
}

#[test]
fn uids_of_a_uid_list_are_kept() {
    check(
        &[
            ("cur/b:2,S", b"b"),
            ("cur/a:2,S", b"a"),
            ("cur/z:2,S", b"z"),
            ("cur/n:2,S", b"n"),
            ("dovecot-uidlist", b"3 V1234 N50 Gabc\n7 :z\n8 W5 :b:2,\n40 :a\n"),
        ],
        "",
        None,
        &[
            "INBOX 7 @1000000000 {seen} [] z \"z\"",
            "INBOX 8 @1000000000 {seen} [] b \"b\"",
            "INBOX 40 @1000000000 {seen} [] a \"a\"",
            "INBOX 50 @1000000000 {seen} [] n \"n\"",
        ],
    );
}

#[test]
fn uidnext_and_uidvalidity_are_kept_though_the_last_messages_are_gone() {
    let (place, store) = empty_store();
    let root = place.path().join("source");
    write_tree(&root, &[("cur/a", b"a"), ("dovecot-uidlist", b"1 1234 50\n7 a\n")]);
    for _ in 0..2 {
        import(&root, None, &store).unwrap();
        let id = store.mailbox(&mailbox("anna")).unwrap().unwrap().id;
        let inbox = &store.folders(id).unwrap()[0];
        assert_eq!((inbox.uidvalidity.0, inbox.uidnext.0), (1234, 50));
        let uids: Vec<u32> = messages(&store, "anna").iter().map(|(_, row)| row.uid.0).collect();
        assert_eq!(uids, [7]);
    }
}

#[test]
fn a_damaged_uid_list_costs_the_uids_only() {
    let said = check(
        &[("cur/a", b"a"), ("cur/b", b"b"), ("dovecot-uidlist", b"3 V1 N9\n5 :b\n5 :a\n")],
        "",
        None,
        &["INBOX 1 @1000000000 {} [] a \"a\"", "INBOX 2 @1000000000 {} [] b \"b\""],
    );
    let expected = "dovecot-uidlist: line 3: UID 5 does not come after 5; UIDs are given anew";
    assert!(said.contains(expected), "{said}");
}

#[test]
fn what_is_not_mail_is_listed_and_links_are_not_followed() {
    let (place, store) = empty_store();
    let root = place.path().join("source");
    write_tree(
        &root,
        &[
            ("cur/a", b"a"),
            ("cur/.hidden", b"x"),
            ("cur/folder/", b""),
            ("notes.txt", b"x"),
            ("archive/x", b"x"),
            (".git/config", b"x"),
            ("../outside/secret", b"secret"),
        ],
    );
    std::os::unix::fs::symlink("../../outside/secret", root.join("cur/link")).unwrap();
    std::os::unix::fs::symlink("../outside", root.join(".Linked")).unwrap();
    let report = import(&root, None, &store).unwrap();
    let mut found: Vec<(String, bool)> = report
        .skipped
        .iter()
        .map(|skipped| {
            let name = Path::new(&skipped.place).strip_prefix(&root).unwrap();
            (name.to_str().unwrap().to_owned(), skipped.mail)
        })
        .collect();
    found.sort();
    let expected = [
        (".Linked", true),
        (".git", true),
        ("archive", true),
        ("cur/.hidden", false),
        ("cur/folder", true),
        ("cur/link", true),
        ("notes.txt", false),
    ];
    assert_eq!(found, expected.map(|(name, mail)| (name.to_owned(), mail)));
    assert!(!report.is_complete());
    assert_eq!(messages(&store, "anna").len(), 1);
}

#[test]
fn a_name_that_comes_twice_loses_nothing() {
    let (place, store) = empty_store();
    let root = place.path().join("source");
    let files: &[(&str, &[u8])] = &[
        ("new/a", b"same"),
        ("cur/a:2,S", b"same"),
        ("new/b", b"two"),
        ("cur/b:2,F", b"one"),
        ("cur/b:2,S", b"two"),
    ];
    write_tree(&root, files);
    for (path, _) in files {
        set_changed(&root.join(path), 1_000_000_000);
    }
    for (added, present) in [(3, 0), (0, 3)] {
        let report = import(&root, None, &store).unwrap();
        assert_eq!((report.messages(), report.present()), (added, present));
        let one = &ContentId::of(b"one").to_string()[..16];
        let expected = [
            "INBOX 1 @1000000000 {seen} [] a \"same\"",
            "INBOX 2 @1000000000 {seen} [] b \"two\"",
            &format!("INBOX 3 @1000000000 {{flagged}} [] b ({one}) \"one\""),
        ];
        assert_eq!(lines(&store, "anna"), expected);
        let said = report.warnings.join("\n");
        assert!(said.contains("2 messages are there twice and are imported once"), "{said}");
    }
}

#[test]
fn a_file_with_another_size_than_its_name_states_is_reported() {
    let said = check(
        &[("cur/1.a,S=9:2,", b"short")],
        "",
        None,
        &["INBOX 1 @1000000000 {} [] 1.a,S=9 \"short\""],
    );
    assert!(said.contains("do not have the size that their name states"), "{said}");
}

#[test]
fn a_maildir_goes_below_a_folder_on_request() {
    check(
        &[("cur/a", b"a"), (".Sent/cur/b", b"b"), (".a&b/cur/c", b"c")],
        "",
        Some("Old/2001"),
        &[
            "Old/2001 1 @1000000000 {} [] a \"a\"",
            "Old/2001/Sent 1 @1000000000 {} [] b \"b\"",
            "Old/2001/a&b 1 @1000000000 {} [] c \"c\"",
        ],
    );
}

#[test]
fn an_mbox_is_imported_with_the_dates_of_its_separators() {
    let text = b"From a@b Thu Aug 22 12:36:23 2002\nA: b\n\none\n\n\
                 From c Thu Aug 22 12:36:24 2002\n>From x\n";
    let expected = [
        "INBOX 1 @1030019783 {} [] in@box@0 From a@b Thu Aug 22 12:36:23 2002 \"A: b\\n\\none\\n\"",
        "INBOX 2 @1030019784 {} [] in@box@45 From c Thu Aug 22 12:36:24 2002 \">From x\\n\"",
    ];
    check(&[("in@box", text)], "in@box", None, &expected);
    let expected = expected.map(|line| line.replace("INBOX", "Old").replace("in@box@", "x.mbox@"));
    let expected: Vec<&str> = expected.iter().map(String::as_str).collect();
    check(&[("x.mbox", text)], "x.mbox", Some("Old"), &expected);
}

#[test]
fn the_worked_example_holds() {
    let text: &[u8] = b"From a@b Thu Aug 22 12:36:23 2002\nSubject: x\n\n>From me\n\n\
                        From c Thu Aug 22 12:36:24 2002\ntwo\n";
    assert_eq!(text.len(), 92);
    let one = "From a@b Thu Aug 22 12:36:23 2002 \"Subject: x\\n\\n>From me\\n\"";
    let two = "From c Thu Aug 22 12:36:24 2002 \"two\\n\"";
    let expected = [
        format!("INBOX 1 @1030019783 {{}} [] a.mbox@0 {one}"),
        format!("INBOX 2 @1030019784 {{}} [] a.mbox@56 {two}"),
    ];
    check(&[("a.mbox", text)], "a.mbox", None, &expected.each_ref().map(String::as_str));
}

#[test]
fn an_mbox_that_grew_or_shrank_adds_only_what_is_new() {
    let (place, store) = empty_store();
    let path = place.path().join("in.mbox");
    let line = "From a@b Thu Aug 22 12:36:23 2002\n";
    let steps = [("1 2", 2), ("2 3", 1), ("2 2 3 3", 2), ("1 2 2 3 3", 0), ("", 0)];
    for (bodies, added) in steps {
        let all: String = bodies.split(' ').map(|body| format!("{line}{body}\n\n")).collect();
        std::fs::write(&path, if bodies.is_empty() { "" } else { &all }).unwrap();
        let report = import(&path, None, &store).unwrap();
        assert_eq!(report.messages(), added, "{bodies}");
    }
}

#[test]
fn quoted_lines_of_an_mbox_are_read_back_on_request() {
    let (place, store) = empty_store();
    let path = place.path().join("in.mbox");
    std::fs::write(&path, "From a Thu Aug 22 12:36:23 2002\n>From x\n>>From y\n> z\n").unwrap();
    let options = ImportOptions { mbox_quoting: Quoting::Mboxrd, ..ImportOptions::default() };
    import_source(&path, &mailbox("anna"), None, &store, &options, &mut go_on).unwrap();
    let body = store.body(&messages(&store, "anna")[0].1.content).unwrap();
    assert_eq!(body, b"From x\n>From y\n> z\n");
}

#[test]
fn what_an_mbox_holds_besides_messages_is_reported() {
    let line = "From a@b Thu Aug 22 12:36:23 2002\n";
    let text = format!("garbage\n\n{line}one\n{line}two\n");
    let body = format!("INBOX 1 @1030019783 {{}} [] x.mbox@9 {} {:?}", line.trim(), {
        format!("one\n{line}two\n")
    });
    let said = check(&[("x.mbox", text.as_bytes())], "x.mbox", None, &[&body]);
    assert_eq!(
        said,
        "!x.mbox: 8 bytes before the first separator belong to no message\n\
         warning: x.mbox: 1 lines read as separators but follow no empty line; they are part of \
         the message before\n"
    );
}

#[test]
fn a_folder_of_messages_is_imported_with_the_folders_in_it() {
    let said = check(
        &[
            ("b.eml", b"b"),
            ("a.EML", b"From me Thu Aug 22 12:36:23 2002\nA: b\n\n"),
            ("readme.txt", b"x"),
            ("mh/10", b"ten"),
            ("mh/9", b"nine"),
            ("x/y/c.eml", b"c"),
            ("x/old.mbox", b"From a Thu Aug 22 12:36:23 2002\nin mbox\n"),
            ("md/cur/1", b"x"),
        ],
        "",
        None,
        &[
            "INBOX 1 @1000000000 {} [] a.EML \"From me Thu Aug 22 12:36:23 2002\\nA: b\\n\\n\"",
            "INBOX 2 @1000000000 {} [] b.eml \"b\"",
            "mh 1 @1000000000 {} [] mh/9 \"nine\"",
            "mh 2 @1000000000 {} [] mh/10 \"ten\"",
            "x/old 1 @1030019783 {} [] old.mbox@0 From a Thu Aug 22 12:36:23 2002 \"in mbox\\n\"",
            "x/y 1 @1000000000 {} [] x/y/c.eml \"c\"",
        ],
    );
    assert_eq!(
        said,
        "!md: a Maildir inside a folder of messages; import it by itself\n\
         readme.txt: a file that is not mail\n"
    );
}

#[test]
fn one_message_is_imported_into_a_folder() {
    check(
        &[("a.eml", b"text")],
        "a.eml",
        Some("Notes"),
        &["Notes 1 @1000000000 {} [] a.eml \"text\""],
    );
}

#[track_caller]
fn check_kind(files: &[(&str, &[u8])], source: &str, expected: Result<SourceKind, &str>) {
    let place = tempfile::tempdir().unwrap();
    write_tree(place.path(), files);
    let path = place.path().join(source);
    let found = detect_source(&path).map_err(|error| error.to_string());
    let expected = expected.map_err(|text| text.replace("PATH", &path.display().to_string()));
    assert_eq!(found, expected);
}

#[test]
fn the_kind_of_a_source_is_told() {
    let mbox: &[u8] = b"\nFrom a Thu Aug 22 12:36:23 2002\nX: y\n";
    check_kind(&[("m/new/", b"")], "m", Ok(SourceKind::Maildir));
    check_kind(&[("m/.Sent/cur/", b"")], "m", Ok(SourceKind::Maildir));
    check_kind(&[("a", mbox)], "a", Ok(SourceKind::Mbox));
    check_kind(&[("a.eml", &mbox[1..])], "a.eml", Ok(SourceKind::Message));
    check_kind(&[("a", b"Return-Path: <>\nX: y\n")], "a", Ok(SourceKind::Message));
    check_kind(&[("a/b/c/d.eml", b"")], "a", Ok(SourceKind::MessageFolder));
    let nothing = "PATH: there is nothing here, so nothing was imported; give the path of a \
                   Maildir, an mbox, a folder of .eml files or one .eml file";
    check_kind(&[], "x", Err(nothing));
    let site = "PATH: this is a folder of Maildirs, so nothing was imported; import it as a site, \
                or give one of the Maildirs in it";
    check_kind(&[("s/anna/cur/", b"")], "s", Err(site));
    let empty = "PATH: this is a folder without mail, so nothing was imported; give a folder with \
                 cur and new in it, or one with .eml or .mbox files";
    check_kind(&[("e/x.txt", b"")], "e", Err(empty));
    check_kind(&[("a.pst", b"!BDN\0")], "a.pst", Ok(SourceKind::Outlook));
}

/// A site with three mailboxes of ten messages.
fn made_up_site(root: &Path) {
    for name in ["anna", "bert", "cleo"] {
        for number in 0..10 {
            let folder = ["", ".Sent/"][number % 2];
            let file = format!("{name}/{folder}cur/{number}.m:2,S");
            write_tree(root, &[(&file, format!("{name} {number}\n").as_bytes())]);
        }
    }
}

#[test]
fn a_site_is_imported_mailbox_by_mailbox() {
    let (place, store) = empty_store();
    let root = place.path().join("site");
    made_up_site(&root);
    write_tree(&root, &[("no-maildir/x", b"x"), ("file", b"x")]);
    let options = ImportOptions { mailboxes: Some(vec![mailbox("bert")]), ..Default::default() };
    let report = import_site(&root, &store, &options, &mut go_on).unwrap();
    assert_eq!(report.mailboxes.len(), 1);
    assert_eq!(
        report.skipped.iter().map(|skipped| skipped.mail).collect::<Vec<_>>(),
        [false, true]
    );
    let report = import_site(&root, &store, &ImportOptions::default(), &mut go_on).unwrap();
    let counts: Vec<(&str, u64, u64, u64)> = report
        .mailboxes
        .iter()
        .map(|found| (found.mailbox.as_str(), found.folders, found.messages, found.present))
        .collect();
    assert_eq!(counts, [("anna", 2, 10, 0), ("bert", 2, 0, 10), ("cleo", 2, 10, 0)]);
    let scan = scan_site(&root).unwrap();
    assert_eq!(scan.mailboxes.iter().map(|found| found.messages).sum::<u64>(), 30);
    let unknown = ImportOptions { mailboxes: Some(vec![mailbox("dora")]), ..Default::default() };
    let error = import_site(&root, &store, &unknown, &mut go_on).unwrap_err();
    assert!(matches!(error, ImportError::NoSuchMailbox { .. }), "{error}");
}

fn all_messages(store: &Store) -> usize {
    let mailboxes = store.mailboxes().unwrap();
    mailboxes.iter().map(|found| messages(store, found.name.as_str()).len()).sum()
}

#[test]
fn a_stopped_import_goes_on_where_it_was() {
    let (place, store) = empty_store();
    let root = place.path().join("site");
    made_up_site(&root);
    let options = ImportOptions { batch_messages: 4, ..ImportOptions::default() };
    let mut stored = 0;
    for turn in 1.. {
        let mut last = 0;
        let mut stop = |progress: super::ImportProgress| {
            last = progress.messages;
            Flow::Stop
        };
        let result = import_site(&root, &store, &options, &mut stop);
        stored += last;
        assert_eq!(all_messages(&store) as u64, stored, "turn {turn}");
        match result {
            Err(ImportError::Interrupted { messages, .. }) => assert_eq!(messages, last),
            Ok(report) => {
                assert_eq!((report.messages(), report.present()), (0, 30));
                assert_eq!((turn, stored), (9, 30));
                break;
            }
            Err(error) => panic!("{error}"),
        }
    }
    let uids: Vec<u32> = messages(&store, "anna").iter().map(|(_, row)| row.uid.0).collect();
    assert_eq!(uids, [1, 2, 3, 4, 5, 1, 2, 3, 4, 5]);
}

#[test]
fn a_message_that_is_too_large_is_listed() {
    let (place, store) = empty_store();
    let root = place.path().join("source");
    write_tree(&root, &[("cur/a", b"12345"), ("cur/b", b"123456")]);
    let mbox = "From a Thu Aug 22 12:36:23 2002\n12345678\n\nFrom a Thu Aug 22 12:36:23 2002\n1\n";
    write_tree(place.path(), &[("x.mbox", mbox.as_bytes())]);
    let options = ImportOptions { message_bytes_max: 5, ..ImportOptions::default() };
    let anna = mailbox("anna");
    let report = import_source(&root, &anna, None, &store, &options, &mut go_on).unwrap();
    assert_eq!((report.messages(), report.skipped.len(), report.is_complete()), (1, 1, false));
    assert_eq!(report.skipped[0].reason, "6 bytes, and at most 5 are taken");
    let path = place.path().join("x.mbox");
    let report = import_source(&path, &anna, None, &store, &options, &mut go_on).unwrap();
    assert_eq!(report.messages(), 1);
    let reason = "the message at byte 0 has 9 bytes, and at most 5 are taken";
    assert_eq!(report.skipped[0].reason, reason);
}

#[test]
fn a_name_that_is_not_utf8_is_imported() {
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt as _;
    let (place, store) = empty_store();
    let root = place.path().join("source");
    write_tree(&root, &[("cur/", b"")]);
    let name = OsStr::from_bytes(b"1.\xff:2,S");
    std::fs::write(root.join("cur").join(name), "x").unwrap();
    import(&root, None, &store).unwrap();
    let found = messages(&store, "anna");
    assert_eq!(found[0].1.origin.as_deref(), Some("%bytes:1.%FF"));
    assert_eq!(found[0].1.flags, union(&[Flags::SEEN]));
}

#[test]
fn subscriptions_are_kept_as_folder_names() {
    let (place, store) = empty_store();
    let root = place.path().join("source");
    write_tree(&root, &[("cur/", b""), ("subscriptions", b"Sent\nLists.l&APY-l\n")]);
    import(&root, None, &store).unwrap();
    let info = store.mailbox(&mailbox("anna")).unwrap().unwrap();
    assert_eq!(info.subscriptions, ["Sent", "Lists/löl"]);
    assert_eq!(info.attributes["subscriptions-form"], "plain");
    assert_eq!(info.attributes.get("subscriptions-text"), None);
}
