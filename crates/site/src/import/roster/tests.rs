//! Every row of an export is counted once, and every mistake has its place.

use super::*;
use crate::diagnostic::render;

fn options() -> RosterOptions {
    RosterOptions { home: Some(ServerName::new("MAIL1").unwrap()), ..RosterOptions::default() }
}

/// Reads an export; the sum of its counts is the number of its rows.
#[track_caller]
fn check(text: &[u8]) -> Roster {
    let roster = Roster::read(text, "export", &options()).unwrap_or_else(|found| {
        panic!("{}", render(&found));
    });
    let count = roster.count;
    let sum = count.mailboxes
        + count.servers
        + count.public_folders
        + count.lists
        + count.foreign
        + count.services
        + count.other
        + count.refused;
    assert_eq!(sum, count.rows, "{count:?}");
    assert_eq!(count.mailboxes, roster.mailboxes.len());
    roster
}

/// Reads an export that is refused.
#[track_caller]
fn refused(text: &str) -> String {
    let result = Roster::read(text.as_bytes(), "export.csv", &options());
    render(&result.expect_err("the export is wrong"))
}

const CSV: &str = "\
Obj-Class,First Name,Last name,Display Name,Alias Name,Directory Name,Primary Windows NT Account,\
Home-Server,E-mail address,E-mail Addresses,Members,Obj-Container,Hide from AB,Public-Delegates
Mailbox,Al,Becker,Alice Becker,ab,alice,EX\\alice,EX1,,MS:HQ/PO/AB%SMTP:ab@ex.com,,Recipients,,\
/o=E/ou=HQ/cn=Recipients/cn=bob%/o=E/ou=HQ/cn=Recipients/cn=gone
Mailbox,Bob,B,Bob,bob,bob,EX\\bob,EX2,,SMTP:bob@ex.com,,Recipients,,
dl,,,Staff,staff,staff,,,,SMTP:staff@ex.com,Recipients/alice%Recipients/bob,Recipients,,
Remote,,,Carol elsewhere,carol,carol,,,SMTP:carol@other.example,,,Recipients,,
Computer,,,EX3,,EX3,,,,,,,,
";

#[test]
fn a_comma_separated_export_is_read_with_delegates_and_servers() {
    let roster = check(CSV.as_bytes());
    assert_eq!(roster.dialect, Dialect::Exchange55Csv);
    let servers: Vec<&str> = roster.servers.iter().map(ServerName::as_str).collect();
    assert_eq!(servers, ["EX1", "EX2", "EX3"]);
    assert_eq!((roster.count.lists, roster.count.foreign, roster.count.servers), (1, 1, 1));
    let delegates: Vec<&str> =
        roster.mailboxes[0].delegates.iter().map(MailboxName::as_str).collect();
    assert_eq!(delegates, ["bob"]);
    assert_eq!(roster.warnings.len(), 1, "one delegate is no mailbox here");
}

