//! Known answers for the files of Dovecot.

use super::{Keywords, SubscriptionsForm, UidList};

/// UIDVALIDITY, UIDNEXT, GUID, and base names with their UIDs.
type Read<'a> = (u32, u32, Option<&'a str>, &'a [(&'a str, u32)]);

#[track_caller]
fn check_list(text: &str, expected: Result<Read<'_>, &str>) {
    let read = UidList::parse(text.as_bytes());
    let read = read.map(|list| {
        let mut uids: Vec<_> = list.uids.into_iter().collect();
        uids.sort_by_key(|(_, uid)| *uid);
        (list.uidvalidity, list.uidnext, list.guid, uids)
    });
    let expected = expected.map(|(validity, next, guid, uids)| {
        let uids: Vec<_> = uids.iter().map(|(base, uid)| ((*base).to_owned(), *uid)).collect();
        (validity, next, guid.map(str::to_owned), uids)
    });
    assert_eq!(read, expected.map_err(str::to_owned));
}

#[test]
fn uid_lists_of_both_versions_are_read() {
    check_list(
        "3 V1275660208 N25022 G3085f01b7f11094c501100008c4a11c1\n\
         25006 :1276528487.M364837P9451.kurkku,S=1355,W=1394:2,\n\
         25017 W3000 Gab :1276533073.M242911P3632.kurkku:2,F\n",
        Ok((
            1_275_660_208,
            25022,
            Some("3085f01b7f11094c501100008c4a11c1"),
            &[
                ("1276528487.M364837P9451.kurkku,S=1355,W=1394", 25006),
                ("1276533073.M242911P3632.kurkku", 25017),
            ],
        )),
    );
    check_list(
        "1 1173189136 20\n5 a.b\n7 c d:2,S\n",
        Ok((1_173_189_136, 20, None, &[("a.b", 5), ("c d", 7)])),
    );
    check_list("3 V9 N1\n", Ok((9, 1, None, &[])));
    check_list("3 N1 V9 Xunknown\n8 :a", Ok((9, 9, None, &[("a", 8)])));
}

#[test]
fn uid_lists_that_contradict_themselves_are_not_used() {
    check_list("", Err("line 1 is no header of version 1 or 3"));
    check_list("2 V9 N1\n", Err("line 1 is no header of version 1 or 3"));
    check_list("3 V0 N1\n", Err("line 1 is no header of version 1 or 3"));
    check_list("3 V9 N9\n2 :a\n2 :b\n", Err("line 3: UID 2 does not come after 2"));
    check_list("3 V9 N9\n2 :a\n3 :a:2,S\n", Err("line 3: the file has another UID already"));
    check_list("3 V9 N9\n2 a\n", Err("line 2 is no entry of version 3"));
    check_list("3 V9 N9\n0 :a\n", Err("line 2: UID 0 does not come after 0"));
    check_list("3 V9 N9\n4294967295 :a\n", Err("the last UID leaves no room for another"));
}

#[test]
fn a_name_that_is_not_utf8_gets_its_text() {
    let list = UidList::parse(b"3 V9 N9\n2 :a\xffb:2,S\n").unwrap();
    assert_eq!(list.uids.into_iter().collect::<Vec<_>>(), [("%bytes:a%FFb".to_owned(), 2)]);
}

#[test]
fn keywords_are_found_by_letter_and_by_name() {
    let mut keywords = Keywords::parse("0 $Forwarded\n1 Work item\nx y\n26 TooHigh\n25 Last\n");
    assert_eq!(keywords.name('a'), Some("$Forwarded"));
    assert_eq!(keywords.name('b'), Some("Work item"));
    assert_eq!(keywords.name('z'), Some("Last"));
    assert_eq!(keywords.name('c'), None);
    assert_eq!(keywords.letter("Last", &[]), Some('z'));
    assert_eq!(keywords.letter("New", &['c', 'd']), Some('e'));
    assert_eq!(keywords.letter("two\nlines", &[]), None);
    assert_eq!(keywords.to_text(), "0 $Forwarded\n1 Work item\n4 New\n25 Last\n");
}

#[test]
fn there_are_26_letters_and_no_more() {
    let mut keywords = Keywords::default();
    for number in 0..26 {
        assert!(keywords.letter(&format!("k{number}"), &[]).is_some());
    }
    assert_eq!(keywords.letter("k26", &[]), None);
    assert_eq!(keywords.letter("k25", &[]), Some('z'));
}

#[track_caller]
fn check_subscriptions(text: &str, form: SubscriptionsForm, folders: &[&str], exact: bool) {
    let (read_form, read) = SubscriptionsForm::parse(text);
    assert_eq!((read_form, read.iter().map(String::as_str).collect()), (form, folders.to_vec()));
    assert_eq!(form.to_text(&read) == text, exact, "{:?}", form.to_text(&read));
    assert_eq!(SubscriptionsForm::from_name(form.name()), Some(form));
}

#[test]
fn subscriptions_of_both_forms_are_read_and_written() {
    let (new, plain) = (SubscriptionsForm::Version2, SubscriptionsForm::Plain);
    let text = "V\t2\n\n&U9dP4W4IMH8-\nJunk\nLists\tlkml\n";
    check_subscriptions(text, new, &["受信済み", "Junk", "Lists/lkml"], true);
    let text = "INBOX\nLists.lkml\nEntw&APw-rfe\n";
    check_subscriptions(text, plain, &["INBOX", "Lists/lkml", "Entwürfe"], true);
    check_subscriptions("V\t2\n\n", new, &[], true);
    check_subscriptions("", plain, &[], true);
}

#[test]
fn subscriptions_that_would_be_written_otherwise_are_noticed() {
    let (new, plain) = (SubscriptionsForm::Version2, SubscriptionsForm::Plain);
    check_subscriptions("V\t2\n\nEntwürfe\n", new, &["Entwürfe"], false);
    check_subscriptions("V\t2\n\na\u{1}tb\n", new, &["a\tb"], false);
    check_subscriptions("Sent\r\nJunk", plain, &["Sent", "Junk"], false);
}

#[test]
fn a_keyword_never_ends_in_half_a_line_end() {
    for text in ["3 GW\r", "3 GW\r\n", "3 GW\r\r\n"] {
        let keywords = Keywords::parse(text);
        assert_eq!(keywords.name('d'), Some("GW"), "{text:?}");
        assert_eq!(Keywords::parse(&keywords.to_text()), keywords);
    }
    assert!(Keywords::parse("3 \r").is_empty());
}
