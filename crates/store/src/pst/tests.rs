//! Made-up items, as messages.

use super::compose::{flags, message};
use super::item::{Address, Attachment, Content, Field, Html, Item};
use super::reader;
use super::walk::Found;
use crate::Flags;
use std::fs::File;
use std::path::Path;

fn address(name: &str, address: &str) -> Address {
    Address { name: name.to_owned(), address: address.to_owned() }
}

/// A mail with every kind of thing in it.
fn letter() -> Item {
    Item {
        class: "IPM.Note".to_owned(),
        subject: "Grüße".to_owned(),
        from: address("Anna \"A\" Ä", "anna@example.org"),
        sender: address("", "/O=ORG/CN=SEC"),
        recipients: vec![
            (Field::To, address("Ben, B.", "ben@example.org")),
            (Field::Cc, address("Cid", "")),
        ],
        sent_seconds: Some(1_000_000_000),
        delivered_seconds: Some(1_000_000_060),
        message_id: "<1@example.org>".to_owned(),
        plain: Some("one\ntwo".to_owned()),
        ..Item::default()
    }
}

#[track_caller]
fn check(item: &Item, expected: &str) {
    let (bytes, lost) = message(item);
    let text = String::from_utf8(bytes.clone()).unwrap();
    assert!(!text.replace("\r\n", "").contains(['\r', '\n']), "every line ends in CR LF");
    assert_eq!(text.replace("\r\n", "\n"), expected);
    assert_eq!((bytes, lost), message(item), "the same item gives the same bytes");
}

#[test]
fn an_item_without_a_header_gets_one_from_its_properties() {
    check(
        &letter(),
        "Date: Sun, 09 Sep 2001 01:46:40 +0000\n\
         From: =?utf-8?B?QW5uYSAiQSIgw4Q=?= <anna@example.org>\n\
         Sender: \"/O=ORG/CN=SEC\"@x500.invalid\n\
         To: \"Ben, B.\" <ben@example.org>\n\
         Cc: \"Cid\" <unknown@x500.invalid>\n\
         Subject: =?utf-8?B?R3LDvMOfZQ==?=\n\
         Message-ID: <1@example.org>\n\
         MIME-Version: 1.0\n\
         Content-Type: text/plain; charset=utf-8\n\
         Content-Transfer-Encoding: 7bit\n\n\
         one\ntwo",
    );
}

#[test]
fn a_header_from_the_internet_stays_but_for_what_says_how_the_body_was_written() {
    let headers = "Microsoft Mail Internet Headers Version 2.0\r\nReceived: a\r\n\tb\r\n\
                   Content-Type: multipart/mixed;\r\n boundary=x\r\nmime-version: 1.0\r\n\
                   SUBJECT: raw\r\n\r\n";
    let item = Item { headers: headers.to_owned(), ..letter() };
    let item = Item { sender: item.from.clone(), recipients: Vec::new(), ..item };
    check(
        &item,
        "Received: a\n\tb\nSUBJECT: raw\n\
         Date: Sun, 09 Sep 2001 01:46:40 +0000\n\
         From: =?utf-8?B?QW5uYSAiQSIgw4Q=?= <anna@example.org>\n\
         Message-ID: <1@example.org>\n\
         MIME-Version: 1.0\n\
         Content-Type: text/plain; charset=utf-8\n\
         Content-Transfer-Encoding: 7bit\n\n\
         one\ntwo",
    );
}

