//! Every row of an export is accounted for.

use super::*;
use crate::names::{OrganizationName, SiteName};

/// An empty directory with one server.
fn directory() -> Directory {
    let [organization, site] = ["Example", "HQ"];
    let mut directory = Directory::new(
        ServerName::new("EX1").unwrap(),
        1,
        OrganizationName::new(organization).unwrap(),
        SiteName::new(site).unwrap(),
    );
    directory.add_server(&ServerName::new("EX1").unwrap(), 0).unwrap();
    directory
}

/// What became of each row: `line name` or `line name: reason`.
fn outcomes(report: &ImportReport) -> String {
    let lines = report.rows.iter().map(|row| match &row.ignored {
        None => format!("{} {}", row.line, row.name),
        Some(reason) => format!("{} {}: {reason}", row.line, row.name),
    });
    lines.collect::<Vec<_>>().join("\n")
}

/// Imports an export and reads what became of it.
#[track_caller]
fn check(directory: &mut Directory, export: &Export) -> String {
    let report = directory.import(export, 1);
    assert_eq!(report.rows.len(), export.rows.len() + export.damaged.len());
    assert_eq!(report.accepted() + report.ignored().count(), report.rows.len());
    let once = directory.clone();
    directory.import(export, 2);
    assert_eq!(*directory, once, "importing the same again changes nothing");
    outcomes(&report)
}

const LDIF: &str = "\
version: 1
# A comment that is
 folded

dn: CN=alice,CN=Recipients,OU=HQ,O=Example
objectClass: user
cn: alice
displayName:: SsO8cmdlbg==
legacyExchangeDN: /o=Example/ou=HQ/cn=Recipi
 ents/cn=alice
homeMDB: CN=Microsoft Private MDB,CN=EX2,CN=Servers,CN=Configuration,O=Example
proxyAddresses: SMTP:alice@example.com
proxyAddresses: smtp:al@example.com
jpegPhoto:: /9j/
audio:< file:///tmp/a.wav

dn: CN=EX2,CN=Servers,CN=Configuration,O=Example
objectClass: msExchExchangeServer
cn: EX2

dn: CN=Staff,O=Example
objectClass: group
member: CN=alice,CN=Recipients,OU=HQ,O=Example

dn: CN=Microsoft System Attendant,O=Example
cn: Microsoft System Attendant
msExchHomeServerName: /o=Example/ou=HQ/cn=Configuration/cn=Servers/cn=EX1

dn: CN=bob,O=Example
cn: bob
msExchHomeServerName: /o=Example/ou=HQ/cn=Configuration/cn=Servers/cn=EX7

dn: CN=carol,O=Example
changetype: modify
replace: homeMDB
homeMDB: CN=Microsoft Private MDB,CN=EX2,CN=Servers,O=Example
-

cn: without a dn

dn: CN=dave,O=Example
no colon here

dn:: ?
";

