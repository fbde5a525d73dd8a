//! A directory that changes, read from a real slapd.

#![expect(clippy::unwrap_used, reason = "helpers of tests may unwrap as tests do")]

mod secure;
mod slapd;

use std::collections::HashSet;

use ldap3::{LdapConn, Mod};
use rehome_ldap::{Credentials, FetchOptions, Fetched, LdapError, LdapPlace, fetch};
use rehome_site::{Roster, RosterOptions, compare_exports, read_ldif};

use slapd::{PASSWORD, ROOT, Slapd, people};

/// How many people the directory has: more than two pages.
const PEOPLE: usize = 130;
/// Entries in a page; slapd gives no more than 40 in one answer.
const PAGE: u16 = 40;

fn options() -> FetchOptions {
    let (name, password) = (ROOT.to_owned(), PASSWORD.to_owned());
    let credentials = Some(Credentials { name, password });
    FetchOptions { credentials, page_entries: PAGE, ..FetchOptions::default() }
}

fn read(server: &Slapd) -> Fetched {
    let place = LdapPlace::parse(&format!("{}/o=Example", server.url)).unwrap();
    fetch(&place, &options(), &mut |_| true).expect("a directory")
}

fn roster(fetched: &Fetched) -> Roster {
    let roster = Roster::read(fetched.ldif.as_bytes(), "directory", &RosterOptions::default());
    roster.unwrap_or_else(|found| panic!("{}", rehome_site::render(&found)))
}

/// Every entry is a row, and every row is something.
#[track_caller]
fn all_accounted_for(fetched: &Fetched, mailboxes: usize) {
    let (found, count) = (read_ldif(fetched.ldif.as_bytes()), roster(fetched).count);
    assert_eq!((found.rows.len() as u64, found.damaged.len()), (fetched.entries, 0));
    let sum = count.mailboxes
        + count.servers
        + count.public_folders
        + count.lists
        + count.foreign
        + count.services
        + count.other;
    assert_eq!((sum, count.refused), (found.rows.len(), 0), "{count:?}");
    assert_eq!((count.mailboxes, count.lists), (mailboxes, 1), "{count:?}");
}

fn change(server: &Slapd, work: impl FnOnce(&mut LdapConn)) {
    let mut connection = LdapConn::new(&server.url).unwrap();
    connection.simple_bind(ROOT, PASSWORD).unwrap().success().unwrap();
    work(&mut connection);
    connection.unbind().unwrap();
}

#[test]
fn a_directory_is_imported_changed_and_imported_again() {
    let server = Slapd::start(PEOPLE);
    let first = read(&server);
    // The root, the list, and everybody.
    assert_eq!(first.entries, PEOPLE as u64 + 2);
    all_accounted_for(&first, PEOPLE);
    assert!(roster(&first).mailboxes.iter().all(|mailbox| mailbox.home.as_str() == "EX1"));
    assert!(!first.ldif.to_lowercase().contains("userpassword"), "no passwords are written down");
    assert!(first.ldif.contains("uid:: "), "a name beyond ASCII is there");
    let again = read(&server);
    assert_eq!(again, first, "an equal directory is an equal text");
    change(&server, |connection| {
        let moved = vec![Mod::Replace("mailHost", HashSet::from(["EX2"]))];
        connection.modify(&people(7), moved).unwrap().success().unwrap();
        let named = vec![Mod::Add("displayName", HashSet::from(["Seven of nine"]))];
        connection.modify(&people(9), named).unwrap().success().unwrap();
        connection.delete(&people(11)).unwrap().success().unwrap();
        connection.modifydn(&people(12), "uid=renamed", true, None).unwrap().success().unwrap();
        slapd::add(connection, PEOPLE);
    });
    let second = read(&server);
    assert_eq!(second.entries, first.entries);
    all_accounted_for(&second, PEOPLE);
    let homes = roster(&second).mailboxes;
    let elsewhere: Vec<&str> = homes
        .iter()
        .filter(|mailbox| mailbox.home.as_str() != "EX1")
        .map(|mailbox| mailbox.name.as_str())
        .collect();
    assert_eq!(elsewhere, ["user7"]);
    let found =
        compare_exports(&read_ldif(first.ldif.as_bytes()), &read_ldif(second.ldif.as_bytes()));
    let changed: Vec<(&str, String)> =
        found.changed.iter().map(|row| (row.name.as_str(), row.attributes.join(" "))).collect();
    let expected = [(people(7), "mailhost".to_owned()), (people(9), "displayname".to_owned())];
    assert_eq!(changed, expected.each_ref().map(|(name, list)| (name.as_str(), list.clone())));
    assert_eq!(found.added, ["uid=renamed,o=Example".to_owned(), people(PEOPLE)]);
    assert_eq!(found.removed, [people(11), people(12)]);
    assert_eq!(found.same + found.added.len() + found.changed.len(), found.now);
    assert_eq!(found.same + found.removed.len() + found.changed.len(), found.before);
}

/// Reads with these options and expects this error; the words are in its message.
#[track_caller]
fn check(place: &str, options: &FetchOptions, is: fn(&LdapError) -> bool, words: &str) {
    let place = LdapPlace::parse(place).unwrap();
    let error = fetch(&place, options, &mut |_| true).expect_err("no directory");
    assert!(is(&error) && error.to_string().contains(words), "{error}");
}

#[test]
fn what_cannot_be_read_says_why_and_is_never_a_shorter_directory() {
    let server = Slapd::start(90);
    let url = format!("{}/o=Example", server.url);
    let search = |error: &LdapError| matches!(error, LdapError::Search { .. });
    check(&format!("{}/o=Other", server.url), &options(), search, "o=Other");
    let filter = FetchOptions { filter: "(cn=".to_owned(), ..options() };
    check(&url, &filter, search, "mend the base or the filter");
    let mut wrong = options();
    wrong.credentials = Some(Credentials { name: ROOT.to_owned(), password: "x".to_owned() });
    check(&url, &wrong, |error| matches!(error, LdapError::LogOn { .. }), "may not log on");
    let unreachable = |error: &LdapError| matches!(error, LdapError::Unreachable { .. });
    check("ldap://127.0.0.1:1/o=Example", &options(), unreachable, "no directory answers");
    let place = LdapPlace::parse(&url).unwrap();
    let stopped = fetch(&place, &options(), &mut |entries| entries < 50);
    assert!(matches!(stopped, Err(LdapError::Stopped { entries: 50, .. })), "{stopped:?}");
    // Killed between two pages: what came is no directory.
    let mut server = server;
    let broken = fetch(&place, &options(), &mut |entries| {
        if entries == 5 {
            server.kill();
        }
        true
    });
    assert!(matches!(broken, Err(LdapError::Search { .. })), "{broken:?}");
}