#[test]
fn bodies_and_attachments_become_parts() {
    let attachment = |name: &str, mime_type: &str, id: &str, content| Attachment {
        name: name.to_owned(),
        mime_type: mime_type.to_owned(),
        content_id: id.to_owned(),
        content,
    };
    let inner = Item { subject: "inner".to_owned(), ..Item::default() };
    let item = Item {
        html: Some(Html { bytes: b"<p>\xE9".to_vec(), charset: Some("windows-1252".to_owned()) }),
        attachments: vec![
            attachment("a.png", "image/png", "1@x", Content::Bytes(b"\0".to_vec())),
            attachment("Ü.txt", "multipart/mixed", "", Content::Bytes(b"x".to_vec())),
            attachment("m", "", "", Content::Item(Box::new(inner))),
            attachment("gone", "", "", Content::Missing("why".to_owned())),
        ],
        ..Item::default()
    };
    let item = Item { plain: Some("t".to_owned()), ..item };
    let (bytes, lost) = message(&item);
    assert_eq!(lost, ["attachment 4 \"gone\": why"]);
    let text = String::from_utf8(bytes).unwrap();
    for expected in [
        "Content-Type: multipart/mixed;\r\n boundary=\"=_",
        "Content-Type: multipart/alternative;\r\n",
        "text/html; charset=windows-1252\r\nContent-Transfer-Encoding: base64\r\n\r\nPHA+6Q==\r\n",
        "image/png\r\nContent-Disposition: inline;\r\n filename=\"a.png\"\r\nContent-ID: <1@x>\r\n",
        "application/octet-stream\r\nContent-Disposition: attachment;\r\n \
         filename*=utf-8''%C3%9C.txt",
        "Content-Type: message/rfc822\r\nContent-Disposition: attachment;\r\n filename=\"m\"\r\n",
        "8bit\r\n\r\nSubject: inner\r\nMIME-Version: 1.0\r\n\r\n\r\n--=_",
    ] {
        assert!(text.contains(expected), "{expected:?} is not in\n{text}");
    }
}

#[test]
fn nothing_in_a_property_begins_another_header() {
    let evil = "x\r\nBcc: all@example.org\r\n\r\nbody";
    let item = Item {
        class: evil.to_owned(),
        subject: evil.to_owned(),
        from: address(evil, evil),
        message_id: evil.to_owned(),
        attachments: vec![Attachment {
            name: evil.to_owned(),
            mime_type: evil.to_owned(),
            content_id: evil.to_owned(),
            content: Content::Bytes(Vec::new()),
        }],
        ..Item::default()
    };
    let text = String::from_utf8(message(&item).0).unwrap();
    let header = text.split("\r\n\r\n").next().unwrap();
    assert!(!header.contains("\r\nBcc"), "{text}");
    assert!(!text.contains("\r\nbody"), "{text}");
}

#[test]
fn messages_in_messages_end_at_a_depth() {
    let mut item = letter();
    for _ in 0..100 {
        let content = Content::Item(Box::new(item));
        let (name, mime_type, content_id) = Default::default();
        let attachments = vec![Attachment { name, mime_type, content_id, content }];
        item = Item { attachments, ..Item::default() };
    }
    assert!(message(&item).1[0].contains("more than 16 deep"));
}

#[test]
fn flags_come_from_three_properties() {
    let of = |message_flags, flag_status, last_verb| {
        flags(&Item { message_flags, flag_status, last_verb, ..letter() })
    };
    assert_eq!(of(0, 0, 0), Flags::NONE);
    assert_eq!(of(1, 0, 0), Flags::SEEN);
    assert_eq!(of(8, 2, 0), Flags::DRAFT.union(Flags::FLAGGED));
    assert_eq!(of(0, 1, 103), Flags::ANSWERED);
    assert_eq!(of(0, 0, 104), Flags::FORWARDED);
}

/// What reading a file of these bytes gives: how many things are found, and whether it ends well.
fn read(path: &Path, bytes: &[u8]) -> (usize, Result<(), String>) {
    std::fs::write(path, bytes).unwrap();
    let path = path.to_owned();
    let mut found = 0;
    let mut count = |_: Found| {
        found += 1;
        Ok::<(), ()>(())
    };
    let result = reader::read(move || File::open(&path), &mut count).unwrap();
    (found, result)
}

#[test]
fn a_file_that_is_nothing_but_a_beginning_gives_a_cause() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.pst");
    let mut head = vec![0xFF; 4096];
    head[..12].copy_from_slice(b"!BDN\0\0\0\0SM\x17\0");
    head[513] = 1;
    for bytes in [&head[..], &head[..600], &head[..11], b"", b"!BDN"] {
        let (found, result) = read(&path, bytes);
        assert_eq!(found, 0);
        assert!(!result.unwrap_err().is_empty(), "{} bytes", bytes.len());
    }
}
