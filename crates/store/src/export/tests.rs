//! What is written, and what never is.

use super::{ExportError, ExportOptions, export_eml, export_maildir, export_mbox};
use crate::import::testing::{empty_store, go_on, import, mailbox, messages, read_tree};
use crate::import::testing::{set_changed, write_tree};
use crate::{
    Append, Flags, Flow, FolderName, MailboxState, NewFolder, Quoting, Store, Uid, UidValidity,
};
use std::path::Path;

/// Puts messages into folder after folder of mailbox `anna`.
fn fill(store: &Store, folders: &[(&str, NewFolder, Vec<Append>)]) {
    let id = store.create_mailbox(&mailbox("anna"), MailboxState::Active).unwrap();
    for (name, new, appends) in folders {
        let name = FolderName::try_from(*name).unwrap();
        let folder = store.create_folder(id, &name, new.clone()).unwrap();
        for append in appends {
            store.append_batch(vec![(id, folder.id, append.clone())]).unwrap();
        }
    }
}

fn message(body: &str, origin: Option<&str>) -> Append {
    Append {
        body: body.as_bytes().to_vec(),
        internal_date_seconds: 1_000_000_000,
        origin: origin.map(str::to_owned),
        ..Append::default()
    }
}

/// The files written, without what stands beside messages; each with its content.
fn written(to: &Path) -> Vec<String> {
    let tree = read_tree(to);
    let files = tree.into_iter().filter(|(path, _)| {
        let aside = path.ends_with("maildirfolder") || path.contains("dovecot-");
        !path.ends_with('/') && !aside
    });
    files.map(|(path, (body, _))| format!("{path} {:?}", String::from_utf8_lossy(&body))).collect()
}

#[test]
fn a_maildir_comes_back_byte_for_byte() {
    let (place, store) = empty_store();
    let root = place.path().join("source");
    let files: &[(&str, &[u8])] = &[
        ("cur/1.a,S=3:2,FRS", b"one"),
        ("cur/2.b:2,Sadq", b"two\r\n"),
        ("new/3.c", b""),
        ("new/4.d:2,S", b"\0\xff"),
        ("tmp/", b""),
        ("dovecot-keywords", b"0 Work\n3 $Junk\n"),
        ("dovecot-uidlist", b"3 V1234 N50 Gabc\n7 :3.c\n8 :1.a,S=3\n9 :2.b\n20 :4.d\n"),
        ("subscriptions", b"V\t2\n\nSent\nEntw\xc3\xbcrfe\na\x01tb\n"),
        (".Sent/cur/5.e:2,DPT", b"five"),
        (".Sent/new/", b""),
        (".Sent/tmp/", b""),
        (".Sent/maildirfolder", b""),
        (".Sent/dovecot-uidlist", b"3 V9 N2\n1 :5.e\n"),
    ];
    write_tree(&root, files);
    for name in [".Entw&APw-rfe", ".Entw\u{fc}rfe", ".A..B", ".INBOX", ".v1&AC4-2", ".tab&AAk-"] {
        let list = "3 V5 N1\n";
        write_tree(
            &root.join(name),
            &[
                ("cur/", b""),
                ("new/", b""),
                ("tmp/", b""),
                ("maildirfolder", b""),
                ("dovecot-uidlist", list.as_bytes()),
            ],
        );
    }
    let source = read_tree(&root);
    for (index, path) in source.keys().filter(|path| !path.ends_with('/')).enumerate() {
        set_changed(&root.join(path), 1_000_000_000 + index as u64);
    }
    let report = import(&root, None, &store).unwrap();
    assert!(report.is_complete());
    let to = place.path().join("out");
    let report = export_maildir(&store, &to, &ExportOptions::default(), &mut go_on).unwrap();
    assert_eq!(report.warnings, [""; 0]);
    let essence = |root: &Path| {
        let mut tree = read_tree(root);
        // The times of what stands beside messages mean nothing.
        let is_message = |path: &str| path.contains("cur/") || path.contains("new/");
        tree.iter_mut().filter(|(path, _)| !is_message(path)).for_each(|(_, (_, at))| *at = 0);
        tree
    };
    assert_eq!(essence(&to.join("anna")), essence(&root));
}

