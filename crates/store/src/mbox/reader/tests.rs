//! Made-up mboxes, each with what it must give.

use super::{MboxNotes, MboxReader};
use crate::mbox::{Quoting, writer};
use rehome_log::SplitMix64;
use std::io::Cursor;

const A: &str = "From a@b Thu Aug 22 12:36:23 2002";
const B: &str = "From c d  Wed Feb  1 19:06:04 2006";

/// Offset, date, body, size.
type Found = (u64, i64, Option<Vec<u8>>, u64);

fn read(text: &[u8], limit: u64) -> (Vec<Found>, MboxNotes) {
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
fn messages_with_a_content_length_come_back_with_the_separators_in_them() {
    let inner = format!("one\n\n{B}\ninner\n");
    for headers in ["X: y\n", "content-length: 3\n"] {
        for tail in ["", "\n", "\r\n"] {
            let body = format!("{headers}Content-Length: {}\n\n{inner}{tail}", inner.len());
            let bodies = [body.clone(), "two\n".to_owned(), body];
            let mut written = Vec::new();
            for (index, body) in bodies.iter().enumerate() {
                let quoting = Quoting::AsStored;
                let altered =
                    writer::write(&mut written, A, body.as_bytes(), quoting, index == 2).unwrap();
                assert_eq!(altered, writer::Altered::default());
            }
            let expected: Vec<&str> = bodies.iter().map(String::as_str).collect();
            let covered = MboxNotes { covered: 2, ..MboxNotes::default() };
            check(std::str::from_utf8(&written).unwrap(), &expected, covered);
        }
    }
    for wrong in [inner.len() - 1, inner.len() + 9, 5] {
        let body = format!("Content-Length: {wrong}\n\n{inner}");
        let mut written = Vec::new();
        let quoting = Quoting::AsStored;
        let altered = writer::write(&mut written, A, body.as_bytes(), quoting, false).unwrap();
        assert_eq!(altered.quoted_lines, 1);
    }
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

/// The rule without `Content-Length`, written down again: line by line, all in memory.
fn split_again(text: &str) -> Vec<String> {
    let lines: Vec<&str> = text.split_inclusive('\n').collect();
    let empty = |line: &str| line == "\n" || line == "\r\n";
    let mut messages: Vec<String> = Vec::new();
    for (index, line) in lines.iter().enumerate() {
        let bare = line.strip_suffix('\n').unwrap_or(line);
        let bare = bare.strip_suffix('\r').unwrap_or(bare);
        let dated = [A, B].iter().any(|known| bare.ends_with(&known[known.len() - 25..]));
        let separator = bare.starts_with("From ") && dated && !bare.contains('\r');
        if separator && (index == 0 || empty(lines[index - 1])) {
            messages.push(String::new());
        } else if let Some(message) = messages.last_mut() {
            message.push_str(line);
        }
    }
    let bare = |message: &String| {
        let last = message.split_inclusive('\n').next_back().unwrap_or_default();
        message[..message.len() - if empty(last) { last.len() } else { 0 }].to_owned()
    };
    messages.iter().map(bare).collect()
}

#[test]
fn random_mboxes_split_by_the_rule_and_come_back() {
    for seed in 0..2000 {
        let mut random = SplitMix64::new(seed);
        let mut text = String::new();
        for _ in 0..random.next_u64() % 20 {
            let pieces = [A, B, "\n", "\r\n", "\n\n", "\r", "x", ">", "X: y\n", "From x\n"];
            let piece = pieces[usize::try_from(random.next_u64()).unwrap() % pieces.len()];
            text.push_str(piece);
            let ends = random.chance(75) && (piece == A || piece == B);
            text.push_str(if ends { "\n" } else { "" });
        }
        let bodies = |text: &[u8]| -> Vec<String> {
            let (found, _) = read(text, u64::MAX);
            let body = |(_, _, body, _): Found| String::from_utf8(body.unwrap()).unwrap();
            found.into_iter().map(body).collect()
        };
        let found = bodies(text.as_bytes());
        assert_eq!(found, split_again(&text), "seed {seed}: {text:?}");

        let mut written = Vec::new();
        for (index, body) in found.iter().enumerate() {
            let last = index + 1 == found.len();
            writer::write(&mut written, A, body.as_bytes(), Quoting::AsStored, last).unwrap();
        }
        assert_eq!(bodies(&written), found, "seed {seed}: {text:?}");
    }
}
