//! Made-up mboxes, each with what it must give.

use super::{MboxNotes, MboxReader};
use std::io::Cursor;

const A: &str = "From a@b Thu Aug 22 12:36:23 2002";
const B: &str = "From c d  Wed Feb  1 19:06:04 2006";

fn read(text: &[u8], limit: u64) -> (Vec<(u64, i64, Option<Vec<u8>>, u64)>, MboxNotes) {
    let mut reader = MboxReader::new(Cursor::new(text), Cursor::new(text), limit);
    let mut all = Vec::new();
    while let Some(message) = reader.next().unwrap() {
        let line = &text[usize::try_from(message.offset).unwrap()..];
        assert!(line.starts_with(&message.separator));
        all.push((message.offset, message.date_seconds, message.body, message.size_bytes));
    }
    (all, reader.notes().clone())
}

#[track_caller]
fn check(text: &str, expected: &[&str], notes: MboxNotes) {
    let (messages, found) = read(text.as_bytes(), u64::MAX);
    let bodies: Vec<_> = messages
        .into_iter()
        .map(|(_, _, body, size)| {
            let body = String::from_utf8(body.unwrap()).unwrap();
            assert_eq!(body.len() as u64, size);
            body
        })
        .collect();
    assert_eq!(
        (bodies.iter().map(String::as_str).collect::<Vec<_>>(), found),
        (expected.to_vec(), notes)
    );
}

#[test]
fn messages_lie_between_separators_without_the_empty_line() {
    let none = MboxNotes::default();
    check("", &[], none.clone());
    check(A, &[""], none.clone());
    check(&format!("{A}\n"), &[""], none.clone());
    check(&format!("{A}\n\n"), &[""], none.clone());
    check(&format!("{A}\n\n{B}\n\n"), &["", ""], none.clone());
    check(
        &format!("{A}\nX: y\n\none\n\n{B}\nZ: y\n\ntwo\n"),
        &["X: y\n\none\n", "Z: y\n\ntwo\n"],
        none.clone(),
    );
    check(&format!("{A}\nX: y\n\none\n\n\n{B}\ntwo"), &["X: y\n\none\n\n", "two"], none.clone());
    check(&format!("{A}\nX: y\n\none\n\n\n"), &["X: y\n\none\n\n"], none);
}

#[test]
fn line_ends_of_dos_separate_as_well() {
    check(
        &format!("{A}\r\nX: y\r\n\r\n1\r\n\r\n{B}\r\n2\r\n"),
        &["X: y\r\n\r\n1\r\n", "2\r\n"],
        MboxNotes::default(),
    );
}

#[test]
fn what_only_looks_like_a_separator_stays_in_the_message() {
    let unseparated = MboxNotes { unseparated: 1, ..MboxNotes::default() };
    check(&format!("{A}\none\n{B}\ntwo\n"), &[&format!("one\n{B}\ntwo\n")], unseparated);
    check(
        &format!("{A}\n{B}\ntwo\n"),
        &[&format!("{B}\ntwo\n")],
        MboxNotes { unseparated: 1, ..MboxNotes::default() },
    );
    let none = MboxNotes::default();
    check(
        &format!("{A}\none\n\nFrom this principle.\n"),
        &["one\n\nFrom this principle.\n"],
        none.clone(),
    );
    check(&format!("{A}\none\n\n>{B}\ntwo\n"), &[&format!("one\n\n>{B}\ntwo\n")], none.clone());
    check(&format!("{A}\none\n\n {B}\ntwo\n"), &[&format!("one\n\n {B}\ntwo\n")], none);
}

#[test]
fn what_comes_before_the_first_separator_is_no_message() {
    check(&format!("\n\r\n{A}\none\n"), &["one\n"], MboxNotes::default());
    let leading = MboxNotes { leading_bytes: 8, ..MboxNotes::default() };
    check(&format!("garbage\n\n{A}\none\n"), &["one\n"], leading);
    check("garbage", &[], MboxNotes { leading_bytes: 7, ..MboxNotes::default() });
    check(&format!("garbage\n{A}\none\n"), &[], {
        let bytes = 8 + A.len() as u64 + 1 + 4;
        MboxNotes { leading_bytes: bytes, ..MboxNotes::default() }
    });
}

#[test]
fn a_content_length_that_lands_covers_separators() {
    let inner = format!("one\n\n{B}\ninner\n");
    let headers = format!("X: y\ncontent-LENGTH: {}\n\n", inner.len());
    let covered = MboxNotes { covered: 1, ..MboxNotes::default() };
    for tail in ["", "\n"] {
        check(
            &format!("{A}\n{headers}{inner}{tail}"),
            &[&format!("{headers}{inner}")],
            covered.clone(),
        );
    }
    check(
        &format!("{A}\n{headers}{inner}\n{B}\ntwo\n"),
        &[&format!("{headers}{inner}"), "two\n"],
        covered.clone(),
    );
    let headers = format!("Content-Length: {}\r\n\r\n", inner.len());
    check(
        &format!("{A}\n{headers}{inner}\r\n{B}\ntwo\n"),
        &[&format!("{headers}{inner}"), "two\n"],
        covered,
    );
}

#[test]
fn a_content_length_that_does_not_land_is_ignored() {
    let none = MboxNotes::default();
    for length in ["19", "20", "30", "43", "45", "99999999", "18446744073709551615", "x", "-5"] {
        let first = format!("Content-Length: {length}\n\none");
        let text = format!("{A}\n{first}\n\n{B}\ntwo and more\n");
        check(&text, &[&format!("{first}\n"), "two and more\n"], none.clone());
    }
    // In the body it is text.
    check(
        &format!("{A}\nX: y\n\nContent-Length: 100\n\n{B}\n2\n"),
        &["X: y\n\nContent-Length: 100\n", "2\n"],
        none,
    );
}

#[test]
fn a_content_length_cannot_reach_over_what_follows_no_empty_line() {
    // It lands before a line that reads as a separator but could not separate.
    let first = "Content-Length: 41\n\n1\n\n";
    let rest = format!("{B}\n{A}\n");
    let (messages, notes) = read(format!("{A}\n{first}{rest}x\n").as_bytes(), u64::MAX);
    assert_eq!((messages.len(), notes.covered, notes.unseparated), (2, 0, 1));
}

#[test]
fn long_lines_and_large_messages_do_not_grow_the_memory() {
    let long = "x".repeat(300_000);
    let text = format!("{A}\n{long}\n{long}{B}\n\n{B}\nsmall\n\n{A}\nx: {long}\n\n");
    let (messages, _) = read(text.as_bytes(), 1000);
    let sizes: Vec<_> = messages.iter().map(|(_, _, body, size)| (body.is_some(), *size)).collect();
    assert_eq!(sizes, [(false, 600_002 + B.len() as u64), (true, 6), (false, 300_004)]);
    let (messages, _) = read(text.as_bytes(), 300_004);
    assert_eq!(messages[2].2.as_ref().map(Vec::len), Some(300_004));
}

#[test]
fn offsets_and_dates_are_those_of_the_separators() {
    let text = format!("\n{A}\none\n\n{B}\ntwo\n");
    let (messages, _) = read(text.as_bytes(), 100);
    let found: Vec<_> = messages.iter().map(|(offset, date, _, _)| (*offset, *date)).collect();
    assert_eq!(found, [(1, 1_030_019_783), (7 + A.len() as u64, 1_138_820_764)]);
}