#[test]
fn a_message_without_an_origin_gets_a_name_with_its_date_uid_and_size() {
    let (place, store) = empty_store();
    let recent = Append { flags: Flags::RECENT, ..message("two", None) };
    let work = vec!["Work".to_owned(), "maildir-a".to_owned()];
    let keywords = Append { keywords: work, flags: Flags::SEEN, ..message("three", None) };
    let folder = NewFolder { uidvalidity: Some(UidValidity(7)), ..NewFolder::default() };
    fill(&store, &[("INBOX", folder, vec![message("one", None), recent, keywords])]);
    let to = place.path().join("out");
    export_maildir(&store, &to, &ExportOptions::default(), &mut go_on).unwrap();
    assert_eq!(
        written(&to),
        [
            "anna/cur/1000000000.R1P0.rehome,S=3:2, \"one\"",
            "anna/cur/1000000000.R3P0.rehome,S=5:2,Sab \"three\"",
            "anna/new/1000000000.R2P0.rehome,S=3 \"two\"",
        ]
    );
    let tree = read_tree(&to.join("anna"));
    assert_eq!(tree["dovecot-keywords"].0, b"1 Work\n");
    let list = String::from_utf8(tree["dovecot-uidlist"].0.clone()).unwrap();
    assert!(list.starts_with("3 V7 N4\n1 :1000000000.R1P0.rehome,S=3\n2 :"), "{list}");
    assert_eq!(tree["cur/1000000000.R1P0.rehome,S=3:2,"].1, 1_000_000_000);
}

#[test]
fn no_name_leads_out_of_the_target() {
    let (place, store) = empty_store();
    let named = |disk: &str| NewFolder {
        attributes: [("maildir-name".to_owned(), disk.to_owned())].into(),
        ..NewFolder::default()
    };
    let origins =
        ["../../x", "/tmp/x", "..", "a\0b", "same", "same", ".hidden", "a:2,S", "%bytes:%2F"];
    let messages: Vec<Append> = origins.iter().map(|name| message(name, Some(name))).collect();
    fill(
        &store,
        &[
            ("INBOX", NewFolder::default(), messages),
            ("../../up", NewFolder::default(), vec![message("1", None)]),
            ("..", NewFolder::default(), vec![message("2", Some("../y.eml"))]),
            ("a", named("../../b"), vec![message("3", None)]),
            ("b", named("cur"), vec![message("4", None)]),
            ("c", named(".."), vec![]),
            ("d", named("./x"), vec![]),
            ("e", named(".twice"), vec![]),
            ("f", named(".twice"), vec![]),
            ("x.mbox/y.eml", NewFolder::default(), vec![message("5", None)]),
        ],
    );
    for (number, export) in [export_maildir, export_mbox, export_eml].into_iter().enumerate() {
        let around = place.path().join(format!("around{number}"));
        let to = around.join("in/out");
        let report = export(&store, &to, &ExportOptions::default(), &mut go_on).unwrap();
        assert_eq!((report.messages(), report.is_complete()), (14, true));
        let outside: Vec<String> = read_tree(&around)
            .into_keys()
            .filter(|path| !path.starts_with("in/out/") && path != "in/")
            .collect();
        assert_eq!(outside, [""; 0]);
        let (_place, second) = empty_store();
        let again = import(&to.join("anna"), None, &second).unwrap();
        assert_eq!(again.messages(), 14, "{:?}", written(&to));
    }
}

#[test]
fn a_target_with_something_in_it_is_refused() {
    let (place, store) = empty_store();
    fill(&store, &[("INBOX", NewFolder::default(), vec![message("one", None)])]);
    let to = place.path().join("out");
    write_tree(&to, &[("file", b"x")]);
    for target in [to.clone(), to.join("file")] {
        let error = export_maildir(&store, &target, &ExportOptions::default(), &mut go_on);
        assert!(matches!(error, Err(ExportError::NotEmpty { .. })), "{error:?}");
    }
    assert_eq!(written(&to), ["file \"x\""]);
}

#[test]
fn a_stopped_export_is_marked() {
    let (place, store) = empty_store();
    fill(&store, &[("INBOX", NewFolder::default(), vec![message("one", None)])]);
    let to = place.path().join("out");
    let stop = export_maildir(&store, &to, &ExportOptions::default(), &mut |_| Flow::Stop);
    assert!(matches!(stop, Err(ExportError::Interrupted { messages: 1, bytes: 3 })), "{stop:?}");
    assert!(to.join(".rehome-export-unfinished").exists());
    let again = export_maildir(&store, &to, &ExportOptions::default(), &mut go_on);
    assert!(matches!(again, Err(ExportError::NotEmpty { .. })), "{again:?}");
}