#[test]
fn a_column_that_is_not_known_is_an_error_with_a_remedy() {
    let text = "Obj-Class,Directory Name,Home Server\nMailbox,alice,EX1\n";
    insta::assert_snapshot!(refused(text), @r#"
    error[E020]: column "Home Server" is not known
     --> export.csv:1:26
      |
    1 | Obj-Class,Directory Name,Home Server
      |                          ^^^^^^^^^^^
      = why: a misspelled column would be left out
      = fix: did you mean "Home-Server"? Else remove it, or set inventory.on_unknown_column = "warn"
    "#);
    let lenient = RosterOptions { unknown_column_warns: true, ..options() };
    let roster = Roster::read(text.as_bytes(), "export.csv", &lenient).unwrap();
    assert_eq!(roster.warnings[0].code, "E020");
}

#[test]
fn an_address_a_name_and_a_missing_home_have_their_place() {
    let text = "Obj-Class,Directory Name,Home-Server,E-mail Addresses\n\
                Mailbox,alice,EX1,MS:a%SMTP:al@ex.com\n\
                Mailbox,bob,EX1,MS:b%smtp:AL@ex.com\n\
                Mailbox,Alice,EX1,\n\
                Mailbox,carol,,SMTP:c@ex.com\n\
                Mailbox,dave\n";
    insta::assert_snapshot!(refused(text), @r#"
    error[E021]: address smtp:al@ex.com is given twice; the first is in line 2
     --> export.csv:3:22
      |
    3 | Mailbox,bob,EX1,MS:b%smtp:AL@ex.com
      |                      ^^^^^^^^^^^^^^
      = why: mail for it could go to either, and no store would take the second one
      = fix: take the address from one of the two

    error[E009]: there are two mailboxes "Alice"; the first is in line 2
     --> export.csv:4:9
      |
    4 | Mailbox,Alice,EX1,
      |         ^^^^^
      = why: mail for one of them would reach the other
      = fix: rename one of them, or take the row out if it is the same mailbox

    error[E022]: mailbox "carol" has no home server
     --> export.csv:5:1
      |
    5 | Mailbox,carol,,SMTP:c@ex.com
      | ^^^^^^^^^^^^^^^^^^^^^^^^^^^^
      = why: nobody would know which store holds its mail
      = fix: set its Home-Server, or take the row out if the mailbox is gone

    error[E025]: this row cannot be read: the line has 2 fields and the header 4
     --> export.csv:6:1
      |
    6 | Mailbox,dave
      | ^^^^^^^^^^^^
      = why: it may be a mailbox that would be left behind
      = fix: correct the row, or take it out of the file
    "#);
}

#[test]
fn an_export_without_mailboxes_is_warned_of_and_an_unknown_code_page_refused() {
    let roster = check(b"dn: dc=example\nobjectClass: domain\n");
    assert_eq!(roster.warnings[0].code, "E024");
    let code_page = RosterOptions { code_page: Some("cp-12345".to_owned()), ..options() };
    let found = Roster::read(CSV.as_bytes(), "f", &code_page).unwrap_err();
    assert_eq!(found[0].code, "E027");
}

const AD: &str = "\
dn: CN=alice,CN=Recipients,OU=HQ,O=Example
objectClass: top
objectClass: user
mailNickname: alice
displayName:: SsO8cmdlbg==
legacyExchangeDN: /o=Example/ou=HQ/cn=Recipi
 ents/cn=alice
homeMDB: CN=Microsoft Private MDB,CN=EX2,CN=Servers,CN=Configuration,O=Example
publicDelegates: CN=bob,CN=Recipients,OU=HQ,O=Example
proxyAddresses: SMTP:alice@example.com
mail: alice@example.com

dn: CN=bob,CN=Recipients,OU=HQ,O=Example
objectClass: user
mailNickname: bob
msExchHomeServerName: /o=Example/ou=HQ/cn=Configuration/cn=Servers/cn=EX1

dn: CN=PC17,CN=Computers,O=Example
objectClass: user
objectClass: computer

dn: CN=Carol,O=Example
objectClass: user
mailNickname: carol
targetAddress: SMTP:carol@other.example

dn: CN=Guest,O=Example
objectClass: user

dn: CN=alice,CN=Recipients,OU=HQ,O=Example
changetype: modify
replace: title
title: Boss
-
";

#[test]
fn an_ad_export_is_read_in_every_encoding() {
    let roster = check(AD.as_bytes());
    let wide: Vec<u8> = AD.encode_utf16().flat_map(u16::to_le_bytes).collect();
    assert_eq!(check(&wide), roster);
    let alice = &roster.mailboxes[0];
    assert_eq!(alice.display_name.as_deref(), Some("Jürgen"));
    assert_eq!((alice.home.as_str(), alice.delegates[0].as_str()), ("EX2", "bob"));
    assert_eq!((roster.count.foreign, roster.count.other), (1, 3));
}

#[test]
fn a_plain_export_without_homes_gets_the_one_home() {
    let text = "dn: cn=Al,dc=example\nobjectClass: inetOrgPerson\ncn: Al\nmail: al@example.com\n\n\
                dn: cn=Bo,dc=example\nobjectClass: inetOrgPerson\ncn: Bo\nmail: bo@example.com\n";
    let roster = check(text.as_bytes());
    assert!(roster.mailboxes.iter().all(|mailbox| mailbox.home.as_str() == "MAIL1"));
    assert_eq!(roster.warnings[0].code, "E022");
}

/// Counts the entries of real files, if `REHOME_CORPUS` or the usual folder has them.
#[test]
fn every_entry_of_real_ldif_files_is_accounted_for() {
    let folder = std::env::var("REHOME_CORPUS").unwrap_or_else(|_| "corpus/open".to_owned());
    let Ok(files) = std::fs::read_dir(std::path::Path::new(&folder).join("ldif")) else {
        println!("skipped: no folder {folder}/ldif");
        return;
    };
    for file in files {
        let path = file.unwrap().path();
        let bytes = std::fs::read(&path).unwrap();
        let text = String::from_utf8_lossy(&bytes).to_lowercase();
        let expected = text.lines().filter(|line| line.starts_with("dn:")).count();
        let mut reading = Reading::new("f", text);
        reading.read(&options());
        let count = reading.roster.count;
        println!("{}: {count:?}", path.display());
        assert_eq!(count.rows, expected, "{}", path.display());
    }
}

#[test]
fn a_public_folder_names_its_server_and_none_is_left_out_unsaid() {
    let text = "Obj-Class,Directory Name,Display Name,Home-Server\n\
                Mailbox,alice,Alice,EX1\n\
                Public Folder,news,News,EX3\n";
    let roster = check(text.as_bytes());
    let servers: Vec<&str> = roster.servers.iter().map(ServerName::as_str).collect();
    assert_eq!(servers, ["EX1", "EX3"]);
    let (path, home) = &roster.public_folders[0];
    assert_eq!((path.as_str(), home.as_ref().map(ServerName::as_str)), ("News", Some("EX3")));
    let nameless = text.replace(",News,", ",News//Old,");
    let found = Roster::read(nameless.as_bytes(), "export.csv", &options()).unwrap_err();
    assert_eq!((found.len(), found[0].code, found[0].line()), (1, "E025", 3));
}