#[test]
fn every_record_of_an_ldif_file_is_accounted_for() {
    let mut directory = directory();
    insta::assert_snapshot!(check(&mut directory, &read_ldif(LDIF.as_bytes())), @r#"
    5 CN=alice,CN=Recipients,OU=HQ,O=Example
    17 CN=EX2,CN=Servers,CN=Configuration,O=Example
    21 CN=Staff,O=Example: lists and foreign recipients belong to the site and need no move
    25 CN=Microsoft System Attendant,O=Example: a service's mailbox stays with its server
    29 CN=bob,O=Example: the directory of EX1 has no server "EX7"; import or add it first
    33 CN=carol,O=Example: single values and names are not changed by an import
    39 : the record does not begin with its dn
    41 : line 42 has no colon
    44 : line 44 is no base64
    "#);
    let alice = directory.mailbox_dn(&MailboxName::new("alice").unwrap());
    let alice = directory.object(&alice).unwrap();
    assert_eq!(alice.value("display-name"), Some("Jürgen"));
    assert_eq!(alice.value("home-server"), Some("EX2"));
    assert_eq!(alice.values("proxy-address").len(), 2);
}

#[test]
fn values_of_all_three_forms_are_kept() {
    let export = read_ldif(LDIF.as_bytes());
    let alice = &export.rows[0];
    assert_eq!(alice.line, 5);
    let value = |name: &str| &alice.values.iter().find(|(own, _)| own == name).unwrap().1;
    assert_eq!(*value("jpegPhoto"), Value::Bytes(vec![0xff, 0xd8, 0xff]));
    assert_eq!(*value("audio"), Value::Url("file:///tmp/a.wav".to_owned()));
}

const CSV: &str = "\
Obj-Class,Mode,First Name,Display Name,Alias Name,Directory Name,Home-Server,E-mail Addresses\r
Mailbox,,Al,\"Becker, Alice \"\"Al\"\"\",ab,alice,EX1,MS:HQ/PO/AB%SMTP:ab@ex.com%X400:c=US;a= ;\r
dl,Create,,Staff,staff,staff,,\r
Mailbox,Update,Bob,Bob,bob,bob,EX9,\r
Mailbox,,too,few\r
\r
Mailbox,Destroy,C,C,c,c,EX1,\r
Mailbox,,\"two
lines\",D,d,dave,ex1,\r
Mailbox,,E,\"never closed,e,erin,EX1,\r
";

#[test]
fn every_line_of_a_csv_export_is_accounted_for() {
    let mut directory = directory();
    let export = read_csv(CSV.as_bytes()).unwrap();
    insta::assert_snapshot!(check(&mut directory, &export), @r#"
    2 alice
    3 staff: lists and foreign recipients belong to the site and need no move
    4 bob: the directory of EX1 has no server "EX9"; import or add it first
    5 : the line has 4 fields and the header 8
    7 : Mode "Destroy" is not known
    8 dave
    10 : a quote is opened and never closed
    "#);
    let alice = directory.mailbox_dn(&MailboxName::new("alice").unwrap());
    let alice = directory.object(&alice).unwrap();
    assert_eq!(alice.value("display-name"), Some("Becker, Alice \"Al\""));
    assert_eq!(alice.values("proxy-address")[2], "X400:c=US;a= ;");
}

#[test]
fn a_csv_file_without_header_is_refused() {
    assert!(read_csv(b"alice,EX1\n").is_err());
    assert!(read_csv(b"").is_err());
}

#[test]
fn an_import_does_not_move_a_mailbox() {
    let mut directory = directory();
    let header = "Obj-Class,Directory Name,Home-Server\n";
    let first = read_csv(format!("{header}Mailbox,alice,EX1\n").as_bytes()).unwrap();
    assert_eq!(check(&mut directory, &first), "2 alice");
    directory.add_server(&ServerName::new("EX2").unwrap(), 1).unwrap();
    let other = read_csv(format!("{header}Mailbox,alice,EX2\n").as_bytes()).unwrap();
    let expected = "2 alice: its home is EX1 here and EX2 in the export";
    assert_eq!(check(&mut directory, &other), expected);
}

#[test]
fn no_bytes_make_the_readers_panic() {
    for text in [LDIF.as_bytes(), CSV.as_bytes()] {
        for cut in 0..text.len() {
            for put in [b'"', b'\n', b':', 0xff, b' ', b','] {
                let mut bytes = text[..cut].to_vec();
                bytes.push(put);
                bytes.extend(&text[cut + 1..]);
                directory().import(&read_ldif(&bytes), 1);
                if let Ok(export) = read_csv(&bytes) {
                    directory().import(&export, 1);
                }
            }
        }
    }
}

/// Counts the entries of real files, if `REHOME_CORPUS` or the usual folder has them.
#[test]
fn every_entry_of_real_ldif_files_is_counted() {
    let folder = std::env::var("REHOME_CORPUS").unwrap_or_else(|_| "corpus/open".to_owned());
    let folder = std::path::Path::new(&folder).join("ldif");
    let Ok(files) = std::fs::read_dir(&folder) else {
        println!("skipped: no folder {}", folder.display());
        return;
    };
    let (mut read, mut expected) = (0, 0);
    for file in files {
        let bytes = std::fs::read(file.unwrap().path()).unwrap();
        let text = String::from_utf8_lossy(&bytes);
        expected += text.lines().filter(|line| line.to_lowercase().starts_with("dn:")).count();
        let export = read_ldif(&bytes);
        assert_eq!(export.damaged, [], "all of them are sound");
        read += directory().import(&export, 1).rows.len();
    }
    println!("{read} entries");
    assert_eq!(read, expected);
}