#[test]
fn only_the_mailboxes_asked_for_are_written() {
    let (place, store) = empty_store();
    fill(&store, &[("INBOX", NewFolder::default(), vec![message("one", None)])]);
    store.create_mailbox(&mailbox("bert"), MailboxState::Active).unwrap();
    let only = |name| ExportOptions { mailboxes: Some(vec![mailbox(name)]), ..Default::default() };
    let to = place.path().join("out");
    let error = export_maildir(&store, &to, &only("dora"), &mut go_on).unwrap_err();
    assert!(matches!(error, ExportError::NoSuchMailbox { .. }), "{error}");
    assert!(!to.exists());
    let report = export_maildir(&store, &to, &only("bert"), &mut go_on).unwrap();
    assert_eq!((report.mailboxes.len(), report.messages()), (1, 0));
    let tree: Vec<String> = read_tree(&to).into_keys().collect();
    assert_eq!(tree, ["bert/", "bert/cur/", "bert/new/", "bert/tmp/"]);
}

#[test]
fn mboxes_are_written_for_every_folder() {
    let (place, store) = empty_store();
    let line = "From a@b Thu Aug 22 12:36:23 2002";
    let appends = vec![
        message("A: b\n\none", None),
        message(&format!("x\n\n{line}\n"), Some(&format!("in.mbox@7 {line}"))),
        message("From x\r\n", None),
        message("no end", None),
    ];
    let empty = NewFolder::default;
    fill(&store, &[("INBOX", empty(), appends), ("A/B", empty(), vec![]), ("A", empty(), vec![])]);
    let to = place.path().join("out");
    let report = export_mbox(&store, &to, &ExportOptions::default(), &mut go_on).unwrap();
    assert_eq!(report.mailboxes[0].altered, 2);
    let own = "From MAILER-DAEMON Sun Sep  9 01:46:40 2001";
    let inbox = format!(
        "{own}\nA: b\n\none\n\n{line}\nx\n\n>{line}\n\n{own}\r\nFrom x\r\n\r\n{own}\nno end"
    );
    let expected = [
        "anna/A.mbox \"\"".to_owned(),
        "anna/A/B.mbox \"\"".to_owned(),
        format!("anna/INBOX.mbox {inbox:?}"),
    ];
    assert_eq!(written(&to), expected);

    let to = place.path().join("quoted");
    let options = ExportOptions { quoting: Quoting::Mboxrd, ..ExportOptions::default() };
    let report = export_mbox(&store, &to, &options, &mut go_on).unwrap();
    assert_eq!(report.mailboxes[0].altered, 3);
}

#[test]
fn eml_files_keep_their_names_where_they_can() {
    let (place, store) = empty_store();
    let appends = vec![
        message("1", Some("a.eml")),
        message("2", Some("x/a.eml")),
        message("3", Some("1.M2P3.host,S=1")),
    ];
    let empty = NewFolder::default;
    let sent = vec![message("4", Some("sent/b.EML"))];
    fill(&store, &[("INBOX", empty(), appends), ("x/Größe", empty(), sent)]);
    let to = place.path().join("out");
    export_eml(&store, &to, &ExportOptions::default(), &mut go_on).unwrap();
    let expected = [
        "anna/0000000002.eml \"2\"",
        "anna/0000000003.eml \"3\"",
        "anna/a.eml \"1\"",
        "anna/x/Größe/b.EML \"4\"",
    ];
    assert_eq!(written(&to), expected);
}

#[test]
fn keywords_beyond_the_letters_are_reported() {
    let (place, store) = empty_store();
    let many: Vec<String> = (10..40).map(|number| format!("k{number}")).collect();
    let append = Append { keywords: many, ..message("one", None) };
    fill(&store, &[("INBOX", NewFolder::default(), vec![append])]);
    let to = place.path().join("out");
    let report = export_maildir(&store, &to, &ExportOptions::default(), &mut go_on).unwrap();
    assert_eq!(report.warnings.len(), 4);
    assert!(report.warnings[0].ends_with("no letter for keyword \"k36\", which is left out"));
    let (_place, second) = empty_store();
    import(&to.join("anna"), None, &second).unwrap();
    let (_, message) = &messages(&second, "anna")[0];
    assert_eq!((message.uid, message.keywords.len()), (Uid(1), 26));
}
